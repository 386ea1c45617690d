"""Whatever share is asked for, and however late the thread wakes: the heater gets its share, in whole pulses."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.actuators.burst import FULL, Schedule, diffuse, percent_of, ripple_w

PERCENT = st.integers(0, FULL)
CYCLE_S = st.sampled_from([1 / 50, 1 / 60])
TINY = 1e-9


def fired(shares: list[int], owed: int = FULL - 1) -> list[bool]:
    pulses = []
    for percent in shares:
        on, owed = diffuse(owed, percent)
        assert 0 <= owed < FULL
        pulses.append(on)
    return pulses


# --- error diffusion


@given(st.lists(PERCENT, max_size=300), st.integers(0, FULL - 1))
def test_any_stretch_gives_what_was_asked_within_one_pulse(shares, owed):
    errors = [0, *accumulate(FULL * on - percent for on, percent in zip(fired(shares, owed), shares, strict=True))]
    assert max(errors) - min(errors) < FULL  # the error of a stretch is the difference of two of these


@given(PERCENT, st.integers(0, FULL - 1), st.integers(0, 50))
def test_a_hundred_pulses_are_exact(percent, owed, begin):
    assert sum(fired([percent] * 150, owed)[begin : begin + FULL]) == percent


@given(st.lists(PERCENT), st.sampled_from([0, FULL]))
def test_nothing_and_everything_are_exact_whatever_came_before(shares, percent):
    assert set(fired([*shares, *[percent] * 20])[len(shares) :]) == {percent == FULL}


@given(st.integers(1, FULL))
def test_pulses_are_spread_as_evenly_as_can_be(percent):
    ons = [at for at, on in enumerate(fired([percent] * 3 * FULL)) if on]
    gaps = {after - before for before, after in pairwise(ons)}
    assert max(gaps) - min(gaps) <= 1


@given(st.floats(0, 30_000), st.floats(10, 25_000))
def test_never_more_than_asked_and_off_only_for_nothing(watts, rated_w):
    percent = percent_of(watts, rated_w)
    assert (percent == 0) is (watts == 0)
    assert percent <= 1 or rated_w * percent / FULL <= watts + 1e-5 * rated_w
    assert percent >= min(FULL, int(watts / rated_w * FULL))


@given(PERCENT, st.floats(10, 25_000))
def test_each_step_is_hit(percent, rated_w):
    assert percent_of(rated_w * (percent / FULL), rated_w) == percent


def test_what_a_quick_meter_sees():
    assert ripple_w(3000.0, 0.02, 1.0) == pytest.approx(60.0)
    assert ripple_w(3000.0, 1.0, 0.5) == 3000.0


# --- the schedule in time: begin and end of each state of the relay


class Life:
    """A schedule, asked like the thread asks it: at the end of each pulse, or so much later."""

    def __init__(self, cycle_s: float, min_pulse: int, lease_s: float = inf) -> None:
        self.schedule = Schedule(min_pulse * cycle_s, tolerance_s=cycle_s / 2, lease_s=lease_s)
        self.now = 0.0
        self.seen: list[tuple[float, bool]] = [(0.0, False)]

    def turn(self) -> None:
        self.schedule.turn(self.now)
        self.seen.append((self.now, self.schedule.on))

    def set(self, percent: int) -> None:
        self.schedule.set(percent, self.now)
        self.turn()

    def wake(self, late_s: float = 0.0) -> None:
        """The thread wakes; while it is off, it does so for nothing."""
        ends_at = self.schedule.ends_at
        self.now = (self.now if ends_at == inf else max(self.now, ends_at)) + late_s
        self.turn()

    def edges(self) -> list[tuple[float, bool]]:
        """When the relay changed, and to what."""
        return [(at, on) for (_, before), (at, on) in zip(self.seen, self.seen[1:], strict=False) if on is not before]

    def on_until(self, end: float) -> float:
        """Seconds on up to `end`."""
        total, since = 0.0, None
        for at, on in [*self.edges(), (inf, False)]:
            if since is not None:
                total += max(0.0, min(at, end) - since)
            since = at if on and at < end else None
        return total


@given(CYCLE_S, st.integers(1, 50), st.integers(1, FULL), st.data())
def test_any_time_long_the_heater_gets_its_share_within_one_pulse(cycle_s, min_pulse, percent, data):
    life = Life(cycle_s, min_pulse)
    life.set(percent)
    for _ in range(250):
        life.wake()
    begin, end = sorted(data.draw(st.tuples(st.floats(0, life.now), st.floats(0, life.now))))
    got_s = life.on_until(end) - life.on_until(begin)
    assert abs(got_s - percent / FULL * (end - begin)) <= life.schedule.pulse_s + TINY


DOINGS = st.one_of(
    st.tuples(st.just("wake"), st.floats(0, 3)),
    st.tuples(st.just("early"), st.floats(0, 1)),
    st.tuples(st.just("set"), st.integers(1, FULL)),
    st.tuples(st.just("off"), st.just(0)),
)


@given(CYCLE_S, st.integers(1, 50), st.lists(DOINGS, max_size=60))
def test_no_pulse_is_too_short_but_one_that_is_switched_off(cycle_s, min_pulse, doings):
    life = Life(cycle_s, min_pulse)
    offs = set()
    for doing, value in doings:
        match doing:
            case "wake":
                life.wake(float(value))
            case "early":  # somebody asks in the middle of a pulse
                life.now = min(life.now + value * life.schedule.pulse_s, max(life.now, life.schedule.ends_at))
                life.turn()
            case _:
                life.set(int(value))
                if doing == "off":
                    offs.add(life.now)
                    assert not life.schedule.on
    edges = life.edges()
    for (begin, on), (end, _) in pairwise(edges):
        assert end - begin >= life.schedule.pulse_s - TINY or (on and end in offs)


LATE_MS = st.integers(0, 2000).filter(lambda late_ms: late_ms != 10)  # half a cycle to the millisecond is either


@given(st.integers(1, FULL), st.lists(LATE_MS.map(lambda late_ms: late_ms / 1000), min_size=1, max_size=200))
def test_pulses_that_were_overslept_are_gone(percent, lates):
    """Late or in time, the pulses are the same: nothing is made up for, and a late one is counted."""
    life = Life(0.02, 1)
    life.set(percent)
    got = [life.schedule.on]
    for late_s in lates:
        life.wake(late_s)
        got.append(life.schedule.on)
    assert got == fired([percent] * (len(lates) + 1))
    assert life.schedule.late == sum(late_s > 0.01 for late_s in lates)
    assert life.schedule.worst_s == pytest.approx(max(lates), abs=1e-6)
    assert life.schedule.pulses == len(lates) + 1


@given(st.integers(1, FULL), st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60))
def test_nobody_there_means_off_until_it_is_told_again(percent, steps):
    life = Life(0.02, 1, lease_s=60.0)
    life.set(percent)
    last, gone = 0.0, False
    for wait_s, renewed in steps:
        life.now += wait_s
        life.turn()
        gone = gone or life.now - last >= 60.0
        assert life.schedule.expired is gone
        assert not gone or not life.schedule.on
        if renewed:
            life.schedule.renew(life.now)
            last = life.now
    life.now += 60.0
    life.turn()
    assert (life.schedule.on, life.schedule.percent, life.schedule.expired) == (False, 0, True)
    life.set(FULL)
    life.now += 1.0
    life.turn()
    assert (life.schedule.on, life.schedule.expired) == (True, False)
