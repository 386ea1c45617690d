"""The state as it goes to everybody: made once per change, however many ask or listen.

An event stream is told the latest, never a queue of what was: a display that is slow skips what it missed. Nobody is
waited for. Whoever comes back with the id of what it has is told nothing until that changed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from loadctl.core.values import Outcome, Tick
from loadctl.service.daemon import Daemon
from loadctl.service.today import Today
from loadctl.web.api.problems import Problem
from loadctl.web.api.state import document, waiting

EVERY_S = 1.0  # real seconds between two events
FRESH_S = 0.1  # real seconds for which one document answers all who ask
HEARTBEAT_S = 15.0
MOST_STREAMS = 300
MOST_FROM_ONE = 24  # address; a reverse proxy on this machine speaks for many
TOLD_AT_ONCE = 16  # streams between two turns of the loop: a tick never waits for more

_PASSING = ("at", "seq")  # what changes without anything having changed


class Live:
    """An observer of the daemon; `seq` counts the changes since `run`, a random name of this process."""

    def __init__(self, daemon: Daemon, today: Today) -> None:
        self.seq = 0
        self.run = secrets.token_hex(4)
        self.listeners: set[Listener] = set()
        self._daemon = daemon
        self._today = today
        self._known: dict[str, Any] = {}
        self._body = b""
        self._made_at = -FRESH_S
        self._made_of: object = None
        self._telling: asyncio.Task[None] | None = None

    def __call__(self, _tick: Tick, _outcome: Outcome) -> None:
        if self.listeners and (self._telling is None or self._telling.done()):
            self._make()
            self._telling = asyncio.create_task(self._tell(), name="page events")

    @property
    def state(self) -> dict[str, Any]:
        """The document of now; not to be changed by whoever is given it."""
        self._make()
        return self._known

    @property
    def body(self) -> bytes:
        """The same as JSON."""
        self._make()
        return self._body

    @property
    def id(self) -> str:
        return f"{self.run}-{self.seq}"

    def listen(self, request: Request) -> Stream:
        """Return the answer to who wants to be told; raises Problem when too many do."""
        address = request.client.host if request.client is not None else ""
        count = Counter(listener.address for listener in self.listeners)
        if len(self.listeners) >= MOST_STREAMS or (count[address] >= MOST_FROM_ONE and not _here(address)):
            raise Problem(
                503, "too many displays listen: close some, or ask for the state", headers={"retry-after": "30"}
            )
        return Stream(self, address, request.headers.get("last-event-id", ""))

    def _make(self) -> None:
        """Make the document anew, if there was a tick since and the last one is not of just now."""
        daemon, now = self._daemon, asyncio.get_running_loop().time()
        if self._known and (daemon.last is self._made_of or now - self._made_at < FRESH_S):
            return
        if daemon.last is None:
            known = waiting(daemon, self._today)
        elif len(daemon.last[1].verdicts) == len(daemon.house.site.loads):
            known = document(daemon, self._today, *daemon.last)
        elif self._known:
            return  # between new rules and the first tick under them
        else:
            known = waiting(daemon, self._today)
        self._made_at, self._made_of = now, daemon.last
        if _shown(known) != _shown(self._known):
            self.seq += 1
        self._known = {"seq": self.seq} | known
        self._body = json.dumps(self._known, ensure_ascii=False, separators=(",", ":")).encode()

    async def _tell(self) -> None:
        """Wake those who listen, a few at a time, and then rest until the next event may come."""
        news = [listener for listener in self.listeners if listener.seq != self.seq]
        for count, listener in enumerate(news, 1):
            listener.news.set()
            if count % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(EVERY_S - 0.1)  # a tick that comes every second is not to be missed by a hair


class Listener:
    """One open stream: what it was told last, and the bell that wakes it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.seq = -1
        self.news = asyncio.Event()
        self.gone = False

    async def watch(self, receive: Receive) -> None:
        """Ring also when the other end has hung up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.news.set()


class Stream:
    """An ASGI answer that never ends by itself."""

    def __init__(self, live: Live, address: str, last_id: str) -> None:
        self._live = live
        self._listener = Listener(address)
        if last_id == live.id:
            self._listener.seq = live.seq

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        live, listener = self._live, self._listener
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would keep events until it has some kB of them
        ]
        watching = asyncio.create_task(listener.watch(receive), name="page listener")
        live.listeners.add(listener)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            part = b"retry: 3000\n\n"
            while not listener.gone:
                body = live.body
                if listener.seq != live.seq:
                    part += b"id: %s\nevent: state\ndata: %s\n\n" % (live.id.encode(), body)
                    listener.seq = live.seq
                await send({"type": "http.response.body", "body": part or b": still here\n\n", "more_body": True})
                part = b""
                listener.news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await listener.news.wait()
        finally:
            live.listeners.discard(listener)
            watching.cancel()


def _shown(known: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key not in _PASSING}


def _here(address: str) -> bool:
    """Tell whether an address is of this machine; what a proxy says may be anything."""
    try:
        return not address or ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
