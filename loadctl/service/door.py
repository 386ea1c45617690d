"""The door for commands from this machine: a Unix socket in the state directory that only its owner can open.

A question is one line of JSON, and so is the answer:
`{"do": "override", "load": "boiler", "state": "on", "for_s": 7200}`
is answered by `{"ok": true, "said": "…"}` or `{"ok": false, "said": "…"}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from loadctl.errors import LoadctlError

NAME = "loadctl.sock"
LONGEST_LINE = 4096
PATIENCE_S = 5.0  # for a whole line, or to take an answer

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def door(state_dir: Path, answer: Answer) -> AsyncIterator[None]:
    """Keep the door open. Raises LoadctlError if another loadctl answers at it: two would fight over the relays."""
    path = state_dir / NAME
    if await asyncio.to_thread(_somebody_answers, path):
        raise LoadctlError(f"another loadctl runs with {state_dir}; stop it, or give this one its own --state-dir")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):  # a visitor that behaves oddly harms only itself
            async with asyncio.timeout(PATIENCE_S):
                said = _reply(await reader.readline(), answer)
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    former = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, path, limit=LONGEST_LINE)
    finally:
        os.umask(former)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _reply(line: bytes, answer: Answer) -> Mapping[str, Any]:
    try:
        question = json.loads(line)
    except ValueError:
        return {"ok": False, "said": "that is not a line of JSON"}
    if not isinstance(question, dict):
        return {"ok": False, "said": "that is not a JSON object"}
    try:
        return {"ok": True, **answer(question)}
    except LoadctlError as error:
        return {"ok": False, "said": str(error)}


def _somebody_answers(path: Path) -> bool:
    try:
        knock(path.parent, {"do": "hello"})
    except LoadctlError:
        return False
    return True


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
    except (OSError, ValueError) as error:
        raise LoadctlError(f"no loadctl runs with {state_dir}: start it, or name its --state-dir") from error
    return said
