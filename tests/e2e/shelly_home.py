"""What the tests of the Shelly driver share: a clock for driver and device, and a driver at a served device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from loadctl.actuators.shelly import Shelly, ShellyOptions
from loadctl.core.values import Command
from loadctl.drivers import Shared
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2

Device = EmulatedShellyGen1 | EmulatedShellyGen2
BOTH = pytest.mark.parametrize("make", [EmulatedShellyGen1, EmulatedShellyGen2], ids=["gen1", "gen2"])
SECRET = "s3cret-at-home"


@dataclass
class Clock:
    """Time for driver and device alike; it passes when somebody sleeps or a test says so."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=self.at)

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@asynccontextmanager
async def driving(
    device: Device, clock: Clock, *, patience_s: float | None = None, **options: Any
) -> AsyncIterator[Shelly]:
    def client(**settings: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**(settings | ({"timeout": patience_s} if patience_s else {})))

    async with serve(device.app) as url:
        driver = Shelly(ShellyOptions(host=url, **options), Shared(clock, client))
        try:
            yield driver
        finally:
            await driver.close()


def on(number: int = 1) -> Command:
    return Command(number, "boiler", 2000.0)


def off(number: int = 2) -> Command:
    return Command(number, "boiler", 0.0)


def kettle() -> float:
    return 1840.0
