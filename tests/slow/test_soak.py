"""A day in the life of one process, at high speed, with something broken all the time: it must not grow.

Real sockets, memory on a real disk, a page that is read; the clock runs SPEED times as fast. Devices live in the same
process, so what they remember of their wires is thrown away every hour, or it would be taken for a leak of ours.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.envoy.emulated import Fault as BoxFault
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.emulators.shelly import Fault as RelayFault
from loadctl.lab.home import ScaledClock
from loadctl.service.daemon import Daemon
from loadctl.service.journal import Journal
from loadctl.service.memory import FILE, Memory
from loadctl.service.metrics import Metrics
from loadctl.web.app import application
from tests.faults.proxy import Mode, Proxy, proxied

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::ResourceWarning")]

HOUR_S = 3600.0
RULES = """\
version: 1
site: {{timezone: UTC, max_import: 8 kW}}
meter: {{driver: envoy, host: "{envoy}", every: 10 s, max_age: 120 s}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}", lease: 10 min, every: 1 min}}
    power: 2 kW
    start: 1.5 kW for 1 min
    stop: import 800 W for 2 min
  pump:
    actuator: {{driver: shelly, host: "{pump}", lease: 10 min, every: 1 min}}
    power: 1 kW
    need: 2 h by 20:00
"""
MOST_GROWTH_B = 20_000.0  # in an hour of the house, by tracemalloc


@dataclass(frozen=True, slots=True)
class Hour:
    """The process at the end of an hour, with all well."""

    number: int
    resident_b: int
    held_b: int
    tasks: int
    descriptors: int


@dataclass
class House:
    """All that is there, and what the hours showed."""

    clock: ScaledClock
    envoy: EmulatedEnvoy
    boiler: EmulatedShellyGen1
    pump: EmulatedShellyGen2
    wires: dict[str, Proxy]
    daemon: Daemon
    page: httpx.AsyncClient
    hours: list[Hour] = field(default_factory=list)
    switchings: int = 0
    faults: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(5))

    async def live(self) -> None:
        while True:
            at_s = self.clock.now() % 86400
            sun_w = max(0.0, 6000.0 * (1 - abs(at_s / HOUR_S - 12) / 6)) * self.dice.uniform(0.2, 1.0)
            drawn_w = 2000.0 * self.boiler.on + 1000.0 * self.pump.on
            self.envoy.pv_w, self.envoy.grid_w = sun_w, 300.0 + drawn_w - sun_w
            await self.clock.sleep(20.0)

    async def trouble(self) -> None:
        """Something new is wrong every few minutes, for a while, and then not."""
        while True:
            await self.clock.sleep(self.dice.uniform(60.0, 600.0))
            self.faults += 1
            wire = self.dice.choice(list(self.wires.values()))
            match self.dice.randrange(4):
                case 0:
                    self.envoy.fault = self.dice.choice([f for f in BoxFault if f is not BoxFault.HANG])
                case 1:
                    self.dice.choice((self.boiler, self.pump)).fault = self.dice.choice(list(RelayFault))
                case 2:
                    wire.mode = self.dice.choice([mode for mode in Mode if mode is not Mode.DRIP])
                case _:
                    self.dice.choice((self.boiler, self.pump)).press(self.dice.random() < 0.5)
            await self.clock.sleep(self.dice.uniform(60.0, 400.0))
            self.heal()

    def heal(self) -> None:
        self.envoy.fault = self.boiler.fault = self.pump.fault = None
        for wire in self.wires.values():
            if wire.mode is not Mode.PASS:
                wire.mode = Mode.PASS
                wire.hang_up()

    async def visit(self) -> None:
        while True:
            await self.clock.sleep(60.0)
            assert (await self.page.get("/metrics")).status_code == 200

    def forget(self) -> None:
        """Throw away what the devices remember."""
        self.switchings += sum(len(device.relays[0].switchings) for device in (self.boiler, self.pump))
        self.pump.calls.clear()
        self.envoy.requests.clear()
        self.envoy.gate.sessions.clear()
        for device in (self.boiler, self.pump):
            device.requests.clear()
            device.relays[0].switchings.clear()

    def look(self) -> None:
        self.forget()
        gc.collect()
        resident_b = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        held_b = tracemalloc.get_traced_memory()[0]
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
        self.hours.append(Hour(len(self.hours) + 1, resident_b, held_b, len(asyncio.all_tasks()), descriptors))

    async def pass_hours(self, hours: int) -> None:
        """Live on; at the end of each hour all is well for two minutes before the process is looked at."""
        for _ in range(hours):
            troubles = [asyncio.create_task(self.trouble()), asyncio.create_task(self.visit())]
            await self.clock.sleep(HOUR_S - 240.0)
            for task in troubles:
                task.cancel()
            for result in await asyncio.gather(*troubles, return_exceptions=True):
                assert isinstance(result, asyncio.CancelledError), result
            self.heal()
            await self.clock.sleep(240.0)
            self.look()


@asynccontextmanager
async def controlled(folder: Path, speed: float) -> AsyncIterator[House]:
    clock = ScaledClock(datetime(2026, 6, 1, tzinfo=UTC), speed)
    envoy = EmulatedEnvoy(clock.now, "5")
    boiler, pump = (
        EmulatedShellyGen1(lambda: 2000.0, clock=clock.now),
        EmulatedShellyGen2(lambda: 1000.0, clock=clock.now),
    )
    async with AsyncExitStack() as stack:
        wires = {}
        for name, app in (("envoy", envoy.app), ("boiler", boiler.app), ("pump", pump.app)):
            url = await stack.enter_async_context(serve(app))
            wires[name] = await stack.enter_async_context(proxied(url))
        house = parse(RULES.format(**{name: wire.url for name, wire in wires.items()}), "home.yaml")
        memory = await Memory.open(folder / FILE, clock, house.site)
        stack.push_async_callback(memory.close)
        daemon = Daemon(house, Shared(clock), memory=memory)
        metrics = Metrics(daemon)
        daemon.observers += [Journal(daemon), metrics]
        url = await stack.enter_async_context(serve(application(daemon, metrics)))
        page = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        living = House(clock, envoy, boiler, pump, wires, daemon, page)
        tasks = [asyncio.create_task(living.live()), asyncio.create_task(daemon.run())]
        try:
            yield living
        finally:
            daemon.stop("end of the soak")
            await tasks[1]
            tasks[0].cancel()
            await asyncio.wait([tasks[0]])


def slope(hours: list[Hour], what: str) -> float:
    """Return by how much it grows in an hour of the house."""
    return statistics.linear_regression([hour.number for hour in hours], [getattr(hour, what) for hour in hours]).slope


def table(house: House, took_s: float) -> str:
    lines = ["| hour | resident MB | held MB | tasks | descriptors |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {hour.number} | {hour.resident_b / 1e6:.1f} | {hour.held_b / 1e6:.2f} | {hour.tasks} | {hour.descriptors} |"
        for hour in house.hours
    ]
    late = _settled(house.hours)
    lines.append(
        f"{house.faults} faults, {house.switchings} switchings, {house.clock.speed:g} times real, {took_s:.0f} s; per "
        f"hour after the first quarter: resident {slope(late, 'resident_b') / 1e3:+.0f} kB, "
        f"held {slope(late, 'held_b') / 1e3:+.1f} kB"
    )
    return "\n".join(lines)


def _settled(hours: list[Hour]) -> list[Hour]:
    return hours[len(hours) // 4 :]


async def soak(folder: Path, hours: int, speed: float) -> tuple[House, str]:
    began_at = time.monotonic()
    logging.getLogger("loadctl").setLevel(logging.CRITICAL)  # there is something to say all the time
    tracemalloc.start()
    try:
        async with controlled(folder, speed) as house:
            await house.pass_hours(hours)
    finally:
        tracemalloc.stop()
        logging.getLogger("loadctl").setLevel(logging.NOTSET)
    return house, table(house, time.monotonic() - began_at)


@pytest.mark.slow
async def test_a_day_with_something_broken_all_the_time(tmp_path: Path, capsys: Any):
    house, told = await soak(tmp_path, 24, 200.0)
    with capsys.disabled():
        print(f"\n{told}")  # noqa: T201
    late = _settled(house.hours)
    assert slope(late, "held_b") < MOST_GROWTH_B
    half = len(late) // 2
    for what in ("tasks", "descriptors"):  # connections that are open come and go
        counts = [getattr(hour, what) for hour in late]
        assert max(counts[half:]) <= max(counts[:half]) + 6, what
    assert house.faults > 100
    assert house.switchings > 10
