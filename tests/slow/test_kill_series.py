"""Kill -9 at random points of a run that switches all the time: nothing lost from the state file, no promise broken.

A process of its own, real sockets, a clock six times as fast; the relays are the test's own and outlive it. The
sun comes and goes every half minute of that clock, so that many kills meet a command on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.service.memory import FILE
from tests.e2e.until import until
from tests.slow.quick_run import SPEED, now

pytestmark = pytest.mark.anyio

LEASE_S, MIN_ON_S, MIN_OFF_S = 60.0, 15.0, 20.0
OURS = {"http", "HTTP_in"}
RULES = """\
version: 1
site: {{timezone: UTC, hold: 5 s}}
meter: {{driver: envoy, host: "{envoy}", every: 2 s, max_age: 20 s}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}", lease: 60 s, every: 5 s}}
    <<: &rule
      {{power: 2 kW, start: 1.5 kW for 4 s, stop: import 800 W for 4 s, min_on: 15 s, min_off: 20 s, settle: 2 s}}
  pump:
    actuator: {{driver: shelly, host: "{pump}", lease: 60 s, every: 5 s}}
    <<: *rule
"""


@dataclass
class Home:
    """Two relays behind emulated Shellys and a meter; `killed_at` on the quick clock."""

    folder: Path
    envoy: EmulatedEnvoy
    relays: dict[str, EmulatedShellyGen1 | EmulatedShellyGen2]
    sun_w: float = 0.0
    killed_at: list[float] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "state" / FILE

    async def live(self) -> None:
        dice, until_s = random.Random(3), 0.0
        while True:
            if now() >= until_s:
                self.sun_w = 5000.0 - self.sun_w
                until_s = now() + dice.uniform(25.0, 50.0)
            drawn_w = sum(2000.0 for relay in self.relays.values() if relay.on)
            self.envoy.pv_w, self.envoy.grid_w = self.sun_w, 300.0 + drawn_w - self.sun_w
            await asyncio.sleep(0.05)

    def on_disk(self) -> dict[str, tuple[int, float]]:
        """Starts (one that is on its way counts) and seconds of run by load, as another program reads them."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            starts = "json_extract(standing, '$.tally.starts') + (json_extract(standing, '$.phase') = 'starting')"
            runtime_s = "json_extract(standing, '$.tally.runtime_s')"
            rows = connection.execute(f"SELECT load, {starts}, {runtime_s} FROM standings")
            return {name: (count, seconds) for name, count, seconds in rows}

    def at_the_wire(self) -> dict[str, int]:
        return {
            name: sum(move.on and move.source in OURS for move in relay.switchings)
            for name, relay in self.relays.items()
        }


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[Home]:
    relays: dict[str, EmulatedShellyGen1 | EmulatedShellyGen2] = {
        "boiler": EmulatedShellyGen1(lambda: 2000.0, clock=now),
        "pump": EmulatedShellyGen2(lambda: 2000.0, clock=now),
    }
    built = Home(folder, EmulatedEnvoy(now, "5"), relays)
    async with AsyncExitStack() as stack:
        urls = {"envoy": await stack.enter_async_context(serve(built.envoy.app))}
        for name, relay in built.relays.items():
            urls[name] = await stack.enter_async_context(serve(relay.app))
        (folder / "home.yaml").write_text(RULES.format(**urls), encoding="utf-8")
        living = asyncio.create_task(built.live())
        try:
            yield built
        finally:
            living.cancel()
            await asyncio.wait([living])


async def killed_run(house: Home, lives_s: float) -> None:
    """Run for `lives_s` real seconds from its first word on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.slow.quick_run", house.folder / "home.yaml", house.folder / "state", stderr=PIPE
    )
    assert process.stderr is not None
    try:
        first = await asyncio.wait_for(process.stderr.readline(), 60)
        assert b"controlling" in first
        rest = asyncio.create_task(process.stderr.read())
        await asyncio.sleep(lives_s)
        assert process.returncode is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    house.killed_at.append(now())
    assert b"Traceback" not in await rest


async def series(house: Home, kills: int, dice: random.Random) -> list[str]:
    """Kill a run again and again; return what was found wrong."""
    lost: list[str] = []
    counted: dict[str, tuple[int, float]] = {}
    for _ in range(kills):
        await killed_run(house, dice.uniform(0.3, 5.0))
        if not house.file.exists():
            continue
        disk, wire = house.on_disk(), house.at_the_wire()
        # An ON is on the disk before it leaves; one that never left may be there, too. Nothing is ever taken back.
        lost += [
            f"{name}: {wire[name]} starts, {disk[name]} on the disk" for name in disk if wire[name] > disk[name][0]
        ]
        lost += [f"{name}: {counted[name]} became {disk[name]}" for name in counted if disk[name] < counted[name]]
        counted = disk
    await until(lambda: not any(relay.on for relay in house.relays.values()))
    return lost + kept(house)


def kept(house: Home) -> list[str]:
    """Leases and minimum times, by what happened at the relays."""
    broken = []
    for name, relay in house.relays.items():
        for before, after in pairwise(relay.switchings):
            lasted_s = after.at - before.at
            if after.source == "timer":
                if not any(after.at - LEASE_S <= at < after.at for at in house.killed_at):
                    broken.append(f"{after.at:.1f}: {name}: a lease ended under a living daemon")
            elif not after.on and lasted_s < MIN_ON_S:
                broken.append(f"{after.at:.1f}: {name}: ran {lasted_s:.2f} s of {MIN_ON_S:g}")
            elif after.on and lasted_s < MIN_OFF_S:
                broken.append(f"{after.at:.1f}: {name}: paused {lasted_s:.2f} s of {MIN_OFF_S:g}")
        if relay.switchings and relay.switchings[-1].at > house.killed_at[-1] + LEASE_S:
            broken.append(f"{name}: on longer than its lease after the last kill")
    return broken


async def test_killed_a_few_times(tmp_path):
    async with home(tmp_path) as house:
        assert await series(house, 5, random.Random(2)) == []
        assert min(house.at_the_wire().values()) >= 1


@pytest.mark.slow
async def test_killed_200_times(tmp_path, capsys):
    async with home(tmp_path) as house:
        wrong = await series(house, 200, random.Random(7))
        moves = sum(len(relay.switchings) for relay in house.relays.values())
        hours = (house.killed_at[-1] - house.killed_at[0]) / 3600
        with capsys.disabled():
            print(f"\n200 kills in {hours:.1f} h ({SPEED:g} times real): {moves} switchings, disk {house.on_disk()}")  # noqa: T201
        assert wrong == []
        assert min(house.at_the_wire().values()) > 30
