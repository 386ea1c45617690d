"""The HTTP side of a running daemon, on a real loopback socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

import httpx
import pytest

from loadctl.drivers import LoopClock, Shared
from loadctl.errors import Unreachable
from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web.app import application, serve
from tests.e2e.until import until
from tests.home import HomeMeter, Relay, house, rule

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def shown(meter: HomeMeter, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Run a daemon with its page as `loadctl run` does."""
    daemon = Daemon(house(meter, (rule("boiler"), Relay())), Shared(LoopClock(ZoneInfo("UTC"))))
    metrics = Metrics(daemon)
    daemon.observers.append(metrics)
    tasks = [
        asyncio.create_task(serve(application(daemon, metrics), "127.0.0.1", port)),
        asyncio.create_task(daemon.run()),
    ]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        daemon.stop("test")
        await tasks[1]
        tasks[0].cancel()
        await asyncio.wait(tasks)


async def ask(client: httpx.AsyncClient, path: str, *, status: int = 200) -> str:
    """Ask until the page is there and answers with `status`."""
    async with asyncio.timeout(15):
        while True:
            try:
                response = await client.get(path)
            except httpx.ConnectError:
                response = None
            if response is not None and response.status_code == status:
                return response.text
            await asyncio.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_metrics_health_and_readiness():
    async with shown(HomeMeter(sun_w=2500), free_port()) as client:
        assert await ask(client, "/healthz") == "ok\n"
        assert await ask(client, "/readyz") == "ok\n"
        page = await ask(client, "/metrics")
        assert "loadctl_grid_power_watts -2200.0" in page
        assert 'loadctl_appliance_phase{appliance="boiler",phase="off"} 1.0' in page


async def test_not_ready_until_the_meter_is_seen():
    meter = HomeMeter(error=Unreachable("no answer"))
    async with shown(meter, free_port()) as client:
        assert await ask(client, "/healthz") == "ok\n"
        assert "not been read" in await ask(client, "/readyz", status=503)


async def test_a_taken_port_stops_no_control_and_is_tried_again(caplog):
    caplog.set_level(logging.INFO)
    port = free_port()
    meter = HomeMeter(sun_w=2500)
    with socket.create_server(("127.0.0.1", port)):
        async with shown(meter, port):
            await until(lambda: meter.answered and "cannot listen" in caplog.text)
    assert caplog.text.count("cannot listen on 127.0.0.1") == 1
    assert f"port {port}" in caplog.text


async def test_a_port_that_comes_free_is_taken():
    port = free_port()
    taken = socket.create_server(("127.0.0.1", port))
    async with shown(HomeMeter(sun_w=2500), port) as client:
        await asyncio.sleep(0.05)
        taken.close()
        assert await ask(client, "/healthz") == "ok\n"
