"""The rule file in the browser: read, checked as one types, saved with a backup and taken over without a restart.

What stands in the file may be secret, so all of this is for the owner. What was checked here and is written down is
read again by the daemon, which would keep its rules if it could not use them.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loadctl.config import parse
from loadctl.errors import ConfigError, Fault
from loadctl.web.api.desk import Desk, body, query
from loadctl.web.api.problems import Problem
from loadctl.web.gate import LONGEST_RULES

BACKUPS = 20
_QUOTED = re.compile(r"`[^`]*`")
_HINT = re.compile(rf"((?:[^`]|{_QUOTED.pattern})*?)(?:; |: (?=write |give ))(.+)", re.DOTALL)
_STRICT = ConfigDict(extra="forbid", strict=True)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Draft:
    """Rules that are being written."""

    text: str


@dataclass(frozen=True, slots=True, config=_STRICT)
class Edition:
    """Rules to save; `revision`: of the file that was edited."""

    text: str
    revision: Annotated[str, Field(max_length=64)]


async def show(desk: Desk, request: Request) -> Response:
    """Answer with the file as it is."""
    query(request)
    house = desk.daemon.house
    text = await desk.beside(text_of, house.path)
    told = {
        "path": str(house.path),
        "text": text,
        "revision": revision(text),
        "writable": await desk.beside(_writable, house.path),
        "warnings": faults(house.notes, "warning"),
    }
    return JSONResponse(told, headers={"cache-control": "no-store"})


async def check(desk: Desk, request: Request) -> Response:
    """Answer with all that is wrong with a draft."""
    draft = await body(request, Draft, LONGEST_RULES)
    found = await _checked(desk, draft.text)
    return JSONResponse({"ok": not any(fault["severity"] == "error" for fault in found), "faults": found})


async def save(desk: Desk, request: Request) -> Response:
    """Write the file if it can be used and is still the one that was edited; the daemon reads it at once."""
    edition = await body(request, Edition, LONGEST_RULES)
    path = desk.daemon.house.path
    async with desk.saving:
        if revision(await desk.beside(text_of, path)) != edition.revision:
            raise Problem(409, "the file was changed meanwhile: read it again, then save")
        found = await _checked(desk, edition.text)
        errors = [fault for fault in found if fault["severity"] == "error"]
        if errors:
            count = f"{len(errors)} faults" if len(errors) > 1 else "a fault"
            raise Problem(422, f"the rules have {count}: nothing was saved", faults=found)
        try:
            backup = await desk.beside(write, path, edition.text, desk.daemon.clock.wall())
        except OSError as error:
            raise Problem(403, f"{path}: cannot be written: {error.strerror or error}") from error
    desk.daemon.reload()
    return JSONResponse({"revision": revision(edition.text), "backup": str(backup)})


def faults(found: Iterable[Fault], severity: str) -> list[Json]:
    """Return faults as JSON, what is wrong apart from what to do about it."""
    return [
        {
            "line": fault.line,
            "column": fault.column,
            "message": message,
            "hint": hint,
            "severity": severity,
            "where": fault.path,
        }
        for fault in found
        for message, hint in (halves(fault.message),)
    ]


def halves(said: str) -> tuple[str, str | None]:
    """Split `18h is no time; write 18:00` into what is wrong and the hint; backticks are not looked into."""
    parted = _HINT.fullmatch(said)
    if parted is None or not _QUOTED.sub("", parted[1]).strip():
        return said, None  # `dusk`: write `sunset`
    return parted[1], parted[2]


def revision(text: str) -> str:
    """Return what names a state of the file."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(path: Path, text: str, now: datetime) -> Path:
    """Put `text` in the place of the file, as a whole or not at all, and keep what was there. Return where that is.

    Raises OSError.
    """
    path = path.resolve()  # a link stays one
    backup = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}.bak")
    _put(backup, path.read_bytes(), path)
    _put(path, text.encode(), path)
    for old in sorted(path.parent.glob(f"{path.name}.*T*.bak"))[:-BACKUPS]:
        with suppress(OSError):
            old.unlink()
    return backup


def _put(path: Path, content: bytes, like: Path) -> None:
    """Write a file beside and move it to its place, with the rights of the file `like`."""
    kept = like.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(kept.st_mode & 0o777)
        with suppress(PermissionError):
            os.chown(part, kept.st_uid, kept.st_gid)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


async def _checked(desk: Desk, text: str) -> list[Json]:
    """Return what is wrong with a text, as the daemon would find it. One at a time: it takes a tenth of a second."""
    path = str(desk.daemon.house.path)
    async with desk.checking:
        return await desk.beside(_found, text, path)


def _found(text: str, path: str) -> list[Json]:
    try:
        house = parse(text, path)
    except ConfigError as error:
        return faults(error.faults, "error")
    return faults(house.notes, "warning")


def text_of(path: Path) -> str:
    """Return what stands in the rule file. Raises Problem."""
    try:
        if path.stat().st_size > LONGEST_RULES:
            raise Problem(503, f"{path}: too long for the page; edit it on the machine")
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeError) as error:
        raise Problem(503, f"{path}: cannot be read") from error


def _writable(path: Path) -> bool:
    path = path.resolve()
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
