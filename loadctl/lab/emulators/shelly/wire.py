"""What both generations share at the wire: a memory of requests, and faults put in front of the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.types import ASGIApp, Receive, Scope, Send


class Fault(StrEnum):
    """What an emulated device can be made to do wrong. LIE: says yes and does nothing."""

    REFUSE = "refuse"
    HANG = "hang"
    LIE = "lie"
    GARBAGE = "garbage"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in, `path` with its query."""

    at: float
    verb: str
    path: str


class Wire:
    """Stands before the device's own app: notes each request, and answers for it while there is a fault."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float], fault: Callable[[], Fault | None]) -> None:
        self.asked: list[Asked] = []
        self._app, self._clock, self._fault = app, clock, fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            query = scope["query_string"].decode()
            path = scope["path"] + (f"?{query}" if query else "")
            self.asked.append(Asked(self._clock(), scope["method"], path))
            if fail := _FAILURES.get(self._fault()):
                await fail(receive, send)
                return
        await self._app(scope, receive, send)


async def _hang(receive: Receive, _send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _garbage(_receive: Receive, send: Send) -> None:
    body = b"<html>\xff\xfe{ison: maybe</html>"
    await _start(send, 200, len(body))
    await send({"type": "http.response.body", "body": body})


async def _reset(_receive: Receive, send: Send) -> None:
    await _start(send, 200, 500)  # promises more than it sends: the server closes the connection half way
    await send({"type": "http.response.body", "body": b'{"ison":', "more_body": True})


async def _start(send: Send, status: int, length: int) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


_FAILURES: dict[Fault | None, Callable[[Receive, Send], Awaitable[None]]] = {
    Fault.HANG: _hang,
    Fault.GARBAGE: _garbage,
    Fault.RESET: _reset,
}
