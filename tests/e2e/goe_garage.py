"""What the tests of the go-e driver share: a garage with a box and a car, and a driver at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from loadctl.actuators.goe import GoE, GoEOptions
from loadctl.core.values import Command
from loadctl.drivers import Shared
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.goe import EmulatedGoE
from loadctl.lab.emulators.serve import serve
from tests.e2e.shelly_home import Clock

BOTH = pytest.mark.parametrize("api", ["v1", "v2"])


def garage(clock: Clock, *, api: str = "v2", plugged: bool = True, **car: Any) -> EmulatedGoE:
    box = EmulatedGoE(Car(clock.now, plugged=plugged, **car), clock=clock.now, apis=(api,))
    box.lmo = 4  # a car that is plugged in waits
    clock.at += 2
    return box


@asynccontextmanager
async def driving(
    box: EmulatedGoE, clock: Clock, *, patience_s: float | None = None, **options: Any
) -> AsyncIterator[GoE]:
    def client(**settings: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**(settings | ({"timeout": patience_s} if patience_s else {})))

    async with serve(box.app) as url:
        driver = GoE(GoEOptions(host=url, **options), Shared(clock, client))
        try:
            yield driver
        finally:
            await driver.close()


def charge(amps: float, phases: int | None = 3, number: int = 1) -> Command:
    return Command(number, "car", amps * (phases or 3) * 230, phases=phases, amps=amps)


def off(number: int = 2) -> Command:
    return Command(number, "car", 0.0)


def sets(box: EmulatedGoE) -> list[str]:
    return [asked.path for asked in box.requests if "set?" in asked.path or "/mqtt" in asked.path]
