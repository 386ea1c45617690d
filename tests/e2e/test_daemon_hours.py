"""Four hours of the whole daemon with its real drivers against emulated devices, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.shelly import EmulatedShellyGen2
from loadctl.service.daemon import Daemon
from tests.lan import Lan
from tests.virtual import VIRTUAL, VirtualClock

RULES = """\
version: 1
site: {timezone: UTC}
meter: {driver: envoy, host: "http://envoy.local", every: 5 s}
loads:
  boiler:
    actuator: {driver: shelly, host: boiler.local, lease: 90 s}
    power: 2 kW
    start: 1.5 kW for 1 min
    stop: import 800 W for 2 min
    min_on: 5 min
"""
HOUR_S = 3600.0


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@pytest.mark.anyio
async def test_four_hours():
    clock = VirtualClock()
    now = asyncio.get_running_loop().time
    envoy = EmulatedEnvoy(era="5", clock=now)
    boiler = EmulatedShellyGen2(lambda: 2000.0, clock=now)
    lan = Lan({"envoy.local": envoy.app, "boiler.local": boiler.app})
    daemon = Daemon(parse(RULES, "home.yaml"), Shared(clock, lan.client))
    running = asyncio.create_task(daemon.run())

    async def live(hours: float, sun_w: float) -> None:
        end = now() + hours * HOUR_S
        while now() < end:
            envoy.pv_w, envoy.grid_w = sun_w, 300.0 + (2000.0 if boiler.on else 0.0) - sun_w
            await asyncio.sleep(1.0)

    await live(0.5, 0.0)
    assert not boiler.switchings
    await live(2, 2600.0)
    assert [switching.on for switching in boiler.switchings] == [True]
    ons = [asked.at for asked in boiler.requests if asked.verb == "POST"]
    assert max(after - before for before, after in pairwise(ons)) < 90
    sets = [params for method, params in boiler.calls if method == "Switch.Set"]
    assert len(sets) == pytest.approx(2 * HOUR_S / 30, rel=0.05)
    assert {(params["on"], params["toggle_after"]) for params in sets} == {(True, 90)}
    await live(0.5, 0.0)
    assert [switching.on for switching in boiler.switchings] == [True, False]
    assert boiler.switchings[1].at - boiler.switchings[0].at == pytest.approx(2 * HOUR_S, abs=120)
    await live(0.5, 2600.0)
    assert [switching.on for switching in boiler.switchings] == [True, False, True]
    del lan.hosts["envoy.local"]
    died_at = now()
    await live(0.5, 2600.0)
    assert boiler.switchings[-1].on is False
    assert boiler.switchings[-1].source == "HTTP_in"
    assert boiler.switchings[-1].at - died_at <= 20 + 30 + 2
    daemon.stop("test")
    assert await running == {}
