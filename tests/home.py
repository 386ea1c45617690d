"""A little home on a virtual wire: a meter that adds up what really runs, and relays that remember what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from loadctl.config import Device, House, Web
from loadctl.core.rules import Load, Site
from loadctl.core.values import Command, Report, Sample, Source
from loadctl.drivers import Shared
from loadctl.errors import DeviceError


@dataclass
class Relay:
    """A relay on a virtual wire: `wire` holds what was asked of it and when; it goes off when its lease runs out.

    `welded`: its contact stays closed whatever it says. `idle`: what hangs on it takes no power.
    """

    lease_s: float | None = 60.0
    settle_s: float = 2.0
    every_s: float = 10.0
    takes_s: float = 0.1
    on: bool = False
    error: DeviceError | None = None
    wire: list[tuple[float, str]] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    leased_until: float = 0.0
    power_w: float = 2000.0
    measures: bool = True
    identity: str | None = None
    welded: bool = False
    idle: bool = False
    closed: bool = False

    async def apply(self, command: Command) -> Report:
        await self._answer("on" if command.watts > 0 else "off")
        self.on = command.watts > 0
        self.leased_until = _now() + (self.lease_s or 1e9)
        return self._report(command.id)

    async def read(self) -> Report:
        await self._answer("read")
        return self._report(None)

    async def close(self) -> None:
        self.closed = True

    @property
    def draws_w(self) -> float:
        self.on = self.on and _now() < self.leased_until
        return self.power_w if (self.on or self.welded) and not self.idle else 0.0

    def runs(self) -> bool:
        return self.draws_w > 0

    def said(self, *words: str) -> list[tuple[float, str]]:
        return [(at, word) for at, word in self.wire if word in words]

    async def _answer(self, word: str) -> None:
        self.wire.append((_now(), word))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.busy -= 1
        if self.error is not None:
            raise self.error

    def _report(self, command_id: int | None) -> Report:
        watts = self.draws_w if self.measures else None
        return Report("", _now(), command_id, on=self.on, watts=watts, source=Source.US, identity=self.identity)


@dataclass
class HomeMeter:
    """Sees what the sun gives, less what the house and its relays draw."""

    relays: Iterable[Relay] = ()
    sun_w: float = 0.0
    house_w: float = 300.0
    every_s: float = 1.0
    takes_s: float = 0.05
    error: DeviceError | None = None
    wire: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    closed: bool = False

    async def read(self) -> Sample:
        self.wire.append(_now())
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        self.answered.append(_now())
        load_w = self.house_w + sum(relay.draws_w for relay in self.relays)
        return Sample(_now(), load_w - self.sun_w, self.sun_w, load_w, every_s=1.0, max_age_s=10.0, source="home")

    async def close(self) -> None:
        self.closed = True


@dataclass
class Known:
    """A device of a rule file that is there already; `built` counts how often it was opened."""

    device: Any
    built: int = 0

    def build(self, _shared: Shared) -> Any:
        self.built += 1
        return self.device


def rule(name: str, **more: Any) -> Load:
    """Return a 2 kW load that starts on 1.5 kW after 3 s and stops at 800 W of import after 3 s."""
    defaults: dict[str, Any] = {
        "power_w": 2000.0, "start_w": 1500.0, "start_for_s": 3.0, "stop_import_w": 800.0, "stop_for_s": 3.0,
        "settle_s": 2.0, "lease_s": 60.0,
    }  # fmt: skip
    return Load(name, **defaults | more)


def house(meter: HomeMeter | Known, *parts: tuple[Load, Relay | Known], **site: Any) -> House:
    """Return the house of some loads and their relays."""
    return House(
        path=Path("home.yaml"),
        site=Site(tuple(load for load, _ in parts), **site),
        zone=ZoneInfo("Europe/Amsterdam"),
        meter=_known(meter),
        actuators={load.name: _known(relay) for load, relay in parts},
        web=Web(port=0),
    )


def _known(device: Any) -> Device:
    known = device if isinstance(device, Known) else Known(device)
    return Device("known", id(known.device), known.build)


def _now() -> float:
    return asyncio.get_running_loop().time()
