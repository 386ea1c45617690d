"""Priorities that change with the season: at midnight the daemon changes over and nothing is forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loadctl.core.rules import Site
from loadctl.drivers import Shared
from loadctl.service.daemon import Daemon
from loadctl.service.journal import Journal
from loadctl.service.memory import FILE, Inline, Memory
from tests.e2e.until import until
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio

BEFORE = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)  # a minute before midnight in Amsterdam


@pytest.fixture
def anyio_backend():
    return VIRTUAL


async def test_at_midnight_the_order_is_that_of_the_season(tmp_path):
    boiler, heater = Relay(), Relay()
    summer, winter = Site((rule("boiler"), rule("heater"))), Site((rule("heater"), rule("boiler")))
    orders = {(3, 31): winter, (4, 1): summer}
    home = house(HomeMeter([boiler, heater], sun_w=2400), (rule("heater"), heater), (rule("boiler"), boiler))
    clock = VirtualClock(BEFORE)
    memory = await Memory.open(tmp_path / FILE, clock, winter, boot_id="boot", trusted=lambda: True, executor=Inline())
    daemon = Daemon(replace(home, site=winter, orders=orders), Shared(clock), memory=memory)
    daemon.observers.append(Journal(daemon))
    running = asyncio.create_task(daemon.run())
    try:
        await asyncio.sleep(55)
        assert (heater.runs(), boiler.runs()) == (True, False)
        had = daemon.state.standings[0].tally
        await until(boiler.runs, 60)
        assert not heater.runs()
        assert daemon.house.site is summer
        assert [standing.tally.starts for standing in daemon.state.standings] == [1, 1]
        assert daemon.state.standings[1].tally.runtime_s > had.runtime_s
        assert [word for _, word in heater.said("on", "off")][-1] == "off"
    finally:
        daemon.stop("SIGTERM")
        assert await running == {}
        await memory.close()
    again = await Memory.open(tmp_path / FILE, clock, summer, boot_id="boot", trusted=lambda: True, executor=Inline())
    saved = again.saved
    await again.close()
    assert saved is not None
    assert {name: load.standing.tally.starts for name, load in saved.loads.items()} == {"boiler": 1, "heater": 1}
