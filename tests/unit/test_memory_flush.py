"""When the memory writes: rarely, before an ON leaves, never in anybody's way. And `kill -9` at any moment."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loadctl.core.rules import Site
from loadctl.core.values import OFF, ON, STARTING, STOPPING
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.resume import FLUSH_S
from tests.unit.memory_days import SITE, Day

pytestmark = pytest.mark.anyio


async def open_memory(path: Path, day: Day, **more: Any) -> Memory:
    chosen: dict[str, Any] = {"boot_id": "boot-1", "trusted": lambda: True, "executor": Inline()} | more
    return await Memory.open(path, day.clock, SITE, **chosen)


async def note(memory: Memory, day: Day, sun_w: float = 0.0) -> None:
    memory.note(*day.tick(sun_w))
    for _ in range(3):
        await asyncio.sleep(0)


def last_saved(path: Path) -> tuple[float, dict[str, str]]:
    """What another program reads in the file now: the moment and the phases."""
    with closing(sqlite3.connect(path)) as connection:
        ((at,),) = connection.execute("SELECT at FROM house")
        return at, dict(connection.execute("SELECT load, json_extract(standing, '$.phase') FROM standings"))


class HungDisk(ThreadPoolExecutor):
    """A writer whose disk hangs until `works` is set."""

    def __init__(self) -> None:
        super().__init__(1)
        self.works = threading.Event()
        self.works.set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def wait_and_do() -> Any:
            self.works.wait()
            return fn(*args, **kwargs)

        return super().submit(wait_and_do)


async def test_at_most_one_flush_in_ten_seconds_while_nothing_is_switched(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    begun_at = day.clock.at
    flushed_at: list[float] = []
    for second in range(1800):
        await note(memory, day, 1000.0 if second % 7 else 700.0)
        if memory.flushes > len(flushed_at):
            flushed_at.append(day.clock.at)
    assert all(state.phase is OFF for state in day.state.standings)
    assert len(flushed_at) == pytest.approx((day.clock.at - begun_at) / FLUSH_S, abs=1)
    gaps = [later - earlier for earlier, later in pairwise(flushed_at)]
    assert min(gaps) >= FLUSH_S
    await memory.close()


async def test_fast_ticks_do_not_make_more_flushes(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    for _ in range(1000):
        memory.note(*day.tick(every_s=0.1))
        await asyncio.sleep(0)
    assert memory.flushes <= 11
    await memory.close()


async def test_an_on_is_on_the_disk_before_its_command_leaves(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day, executor=None)
    while True:
        tick, outcome = day.tick(2500.0)
        memory.note(tick, outcome)
        if outcome.commands:
            break
        await asyncio.sleep(0)
    assert await memory.on_is_safe() is True
    at, phases = last_saved(tmp_path / FILE)
    assert at == tick.at
    assert phases["boiler"] == STARTING
    await memory.close()


async def test_both_that_wait_for_one_flush_are_told(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day, executor=None)
    memory.note(*day.tick())
    before = memory.flushes
    assert await asyncio.gather(*(memory.on_is_safe() for _ in range(3))) == [True] * 3
    assert memory.flushes == before + 1
    assert await memory.on_is_safe() is True
    assert memory.flushes == before + 1
    await memory.close()


async def test_a_disk_that_hangs_holds_nothing_up(tmp_path):
    day, disk = Day(), HungDisk()
    memory = await open_memory(tmp_path / FILE, day, executor=disk)
    await note(memory, day)
    assert await memory.on_is_safe() is True
    disk.works.clear()
    for _ in range(30):
        memory.note(*day.tick(2500.0))  # returns at once, or this test would never end
        if day.state.standings[0].phase is STARTING:
            assert await memory.on_is_safe() is False  # after a second
    assert not memory.up
    assert "the disk does not answer" in memory.why
    assert day.state.standings[0].phase is ON
    async with asyncio.timeout(0):
        assert await memory.on_is_safe() is False  # now that it is known to be down, there is no second to wait
    disk.works.set()
    while memory.why:
        memory.note(*day.tick(2500.0))
        await asyncio.sleep(0.001)
    assert await memory.on_is_safe() is True
    await memory.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        ((samples, first, last),) = connection.execute("SELECT count(*), min(wall_ms), max(wall_ms) FROM samples")
    assert samples == (last - first) / 1000 + 1  # not one is missing


async def test_switching_flushes_at_once_and_renewing_does_not(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    await note(memory, day, 2500.0)
    for _ in range(3):
        await note(memory, day, 2500.0)
    assert memory.flushes == 1
    while day.state.standings[0].phase is not STARTING:
        await note(memory, day, 2500.0)
    await note(memory, day, 2500.0)
    assert last_saved(tmp_path / FILE)[1]["boiler"] == STARTING
    flushes = memory.flushes
    for _ in range(60):
        await note(memory, day, 2500.0)
    assert memory.flushes - flushes <= 6
    while day.state.standings[0].phase is not STOPPING:
        await note(memory, day)
    assert last_saved(tmp_path / FILE)[1]["boiler"] == STOPPING
    await memory.close()


async def test_as_by_a_power_cut(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    for _ in range(5):
        await note(memory, day)
    await memory.close(write=False)
    at, _ = last_saved(tmp_path / FILE)
    assert at == day.clock.at - 4


async def test_new_rules_are_followed_and_what_left_them_is_remembered(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    for _ in range(30):
        await note(memory, day, 2500.0)
    pump_only = Site(SITE.loads[1:])
    later = Day(pump_only, day.clock, replace(day.state, standings=day.state.standings[1:]))
    memory.follow(pump_only)
    assert await memory.on_is_safe() in {True, False}
    for _ in range(30):
        await note(memory, later)
    await memory.close()
    again = await open_memory(tmp_path / FILE, later)
    assert again.saved is not None
    assert set(again.saved.loads) == {"boiler", "pump"}
    assert again.saved.loads["boiler"].moment.at < again.saved.loads["pump"].moment.at == later.clock.at
    await again.close()


async def test_the_device_first_seen_stays_the_loads_own_until_its_owner_says_otherwise(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    await note(memory, day)
    tick, outcome = day.tick()
    stranger = replace(day.seen("boiler"), identity="another")
    memory.note(replace(tick, reports=(stranger,)), outcome)
    assert memory.identities["boiler"] == "relay-of-boiler"
    memory.forget("boiler")
    tick, outcome = day.tick()
    memory.note(replace(tick, reports=(stranger,)), outcome)
    await memory.close()
    again = await open_memory(tmp_path / FILE, day)
    assert again.identities["boiler"] == "another"
    await again.close()


async def test_another_address_in_the_rules_is_another_device(tmp_path):
    day = Day()
    memory = await open_memory(tmp_path / FILE, day)
    assert memory.recall("boiler", "192.168.1.40") is None
    await note(memory, day)
    assert memory.recall("boiler", "192.168.1.40") == "relay-of-boiler"
    await memory.close()
    again = await open_memory(tmp_path / FILE, day)
    assert again.recall("boiler", "192.168.1.40") == "relay-of-boiler"
    assert again.recall("boiler", "192.168.1.41") is None
    await again.close()


VICTIM = """
import asyncio, sys
from pathlib import Path
from loadctl.service.memory import Memory
from tests.unit.memory_days import SITE, Day

async def main():
    day = Day()
    memory = await Memory.open(Path(sys.argv[1]), day.clock, SITE, boot_id="b", trusted=lambda: True)
    while True:
        sun_w = 3800.0 if int(day.clock.at) // 40 % 2 else 0.0
        tick, outcome = day.tick(sun_w)
        memory.note(tick, outcome)
        for command in outcome.commands:
            if command.watts > 0 and await memory.on_is_safe():
                print(f"{command.load} {tick.at}", flush=True)
        if tick.at % 9 == 0:  # these seconds fly: let the disk keep up with them
            await memory.on_is_safe()

asyncio.run(main())
"""


def kill_once(path: Path, after_lines: int, after_s: float) -> list[tuple[str, float]]:
    """Start the victim, let it switch on `after_lines` times and a moment more, kill it; return its promises."""
    with subprocess.Popen([sys.executable, "-c", VICTIM, path], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        lines = [victim.stdout.readline() for _ in range(after_lines)]
        try:
            victim.wait(after_s)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
        lines += victim.stdout.readlines()
    assert victim.returncode == -signal.SIGKILL
    return [(load, float(at)) for load, at in (line.split() for line in lines if line.endswith("\n"))]


def check_after_kill(path: Path, promised: list[tuple[str, float]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ((at,),) = connection.execute("SELECT at FROM house")
        decided = {(load, wall_ms) for load, wall_ms in connection.execute("SELECT load, wall_ms FROM decisions")}
        ((seconds,),) = connection.execute("SELECT seconds FROM energy WHERE kind = 'production'")
        ((samples,),) = connection.execute("SELECT count(*) FROM samples")
    assert promised
    assert at >= promised[-1][1]
    assert samples - 1 == pytest.approx(seconds)  # what is written together is there together
    day = Day()
    began = day.clock.wall().timestamp() - day.clock.at
    for load, on_at in promised:
        assert (load, round((began + on_at) * 1000)) in decided


@pytest.mark.parametrize("seed", range(10))
def test_kill_9_anywhere_loses_no_on_that_left(tmp_path, seed):
    dice = random.Random(seed)
    promised = kill_once(tmp_path / FILE, dice.randint(1, 12), dice.uniform(0.0, 0.05))
    check_after_kill(tmp_path / FILE, promised)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 210))
def test_kill_9_at_many_points(tmp_path, seed):
    dice = random.Random(seed)
    promised = kill_once(tmp_path / FILE, dice.randint(1, 40), dice.uniform(0.0, 0.3))
    check_after_kill(tmp_path / FILE, promised)
