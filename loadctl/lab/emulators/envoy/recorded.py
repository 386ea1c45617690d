"""An Envoy that answers from a directory: `routes.json` and the bodies beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from loadctl.lab.emulators.envoy.gate import Gate

_TIMES = re.compile(rb'("(?:timestamp|readingTime|last_update)"\s*:\s*)(\d+)')


class RecordedEnvoy:
    """Plays a recording byte for byte; what was not recorded is a 404. With `auth` it wants what its firmware wanted.

    With a `clock` the recording lives: its times of reading go on with the clock, as if nothing had changed since.

    `routes.json`: `{"firmware", "serial", "routes": [{"path", "file", "status", "type"}]}`, `path` with its query;
    `stream_meter.txt` is sent at once and the stream left open.
    """

    def __init__(self, case: Path, *, auth: bool = False, clock: Callable[[], float] | None = None) -> None:
        recorded = json.loads((case / "routes.json").read_text("utf-8"))
        self._routes = {route["path"]: route for route in recorded["routes"]}
        self._case = case
        self._clock = clock
        self._begun_at = clock() if clock else 0.0
        self._gate = Gate(recorded.get("serial") or "990000000000", lambda: 0.0) if auth else None
        self.firmware: str = recorded["firmware"]
        self.serial: str = recorded.get("serial") or ""
        self.tokens: dict[str, str] = self._gate.tokens if self._gate else {}
        self.requests: list[str] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    @property
    def with_token(self) -> bool:
        return self.firmware[1:2].isdigit() and int(self.firmware[1:].split(".")[0]) >= 7

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        wanted = f"{path}?{request.url.query}" if request.url.query else path
        self.requests.append(wanted)
        if not self._gate:
            return self._play(path, wanted)
        refusal = self._gate.refuse(request, path, with_token=self.with_token, digest_production=False)
        if refusal:
            return refusal
        if path == "/auth/check_jwt" and self.with_token:
            answer = Response("<!DOCTYPE html><h2>Valid token.</h2>", media_type="text/html")
        else:
            answer = self._play(path, wanted)
        return self._gate.enter(answer, request)

    def _play(self, path: str, wanted: str) -> Response:
        frames = self._case / "stream_meter.txt"
        if path == "/stream/meter" and frames.exists():
            return StreamingResponse(iter([frames.read_bytes()]), media_type="text/event-stream")
        route = self._routes.get(wanted)
        if route is None:
            return Response("404 - Not Found", 404, media_type="text/plain")
        headers = {"Content-Type": route["type"]} if route["type"] else {}
        return Response(self._aged((self._case / route["file"]).read_bytes()), route["status"], headers)

    def _aged(self, body: bytes) -> bytes:
        if self._clock is None:
            return body
        older_s = int(self._clock() - self._begun_at)
        return _TIMES.sub(lambda found: found[1] + str(int(found[2]) + older_s).encode(), body)
