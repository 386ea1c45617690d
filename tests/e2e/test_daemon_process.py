"""`loadctl run` as a process against emulated devices on loopback, in real time: order and outcome, generous bounds."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen2
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

LEASE_S = 15.0
RULES = """\
version: 1
site: {{timezone: UTC, hold: 2 s}}
meter: {{driver: envoy, host: "{envoy}", every: 1 s, max_age: 6 s}}
web: {{port: {port}}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}", lease: 15 s, every: 2 s}}
    power: 2 kW
    start: 1.5 kW for 2 s
    stop: import 800 W for 2 s
    min_on: 0 s
    min_off: 0 s
"""


@dataclass
class DeviceClock:
    """Seconds of a device; `rate` may be raised so that a lease ends sooner for those who wait for it."""

    rate: float = 1.0
    _now: float = 0.0
    _looked: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        looked = time.monotonic()
        self._now += (looked - self._looked) * self.rate
        self._looked = looked
        return self._now


@dataclass
class Street:
    """A house with one boiler; `meter` is served until `kill_meter`."""

    file: Path
    envoy: EmulatedEnvoy
    boiler: EmulatedShellyGen2
    clock: DeviceClock
    port: int
    meter: AsyncExitStack
    sun_w: float = 2500.0
    lines: list[str] = field(default_factory=list)

    async def live(self) -> None:
        while True:
            self.envoy.pv_w = self.sun_w
            self.envoy.grid_w = 300.0 + (2000.0 if self.boiler.on else 0.0) - self.sun_w
            await asyncio.sleep(0.05)

    async def kill_meter(self) -> None:
        await self.meter.aclose()

    @property
    def state_dir(self) -> Path:
        return self.file.parent / "state"

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
async def street(tmp_path):
    clock = DeviceClock()
    envoy, boiler = EmulatedEnvoy(era="5", clock=time.monotonic), EmulatedShellyGen2(lambda: 2000.0, clock=clock)
    file = tmp_path / "home.yaml"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with AsyncExitStack() as stack, AsyncExitStack() as meter:
        urls = {"envoy": await meter.enter_async_context(serve(envoy.app))}
        urls["boiler"] = await stack.enter_async_context(serve(boiler.app))
        file.write_text(RULES.format(port=port, **urls), encoding="utf-8")
        street = Street(file, envoy, boiler, clock, port, meter)
        living = asyncio.create_task(street.live())
        yield street
        living.cancel()
        await asyncio.wait([living])


@asynccontextmanager
async def loadctl_run(street: Street, *arguments: str) -> AsyncIterator[Process]:
    """Start `loadctl run` and collect what it says; whatever happens it is gone afterwards."""
    arguments = ("run", str(street.file), "--state-dir", str(street.state_dir), *arguments)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from loadctl.cli import main; main()", *arguments, stderr=PIPE
    )
    listening = asyncio.create_task(_listen(process, street.lines))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


async def _listen(process: Process, lines: list[str]) -> None:
    if process.stderr is not None:
        async for line in process.stderr:  # as they come
            lines.append(line.decode())  # noqa: PERF401


async def test_it_switches_by_the_rules_keeps_them_when_a_new_file_is_bad_and_goes_safe_when_told_to_end(street):
    async with loadctl_run(street) as process:
        await until(lambda: street.boiler.on)
        assert street.said("boiler: wait_on → start")
        street.sun_w = 0.0
        await until(lambda: not street.boiler.on)
        street.sun_w = 2500.0
        await until(lambda: street.boiler.on)

        good = street.file.read_text(encoding="utf-8")
        street.file.write_text(good.replace("power: 2 kW", "power: 2"), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        await until(lambda: street.said("the rules stay as they were"))
        await until(lambda: street.said("home.yaml:8:5: loads.boiler.power: "))
        street.file.write_text(good.replace("for 2 s", "for 3 s"), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        await until(lambda: street.said("new rules: controlling boiler"))
        assert street.boiler.on

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{street.port}") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
            page = (await client.get("/metrics")).text
        assert 'loadctl_appliance_starts_total{appliance="boiler"} 2.0' in page
        assert "loadctl_rules_reload_success 1.0" in page

        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
        assert not street.boiler.on
    assert [switching.on for switching in street.boiler.switchings] == [True, False, True, False]
    assert {switching.source for switching in street.boiler.switchings} == {"HTTP_in"}
    assert street.said("SIGTERM: stopping")
    assert street.said("boiler: off, confirmed")
    assert not street.said("Traceback")


async def test_a_killed_meter_turns_the_load_off_in_time(street):
    async with loadctl_run(street):
        await until(lambda: street.boiler.on)
        await street.kill_meter()
        died_at = time.monotonic()
        await until(lambda: not street.boiler.on)
        assert time.monotonic() - died_at < 6 + 2 + 10  # max_age + hold, and a machine that is busy
        assert street.said("→ blind")
    assert [switching.source for switching in street.boiler.switchings] == ["HTTP_in", "HTTP_in"]


async def test_after_kill_9_the_relay_goes_off_by_its_own_timer_within_the_lease(street):
    async with loadctl_run(street) as process:
        await until(lambda: street.boiler.on)
        process.kill()
        await process.wait()
        killed_at = street.clock()
        street.clock.rate = 10.0
        await until(lambda: not street.boiler.on)
    last = street.boiler.switchings[-1]
    assert (last.on, last.source) == (False, "timer")
    assert last.at - killed_at <= LEASE_S


async def test_a_dry_run_switches_nothing(street):
    async with loadctl_run(street, "--dry-run") as process:
        await until(lambda: street.said("→ run"))
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert street.boiler.switchings == []
    assert not any(method == "Switch.Set" for method, _ in street.boiler.calls)
    assert street.said("dry run: nothing is switched")


async def test_it_starts_with_every_device_away(street):
    good = street.file.read_text(encoding="utf-8")
    street.file.write_text(good.replace("127.0.0.1", "127.0.0.2"), encoding="utf-8")
    async with loadctl_run(street) as process:
        await until(lambda: street.said("meter: ") and street.said("→ fault"))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 2
    assert street.said("boiler: not confirmed off: ")
    assert not street.said("Traceback")
