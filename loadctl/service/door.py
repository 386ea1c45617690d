"""The door for commands from this machine: a Unix socket in the state directory that only its owner can open.

A question is one line of JSON, and so is the answer:
`{"do": "override", "load": "boiler", "state": "on", "for_s": 7200}`
is answered by `{"ok": true, "said": "…"}` or `{"ok": false, "said": "…"}`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from loadctl.errors import LoadctlError

NAME = "loadctl.sock"
LONGEST_LINE = 4096
PATIENCE_S = 5.0  # for a whole line, or to take an answer

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_log = logging.getLogger(__name__)


@contextmanager
def claim(state_dir: Path) -> Iterator[None]:
    """Have the state directory for ourselves; it is made if it is not there.

    Raises LoadctlError if another loadctl has it: two would fight over the relays. The kernel gives it back, however a
    process ends. Where there can be no such directory, that is told and nothing is kept in it.
    """
    with ExitStack() as stack:
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LoadctlError(
                f"another loadctl runs with {state_dir}: stop it, or give this one its own --state-dir"
            ) from error
        except OSError as error:
            _log.error("%s cannot be used: %s; loads are controlled all the same", state_dir, error.strerror or error)
        yield


@asynccontextmanager
async def door(state_dir: Path, answer: Answer) -> AsyncIterator[None]:
    """Keep the door open; only for who has claimed `state_dir`. Where there can be none, that is told."""
    path = state_dir / NAME

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):  # a visitor that behaves oddly harms only itself
            async with asyncio.timeout(PATIENCE_S):
                said = _reply(await reader.readline(), answer)
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
        writer.close()

    server = None
    former = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # of one that was killed
        server = await asyncio.start_unix_server(serve, path, limit=LONGEST_LINE)
    except OSError as error:
        _log.error("%s: no commands are taken there: %s", path, error.strerror or error)
    finally:
        os.umask(former)
    try:
        yield
    finally:
        if server is not None:
            server.close()
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _reply(line: bytes, answer: Answer) -> Mapping[str, Any]:
    try:
        question = json.loads(line)
    except (ValueError, RecursionError):
        return {"ok": False, "said": "that is not a line of JSON"}
    if not isinstance(question, dict):
        return {"ok": False, "said": "that is not a JSON object"}
    try:
        return {"ok": True, **answer(question)}
    except LoadctlError as error:
        return {"ok": False, "said": str(error)}


def knock(state_dir: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the daemon of `state_dir`; for commands. Raises LoadctlError if nobody opens."""
    path = state_dir / NAME
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(path))
            line.sendall(json.dumps(question).encode() + b"\n")
            with line.makefile("rb") as answer:
                said: dict[str, Any] = json.loads(answer.readline(LONGEST_LINE * 16))
    except PermissionError as error:
        raise LoadctlError(f"{path} belongs to somebody else: run this as the user that loadctl runs as") from error
    except TimeoutError as error:
        raise LoadctlError(f"the loadctl of {state_dir} does not answer: it is busy or hangs, see its log") from error
    except (OSError, ValueError) as error:
        raise LoadctlError(f"no loadctl runs with {state_dir}: start it, or name its --state-dir") from error
    return said
