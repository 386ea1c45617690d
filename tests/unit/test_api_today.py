"""What flowed today: the same over a restart, from zero at midnight, and what the history says of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from loadctl.drivers import Shared
from loadctl.service.charts import totals
from loadctl.service.daemon import Daemon
from loadctl.service.history import History
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.today import Today
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio

DAY = date(2026, 6, 1)  # it is 14:00 in Amsterdam when virtual time begins


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@asynccontextmanager
async def living(folder: Path, meter: HomeMeter, boiler: Relay) -> AsyncIterator[Today]:
    """Let a boiler and its daemon live, and count."""
    home = house(meter, (rule("boiler"), boiler))
    clock = VirtualClock(zone=home.zone)
    memory = await Memory.open(folder / FILE, clock, home.site, boot_id="boot", trusted=lambda: True, executor=Inline())
    daemon = Daemon(home, Shared(clock), memory=memory)
    today = Today(daemon)
    daemon.observers.append(today)
    task = asyncio.create_task(daemon.run())
    try:
        yield today
    finally:
        daemon.stop("SIGTERM")
        await task
        await memory.close()


async def test_a_restart_loses_nothing_and_counts_nothing_twice(tmp_path):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=4300)
    async with living(tmp_path, meter, boiler) as today:
        await asyncio.sleep(3600)
        before = dict(today.house_wh)
        assert before["production"] == pytest.approx(4300, rel=0.01)
        assert today.paid is not None
        assert today.paid == pytest.approx(-before["export"] * 0.08 / 1000 + before["import"] * 0.30 / 1000, abs=1e-3)
        assert today.saved == pytest.approx(before["consumption"] * 0.30 / 1000 - today.paid, abs=1e-3)
        money = today.paid
    async with living(tmp_path, meter, boiler) as today:
        assert today.house_wh["production"] == pytest.approx(before["production"], rel=0.01)
        assert today.paid == pytest.approx(money, abs=2e-3)
        await asyncio.sleep(3600)
        assert today.house_wh["production"] == pytest.approx(8600, rel=0.02)
        assert today.sun_wh("boiler") == pytest.approx(4000, rel=0.02)
        whole, paid = dict(today.house_wh), today.paid
    with History(tmp_path / FILE) as history:
        (sums,) = totals(history, "day", DAY, DAY, house(meter).tariff)
    for kind, portion in sums.house.items():
        assert portion.wh == pytest.approx(whole[kind], abs=5)
    assert sums.paid == pytest.approx(paid, abs=2e-3)


async def test_it_begins_anew_at_midnight(tmp_path):
    boiler = Relay()
    async with living(tmp_path, HomeMeter([boiler], sun_w=1300), boiler) as today:
        await asyncio.sleep(10 * 3600 - 60)
        assert today.house_wh["production"] == pytest.approx(13_000, rel=0.01)
        await asyncio.sleep(120)
        assert today.house_wh["production"] == pytest.approx(1300 / 60, rel=0.1)
        assert today.paid == pytest.approx(-1000 / 60 / 1000 * 0.08, rel=0.1)


async def test_without_a_memory_nothing_is_known():
    daemon = Daemon(house(HomeMeter()), Shared(VirtualClock()))
    today = Today(daemon)
    assert (today.house_wh, today.paid, today.saved, today.sun_wh("boiler")) == ({}, None, None, 0.0)
