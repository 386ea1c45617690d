"""Hours and needs: what the site's local time asks of a load.

A need's period runs from its previous deadline to this one. It forces the load on at the last moment that still
suffices, and then until it is met. Differences are taken between instants, never between clock faces, so that a night
with 23 or 25 hours is as long as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from loadctl.core.surplus import own_w, tallied
from loadctl.core.values import Holder, Load, Mark, Need, Standing, Tally, Window

MARGIN_S = 60.0  # a relay, a reading and a tick take their time
MISSED_S = 60.0  # a need with so little left to do was met
MARGIN_SHARE = 0.02  # a 2 kW heater is rarely one of 2 000 W


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


def deadline(need: Need, wall: datetime) -> datetime:
    """Return the end of the need's present period."""
    for ahead in range(8):
        day = wall.date() + timedelta(days=ahead)
        ends = datetime.combine(day, need.by, tzinfo=wall.tzinfo)
        if day.weekday() in need.days and ends.timestamp() > wall.timestamp():
            return ends
    raise AssertionError("a need has at least one day")  # check refuses an empty list of days


def marked(load: Load, standing: Standing, wall: datetime, at: float) -> Standing:
    """Begin a new period for each need whose deadline has passed; return the same standing while none has."""
    days = [deadline(need, wall).toordinal() for need in load.needs]
    if len(standing.marks) == len(days) and all(m.deadline_day == d for m, d in zip(standing.marks, days, strict=True)):
        return standing
    tally = tallied(load, standing, at)
    if len(standing.marks) != len(days):
        return replace(standing, marks=tuple(Mark(day, tally) for day in days))
    marks, missed = [], 0
    for need, mark, day in zip(load.needs, standing.marks, days, strict=True):
        ended = mark.deadline_day != day
        missed += ended and left_s(load, standing, need, mark.tally, at) > MISSED_S
        marks.append(Mark(day, tally) if ended else mark)
    return replace(standing, marks=tuple(marks), needs_missed=standing.needs_missed + missed)


def left_s(load: Load, standing: Standing, need: Need, begun: Tally, at: float) -> float:
    """Return for how long the load must still run in this period; 0 when the need is met."""
    had = tallied(load, standing, at)
    if need.runtime_s is not None:
        return max(0.0, need.runtime_s - (had.runtime_s - begun.runtime_s))
    left_wh = max(0.0, (need.energy_wh or 0.0) - (had.energy_wh - begun.energy_wh))
    draws_w = own_w(load, standing)
    return left_wh * 3600 / (draws_w if draws_w >= load.power_w / 2 else load.power_w)


def pressing(load: Load, standing: Standing, wall: datetime, at: float) -> bool:
    """Tell whether a need forces the load on now."""
    for need, mark in zip(load.needs, standing.marks, strict=False):  # no marks yet: the clock was never set
        still_s = left_s(load, standing, need, mark.tally, at)
        if still_s <= 0:
            continue
        if standing.holder is Holder.NEED:
            return True
        if deadline(need, wall).timestamp() - wall.timestamp() <= still_s * (1 + MARGIN_SHARE) + MARGIN_S:
            return True
    return False
