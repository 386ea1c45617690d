"""An OFF waits for nothing: not for a read, a renewal or an ON of a device that hangs, whatever it is spoken to by.

Each device stands behind a proxy that swallows what is said and never answers it, so that what is under way would only
be given up after seconds. Then the wire works again, the OFF must arrive at once, and what is shared is not broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter

from loadctl.actuators import ACTUATORS
from loadctl.actuators.ocpp import Ocpp, OcppOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command
from loadctl.drivers import Line, Shared, driver_class
from loadctl.errors import Unreachable
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.charge_point import EmulatedChargePoint, plugged_in
from loadctl.lab.emulators.goe import EmulatedGoE
from loadctl.lab.emulators.modbus import serve_modbus
from loadctl.lab.emulators.mypv import HTTP, MODBUS, EmulatedMyPv
from loadctl.lab.emulators.openevse import EmulatedOpenEvse
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.home import ScaledClock
from loadctl.service.mailbox import Mailbox
from tests.e2e.shelly_home import Clock
from tests.e2e.test_ocpp import LEASE_S, NOON, free_port
from tests.e2e.until import until
from tests.faults.proxy import Mode, Proxy, proxied

pytestmark = pytest.mark.anyio

AT_ONCE_S = 2.5  # a device that hangs is given up after 3 s (Modbus), 5 s (HTTP), 8 s (OCPP), a moment is 1 s
CAR = Load("load", 3680.0, 1380.0, 60.0, 100.0, 120.0)
ON = Command(1, "load", 2300.0, phases=1, amps=10.0, lease_s=60.0)
OFF = Command(2, "load", 0.0)


@dataclass
class Wire:
    """A device and how it is reached: `hang` swallows what is said from now on, `swallowed` counts it."""

    mailbox: Mailbox
    is_on: Callable[[], bool]
    hang: Callable[[bool], None]
    swallowed: Callable[[], int]
    later: Callable[[], None]


@asynccontextmanager
async def living(mailbox: Mailbox) -> AsyncIterator[None]:
    task = asyncio.create_task(mailbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await mailbox.close()


def _device(kind: str, clock: Clock) -> tuple[Any, Callable[[], bool], dict[str, Any]]:
    """Return an emulated device, whether its load is on, and the keys of its driver."""
    if kind.startswith("shelly"):
        relay: Any = (EmulatedShellyGen1 if kind == "shelly gen1" else EmulatedShellyGen2)(clock=clock.now)
        return relay, lambda: bool(relay.on), {"driver": "shelly"}
    if kind == "go-e":
        goe = EmulatedGoE(Car(clock.now, plugged=True), clock=clock.now, apis=("v2",))
        goe.lmo = 4
        return goe, lambda: goe.frc == 2, {"driver": "go-e"}
    if kind == "openevse":
        box = EmulatedOpenEvse(Car(clock.now, phases=1, volts=240.0, plugged=True), clock=clock.now, shaper=True)
        return box, lambda: box.on, {"driver": "openevse"}
    heater = EmulatedMyPv(clock=clock.now, control=MODBUS if kind == "my-pv modbus" else HTTP)
    return heater, lambda: heater.watts > 0, {"driver": "my-pv", "rated": 3000.0, "via": kind.split()[1]}


@asynccontextmanager
async def standing(kind: str) -> AsyncIterator[Wire]:
    """Put up a device, a proxy before it and its mailbox."""
    clock = Clock()
    device, is_on, keys = _device(kind, clock)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(device.app))
        if kind == "my-pv modbus":
            url = f"http://127.0.0.1:{await stack.enter_async_context(serve_modbus(device))}"
        proxy: Proxy = await stack.enter_async_context(proxied(url))
        place = {"host": "127.0.0.1", "port": proxy.port} if kind == "my-pv modbus" else {"host": proxy.url}
        cls = driver_class(ACTUATORS, keys.pop("driver"))
        driver = cls(TypeAdapter(cls.Options).validate_python(keys | place), Shared(clock))
        mailbox = Mailbox("load", driver, clock)
        await stack.enter_async_context(living(mailbox))

        def hang(silent: bool) -> None:
            proxy.mode = Mode.SILENT if silent else Mode.PASS

        def later() -> None:
            clock.at += 35.0

        yield Wire(mailbox, is_on, hang, lambda: proxy.swallowed, later)


@asynccontextmanager
async def calling() -> AsyncIterator[Wire]:
    """Put up a charger that calls us by OCPP, ten times as fast as real."""
    clock, port = ScaledClock(NOON, 10.0), free_port()
    car = Car(clock.now, plugged=True, start_delay_s=2.0, ramp_a_per_s=8.0)
    keys = {"id": "CP1", "listen": f"127.0.0.1:{port}", "lease": LEASE_S}
    driver = Ocpp(TypeAdapter(OcppOptions).validate_python(keys), Shared(clock))
    box = EmulatedChargePoint(f"ws://127.0.0.1:{port}/CP1", clock, car)
    mailbox = Mailbox("load", driver, clock)

    def hang(silent: bool) -> None:
        box.faults.silent = silent

    async with living(mailbox), plugged_in(box):
        yield Wire(mailbox, lambda: box.offered[0] > 0, hang, lambda: len(box.heard), lambda: None)


KINDS = ["shelly gen1", "shelly gen2", "go-e", "openevse", "my-pv http", "my-pv modbus", "ocpp"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("under_way", ["a read or a renewal", "an ON"])
async def test_an_off_does_not_wait_for_a_device_that_hangs(kind: str, under_way: str) -> None:
    async with calling() if kind == "ocpp" else standing(kind) as wire:
        mailbox = wire.mailbox
        mailbox.put(ON)
        await until(wire.is_on)
        await until(lambda: mailbox.lease_left_s() or mailbox.actuator.lease_s is None)
        wire.hang(True)
        before = wire.swallowed()
        if under_way == "an ON":
            mailbox.put(Command(3, "load", 1840.0, phases=1, amps=8.0, lease_s=60.0))
        wire.later()

        def hangs() -> bool:
            mailbox.tick(CAR, on=True)
            return wire.swallowed() > before

        await until(hangs)
        wire.hang(False)
        mailbox.put(OFF)
        await until(lambda: not wire.is_on(), AT_ONCE_S)
        mailbox.put(Command(4, "load", 2300.0, phases=1, amps=10.0, lease_s=60.0))
        await until(wire.is_on)


async def test_an_off_does_not_wait_for_another_load_of_a_device_that_hangs() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(clock=clock.now, channels=2)
    shared = Shared(clock)
    async with serve(device.app) as url, proxied(url) as proxy:
        cls = driver_class(ACTUATORS, "shelly")
        boxes = [Mailbox(f"load {n}", cls(cls.Options(host=proxy.url, channel=n), shared), clock) for n in (0, 1)]
        async with living(boxes[0]), living(boxes[1]):
            boxes[1].put(ON)
            await until(lambda: device.relays[1].on)
            await until(boxes[1].lease_left_s)
            proxy.mode = Mode.SILENT
            clock.at += 11.0
            boxes[0].tick(CAR, on=False)
            await until(lambda: proxy.swallowed)
            proxy.mode = Mode.PASS
            boxes[1].put(OFF)
            await until(lambda: not device.relays[1].on, AT_ONCE_S)
            clock.at += 20.0
            boxes[0].put(ON)
            await until(lambda: device.relays[0].on)


async def test_who_is_in_a_hurry_leaves_a_quick_request_to_its_end() -> None:
    line, told = Line(), []

    async def asks(takes_s: float, *, hurry: bool) -> None:
        async with line.turn(hurry=hurry):
            await asyncio.sleep(takes_s)
        told.append(takes_s)

    slow = asyncio.create_task(asks(0.1, hurry=False))
    await asyncio.sleep(0)
    await asks(0.0, hurry=True)
    await slow
    assert told == [0.1, 0.0]
    hanging = asyncio.create_task(asks(1e6, hurry=False))
    await asyncio.sleep(0)
    await asks(0.0, hurry=True)
    with pytest.raises(Unreachable, match="another load of this device must go off"):
        await hanging
