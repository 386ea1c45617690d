"""The demo's home: its car comes home at noon and charges as the sun shines, at the wire of its emulated wallbox."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime, timedelta

import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.goe import EmulatedGoE
from loadctl.lab.home import STARTS_AT_S, ScaledClock, open_home
from loadctl.lab.house import Resistor
from loadctl.service.daemon import Daemon
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

SPEED = 120.0
BEGINS = datetime(2026, 6, 21, tzinfo=UTC) + timedelta(seconds=STARTS_AT_S)
OTHERS_W = 2000.0 + 1080.0 + 300.0  # what runs before the car does


def amps_told(box: EmulatedGoE) -> list[int]:
    """Each current that the box was told over the network, in turn."""
    return [int(told[1]) for asked in box.requests if (told := re.search(r"set\?.*\bamp=(\d+)", asked.path))]


async def test_the_car_comes_home_and_its_current_follows_the_sun():
    clock = ScaledClock(BEGINS, SPEED)
    async with open_home(clock, port=8480) as home:
        # A busy machine takes its time over an answer, and time runs fast here.
        rules = home.rules.replace("max_age: 30 s", "max_age: 10 min").replace("lease: 120 s", "lease: 20 min")
        home.house.appliances["boiler"] = Resistor(2000.0)
        home.house.base = lambda _: 300.0
        home.house.pv = lambda _: OTHERS_W + 2000.0
        daemon = Daemon(parse(rules, "demo.yaml"), Shared(clock))
        running = asyncio.create_task(daemon.run())
        try:
            await until(lambda: home.boiler.relays[0].on and home.pump.relays[0].on)
            assert not home.box.car.plugged
            await until(lambda: home.box.car.charging)
            assert home.house.at_s >= 12 * 3600
            await until(lambda: home.box.car.currents[0] == 8)
            home.house.pv = lambda _: OTHERS_W + 3000.0
            await until(lambda: home.box.car.currents[0] in {12, 13})
            home.house.pv = lambda _: OTHERS_W + 1400.0
            await until(lambda: home.box.car.currents[0] == 6)
            told = amps_told(home.box)
            assert {6, 8} < set(told), told
            assert max(told) in {12, 13}, told
            assert set(home.box.car.currents[1:]) == {0.0}
        finally:
            daemon.stop("the test is over")
            assert await running == {}
        assert not home.box.allowed
        assert home.box.car.jolts == 0


async def test_the_demo_shows_the_car():
    """As its user calls it, for less long."""
    command = "from loadctl.cli import main; main(['demo', '--for', '12s', '--port', '0'])"
    demo = await asyncio.create_subprocess_exec(sys.executable, "-c", command, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(demo.communicate(), 90)
    assert (demo.returncode, err.decode()) == (0, "")
    car = [line for line in out.decode().splitlines() if " car " in line]
    assert any("cannot run: no car is plugged in" in line for line in car)
    assert any(re.match(r"12:\d\d:\d\d  car +run +charges with \d+ A on 1 phase", line) for line in car)
    assert "car: switched off at the end" in out.decode()
