"""Whatever was saved, however long loadctl was away and whatever the clocks show: time away is never over-credited."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadctl.core.appliance import rested
from loadctl.core.rules import Clock, Level, Load, Need, Site
from loadctl.core.step import start
from loadctl.core.values import (
    FAULT,
    OFF,
    ON,
    STARTING,
    Holder,
    Mark,
    Phase,
    Report,
    Source,
    Standing,
    State,
    Tally,
    Wish,
)
from loadctl.service.ledger import trapezoids
from loadctl.service.resume import (
    FLUSH_S,
    MOMENTS,
    PAST,
    Moment,
    Saved,
    SavedLoad,
    as_ages,
    from_ages,
    restore,
    restore_wishes,
    time_away,
)

THEN = datetime(2025, 6, 18, 10, 0, tzinfo=UTC)
AT = 100_000.0

ages = st.floats(0, 90_000, allow_nan=False)
needs = st.sampled_from(
    (
        Need(Clock(time(18)), energy_wh=6000.0),
        Need(Clock(sun="sunset", offset_s=-1800.0), full=True, every_days=7, days=frozenset({5, 6})),
        Need(Clock(time(7)), level=Level("tank", 55.0, 350.0)),
    )
)
dues = st.floats(0, 4e9)
tallies = st.builds(Tally, st.integers(0, 50), st.floats(0, 1e6), st.floats(0, 1e6))


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Any standing that a run may have ended with at AT."""

    def past() -> float:
        return AT - draw(ages)

    return Standing(
        phase=draw(st.sampled_from(Phase)),
        since=past(),
        was_on=draw(st.sampled_from((True, False, None))),
        switched_at=draw(st.none() | ages.map(lambda age: AT - age)),
        held_s=draw(st.floats(0, 600)),
        held_at=draw(st.none() | ages.map(lambda age: AT - age)),
        wants_on=draw(st.booleans()),
        command_id=draw(st.none() | st.integers(1, 99)),
        asked_at=past(),
        settled_at=draw(st.none() | st.floats(-60, 60).map(lambda age: AT - age)),
        leaving_w=draw(st.floats(0, 3000)),
        measured_w=draw(st.none() | st.floats(0, 3000)),
        learned_w=draw(st.none() | st.floats(0, 3000)),
        target_w=draw(st.none() | st.floats(1380, 11040)),
        phases=draw(st.sampled_from((None, 1, 3))),
        using=draw(st.sampled_from((None, 1, 2, 3))),
        shown_at=draw(st.none() | st.floats(-60, 60).map(lambda age: AT - age)),
        change_w=draw(st.floats(-5000, 5000)),
        phases_at=draw(st.none() | ages.map(lambda age: AT - age)),
        phases_held_s=draw(st.floats(0, 600)),
        phase_changes=draw(st.integers(0, 12)),
        need_left_wh=draw(st.none() | st.floats(0, 1e5)),
        truths=tuple(draw(st.lists(st.sampled_from((True, False, None)), max_size=3))),
        claims=draw(st.booleans()),
        discharges=draw(st.booleans()),
        holder=draw(st.sampled_from(Holder)),
        hand_until=draw(st.none() | st.floats(0, 7200).map(lambda left: AT + left)),
        retry_at=draw(st.none() | st.floats(-60, 60).map(lambda age: AT - age)),
        detail=draw(st.text(max_size=5)),
        satisfied=draw(st.sampled_from((True, False, None))),
        tally=draw(tallies),
        tallied_at=AT,
        today=draw(tallies),
        marks=tuple(Mark(need, due, tally) for need, due, tally in draw(st.lists(st.tuples(needs, dues, tallies)))),
    )


loads = st.builds(
    Load,
    name=st.just("boiler"),
    power_w=st.just(2000.0),
    start_w=st.just(1500.0),
    start_for_s=st.just(60.0),
    stop_import_w=st.just(800.0),
    stop_for_s=st.just(60.0),
    min_off_s=st.floats(0, 7200),
    lease_s=st.none() | st.floats(30, 600),
)


@dataclass(frozen=True, slots=True)
class Restart:
    """How a restart went: how long it really took (`away_s`), and what the clocks make of it."""

    away_s: float
    then: Moment
    now: dict[str, Any]


@st.composite
def restarts(draw: st.DrawFn) -> Restart:
    """A clock that is trusted is right; one that is not shows anything."""
    away_s = draw(st.floats(0, 400_000))
    same_boot = draw(st.booleans())
    trusted_then, trusted_now = draw(st.booleans()), draw(st.booleans())
    wall_then = THEN if trusted_then else THEN + timedelta(days=draw(st.integers(-20_000, 20_000)))
    wall_now = THEN + timedelta(seconds=away_s)
    if not trusted_now:
        wall_now = THEN + timedelta(days=draw(st.integers(-20_000, 20_000)))
    now = {
        "now_at": AT + away_s if same_boot else draw(st.floats(0, 1_000_000)),
        "now_wall": wall_now,
        "boot_id": "boot-1" if same_boot else draw(st.sampled_from(("boot-2", ""))),
        "clock_trusted": trusted_now,
    }
    return Restart(away_s, Moment(AT, wall_then.timestamp(), wall_then.toordinal(), "boot-1", trusted_then), now)


def resumed(
    load: Load, standing: Standing, restart: Restart, report: Report | None = None, state: State | None = None
) -> tuple[Standing, State]:
    then, now = restart.then, restart.now
    saved = Saved(then, state or State((), day=then.day), {"boiler": SavedLoad("boiler", "id", then, standing)})
    site = Site((load,))
    fresh = start(site, now["now_at"], now["now_wall"].toordinal())
    back = restore(saved, site, fresh, **now, reports={"boiler": report} if report else None)
    return back.standings[0], back


reports = st.none() | st.builds(
    Report,
    load=st.just("boiler"),
    read_at=st.just(0.0),
    on=st.sampled_from((True, False, None)),
    source=st.sampled_from(Source),
    identity=st.sampled_from((None, "id", "other")),
)


@given(standings())
def test_what_is_written_as_ages_comes_back(standing):
    back = from_ages(json.loads(json.dumps(as_ages(standing, AT))), AT)
    for name in MOMENTS:
        was = getattr(standing, name)
        assert getattr(back, name) == (None if was is None else pytest.approx(was))
    same: dict[str, Any] = dict.fromkeys(MOMENTS, 0.0)
    assert replace(back, **same) == replace(standing, **same)


@given(restarts())
def test_no_second_is_credited_that_did_not_pass(restart):
    gone = time_away(restart.then, **restart.now)
    assert 0.0 <= gone.seconds <= restart.away_s + 1e-3
    if gone.certain:
        assert gone.seconds == pytest.approx(restart.away_s, abs=1e-3)
    else:
        assert gone.seconds == 0.0


@given(loads, standings(), restarts(), reports)
def test_no_age_is_negative_and_none_grows_more_than_the_time_away(load, standing, restart, report):
    now_at = restart.now["now_at"]
    back, _ = resumed(load, standing, restart, report)
    for name in PAST:
        moment = getattr(back, name)
        if moment is None:
            continue
        assert now_at - moment >= 0.0
    if back.phase is standing.phase and back.phase is not FAULT:
        for name in ("since", "switched_at", "asked_at"):
            if getattr(standing, name) is not None and getattr(back, name) is not None:
                age = AT - getattr(standing, name)
                assert now_at - getattr(back, name) <= age + restart.away_s + 1e-3


@given(loads, standings(), restarts(), reports, st.floats(0, FLUSH_S))
def test_a_minimum_time_off_is_never_shortened(load, standing, restart, report, late_s):
    """However the load got off, it may be started no earlier than `min_off` after it was last on for sure.

    It ran when it was saved. The truth that rests longest: it went on for `late_s` after the flush and then for its
    whole lease, as far as there was time for that.
    """
    assume(standing.phase in {ON, Phase.STARTING, Phase.STOPPING})
    back, _ = resumed(load, standing, restart, report)
    if back.phase is not OFF:
        return
    off_for_s = max(0.0, restart.away_s - late_s - (load.lease_s or restart.away_s))
    assert back.switched_at is not None
    assert restart.now["now_at"] - back.switched_at <= off_for_s + 1e-3


@given(loads, standings(), restarts(), st.floats(0, 100_000))
def test_a_load_that_was_off_rests_at_least_as_long_as_without_the_restart(load, standing, restart, off_s):
    off = replace(standing, phase=OFF, since=AT - off_s, switched_at=AT - off_s)
    back, _ = resumed(load, off, restart)
    if rested(load, back, restart.now["now_at"]):
        assert off_s + restart.away_s >= load.min_off_s - 1e-3


def counted(standing: Standing) -> Tally:
    """A start that may have happened counts."""
    more = 1 if standing.phase is STARTING else 0
    return replace(standing.tally, starts=standing.tally.starts + more)


@given(loads, standings(), restarts(), reports)
def test_hold_times_begin_again_and_gaps_are_not_counted(load, standing, restart, report):
    back, _ = resumed(load, standing, restart, report)
    assert (back.held_s, back.held_at, back.measured_w, back.command_id) == (0.0, None, None, None)
    assert back.tally == counted(standing)
    assert back.tallied_at == restart.now["now_at"]
    assert back.marks == standing.marks


@given(loads, standings(), restarts())
def test_the_days_tallies_go_only_with_a_day_that_surely_came(load, standing, restart):
    now, then = restart.now, restart.then
    back, state = resumed(load, standing, restart)
    gone = time_away(then, **now)
    later = now["now_wall"].toordinal() > then.day
    assert back.today == (counted(standing) if gone.certain and later else standing.today)
    assert state.day == max(then.day, now["now_wall"].toordinal())


@given(loads, standings(), restarts())
def test_restoring_twice_credits_nothing_twice(load, standing, restart):
    """A restart in which nothing more happens, at the same moment, changes nothing."""
    now = restart.now
    once, state = resumed(load, standing, restart)
    wall = now["now_wall"]
    then = Moment(now["now_at"], wall.timestamp(), wall.toordinal(), "boot-9", trusted=False)
    again = Restart(0.0, then, now | {"boot_id": "boot-9"})
    twice, _ = resumed(load, once, again, state=replace(state, standings=()))
    assert twice.phase is once.phase
    for name in ("switched_at", "since"):
        if once.phase is not FAULT and getattr(once, name) is not None:
            assert getattr(twice, name) == pytest.approx(getattr(once, name), abs=1e-3)


@given(loads, standings(), restarts(), st.sampled_from((True, False)))
def test_what_was_seen_stands_above_what_was_remembered(load, standing, restart, on):
    assume(standing.phase not in {OFF, FAULT})
    back, _ = resumed(load, standing, restart, Report("boiler", 0.0, on=on))
    assert back.phase is (ON if on else OFF)
    assert back.was_on is on


@given(loads, standings(), restarts(), reports)
def test_nobody_is_taken_for_a_hand_who_may_have_been_a_lease_or_a_reboot(load, standing, restart, report):
    """The core takes a change for a hand where it had seen the other state: so that is only claimed when it was."""
    back, _ = resumed(load, standing, restart, report)
    if back.phase is OFF and standing.phase is not FAULT and back.was_on is False:
        assert report is not None
        assert report.on is False or report.source is Source.HAND
    if back.phase is ON:
        assert report is not None
        assert report.on is True


@given(restarts(), st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 90_000))))
def test_an_override_is_kept_for_at_least_what_was_left_of_it(restart, wanted):
    then, now = restart.then, restart.now
    wishes = tuple(Wish(f"load {n}", on, None if left is None else AT + left) for n, (on, left) in enumerate(wanted))
    back = restore_wishes(Saved(then, State(()), {}, wishes), **now)
    kept = {wish.load: wish for wish in back if isinstance(wish, Wish)}
    for wish in wishes:
        if wish.until is None:
            assert kept[wish.load] == wish
        elif wish.until - AT > restart.away_s + 1e-3:
            until = kept[wish.load].until
            assert until is not None
            assert until - now["now_at"] >= wish.until - AT - restart.away_s - 1e-3


powers = st.floats(-20_000, 20_000)


@given(powers, powers, st.floats(0.1, 60))
def test_import_less_export_is_what_flowed(one_w, other_w, seconds):
    above, below = trapezoids(one_w, other_w, seconds)
    assert above >= 0.0
    assert below >= 0.0
    assert above - below == pytest.approx((one_w + other_w) / 2 * seconds, abs=1e-6 * seconds * 20_000)
