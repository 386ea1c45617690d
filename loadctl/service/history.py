"""What the memory knows of the past: questions, and whole tables to export. Only reads, also while the daemon writes.

Times come in as aware datetimes; a span holds its beginning and not its end. The last FLUSH_S may not be written yet.
"""

from __future__ import annotations

import csv
import importlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loadctl.errors import LoadctlError
from loadctl.service.ledger import MEANS, DecisionRow, Portion
from loadctl.service.store import PAYS, connect_to_read

What = Literal["minutes", "samples", "decisions", "energy"]
Kind = Literal["time", "number", "text"]
Row = Sequence[Any]

CHUNK = 10_000
HOUSE = ("import", "export", "production", "consumption", "charge", "discharge")

_DECISION = "wall_ms, load, verdict, phase, command_w, grid_w, pv_w, surplus_w, spare_w, sentence"
_BY = "FROM decisions WHERE wall_ms <= ?"


@dataclass(frozen=True, slots=True)
class Totals:
    """Energy of one day, or of all days before one: of the house by the kinds in HOUSE, and by load.

    `sun`: the part of what each load had that was not bought.
    """

    house: Mapping[str, Portion]
    loads: Mapping[str, Portion]
    sun: Mapping[str, Portion] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Minute:
    """Means of one minute in W; `seconds` of it were measured. `loads`: name to (mean W, seconds on)."""

    begin: datetime
    seconds: float
    pv_w: float | None
    load_w: float | None
    grid_w: float | None
    battery_w: float | None
    soc_pct: float | None
    surplus_w: float | None
    loads: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that changed something, and what it was made on."""

    time: datetime
    row: DecisionRow


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with named columns; a `time` is an aware datetime in the site's zone."""

    columns: Mapping[str, Kind]
    rows: Iterator[Row]


class Unreadable(LoadctlError):  # noqa: N818 - reads as what it is
    """There is no history, or it does not answer; later it may."""


class History:
    """The file at `path`. Raises LoadctlError if there is none that can be read; close it, or use `with`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = connect_to_read(path)
        except FileNotFoundError as error:
            raise Unreadable(f"{path}: there is no history here: has loadctl run, with this --state-dir?") from error
        except (sqlite3.Error, OSError) as error:
            raise Unreadable(f"{path}: cannot be read: {error}") from error
        row = self._read("SELECT zone FROM house").fetchone()
        self.zone = _zone(row[0] if row else "UTC")

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def totals(self, day: date) -> Totals:
        """Return the energy of one day of the site."""
        return self._totals("SELECT kind, load, wh, seconds, starts FROM energy WHERE day = ?", day)

    def baseline(self, day: date) -> Totals:
        """Return what all meters would have shown at the midnight that `day` began with, had they begun at zero."""
        return self._totals(
            "SELECT kind, load, sum(wh), sum(seconds), sum(starts) FROM energy WHERE day < ? GROUP BY kind, load", day
        )

    def minutes(self, begin: datetime, end: datetime) -> Iterator[Minute]:
        """Yield the minutes from `begin` on that start before `end`; those in which nothing was known are missing."""
        span = (-(-begin.timestamp() // 60), -(-end.timestamp() // 60))
        parts = self._read("SELECT * FROM load_minutes WHERE minute >= ? AND minute < ? ORDER BY minute", span)
        part = parts.fetchone()
        for minute, seconds, *means in self._read(
            f"SELECT minute, seconds, {', '.join(MEANS)} FROM minutes"  # noqa: S608 - names of ours
            " WHERE minute >= ? AND minute < ? ORDER BY minute",
            span,
        ):
            loads = {}
            while part is not None and part[0] <= minute:
                if part[0] == minute:
                    loads[part[1]] = (part[2] * 3600 / (seconds or 60.0), part[3])
                part = parts.fetchone()
            known: dict[str, Any] = dict(zip(MEANS, means, strict=True))
            yield Minute(self._time(minute * 60), seconds, loads=loads, **known)

    def measured_around(self, at: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the last measured minute that began by `at`, and the first one after it."""
        minute = at.timestamp() // 60
        found = self._read(
            "SELECT (SELECT max(minute) FROM minutes WHERE minute <= ? AND seconds > 0),"
            " (SELECT min(minute) FROM minutes WHERE minute > ? AND seconds > 0)",
            (minute, minute),
        ).fetchone()
        before, after = (None if one is None else self._time(one * 60) for one in found)
        return before, after

    def loads_before(self, at: datetime) -> list[str]:
        """Return the loads that anything was decided about by `at`."""
        until = (at.timestamp() * 1000,)
        return [name for (name,) in self._read(f"SELECT DISTINCT load {_BY} ORDER BY load", until)]

    def before(self, at: datetime, load: str) -> Iterator[Decision]:
        """Yield the decisions on a load up to `at`, the newest first."""
        query = f"SELECT {_DECISION} {_BY} AND load = ? ORDER BY wall_ms DESC, id DESC"
        for row in self._read(query, (at.timestamp() * 1000, load)):
            yield Decision(self._time(row[0] / 1000), DecisionRow(*row))

    def decisions(self, begin: datetime, end: datetime, load: str | None = None) -> Iterator[Decision]:
        """Yield the decisions in a span, of all loads or of one, oldest first."""
        for row in self._read(
            f"SELECT {_DECISION} FROM decisions"  # noqa: S608 - names of ours
            " WHERE wall_ms >= ? AND wall_ms < ? AND (? IS NULL OR load = ?) ORDER BY wall_ms, id",
            (*_span_ms(begin, end), load, load),
        ):
            yield Decision(self._time(row[0] / 1000), DecisionRow(*row))

    def latest(self, begin: datetime, end: datetime, load: str | None, most: int) -> list[Decision]:
        """Return the last decisions of a span, at most so many, oldest first."""
        rows = self._read(
            f"SELECT {_DECISION} FROM decisions"  # noqa: S608 - names of ours
            " WHERE wall_ms >= ? AND wall_ms < ? AND (? IS NULL OR load = ?) ORDER BY wall_ms DESC, id DESC LIMIT ?",
            (*_span_ms(begin, end), load, load, most),
        )
        return [Decision(self._time(row[0] / 1000), DecisionRow(*row)) for row in rows][::-1]

    def energy(self, first: date, last: date, letters: int) -> Iterator[Row]:
        """Yield (period, kind, load, Wh, s, starts); a period is what the first `letters` of the date say."""
        yield from self._read(
            "SELECT substr(day, 1, ?) AS period, kind, load, sum(wh), sum(seconds), sum(starts) FROM energy"
            " WHERE day >= ? AND day <= ? GROUP BY period, kind, load ORDER BY period",
            (letters, first.isoformat(), last.isoformat()),
        )

    def money(self, first: date, last: date, letters: int) -> Iterator[Row]:
        """Yield (period, kind, amount, s) of money, as `energy` does; nothing where it was not written down."""
        if int(self._read("PRAGMA user_version").fetchone()[0]) < PAYS:
            return
        yield from self._read(
            "SELECT substr(day, 1, ?) AS period, kind, sum(amount), sum(seconds) FROM money"
            " WHERE day >= ? AND day <= ? GROUP BY period, kind",
            (letters, first.isoformat(), last.isoformat()),
        )

    def flows(self, begin: float, end: float) -> tuple[float, float, float]:
        """Return the Wh that the minutes in a span (POSIX) imported, used and exported."""
        row = self._read(
            "SELECT total(max(grid_w, 0) * seconds) / 3600, total(max(load_w, 0) * seconds) / 3600,"
            " total(max(-grid_w, 0) * seconds) / 3600 FROM minutes WHERE minute >= ? AND minute < ?",
            (begin // 60, end // 60),
        ).fetchone()
        return row[0], row[1], row[2]

    def stretches(
        self, begin: datetime, end: datetime, length: int, shift: int, means: str
    ) -> tuple[list[Row], list[Row]]:
        """Return (index, s measured, s, *means) of the house and (index, load, Wh), by stretches of `length` minutes.

        A stretch begins where `minute + shift` can be divided by `length`. `means`: SQL over the minutes.
        """
        span = (-(-begin.timestamp() // 60), -(-end.timestamp() // 60))
        house = self._read(
            f"SELECT (minute + {shift}) / {length} AS i, total(seconds), count(*) * 60.0, {means}"  # noqa: S608
            " FROM minutes WHERE minute >= ? AND minute < ? GROUP BY i ORDER BY i",
            span,
        ).fetchall()
        loads = self._read(
            f"SELECT (minute + {shift}) / {length} AS i, load, sum(wh) FROM load_minutes"  # noqa: S608
            " WHERE minute >= ? AND minute < ? GROUP BY i, load",
            span,
        ).fetchall()
        return house, loads

    def limit(self, seconds: float) -> None:
        """Have every question that takes longer than until so many seconds from now raise LoadctlError."""
        end = monotonic() + seconds
        self._connection.set_progress_handler(lambda: monotonic() > end, 10_000)

    def table(self, what: What, begin: datetime, end: datetime) -> Table:
        """Return a table to export; its rows are read as they are asked for."""
        tables: Mapping[What, Callable[[datetime, datetime], Table]] = {
            "minutes": self._minutes_table,
            "samples": self._samples_table,
            "decisions": self._decisions_table,
            "energy": self._energy_table,
        }
        return tables[what](begin, end)

    def _minutes_table(self, begin: datetime, end: datetime) -> Table:
        names = self._load_names()
        numbers = [*MEANS, "seconds", *(f"{name}.power_w" for name in names), *(f"{name}.on_s" for name in names)]

        def rows() -> Iterator[Row]:
            for minute in self.minutes(begin, end):
                means = (_short(getattr(minute, name)) for name in MEANS)
                drawn = [minute.loads.get(name, (0.0, 0.0)) for name in names]
                powers, on_s = (_short(watts) for watts, _ in drawn), (_short(seconds) for _, seconds in drawn)
                yield (minute.begin, *means, _short(minute.seconds), *powers, *on_s)

        return Table(_numbers(numbers), rows())

    def _samples_table(self, begin: datetime, end: datetime) -> Table:
        names = self._load_names()
        numbers = [*MEANS, "grid_up", *(f"{name}.power_w" for name in names)]

        def rows() -> Iterator[Row]:
            for wall_ms, *values, grid_up, draws in self._read(
                f"SELECT wall_ms, {', '.join(MEANS)}, grid_up, draws FROM samples"  # noqa: S608 - names of ours
                " WHERE wall_ms >= ? AND wall_ms < ? ORDER BY wall_ms",
                _span_ms(begin, end),
            ):
                drawn = json.loads(draws) if draws else {}
                powers = (drawn.get(name, 0.0) for name in names)
                yield (self._time(wall_ms / 1000), *map(_short, values), grid_up, *powers)

        return Table(_numbers(numbers), rows())

    def _decisions_table(self, begin: datetime, end: datetime) -> Table:
        columns: dict[str, Kind] = {"time": "time", "load": "text", "verdict": "text", "phase": "text"}
        columns |= dict.fromkeys(("command_w", "grid_w", "pv_w", "surplus_w", "spare_w"), "number")
        columns["sentence"] = "text"

        def rows() -> Iterator[Row]:
            for found in self.decisions(begin, end):
                row = found.row
                numbers = (row.command_w, row.grid_w, row.pv_w, row.surplus_w, row.spare_w)
                yield (found.time, row.load, row.verdict, row.phase, *map(_short, numbers), row.sentence)

        return Table(columns, rows())

    def _energy_table(self, begin: datetime, end: datetime) -> Table:
        """By the site's days, from the day of `begin` up to the day that holds the last moment before `end`."""
        first = begin.astimezone(self.zone).date().isoformat()
        last = self._time(end.timestamp() - 0.001).date().isoformat()
        columns: dict[str, Kind] = dict.fromkeys(("day", "kind", "load"), "text")
        columns |= dict.fromkeys(("wh", "seconds", "starts"), "number")

        def rows() -> Iterator[Row]:
            for *names, wh, seconds, starts in self._read(
                "SELECT * FROM energy WHERE day >= ? AND day <= ? ORDER BY day, kind, load", (first, last)
            ):
                yield (*names, round(wh, 3), _short(seconds), starts)

        return Table(columns, rows())

    def _load_names(self) -> list[str]:
        return [name for (name,) in self._read("SELECT DISTINCT load FROM energy WHERE kind = 'load' ORDER BY load")]

    def _totals(self, query: str, day: date) -> Totals:
        house: dict[str, Portion] = {}
        by_load: dict[str, dict[str, Portion]] = {"load": {}, "sun": {}}
        for kind, load, wh, seconds, starts in self._read(query, (day.isoformat(),)):
            portion = Portion(wh, seconds, starts)
            if kind in by_load:
                by_load[kind][load] = portion
            else:
                house[kind] = portion
        return Totals(house, by_load["load"], by_load["sun"])

    def _read(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise Unreadable(f"{self.path}: cannot be read: {error}") from error

    def _time(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, self.zone)


def write_csv(table: Table, out: IO[str]) -> None:
    """Write a header and one line per row; times are ISO 8601 with the site's offset, what is unknown is empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_text(value) for value in row] for row in table.rows)


def write_json(table: Table, out: IO[str]) -> None:
    """Write an array with one object per line."""
    before = "[\n"
    for row in table.rows:
        values = dict(zip(table.columns, map(_text, row), strict=True))
        out.write(before + json.dumps(values, ensure_ascii=False))
        before = ",\n"
    out.write("\n]\n" if before == ",\n" else "[]\n")


def write_parquet(table: Table, path: Path, zone: str) -> None:
    """Write a Parquet file. Raises LoadctlError where pyarrow is not installed."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise LoadctlError(
            "Parquet needs pyarrow, which is not installed: pip install 'loadctl[parquet]', or take --format csv"
        ) from error
    kinds = {"time": arrow.timestamp("ms", zone), "number": arrow.float64(), "text": arrow.string()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        while chunk := list(islice(table.rows, CHUNK)):
            columns = [
                arrow.array(values, field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _span_ms(begin: datetime, end: datetime) -> tuple[float, float]:
    return begin.timestamp() * 1000, end.timestamp() * 1000


def _numbers(names: Sequence[str]) -> dict[str, Kind]:
    columns: dict[str, Kind] = {"time": "time"}
    columns |= dict.fromkeys(names, "number")
    return columns


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return value
