"""An SD card that stalls for seconds: control goes on, an OFF waits for nothing, an ON for a second at most."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from loadctl.service.memory import FILE
from tests.e2e.street import RULES, loadctl_run, open_street
from tests.e2e.test_api_past import told
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

QUICK = RULES + "    settle: 1 s\n"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the memory's file, as a disk would that lets nobody write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


async def test_while_nobody_can_write_loads_are_switched_in_time_and_no_tick_is_late(tmp_path):
    async with (
        open_street(tmp_path, QUICK) as street,
        loadctl_run(street) as process,
        httpx.AsyncClient() as client,
    ):
        street.sun_w = 0.0
        await until(lambda: street.said("blind → rest"))

        async def late() -> float:
            """Return how many ticks were later than a second."""
            name = "loadctl_tick_lateness_seconds"
            text = (await client.get(f"http://127.0.0.1:{street.port}/metrics")).text
            told = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith(name)}
            return told[f"{name}_count"] - told[f'{name}_bucket{{le="1.0"}}']

        before = await late()
        with locked(street.state_dir / FILE):
            street.sun_w = 2500.0
            await until(lambda: street.boiler.on)
            street.sun_w = 0.0
            await until(lambda: not street.boiler.on)
            assert await late() == before
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
        assert not street.boiler.on
        assert street.said("switching on all the same") or street.said("nothing is written down")
        assert not street.said("Traceback")


async def test_a_disk_that_hangs_takes_no_thread_that_devices_need(tmp_path):
    async with told(tmp_path) as api:
        file = tmp_path / "home.yaml"
        file.unlink()
        os.mkfifo(file)  # who reads it waits for somebody to write
        asking = [asyncio.create_task(api.get("rules")) for _ in range(40)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in asking)
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        while not all(each.done() for each in asking):
            with suppress(OSError):  # nobody reads just now
                os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
            await asyncio.sleep(0.01)
        assert {(await each).status_code for each in asking} == {200}
