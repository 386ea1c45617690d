"""When something happens on a made-up day: `11:00`, `11:00-11:40`, `sunset - 30 min`, `day 2 07:00`, `daily 17:00`.

A time without a day is the first such moment since the day began; so a course that goes over midnight needs no dates.
All raise ValueError with the right spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time, tzinfo

from loadctl.config import dates
from loadctl.core.calendar import instant
from loadctl.core.rules import Clock
from loadctl.outlook.sun import Location, daylight

DAILY = "daily"

_SUN = r"(?:sunrise|sunset)(?:\s*[+-]\s*\d+(?:\.\d+)?\s*(?:min|h|s)\b)?"


def _moment(name: str) -> str:
    day = rf"(?:(?:day\s+(?P<{name}number>\d{{1,3}})|(?P<{name}name>{DAILY}|{'|'.join(dates.DAYS)}))\s+)?"
    return rf"{day}(?P<{name}clock>\d{{1,2}}:\d\d(?::\d\d)?(?!\d)|{_SUN})"


_WHEN = re.compile(rf"{_moment('from')}(?:\s*(?:-|–|\bto\b)\s*{_moment('to')})?(?:\s+|$)", re.IGNORECASE)
_ODD = re.compile(r"(?:day\b|daily\b|\d{1,2}[:.h]\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on `day` (1 is the first, `mon` the first Monday, `daily` each); no day: the first such time."""

    clock: Clock
    day: int | str | None = None


MIDNIGHT = Moment(Clock(time(0)))


@dataclass(frozen=True, slots=True)
class When:
    """A moment, or the time between two."""

    start: Moment
    end: Moment | None = None


def split(line: str) -> tuple[When | None, str]:
    """Take the time off the beginning of a line; None: it begins with none."""
    found = _WHEN.match(line)
    if found is None:
        if _ODD.match(line):
            raise ValueError(f"`{line[:20]}`: a time reads `11:00`, `11:00-11:40`, `sunset - 30 min` or `day 2 07:00`")
        return None, line.strip()
    parts = found.groupdict()
    start = _read(parts, "from")
    end = _read(parts, "to") if parts["toclock"] else None
    if end is not None and end.day == DAILY:
        raise ValueError(f"`{DAILY}` stands only once, at the beginning: `{DAILY} 11:00-11:40`")
    return When(start, end), line[found.end() :].strip()


def _read(parts: dict[str, str | None], name: str) -> Moment:
    number, word, written = parts[f"{name}number"], parts[f"{name}name"], parts[f"{name}clock"] or ""
    if number == "0":
        raise ValueError("the first day is `day 1`")
    clock, colon, seconds = written, "", ""
    if written.count(":") == 2:
        clock, colon, seconds = written.rpartition(":")
    found = dates.clock(clock)
    if colon:
        if int(seconds) > 59:
            raise ValueError(f"`{written}` is not a time of day")
        found = Clock(found.time.replace(second=int(seconds)))
    return Moment(found, int(number) if number else word.lower() if word else None)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and on which day (`first`, an ordinal) a course takes place; `begin` (POSIX) once that is known."""

    zone: tzinfo
    place: Location | None
    first: int
    begin: float | None = None

    def at(self, moment: Moment, since: float | None = None) -> float:
        """Return the POSIX time of a moment: without a day the first one at or after `since` (default: the begin)."""
        if isinstance(moment.day, int):
            return self._on(moment.clock, self.first + moment.day - 1)
        since = self.begin if since is None else since
        for day in range(self.first, self.first + 400):
            named = isinstance(moment.day, str) and moment.day != DAILY
            if named and dates.DAYS[(day - 1) % 7] != moment.day:
                continue
            found = self._on(moment.clock, day)
            if since is None or found >= since:
                return found
        raise AssertionError("there is such a time on some day")

    def each(self, when: When, until: float) -> Iterator[tuple[float, float | None]]:
        """Yield the beginning and the end of each time that is meant; `daily` is meant until `until`."""
        if when.start.day != DAILY:
            start = self.at(when.start)
            yield start, self._end(when, start)
            return
        day = self.first
        while (start := self._on(when.start.clock, day)) < until:
            if self.begin is None or start >= self.begin:
                yield start, self._end(when, start)
            day += 1

    def _end(self, when: When, start: float) -> float | None:
        if when.end is None:
            return None
        end = self.at(when.end, start)
        if end <= start:
            raise ValueError("it ends before it begins")
        return end

    def _on(self, clock: Clock, day: int) -> float:
        suns = {day: daylight(day, self.zone, self.place)} if clock.sun and self.place else {}
        return instant(clock, day, self.zone, suns)
