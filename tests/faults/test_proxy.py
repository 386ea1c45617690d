"""The proxy spoils connections as it says, or the matrix proves nothing."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from loadctl.lab.emulators.serve import serve
from tests.faults.proxy import Mode, proxied

pytestmark = pytest.mark.anyio


def app(word: str) -> Starlette:
    return Starlette(routes=[Route("/", lambda _: PlainTextResponse(word))])


async def test_it_passes_on_and_can_lead_elsewhere():
    async with serve(app("one")) as one, serve(app("other")) as other, proxied(one) as proxy:
        async with httpx.AsyncClient(base_url=proxy.url) as client:
            assert (await client.get("/")).text == "one"
            assert (await client.get("/")).text == "one"
        proxy.target = other
        async with httpx.AsyncClient(base_url=proxy.url) as client:
            assert (await client.get("/")).text == "other"


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (Mode.SILENT, httpx.ReadTimeout),
        (Mode.RESET, httpx.ReadError),
        (Mode.CUT, httpx.RemoteProtocolError),
        (Mode.GARBAGE, httpx.RemoteProtocolError),
    ],
)
async def test_it_spoils_connections_that_are_open(mode, error):
    async with (
        serve(app("one")) as one,
        proxied(one) as proxy,
        httpx.AsyncClient(base_url=proxy.url, timeout=0.5) as client,
    ):
        assert (await client.get("/")).text == "one"
        proxy.mode = mode
        with pytest.raises(error):
            await client.get("/")
        proxy.mode = Mode.PASS
        assert (await client.get("/")).text == "one"


async def test_a_drip_ends_no_read_timeout():
    async with serve(app("one")) as one, proxied(one) as proxy:
        proxy.mode = Mode.DRIP
        async with httpx.AsyncClient(base_url=proxy.url, timeout=1.5) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.5):
                    await client.get("/")


async def test_nobody_behind_it_is_a_lost_connection():
    async with proxied("http://127.0.0.1:1") as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/")
