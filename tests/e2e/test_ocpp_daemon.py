"""The whole daemon in an emulated home: a car at an OCPP charger follows the sun, at 60 times real speed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.charge_point import EmulatedChargePoint, plugged_in
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.home import ScaledClock
from loadctl.service.daemon import Daemon
from tests.e2e.test_ocpp import free_port
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

RULES = """\
version: 1
site: {{timezone: UTC}}
meter: {{driver: envoy, host: "{envoy}", every: 2 s, max_age: 30 s}}
loads:
  car:
    actuator: {{driver: ocpp, id: CP1, listen: "127.0.0.1:{port}", lease: 10 min, switch_phases: true}}
    current: 6..16 A
    phases: auto
"""


async def test_the_car_follows_the_sun() -> None:
    clock, port = ScaledClock(datetime(2026, 6, 21, 10, tzinfo=UTC), 60.0), free_port()
    car = Car(clock.now, plugged=True)
    box = EmulatedChargePoint(f"ws://127.0.0.1:{port}/CP1", clock, car, free=False, switches=True)
    envoy = EmulatedEnvoy(era="5", clock=clock.now)
    envoy.pv_w = 5000.0

    async def live() -> None:
        while True:
            envoy.grid_w = 400.0 - envoy.pv_w + car.watts
            await clock.sleep(1.0)

    async with serve(envoy.app) as url, plugged_in(box):
        daemon = Daemon(parse(RULES.format(envoy=url, port=port), "home.yaml", {}), Shared(clock))
        tasks = [asyncio.create_task(live()), asyncio.create_task(daemon.run())]
        await until(lambda: car.watts == pytest.approx(6 * 3 * 230))
        envoy.pv_w = 9000.0
        await until(lambda: car.watts >= 11 * 3 * 230)
        envoy.pv_w = 2600.0
        await until(lambda: car.currents[1] == 0 and car.watts > 1300)  # on one phase now
        envoy.pv_w = 0.0
        await until(lambda: not car.charging)
        assert car.jolts == 0
        assert car.pauses == 2  # to change phases, and in the end
        daemon.stop("the test is over")
        assert await tasks[1] == {}
        tasks[0].cancel()
        await asyncio.wait(tasks)
    assert box.offered[0] == 0.0
