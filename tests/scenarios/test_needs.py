"""Needs: what must be done by a time is done by that time, on the cheapest watts left, begun at the last moment that
suffices where nothing better came.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from loadctl.core.rules import Clock, Level, Load, Need, Site, Window
from loadctl.core.values import OFF, ON, Away, Boost, Daylight, Input, Outlook, Slot, Verdict
from tests.house import NOON
from tests.scenarios.bench import BOILER, BOTH_PHASES, WALLBOX, Bench

HOUR = 3600.0
AT_NOON, AT_TWO, AT_SIX = Clock(time(12)), Clock(time(14)), Clock(time(18))
PLAIN = replace(BOILER, start_w=2000.0, stop_import_w=200.0, min_on_s=0.0, min_off_s=0.0)
LATE_S = 60.0  # the margin of a need


def needing(*needs: Need, load: Load = PLAIN, **rule: object) -> Load:
    return replace(load, needs=needs, **rule)  # type: ignore[arg-type]


def until(bench: Bench, hour: int, minute: int = 0, free_w: float = 0.0) -> Bench:
    bench.free(free_w, round((NOON.replace(hour=hour, minute=minute) - bench.wall()).total_seconds()))
    return bench


def run_s(bench: Bench, name: str = "boiler") -> float:
    """For how long the load was told to run, so far."""
    total, since = 0.0, None
    for at, command in bench.told:
        if command.load == name and command.watts and since is None:
            since = at
        elif command.load == name and not command.watts and since is not None:
            total, since = total + at - since, None
    return total if since is None else total + bench.at - since


def began(bench: Bench, name: str = "boiler") -> list[datetime]:
    """When the load was switched on."""
    runs = False
    moments = []
    for at, command in bench.told:
        if command.load == name:
            if command.watts and not runs:
                moments.append(bench.begins + timedelta(seconds=at))
            runs = command.watts > 0
    return moments


def expects(
    bench: Bench,
    watts: list[float | None],
    prices: dict[int, float] | None = None,
    every: float = HOUR,
    lately_w: float | None = None,
) -> Bench:
    """Let so much sun be expected hour by hour; `prices` of single hours, 0.30 in the others.

    `lately_w`: what it left at best of late.
    """
    hours = [
        Slot(NOON.timestamp() + every * index, every, sun_w, (prices or {}).get(index, 0.30), 0.08)
        for index, sun_w in enumerate(watts)
    ]

    def outlook(wall: datetime) -> Outlook:
        ahead = tuple(slot for slot in hours if slot.start + slot.length_s > wall.timestamp())
        return Outlook(ahead[0].import_price if ahead else 0.30, 0.08, ahead, lately_w=lately_w)

    bench.outlook = outlook
    bench.every_s, bench.polls_s = 10.0, 10.0
    return bench


# --- the last moment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "lasts_s"),
    [
        (Need(AT_NOON, runtime_s=1800.0), 1800.0),
        (Need(AT_NOON, energy_wh=1000.0), 1800.0),
        (Need(AT_NOON, full=True, takes_s=1800.0), 1800.0),
        (Need(AT_NOON, level=Level("tank", 55.0, 100.0)), 1800.0),
        (Need(AT_NOON, level=Level("tank", 55.0), takes_s=1800.0), 1800.0),
    ],
    ids=["runtime", "energy", "full", "level", "level that nobody can count"],
)
def test_without_sun_it_begins_at_the_last_moment_that_suffices(need, lasts_s):
    bench = Bench(Site((needing(need),)))
    bench.inputs = {"tank": Input(45.0, 0.0, 1e9)}
    last = 7200.0 - lasts_s * 1.02 - LATE_S
    bench.free(0.0, int(last) - 2)
    assert bench.phase("boiler") is OFF
    assert bench.free(0.0, 4).verdicts[0] in {Verdict.NEED, Verdict.SETTLING}
    assert len(began(bench)) == 1


@pytest.mark.parametrize("kind", ["runtime", "energy", "full", "level"])
def test_it_ends_when_it_is_met(kind):
    needs = {
        "runtime": Need(AT_NOON, runtime_s=1800.0),
        "energy": Need(AT_NOON, energy_wh=1000.0),
        "full": Need(AT_NOON, full=True, takes_s=1800.0),
        "level": Need(AT_NOON, level=Level("tank", 55.0), takes_s=1800.0),
    }
    bench = Bench(Site((needing(needs[kind]),)))
    bench.inputs = {"tank": Input(45.0, 0.0, 1e9)}
    until(bench, 11, 50)
    assert bench.phase("boiler") is ON
    bench.inputs = {"tank": Input(55.0, 0.0, 1e9)}
    bench.plugs["boiler"].full = kind == "full"
    until(bench, 12, 20)
    assert bench.state.standings[0].needs_missed == 0
    assert bench.plugs["boiler"].draws_w == 0.0


def test_a_level_that_is_not_known_is_not_taken_for_reached():
    bench = Bench(Site((needing(Need(AT_NOON, level=Level("tank", 55.0, 100.0), takes_s=1800.0)),)))
    bench.inputs = {"tank": Input(60.0, -1e6, 60.0)}
    until(bench, 11, 45)
    assert bench.phase("boiler") is ON


@pytest.mark.parametrize("minutes", [10, 25])
def test_what_the_sun_has_given_counts(minutes):
    bench = Bench(Site((needing(Need(AT_TWO, runtime_s=1800.0)),)))
    bench.free(3000.0, 60 * minutes)
    bench.free(0.0, 200)
    assert bench.phase("boiler") is OFF
    had_s = run_s(bench)
    until(bench, 14)
    assert 1800.0 <= run_s(bench) <= 1800.0 + 10.0
    assert began(bench)[-1] >= NOON.replace(hour=14) - timedelta(seconds=(1800.0 - had_s) * 1.02 + LATE_S + 2.0)


def test_several_needs_of_one_load():
    bench = Bench(Site((needing(Need(Clock(time(11)), runtime_s=600.0), Need(AT_NOON, runtime_s=1800.0)),)))
    until(bench, 11)
    assert run_s(bench) == pytest.approx(600.0, abs=10.0)
    until(bench, 12)
    assert run_s(bench) == pytest.approx(1800.0, abs=70.0)
    assert bench.state.standings[0].needs_missed == 0


@pytest.mark.parametrize(("min_off_s", "stops"), [(300.0, True), (2400.0, False)])
def test_what_runs_is_not_stopped_when_its_rest_would_make_it_late(min_off_s, stops):
    """At 10:45 it still has 16 minutes to do and 55 for it: a rest of 40 would be too long."""
    need = Need(Clock(time(11, 40)), runtime_s=3600.0)
    bench = Bench(Site((needing(need, min_off_s=min_off_s, stop_for_s=60.0),)))
    until(bench, 10, 45, free_w=3000.0)
    until(bench, 11, 40)
    assert (len(began(bench)) > 1) is stops
    assert bench.state.standings[0].needs_missed == 0
    bench.free(0.0, 2)
    assert bench.state.standings[0].needs_missed == 0


def slowly(*loads: Load) -> Bench:
    """A bench for days: a reading every twenty seconds."""
    return Bench(Site(loads), every_s=20.0, polls_s=100.0)


def test_once_in_three_days():
    """Counted from when it was last met, by whatever: the sun of the first day does for three."""
    bench = slowly(needing(Need(AT_NOON, runtime_s=600.0, every_days=3)))
    bench.free(3000.0, 1000)
    assert run_s(bench) >= 600.0
    bench.told.clear()
    bench.free(0.0, 3 * 86400 - 1000)
    assert not began(bench)
    bench.free(0.0, 86400)
    assert [moment.day for moment in began(bench)] == [NOON.day + 3]


def test_only_on_its_days():
    assert NOON.weekday() == 2
    bench = slowly(needing(Need(AT_NOON, runtime_s=600.0, days=frozenset({3, 6}))))
    bench.free(0.0, 6 * 86400)
    assert [moment.weekday() for moment in began(bench)] == [3, 6]


# --- together under the fuse ----------------------------------------------------------------------------------------


def test_two_needs_that_do_not_fit_beside_each_other_are_met_one_after_the_other():
    one, two = (needing(Need(AT_NOON, runtime_s=1800.0), load=replace(PLAIN, name=name)) for name in ("one", "two"))
    bench = Bench(Site((one, two), max_import_w=3000.0))
    until(bench, 12)
    bench.free(0.0, 3)
    assert [standing.needs_missed for standing in bench.state.standings] == [0, 0]
    assert run_s(bench, "one") == pytest.approx(1800.0, abs=130.0)
    assert run_s(bench, "two") == pytest.approx(1800.0, abs=130.0)


def test_a_fuse_that_leaves_a_car_half_its_power_lets_it_begin_earlier():
    car = needing(Need(AT_NOON, energy_wh=4000.0), load=BOTH_PHASES)
    bench = Bench(Site((car,), max_import_w=5000.0))
    until(bench, 12)
    bench.free(0.0, 3)
    assert bench.state.standings[0].needs_missed == 0


@pytest.mark.parametrize("free_w", [0.0, 2000.0, 3900.0])
def test_a_car_that_runs_on_one_phase_gets_its_need_in_time(free_w):
    car = needing(Need(AT_NOON, energy_wh=9000.0), load=BOTH_PHASES)
    bench = Bench(Site((car,)))
    until(bench, 12, free_w=free_w)
    bench.free(0.0, 3)
    assert bench.state.standings[0].needs_missed == 0


def test_a_one_phase_car_gets_its_need_in_time():
    """Once it was seen to take one phase of three it is known for what it takes."""
    car = needing(Need(AT_NOON, energy_wh=5000.0), load=BOTH_PHASES)
    bench = Bench(Site((car,)))
    bench.plugs["wallbox"].uses = 1
    until(bench, 10, 10, free_w=6000.0)
    until(bench, 12)
    bench.free(0.0, 3)
    assert bench.state.standings[0].needs_missed == 0


# --- boost and away -------------------------------------------------------------------------------------------------


def test_a_boost_is_once_more_than_the_rules_say():
    bench = Bench(Site((PLAIN,)))
    bench.wishes = (Boost("boiler", Need(AT_NOON, runtime_s=600.0), NOON.toordinal()),)
    until(bench, 12, 30)
    assert run_s(bench) == pytest.approx(600.0, abs=10.0)
    bench.every_s = 20.0
    bench.free(0.0, 86400)
    assert len(began(bench)) == 1


def test_away_needs_wait_and_boosts_do_not():
    bench = Bench(Site((needing(Need(AT_NOON, runtime_s=600.0)),)))
    bench.wishes = (Away(),)
    until(bench, 12, 30)
    assert not began(bench)
    assert bench.state.standings[0].needs_missed == 0
    bench.wishes = (Away(), Boost("boiler", Need(AT_TWO, runtime_s=600.0), NOON.toordinal()))
    until(bench, 14, 30)
    assert len(began(bench)) == 1


# --- the cheapest watts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sun_w", "bought_wh"),
    [
        ([0.0, 0.0, 2500.0, 2500.0, 0.0, 0.0, 0.0, 0.0], 100.0),  # it takes a minute to start on it
        ([2500.0, 2500.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 100.0),
        ([600.0, 600.0, 1500.0, 1500.0, 600.0, 0.0, 0.0, 0.0], 1450.0),  # caution costs a little
        ([0.0] * 8, 4200.0),
    ],
    ids=["later", "now", "partly", "never"],
)
def test_the_sun_that_comes_is_waited_for_as_far_as_it_comes(sun_w, bought_wh):
    bench = expects(Bench(Site((needing(Need(AT_SIX, energy_wh=4000.0)),))), [*sun_w])
    bought = 0.0
    for watts in sun_w:
        for _ in range(180):
            bench.free(watts, 20)
            bought += max(0.0, bench.draws_w("boiler") - watts) / 180
    assert bench.state.standings[0].needs_missed == 0
    assert run_s(bench) * 2000.0 / HOUR >= 4000.0
    assert bought <= bought_wh


def test_cheap_hours_of_the_night_are_used():
    bench = expects(Bench(Site((needing(Need(AT_SIX, energy_wh=4000.0)),))), [0.0] * 8, {2: 0.12, 3: 0.12, 5: 0.20})
    until(bench, 18)
    assert run_s(bench) * 2000.0 / HOUR >= 4000.0
    first, last = bench.told[0], bench.told[-1]
    assert first[0] >= 2 * HOUR
    assert last[0] <= 4 * HOUR + 600.0


def test_when_the_cheap_hour_is_over_nothing_more_is_bought_for_its_price():
    load = needing(Need(AT_SIX, energy_wh=4000.0))
    began_late = Bench(Site((load,)), begins=NOON + timedelta(seconds=170))  # not in step with the hours
    bench = expects(began_late, [0.0] * 8, {2: 0.12})
    until(bench, 14)
    off = next(at for at, command in bench.told if not command.watts)
    assert off <= 3 * HOUR - 170.0 + load.stop_for_s + 2 * bench.every_s


def test_a_boost_is_planned_when_it_is_asked_for():
    load = replace(PLAIN, thrifty=True)
    bench = expects(Bench(Site((load,))), [0.0] * 8, {1: 0.12}, lately_w=0.0)
    until(bench, 11, 13)
    bench.wishes = (Boost("boiler", Need(AT_SIX, energy_wh=1000.0), NOON.toordinal()),)
    until(bench, 11, 15)
    begins = NOON.replace(hour=11, minute=13) + timedelta(seconds=load.start_for_s + 2 * bench.every_s)
    assert began(bench)[0] <= begins, "this is the cheap hour"


def test_cheap_hours_are_used_though_nobody_knows_the_sun():
    bench = expects(Bench(Site((needing(Need(AT_SIX, energy_wh=4000.0)),))), [None] * 8, {2: 0.12, 3: 0.12})
    until(bench, 14, 10)
    assert run_s(bench) * 2000.0 / HOUR >= 3900.0


def test_hours_outside_its_window_are_no_offer():
    """The cheapest hours lie outside: it takes the cheapest inside, and the last moment would do without any window."""
    window = Window(Clock(time(14)), AT_SIX)
    load = needing(Need(AT_SIX, energy_wh=2000.0), windows=(window,))
    bench = expects(Bench(Site((load,))), [0.0] * 8, {1: 0.05, 5: 0.20})
    until(bench, 18)
    assert began(bench)[0] >= NOON.replace(hour=14, minute=55)
    assert bench.told[-1][0] <= 6 * HOUR + 300.0


def test_what_was_promised_and_did_not_come_is_bought_at_the_last_moment():
    bench = expects(Bench(Site((needing(Need(AT_TWO, runtime_s=1800.0)),))), [0.0, 0.0, 2500.0, 2500.0])
    until(bench, 14)
    assert 1800.0 <= run_s(bench) <= 1930.0
    assert bench.state.standings[0].needs_missed == 0
    assert began(bench)[0] >= NOON.replace(hour=13, minute=25)


@pytest.mark.parametrize(
    ("need_wh", "sun_w", "starts"), [(2000.0, 700.0, False), (2000.0, 1300.0, True), (13000.0, 700.0, True)]
)
def test_who_has_the_time_waits_for_the_bursts_of_a_broken_sky(need_wh, sun_w, starts):
    """Means of a quarter of an hour show none: by them 400 W are all that ever comes."""
    bench = expects(Bench(Site((needing(Need(AT_SIX, energy_wh=need_wh)),))), [400.0] * 8)
    outlook, noon = bench.outlook, NOON.replace(hour=12).timestamp()
    assert callable(outlook)
    light = {NOON.toordinal(): Daylight(noon - 8 * HOUR, noon + 8 * HOUR)}
    bench.outlook = lambda wall: replace(outlook(wall), daylight=light)
    bench.free(sun_w, 600)
    assert (bench.phase("boiler") is ON) is starts


def test_a_car_takes_partial_sun_for_its_need():
    """What is above its least is sun, its least is bought as far as the sun does not do."""
    car = needing(Need(AT_TWO, energy_wh=4000.0), load=WALLBOX)
    bench = expects(Bench(Site((car,))), [1200.0] * 4)
    until(bench, 14, free_w=1200.0)
    assert bench.state.standings[0].needs_missed == 0
    assert began(bench, "wallbox")[0] <= NOON.replace(hour=11, minute=15)
