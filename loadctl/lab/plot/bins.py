"""A course cut into panels of a day (or of a week or a month, if it is long), each with a few hundred points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from math import ceil, isnan, log10, nan

from loadctl.lab.course import MINUTE_S, Course

DAY_S = 86400
POINTS = 720  # of a panel: two minutes each in one of a day
MOST_PANELS = 31


@dataclass(frozen=True, slots=True)
class Bins:
    """Means in W of a course from the panel's begin on, every `step_s`; not a number: not known."""

    pv_w: list[float]
    base_w: list[float]
    grid_w: list[float]
    draws: list[list[float]]

    def stacked(self) -> list[list[float]]:
        """Return the house, and on it one load after the other: the upper edge of each.

        What the house draws may be unknown where the loads are not; they stand on the ground then.
        """
        powers = zip(self.base_w, self.grid_w, strict=True)
        edges = [[0.0 if isnan(base_w) and not isnan(grid_w) else base_w for base_w, grid_w in powers]]
        for draw in self.draws:
            edges.append([below + more for below, more in zip(edges[-1], draw, strict=True)])
        return edges


@dataclass(frozen=True, slots=True)
class Panel:
    """A stretch of time (POSIX) with the bins of each course."""

    begin: float
    end: float
    step_s: int
    zone: tzinfo
    bins: tuple[Bins, ...]

    @property
    def title(self) -> str:
        """Return what is written above it."""
        first, last = (datetime.fromtimestamp(at, self.zone) for at in (self.begin, self.end - 1))
        if first.date() == last.date():
            return f"{first:%A} {first.day} {first:%B %Y}"
        return f"{first.day} {first:%B %Y} to {last.day} {last:%B %Y}"

    @property
    def means(self) -> str:
        """Return what its values are."""
        minutes = self.step_s // MINUTE_S
        return "means of a minute" if minutes == 1 else f"means of {minutes} minutes"

    @property
    def most_w(self) -> float:
        """Return the most that the sun gives or the house draws in it, under any rules."""
        return most(column for bins in self.bins for column in (bins.pv_w, bins.stacked()[-1]))

    @property
    def most_grid_w(self) -> float:
        """Return the most that is bought or sold in it, under any rules."""
        return most(map(abs, bins.grid_w) for bins in self.bins)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield moments (POSIX) to write below it: hours of a day, else days."""
        hours = (self.end - self.begin) / 3600
        if hours <= 26:
            every = next(each for each in (1, 2, 3) if hours / each <= 13 or each == 3)
            at = datetime.fromtimestamp(self.begin, self.zone).replace(minute=0, second=0, microsecond=0).timestamp()
            while at <= self.end:
                clock = datetime.fromtimestamp(at, self.zone)
                if at >= self.begin and clock.hour % every == 0:
                    yield at, f"{clock:%H:%M}"
                at += 3600
            return
        for number, day in enumerate(_midnights(self.begin, self.end, self.zone)):
            if number % max(1, round(hours / 24 / 10)) == 0:
                yield day, f"{datetime.fromtimestamp(day, self.zone):%d %b}"


def panels(courses: Sequence[Course]) -> list[Panel]:
    """Cut courses of the same time into panels. Times of which nothing is known are left out."""
    zone = courses[0].zone
    minutes = courses[0].minutes
    known = sorted(
        {_midnight(at, zone, 0) for at, watts in zip(minutes.time, minutes.grid_w, strict=True) if not isnan(watts)}
    )
    days = next((each for each in (1, 7, 31) if len(known) <= each * MOST_PANELS), 366)
    found: list[Panel] = []
    for midnight in known:
        if found and midnight < found[-1].end:
            continue
        begin, end = midnight, _midnight(midnight, zone, days)
        if days == 1:  # of a part of a day only that part
            begin = max(begin, courses[0].begin // 3600 * 3600)
            end = min(end, ceil(courses[0].end / 3600) * 3600)
        step_s = max(MINUTE_S, ceil((end - begin) / POINTS / MINUTE_S) * MINUTE_S)
        found.append(Panel(begin, end, step_s, zone, tuple(_bins(course, begin, end, step_s) for course in courses)))
    return found


def most(columns: Iterable[Iterable[float]]) -> float:
    """Return the greatest value that is known; 0: none is above."""
    return max((value for column in columns for value in column if value > 0), default=0.0)


def nice(most: float) -> tuple[float, float]:
    """Return the end of a scale that holds `most`, and its step."""
    if most <= 0:
        return 1.0, 1.0
    power = 10 ** int(log10(most / 4)) if most >= 4 else 1.0
    step = next((power * each for each in (1, 2, 5, 10) if most / (power * each) <= 5), power * 10)
    return ceil(most / step) * step, step


def _bins(course: Course, begin: float, end: float, step_s: int) -> Bins:
    minutes, count = course.minutes, ceil((end - begin) / step_s)
    sums = [[0.0] * count for _ in minutes.columns()]
    seen = [0] * count
    for index, at in enumerate(minutes.time):
        if not begin <= at < end or isnan(minutes.grid_w[index]):
            continue
        place = int((at - begin) // step_s)
        seen[place] += 1
        for total, values in zip(sums, minutes.columns(), strict=True):
            total[place] += values[index]
    pv_w, base_w, grid_w, *draws = (
        [one / times if times else nan for one, times in zip(total, seen, strict=True)] for total in sums
    )
    return Bins(pv_w, base_w, grid_w, draws)


def _midnight(at: float, zone: tzinfo, days: int) -> float:
    day = datetime.fromtimestamp(at, zone).date() + timedelta(days=days)
    return datetime.combine(day, time(0), zone).timestamp()


def _midnights(begin: float, end: float, zone: tzinfo) -> Iterator[float]:
    at = _midnight(begin, zone, 0)
    while at < end:
        if at >= begin:
            yield at
        at = _midnight(at, zone, 1)
