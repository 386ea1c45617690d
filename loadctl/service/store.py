"""The memory's file: SQLite in WAL mode. Everything here runs on the one thread that owns the connection.

A file that is damaged is set aside under a name with the date, one that is not ours or comes from a newer loadctl is
left alone. What the disk refuses is an answer, a sentence for the page, and never the end of control.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from loadctl.core.values import AnyWish, State
from loadctl.errors import LoadctlError
from loadctl.service.energy import Session
from loadctl.service.ledger import MEANS, Leaves
from loadctl.service.resume import Moment, Saved, SavedLoad, as_ages, from_ages

SCHEMA = 3
LEARNS = 2  # the first schema that has a place for what was learned
PAYS = 3  # and for money
APPLICATION = 0x6C6F6164  # "load"
BUSY_S = 2.0
PRUNE_EVERY_S = 600.0

# Each round removes at most about twice what was added since the last one, so that a clock that is wrong for an hour
# costs an hour of history and not all of it.
PRUNE_SAMPLES = 1200
PRUNE_MINUTES = 20
PRUNE_DECISIONS = 200

_WISHES = TypeAdapter(tuple[AnyWish, ...])
_SESSION = TypeAdapter(Session | None)
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# A minute in which loadctl was started again, or that the clock showed twice, is the mean of its parts.
_MEAN = (
    "{0} = CASE WHEN excluded.{0} IS NULL THEN {0} WHEN {0} IS NULL THEN excluded.{0}"
    " ELSE ({0} * seconds + excluded.{0} * excluded.seconds) / (seconds + excluded.seconds) END"
)
_ADD_MINUTE = (
    f"INSERT INTO minutes (minute, seconds, {', '.join(MEANS)}) VALUES (?, ?{', ?' * len(MEANS)})"  # noqa: S608
    f" ON CONFLICT DO UPDATE SET {', '.join(_MEAN.format(name) for name in MEANS)},"
    " seconds = seconds + excluded.seconds"
)
_ADD_LOAD_MINUTE = (
    "INSERT INTO load_minutes VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET wh = wh + excluded.wh, on_s = on_s + excluded.on_s"
)
_ADD_ENERGY = (
    "INSERT INTO energy VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET wh = wh + excluded.wh, seconds = seconds + excluded.seconds,"
    " starts = starts + excluded.starts"
)
_ADD_MONEY = (
    "INSERT INTO money VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, seconds = seconds + excluded.seconds"
)
_ADD_DECISION = (
    "INSERT INTO decisions (wall_ms, load, verdict, phase, command_w, grid_w, pv_w, surplus_w, spare_w, sentence)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Keep:
    """How long history stays, in days. Energy by the day stays for good: it is small."""

    samples_days: float = 1.0
    minutes_days: float = 730.0
    decisions_days: float = 730.0


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one flush writes. `saved.loads` holds the loads of the present rules only.

    `saved.learned` may be empty: what was learned is written more rarely, and what the file has of it stays.
    """

    saved: Saved
    zone: str
    leaves: Leaves


class Unfit(LoadctlError):  # noqa: N818 - reads as what it is
    """The file is not one to write to; it stays as it is."""


class Store:
    """The file at `path` and the connection to it, if there is one."""

    def __init__(self, path: Path, keep: Keep) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._keep = keep
        self._connection: sqlite3.Connection | None = None
        self._pruned_at: float | None = None

    def open(self, wall: datetime) -> tuple[Saved | None, str | None]:
        """Open or create the file; return what the last run left in it, and what is in the way of writing."""
        try:
            try:
                return load(self._connect()), None
            except sqlite3.DatabaseError as error:
                if not _is_damaged(error):
                    raise
                self._put_aside(wall)
                return load(self._connect()), None
        except (sqlite3.Error, OSError, Unfit) as error:
            self.close()
            return read_saved(self.path), self._trouble(error)

    def write(self, batch: Batch, wall: datetime) -> str | None:
        """Write a batch as one transaction, synced to the disk; or say why not."""
        try:
            try:
                self._write(batch)
            except sqlite3.DatabaseError as error:
                if not _is_damaged(error):
                    raise
                self._put_aside(wall)
                self._write(batch)
        except (sqlite3.Error, OSError, Unfit) as error:
            self.close()
            return self._trouble(error)
        return None

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):  # what is committed is safe; the rest was told when it failed
                self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        if not self.path.parent.is_dir():
            self.path.parent.mkdir(mode=0o700, parents=True)
        # SQLite gives its side files the mode of the file, so it is made here, for nobody else to read.
        if self.path.exists():
            _look(self.path, os.R_OK | os.W_OK)
        else:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _migrate(connection, self.path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 4194304")
        except (sqlite3.Error, Unfit):
            connection.close()
            raise
        self._connection = connection
        return connection

    def _write(self, batch: Batch) -> None:
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            _write_saved(connection, batch.saved, batch.zone)
            write_leaves(connection, batch.leaves)
            moment = batch.saved.moment
            if self._pruned_at is None or moment.at - self._pruned_at >= PRUNE_EVERY_S:
                _prune(connection, self._keep, moment.wall)
                self._pruned_at = moment.at
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _put_aside(self, wall: datetime) -> None:
        self.close()
        stem = f"{self.path.name}.damaged-{wall:%Y%m%dT%H%M%S}"
        aside = self.path.with_name(stem)
        count = 1
        while aside.exists():
            count += 1
            aside = self.path.with_name(f"{stem}-{count}")
        for ending in ("-wal", "-shm", ""):
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                part.rename(aside.with_name(aside.name + ending))
        self.set_aside = aside

    def _trouble(self, error: Exception) -> str:
        return str(error) if isinstance(error, Unfit) else f"{self.path}: {_plain(error)}"


def read_saved(path: Path) -> Saved | None:
    """Return what can be read of a file that is not, or cannot be, written: nothing is also an answer."""
    try:
        connection = connect_to_read(path)
    except (sqlite3.Error, OSError, Unfit):
        return None
    try:
        return load(connection)
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the file for reading only, also while the daemon writes. Raises Unfit, OSError or sqlite3.Error."""
    _look(path, os.R_OK)
    quoted = path.absolute().as_uri()
    connection = sqlite3.connect(f"{quoted}?mode=ro", uri=True, timeout=BUSY_S, check_same_thread=False)
    try:
        _fit(connection, path)
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # On a read-only disk SQLite cannot make the side files that it shares with a writer; there is no writer then.
        connection = sqlite3.connect(f"{quoted}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        _fit_or_close(connection, path)
    except (sqlite3.Error, Unfit):
        connection.close()
        raise
    return connection


def _look(path: Path, mode: int) -> None:
    """Raise OSError if the file cannot be read (or written), without opening it.

    To close any descriptor of the file would drop the locks that this process holds on it as the one that writes, and
    the next process to let go of the file would take its journal away (sqlite.org/howtocorrupt.html, 2.2).
    """
    path.stat()
    trouble = None
    if path.is_dir():
        trouble = errno.EISDIR
    elif not os.access(path, mode):
        trouble = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
    if trouble is not None:
        raise OSError(trouble, os.strerror(trouble), str(path))


def load(connection: sqlite3.Connection) -> Saved | None:
    """Read what the last run left; None: nothing. A row that makes no sense is left out. Raises sqlite3.Error."""
    row = connection.execute("SELECT at, wall, day, boot_id, trusted, state, wishes FROM house").fetchone()
    if row is None:
        return None
    moment = Moment(row[0], row[1], row[2], row[3], bool(row[4]))
    loads = {}
    for name, identity, at, wall, day, boot_id, trusted, text in connection.execute("SELECT * FROM standings"):
        with suppress(ValueError):
            values = json.loads(text)
            standing = from_ages(values, at)
            then = Moment(at, wall, day, boot_id, bool(trusted))
            session = _SESSION.validate_python(values.get("session"))
            loads[name] = SavedLoad(name, identity, then, standing, values.get("address"), session)
    try:
        state, wishes = _state(json.loads(row[5]), moment), _wishes(json.loads(row[6]), moment)
    except ValueError:
        state, wishes = State((), day=moment.day), ()
    return Saved(moment, state, loads, wishes, _learned(connection))


def _learned(connection: sqlite3.Connection) -> dict[str, Any]:
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) < LEARNS:
        return {}
    learned = {}
    for what, text in connection.execute("SELECT what, kept FROM learned"):
        with suppress(ValueError):
            learned[what] = json.loads(text)
    return learned


def _fit_or_close(connection: sqlite3.Connection, path: Path) -> None:
    try:
        _fit(connection, path)
    except (sqlite3.Error, Unfit):
        connection.close()
        raise


def _fit(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema of the file, 0 for an empty one. Raises Unfit for what is not to be touched."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION and (version or application or tables):
        raise Unfit(f"{path}: this is another program's file, it is left alone: choose another --state-dir")
    if version > SCHEMA:
        raise Unfit(
            f"{path}: written by a newer loadctl (schema {version}, this one knows {SCHEMA}), it is left alone:"
            " update loadctl or choose another --state-dir"
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _fit(connection, path)
    for number in range(version + 1, SCHEMA + 1):
        script = resources.files("loadctl.service").joinpath("schema", f"{number}.sql").read_text(encoding="utf-8")
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION};\n"
                f"PRAGMA user_version = {number};\nCOMMIT;"
            )
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _write_saved(connection: sqlite3.Connection, saved: Saved, zone: str) -> None:
    moment = saved.moment
    then = (moment.at, moment.wall, moment.day, moment.boot_id, moment.trusted)
    state = saved.state
    kept: dict[str, float | None] = {"next_id": state.next_id, "day": state.day}
    for name, since in (("outage_since", state.outage_since), ("steady_since", state.steady_since)):
        kept[name] = None if since is None else moment.at - since
    aged = (replace(wish, until=None if wish.until is None else wish.until - moment.at) for wish in saved.wishes)
    wishes = _WISHES.dump_python(tuple(aged), mode="json")
    connection.execute(
        "INSERT OR REPLACE INTO house VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*then, zone, json.dumps(kept), json.dumps(wishes)),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                load.name,
                load.identity,
                *then,
                json.dumps(
                    as_ages(load.standing, moment.at)
                    | {"address": load.address, "session": _SESSION.dump_python(load.session, mode="json")}
                ),
            )
            for load in saved.loads.values()
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO learned VALUES (?, ?)",
        [(what, json.dumps(kept, separators=(",", ":"))) for what, kept in saved.learned.items()],
    )


def write_leaves(connection: sqlite3.Connection, leaves: Leaves) -> None:
    """Add what ticks left behind to a file with this schema. Raises sqlite3.Error."""
    connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", leaves.samples)
    connection.executemany(_ADD_MINUTE, [(row.minute, row.seconds, *row.means) for row in leaves.minutes])
    connection.executemany(
        _ADD_LOAD_MINUTE, [(row.minute, name, wh, on_s) for row in leaves.minutes for name, wh, on_s in row.loads]
    )
    connection.executemany(
        _ADD_ENERGY, [(*key, part.wh, part.seconds, part.starts) for key, part in leaves.energy.items()]
    )
    connection.executemany(_ADD_MONEY, [(*key, money.amount, money.seconds) for key, money in leaves.money.items()])
    connection.executemany(_ADD_DECISION, [tuple(asdict(row).values()) for row in leaves.decisions])


def _prune(connection: sqlite3.Connection, keep: Keep, wall: float) -> None:
    connection.execute(
        "DELETE FROM samples WHERE wall_ms IN (SELECT wall_ms FROM samples WHERE wall_ms < ? ORDER BY wall_ms LIMIT ?)",
        ((wall - keep.samples_days * 86400) * 1000, PRUNE_SAMPLES),
    )
    connection.execute(
        "DELETE FROM minutes WHERE minute IN (SELECT minute FROM minutes WHERE minute < ? ORDER BY minute LIMIT ?)",
        ((wall - keep.minutes_days * 86400) / 60, PRUNE_MINUTES),
    )
    connection.execute("DELETE FROM load_minutes WHERE minute < (SELECT min(minute) FROM minutes)")
    connection.execute(
        "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE wall_ms < ? ORDER BY wall_ms LIMIT ?)",
        ((wall - keep.decisions_days * 86400) * 1000, PRUNE_DECISIONS),
    )


def _state(values: Mapping[str, Any], moment: Moment) -> State:
    def when(name: str) -> float | None:
        age = values.get(name)
        return None if age is None else moment.at - float(age)

    return State(
        (),
        next_id=int(values.get("next_id", 1)),
        outage_since=when("outage_since"),
        steady_since=when("steady_since"),
        day=int(values.get("day", moment.day)),
    )


def _wishes(values: list[dict[str, Any]], moment: Moment) -> tuple[AnyWish, ...]:
    return tuple(
        wish if wish.until is None else replace(wish, until=wish.until + moment.at)
        for wish in _WISHES.validate_python(values)
    )


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _plain(error: Exception) -> str:
    """Return what is wrong in words that say what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: make room"
    if code == sqlite3.SQLITE_READONLY:
        return "it cannot be written: is the disk read-only?"
    if code == sqlite3.SQLITE_CANTOPEN:
        return "it cannot be opened: is this a folder, or one without permission to write?"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another program holds it: does a second loadctl run with the same --state-dir?"
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk does not work: {error}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
