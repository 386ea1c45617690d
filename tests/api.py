"""The API of a daemon without a socket, as its owner asks it through the state directory; also on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import Receive, Scope, Send

from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web.app import application
from loadctl.web.lock import TRUSTED


@asynccontextmanager
async def owners_api(daemon: Daemon) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of /api/v1 that may do everything."""
    app = application(daemon, Metrics(daemon))

    async def trusted(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, TRUSTED: True}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(trusted), base_url="http://localhost/api/v1/") as client:
        yield client
