"""Recorded days: what the sun gave and what the house drew without the loads that loadctl switches.

A trace is CSV: `time` (ISO 8601; without an offset the site's local time), `pv_w`, and `load_w` (the house without our
loads) or `grid_w` (of a house that had none; its `battery_w`, + discharging, is taken out). A row holds until the next
one, unless that is more than two and a half usual steps away: then nothing is known in between.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import isfinite, nan
from pathlib import Path
from statistics import median

from loadctl.errors import LoadctlError

GAP_STEPS = 2.5


@dataclass(frozen=True, slots=True)
class Moment:
    """One row: POSIX `time`, what the panels give and what the house draws without our loads; it holds for `for_s`."""

    time: float
    pv_w: float
    base_w: float
    for_s: float
    known: bool = True


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded stretch of time in the site's `zone`."""

    name: str
    zone: tzinfo
    moments: tuple[Moment, ...]

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
    """Read a trace. Raises LoadctlError that says where and what is wrong with it."""
    try:
        rows = list(_rows(path, zone))
    except OSError as error:
        raise LoadctlError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LoadctlError(f"{path}: is no CSV file in UTF-8: {error}") from error
    if len(rows) < 2:
        raise LoadctlError(f"{path}: a trace has at least two rows below the line with the names of its columns")
    steps = [after[0] - before[0] for before, after in itertools.pairwise(rows)]
    usual_s = median(steps)
    moments = []
    for (time, pv_w, base_w), step_s in zip(rows, [*steps, usual_s], strict=True):
        if step_s <= 0:
            raise LoadctlError(f"{path}: time runs backwards after {datetime.fromtimestamp(time, zone):%F %T}")
        if step_s <= GAP_STEPS * usual_s:
            moments.append(Moment(time, pv_w, base_w, step_s))
        else:
            moments.append(Moment(time, pv_w, base_w, usual_s))
            moments.append(Moment(time + usual_s, pv_w, base_w, step_s - usual_s, known=False))
    return Trace(path.stem, zone, tuple(moments))


def _rows(path: Path, zone: tzinfo) -> Iterator[tuple[float, float, float]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for row in reader:
            where = f"{path}:{reader.line_num}"
            time = _time(row.get("time"), zone, where)
            pv_w = _number(row, "pv_w", where)
            if pv_w is None:
                raise LoadctlError(f"{where}: `pv_w` is missing")
            base_w, grid_w = _number(row, "load_w", where), _number(row, "grid_w", where)
            if base_w is None:
                if grid_w is None:
                    raise LoadctlError(f"{where}: `load_w` (the house without its loads) or `grid_w` is missing")
                base_w = grid_w + pv_w + (_number(row, "battery_w", where) or 0.0)
            yield time, pv_w, base_w


def _time(text: str | None, zone: tzinfo, where: str) -> float:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise LoadctlError(f"{where}: `time` reads like 2025-06-21T12:00:00, not `{(text or '')[:40]}`") from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()


def _number(row: dict[str, str], key: str, where: str) -> float | None:
    text = row.get(key)
    if text is None or not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = nan
    if not isfinite(found):
        raise LoadctlError(f"{where}: `{key}` is a number of watts, not `{text[:40]}`")
    return found
