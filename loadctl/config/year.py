"""Weeks of a year to try rules on: when hours are open and needs are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from math import inf
from zoneinfo import ZoneInfo

from loadctl.config import dates
from loadctl.core.calendar import DAY_S, in_season, instant, openings
from loadctl.core.rules import Clock, Load, Need, Window
from loadctl.core.values import Daylight
from loadctl.outlook.sun import Location, daylight

_FIRST_MONDAY = date(2027, 1, 4)  # of any year

Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Due:
    """A period of a need: from its last deadline to this one, and when the load may run on its rules in it."""

    since: float
    due: float
    open: tuple[Stretch, ...]

    @property
    def open_s(self) -> float:
        return sum(end - start for start, end in self.open)

    @property
    def outside(self) -> bool:
        """Tell whether the deadline lies outside the hours."""
        return not self.open or self.open[-1][1] < self.due - 60


@dataclass(frozen=True, slots=True)
class Week:
    """The week from the Monday with the ordinal `monday`. `steady`: the clocks are not changed around it."""

    monday: int
    zone: ZoneInfo
    sun: Mapping[int, Daylight]
    steady: bool

    @property
    def month(self) -> str:
        return dates.MONTHS[date.fromordinal(self.monday).month - 1]

    def dues(self, load: Load, need: Need) -> Iterator[Due]:
        """Go through the deadlines of the week. One out of its season, or that of all its hours, is left out."""
        days = [day for day in range(self.monday - 7, self.monday + 7) if (day - 1) % 7 in need.days]
        ends = [(day, instant(need.by, day, self.zone, self.sun)) for day in days]
        begin = instant(Clock(), self.monday, self.zone, self.sun)
        for (_, before), (day, end) in pairwise(ends):
            since = min(before, end - need.every_days * DAY_S)
            if end < begin or need.always or (need.season and not in_season(need.season, day)):
                continue
            found = Due(since, end, tuple(self.open(load.windows, since, end)))
            all_year = [Window(window.start, window.end, window.days) for window in load.windows]
            if found.open or not self.open(all_year, since, end):
                yield found

    def open(self, windows: Sequence[Window], since: float, until: float) -> list[Stretch]:
        """Return when the load may run on its rules in this stretch of time, in order, without overlaps."""
        if not windows:
            return [(since, until)] if since < until else []
        first = datetime.fromtimestamp(since, self.zone).toordinal() - 2
        last = datetime.fromtimestamp(until, self.zone).toordinal() + 1
        found = sorted(openings(windows, range(first, last + 1), self.zone, self.sun))
        merged: list[Stretch] = []
        for start, end in found:
            begin = max(start, since, merged[-1][1] if merged else -inf)
            if begin >= min(end, until):
                continue
            if merged and merged[-1][1] == begin:
                begin = merged.pop()[0]
            merged.append((begin, min(end, until)))
        return merged


@dataclass(frozen=True)
class Year:
    """The weeks of a year at a place."""

    zone: ZoneInfo
    location: Location | None

    def of(self, load: Load) -> tuple[Week, ...]:
        """Return the weeks to try a load on: fewer where no season, one where no sun has a say."""
        if any(need.season for need in load.needs):
            return self.weeks
        return self.for_hours(load.windows, [need.by for need in load.needs])

    def for_hours(self, windows: Sequence[Window], others: Sequence[Clock] = ()) -> tuple[Week, ...]:
        """Return the weeks to try some hours on."""
        if any(window.season for window in windows):
            return self.weeks
        clocks = [*others, *(at for window in windows for at in (window.start, window.end))]
        return self.weeks[::2] if any(at.sun for at in clocks) else (self.plain,)

    @cached_property
    def weeks(self) -> tuple[Week, ...]:
        return tuple(self._week(_FIRST_MONDAY + timedelta(weeks=number)) for number in range(52))

    @cached_property
    def plain(self) -> Week:
        """A week without a change of the clocks."""
        return next(week for week in self.weeks if week.steady)

    def _week(self, monday: date) -> Week:
        begin = monday.toordinal()
        days = range(begin - 10, begin + 10)
        sun = {day: daylight(day, self.zone, self.location) for day in days} if self.location else {}
        steady = _offset(monday - timedelta(days=9), self.zone) == _offset(monday + timedelta(days=9), self.zone)
        return Week(begin, self.zone, sun, steady)


def _offset(day: date, zone: ZoneInfo) -> timedelta | None:
    return datetime.combine(day, time(12), zone).utcoffset()
