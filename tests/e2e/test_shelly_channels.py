"""Two loads on one Shelly: the device hears one request at a time, and an OFF waits for one only."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from loadctl.actuators.shelly import Shelly, ShellyOptions
from loadctl.core.values import Command
from loadctl.drivers import Shared
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from tests.lan import Lan
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio

TAKES_S = 1.0


@pytest.fixture
def anyio_backend():
    return VIRTUAL


class Slow:
    """Takes a second for each answer and knows how many wait for one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.busy = self.most_busy = 0
        self.began: list[tuple[float, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.began.append((asyncio.get_running_loop().time(), scope["path"]))
        await asyncio.sleep(TAKES_S)
        await self.app(scope, receive, send)
        self.busy -= 1


@pytest.mark.parametrize("make", [EmulatedShellyGen1, EmulatedShellyGen2], ids=["gen1", "gen2"])
async def test_one_request_at_a_time_and_an_off_waits_for_one_only(make):
    clock = VirtualClock()
    device = make(clock=clock.now, channels=4)
    slow = Slow(device.app)
    shared = Shared(clock, Lan({"boiler": slow}).client)
    drivers = [Shelly(ShellyOptions(host="boiler", channel=channel), shared) for channel in range(4)]
    await asyncio.gather(*(driver.read() for driver in drivers))
    await drivers[0].apply(Command(1, "boiler", 2000.0))
    assert device.relays[0].on
    reading = [asyncio.create_task(driver.read()) for driver in drivers[1:]]
    await asyncio.sleep(1.3)
    said_at = clock.now()
    await drivers[0].apply(Command(2, "boiler", 0.0))
    off_at = device.relays[0].switchings[-1].at
    assert not device.relays[0].on
    assert off_at - said_at <= 2 * TAKES_S
    await asyncio.gather(*reading)
    assert slow.most_busy == 1
    for driver in drivers:
        await driver.close()
