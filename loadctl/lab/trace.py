"""Recorded days: what the sun gave and what the house drew without the loads that loadctl switches.

A row of a trace holds until the next one, unless that is more than two and a half usual steps away: then nothing is
known in between. Which files can be read stands in `formats`; a file of a year is read as it is lived through.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path
from statistics import median
from typing import Protocol

from loadctl.errors import LoadctlError
from loadctl.lab.formats import Entities, Row, Source, opened
from loadctl.lab.formats.table import NOTHING

GAP_STEPS = 2.5
BLIND_S = 3600.0  # so much of a long gap is lived through blindly, then time jumps


@dataclass(frozen=True, slots=True)
class Moment:
    """One row: POSIX `time`, what the panels give and what the house draws without our loads; it holds for `for_s`.

    `sees_sun` False: nobody measured the panels; then `pv_w` is 0 and `base_w` is less what they gave.
    `battery_w` (+ discharging) and `soc_pct` are the house battery's, held as they were recorded; `inputs`: what else
    was recorded, by name. These are no part of a moment's picture: a plan for a day does not look at them.
    """

    time: float
    pv_w: float
    base_w: float
    for_s: float
    known: bool = True
    battery_w: float | None = field(default=None, repr=False)
    soc_pct: float | None = field(default=None, repr=False)
    inputs: Mapping[str, float] = field(default_factory=lambda: NOTHING, repr=False, hash=False)
    sees_sun: bool = field(default=True, repr=False)


class Moments(Protocol):
    """Moments in order, that can be gone through again. `[0]` and `[-1]` cost nothing; a tuple will do."""

    def __iter__(self) -> Iterator[Moment]: ...
    def __getitem__(self, index: int, /) -> Moment: ...


@dataclass(frozen=True, slots=True)
class Streamed:
    """Moments that are read anew each time; only the first and the last are kept."""

    read: Callable[[], Iterator[Moment]]
    first: Moment
    last: Moment

    def __iter__(self) -> Iterator[Moment]:
        return self.read()

    def __getitem__(self, index: int, /) -> Moment:
        if index in {0, -1}:
            return self.last if index else self.first
        return tuple(self.read())[index]


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded stretch of time in the site's `zone`. `notes`: what was guessed to read it, for a person."""

    name: str
    zone: tzinfo
    moments: Moments
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def begin(self) -> float:
        """Return when it begins (POSIX)."""
        return self.moments[0].time

    @property
    def end(self) -> float:
        last = self.moments[-1]
        return last.time + last.for_s

    @property
    def step_s(self) -> float:
        """Return the usual length of a row."""
        return median(moment.for_s for moment in self.moments)

    def seconds(self) -> Iterator[tuple[float, Moment]]:
        """Yield each second of the trace (POSIX) with the row that holds."""
        for moment in self.moments:
            begin = int(moment.time)
            for second in range(begin, begin + int(moment.for_s)):
                yield float(second), moment


def read_csv(path: Path, zone: tzinfo) -> Trace:
    """Read a trace as a whole. Raises LoadctlError that says where and what is wrong with it."""
    trace = open_trace(path, zone)
    return replace(trace, moments=tuple(trace.moments))


def open_trace(path: Path, zone: tzinfo, entities: Entities = ()) -> Trace:
    """Look through a trace once and leave it to be read as it is lived. Raises LoadctlError as `read_csv`."""
    source = opened(path, zone, entities)
    return streamed(path.stem, zone, source, str(path))


def streamed(name: str, zone: tzinfo, source: Source, where: str) -> Trace:
    """Make a trace of rows in order. Raises LoadctlError if there are too few."""
    steps: Counter[float] = Counter()
    first = before = None
    for row in source.rows():
        if before is None:
            first = row
        else:
            steps[round(row.time - before.time, 3)] += 1
        before = row
    if first is None or before is None or not steps:
        raise LoadctlError(f"{where}: a trace has at least two rows below the line with the names of its columns")
    usual_s = _median(steps)
    holds_s = source.holds_s or GAP_STEPS * usual_s
    read = _Reader(source.rows, usual_s, holds_s)
    last = next(_moments([before], usual_s, holds_s))
    return Trace(name, zone, Streamed(read, next(read()), last), source.notes)


@dataclass(frozen=True, slots=True)
class _Reader:
    rows: Callable[[], Iterator[Row]]
    usual_s: float
    holds_s: float

    def __call__(self) -> Iterator[Moment]:
        return _moments(self.rows(), self.usual_s, self.holds_s)


def _moments(rows: Iterable[Row], usual_s: float, holds_s: float) -> Iterator[Moment]:
    for row, after in itertools.pairwise(itertools.chain(rows, [None])):
        if row is None:
            return
        step_s = usual_s if after is None else after.time - row.time
        if step_s <= holds_s:
            yield _moment(row, step_s)
        else:
            yield _moment(row, usual_s)
            yield Moment(row.time + usual_s, row.pv_w or 0.0, row.base_w or 0.0, step_s - usual_s, known=False)


def _moment(row: Row, for_s: float) -> Moment:
    known, sees_sun = row.base_w is not None, row.pv_w is not None
    pv_w, base_w = row.pv_w or 0.0, row.base_w or 0.0
    return Moment(row.time, pv_w, base_w, for_s, known, row.battery_w, row.soc_pct, row.inputs, sees_sun)


def _median(steps: Counter[float]) -> float:
    middle, count = sum(steps.values()) / 2, 0
    for step_s in sorted(steps):
        count += steps[step_s]
        if count >= middle:
            return step_s
    raise ValueError("nothing has no middle")


def cut(trace: Trace, begin: float | None = None, end: float | None = None) -> Trace:
    """Return the part of a trace from `begin` to `end` (POSIX). Raises LoadctlError if nothing is left."""
    since = trace.begin if begin is None else max(begin, trace.begin)
    until = trace.end if end is None else min(end, trace.end)
    if (since, until) == (trace.begin, trace.end):
        return trace
    if since >= until:
        first, last = (datetime.fromtimestamp(at, trace.zone) for at in (trace.begin, trace.end))
        raise LoadctlError(f"{trace.name}: nothing of it lies there: it goes from {first:%F %H:%M} to {last:%F %H:%M}")
    return _restreamed(trace, trace.name, _Cut(trace.moments, since, until))


def joined(traces: Iterable[Trace]) -> Trace:
    """Return traces in the order of their times as one, lived through without a break.

    Where nothing is known for long, time jumps. Raises LoadctlError if two of them tell of the same time.
    """
    parts = sorted(traces, key=lambda trace: trace.begin)
    for one, other in itertools.pairwise(parts):
        if other.begin < one.end - 1:
            when = datetime.fromtimestamp(other.begin, one.zone)
            raise LoadctlError(
                f"{other.name}: begins on {when:%F at %H:%M}, before {one.name} ends: leave one out, or part them"
                " with --from and --to"
            )
    name = parts[0].name if len(parts) == 1 else f"{parts[0].name} … {parts[-1].name}"
    notes = tuple(note for part in parts for note in part.notes)
    return replace(_restreamed(parts[0], name, _Joined(tuple(part.moments for part in parts))), notes=notes)


def _restreamed(trace: Trace, name: str, read: _Cut | _Joined) -> Trace:
    first, last = next(read()), read.last()
    return replace(trace, name=name, moments=Streamed(read, first, last))


@dataclass(frozen=True, slots=True)
class _Cut:
    moments: Moments
    since: float
    until: float

    def __call__(self) -> Iterator[Moment]:
        for moment in self.moments:
            if moment.time >= self.until:
                return
            begin, end = max(moment.time, self.since), min(moment.time + moment.for_s, self.until)
            if begin < end:
                yield moment if end - begin == moment.for_s else replace(moment, time=begin, for_s=end - begin)

    def last(self) -> Moment:
        """Return the last piece without reading all, where the last row of the file is in it."""
        last = self.moments[-1]
        if last.time < self.until:
            begin, end = max(last.time, self.since), min(last.time + last.for_s, self.until)
            return replace(last, time=begin, for_s=end - begin)
        found = next(self())
        for moment in self():
            found = moment
        return found


@dataclass(frozen=True, slots=True)
class _Joined:
    parts: tuple[Moments, ...]

    def __call__(self) -> Iterator[Moment]:
        before: Moment | None = None
        for part in self.parts:
            for moment in part:
                if before is not None and (missing_s := moment.time - before.time - before.for_s) >= 1:
                    end = before.time + before.for_s
                    yield Moment(end, before.pv_w, before.base_w, min(missing_s, BLIND_S), known=False)
                before = moment
                yield moment if moment.known else replace(moment, for_s=min(moment.for_s, BLIND_S))

    def last(self) -> Moment:
        return self.parts[-1][-1]
