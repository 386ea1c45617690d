"""Hours and needs: what the site's local time asks of a load.

A need's period runs from its previous deadline to this one. It forces the load on at the last moment that still
suffices, and then until it is met or its time is over. Differences are taken between instants, never between clock
faces, so that a night with 23 or 25 hours is as long as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from loadctl.core.surplus import draws_nothing, own_w, tallied
from loadctl.core.values import ON, Load, Mark, Need, Standing, Tally, Window

MARGIN_S = 60.0  # a relay, a reading and a tick take their time
MARGIN_SHARE = 0.02  # a 2 kW heater is rarely one of 2 000 W
MISSED_S = 60.0  # a need with so little left to do was met
LONGEST_PERIOD_DAYS = 8  # a deadline further ahead than a week was set by a clock that was wrong


def is_open(windows: Sequence[Window], wall: datetime) -> bool:
    """Tell whether the load may run on its rules now; no window at all means always."""
    if not windows:
        return True
    clock, today = wall.time(), wall.weekday()
    for window in windows:
        if window.start <= window.end:
            if today in window.days and window.start <= clock < window.end:
                return True
        elif (today in window.days and clock >= window.start) or (
            (today - 1) % 7 in window.days and clock < window.end
        ):
            return True
    return False


def deadline_day(need: Need, wall: datetime) -> int:
    """Return the ordinal of the day on which the need's present period ends."""
    for ahead in range(8):
        day = wall.date() + timedelta(days=ahead)
        if day.weekday() in need.days and _end(need, day.toordinal(), wall).timestamp() > wall.timestamp():
            return day.toordinal()
    raise AssertionError("a need has at least one day")  # check refuses an empty list of days


def deadline(need: Need, mark: Mark, wall: datetime) -> datetime:
    """Return the end of the period that `mark` began."""
    return _end(need, mark.deadline_day, wall)


def _end(need: Need, day: int, wall: datetime) -> datetime:
    return datetime.combine(date.fromordinal(day), need.by, tzinfo=wall.tzinfo)


def marked(load: Load, standing: Standing, wall: datetime, at: float) -> Standing:
    """Begin a new period for each need whose deadline has passed, and force the load on for one whose last moment came.

    Periods only go forward: a clock that is put back a little over a deadline asks for nothing twice. Returns the same
    standing while nothing changes.
    """
    if len(standing.marks) != len(load.needs):
        begun = tallied(load, standing, at)
        fresh = tuple(Mark(deadline_day(need, wall), begun) for need in load.needs)
        return marked(load, replace(standing, marks=fresh), wall, at)
    marks, missed = [], 0
    for need, mark in zip(load.needs, standing.marks, strict=True):
        day = deadline_day(need, wall)
        if day > mark.deadline_day or mark.deadline_day > wall.toordinal() + LONGEST_PERIOD_DAYS:
            missed += _missed(load, standing, need, mark, at)
            mark = Mark(day, tallied(load, standing, at))  # noqa: PLW2901
        if not mark.forced and _at_last(load, standing, need, mark, wall, at):
            mark = replace(mark, forced=True)  # noqa: PLW2901
        marks.append(mark)
    if not missed and all(new is old for new, old in zip(marks, standing.marks, strict=True)):
        return standing
    return replace(standing, marks=tuple(marks), needs_missed=standing.needs_missed + missed)


def left_s(load: Load, standing: Standing, need: Need, begun: Tally, at: float) -> float:
    """Return for how long the load must still run in this period; 0 when the need is met."""
    had = tallied(load, standing, at)
    if need.runtime_s is not None:
        return max(0.0, need.runtime_s - (had.runtime_s - begun.runtime_s))
    left_wh = max(0.0, (need.energy_wh or 0.0) - (had.energy_wh - begun.energy_wh))
    draws_w = own_w(load, standing)
    return left_wh * 3600 / (draws_w if draws_w >= load.power_w / 2 else load.power_w)


def pressing(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether a need forces the load on now."""
    return any(
        mark.forced and left_s(load, standing, need, mark.tally, at) > 0
        for need, mark in zip(load.needs, standing.marks, strict=False)  # no marks yet: the clock was never set
    )


def _at_last(load: Load, standing: Standing, need: Need, mark: Mark, wall: datetime, at: float) -> bool:
    still_s = left_s(load, standing, need, mark.tally, at)
    if still_s <= 0:
        return False
    return deadline(need, mark, wall).timestamp() - wall.timestamp() <= still_s * (1 + MARGIN_SHARE) + MARGIN_S


def _missed(load: Load, standing: Standing, need: Need, mark: Mark, at: float) -> bool:
    """Tell whether the period ends with something left to do. A load that is on and takes nothing has had enough."""
    if standing.phase is ON and draws_nothing(load, own_w(load, standing)):
        return False
    return left_s(load, standing, need, mark.tally, at) > MISSED_S
