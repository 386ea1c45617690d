"""An Envoy of any firmware with live values, a login and faults to switch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from loadctl.lab.emulators.envoy import bodies
from loadctl.lab.emulators.envoy.bodies import Household
from loadctl.lab.emulators.envoy.enlighten import make_token
from loadctl.lab.emulators.envoy.gate import Gate, role_of

Era = Literal["3.7", "3.9", "4.2", "5", "7", "8"]

_FIRMWARE: dict[str, str] = {
    "3.7": "D3.7.31",
    "3.9": "D3.9.36",
    "4.2": "D4.2.27",
    "5": "D5.0.62",
    "7": "D7.6.175",
    "8": "D8.2.4382",
}
_NOT_FOUND = "<html><head><title>Page Not Found</title></head><body>Page Not Found</body></html>"


class Fault(StrEnum):
    """What can be wrong with an Envoy; see where each is used."""

    HANG = "hang"  # takes the request and never answers
    BROKEN = "500"
    BUSY = "503"
    HTML = "html"  # 200 with a web page
    EMPTY = "empty"  # 200 with nothing
    TRUNCATED = "truncated"  # JSON cut in the middle
    RESET = "reset"  # connection lost in the middle of the body
    STALE = "stale"  # repeats an old reading
    NONSENSE = "nonsense"  # words, nulls and absurd numbers where figures should be
    REDIRECT = "redirect"  # elsewhere, to where nobody is
    EIM_IDLE = "eim_idle"  # CTs "off" for moments, as 8.3.5528 has it


@dataclass(frozen=True, slots=True)
class Asked:
    """One request at the wire: when it came, when its answer was ready, and how it was answered."""

    at: float
    ended_at: float
    method: str
    path: str
    status: int


class EmulatedEnvoy:
    """Set `pv_w`, `grid_w`, `battery_w`, `soc_pct` while it runs; `era` may change overnight. `clock`: its own seconds.

    `house` says what is installed, `gate` who may see it, `requests` what was asked.
    """

    def __init__(self, clock: Callable[[], float], era: Era = "8", *, serial: str = "992201123456") -> None:
        self.clock = clock
        self.era: Era = era
        self.firmware: str | None = None  # instead of the era's usual one
        self.serial = serial
        self.epoch = 1_750_000_000.0
        self.house = Household()
        self.gate = Gate(serial, clock)
        self.token = make_token(serial, self.epoch + 31_536_000)
        self.gate.tokens[self.token] = role_of(self.token)
        self.fault: Fault | None = None
        self.faulty_paths: tuple[str, ...] = ("/",)  # prefixes of the paths that the fault is on
        self.live_on = False
        self.stream_every_s = 1.0  # real seconds: frames are pushed
        self.stream_burst = 1
        self.missing: set[str] = set()  # paths this one does not have
        self.requests: list[Asked] = []
        self.in_flight = self.most_in_flight = 0
        self._frozen_at: float | None = None
        self._live = bodies.livedata(self.house, self.epoch, on=False)
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    @property
    def pv_w(self) -> float:
        """What the panels give."""
        return self.house.pv_w

    @pv_w.setter
    def pv_w(self, value: float) -> None:
        self.house.pv_w = value

    @property
    def grid_w(self) -> float:
        """Import +, export -."""
        return self.house.grid_w

    @grid_w.setter
    def grid_w(self, value: float) -> None:
        self.house.grid_w = value

    @property
    def battery_w(self) -> float:
        """Discharging +, charging -."""
        return self.house.battery_w

    @battery_w.setter
    def battery_w(self, value: float) -> None:
        self.house.battery_w = value

    @property
    def soc_pct(self) -> float:
        """How full the batteries are."""
        return self.house.soc_pct

    @soc_pct.setter
    def soc_pct(self, value: float) -> None:
        self.house.soc_pct = value

    @property
    def software(self) -> str:
        return self.firmware or _FIRMWARE[self.era]

    @property
    def with_token(self) -> bool:
        return self.era in {"7", "8"}

    def paths(self) -> list[str]:
        """Return the paths that were asked, in order."""
        return [asked.path for asked in self.requests]

    async def _answer(self, request: Request) -> Response:
        at = self.clock()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        path = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        status = 0
        try:
            response = await self._answer_or_fail(request)
            status = response.status_code
            return response
        finally:
            self.in_flight -= 1
            self.requests.append(Asked(at, self.clock(), request.method, path, status))

    async def _answer_or_fail(self, request: Request) -> Response:
        fault = self.fault if request.url.path.startswith(self.faulty_paths) else None
        if fault is Fault.HANG:
            while self.fault is Fault.HANG and not await request.is_disconnected():  # noqa: ASYNC110 - polls the other end
                await asyncio.sleep(0.02)
            return Response(status_code=504)
        if fault is Fault.BROKEN:
            return HTMLResponse("<html>Internal Server Error</html>", 500)
        if fault is Fault.BUSY:
            return Response("Resource busy, please retry after 30 seconds", 503)
        if fault is Fault.HTML:
            return HTMLResponse(_NOT_FOUND)
        if fault is Fault.EMPTY:
            return Response(b"", media_type="application/json")
        if fault is Fault.REDIRECT:
            return RedirectResponse("https://localhost/error", 302)
        response = await self._pass_gate(request)
        if fault in {Fault.TRUNCATED, Fault.RESET} and not isinstance(response, StreamingResponse):
            body = bytes(response.body)
            return Response(body[: len(body) // 2]) if fault is Fault.TRUNCATED else _Cut(body)
        if fault is Fault.NONSENSE and response.media_type == "application/json":
            return JSONResponse(_nonsense(json.loads(bytes(response.body))))
        return response

    async def _pass_gate(self, request: Request) -> Response:
        path = request.url.path
        refusal = self.gate.refuse(
            request, path, with_token=self.with_token, digest_production=self.era in {"4.2", "5"}
        )
        if refusal:
            return refusal
        response = await self._page(request, path)
        return self.gate.enter(response, request) if self.with_token else response

    def _now(self) -> float:
        """The box's own time; a stale one repeats the moment the fault began."""
        now = self.epoch + self.clock()
        if self.fault is not Fault.STALE:
            self._frozen_at = None
            return now
        if self._frozen_at is None:
            self._frozen_at = now
        return self._frozen_at

    async def _page(self, request: Request, path: str) -> Response:
        if path == "/info":
            return self._info()
        if path in self.missing:
            return self._not_found()
        if path == "/auth/check_jwt" and self.with_token:
            return HTMLResponse("<!DOCTYPE html><h2>Valid token.</h2>")
        if path == "/stream/meter" and self.era != "3.7":
            return StreamingResponse(self._frames(), media_type="text/event-stream")
        if path == "/ivp/livedata/stream" and self.with_token and request.method == "POST":
            self.live_on = (await request.json()).get("enable") == 1
            return JSONResponse({"sc_stream": "enabled" if self.live_on else "disabled"})
        if path == "/production" and self.era in {"3.7", "3.9"}:
            return HTMLResponse(bodies.page(self.house))
        if path == "/production.json" and self.era in {"3.7", "3.9"}:
            return Response(_NOT_FOUND, media_type="application/json")  # 200 and wrongly labelled, as 3.x does it
        value = self._value(path, request.url.query)
        return self._not_found() if value is None else JSONResponse(value)

    def _info(self) -> Response:
        imeter = (
            None if self.era in {"3.7", "3.9"} else self.house.production_ct or self.house.consumption_ct is not None
        )
        at = self.epoch + self.clock()
        text = bodies.info(self.software, self.serial, at, imeter=imeter, tokens=self.with_token)
        return Response(text, media_type="text/xml")

    def _value(self, path: str, query: str) -> Any:
        """Return what a JSON page holds, None if this firmware does not have it."""
        at, house = self._now(), self.house
        if self.era != "3.7":
            match path:
                case "/production.json" | "/production":
                    details = "details=1" in query and self.era != "4.2"
                    value = bodies.production(house, at, details=details, typed=self.era != "4.2")
                    return _idle(value) if self.fault is Fault.EIM_IDLE else value
                case "/api/v1/production":
                    return bodies.v1(house)
                case "/api/v1/production/inverters":
                    return bodies.inverters(house, at)
                case "/inventory.json":
                    return bodies.inventory(house, at)
        if self.era in {"3.7", "3.9", "4.2"}:
            return None
        match path:
            case "/ivp/meters":
                return bodies.meters(house)
            case "/ivp/meters/readings":
                return bodies.readings(house, at)
            case "/ivp/ensemble/power":
                return bodies.power(house)
            case "/ivp/ensemble/secctrl":
                return bodies.secctrl(house)
            case "/ivp/ensemble/inventory":
                return bodies.ensemble_inventory(house, at)
            case "/ivp/ensemble/relay":
                return bodies.relay(house) if house.controller else None
            case "/ivp/ensemble/generator":
                return bodies.generator(house)
            case "/ivp/livedata/status" if self.with_token:
                return self._livedata(at)
        return None

    def _livedata(self, at: float) -> dict[str, Any]:
        """Live while switched on, else the values of the moment they were switched off."""
        if self.live_on:
            self._live = bodies.livedata(self.house, at, on=True)
        self._live["connection"]["sc_stream"] = "enabled" if self.live_on else "disabled"
        return self._live

    async def _frames(self) -> AsyncIterator[bytes]:
        while self.fault is not Fault.HANG:
            for _ in range(self.stream_burst):
                line = f"data: {json.dumps(bodies.frame(self.house))}\r\n\r\n".encode()
                if self.fault is Fault.TRUNCATED:
                    yield line[: len(line) // 2] + b"\r\n"
                yield line
            await asyncio.sleep(self.stream_every_s)

    def _not_found(self) -> Response:
        if self.era in {"7", "8"}:
            return JSONResponse({"status": 404, "error": "", "info": "Resource not found"}, 404)
        return Response("404 - Not Found", 404)


class _Cut(Response):
    """Promises a whole body, sends half of it and hangs up."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's shape
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body)[: len(self.body) // 2], "more_body": True})


def _idle(value: dict[str, Any]) -> dict[str, Any]:
    for entry in (*value["production"], *value["consumption"]):
        if entry["type"] == "eim":
            entry["activeCount"] = 0
    return value


def _nonsense(value: Any) -> Any:
    """Spoil every figure that is a power."""
    if isinstance(value, list):
        return [_nonsense(item) for item in value]
    if not isinstance(value, dict):
        return value
    spoiled = {"activePower": 9e12, "wNow": "unknown", "wattsNow": None, "agg_p_mw": "nan", "real_power_mw": []}
    return {key: spoiled.get(key, _nonsense(item)) for key, item in value.items()}
