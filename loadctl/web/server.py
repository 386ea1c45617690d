"""uvicorn inside somebody else's event loop, with visitors that may be slow, many or hostile."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AbstractContextManager, ExitStack, nullcontext
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
MOST_FROM_ONE = 64  # address; a reverse proxy on this machine speaks for many
PATIENCE_S = 15.0  # for a whole request, from its first byte or from the connection
STUCK_S = 30.0  # so long a visitor may leave an answer untaken


class Server(uvicorn.Server):
    """A server that leaves the signals to the program around it."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


class Guarded(H11Protocol):
    """A connection that is let go of when it is too slow to ask or to listen, or one too many.

    uvicorn itself waits for ever for the end of a request: a few hundred visitors who send a byte a minute would keep
    everybody else out.
    """

    _asking: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asking = self.loop.call_later(PATIENCE_S, transport.abort)
        if _crowded(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._asking = _ended(self._asking)
        elif self._asking is None:
            self._asking = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self._taking or self.loop.call_later(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taking = _ended(self._taking)

    def connection_lost(self, exc: Exception | None) -> None:
        self._asking, self._taking = _ended(self._asking), _ended(self._taking)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        super().shutdown()
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # an event stream would never end by itself


def config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return how `app` is served: to strangers, in a loop that has other things to do."""
    return uvicorn.Config(
        app,
        http=Guarded,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=1,
        **options,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; `port` 0 takes a free one. Raises OSError.

    With the protocol named, asyncio switches Nagle's algorithm off: an answer leaves 40 ms sooner.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        stack.pop_all()
    return listener


def listen_here(path: Path) -> socket.socket:
    """Return a Unix socket that listens and that only its owner can open; for who has claimed its folder.

    Raises OSError.
    """
    path.unlink(missing_ok=True)  # of one that was killed
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        former = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(former)
        listener.listen()
        stack.pop_all()
    return listener


def _ended(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None


def _crowded(newest: Guarded) -> bool:
    if len(newest.connections) > MOST_CONNECTIONS:
        return True
    if newest.client is None or ip_address(newest.client[0].partition("%")[0]).is_loopback:
        return False
    others = [other.client for other in newest.connections if isinstance(other, Guarded)]
    return sum(other is not None and other[0] == newest.client[0] for other in others) > MOST_FROM_ONE
