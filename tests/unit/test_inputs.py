"""Inputs that are polled at their own pace, on virtual time, and the picture of all values that a tick gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from loadctl.core.values import NO_OUTLOOK, Input, Outlook, Report, Sample
from loadctl.errors import DeviceError, Garbled, Unreachable
from loadctl.service.inputs import Inputs
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@dataclass(slots=True)
class Thermometer:
    """Answers what stands in `says`, in turn, and the last one for ever."""

    says: Sequence[float | DeviceError]
    every_s: float = 30.0
    max_age_s: float = 300.0
    asked_at: list[float] = field(default_factory=list)
    closed: bool = False

    async def read(self) -> float:
        said = self.says[min(len(self.asked_at), len(self.says) - 1)]
        self.asked_at.append(asyncio.get_running_loop().time())
        if isinstance(said, DeviceError):
            raise said
        return said

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def polled(**sources: Thermometer) -> AsyncIterator[tuple[Inputs, list[float]]]:
    """Poll `sources`; the list fills with the moments of the wakings."""
    woken: list[float] = []
    inputs = Inputs(VirtualClock(), lambda: woken.append(asyncio.get_running_loop().time()))
    tasks = [asyncio.create_task(inputs.open(name, source).run()) for name, source in sources.items()]
    try:
        yield inputs, woken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_each_at_its_own_pace():
    quick, slow = Thermometer([50.0, 51.0, 52.0], every_s=10.0), Thermometer([0.12], every_s=25.0, max_age_s=3600.0)
    async with polled(quick=quick, slow=slow) as (inputs, woken):
        await asyncio.sleep(29)
        assert quick.asked_at == [0, 10, 20]
        assert slow.asked_at == [0, 25]
        assert woken == [0, 0, 10, 20, 25]
        assert inputs.latest == {"quick": Input(52.0, 20.0, 300.0), "slow": Input(0.12, 25.0, 3600.0)}


async def test_trouble_is_told_once_and_asked_ever_more_rarely(caplog):
    caplog.set_level(logging.INFO)
    gone = Unreachable("192.168.1.60: no answer")
    source = Thermometer([50.0, gone, gone, gone, Garbled("odd"), 51.0])
    async with polled(tank=source) as (inputs, _):
        await asyncio.sleep(200)
        reader = inputs.readers["tank"]
        assert reader.errors == {"unreachable": 3, "garbled": 1}
        pauses = [later - earlier for earlier, later in zip(source.asked_at[1:6], source.asked_at[2:6], strict=False)]
        for pause, expected in zip(pauses, (5, 10, 20, 40), strict=True):
            assert expected <= pause <= 1.2 * expected
    first, second, third = [record.getMessage() for record in caplog.records]
    assert first.startswith("input tank: 192.168.1.60: no answer; asking again in ")
    assert second.startswith("input tank: odd; asking again in ")
    assert third.startswith("input tank: answers again after ")


async def test_the_last_value_stays_and_ages():
    async with polled(tank=Thermometer([50.0, Unreachable("gone")])) as (inputs, _):
        await asyncio.sleep(1000)
        assert inputs.snapshot(None, (), NO_OUTLOOK)["tank"] == Input(50.0, 0.0, 300.0)


async def test_let_go_of():
    source = Thermometer([50.0])
    async with polled(tank=source) as (inputs, _):
        await asyncio.sleep(1)
        reader = inputs.close("tank")
        assert "tank" not in inputs.snapshot(None, (), NO_OUTLOOK)
        await reader.close()
    assert source.closed


SAMPLE = Sample(100.0, grid_w=-1500.0, pv_w=3000.0, soc_pct=80.0, max_age_s=10.0)
REPORT = Report("boiler", 90.0, on=True, watts=2000.0, inputs=(("temperature", 54.2),))


async def test_a_picture_of_all_values():
    async with polled(tank=Thermometer([50.0])) as (inputs, _):
        await asyncio.sleep(1)
        known = inputs.snapshot(SAMPLE, (REPORT,), Outlook(import_price=0.25))
        values = {name: found.value for name, found in known.items()}
        assert values == {
            "tank": 50, "grid_w": -1500, "pv_w": 3000, "soc": 80, "import_price": 0.25, "export_price": 0.08,
            "boiler.on": 1, "boiler.power": 2000, "boiler.temperature": 54.2,
        }  # fmt: skip
        assert known["grid_w"] == Input(-1500.0, 100.0, 10.0)
        assert known["boiler.temperature"].read_at == 90.0


async def test_the_same_picture_while_nothing_changes():
    inputs = Inputs(VirtualClock(), lambda: None)
    before = inputs.snapshot(SAMPLE, (REPORT,), NO_OUTLOOK)
    assert inputs.snapshot(SAMPLE, (), NO_OUTLOOK) is before
    assert inputs.snapshot(SAMPLE, (), Outlook()) is before
    off = inputs.snapshot(SAMPLE, (Report("boiler", 95.0, on=False),), NO_OUTLOOK)
    assert (off["boiler.on"].value, off["boiler.power"].value) == (0, 0)
    assert off["boiler.temperature"] == before["boiler.temperature"]
    assert before["boiler.on"].value == 1


async def test_a_failed_read_back_changes_no_value():
    inputs = Inputs(VirtualClock(), lambda: None)
    before = inputs.snapshot(None, (REPORT,), NO_OUTLOOK)
    assert inputs.snapshot(None, (Report("boiler", 95.0, error="unreachable"),), NO_OUTLOOK) is before


async def test_on_without_a_measurement_is_no_power():
    inputs = Inputs(VirtualClock(), lambda: None)
    known = inputs.snapshot(None, (Report("pump", 0.0, on=True, connected=True),), NO_OUTLOOK)
    assert known["pump.connected"].value == 1
    assert "pump.power" not in known
