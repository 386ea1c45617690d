"""What the Envoy's tests share: a clock whose sleeps take no time, a certificate, a box and a meter that reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from starlette.types import ASGIApp

from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import Certificate, serve
from loadctl.meters.envoy import Envoy, EnvoyOptions


class QuickClock:
    """Runs in real time and leaps ahead by what it is asked to sleep. `slept` are those sleeps."""

    def __init__(self, wall: datetime = datetime(2025, 6, 15, 12, 0, tzinfo=UTC)) -> None:
        self._start = time.monotonic()
        self._wall = wall
        self._leapt_s = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return time.monotonic() - self._start + self._leapt_s

    def wall(self) -> datetime:
        return self._wall + timedelta(seconds=self.now())

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._leapt_s += max(0.0, seconds)
        await asyncio.sleep(0)

    def leap(self, seconds: float) -> None:
        self._leapt_s += seconds


def make_certificate(folder: Path) -> Certificate:
    """Write a certificate that nobody trusts, as the box makes itself one."""
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return Certificate(folder / "chain.pem", folder / "key.pem")


@asynccontextmanager
async def reading(
    app: ASGIApp, clock: QuickClock, certificate: Certificate | None = None, **options: Any
) -> AsyncIterator[Envoy]:
    """Serve a box and give a meter that reads it."""
    async with serve(app, certificate) as url:
        meter = Envoy(EnvoyOptions(host=url, **options), Shared(clock))
        try:
            yield meter
        finally:
            await meter.close()


def emulated(clock: QuickClock, era: Any, **installed: Any) -> EmulatedEnvoy:
    """An Envoy at noon: 3 kW of sun, 1 kW used, 2 kW exported."""
    box = EmulatedEnvoy(clock.now, era)
    box.pv_w, box.grid_w = 3000.0, -2000.0
    for key, value in installed.items():
        setattr(box.house, key, value)
    return box
