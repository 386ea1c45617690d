"""Inputs, prices and what is expected reach each tick, through a reload and a restart; a car in numbers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loadctl.config import House
from loadctl.config.expression import parse_condition
from loadctl.core.rules import Follow, Range
from loadctl.core.values import Verdict
from loadctl.drivers import Shared
from loadctl.errors import Unreachable
from loadctl.outlook.tariff import Price, Tariff
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, LEARN_S, Inline, Memory
from loadctl.service.metrics import Metrics
from tests.charger import Box
from tests.home import HomeMeter, Known, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@dataclass
class Sensor:
    """An input on a virtual wire."""

    value: float = 20.0
    every_s: float = 10.0
    max_age_s: float = 60.0
    error: Unreachable | None = None
    reads: int = 0
    closed: bool = False

    async def read(self) -> float:
        self.reads += 1
        await asyncio.sleep(0.1)
        if self.error is not None:
            raise self.error
        return self.value

    async def close(self) -> None:
        self.closed = True


def with_inputs(home: House, **sensors: Sensor) -> House:
    devices = {
        name: house(HomeMeter(), (rule(name), Known(sensor))).actuators[name] for name, sensor in sensors.items()
    }
    return replace(home, inputs=devices)


@asynccontextmanager
async def controlling(home: House, folder: Path | None = None, **more: Any) -> AsyncIterator[Daemon]:
    clock, memory = VirtualClock(zone=home.zone), None
    if folder is not None:
        memory = await Memory.open(
            folder / FILE, clock, home.site, boot_id="boot", trusted=lambda: True, executor=Inline()
        )
    daemon = Daemon(home, Shared(clock), memory=memory, **more)
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop("SIGTERM")
        await task
        if memory is not None:
            await memory.close()


async def test_a_condition_on_an_input_is_heeded_and_unknown_when_it_is_old():
    boiler, tank = Relay(), Sensor(70.0)
    cold = parse_condition("tank < 60 °C", {"tank": "°C"}, "5 °C")
    home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler", when=cold), boiler))
    async with controlling(with_inputs(home, tank=tank)) as daemon:
        metrics = Metrics(daemon)
        daemon.observers.append(metrics)
        await asyncio.sleep(60)
        assert daemon.last is not None
        assert daemon.last[1].verdicts == (Verdict.UNMET,)
        assert metrics.registry.get_sample_value("loadctl_input_value", {"input": "tank"}) == 70
        tank.value = 50.0
        await asyncio.sleep(30)
        assert boiler.runs()
        tank.error = Unreachable("no answer")
        await asyncio.sleep(120)
        assert not boiler.runs()
        assert metrics.registry.get_sample_value("loadctl_input_value", {"input": "tank"}) is None
        assert (metrics.registry.get_sample_value("loadctl_input_age_seconds", {"input": "tank"}) or 0) > 60
    assert tank.closed


async def test_inputs_come_and_go_with_the_rules():
    stays, goes, comes = Sensor(1.0), Sensor(2.0), Sensor(3.0)
    boiler = Relay()
    home = house(HomeMeter([boiler]), (rule("boiler"), boiler))
    old = with_inputs(home, stays=stays, goes=goes)
    new = with_inputs(home, stays=stays, comes=comes)
    new = replace(new, tariff=Tariff(sell=Price(0.01)))
    async with controlling(old, reread=lambda: new) as daemon:
        await asyncio.sleep(25)
        assert set(daemon.inputs.latest) == {"stays", "goes"}
        daemon.reload()
        await asyncio.sleep(25)
        assert daemon.last is not None
        assert {"stays", "comes", "grid_w", "boiler.on", "import_price"} <= set(daemon.last[0].inputs)
        assert "goes" not in daemon.last[0].inputs
        assert daemon.last[0].outlook.export_price == 0.01
        assert (goes.closed, stays.closed) == (True, False)
        assert stays.reads in (5, 6)
    assert stays.closed
    assert comes.closed


async def test_what_was_learned_of_the_sun_is_still_known_after_a_restart(tmp_path):
    meter = HomeMeter(sun_w=4000)
    async with controlling(house(meter), tmp_path) as daemon:
        await asyncio.sleep(2 * LEARN_S + 60)
        learned = daemon.outlook.dump()
        with closing(sqlite3.connect(tmp_path / FILE)) as file:
            assert file.execute("SELECT count(*) FROM learned WHERE what = 'outlook'").fetchone() == (1,)
    assert learned["sun"]["today"]
    async with controlling(house(meter), tmp_path) as daemon:
        await asyncio.sleep(5)
        assert daemon.outlook.dump()["sun"]["today"] == learned["sun"]["today"]
        assert daemon.last is not None
        assert (daemon.last[0].outlook.slots[0].surplus_w or 0) > 2000


async def test_a_car_in_numbers(tmp_path):
    box = Box()
    follow = Follow((Range(1380.0, 3680.0, 230.0, 1, 230.0),))
    meter = HomeMeter([box], sun_w=300 + 8 * 230 + 100)  # type: ignore[list-item]
    car = rule("car", power_w=3680.0, start_w=1380.0, stop_import_w=100.0, follow=follow, worth=0.1)
    home = house(meter, (car, box))  # type: ignore[arg-type]
    async with controlling(home, tmp_path) as daemon:
        metrics = Metrics(daemon)
        daemon.observers.append(metrics)

        def of(name: str, **labels: str) -> float | None:
            return metrics.registry.get_sample_value(f"loadctl_{name}", {"appliance": "car", **labels})

        assert of("commands_total", outcome="confirmed") == 0
        await asyncio.sleep(3600)
        assert of("appliance_target_power_watts") == 8 * 230
        assert of("appliance_phases") == 1
        assert (of("appliance_mode", mode="solar"), of("appliance_mode", mode="solar+min")) == (1, 0)
        assert of("appliance_price_limit_per_kwh") == 0.1
        assert of("appliance_session_sun_ratio") == pytest.approx(1.0, abs=0.02)
        energy_j = of("appliance_energy_joules_total") or 0.0
        split = (of("appliance_source_joules_total", source=source) or 0.0 for source in ("sun", "grid"))
        assert sum(split) == pytest.approx(energy_j, rel=0.01)
        assert of("appliance_session_joules") == pytest.approx(energy_j, rel=0.01)
        for moment in range(60):
            meter.sun_w = 300 + 230 * (8 + moment % 3) + 100
            await asyncio.sleep(20)
        amps = {word for _, word in box.wire}
        assert len(amps) >= 3
        meter.error = Unreachable("no answer")
        await asyncio.sleep(25)
        for name in ("grid_power_watts", "pv_power_watts", "house_power_watts", "surplus_power_watts"):
            assert metrics.registry.get_sample_value(f"loadctl_{name}") is None
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        words = [word for (word,) in file.execute("SELECT verdict FROM decisions ORDER BY id")]
        sun_wh = file.execute("SELECT sum(wh) FROM energy WHERE kind = 'sun' AND load = 'car'").fetchone()[0]
    assert words.count("run") == 0
    assert len(words) <= 12
    assert sun_wh == pytest.approx(8 * 230 * 4800 / 3600, rel=0.1)
    async with controlling(home, tmp_path) as daemon:
        await asyncio.sleep(20)
        session = daemon.energy.sessions["car"]
        assert session.until is None
        assert session.had.sun_wh == pytest.approx(sun_wh, rel=0.01)
