"""What the answers have in common: where they look, and how they read what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp

from loadctl.service.daemon import Daemon
from loadctl.service.today import Today
from loadctl.web.api.live import Live
from loadctl.web.api.problems import Problem
from loadctl.web.lock import Lock

THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every answer may look at, and what few may do at a time: ask the history, check, save and replay rules.

    What may wait for the disk does so in `threads`. The loop's own look up the addresses of devices, and a disk that
    hangs must take none of them.
    """

    daemon: Daemon
    today: Today
    live: Live
    lock: Lock
    threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="page"))
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    checking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    replaying: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def beside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, done beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(work, *args, **kwargs))


Handler = Callable[[Desk, Request], Awaitable[ASGIApp]]


async def body(request: Request, what: type[T], longest: int) -> T:
    """Read the JSON body as the dataclass `what`. Raises Problem that says what is wrong with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "a body of `content-type: application/json` is meant here")
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > longest:
                raise Problem(413, f"too long: at most {longest} bytes", headers={"connection": "close"})
    except ClientDisconnect as error:
        raise Problem(400, "the request broke off") from error
    try:
        found: T = _adapter(cast("Any", what)).validate_json(bytes(raw))
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors(include_url=False, include_input=False)[0])
        if first["type"] == "json_invalid":
            raise Problem(400, "the body is not JSON") from error
        place = ".".join(str(step) for step in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ")
        raise Problem(422, f"{place}: {said}" if place else said) from error
    return found


@cache
def _adapter(what: Any) -> TypeAdapter[Any]:  # it takes a millisecond to make
    return TypeAdapter(what)


def query(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters of the address, each at most once. Raises Problem for one that is not `known`."""
    given = request.query_params
    for name, _ in given.multi_items():
        if name not in known:
            raise Problem(422, f"there is no parameter `{name[:40]}` here; known: {', '.join(known) or 'none'}")
        if len(given.getlist(name)) > 1:
            raise Problem(422, f"`{name}` stands there twice")
    return dict(given)
