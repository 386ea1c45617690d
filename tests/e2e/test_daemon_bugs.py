"""Bugs wherever they may be: who only looks on can do no harm, all others leave every load in its safe state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from loadctl.core.values import Command, Outcome, Report, Tick
from loadctl.drivers import Shared
from loadctl.errors import Unreachable
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.metrics import Metrics
from loadctl.web.app import application, keep_serving
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


async def test_a_bug_in_who_looks_on_stops_no_control_and_is_told_rarely(caplog):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    daemon = Daemon(house(meter, (rule("boiler"), boiler)), Shared(VirtualClock()))
    metrics = Metrics(daemon)

    def broken(tick: Tick, outcome: Outcome) -> None:
        raise KeyError("boiler")

    daemon.observers += [broken, metrics]
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(300)
    assert boiler.runs()
    meter.sun_w = 0
    await asyncio.sleep(20)
    assert not boiler.runs()
    assert (metrics.registry.get_sample_value("loadctl_ticks_total") or 0) > 500
    assert caplog.text.count("a bug; loads are controlled all the same") < 15
    daemon.stop("SIGTERM")
    assert await running == {}


async def test_a_bug_in_the_memory_ends_the_loop_after_all_loads_were_made_safe(tmp_path):
    bugs: list[bool] = []

    def explain(*_: Any) -> str:
        if bugs:
            raise ZeroDivisionError("a bug")
        return ""

    boiler, pump = Relay(), Relay()
    home = house(HomeMeter([boiler, pump], sun_w=2500), (rule("boiler"), boiler), (rule("pump"), pump))
    clock = VirtualClock()
    memory = await Memory.open(tmp_path / FILE, clock, home.site, explain=explain, executor=Inline())
    daemon = Daemon(home, Shared(clock), memory=memory)
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(30)
    assert boiler.runs()
    bugs.append(True)
    daemon.override("pump", on=True)
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)
    assert not boiler.runs()
    assert not pump.runs()
    await memory.close(write=False)


async def test_a_bug_in_what_comes_before_an_on_is_not_passed_over(tmp_path):
    class Broken(Memory):
        async def on_is_safe(self) -> bool:
            raise ZeroDivisionError("a bug")

    boiler = Relay()
    home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))
    memory = await Broken.open(tmp_path / FILE, VirtualClock(), home.site, executor=Inline())
    with pytest.raises(ExceptionGroup) as caught:
        await Daemon(home, Shared(VirtualClock()), memory=memory).run()
    assert caught.group_contains(ZeroDivisionError)
    assert not boiler.said("on")
    await memory.close(write=False)


async def test_a_bug_in_a_driver_ends_the_loop_and_keeps_no_other_load_on():
    @dataclass
    class Broken(Relay):
        broken: bool = False

        async def read(self) -> Report:
            if self.broken:
                raise KeyError("output")
            return await super().read()

        async def apply(self, command: Command) -> Report:
            if self.broken:
                raise KeyError("output")
            return await super().apply(command)

    boiler, pump = Relay(), Broken()
    home = house(HomeMeter([boiler, pump], sun_w=9000), (rule("boiler"), boiler), (rule("pump"), pump))
    daemon = Daemon(home, Shared(VirtualClock()))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(30)
    assert boiler.runs()
    assert pump.runs()
    pump.broken = True
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(KeyError)
    assert not boiler.runs()


async def test_cancelled_while_it_asks_what_the_devices_do(tmp_path):
    boiler = Relay(on=True, leased_until=1e9)
    home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))
    for _ in range(2):
        memory = await Memory.open(tmp_path / FILE, VirtualClock(), home.site, executor=Inline())
        running = asyncio.create_task(Daemon(home, Shared(VirtualClock()), memory=memory).run())
        await asyncio.sleep(20)
        boiler.takes_s = 2.0
        boiler.on, boiler.leased_until = True, 1e9
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await memory.close()
        assert not boiler.runs()


async def test_a_bug_in_the_page_stops_no_control_and_it_is_tried_again(caplog):
    caplog.set_level(logging.INFO)
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    daemon = Daemon(house(meter, (rule("boiler"), boiler)), Shared(VirtualClock()))
    app = application(daemon, Metrics(daemon))
    no_port: Any = "8480"  # a bug: not a number
    page = asyncio.create_task(keep_serving(app, "127.0.0.1", no_port))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(120)
    assert boiler.runs()
    assert not page.done()
    assert 3 <= caplog.text.count("page: a bug; tried again in") <= 10
    page.cancel()
    await asyncio.wait([page])
    daemon.stop("SIGTERM")
    assert await running == {}
    assert not boiler.runs()


async def test_a_bug_while_metrics_are_asked_for_is_theirs_alone():
    boiler = Relay()
    daemon = Daemon(house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler)), Shared(VirtualClock()))
    metrics = Metrics(daemon)
    daemon.observers.append(metrics)
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(30)
    daemon.stop("SIGTERM")
    await asyncio.sleep(0.05)
    assert not running.done()
    values: Mapping[str, float] = {
        sample.name: sample.value for family in metrics.registry.collect() for sample in family.samples
    }
    assert "loadctl_appliance_starts_total" in values  # also while the loads are on their way to their safe state
    await running


class Stuck(Relay):
    async def close(self) -> None:
        raise Unreachable("its thread does not end")


async def test_a_device_that_cannot_be_let_go_of_keeps_nobody_else_from_it(caplog):
    boiler, meter = Stuck(), HomeMeter([], sun_w=2500)
    daemon = Daemon(house(meter, (rule("boiler"), boiler)), Shared(VirtualClock()))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(300)
    assert boiler.runs()
    daemon.stop("SIGTERM")
    assert await running == {}
    assert not boiler.runs()
    assert "boiler: not let go of: its thread does not end" in caplog.text
