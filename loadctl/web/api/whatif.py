"""What other rules would have done on a day: asked of a process of its own, one at a time, for a limited time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Coroutine
from contextlib import suppress
from datetime import date
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from starlette.requests import Request
from starlette.responses import Response

from loadctl.errors import Fault
from loadctl.web.api.desk import Desk, body
from loadctl.web.api.problems import Problem
from loadctl.web.api.rules import faults, text_of
from loadctl.web.gate import LONGEST_RULES

LIMIT_S = 180.0  # a day of three loads takes a Raspberry Pi half a minute, and there are two
MODULE = "loadctl.lab.whatif"  # the lab stands above the page, so it is run and not imported
_ENVIRONMENT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "HOME", "TMPDIR", "TZ")  # the rules' secrets stay here


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", strict=True))
class Question:
    """These rules on this day."""

    text: str
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


async def replay(desk: Desk, request: Request) -> Response:
    """Answer with the course of a day under the draft, and under the rules as they are."""
    asked = await body(request, Question, LONGEST_RULES)
    try:
        day = date.fromisoformat(asked.day)
    except ValueError as error:
        raise Problem(422, "`day` is a day such as 2025-06-21") from error
    memory = desk.daemon.memory
    if memory is None:
        raise Problem(503, "no history is kept here: this is a rehearsal")
    if desk.replaying.locked():
        raise Problem(429, "a day is being replayed already: wait for it", headers={"retry-after": "5"})
    async with desk.replaying:
        now = await desk.beside(text_of, desk.daemon.house.path)
        question = {"memory": str(memory.path), "day": day.isoformat(), "yours": asked.text, "now": now}
        raw = await _while_waited_for(request, _answer(json.dumps(question).encode()))
    if raw.startswith(b'{"said"'):
        raise _refusal(json.loads(raw), str(desk.daemon.house.path))
    return Response(raw, media_type="application/json")


async def _while_waited_for(request: Request, answer: Coroutine[Any, Any, bytes]) -> bytes:
    """Return the answer; it is given up when nobody waits for it any more, or loadctl stops. Raises Problem."""
    asking, leaving = (
        asyncio.create_task(answer, name="what-if"),
        asyncio.create_task(_left(request), name="what-if left"),
    )
    try:
        await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError as error:
        raise Problem(503, "loadctl stops") from error
    finally:
        leaving.cancel()
        if not asking.done():
            asking.cancel()
            await asyncio.wait([asking])
    if asking.cancelled():
        raise Problem(503, "nobody waits for it any more")
    return asking.result()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(question: bytes) -> bytes:
    """Return what the process says. Raises Problem if it takes too long or breaks."""
    env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, stdin=PIPE, stdout=PIPE, stderr=None, env=env
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            raw, _ = await process.communicate(question)
    except TimeoutError as error:
        raise Problem(503, f"the replay took more than {LIMIT_S:.0f} s: this machine is too slow for it") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Problem(500, "the replay broke: the log tells more")
    return raw


def _refusal(told: dict[str, Any], path: str) -> Problem:
    if "faults" not in told:
        return Problem(422, told["said"])
    found = [Fault(path, each["line"], each["column"], each["path"], each["message"]) for each in told["faults"]]
    return Problem(422, told["said"], faults=faults(found, "error"))
