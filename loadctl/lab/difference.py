"""When and why two rule files do not do the same: spans in which a load is on under one of them only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from loadctl.lab.course import Course, Run

FLICKER_S = 120.0  # what parts two differences for no longer is none
SHORTEST_S = 60.0  # a difference that is told lasts so long


@dataclass(frozen=True, slots=True)
class Difference:
    """`load` is on under `on` and off under `off` from `begin` to `end` (POSIX); without flickers for `lasts_s` in all.

    The sentences are what was said when it began.
    """

    load: str
    on: str
    off: str
    begin: float
    end: float
    lasts_s: float
    said_on: str = ""
    said_off: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "load": self.load,
            "begin": round(self.begin),
            "end": round(self.end),
            "lasts_s": round(self.lasts_s),
            "on": {"rules": self.on, "sentence": self.said_on},
            "off": {"rules": self.off, "sentence": self.said_off},
        }


def differences(one: Course, other: Course) -> list[Difference]:
    """Return the spans in which a load is on under one of two courses only, the first first."""
    found = []
    for load in dict.fromkeys([*one.minutes.loads, *other.minutes.loads]):
        mine, theirs = (_spans(course.runs, load) for course in (one, other))
        for on, off, spans in ((one, other, _without(mine, theirs)), (other, one, _without(theirs, mine))):
            found += [
                Difference(load, on.name, off.name, begin, end, lasts_s)
                for begin, end, lasts_s in _merged(spans)
                if lasts_s >= SHORTEST_S
            ]
    return sorted(found, key=lambda each: (each.begin, each.load))


def questions(found: Iterable[Difference], course: Course) -> list[tuple[str, float]]:
    """Return what to ask of a course: the load and the time of each difference that it has it in its rules."""
    return [(each.load, each.begin - 1) for each in found if each.load in course.minutes.loads]


def answered(found: Iterable[Difference], courses: Sequence[Course]) -> list[Difference]:
    """Return differences with what each side said when they began."""
    said = {course.name: course.sentences for course in courses}

    def sentence(rules: str, each: Difference) -> str:
        return said[rules].get((each.load, each.begin - 1), "there is no such load")

    return [replace(each, said_on=sentence(each.on, each), said_off=sentence(each.off, each)) for each in found]


def _spans(runs: Iterable[Run], load: str) -> list[tuple[float, float]]:
    return [(run.begin, run.end) for run in runs if run.load == load]


def _without(spans: Iterable[tuple[float, float]], others: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what of `spans` no other covers; both are in order and do not overlap themselves."""
    found, first = [], 0
    for begin, end in spans:
        at = begin
        while first < len(others) and others[first][1] <= begin:
            first += 1
        for since, until in others[first:]:
            if since >= end:
                break
            if since > at:
                found.append((at, since))
            at = max(at, until)
        if at < end:
            found.append((at, end))
    return found


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return spans with what they last in all; two that only a flicker parts are one."""
    found: list[tuple[float, float, float]] = []
    for begin, end in spans:
        if found and begin - found[-1][1] <= FLICKER_S:
            since, _, lasts_s = found.pop()
            found.append((since, end, lasts_s + end - begin))
        else:
            found.append((begin, end, end - begin))
    return found


def told(each: Difference, course: Course) -> list[str]:
    """Return the lines on one difference, in the time of the site."""
    begin, end = (datetime.fromtimestamp(at, course.zone) for at in (each.begin, each.end))
    until = f"{end:%H:%M}" if end.date() == begin.date() else f"{end:%a %H:%M}"
    width = max(len(each.on), len(each.off))
    return [
        f"  {begin:%a %d %b %H:%M}-{until}  {each.load} is on under {each.on}, not under {each.off}",
        f"    {each.on:{width}}  {each.said_on}",
        f"    {each.off:{width}}  {each.said_off}",
    ]
