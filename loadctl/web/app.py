"""The daemon's HTTP side: the page, its API, /metrics for Prometheus, /healthz and /readyz for those who watch."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from loadctl.errors import LoadctlError
from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.service.today import Today
from loadctl.web.api.desk import Desk
from loadctl.web.api.live import Live
from loadctl.web.api.problems import tell
from loadctl.web.api.routes import Access, let_in, routes
from loadctl.web.files import Files
from loadctl.web.gate import Gate
from loadctl.web.lock import TRUSTED, Lock
from loadctl.web.server import Server, config, listen, listen_here

HEALTHY_S = 5.0  # a loop that has not ticked for so long hangs
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
SOCKET = "loadctl.sock"

_log = logging.getLogger(__name__)


def application(daemon: Daemon, metrics: Metrics, token: str | None = None) -> ASGIApp:
    """Return the ASGI application that shows `daemon`; make it before the daemon runs. `token`: see Lock."""
    today = Today(daemon)
    live = Live(daemon, today)
    desk = Desk(daemon, today, live, Lock(daemon.house.web, token))
    files = Files()
    daemon.observers += [today, live]

    async def show_metrics(request: Request) -> Response:
        let_in(desk, request, Access.LOOK)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_request: Request) -> Response:
        ticked_at = daemon.ticked_at
        if ticked_at is not None and daemon.clock.now() - ticked_at < HEALTHY_S:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the control loop does not tick\n", status_code=503)

    async def readyz(_request: Request) -> Response:
        if daemon.reader.sample is not None:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the meter has not been read yet\n", status_code=503)

    async def page(request: Request) -> Response:
        return files.answer(request, "index.html")

    async def static(request: Request) -> Response:
        return files.answer(request, request.path_params["path"])

    async def beside(request: Request) -> Response:
        return files.answer(request, request.url.path.rpartition("/")[2])

    shown = [("/metrics", show_metrics), ("/healthz", healthz), ("/readyz", readyz)]
    paged = [("/", page), ("/static/{path:path}", static)]
    paged += [("/manifest.webmanifest", beside), ("/sw.js", beside)]
    app = Starlette(
        routes=[Route(path, show) for path, show in shown + paged] + routes(desk),
        exception_handlers={HTTPException: tell, LoadctlError: tell, Exception: tell},
    )
    app.router.redirect_slashes = False
    return Gate(app, daemon.house.web)


async def keep_serving(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until cancelled, also after a bug: loads are controlled all the same."""
    pause_s = FIRST_PAUSE_S
    while True:
        serving = asyncio.create_task(serve(app, host, port), name="page")
        try:
            await asyncio.wait([serving])
        finally:
            serving.cancel()
            await asyncio.wait([serving])
        _log.error("page: a bug; tried again in %.0f s", pause_s, exc_info=serving.exception())
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until cancelled. The page is no reason to stop controlling: a port that is taken is tried again."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            listener = listen(host, port)
        except OSError as error:
            if pause_s == FIRST_PAUSE_S:
                reason = error.strerror or str(error)
                _log.error("page: cannot listen on %s port %d: %s; loads are controlled all the same, "
                           "choose another with `web: {port: ...}` or --port", host, port, reason)  # fmt: skip
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            continue
        with listener:
            _log.info("page: http://%s:%d", host, listener.getsockname()[1])
            await _serve(app, listener)


async def _serve(app: ASGIApp, listener: socket.socket) -> None:
    server = Server(config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="page")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def door(state_dir: Path, app: ASGIApp) -> AsyncIterator[None]:
    """Serve `app` to the owner of `state_dir`, for the commands; only for who has claimed it. Its lock is the file's.

    Where there can be no such socket, that is told.
    """
    path = state_dir / SOCKET
    try:
        listener = listen_here(path)
    except OSError as error:
        _log.error("%s: no commands are taken there: %s", path, error.strerror or error)
        yield
        return

    async def trusted(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, TRUSTED: True}, receive, send)

    serving = asyncio.create_task(_serve(trusted, listener), name="door")
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        listener.close()
        with suppress(OSError):
            path.unlink(missing_ok=True)
