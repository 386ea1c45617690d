"""The demo's home: a house model behind an emulated Envoy, two emulated Shellys and an emulated go-e wallbox, all on
real loopback HTTP. Its car comes home at noon.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.goe import EmulatedGoE
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.house import Clouds, Draw, Garage, House, Resistor, Spike, Tank, clear_sky, everyday

HOUR_S = 3600.0
STARTS_AT_S = 11.9 * HOUR_S
CAR_COMES_AT_S = 12 * HOUR_S
CAR_LEAVES_AT_S = 7 * HOUR_S
PEAK_W = 8000.0
BASE_W = 220.0
HOT_WATER = ((12.5, 700.0), (19.0, 2000.0), (21.5, 1200.0))  # what is drawn at which hour, Wh
PASSWORD = "sunshine"  # noqa: S105 - of a relay that exists in this process only

RULES = """\
version: 1
site:
  timezone: UTC
  max_import: 11 kW
meter: {{driver: envoy, host: "{envoy}", every: 5 s, max_age: 30 s}}
web: {{port: {port}}}
loads:
  boiler:                       # Shelly Gen1; a 150-litre tank with its own thermostat
    actuator: {{driver: shelly, host: "{boiler}", lease: 120 s}}
    power: 2 kW
    start: 1.6 kW for 1 min
    stop: import 700 W for 2 min
    min_on: 5 min
    min_off: 3 min
  pool_pump:                    # Shelly Plus with a password
    actuator: {{driver: shelly, host: "{pump}", password: {password}, lease: 120 s}}
    power: 1.1 kW
    min_on: 10 min
    min_off: 5 min
    between: 09:00-19:00
    need: 4 h by 19:00
  car:                          # a go-e wallbox; what the others leave, from 6 A on one phase to 16 A on three
    actuator: {{driver: go-e, host: "{box}", failsafe: none}}
    current: 6..16 A
    phases: auto
    stop: import 500 W for 5 min
"""


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """The loop's clock and the wall clock, both running `speed` times as fast; the day begins at `begins`."""

    begins: datetime
    speed: float
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _zero: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def now(self) -> float:
        return (self._loop.time() - self._zero) * self.speed

    def wall(self) -> datetime:
        return self.begins + timedelta(seconds=self.now())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)


@dataclass(slots=True)
class Home:
    """A running home; `rules` is the rule file that fits its addresses."""

    house: House
    envoy: EmulatedEnvoy
    boiler: EmulatedShellyGen1
    pump: EmulatedShellyGen2
    box: EmulatedGoE
    rules: str

    @property
    def let_draw(self) -> dict[str, bool]:
        """Which load is let draw power at this moment, as its device has it."""
        return {"boiler": self.boiler.relays[0].on, "pool_pump": self.pump.relays[0].on, "car": self.box.allowed}

    def live(self, to_s: float) -> None:
        """Live on until `to_s` (seconds since midnight) and show it on the meter."""
        self.house.advance(to_s, self.let_draw.__getitem__)
        self.envoy.pv_w, self.envoy.grid_w = self.house.pv_w, self.house.grid_w


def build(clock: Callable[[], float]) -> Home:
    """Return a home whose devices tell the time by `clock` (seconds); nothing is served yet."""
    sky, clouds = clear_sky(PEAK_W), Clouds(seed=45)
    car = Car(clock, capacity_wh=50_000.0)
    box = EmulatedGoE(car, clock=clock)
    box.lmo = 4  # a car that is plugged in waits until it is let charge
    house = House(
        pv=lambda at_s: sky(at_s) * clouds.share(at_s),
        base=everyday(BASE_W, kitchen()),
        appliances={
            "boiler": Tank(
                2000.0,
                capacity_wh=7000.0,
                content_wh=5000.0,
                draws=[Draw(hour * HOUR_S, energy_wh) for hour, energy_wh in HOT_WATER],
            ),
            "pool_pump": Resistor(1080.0),
            "car": Garage(car, CAR_COMES_AT_S, CAR_LEAVES_AT_S, soc=45.0),
        },
        at_s=STARTS_AT_S,
    )
    return Home(
        house,
        EmulatedEnvoy(era="5", clock=clock),
        EmulatedShellyGen1(lambda: house.draws_w.get("boiler", 0.0), clock=clock),
        EmulatedShellyGen2(lambda: house.draws_w.get("pool_pump", 0.0), clock=clock, password=PASSWORD),
        box,
        rules="",
    )


def kitchen() -> list[Spike]:
    """Return what is cooked each day."""
    return [Spike(h * HOUR_S + m * 60, watts, mins * 60.0) for h, m, watts, mins in _KITCHEN]


_KITCHEN = ((10, 20, 2000, 3), (11, 5, 2000, 3), (12, 10, 2400, 25), (13, 40, 2000, 3), (15, 30, 2000, 3),
            (17, 45, 2800, 40), (20, 10, 2000, 3))  # fmt: skip


@asynccontextmanager
async def open_home(clock: ScaledClock, *, port: int) -> AsyncIterator[Home]:
    """Serve a home on loopback and let it live; `port` is where the rule file puts the controller's own page."""
    home = build(clock.now)
    async with AsyncExitStack() as stack:
        urls = {
            "envoy": await stack.enter_async_context(serve(home.envoy.app)),
            "boiler": await stack.enter_async_context(serve(home.boiler.app)),
            "pump": await stack.enter_async_context(serve(home.pump.app)),
            "box": await stack.enter_async_context(serve(home.box.app)),
        }
        home.rules = RULES.format(port=port, password=PASSWORD, **urls)
        living = asyncio.create_task(_live(home, clock), name="home")
        try:
            yield home
        finally:
            living.cancel()
            await asyncio.wait([living])


async def _live(home: Home, clock: ScaledClock) -> None:
    while True:
        home.live(STARTS_AT_S + clock.now())
        await clock.sleep(1.0)
