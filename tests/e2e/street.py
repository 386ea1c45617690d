"""A house with emulated devices on loopback, and loadctl as processes beside it, in real time."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen2

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

    async def shows(self, line: str) -> None:
        """Return once `line` stands in the metrics."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client, asyncio.timeout(60):
            while True:
                if line in (await client.get("/metrics")).text:
                    return
                await asyncio.sleep(0.05)

    @property
    def state_dir(self) -> Path:
        return self.file.parent / "state"

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@asynccontextmanager
async def open_street(tmp_path: Path, rules: str = RULES, password: str | None = None) -> AsyncIterator[Street]:
    """Serve the devices and write the rule file that fits them."""
    clock = DeviceClock()
    envoy = EmulatedEnvoy(era="5", clock=time.monotonic)
    boiler = EmulatedShellyGen2(lambda: 2000.0, clock=clock, password=password)
    file = tmp_path / "home.yaml"
    async with AsyncExitStack() as stack, AsyncExitStack() as meter:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # a port that none of the devices gets
            port = listener.getsockname()[1]
            urls = {"envoy": await meter.enter_async_context(serve(envoy.app))}
            urls["boiler"] = await stack.enter_async_context(serve(boiler.app))
        file.write_text(rules.format(port=port, **urls), encoding="utf-8")
        street = Street(file, envoy, boiler, clock, port, meter)
        living = asyncio.create_task(street.live())
        try:
            yield street
        finally:
            living.cancel()
            await asyncio.wait([living])


@asynccontextmanager
async def loadctl_run(street: Street, *arguments: str, **environment: str) -> AsyncIterator[Process]:
    """Start `loadctl run` and collect what it says; whatever happens it is gone afterwards."""
    process = await _start("run", str(street.file), "--state-dir", str(street.state_dir), *arguments, **environment)
    listening = asyncio.create_task(_listen(process, street.lines))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


async def loadctl(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it said on stdout and stderr."""
    process = await _start(*arguments, **environment)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def _start(*arguments: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from loadctl.cli import main; main()",
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | environment,
    )


async def _listen(process: Process, lines: list[str]) -> None:
    if process.stderr is not None:
        async for line in process.stderr:  # as they come
            lines.append(line.decode())  # noqa: PERF401
