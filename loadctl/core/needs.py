"""Needs: what a load must get by a moment, whatever the weather.

A need's period runs from its previous deadline to this one. It forces the load on at the last moment that still
suffices, and then until it is met or its time is over; `plan` sees to it that it rarely comes to that. Differences are
taken between instants, never between clock faces, so that a night with 23 or 25 hours is as long as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from loadctl.core.appliance import draws_nothing, full_w, own_w, tallied
from loadctl.core.calendar import DAY_S, in_season, instant, zone_of
from loadctl.core.rules import Load, Need
from loadctl.core.values import ON, Boost, Input, Mark, Plan, Standing, Tick
from loadctl.each_tick import replace

MARGIN_S = 60.0  # a relay, a reading and a tick take their time
MARGIN_SHARE = 0.02  # a 2 kW heater is rarely one of 2 000 W
NEVER = 4e9  # a deadline (POSIX) that no house lives to see
MISSED_S = 60.0  # a need with so little left to do was met
YEAR_DAYS = 373  # a year and the longest wait for a day of the week
LONGEST_PERIOD_DAYS = 8  # a deadline further ahead than a week was set by a clock that was wrong


def next_due(need: Need, tick: Tick, after_day: int | None = None) -> float:
    """Return the next deadline (POSIX) ahead; `after_day`: the day of the last one, or on which it was last met."""
    zone, now, today = zone_of(tick.wall), tick.wall.timestamp(), tick.wall.toordinal()
    if need.every_days > 1:
        today = max(today, (today if after_day is None else after_day) + need.every_days)
    if need.always:
        return NEVER
    for day in range(today, today + (LONGEST_PERIOD_DAYS if need.season is None else YEAR_DAYS) + 1):
        due = instant(need.by, day, zone, tick.outlook.daylight)
        if (day - 1) % 7 in need.days and due > now and (need.season is None or in_season(need.season, day)):
            return due
    raise AssertionError("a need has at least one day")  # check refuses an empty list of days


def marked(
    load: Load, standing: Standing, boosts: tuple[Boost, ...], plan: Plan, tick: Tick, *, away: bool
) -> Standing:
    """Begin a new period for each need whose deadline has passed, see which are met, force what has come to its last
    moment.

    Periods only go forward: a clock that is put back a little over a deadline asks for nothing twice. A period in which
    nobody was at home is not missed. Returns the same standing while nothing changes.
    """
    at, now = tick.at, tick.wall.timestamp()
    known = {(mark.need, mark.due if mark.boost else None): mark for mark in standing.marks}
    marks, missed = [], 0
    for need in load.needs:
        mark = known.get((need, None)) or Mark(need, next_due(need, tick), tallied(load, standing, at))
        if now >= mark.due or _too_far(need, mark.due - now):
            missed += not away and _missed(load, standing, mark, tick)
            last_day = datetime.fromtimestamp(min(now, mark.due), tick.wall.tzinfo).toordinal()
            mark = Mark(need, next_due(need, tick, last_day), tallied(load, standing, at))
        marks.append(mark)
    for boost in boosts:
        due = _boost_due(boost, tick)
        mark = known.get((boost.need, due)) or Mark(boost.need, due, tallied(load, standing, at), boost=True)
        if due > now:
            marks.append(mark)
    marks = [_watched(load, standing, mark, plan, tick, away=away) for mark in marks]
    if not missed and _same(marks, standing.marks):
        return standing
    return replace(standing, marks=tuple(marks), needs_missed=standing.needs_missed + missed)


def _too_far(need: Need, ahead_s: float) -> bool:
    """Tell a deadline that was set by a clock that was wrong."""
    longest_days = 1 + need.every_days + (LONGEST_PERIOD_DAYS if need.season is None else YEAR_DAYS)
    return not need.always and ahead_s > longest_days * DAY_S


def left_s(
    load: Load, standing: Standing, mark: Mark, at: float, inputs: Mapping[str, Input], plan: Plan | None = None
) -> float:
    """Return for how long the load must still run at full power in this period; 0 when the need is met."""
    need = mark.need
    if mark.met is not None:
        return 0.0
    if need.runtime_s is not None:
        had_s = tallied(load, standing, at).runtime_s - mark.tally.runtime_s
        return max(0.0, need.runtime_s - had_s)
    left_wh = _left_wh(load, standing, mark, at, inputs)
    if left_wh is None:
        return need.takes_s
    draws_w = full_w(load, standing)
    return left_wh * 3600 / (draws_w if plan is None or plan.full_w is None else min(draws_w, plan.full_w))


def counts(mark: Mark, *, away: bool) -> bool:
    """Tell whether a need counts now. Away from home only what was asked for once, or always, does."""
    return mark.boost or mark.need.always or not away


def wants_s(load: Load, standing: Standing, tick: Tick, *, away: bool) -> float:
    """Return for how long the load must still run for the needs of it that count now; 0 when they are met."""
    counting = (mark for mark in standing.marks if counts(mark, away=away))
    return max((left_s(load, standing, mark, tick.at, tick.inputs) for mark in counting), default=0.0)


def ends_soon(load: Load, standing: Standing, tick: Tick, *, away: bool) -> bool:
    """Tell whether all that a load needs will be done in less than its minimum time on, if it runs on.

    Only where that can be counted: a car draws less than it could, nobody knows when a tank is full.
    """
    if load.follow is not None or done(load, standing):
        return False
    if any(mark.need.energy_wh is None and mark.need.runtime_s is None for mark in standing.marks):
        return False
    return 0 < wants_s(load, standing, tick, away=away) < load.min_on_s


def pressing(load: Load, standing: Standing, tick: Tick, *, away: bool) -> Mark | None:
    """Return the period of a need that forces the load on now."""
    for mark in standing.marks:
        if mark.forced and counts(mark, away=away) and left_s(load, standing, mark, tick.at, tick.inputs) > 0:
            return mark
    return None


def _left_wh(load: Load, standing: Standing, mark: Mark, at: float, inputs: Mapping[str, Input]) -> float | None:
    """Return the energy still to come; None: nobody knows how much, only that it is not done."""
    need = mark.need
    if need.level is not None:
        value = level(need, inputs, at)
        target = need.level.target + (need.level.band if need.always and mark.forced else 0.0)
        if value is None:
            return 0.0 if need.always else None  # no need runs blind for ever
        if value >= target:
            return 0.0
        return None if need.level.wh_per_unit is None else (target - value) * need.level.wh_per_unit
    if standing.need_left_wh is not None and not mark.boost:
        return standing.need_left_wh
    if need.full:
        return None
    had_wh = tallied(load, standing, at).energy_wh - mark.tally.energy_wh
    return max(0.0, (need.energy_wh or 0.0) - had_wh)


def level(need: Need, inputs: Mapping[str, Input], at: float) -> float | None:
    """Return the value that the need is about, None while it is not known."""
    known = inputs.get(need.level.input) if need.level is not None else None
    return known.value if known is not None and at - known.read_at <= known.max_age_s else None


def _watched(load: Load, standing: Standing, mark: Mark, plan: Plan, tick: Tick, *, away: bool) -> Mark:
    """Return the mark with what was seen of it now: met, or at its last moment."""
    need = mark.need
    if need.always:
        missing = left_s(load, standing, mark, tick.at, tick.inputs) > 0
        return mark if missing == mark.forced else replace(mark, forced=missing)
    if need.full and mark.met is None and done(load, standing):
        mark = replace(mark, met=tick.wall.timestamp())
    if need.every_days > 1 and left_s(load, standing, mark, tick.at, tick.inputs) <= 0:
        # The days count from when it was met; what it has then is not counted again.
        anew = Mark(need, next_due(need, tick, tick.wall.toordinal()), tallied(load, standing, tick.at))
        stays_met = done(load, standing) if need.full else left_s(load, standing, anew, tick.at, tick.inputs) <= 0
        return mark if stays_met and anew.due == mark.due else anew
    if not mark.forced and counts(mark, away=away) and _at_last(load, standing, mark, plan, tick):
        mark = replace(mark, forced=True)
    return mark


def done(load: Load, standing: Standing) -> bool:
    """Tell whether the appliance itself has had enough: it says so, or it is on and takes nothing."""
    if standing.satisfied is not None:
        return standing.satisfied
    idle = standing.phase is ON and standing.settled_at is None
    return idle and draws_nothing(load, own_w(load, standing))


def _at_last(load: Load, standing: Standing, mark: Mark, plan: Plan, tick: Tick) -> bool:
    still_s = left_s(load, standing, mark, tick.at, tick.inputs, plan)
    if still_s <= 0:
        return False
    now = tick.wall.timestamp()
    if any(due == mark.due and now >= start for due, start in plan.starts):
        return True
    return mark.due - now <= still_s + margin_s(load, standing, still_s)


def margin_s(load: Load, standing: Standing, still_s: float) -> float:
    """Return how much sooner than at the very last moment a load is forced on.

    What runs must not be stopped when the rest that follows would make it too late to start again.
    """
    return MARGIN_S + still_s * MARGIN_SHARE + (load.min_off_s if standing.phase is ON else 0.0)


def _missed(load: Load, standing: Standing, mark: Mark, tick: Tick) -> bool:
    """Tell whether the period ends with something left to do. A load that is on and takes nothing has had enough."""
    if done(load, standing):
        return False
    return left_s(load, standing, mark, tick.at, tick.inputs) > MISSED_S


def _boost_due(boost: Boost, tick: Tick) -> float:
    return instant(boost.need.by, boost.day, zone_of(tick.wall), tick.outlook.daylight)


def _same(marks: list[Mark], others: tuple[Mark, ...]) -> bool:
    return len(marks) == len(others) and all(new is old for new, old in zip(marks, others, strict=True))
