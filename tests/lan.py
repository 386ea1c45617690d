"""A home network without sockets: requests go to the ASGI application that stands for a host, on virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp


class Lan(httpx.AsyncBaseTransport):
    """`hosts` may change at any time; who is not there cannot be connected to."""

    def __init__(self, hosts: Mapping[str, ASGIApp]) -> None:
        self.hosts = dict(hosts)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        app = self.hosts.get(request.url.host)
        if app is None or request.url.scheme != "http":
            raise httpx.ConnectError("nobody there", request=request)
        return await httpx.ASGITransport(app).handle_async_request(request)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Make a client as `Shared.client` does."""
        return httpx.AsyncClient(**options | {"transport": self})
