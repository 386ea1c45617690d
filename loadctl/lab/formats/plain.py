"""loadctl's own traces: `time`, `pv_w`, `load_w` and/or `grid_w`, and what else is known.

`load_w` is the house without the loads that loadctl switches (so is `grid_w`: of a house that had none), `battery_w` (+
discharging) and `soc_pct` its battery. Every other column is an input of that name, in its base unit. An empty cell is
not known. Without `pv_w` nothing is known of the sun, and `grid_w` alone counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path

from loadctl.errors import LoadctlError
from loadctl.lab.formats.table import (
    NOTHING,
    WORDS,
    Entities,
    Row,
    Source,
    Times,
    cell,
    column,
    house_w,
    lines,
    number,
)

POWERS = ("pv_w", "load_w", "grid_w", "battery_w")
KNOWN = ("time", *POWERS, "soc_pct")


def is_mine(header: Sequence[str]) -> bool:
    """Tell by the names of the columns."""
    return "time" in header


def opened(path: Path, zone: tzinfo, entities: Entities) -> Source:  # noqa: ARG001 - its columns have their names
    """Make it ready to be read, more than once."""
    return Source(partial(rows, path, zone))


def rows(path: Path, zone: tzinfo) -> Iterator[Row]:
    """Yield the rows of a file. Raises LoadctlError that says where and what is wrong with it."""
    with lines(path) as reader:
        header = [name.strip() for name in next(reader)]
        if "load_w" not in header and "grid_w" not in header:
            missing = "`load_w` (the house without its loads) or `grid_w` is missing"
            raise LoadctlError(f"{path}:1: {missing}: the columns are {', '.join(header)}")
        if "pv_w" not in header and "grid_w" not in header:
            raise LoadctlError(f"{path}:1: `pv_w` is missing, and no `grid_w` is there to do without it")
        time_at, times = header.index("time"), Times(zone)
        pv_at, load_at, grid_at, battery_at = (column(header, name) for name in POWERS)
        soc_at = column(header, "soc_pct")
        others = [(index, name) for index, name in enumerate(header) if name and name not in KNOWN]
        for cells in reader:
            if not cells:
                continue
            where = f"{path}:{reader.line_num}"
            time = times.read(cell(cells, time_at), where)
            pv_w, load_w, grid_w, battery_w = (
                number(cell(cells, at), name, where)
                for at, name in ((pv_at, "pv_w"), (load_at, "load_w"), (grid_at, "grid_w"), (battery_at, "battery_w"))
            )
            if pv_at is None:
                load_w = None  # without the sun it says nothing about the surplus
            soc = number(cell(cells, soc_at), "soc_pct", where, "a number of percent")
            inputs = {name: value for at, name in others if (value := _input(cell(cells, at), name, where)) is not None}
            base_w = house_w(load_w, grid_w, 0.0 if pv_at is None else pv_w, battery_w)
            yield Row(time, pv_w, base_w, battery_w, soc, inputs or NOTHING)


def _input(text: str, name: str, where: str) -> float | None:
    said = WORDS.get(text.lower())
    return said if said is not None else number(text, name, where, "an input: a number, yes or no")
