"""Rows of restarts: what was saved, how long it took, what the clocks and the devices say, what is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadctl.calm import step
from loadctl.core.rules import Site
from loadctl.core.step import start
from loadctl.core.values import (
    FAULT,
    OFF,
    ON,
    STARTING,
    STOPPING,
    Holder,
    Report,
    Sample,
    Source,
    Standing,
    State,
    Tally,
    Tick,
    Verdict,
    Wish,
)
from loadctl.service.resume import Moment, Saved, SavedLoad, restore, restore_wishes, time_away
from tests.unit.memory_days import BOILER, SITE, ZONE, Day

WALL = datetime(2025, 6, 18, 12, 0, tzinfo=ZONE)
DAY = WALL.toordinal()
THEN = Moment(5000.0, WALL.timestamp(), DAY, "boot-1", trusted=True)
ALONE = Site((BOILER,))  # rests 300 s, leases 300 s


def now(seconds: float, **other) -> dict[str, Any]:
    """The same boot, `seconds` later by every clock, unless told otherwise."""
    return {
        "now_at": 5000.0 + seconds,
        "now_wall": WALL + timedelta(seconds=seconds),
        "boot_id": "boot-1",
        "clock_trusted": True,
    } | other


def rebooted(seconds: float, **other) -> dict[str, Any]:
    return now(seconds, now_at=40.0, boot_id="boot-2", **other)


def back(standing: Standing, when: dict[str, Any], report: Report | None = None, load=BOILER) -> Standing:
    saved = Saved(THEN, State((), day=DAY), {"boiler": SavedLoad("boiler", "relay", THEN, standing)})
    site = Site((load,))
    fresh = start(site, when["now_at"], when["now_wall"].toordinal())
    return restore(saved, site, fresh, **when, reports={"boiler": report} if report else {}).standings[0]


def seen(on: bool | None, source: Source = Source.UNKNOWN) -> Report:
    return Report("boiler", 0.0, on=on, source=source)


@pytest.mark.parametrize(
    ("when", "seconds", "certain"),
    [
        (now(60.0), 60.0, True),
        (now(60.0, now_wall=WALL - timedelta(days=9), clock_trusted=False), 60.0, True),  # monotonic does not care
        (now(-60.0), 0.0, False),  # the same boot id, but not the same clock: a container that was moved
        (rebooted(60.0), 60.0, True),
        (rebooted(86_400.0), 86_400.0, True),
        (rebooted(60.0, clock_trusted=False), 0.0, False),
        (rebooted(60.0, now_wall=datetime(1970, 1, 1, tzinfo=UTC)), 0.0, False),
        (rebooted(-1.0), 0.0, False),
        (rebooted(60.0, now_wall=datetime(2045, 1, 1, tzinfo=UTC), clock_trusted=False), 0.0, False),
    ],
)
def test_time_away(when, seconds, certain):
    gone = time_away(THEN, **when)
    assert gone.seconds == pytest.approx(seconds)
    assert gone.certain is certain


def test_a_clock_that_was_wrong_when_it_was_written_down_proves_nothing():
    doubtful = replace(THEN, trusted=False)
    assert not time_away(doubtful, **rebooted(3600.0)).certain
    never_set = replace(THEN, wall=10.0)
    assert not time_away(never_set, **rebooted(3600.0)).certain


def test_where_the_boot_has_no_name_it_is_taken_for_another():
    nameless = replace(THEN, boot_id="", trusted=False)
    assert not time_away(nameless, **now(60.0, boot_id="")).certain


OFF_FOR_100_S = Standing(phase=OFF, since=4900.0, switched_at=4900.0, was_on=False)
ON_FOR_100_S = Standing(phase=ON, since=4900.0, switched_at=4900.0, was_on=True, wants_on=True)


@pytest.mark.parametrize(
    ("standing", "when", "report", "phase", "age_s", "was_on"),
    [
        # it was off: its rest goes on, by as much as surely passed
        (OFF_FOR_100_S, now(5.0), None, OFF, 105.0, None),
        (OFF_FOR_100_S, now(5.0), seen(False), OFF, 105.0, False),
        (OFF_FOR_100_S, rebooted(600.0), seen(False), OFF, 700.0, False),
        (OFF_FOR_100_S, rebooted(600.0, clock_trusted=False), seen(False), OFF, 100.0, False),
        (OFF_FOR_100_S, rebooted(-9e8), None, OFF, 100.0, None),
        # it ran and still does
        (ON_FOR_100_S, now(5.0), seen(True), ON, 105.0, True),
        (ON_FOR_100_S, rebooted(600.0, clock_trusted=False), seen(True), ON, 100.0, True),
        # it ran and is off: since 10 s (the flush) and its lease of 300 s ago, at best
        (ON_FOR_100_S, now(5.0), seen(False), OFF, 0.0, False),
        (ON_FOR_100_S, now(310.0), seen(False), OFF, 0.0, False),
        (ON_FOR_100_S, now(1000.0), seen(False), OFF, 690.0, False),
        (ON_FOR_100_S, rebooted(1000.0, clock_trusted=False), seen(False), OFF, 0.0, False),
        # it ran and cannot be seen
        (ON_FOR_100_S, now(149.0), None, FAULT, 249.0, True),
        (ON_FOR_100_S, now(150.0), None, OFF, 0.0, None),
        (ON_FOR_100_S, now(1000.0), None, OFF, 690.0, None),
        (ON_FOR_100_S, rebooted(60.0, clock_trusted=False), None, OFF, 0.0, None),
        (ON_FOR_100_S, now(5.0), seen(None), FAULT, 105.0, True),
        # it was told to go on or off, and the answer never came
        (replace(OFF_FOR_100_S, phase=STARTING, wants_on=True), now(5.0), seen(True), ON, 0.0, True),
        (replace(OFF_FOR_100_S, phase=STARTING, wants_on=True), now(5.0), seen(False), OFF, 0.0, False),
        (replace(ON_FOR_100_S, phase=STOPPING, wants_on=False), now(5.0), seen(True), ON, 105.0, True),
        (replace(ON_FOR_100_S, phase=STOPPING, wants_on=False), now(5.0), seen(False), OFF, 0.0, False),
    ],
)
def test_a_restart(standing, when, report, phase, age_s, was_on):
    found = back(standing, when, report)
    assert found.phase is phase
    assert found.was_on is was_on
    assert when["now_at"] - found.switched_at == pytest.approx(age_s)


def test_without_a_lease_it_may_run_for_ever():
    bare = replace(BOILER, lease_s=None)
    assert back(ON_FOR_100_S, rebooted(90_000.0), load=bare).phase is FAULT
    found = back(ON_FOR_100_S, now(90_000.0), seen(False), load=bare)
    assert (found.phase, found.switched_at) == (OFF, 95_000.0)


def test_a_run_out_of_sight_goes_on_when_it_is_seen_again():
    when = now(60.0)
    found = back(ON_FOR_100_S, when)
    state = State((found,), day=DAY)
    sample = Sample(when["now_at"], grid_w=0.0)
    tick = Tick(when["now_at"], when["now_wall"], sample, (replace(seen(True), read_at=when["now_at"]),))
    outcome = step(ALONE, state, tick)
    assert outcome.state.standings[0].phase is ON
    assert outcome.state.standings[0].switched_at == 4900.0
    assert outcome.state.standings[0].holder is Holder.RULE
    assert outcome.verdicts[0] is not Verdict.HAND


def test_a_hand_that_the_device_tells_of_is_one():
    assert back(OFF_FOR_100_S, now(5.0), seen(True, Source.HAND)).was_on is False
    assert back(OFF_FOR_100_S, now(5.0), seen(True, Source.UNKNOWN)).was_on is None


def test_a_hand_holds_on_for_what_is_left():
    held = replace(OFF_FOR_100_S, holder=Holder.HAND, hand_until=5000.0 + 3600.0)
    assert back(held, now(600.0)).hand_until == 8600.0
    assert back(held, rebooted(600.0)).hand_until == 40.0 + 3000.0


def test_overrides_too():
    saved = Saved(
        THEN, State(()), {}, (Wish("a", on=True, until=5060.0), Wish("b", on=False), Wish("c", on=True, until=5061.0))
    )
    assert restore_wishes(saved, **rebooted(60.5)) == (Wish("b", on=False), Wish("c", on=True, until=40.5))


TALLIED = replace(OFF_FOR_100_S, tally=Tally(9, 900.0, 500.0), today=Tally(4, 400.0, 250.0))


@pytest.mark.parametrize(
    ("when", "starts_today"),
    [
        (now(60.0), 5),
        (rebooted(60.0), 5),
        (rebooted(43_200.0), 0),  # midnight has passed
        (rebooted(43_200.0, clock_trusted=False), 5),
        (rebooted(60.0, now_wall=datetime(1970, 1, 1, tzinfo=ZONE), clock_trusted=False), 5),
        (now(43_200.0), 0),
        (rebooted(60.0, now_wall=datetime(2045, 1, 1, tzinfo=ZONE), clock_trusted=False), 5),
    ],
)
def test_todays_starts(when, starts_today):
    found = back(TALLIED, when)
    assert found.tally == TALLIED.tally
    assert found.tally.starts - found.today.starts == starts_today


def test_a_clock_that_comes_right_later_gives_no_starts_back():
    """Booted in 1970; the first ticks say so too, then NTP brings today."""
    when = rebooted(60.0, now_wall=datetime(1970, 1, 1, tzinfo=ZONE), clock_trusted=False)
    saved = Saved(THEN, State((), day=DAY), {"boiler": SavedLoad("boiler", "relay", THEN, TALLIED)})
    state = restore(saved, ALONE, start(ALONE, 40.0, when["now_wall"].toordinal()), **when)
    assert state.day == DAY
    for at, wall in ((41.0, when["now_wall"]), (42.0, WALL + timedelta(minutes=2))):
        state = step(ALONE, state, Tick(at, wall, Sample(at, grid_w=0.0))).state
        standing = state.standings[0]
        assert standing.tally.starts - standing.today.starts == 5


def test_a_load_is_found_by_its_device_after_a_change_of_name():
    saved = Saved(THEN, State((), day=DAY), {"old name": SavedLoad("old name", "relay", THEN, OFF_FOR_100_S)})
    fresh = start(ALONE, 5005.0, DAY)
    known = restore(saved, ALONE, fresh, **now(5.0), reports={"boiler": replace(seen(False), identity="relay")})
    assert known.standings[0].switched_at == 4900.0
    strange = restore(saved, ALONE, fresh, **now(5.0), reports={"boiler": replace(seen(False), identity="other")})
    assert strange.standings == fresh.standings
    assert restore(saved, ALONE, fresh, **now(5.0)).standings == fresh.standings


def test_a_name_that_is_still_in_use_is_not_taken_over():
    saved = Saved(THEN, State((), day=DAY), {"pump": SavedLoad("pump", "relay", THEN, OFF_FOR_100_S)})
    fresh = start(SITE, 5005.0, DAY)
    state = restore(saved, SITE, fresh, **now(5.0), reports={"boiler": replace(seen(False), identity="relay")})
    assert state.standings[0] == fresh.standings[0]
    assert state.standings[1].switched_at == 4900.0


def test_an_outage_goes_on_and_must_prove_steady_anew():
    saved = Saved(THEN, State((), next_id=77, outage_since=4000.0, steady_since=4990.0, day=DAY), {})
    state = restore(saved, ALONE, start(ALONE, 40.0, DAY), **rebooted(60.0))
    assert state.outage_since == pytest.approx(40.0 - 1060.0)
    assert (state.steady_since, state.next_id) == (40.0, 77)


def test_a_day_cut_and_resumed_starts_no_load_too_early():
    """Through the core: stopped, restarted by a machine that lost its clock, full sun. It still rests to the end."""
    day = Day(ALONE)
    for _ in range(30):
        day.tick(3000.0)
    for _ in range(30):
        day.tick()
    assert day.state.standings[0].phase is OFF
    off_at = day.state.standings[0].switched_at
    assert off_at is not None
    rested_s = day.clock.at - off_at
    then = Moment(day.clock.at, day.clock.wall().timestamp(), day.state.day, "boot-1", trusted=True)
    saved = Saved(then, day.state, {"boiler": SavedLoad("boiler", None, then, day.state.standings[0])})
    day.clock.at = 12.0
    fresh = start(ALONE, 12.0, day.clock.wall().toordinal())
    day.state = restore(
        saved, ALONE, fresh, now_at=12.0, now_wall=day.clock.wall(), boot_id="boot-2", clock_trusted=False
    )
    day.look()
    begun_at = 12.0
    for _ in range(600):
        day.tick(3000.0)
        if day.state.standings[0].phase is STARTING:
            begun_at = day.clock.at
            break
    assert BOILER.min_off_s - rested_s <= begun_at - 12.0 <= BOILER.min_off_s
