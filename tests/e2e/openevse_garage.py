"""What the tests of the OpenEVSE driver share: an emulated box with a car at its cable, and a driver that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from loadctl.actuators.openevse import OpenEvse, OpenEvseOptions
from loadctl.core.rules import Follow, Load, Range
from loadctl.core.values import Command
from loadctl.drivers import Shared
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.openevse import EmulatedOpenEvse
from loadctl.lab.emulators.serve import serve
from tests.e2e.shelly_home import Clock

SECRET = "s3cret-at-home"


def box(clock: Clock, *, plugged: bool = True, car: dict[str, Any] | None = None, **keys: Any) -> EmulatedOpenEvse:
    about = {"phases": 1, "volts": 240.0, "most_a": 40.0, "plugged": plugged} | (car or {})
    return EmulatedOpenEvse(Car(clock.now, **about), clock=clock.now, **({"shaper": True} | keys))


@asynccontextmanager
async def driving(
    device: EmulatedOpenEvse, clock: Clock, *, patience_s: Any = None, **options: Any
) -> AsyncIterator[OpenEvse]:
    def client(**keys: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**(keys | ({"timeout": patience_s} if patience_s else {})))

    async with serve(device.app) as url:
        driver = OpenEvse(OpenEvseOptions(host=url, **options), Shared(clock, client))
        try:
            yield driver
        finally:
            await driver.close()


def charge(amps: float, number: int = 1) -> Command:
    return Command(number, "car", amps * 240.0, phases=1, amps=amps)


def pause(number: int = 2) -> Command:
    return Command(number, "car", 0.0)


def rule(*, most_a: float = 32.0, volts: float = 240.0, phases: int = 1, safe_on: bool = False) -> Load:
    span = Range(6 * volts * phases, most_a * volts * phases, volts * phases, phases, volts)
    return Load("car", span.most_w, span.least_w, 60.0, 0.0, 60.0, safe_on=safe_on, follow=Follow((span,)))
