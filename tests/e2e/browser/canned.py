"""A small real server with a page and a state that a test makes up, under a path prefix as behind a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from threading import Event, Thread
from typing import Any

from loadctl.web.files import TYPES
from tests.e2e.test_page_files import STATIC

PREFIX = "/some/where/"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
NEVER = {"energy_wh": 0, "sun_wh": 0, "grid_wh": 0, "runtime_s": 0, "starts": 0}
LOAD: dict[str, Any] = {
    "name": "boiler", "kind": "switch", "state": "off", "verdict": "rest",
    "sentence": "rests: 640 W free, needs 2 000 W",
    "second": None, "next_change_at": None, "next_change_s": None, "power_w": 0, "target_w": None, "nominal_w": 2000,
    "amps": None, "phases": None, "available": True, "detail": "", "held_by": "rule", "hand_until": None,
    "override": None, "mode": "solar", "modes": ["off", "solar", "fast"], "boosts": [], "today": NEVER,
    "max_starts": None, "needs": [], "failsafe": "lease", "session": None,
}  # fmt: skip
STATE: dict[str, Any] = {
    "seq": 1, "at": "2026-06-21T12:30:00+02:00", "version": "1", "dry_run": False, "timezone": "Europe/Berlin",
    "currency": "EUR", "meter": {"state": "ok", "driver": "envoy", "age_s": 1, "since": None, "detail": ""},
    "power": {"pv_w": 5210, "load_w": 1310, "grid_w": -3000, "battery_w": -900, "soc_pct": 76, "surplus_w": 3900},
    "today": {"production_wh": 12340, "consumption_wh": 8000, "import_wh": 420, "export_wh": 5100,
              "self_consumption": 0.587, "saved": 1.94, "paid": 0.12},
    "troubles": [], "away": {"on": False, "until": None}, "loads": [LOAD],
}  # fmt: skip
STRANGER = {"may_change": False, "login": "none", "csrf": None}
TOKEN = "open-sesame"


class Canned:
    """What the server says; `state` is told to all who listen when `changed` is called."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = deepcopy(STATE)
        self.session: dict[str, Any] = dict(STRANGER)
        self.private = False
        self._bell = Event()
        self._server: ThreadingHTTPServer | None = None
        self._serving: Thread | None = None
        self._ended = Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def changed(self) -> None:
        self.state["seq"] += 1
        bell, self._bell = self._bell, Event()
        bell.set()

    def open(self) -> None:
        """Begin, or begin again at the same address."""
        self._ended = Event()
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self._serving = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._serving.start()

    def close(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._ended.set()
        self.changed()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        self._server = None

    def events(self) -> Iterator[bytes]:
        while not self._ended.is_set():
            bell = self._bell
            yield f"id: {self.state['seq']}\nevent: state\ndata: {json.dumps(self.state)}\n\n".encode()
            while not bell.wait(0.2) and not self._ended.is_set():
                pass


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True


def _handler(canned: Canned) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if not path.startswith(PREFIX):
                self._answer(404, "text/plain", b"outside of the prefix")
                return
            path = path.removeprefix(PREFIX)
            if canned.private and path in {"api/v1/state", "api/v1/events"}:
                self._answer(401, "application/problem+json", b'{"title": "no", "detail": "log in", "status": 401}')
            elif path == "api/v1/events":
                self._stream()
            elif path.startswith("api/v1/"):
                told = {"state": canned.state, "session": canned.session}.get(path.removeprefix("api/v1/"))
                problem = {"title": "nothing", "detail": "nothing is there", "status": 404}
                self._answer(404 if told is None else 200, "application/json", json.dumps(told or problem).encode())
            else:
                file = STATIC / (path.removeprefix("static/") or "index.html")
                if file.is_file():
                    self._answer(200, TYPES[PurePosixPath(file.name).suffix], file.read_bytes())
                else:
                    self._answer(404, "text/plain", b"no such file")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != f"{PREFIX}api/v1/login" or asked != {"token": TOKEN}:
                self._answer(
                    401, "application/problem+json", b'{"title": "no", "detail": "not the one", "status": 401}'
                )
                return
            canned.private, canned.session = False, {"may_change": True, "login": "token", "csrf": "x"}
            self._answer(200, "application/json", json.dumps(canned.session).encode())

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.send_header("content-security-policy", CSP)
            self.end_headers()
            self.wfile.write(content)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                for event in canned.events():
                    self.wfile.write(event)
            except OSError:
                return  # the page went away

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def canned() -> Iterator[Canned]:
    """Serve until the block ends."""
    one = Canned()
    one.open()
    try:
        yield one
    finally:
        one.close()
