"""The daemon's HTTP side: /metrics for Prometheus, /healthz and /readyz for whoever watches over the process."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web.server import Server, listen

HEALTHY_S = 5.0  # a loop that has not ticked for so long hangs
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

_log = logging.getLogger(__name__)


def application(daemon: Daemon, metrics: Metrics) -> Starlette:
    """Return the ASGI application that shows `daemon`."""

    async def show_metrics(_request: Request) -> Response:
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

    async def index(_request: Request) -> Response:
        return PlainTextResponse(
            "loadctl\n\n/metrics  for Prometheus\n/healthz  does it tick?\n/readyz   is the meter seen?\n"
        )

    routes = [("/", index), ("/metrics", show_metrics), ("/healthz", healthz), ("/readyz", readyz)]
    return Starlette(routes=[Route(path, show) for path, show in routes])


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
    config = uvicorn.Config(
        app, lifespan="off", access_log=False, log_config=None, log_level="warning", timeout_graceful_shutdown=1
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="page")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
