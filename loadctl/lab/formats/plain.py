"""loadctl's own traces: `time`, `pv_w`, `load_w` and/or `grid_w`, and what else is known.

`load_w` is the house without the loads that loadctl switches (so is `grid_w`: of a house that had none), `battery_w` (+
discharging) and `soc_pct` its battery. Powers may be in kW (`pv_kw`). Every other column is an input of that name, in
its base unit. An empty cell is not known. Without `pv_w` nothing is known of the sun, and `grid_w` alone counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import NamedTuple

from loadctl.errors import LoadctlError
from loadctl.lab.formats.table import (
    KNOWN,
    NOTHING,
    POWERS,
    WORDS,
    Entities,
    Row,
    Source,
    Times,
    cell,
    column,
    head,
    house_w,
    lines,
    number,
    power,
    records,
    sun_w,
)

LOT_W = 500.0  # columns that differ by more contradict each other


class Place(NamedTuple):
    """Where a power stands in a line, and what it is multiplied with to be in W."""

    name: str
    at: int | None
    times: float = 1.0

    def read(self, cells: Sequence[str], where: str) -> float | None:
        return power(cell(cells, self.at), self.name, where, self.times)


def is_mine(header: Sequence[str]) -> bool:
    """Tell by the names of the columns."""
    return "time" in header


def opened(path: Path, zone: tzinfo, entities: Entities) -> Source:  # noqa: ARG001 - its columns have their names
    """Make it ready to be read, more than once."""
    return Source(partial(rows, path, zone), notes=tuple(_contradictions(path)))


def rows(path: Path, zone: tzinfo) -> Iterator[Row]:
    """Yield the rows of a file. Raises LoadctlError that says where and what is wrong with it."""
    with lines(path) as reader:
        header = head(next(reader))
        pv, load, grid, battery = _places(header, path)
        if load.at is None and grid.at is None:
            missing = "`load_w` (the house without its loads) or `grid_w` is missing"
            raise LoadctlError(f"{path}:1: {missing}: the columns are {', '.join(header)}")
        if pv.at is None and grid.at is None:
            raise LoadctlError(f"{path}:1: `pv_w` is missing, and no `grid_w` is there to do without it")
        time_at, soc_at, times = header.index("time"), column(header, "soc_pct"), Times(zone)
        others = [(index, name) for index, name in enumerate(header) if name and name not in KNOWN]
        for where, cells in records(reader, header, path):
            time = times.read(cell(cells, time_at), where)
            pv_w = sun_w(pv.read(cells, where), where)
            load_w, grid_w, battery_w = (place.read(cells, where) for place in (load, grid, battery))
            if pv.at is None:  # without the sun `load_w` says nothing about the surplus
                base_w = house_w(None, grid_w, 0.0, battery_w)
            else:
                base_w = house_w(load_w, grid_w, pv_w, battery_w)
            soc = number(cell(cells, soc_at), "soc_pct", where, "a number of percent")
            inputs = {name: value for at, name in others if (value := _input(cell(cells, at), name, where)) is not None}
            yield Row(time, pv_w, base_w, battery_w, soc, inputs or NOTHING)


def _places(header: Sequence[str], path: Path) -> list[Place]:
    """Return where the powers stand, in W or kW."""
    found = []
    for name in POWERS:
        in_kw = name.replace("_w", "_kw")
        if name in header and in_kw in header:
            raise LoadctlError(f"{path}:1: `{name}` and `{in_kw}` are the same: leave one out")
        kilo = in_kw in header
        found.append(Place(in_kw, header.index(in_kw), 1000.0) if kilo else Place(name, column(header, name)))
    return found


def _contradictions(path: Path) -> Iterator[str]:
    """Yield a note if the house that sun and meter tell of is not the one that `load_w` tells of."""
    with lines(path) as reader:
        header = head(next(reader))
        pv, load, grid, battery = _places(header, path)
        if None in {pv.at, load.at, grid.at}:
            return
        first, count, known = "", 0, 0
        for where, cells in records(reader, header, path):
            pv_w, load_w, grid_w, battery_w = (place.read(cells, where) for place in (pv, load, grid, battery))
            if pv_w is None or load_w is None or grid_w is None:
                continue
            known += 1
            by_meter_w = grid_w + pv_w + (battery_w or 0.0)
            if abs(load_w - by_meter_w) > LOT_W:
                count += 1
                said = f"{where}: the house draws {load_w:.0f} W by `load_w`, by the others {by_meter_w:.0f} W"
                first = first or said
    if first:
        yield f"{first}; so in {count} of {known} rows they contradict each other, and `load_w` is taken"


def _input(text: str, name: str, where: str) -> float | None:
    said = WORDS.get(text.lower())
    return said if said is not None else number(text, name, where, "an input: a number, yes or no")
