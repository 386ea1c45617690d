"""What all kinds of traces share: rows of numbers, read one after the other."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple, Protocol

from loadctl.errors import LoadctlError

NOTHING: Mapping[str, float] = {}  # shared by all that know nothing more; no mapping proxy, for that cannot be pickled
POWERS = ("pv_w", "load_w", "grid_w", "battery_w")
KNOWN = ("time", *POWERS, *(name.replace("_w", "_kw") for name in POWERS), "soc_pct")
MOST_W = 1_000_000.0  # nothing in a house has more
NIGHT_W = -200.0  # an inverter draws no more than that at night
WORDS = {"on": 1.0, "yes": 1.0, "true": 1.0, "off": 0.0, "no": 0.0, "false": 0.0}


# Which series of a file is which, such as (`pv`, `sensor.roof`): for files that name them as somebody's house does.
Entities = tuple[tuple[str, str], ...]


class Row(NamedTuple):
    """What was so from `time` (POSIX) on. `base_w`: the house without our loads, its battery taken out; None: unknown.

    `pv_w` None: nobody sees the sun; then `base_w` is less what the panels gave.
    `battery_w`: + discharging. `inputs`: what else was recorded, by name, in base units.
    """

    time: float
    pv_w: float | None
    base_w: float | None
    battery_w: float | None = None
    soc_pct: float | None = None
    inputs: Mapping[str, float] = NOTHING


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that can be gone through again. `holds_s`: a row holds for so long at most; None: as its steps have it.

    `notes`: what was guessed, for a person.
    """

    rows: Callable[[], Iterator[Row]]
    holds_s: float | None = None
    notes: tuple[str, ...] = field(default=())


class Lines(Protocol):
    """What `csv.reader` is."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


def header_of(path: Path) -> list[str]:
    """Return the names of the columns; an empty file has none. Raises LoadctlError."""
    with lines(path) as reader:
        return head(next(reader, []))


def head(cells: Sequence[str]) -> list[str]:
    """Return the names of columns; ours may be in capitals."""
    names = [name.strip() for name in cells]
    return [name.lower() if name.lower() in KNOWN else name for name in names]


@contextmanager
def lines(path: Path) -> Iterator[Lines]:
    """Open a CSV file, with commas, semicolons or tabs. What cannot be read of it is a LoadctlError with its name."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            yield csv.reader(file, delimiter=max(",;\t", key=first.count))
    except OSError as error:
        raise LoadctlError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LoadctlError(f"{path}: is no CSV file in UTF-8: {error}") from error


def records(reader: Lines, header: Sequence[str], path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each line with its place. Raises LoadctlError if one has more cells than there are names."""
    for cells in reader:
        if not cells:
            continue
        where = f"{path}:{reader.line_num}"
        if any(cells[len(header) :]):
            more = f"{len(cells)} cells below {len(header)} names of columns"
            raise LoadctlError(f"{where}: {more}: write numbers with a point, and nothing behind the last")
        yield where, cells


def column(header: Sequence[str], name: str) -> int | None:
    """Return where a column stands; None: there is none."""
    return header.index(name) if name in header else None


def cell(cells: Sequence[str], index: int | None) -> str:
    """Return what stands in a cell; a line may be short."""
    return cells[index].strip() if index is not None and index < len(cells) else ""


def moment(text: str, zone: tzinfo, where: str) -> float:
    """Read a time; without an offset it is the site's. Raises LoadctlError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise LoadctlError(f"{where}: `time` reads like 2025-06-21T12:00:00, not `{text[:40]}`") from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()


@dataclass(slots=True)
class Times:
    """Reads the times of a file, one row after the other: they must go forward.

    What runs back in the hour that the clock of `zone` shows twice is of the second time.
    """

    zone: tzinfo
    _last: float | None = None
    _text: str = ""

    def read(self, text: str, where: str) -> float:
        """Return the time of a row. Raises LoadctlError."""
        found = moment(text, self.zone, where)
        if self._last is not None and found <= self._last:
            found = self._second_time(text, where)
        self._last, self._text = found, text
        return found

    def _second_time(self, text: str, where: str) -> float:
        face = datetime.fromisoformat(text)
        naive = face.tzinfo is None
        again = face.replace(tzinfo=self.zone, fold=1).timestamp() if naive else face.timestamp()
        if self._last is None or again > self._last:
            return again
        if again == self._last:
            raise LoadctlError(f"{where}: the time {text[:40]} comes twice: remove the second row")
        offset = "write times with an offset such as +01:00, or " if naive else ""
        raise LoadctlError(
            f"{where}: time runs backwards from {self._text[:40]} to {text[:40]}: {offset}put the rows in order"
        )


def number(text: str, key: str, where: str, what: str = "a number of watts") -> float | None:
    """Read a number; an empty cell is not known. Raises LoadctlError."""
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = nan
    if not isfinite(found):
        hint = ": write it with a point" if "," in text else ""
        raise LoadctlError(f"{where}: `{key}` is {what}, not `{text[:40]}`{hint}")
    return found


def power(text: str, key: str, where: str, times: float = 1.0) -> float | None:
    """Read a power that becomes watts by `times`; an empty cell is not known. Raises LoadctlError."""
    found = number(text, key, where, "a number of watts" if times == 1 else "a number of kilowatts")
    if found is None:
        return None
    if abs(found * times) > MOST_W:
        raise LoadctlError(f"{where}: `{key}` is {text[:40]}: that is more than a megawatt, which no house has")
    return found * times


def sun_w(pv_w: float | None, where: str, hint: str = "") -> float | None:
    """Return what panels give: the little that an inverter draws at night is the house's. Raises LoadctlError."""
    if pv_w is not None and pv_w < NIGHT_W:
        raise LoadctlError(f"{where}: the panels give {pv_w:.0f} W, which cannot be: turn the sign around{hint}")
    return None if pv_w is None else max(0.0, pv_w)


def house_w(
    load_w: float | None, grid_w: float | None, pv_w: float | None, battery_w: float | None, own_w: float = 0.0
) -> float | None:
    """Return what the house draws without our loads, whose draw is `own_w`; None: not known.

    Without `load_w` it is what came over the meter, from the panels and out of the battery. Nothing is known of a house
    whose panels are not known for a while (`pv_w` None).
    """
    if pv_w is None:
        return None
    if load_w is not None:
        return load_w - own_w
    return None if grid_w is None else grid_w + pv_w + (battery_w or 0.0) - own_w
