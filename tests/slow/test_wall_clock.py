"""The wall clock of the real process jumps, by libfaketime; its monotonic clock goes on, and so do minimum times."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadctl.cli.asking import Whom, look
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen2
from tests.e2e.until import until

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed: `apt install faketime`"),
]

MIN_ON_S, MIN_OFF_S = 20.0, 15.0
SLACK_S = 15.0
RULES = """\
version: 1
site: {{timezone: Europe/Amsterdam, hold: 3 s}}
meter: {{driver: envoy, host: "{envoy}", every: 1 s, max_age: 6 s}}
web: {{port: {port}}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}", lease: 15 s, every: 2 s}}
    power: 2 kW
    start: 1.5 kW for 3 s
    stop: import 800 W for 3 s
    settle: 2 s
    min_on: 20 s
    min_off: 15 s
    max_starts: 2
"""


@dataclass
class House:
    """A boiler, a meter, and `loadctl run` with a wall clock of its own."""

    folder: Path
    envoy: EmulatedEnvoy
    boiler: EmulatedShellyGen2
    sun_w: float = 3000.0

    def set_clock(self, utc: datetime) -> None:
        """Set the process's wall clock. The file is replaced in one step, or a look in between would find it empty."""
        fresh = self.folder / "wall.new"
        fresh.write_text(f"{round(utc.timestamp() - time.time()):+d}", encoding="ascii")
        fresh.replace(self.folder / "wall")

    async def clock(self) -> datetime:
        """The site's local time, as the process has it."""
        answer = await asyncio.to_thread(look, Whom(self.folder / "state"), "/state")
        return datetime.fromisoformat(answer["at"])

    async def verdict(self) -> str:
        answer = await asyncio.to_thread(look, Whom(self.folder / "state"), "/state")
        return str(answer["loads"][0]["verdict"])

    async def live(self) -> None:
        while True:
            self.envoy.pv_w, self.envoy.grid_w = self.sun_w, 300.0 + 2000.0 * self.boiler.on - self.sun_w
            await asyncio.sleep(0.05)

    async def switched(self, count: int) -> float:
        """Return how long the state before the `count`th switching lasted."""
        await until(lambda: len(self.boiler.switchings) >= count, 90)
        moves = self.boiler.switchings
        return moves[count - 1].at - moves[count - 2].at


@asynccontextmanager
async def controlled(folder: Path, port: int) -> AsyncIterator[House]:
    house = House(folder, EmulatedEnvoy(time.monotonic, "5"), EmulatedShellyGen2(lambda: 2000.0))
    house.set_clock(datetime(2026, 3, 28, 12, 0, tzinfo=UTC))
    async with AsyncExitStack() as stack:
        urls = {"envoy": await stack.enter_async_context(serve(house.envoy.app))}
        urls["boiler"] = await stack.enter_async_context(serve(house.boiler.app))
        (folder / "home.yaml").write_text(RULES.format(port=port, **urls), encoding="utf-8")
        living = asyncio.create_task(house.live())
        faked = {
            "LD_PRELOAD": str(LIBRARY),
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_TIMESTAMP_FILE": str(folder / "wall"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from loadctl.cli import main; main()",
            "run", str(folder / "home.yaml"), "--state-dir", str(folder / "state"),
            env=os.environ | faked, stderr=PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        said = asyncio.create_task(process.stderr.read())
        try:
            yield house
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
            assert not house.boiler.on
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            assert b"Traceback" not in await said
            living.cancel()
            await asyncio.wait([living])


async def test_jumps_midnight_and_summer_time(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with controlled(tmp_path, port) as house:
        await until(lambda: house.boiler.on)
        house.sun_w = 0.0
        house.set_clock(datetime(2026, 3, 28, 13, 0, tzinfo=UTC))
        ran_s = await house.switched(2)
        assert (await house.clock()).hour == 14
        assert MIN_ON_S <= ran_s < MIN_ON_S + SLACK_S

        house.sun_w = 3000.0
        house.set_clock(datetime(2026, 3, 28, 10, 0, tzinfo=UTC))
        paused_s = await house.switched(3)
        assert (await house.clock()).hour == 11
        assert MIN_OFF_S <= paused_s < MIN_OFF_S + SLACK_S

        house.sun_w = 0.0
        await house.switched(4)
        house.sun_w = 3000.0
        await _says(house, "spent")  # two starts were today's: no jump gave them back

        house.set_clock(datetime(2026, 3, 28, 22, 59, 50, tzinfo=UTC))
        await house.switched(5)
        assert (await house.clock()).day == 29

        house.set_clock(datetime(2026, 3, 29, 0, 59, 55, tzinfo=UTC))
        await _passes(house, datetime(2026, 3, 29, 1, 0, 10, tzinfo=UTC))
        assert (await house.clock()).hour == 3
        assert [move.on for move in house.boiler.switchings] == [True, False, True, False, True]
    assert {move.source for move in house.boiler.switchings} == {"HTTP_in"}


async def _says(house: House, verdict: str) -> None:
    async with asyncio.timeout(60):
        while await house.verdict() != verdict:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.2)


async def _passes(house: House, moment: datetime) -> None:
    async with asyncio.timeout(60):
        while await house.clock() < moment:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.2)
