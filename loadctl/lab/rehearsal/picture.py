"""A day in characters, and what was not as expected in it.

    sun     ▁▂▃▄▅▆▇██████▇▆▅▄▃▂▁   up to 4 000 W
    boiler  ······██████████····   up to 2 000 W

Sun, house and grid are small charts, what each load drew is a bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from loadctl.lab.rehearsal.living import Record
from loadctl.lab.rehearsal.trial import Failure, Trial
from loadctl.units import watts

WIDTH = 72
_STEPS = "▁▂▃▄▅▆▇█"
_NONE = "·"
_TICKS_S = (300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400)


def picture(trial: Trial) -> Iterator[str]:
    """Draw the day, line by line."""
    record, zone = trial.record, trial.rehearsal.house.zone
    edges = _edges(record)
    rows = [(name, _means(record, record.values[key], edges)) for name, key in (("sun", "solar"), ("house", "house"))]
    grid = record.values["grid"]
    rows.append(("import", _means(record, [max(0.0, value or 0.0) for value in grid], edges)))
    rows.append(("export", _means(record, [max(0.0, -(value or 0.0)) for value in grid], edges)))
    rows = [(name, values) for name, values in rows if any(value is not None for value in values)]
    rows += [(name, _means(record, load.watts, edges)) for name, load in record.loads.items()]
    levels = [(name, _means(record, values, edges)) for name, values in record.values.items() if name not in _SHOWN]
    levels = [(name, values) for name, values in levels if any(value is not None for value in values)]
    margin = max(len(name) for name, _ in (*rows, *levels)) + 2
    yield f"{'':{margin}}{_date(record.times[0], record.times[-1], zone)}"
    for name, values in rows:
        most = max((value for value in values if value is not None), default=0.0)
        yield f"{name:{margin}}{_bar(values, 0.0, most)}  {f'up to {watts(most)}' if most >= 1 else 'nothing'}"
    for name, values in levels:
        known = [value for value in values if value is not None]
        yield f"{name:{margin}}{_bar(values, min(known), max(known))}  {min(known):.4g} to {max(known):.4g}"
    yield f"{'':{margin}}{_axis(record.times[0], record.times[-1], zone)}"
    marks = {_column(failure.missed.at, record) for failure in trial.failures}
    if marks:
        yield f"{'':{margin}}{''.join('▲' if column in marks else ' ' for column in range(WIDTH)).rstrip()}"


_SHOWN = ("solar", "house", "grid", "net")


def story(failure: Failure, trial: Trial) -> Iterator[str]:
    """Tell what was expected and what was, line by line."""
    zone, start = trial.rehearsal.house.zone, trial.rehearsal.day.start
    line = failure.expected
    yield f"{trial.rehearsal.file}:{line.line}:{line.column}: expected: {line.text}"
    yield f"  at {_clock(failure.missed.at, start, zone)} it was: {failure.missed.was}"
    if failure.sentence:
        yield f"  {line.claim.subject} ({failure.word}) {failure.sentence}"
    if len(failure.turns) > 1:
        around = ", ".join(f"{_clock(at, start, zone)} {word}" for at, word in failure.turns)
        yield f"  what it said around then: {around}"


def _edges(record: Record) -> list[float]:
    start, end = record.times[0], record.times[-1]
    return [start + (end - start) * column / WIDTH for column in range(WIDTH + 1)]


def _means(record: Record, values: Sequence[float | None], edges: Sequence[float]) -> list[float | None]:
    """Return the mean of each column; None where nothing is known in it."""
    means: list[float | None] = []
    index = 0
    times = [*record.times[1:], record.times[-1]]
    for begin, end in pairwise(edges):
        total, weight = 0.0, 0.0
        while True:
            value, here, there = values[index], max(begin, record.times[index]), min(end, times[index])
            if value is not None and there > here:
                total, weight = total + value * (there - here), weight + there - here
            if times[index] >= end or index == len(values) - 1:
                break
            index += 1
        means.append(total / weight if weight else None)
    return means


def _bar(values: Sequence[float | None], least: float, most: float) -> str:
    return "".join(_step(value, least, most) for value in values)


def _step(value: float | None, least: float, most: float) -> str:
    if value is None:
        return " "
    if most - least < 1e-6:
        return _NONE if most < 1 else _STEPS[3]
    share = (value - least) / (most - least)
    if least == 0.0 and share < 0.01:
        return _NONE
    return _STEPS[min(int(share * len(_STEPS)), len(_STEPS) - 1)]


def _column(at: float, record: Record) -> int:
    start, end = record.times[0], record.times[-1]
    return min(int((at - start) / (end - start) * WIDTH), WIDTH - 1)


def _axis(start: float, end: float, zone: tzinfo) -> str:
    """Write the times on round moments, as many as have room."""
    room_s = (end - start) / WIDTH * 8
    step_s = next((step for step in _TICKS_S if step >= room_s), _TICKS_S[-1])
    offset_s = (datetime.fromtimestamp(start, zone).utcoffset() or timedelta()).total_seconds()
    first = start + -(start + offset_s) % step_s
    axis = [" "] * (WIDTH + 8)
    at = first
    while at <= end:
        column = round((at - start) / (end - start) * WIDTH)
        label = f"{datetime.fromtimestamp(at, zone):{'%d %b' if step_s >= 86400 else '%H:%M'}}"
        axis[column : column + len(label)] = label
        at += step_s
    return "".join(axis).rstrip()


def _date(start: float, end: float, zone: tzinfo) -> str:
    first, last = (datetime.fromtimestamp(at, zone) for at in (start, end))
    return f"{first:%a %-d %b %Y}" + ("" if first.date() == last.date() else f" to {last:%a %-d %b}")


def _clock(at: float, start: float, zone: tzinfo) -> str:
    when, began = (datetime.fromtimestamp(moment, zone) for moment in (at, start))
    clock = f"{when:%H:%M:%S}" if when.second else f"{when:%H:%M}"
    return clock if when.date() == began.date() else f"day {when.toordinal() - began.toordinal() + 1} {clock}"
