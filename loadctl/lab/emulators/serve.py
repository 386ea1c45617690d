"""Serve an emulated device on a free loopback port of this very event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from loadctl.web.server import Server, listen


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server certificate with its key in PEM files."""

    chain: Path
    key: Path


@asynccontextmanager
async def serve(app: ASGIApp, certificate: Certificate | None = None, *, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on 127.0.0.1 and yield its URL without a trailing slash; `port` 0 takes a free one."""
    listener = listen("127.0.0.1", port)
    config = uvicorn.Config(
        app,
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="emulator")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers a flag, no event
            await asyncio.sleep(0.01)
        scheme = "https" if certificate else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
