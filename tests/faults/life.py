"""The whole daemon in virtual time: real drivers, memory on a disk, emulated devices that misbehave, a plug to pull.

Time passes for the house whether a daemon runs or not. What happened is kept as it was at the devices' wires; of the
daemon's own words only its verdicts are kept, to know for which reason it switched. `judge.py` asks the questions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from starlette.types import Receive, Scope, Send

from loadctl.config import House, parse
from loadctl.core.appliance import tallied
from loadctl.core.values import Outcome, Tally, Tick, Verdict
from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.envoy.emulated import Fault as BoxFault
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.emulators.shelly import Fault as RelayFault
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, Inline, Memory
from tests.lan import Lan

Shelly = EmulatedShellyGen1 | EmulatedShellyGen2

LEASE_S = 60.0
OUTAGE_S = 60.0 + 15.0 + 20.0  # the page of the grid relay is asked every 15 s, a minute later if that failed
RULES = """\
version: 1
site: {timezone: Europe/Amsterdam, max_import: 6 kW}
meter: {driver: envoy, host: "http://envoy.local", token: "TOKEN", every: 5 s, max_age: 20 s}
loads:
  boiler:
    actuator: {driver: shelly, host: boiler.local, lease: 60 s, every: 10 s}
    power: 2 kW
    start: 1.5 kW for 20 s
    stop: import 800 W for 30 s
    min_on: 2 min
    min_off: 3 min
    max_starts: 4
    hand_hold: 10 min
  heat_pump:
    actuator: {driver: shelly, host: heat-pump.local, lease: 60 s, every: 10 s}
    power: 1500 W
    start: 1.5 kW for 20 s
    stop: import 300 W for 30 s
    min_on: 4 min
    min_off: 5 min
    compressor: true
    hand_hold: 10 min
  pump:
    actuator: {driver: shelly, host: pump.local, lease: 60 s, every: 10 s}
    power: 1 kW
    start: 1 kW for 20 s
    stop: import 300 W for 30 s
    min_on: 1 min
    min_off: 1 min
    need: 20 min by 15:00
    hand_hold: 10 min
"""


class Trouble(StrEnum):
    """What can be wrong with a device on the network."""

    GONE = "gone"
    HANG = "hang"
    REFUSE = "refuse"
    LIE = "lie"
    GARBAGE = "garbage"
    BROKEN = "500"
    HTML = "html"
    STALE = "stale"
    NONSENSE = "nonsense"


RELAY_TROUBLES = (Trouble.GONE, Trouble.HANG, Trouble.REFUSE, Trouble.LIE, Trouble.GARBAGE)
METER_TROUBLES = (Trouble.GONE, Trouble.HANG, Trouble.BROKEN, Trouble.HTML, Trouble.STALE, Trouble.NONSENSE)


class PulledError(Exception):
    """The process is dead: its requests go nowhere, and it must not notice in time to do anything about it."""


class Order(NamedTuple):
    """A command of the core, and why."""

    at: float
    load: str
    on: bool
    verdict: Verdict


@dataclass
class JumpClock:
    """The loop's time; the wall clock is `offset_s` off what it should be."""

    begin: datetime
    now: Callable[[], float]
    zone: tzinfo = UTC
    offset_s: float = 0.0

    def wall(self) -> datetime:
        return (self.begin + timedelta(seconds=self.now() + self.offset_s)).astimezone(self.zone)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class Plug(Lan):
    """The network as one process sees it, until the process is dead."""

    pulled = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.pulled:
            raise PulledError
        return await super().handle_async_request(request)


@dataclass
class Machine:
    """One run of the daemon."""

    daemon: Daemon
    memory: Memory
    lan: Plug
    running: asyncio.Task[dict[str, str]]
    began_at: float


@dataclass
class Appliance:
    """A device, what it draws, and when somebody or something troubled it."""

    name: str
    host: str
    power_w: float
    device: Shelly
    trouble: Trouble | None = None
    sick_until: float = -1e9  # inf while it is
    pressed_at: float = -1e9
    wished_until: float = -1e9

    @property
    def relay(self) -> Any:
        return self.device.relays[0]


@dataclass
class Life:
    """Begin it with `begin`, let time pass with `live`; `broken` gathers what a look at every second found wrong.

    It is judged by RULES, whatever `rules` the daemon is given.
    """

    folder: Path
    rules: str = RULES
    broken: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    exits: list[tuple[float, float]] = field(default_factory=list)
    dates: set[date] = field(default_factory=set)
    machine: Machine | None = None
    dead_since: float = 0.0
    honest_at: float = -1e9
    sun_w: float = 0.0
    base_w: float = 300.0
    meter_trouble: Trouble | None = None
    meter_well_since: float = 0.0
    grid_lost_at: float | None = None
    grid_back_at: float = -1e9
    boot: int = 1
    trusted: bool = True

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.clock = JumpClock(datetime(2026, 6, 1, 9, 0, tzinfo=UTC), self.now)
        self.envoy = EmulatedEnvoy(self.now, "8")
        self.envoy.house.controller = True
        self.house = self._parsed(self.rules)
        self.promised = self._parsed(RULES).site
        self.clock.zone = self.house.zone
        made: dict[str, Shelly] = {
            "boiler": EmulatedShellyGen1(lambda: 2000.0, clock=self.now),
            "heat_pump": EmulatedShellyGen2(lambda: 1500.0, clock=self.now, mac="A8032AAA0003"),
            "pump": EmulatedShellyGen2(lambda: 1000.0, clock=self.now),
        }
        powers = {"boiler": 2000.0, "heat_pump": 1500.0, "pump": 1000.0}
        self.appliances = {
            name: Appliance(name, f"{name.replace('_', '-')}.local", powers[name], device)
            for name, device in made.items()
        }
        self.hosts: dict[str, Any] = {}
        self._wire_up()
        self.began_at = self.now()
        self._living = asyncio.create_task(self._live_on())
        await self.start()

    async def end(self) -> None:
        """The last exit; leaves nothing behind."""
        if self.machine is not None:
            await self.stop()
        self._living.cancel()
        with suppress(asyncio.CancelledError):
            await self._living

    async def live(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # --- the process

    async def start(self) -> None:
        lan = Plug(self.hosts)
        lan.hosts = self.hosts
        memory = await Memory.open(
            self.folder / FILE,
            self.clock,
            self.house.site,
            boot_id=f"boot-{self.boot}",
            trusted=lambda: self.trusted,
            executor=Inline(),
        )
        daemon = Daemon(
            self.house, Shared(self.clock, lan.client), memory=memory, reread=lambda: self.house, executor=Inline()
        )
        daemon.observers.append(self._hear)
        running = asyncio.create_task(daemon.run())
        self.machine = Machine(daemon, memory, lan, running, self.now())

    async def kill(self) -> dict[str, Tally]:
        """SIGKILL or a power cut: no word, no flush. Return what it had counted."""
        machine = self._alive()
        counted = self.tallies()
        machine.lan.pulled = True
        machine.running.cancel()
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)  # a dead process says nothing
        try:
            with suppress(BaseException):
                await machine.running
            await machine.memory.close(write=False)
        finally:
            logging.disable(level)
        self.machine, self.dead_since = None, self.now()
        return counted

    async def stop(self) -> None:
        """SIGTERM: every load must be left off, where its device can be reached."""
        machine = self._alive()
        began_at = self.now()
        machine.daemon.stop("SIGTERM")
        unconfirmed = await machine.running
        await machine.memory.close()
        self.exits.append((began_at, self.now()))
        self.machine, self.dead_since = None, self.now()
        for appliance in self.appliances.values():
            if appliance.trouble is None and (appliance.relay.on or appliance.name in unconfirmed):
                self.broken.append(f"{self.now():g}: {appliance.name} is on after the exit, {unconfirmed}")

    def reload(self, rules: str) -> None:
        self.house = self._parsed(rules)
        self.exits.append((self.now(), self.now() + 15.0))
        self._alive().daemon.reload()

    def tallies(self) -> dict[str, Tally]:
        """What the daemon has counted up to now."""
        daemon = self._alive().daemon
        pairs = zip(daemon.house.site.loads, daemon.state.standings, strict=True)
        return {rule.name: tallied(rule, standing, self.now()) for rule, standing in pairs}

    def override(self, name: str, on: bool | None, for_s: float) -> None:
        self._alive().daemon.override(name, on, for_s)
        appliance = self.appliances[name]
        appliance.wished_until = max(appliance.wished_until, self.now() + for_s)

    # --- the world

    def trouble(self, name: str, trouble: Trouble | None) -> None:
        appliance = self.appliances[name]
        appliance.trouble = trouble
        appliance.sick_until = float("inf") if trouble else self.now()
        kinds = {"refuse": RelayFault.REFUSE, "lie": RelayFault.LIE, "garbage": RelayFault.GARBAGE}
        appliance.device.fault = kinds.get(trouble) if trouble else None
        self._wire_up()

    def trouble_meter(self, trouble: Trouble | None) -> None:
        self.meter_trouble = trouble
        self.meter_well_since = self.now()
        kinds = {"500": BoxFault.BROKEN, "html": BoxFault.HTML, "stale": BoxFault.STALE, "nonsense": BoxFault.NONSENSE}
        self.envoy.fault = kinds.get(trouble) if trouble else None
        self._wire_up()

    def press(self, name: str, on: bool) -> None:
        self.appliances[name].pressed_at = self.now()
        self.appliances[name].device.press(on)

    def grid(self, up: bool) -> None:
        """Part the house from the grid, or join them again."""
        self.envoy.house.relay = "closed" if up else "open"
        if up and self.knows_outage():
            self.grid_back_at = self.now()
        self.grid_lost_at = None if up else self.grid_lost_at or self.now()

    def knows_outage(self) -> bool:
        """Tell whether the daemon had the time to ask the meter for the grid, and was told that it is gone."""
        if self.grid_lost_at is None or self.meter_trouble is not None or self.machine is None:
            return False
        return self.now() - max(self.grid_lost_at, self.meter_well_since, self.machine.began_at) > OUTAGE_S

    def _parsed(self, rules: str) -> House:
        return parse(rules.replace("TOKEN", self.envoy.token), "home.yaml")

    def _wire_up(self) -> None:
        places: list[tuple[str, Trouble | None, Any]] = [("envoy.local", self.meter_trouble, self.envoy.app)]
        places += [(known.host, known.trouble, known.device.app) for known in self.appliances.values()]
        self.hosts.clear()
        self.hosts |= {
            host: _never if trouble is Trouble.HANG else app
            for host, trouble, app in places
            if trouble is not Trouble.GONE
        }

    def _hear(self, tick: Tick, outcome: Outcome) -> None:
        self.dates.add(tick.wall.date())
        assert self.machine is not None
        names = [rule.name for rule in self.machine.daemon.house.site.loads]
        for command in outcome.commands:
            if command.load in names:
                verdict = outcome.verdicts[names.index(command.load)]
                self.orders.append(Order(tick.at, command.load, command.watts > 0, verdict))

    async def _live_on(self) -> None:
        from tests.faults.judge import every_second

        seen = 0
        while True:
            drawn_w = sum(known.power_w for known in self.appliances.values() if known.relay.on)
            self.envoy.pv_w, self.envoy.grid_w = self.sun_w, self.base_w + drawn_w - self.sun_w
            told = self.envoy.requests[seen:]
            seen = len(self.envoy.requests)
            if self.meter_trouble is None and any(asked.status == 200 and asked.path != "/info" for asked in told):
                self.honest_at = self.now()
            self.broken += every_second(self)
            await asyncio.sleep(1.0)

    def _alive(self) -> Machine:
        assert self.machine is not None
        return self.machine


async def _never(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.Event().wait()
