"""Days and hours: when a `Clock` strikes, and whether a `Window` is open.

Everything is compared as instants (POSIX timestamps), so that a night with 23 or 25 hours is as long as it is. A time
of day that a change of the clocks skips is the moment of the change; one that comes twice is its first coming. That way
time never runs backwards: 22:00-02:30 and 02:30-06:00 are the whole night, in every night.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from functools import lru_cache
from itertools import product
from math import floor

from loadctl.core.rules import Clock, Season, Window
from loadctl.core.values import Daylight

DAY_S = 86400.0
RISE, SET = time(6), time(18)  # the sun of a place that nobody knows
# Between these the sun rises and sets for nearly everybody, in hours of the clock.
_EARLIEST = {"sunrise": 3.5, "sunset": 15.0}
_LATEST = {"sunrise": 9.5, "sunset": 23.0}


def instant(clock: Clock, day: int, zone: tzinfo, daylight: Mapping[int, Daylight]) -> float:
    """Return when `clock` strikes on the day with the ordinal `day`, as a POSIX timestamp.

    A day whose daylight is not known has that of the nearest known day.
    """
    if clock.sun is None:
        return _moment(clock.time, day, zone)
    sun = daylight.get(day)
    if sun is not None:
        return (sun.rise if clock.sun == "sunrise" else sun.set) + clock.offset_s
    if daylight:
        near = min(daylight, key=lambda known: abs(known - day))
        return instant(clock, near, zone, daylight) + (day - near) * DAY_S
    return _moment(RISE if clock.sun == "sunrise" else SET, day, zone) + clock.offset_s


def opening(window: Window, day: int, zone: tzinfo, daylight: Mapping[int, Daylight]) -> tuple[float, float] | None:
    """Return from when to when the hours are that begin on `day`; None: that day has none."""
    if not _has(window, day):
        return None
    start = instant(window.start, day, zone, daylight)
    end = instant(window.end, day + crosses_midnight(window), zone, daylight)
    return (start, end) if start < end else None


def openings(
    windows: Iterable[Window], days: Iterable[int], zone: tzinfo, daylight: Mapping[int, Daylight]
) -> list[tuple[float, float]]:
    """Return from when to when the hours of all windows are that begin on one of `days`."""
    found = (opening(window, day, zone, daylight) for window, day in product(windows, days))
    return [hours for hours in found if hours is not None]


def zone_of(wall: datetime) -> tzinfo:
    """Return the site's time zone. Raises ValueError where the time has none."""
    if wall.tzinfo is None:
        raise ValueError("the site's time has a zone")
    return wall.tzinfo


def midnight(wall: datetime) -> float:
    """Return the end of the day (POSIX)."""
    return _midnight(wall.toordinal() + 1, wall.tzinfo)


@lru_cache(maxsize=64)
def _midnight(day: int, zone: tzinfo | None) -> float:
    return datetime.combine(date.fromordinal(day), time(), zone).timestamp()


def is_open(windows: Sequence[Window], wall: datetime, daylight: Mapping[int, Daylight]) -> bool:
    """Tell whether `wall` lies in one of the windows; no window at all means always."""
    return not windows or any(_is_open(window, wall, daylight) for window in windows)


def _is_open(window: Window, wall: datetime, daylight: Mapping[int, Daylight]) -> bool:
    today = wall.toordinal()
    if not wall.fold and window.start.sun is None and window.end.sun is None:
        # The faces of clocks say the same as the instants, until an hour comes again; and they are quickly asked.
        face, start, end = wall.time(), window.start.time, window.end.time
        if start < end:
            return start <= face < end and _has(window, today)
        return (start <= face and _has(window, today)) or (face < end and _has(window, today - 1))
    zone, now = zone_of(wall), wall.timestamp()
    near = (today - 1, today, today + 1)  # hours that begin before sunrise may begin on the evening before
    return any(start <= now < end for start, end in openings((window,), near, zone, daylight))


def crosses_midnight(window: Window) -> bool:
    """Tell whether the hours end on the day after they began. `00:00` as an end is the end of the day.

    Whether they do is the same all year: `18:00-sunset` has no hours in winter, rather than a night and a day.
    """
    start, end = window.start, window.end
    if start.sun is not None and end.sun is not None:
        return start.offset_s >= end.offset_s if start.sun == end.sun else start.sun == "sunset"
    return _hour(start, _EARLIEST) >= _hour(end, _LATEST)


def in_season(season: Season, day: int) -> bool:
    """Tell whether the day with the ordinal `day` lies in the season; both its ends do."""
    found = date.fromordinal(day)
    today = (found.month, found.day)
    if season.start <= season.end:
        return season.start <= today <= season.end
    return today >= season.start or today <= season.end


def _has(window: Window, day: int) -> bool:
    """Tell whether the hours of `window` begin on the day with the ordinal `day`."""
    return (day - 1) % 7 in window.days and (window.season is None or in_season(window.season, day))


def _hour(clock: Clock, sun: Mapping[str, float]) -> float:
    if clock.sun is not None:
        return sun[clock.sun] + clock.offset_s / 3600
    return clock.time.hour + clock.time.minute / 60 + clock.time.second / 3600


@lru_cache(maxsize=4096)  # asked on every tick, for the same few hours
def _moment(face: time, day: int, zone: tzinfo) -> float:
    wall = datetime.combine(date.fromordinal(day), face, zone)
    found, other = wall.timestamp(), wall.replace(fold=1).timestamp()
    if found <= other:
        return found
    before, after = float(floor(other)), float(floor(found))  # skipped: the clocks change in between
    while after - before > 1:
        middle = floor((before + after) / 2)
        if datetime.fromtimestamp(middle, zone).replace(tzinfo=None) < wall.replace(tzinfo=None):
            before = float(middle)
        else:
            after = float(middle)
    return after
