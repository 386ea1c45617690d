"""A house with one load of each kind on real sockets, the daemon that controls it, and a log of its contacts.

Each network device stands behind a proxy, so that the wire can be spoiled as well as the device. Contacts are looked at
every 20 ms: what the tests judge is when they moved, never what the daemon believes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loadctl.actuators.gpio import Gpio
from loadctl.actuators.gpio_pins import KernelFactory
from loadctl.config import Device, House, parse
from loadctl.core.values import Outcome, Tick, Verdict
from loadctl.drivers import LoopClock, Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web.app import application
from tests.e2e.until import until
from tests.emulators.gpio_kernel import EmulatedKernel
from tests.faults.proxy import Proxy, proxied

GEN1, GEN2, GPIO = "Shelly Gen1", "Shelly Gen2", "GPIO"
DEVICES = (GEN1, GEN2, GPIO)
PIN, PI_3B = 17, 0xA02082
MAX_AGE_S, HOLD_S, LEASE_S, EVERY_S = 5.0, 2.0, 15.0, 2.0
BASE_W, OVEN_W, LOAD_W, SUN_W = 300.0, 3000.0, 1000.0, 6000.0

RULES = """\
version: 1
site: {{timezone: UTC, hold: 2 s, max_import: 2 kW}}
meter: {{driver: envoy, host: "{envoy}", every: 1 s, max_age: 5 s{token}}}
loads:
  gen1:
    actuator: {{driver: shelly, host: "{gen1}", lease: 15 s, every: 2 s}}
    <<: &rule {{power: 1 kW, start: 1 kW for 2 s, stop: import 200 W for 2 s, min_on: 0 s, min_off: 0 s}}
  gen2:
    actuator: {{driver: shelly, host: "{gen2}", lease: 15 s, every: 2 s}}
    <<: *rule
  gpio:
    actuator: {{driver: gpio, pin: 17, failsafe: none}}
    <<: *rule
"""
NAMES = {GEN1: "gen1", GEN2: "gen2", GPIO: "gpio"}


@dataclass
class Contact:
    """A relay's contact as somebody beside it saw it: `moves` are times and states."""

    closed: Callable[[], bool]
    was: bool = False
    moves: list[tuple[float, bool]] = field(default_factory=list)

    def look(self) -> None:
        if (now := self.closed()) is not self.was:
            self.was = now
            self.moves.append((time.monotonic(), now))

    def moved(self, since: float, to: bool) -> float | None:
        """Return how long after `since` it first moved to `to`; None: not yet."""
        return next((at - since for at, on in self.moves if at >= since and on is to), None)


class Stubborn:
    """Stands in a Shelly and, while `refuses_off`, answers 500 to every OFF; all else it does as always."""

    def __init__(self, app: ASGIApp) -> None:
        self.refuses_off = False
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        if self.refuses_off and (b'"on":false' in body.replace(b" ", b"") or b"turn=off" in scope["query_string"]):
            await PlainTextResponse("busy", 500)(scope, receive, send)
            return
        replay = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(replay, None) or await receive()

        await self._app(scope, again, send)


@dataclass
class Street:
    """The house. `sun_w` may be changed at any time; `said` holds every verdict of every load with its time."""

    envoy: EmulatedEnvoy
    gen1: EmulatedShellyGen1
    gen2: EmulatedShellyGen2
    kernel: EmulatedKernel
    wires: dict[str, Proxy]
    stubborn: dict[str, Stubborn]
    daemon: Daemon
    page: httpx.AsyncClient
    contacts: dict[str, Contact] = field(default_factory=dict)
    said: dict[str, list[tuple[float, Verdict]]] = field(default_factory=dict)
    unleased_since: dict[str, float] = field(default_factory=dict)
    longest_unleased_s: float = 0.0
    sun_w: float = SUN_W
    base_w: float = BASE_W
    false_w: float = 0.0  # what the meter adds to the truth

    def overload(self) -> float:
        """The sun goes and an oven comes: all three must go off at once, or the fuse blows. Return when that was."""
        self.sun_w, self.base_w = 0.0, OVEN_W
        return time.monotonic()

    def shelly(self, device: str) -> EmulatedShellyGen1 | EmulatedShellyGen2:
        return self.gen1 if device == GEN1 else self.gen2

    def on(self, device: str) -> bool:
        return self.contacts[device].was

    async def live(self) -> None:
        """Let power flow and look at the contacts."""
        while True:
            for contact in self.contacts.values():
                contact.look()
            drawn_w = LOAD_W * sum(contact.was for contact in self.contacts.values())
            net_w = self.base_w + drawn_w - self.sun_w
            self.envoy.pv_w, self.envoy.grid_w = self.sun_w, net_w + self.false_w
            self._watch_leases()
            await asyncio.sleep(0.02)

    def hear(self, tick: Tick, outcome: Outcome) -> None:
        for load, verdict in zip(self.daemon.house.site.loads, outcome.verdicts, strict=True):
            heard = self.said.setdefault(load.name, [])
            if not heard or heard[-1][1] is not verdict:
                heard.append((time.monotonic(), verdict))

    def heard(self, device: str, verdict: Verdict, since: float) -> bool:
        """Tell whether the load has said `verdict` since then, or was saying it at that moment."""
        words = self.said.get(NAMES[device], [])
        first = max((index for index, (at, _) in enumerate(words) if at <= since), default=0)
        return any(word is verdict for _, word in words[first:])

    async def all_run(self) -> None:
        await until(lambda: all(contact.was for contact in self.contacts.values()))

    async def settled(self) -> None:
        """Return once every load is judged by surplus again."""
        await until(lambda: all(words and words[-1][1] is Verdict.RUN for words in self.said.values()))

    async def renewed(self, device: str) -> None:
        """Return when a lease has just been renewed and read back: no command is on its way."""
        await self.settled()
        shelly = self.shelly(device)
        before = shelly.relays[0].timer
        await until(lambda: shelly.relays[0].timer != before)
        asked = len(shelly.requests)
        await until(lambda: len(shelly.requests) > asked)

    async def went(self, device: str, to: bool, since: float, limit_s: float) -> float:
        """Return how long after `since` the contact moved to `to`."""
        contact = self.contacts[device]
        await until(lambda: contact.moved(since, to) is not None, limit_s)
        took_s = contact.moved(since, to)
        assert took_s is not None
        return took_s

    async def shown(self) -> str:
        """What Prometheus would be told now."""
        return (await self.page.get("/metrics")).text

    def _watch_leases(self) -> None:
        """How long a Shelly of ours was ever closed without a timer that opens it."""
        now = time.monotonic()
        for device in (GEN1, GEN2):
            relay = self.shelly(device).relays[0]
            if relay.on and relay.timer is None:
                since = self.unleased_since.setdefault(device, now)
                self.longest_unleased_s = max(self.longest_unleased_s, now - since)
            else:
                self.unleased_since.pop(device, None)


@asynccontextmanager
async def opened(*, era: Any = "5", token: bool = False, persist: bool = False) -> AsyncIterator[Street]:
    """Build the house and control it. `persist`: a pin keeps its level when nobody holds it (Raspberry Pi OS)."""
    envoy, kernel = EmulatedEnvoy(time.monotonic, era), EmulatedKernel(persist=persist)
    gen1, gen2 = EmulatedShellyGen1(lambda: LOAD_W), EmulatedShellyGen2(lambda: LOAD_W)
    async with AsyncExitStack() as stack:
        stubborn = {GEN1: Stubborn(gen1.app), GEN2: Stubborn(gen2.app)}
        wires = {}
        for name, app in (("envoy", envoy.app), ("gen1", stubborn[GEN1]), ("gen2", stubborn[GEN2])):
            url = await stack.enter_async_context(serve(app))
            wires[name] = await stack.enter_async_context(proxied(url))
        rules = RULES.format(
            token=f', token: "{envoy.token}"' if token else "", **{name: wire.url for name, wire in wires.items()}
        )
        house = _with_pins(parse(rules, "home.yaml"), kernel)
        daemon = Daemon(house, Shared(LoopClock(house.zone)))
        metrics = Metrics(daemon)
        url = await stack.enter_async_context(serve(application(daemon, metrics)))
        page = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        street = Street(envoy, gen1, gen2, kernel, wires, stubborn, daemon, page)
        street.contacts = {
            GEN1: Contact(lambda: gen1.on),
            GEN2: Contact(lambda: gen2.on),
            GPIO: Contact(lambda: kernel.lines[PIN].level is True),
        }
        daemon.observers += [street.hear, metrics]
        living, running = asyncio.create_task(street.live()), asyncio.create_task(daemon.run())
        try:
            yield street
        finally:
            daemon.stop("end of the test")
            await asyncio.wait([running])
            living.cancel()
            await asyncio.wait([living])
        running.result()


def _with_pins(house: House, kernel: EmulatedKernel) -> House:
    device = house.actuators["gpio"]

    def build(shared: Shared) -> Gpio:
        return Gpio(
            device.options,
            shared,
            lambda _, rest_high: KernelFactory(rest_high=rest_high, kernel=kernel, revision=PI_3B),
        )

    return replace(house, actuators={**house.actuators, "gpio": Device("gpio", device.options, build)})
