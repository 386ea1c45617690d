"""The daemon with its memory, on virtual time: what a power cut leaves, what is on the disk when an ON leaves."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadctl.config import House
from loadctl.core.appliance import tallied
from loadctl.core.rules import Load
from loadctl.core.values import FAULT, ON, Command, Report, Wish
from loadctl.drivers import Shared
from loadctl.errors import Unreachable
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, ON_LIMIT_S, Inline, Memory
from loadctl.service.resume import FLUSH_S
from tests.home import HomeMeter, Known, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@dataclass
class Wire:
    """What a run has to its relay; a power cut at the controller cuts it, and the relay goes on by itself."""

    relay: Relay
    cut: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.relay, name)

    async def apply(self, command: Command) -> Report:
        self._check()
        return await self.relay.apply(command)

    async def read(self) -> Report:
        self._check()
        return await self.relay.read()

    def _check(self) -> None:
        if self.cut:
            raise Unreachable("the controller has no power")


@dataclass
class Run:
    daemon: Daemon
    folder: Path
    wires: list[Wire]

    def cut_power(self, to: Path) -> Path:
        """Cut the controller's power now; what was on the disk is found in the folder `to`."""
        to.mkdir()
        for part in self.folder.glob(f"{FILE}*"):
            shutil.copy(part, to)
        for wire in self.wires:
            wire.cut = True
        return to


@asynccontextmanager
async def running(
    folder: Path,
    meter: HomeMeter,
    *parts: tuple[Load, Relay],
    executor: Executor | None = None,
    address: str = "192.168.1.40",
    reread: Callable[[House], House] | None = None,
    **more: Any,
) -> AsyncIterator[Run]:
    """Run a daemon with its memory in `folder`; on leaving it is stopped as by a signal."""
    clock, wires = VirtualClock(), [Wire(relay) for _, relay in parts]
    home = house(meter, *((load, Known(wire)) for (load, _), wire in zip(parts, wires, strict=True)))
    devices = {name: replace(device, options=address) for name, device in home.actuators.items()}
    home = replace(home, actuators=devices, **more)
    memory = await Memory.open(
        folder / FILE, clock, home.site, boot_id="boot", trusted=lambda: True, executor=executor or Inline()
    )
    daemon = Daemon(
        home, Shared(clock), memory=memory, reread=partial(reread, home) if reread else None, executor=Inline()
    )
    task = asyncio.create_task(daemon.run())
    try:
        yield Run(daemon, folder, wires)
    finally:
        daemon.stop("SIGTERM")
        await task
        await memory.close()


def _now() -> float:
    return asyncio.get_running_loop().time()


def phases(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / FILE)) as file:
        return dict(file.execute("SELECT load, standing ->> 'phase' FROM standings"))


async def test_after_a_power_cut_a_run_goes_on_and_its_counters_with_it(tmp_path):
    boiler = Relay(lease_s=600.0)
    meter = HomeMeter([boiler], sun_w=2500)
    async with running(tmp_path / "one", meter, (rule("boiler", min_on_s=900.0), boiler)) as run:
        await asyncio.sleep(120)
        assert boiler.runs()
        begun_at = run.daemon.state.standings[0].switched_at or 0.0
        left = run.cut_power(tmp_path / "two")
    meter.sun_w = 0
    async with running(left, meter, (rule("boiler", min_on_s=900.0), boiler)) as run:
        await asyncio.sleep(2)
        standing = run.daemon.state.standings[0]
        assert (standing.phase, standing.tally.starts) == (ON, 1)
        assert standing.switched_at == pytest.approx(begun_at)
        await asyncio.sleep(100)
        assert boiler.runs()
        load = run.daemon.house.site.loads[0]
        runtime_s = tallied(load, run.daemon.state.standings[0], _now()).runtime_s
        away_s = 10.0 + FLUSH_S  # for which nobody can tell that it really ran
        assert _now() - begun_at - away_s - 1 <= runtime_s <= _now() - begun_at
        await asyncio.sleep(900)
        assert not boiler.runs()
    off_at = boiler.said("off")[0][0]
    assert off_at >= begun_at + 900


async def test_a_minimum_time_off_holds_through_an_orderly_stop_and_counts_from_it(tmp_path):
    freezer = Relay(lease_s=None)
    meter = HomeMeter([freezer], sun_w=2500)
    resting = rule("freezer", compressor=True, min_off_s=600.0, lease_s=None)
    async with running(tmp_path, meter, (resting, freezer)):
        await asyncio.sleep(700)
        assert freezer.runs()
    off_at = freezer.said("off")[-1][0]
    assert phases(tmp_path) == {"freezer": "off"}
    on_before = len(freezer.said("on"))
    async with running(tmp_path, meter, (resting, freezer)):
        await asyncio.sleep(700)
        assert freezer.runs()
    on_at = freezer.said("on")[on_before][0]
    assert off_at + 600 <= on_at <= off_at + 640


async def test_the_devices_are_asked_side_by_side_before_anything_is_decided_but_not_waited_for_long(tmp_path):
    slow, dead, quick = Relay(takes_s=3.0), Relay(takes_s=40.0), Relay()
    meter = HomeMeter([slow, dead, quick], sun_w=9000)
    parts = [(rule(name), relay) for name, relay in (("slow", slow), ("dead", dead), ("quick", quick))]
    async with running(tmp_path / "one", meter, *parts) as run:
        await asyncio.sleep(200)
        left = run.cut_power(tmp_path / "two")
    began_at = _now()
    ticks: list[float] = []
    async with running(left, meter, *parts) as run:
        run.daemon.observers.append(lambda tick, _: ticks.append(tick.at))
        await asyncio.sleep(30)
    assert ticks[0] == pytest.approx(began_at + 5.0, abs=0.1)
    for relay in (slow, dead, quick):
        assert next((at, word) for at, word in relay.wire if at >= began_at) == (began_at, "read")
    again = _now()
    async with running(left, meter, parts[0], parts[2]) as run:
        run.daemon.observers.append(lambda tick, _: ticks.append(tick.at))
        await asyncio.sleep(30)
    assert next(at for at in ticks if at >= again) == pytest.approx(again + 3.0, abs=0.1)


async def test_an_on_is_on_the_disk_before_it_leaves(tmp_path):
    told: list[str] = []

    @dataclass
    class Curious(Relay):
        async def apply(self, command: Command) -> Report:
            told.append(phases(tmp_path)["boiler"])
            return await super().apply(command)

    boiler = Curious()
    async with running(tmp_path, HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler)):
        await asyncio.sleep(15)
        assert boiler.runs()
    assert told[0] == "starting"


@dataclass
class Hung(Executor):
    """A disk that opens its file and then never answers; once it is let go of, it does what had gathered."""

    waiting: list[tuple[Future[Any], Any]] = field(default_factory=list)
    hangs: bool = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.hangs:
            self.waiting.append((future, lambda: fn(*args, **kwargs)))
        else:
            future.set_result(fn(*args, **kwargs))
        return future

    def let_go(self) -> None:
        self.hangs = False
        for future, work in self.waiting:
            future.set_result(work())
        self.waiting.clear()


async def test_a_disk_that_hangs_delays_an_on_by_a_second_at_most_and_an_off_not_at_all(tmp_path):
    disk, boiler = Hung(), Relay()
    meter = HomeMeter([boiler], sun_w=0)
    async with running(tmp_path, meter, (rule("boiler"), boiler), executor=disk) as run:
        asked: list[float] = []
        run.daemon.observers.append(lambda tick, outcome: asked.extend(tick.at for _ in outcome.commands))
        await asyncio.sleep(30)
        disk.hangs = True
        meter.sun_w = 2500
        await asyncio.sleep(30)
        assert boiler.runs()
        assert boiler.said("on")[0][0] == pytest.approx(asked[0] + ON_LIMIT_S)
        meter.sun_w = 0
        await asyncio.sleep(30)
        assert boiler.said("off")[0][0] == asked[1]
        assert run.daemon.memory is not None
        assert not run.daemon.memory.up
        meter.sun_w = 2500
        await asyncio.sleep(30)
        assert (asked[2], "on") in boiler.wire  # a disk known to hang is not waited for again
        disk.let_go()
        await asyncio.sleep(30)
        assert run.daemon.memory.up


async def test_a_directory_that_cannot_be_written_stops_no_control(tmp_path):
    (tmp_path / "file").touch()
    boiler = Relay()
    async with running(tmp_path / "file", HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler)) as run:
        await asyncio.sleep(30)
        assert boiler.runs()
        assert run.daemon.memory is not None
        assert not run.daemon.memory.up


async def test_what_a_person_said_survives_and_ends_in_its_time(tmp_path):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=0)
    async with running(tmp_path / "one", meter, (rule("boiler"), boiler)) as run:
        await asyncio.sleep(30)
        run.daemon.override("boiler", on=True, for_s=600)
        said_at = _now()
        await asyncio.sleep(5)
        assert boiler.runs()
        left = run.cut_power(tmp_path / "two")
    await asyncio.sleep(100)
    assert not boiler.runs()
    async with running(left, meter, (rule("boiler"), boiler)) as run:
        await asyncio.sleep(15)
        assert boiler.runs()
        assert run.daemon.wishes[0].until == pytest.approx(said_at + 600)
        await asyncio.sleep(said_at + 615 - _now())
        assert not boiler.runs()
        assert run.daemon.wishes == ()


async def test_another_device_at_the_address_is_left_alone_until_its_owner_says_so(tmp_path):
    boiler = Relay(identity="AA01")
    meter = HomeMeter([boiler], sun_w=2500)
    async with running(tmp_path, meter, (rule("boiler"), boiler)):
        await asyncio.sleep(30)
        assert boiler.runs()
    theirs = Relay(identity="BB02", on=True, leased_until=1e9)
    async with running(tmp_path, meter, (rule("boiler"), theirs)) as run:
        await asyncio.sleep(120)
        assert run.daemon.state.standings[0].phase is FAULT
        assert "BB02 instead of AA01" in run.daemon.state.standings[0].detail
        assert theirs.said("on", "off") == []
    assert theirs.said("on", "off") == []
    async with running(tmp_path, meter, (rule("boiler"), theirs)) as run:
        await asyncio.sleep(30)
        assert "taken for its own" in run.daemon.adopt("boiler")
        await asyncio.sleep(60)
        assert run.daemon.state.standings[0].phase is ON
        assert theirs.said("on")
    assert not theirs.runs()


async def test_another_address_in_the_rules_says_so_too(tmp_path):
    old, new = Relay(identity="AA01"), Relay(identity="BB02")
    meter = HomeMeter([old, new], sun_w=2500)
    async with running(tmp_path, meter, (rule("boiler"), old)):
        await asyncio.sleep(30)
    async with running(tmp_path, meter, (rule("boiler"), new)):
        await asyncio.sleep(60)
    assert new.said("on", "off") == []
    async with running(tmp_path, meter, (rule("boiler"), new), address="192.168.1.41"):
        await asyncio.sleep(60)
        assert new.runs()


async def test_a_load_with_a_new_name_keeps_its_counters(tmp_path):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    async with running(tmp_path, meter, (rule("boiler"), boiler)):
        await asyncio.sleep(30)
    async with running(tmp_path, meter, (rule("heater"), boiler), was={"heater": "boiler"}) as run:
        await asyncio.sleep(1)
        assert run.daemon.state.standings[0].tally.starts == 1


async def test_stopped_before_the_devices_have_told_nothing_of_the_last_run_is_lost(tmp_path):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    async with running(tmp_path, meter, (rule("boiler"), boiler)):
        await asyncio.sleep(30)
    boiler.takes_s = 4.0
    async with running(tmp_path, meter, (rule("boiler"), boiler)):
        await asyncio.sleep(1)
    boiler.takes_s = 0.1
    async with running(tmp_path, meter, (rule("boiler"), boiler)) as run:
        await asyncio.sleep(2)
        assert run.daemon.state.standings[0].tally.starts == 1


async def test_new_rules_and_what_people_said_of_their_loads_are_remembered(tmp_path):
    boiler, pump = Relay(), Relay()
    meter = HomeMeter([boiler, pump], sun_w=0)

    def without_boiler(home: House) -> House:
        return replace(home, site=replace(home.site, loads=home.site.loads[1:]))

    parts = (rule("boiler"), boiler), (rule("pump"), pump)
    async with running(tmp_path, meter, *parts, reread=without_boiler) as run:
        await asyncio.sleep(10)
        run.daemon.override("pump", on=True)
        run.daemon.override("boiler", on=True)
        await asyncio.sleep(10)
        assert boiler.runs()
        run.daemon.reload()
        await asyncio.sleep(10)
        assert [wish.load for wish in run.daemon.wishes if isinstance(wish, Wish)] == ["pump"]
        assert not boiler.runs()
        assert pump.runs()
    async with running(tmp_path, meter, *parts[1:]) as run:
        await asyncio.sleep(10)
        assert pump.runs()
        assert [wish.load for wish in run.daemon.wishes if isinstance(wish, Wish)] == ["pump"]
        assert run.daemon.state.standings[0].tally.starts == 2
