"""What `loadctl history export` writes: minute means or readings, with what each of our loads drew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path

from loadctl.lab.formats.table import Entities, Row, Source, Times, cell, column, head, house_w, lines, number, records

MEANS = ("pv_w", "load_w", "grid_w", "battery_w", "soc_pct")
OWN = ".power_w"


def is_mine(header: Sequence[str]) -> bool:
    """Tell by the names of the columns."""
    return {"time", "surplus_w", *MEANS} <= set(header)


def opened(path: Path, zone: tzinfo, entities: Entities) -> Source:  # noqa: ARG001 - its columns have their names
    """Make it ready to be read, more than once."""
    return Source(partial(rows, path, zone))


def rows(path: Path, zone: tzinfo) -> Iterator[Row]:
    """Yield the rows of a file. Raises LoadctlError that says where and what is wrong with it."""
    with lines(path) as reader:
        header = head(next(reader))
        time_at, seconds_at, times = header.index("time"), column(header, "seconds"), Times(zone)
        places = [(column(header, name), name) for name in MEANS]
        own = [(index, name) for index, name in enumerate(header) if name.endswith(OWN)]
        for where, cells in records(reader, header, path):
            time = times.read(cell(cells, time_at), where)
            pv_w, load_w, grid_w, battery_w, soc_pct = (number(cell(cells, at), name, where) for at, name in places)
            own_w = sum(number(cell(cells, at), name, where) or 0.0 for at, name in own)
            measured = seconds_at is None or number(cell(cells, seconds_at), "seconds", where) != 0
            yield remembered(time, pv_w, load_w, grid_w, battery_w, soc_pct, own_w, measured=measured)


def remembered(
    time: float,
    pv_w: float | None,
    load_w: float | None,
    grid_w: float | None,
    battery_w: float | None,
    soc_pct: float | None,
    own_w: float,
    *,
    measured: bool,
) -> Row:
    """Return a row of loadctl's memory without our loads. A meter that sees no sun leaves only what it saw."""
    if not measured:
        return Row(time, None, None)
    if pv_w is None:
        return Row(time, None, house_w(None, grid_w, 0.0, battery_w, own_w), battery_w, soc_pct)
    pv_w = max(0.0, pv_w)  # an inverter that draws a little at night is part of the house
    return Row(time, pv_w, house_w(load_w, grid_w, pv_w, battery_w, own_w), battery_w, soc_pct)
