"""Chargers that call us by OCPP 1.6J over real websockets on loopback: the driver against an emulated box with a car.

Time runs 20 times as fast as real where a test waits for the car.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from loadctl.actuators.ocpp import Ocpp, OcppOptions
from loadctl.actuators.ocpp.charge_point import BURST, PACE_PER_S
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Charger, Level, Shared, Wakeable
from loadctl.errors import Refused, Unreachable
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.charge_point import EmulatedChargePoint, plugged_in
from loadctl.lab.home import ScaledClock
from loadctl.service.mailbox import Mailbox
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)
SPEED = 20.0
LEASE_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Street:
    """A driver and what it needs; boxes are hung on it one by one."""

    def __init__(self, speed: float = SPEED) -> None:
        self.clock = ScaledClock(NOON, speed)
        self.shared = Shared(self.clock)
        self.port = free_port()
        self._stack = AsyncExitStack()

    def driver(self, box_id: str = "CP1", **keys: Any) -> Ocpp:
        keys = {"id": box_id, "listen": f"127.0.0.1:{self.port}", "lease": LEASE_S} | keys
        driver = Ocpp(TypeAdapter(OcppOptions).validate_python(keys), self.shared)
        self._stack.push_async_callback(driver.close)
        return driver

    def car(self, **keys: Any) -> Car:
        return Car(self.clock.now, **{"plugged": True, "start_delay_s": 2.0, "ramp_a_per_s": 8.0} | keys)

    async def box(self, car: Car, box_id: str = "CP1", **keys: Any) -> EmulatedChargePoint:
        box = EmulatedChargePoint(f"ws://127.0.0.1:{self.port}/ocpp/{box_id}", self.clock, car, **keys)
        await self._stack.enter_async_context(plugged_in(box))
        return box

    def raw(self, box_id: str = "CP1", protocol: str = "ocpp1.6", **keys: Any) -> connect:
        url = f"ws://127.0.0.1:{self.port}/{box_id}"
        return connect(url, subprotocols=[Subprotocol(protocol)], proxy=None, close_timeout=1, **keys)

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    made = Street()
    yield made
    await made.close()


def on(amps: float, phases: int | None = None, number: int = 1, lease_s: float | None = LEASE_S) -> Command:
    return Command(number, "car", amps * (phases or 3) * 230, phases=phases, lease_s=lease_s, amps=amps)


CAR = Load("car", 11_040.0, 1380.0, 60.0, 100.0, 120.0)
OFF = Command(2, "car", 0.0)


async def seen(driver: Ocpp, comes_true: Any, limit_s: float = 20.0) -> Report:
    """Read as the mailbox does until it is as expected."""
    end = asyncio.get_running_loop().time() + limit_s
    while not comes_true(report := await driver.read()):
        assert asyncio.get_running_loop().time() < end, report
        await asyncio.sleep(0.05)
    return report


def profiles_heard(box: EmulatedChargePoint) -> list[tuple[int, float, int | None]]:
    """Stack level, limit and duration of each profile that the box was sent."""
    rows = [body["csChargingProfiles"] for action, body in box.heard if action == "SetChargingProfile"]
    return [
        (
            row["stackLevel"],
            row["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"],
            row["chargingSchedule"].get("duration"),
        )
        for row in rows
    ]


async def test_a_box_is_sent_few_profiles_while_the_sun_goes_and_a_fall_that_matters_at_once(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    mailbox = Mailbox("car", driver, street.clock)

    def limits() -> list[float]:
        return [limit for level, limit, _ in profiles_heard(box) if level > 0]

    task = asyncio.create_task(mailbox.run())
    mailbox.put(on(16))
    await until(lambda: mailbox.lease_left_s() and limits() == [16.0])
    began_at = street.clock.now()
    for number in range(1, 61):  # each tenth of a second of the box another wish, for two paces at least
        mailbox.put(on(16 - number / 20, number=number))
        mailbox.tick(CAR, on=True)
        await street.clock.sleep(0.4)
    lasted_s = street.clock.now() - began_at
    assert 1 < len(limits()) <= 2 + lasted_s / 10
    before = len(limits())
    mailbox.put(on(6, number=100))
    await until(lambda: limits()[before:] == [6.0], 5.0)
    mailbox.put(OFF)
    await until(lambda: not car.charging)
    task.cancel()
    await asyncio.wait([task])


async def test_a_car_is_charged_throttled_and_paused(street: Street) -> None:
    driver, car = street.driver(), street.car()
    assert isinstance(driver, Charger)
    assert isinstance(driver, Wakeable)
    box = await street.box(car)

    report = await driver.apply(on(10))
    assert (report.command_id, report.on, report.limit_w, report.source) == (1, True, 6900.0, Source.US)
    assert report.connected
    assert 0 < (report.lease_left_s or 0) <= LEASE_S
    assert [level > 0 for level, *_ in profiles_heard(box)] == [
        False,
        True,
    ]  # what ends the charge without us comes first
    report = await seen(driver, lambda report: report.watts == pytest.approx(6900))
    assert report.phases == 3
    assert report.identity == "EMU-0001"

    await driver.apply(on(6, number=3))
    await seen(driver, lambda report: report.watts == pytest.approx(4140))

    report = await driver.apply(OFF)
    assert (report.on, report.watts, report.limit_w, report.phases) == (False, 0.0, 0.0, None)
    assert not car.charging
    assert car.pauses == 1
    assert box.transaction is not None  # a pause, not an end
    await driver.apply(on(8, number=4))
    await until(lambda: car.charging)


async def test_it_measures_as_it_was_asked_to(street: Street) -> None:
    driver = street.driver()
    box = await street.box(street.car())
    await driver.read()
    assert box.settings["MeterValueSampleInterval"] == "10"
    assert set(box.settings["MeterValuesSampledData"].split(",")) == {
        "Power.Active.Import",
        "Energy.Active.Import.Register",
        "Current.Import",
        "Voltage",
    }


async def test_without_us_the_car_pauses_when_the_lease_is_over(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    await driver.apply(on(16))
    await until(lambda: car.charging)
    assert box.profiles["TxDefaultProfile", 0]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 0
    heard = {level: duration for level, _, duration in profiles_heard(box)}
    assert heard[0] is None
    assert heard[5] == pytest.approx(LEASE_S, abs=1)  # a start is told in whole seconds
    began = street.clock.now()
    await driver.close()
    await until(lambda: not car.charging)
    assert street.clock.now() - began < LEASE_S + 10
    assert box.offered == (0.0, 3)


async def test_a_lease_that_is_renewed_holds_and_one_that_is_not_is_told(street: Street) -> None:
    driver, car = street.driver(), street.car()
    await street.box(car)
    await driver.apply(on(16))
    await until(lambda: car.charging)
    began = street.clock.now()
    while street.clock.now() < began + 2 * LEASE_S:
        await driver.apply(on(16, number=0))
        assert car.charging
        await street.clock.sleep(LEASE_S / 3)
    assert car.pauses == 0
    report = await seen(driver, lambda report: not report.on)
    assert report.source is Source.TIMER
    await until(lambda: not car.charging)


@pytest.mark.parametrize("skew_s", [-3600.0, 900.0])
async def test_the_lease_counts_by_the_clock_of_the_box(street: Street, skew_s: float) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car, skew_s=skew_s)
    await driver.read()
    await until(lambda: box.status != "")
    await driver.apply(on(16))
    await until(lambda: car.charging)
    await until(lambda: not car.charging)
    assert box.offered == (0.0, 3)


async def test_while_nobody_calls_it_says_what_to_enter(street: Street) -> None:
    driver = street.driver("garage")
    with pytest.raises(Unreachable, match=f"not connected.*ws://127.0.0.1:{street.port}/garage"):
        await driver.read()
    with pytest.raises(Unreachable):
        await driver.apply(OFF)
    with pytest.raises(InvalidStatus, match="404"):
        await street.raw("Garage-1").__aenter__()
    with pytest.raises(Unreachable, match="`Garage-1` calls: is that its `id`"):
        await driver.read()


async def test_who_speaks_something_else_or_has_a_wrong_password_is_turned_away(street: Street) -> None:
    driver = street.driver(password="opensesame")
    with pytest.raises(Unreachable):
        await driver.read()
    for protocol, secret, told in [
        ("ocpp1.6", None, "no password"),
        ("ocpp1.6", "guess", "a wrong password"),
        ("ocpp2.0.1", "opensesame", "speaks ocpp2.0.1: set it to OCPP 1.6"),
    ]:
        box = await street.box(street.car(), protocol=protocol, password=secret)
        await turned_away(box)
        with pytest.raises(Unreachable, match=told) as caught:
            await driver.read()
        assert "opensesame" not in str(caught.value)
        assert "guess" not in str(caught.value)
        box.url = "ws://127.0.0.1:9/CP1"
    await street.box(street.car(), password="opensesame")
    await until(lambda: driver._box is not None and driver._box.dialogue is not None)  # noqa: SLF001
    assert (await driver.read()).identity == "EMU-0001"


async def turned_away(box: EmulatedChargePoint) -> None:
    await until(lambda: box.refusals)


async def test_a_box_that_waits_for_leave_is_given_it(street: Street) -> None:
    driver, car = street.driver(id_tag="sun"), street.car()
    box = await street.box(car, free=False)
    report = await seen(driver, lambda report: report.connected)
    assert report.on is False
    await driver.apply(on(6))
    await until(lambda: car.charging)
    assert [body for action, body in box.heard if action == "RemoteStartTransaction"] == [
        {"idTag": "sun", "connectorId": 1}
    ]
    box.press_stop()
    report = await seen(driver, lambda report: not report.on)
    assert (report.source, report.available) == (Source.HAND, False)
    assert "plug" in report.detail
    car.unplug()
    report = await seen(driver, lambda report: report.connected is False)
    assert (report.available, report.detail) == (False, "no car is plugged in")
    car.plug()
    await seen(driver, lambda report: report.connected)
    await driver.apply(on(6, number=5))
    await until(lambda: car.charging)


async def test_no_leave_no_charge(street: Street) -> None:
    driver = street.driver()
    box = await street.box(street.car(), free=False)
    box.faults.rejected.add("RemoteStartTransaction")
    await seen(driver, lambda report: report.connected)
    with pytest.raises(Refused, match="does not begin the charge"):
        await driver.apply(on(6))


async def test_a_box_that_takes_0_a_for_6_a_is_stopped(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    box.faults.never_pauses = True
    await driver.apply(on(10))
    await until(lambda: car.charging)
    report = await driver.apply(OFF)
    assert report.on is False
    assert not car.charging
    assert box.heard[-1][0] in {"RemoteStopTransaction", "TriggerMessage"}
    await driver.apply(on(6, number=3))  # it can be begun again
    await until(lambda: car.charging)

    box.faults.rejected.add("RemoteStopTransaction")
    with pytest.raises(Refused, match="goes on drawing"):
        await driver.apply(OFF)
    report = await seen(driver, lambda report: report.on)
    assert report.source is Source.US


async def test_phases_are_switched_without_current(street: Street) -> None:
    driver, car = street.driver(switch_phases=True), street.car()
    await street.box(car, switches=True)
    await driver.apply(on(6, 3))
    await seen(driver, lambda report: report.phases == 3)
    await driver.apply(on(10, 1, number=3))
    await seen(driver, lambda report: report.phases == 1 and report.watts == pytest.approx(2300))
    await driver.apply(Command(4, "car", 8 * 230.0, phases=None, amps=8.0))  # leave them as they are
    report = await seen(driver, lambda report: (report.watts or 9999) < 2000)
    assert report.phases == 1
    await driver.apply(on(6, 3, number=5))
    await seen(driver, lambda report: report.phases == 3)
    assert car.jolts == 0
    assert car.pauses == 2


async def test_what_a_box_can_do_it_tells_itself(street: Street) -> None:
    driver = street.driver()
    before = driver.switches_phases
    await street.box(street.car(), switches=True, units="Power")
    await driver.read()
    assert (before, driver.switches_phases) == (False, True)
    await driver.apply(on(10, 1))
    await seen(driver, lambda report: report.phases == 1 and report.watts == pytest.approx(2300))


async def test_a_box_with_room_for_one_profile_needs_the_owners_word(street: Street) -> None:
    car = street.car()
    driver = street.driver()
    box = await street.box(car, stack_level=0)
    with pytest.raises(Refused, match=r"only one charging profile.*failsafe: none"):
        await driver.apply(on(6))
    report = await driver.apply(OFF)
    assert report.on is False
    await until(lambda: not car.charging)
    findings = {finding.check: finding for finding in await driver.inspect(CAR)}
    assert findings["failsafe"].level is Level.DANGER
    await driver.close()

    careless = street.driver(failsafe="none")
    assert careless.lease_s is None
    await until(lambda: not box.connected)
    await seen_soon(careless)
    await careless.apply(on(6, lease_s=None))
    await until(lambda: car.charging)
    before = len(box.heard)
    await careless.apply(on(6, lease_s=None, number=0))
    assert not [action for action, _ in box.heard[before:] if action == "SetChargingProfile"]  # its flash is spared


async def seen_soon(driver: Ocpp, limit_s: float = 20.0) -> Report:
    """Read until the box has called."""
    end = asyncio.get_running_loop().time() + limit_s
    while True:
        try:
            return await driver.read()
        except Unreachable:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.05)


async def test_a_refusal_is_told_and_the_second_profile_is_no_ornament(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car, stack_level=None)
    box.faults.unknown.add("SetChargingProfile")
    await driver.read()
    with pytest.raises(Refused, match="refuses SetChargingProfile: NotImplemented"):
        await driver.apply(on(6))
    box.faults.unknown.clear()
    box.faults.rejected.add("SetChargingProfile")
    with pytest.raises(Refused, match="does not take a charging profile"):
        await driver.apply(on(6))
    box.faults.rejected.clear()
    await driver.apply(on(6))
    await until(lambda: car.charging)


async def test_a_box_that_rebooted_is_held_by_the_pause_again(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    await driver.apply(on(16))
    await until(lambda: car.charging)
    await box.reboot(forgets=True)
    report = await seen_soon(driver)
    await until(lambda: ("TxDefaultProfile", 0) in box.profiles)
    report = await seen(driver, lambda report: not report.on)
    assert report.source is Source.REBOOT
    await driver.apply(on(10, number=3))
    await until(lambda: car.charging)


async def test_a_box_that_will_not_be_held_any_more_is_stopped(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    await driver.apply(on(16))
    await until(lambda: car.charging)
    box.faults.rejected.add("SetChargingProfile")
    before = len(profiles_heard(box))
    await box.reboot(forgets=True)
    await until(lambda: len(profiles_heard(box)) > before)
    await seen_soon(driver)
    await until(lambda: car.charging)  # nothing holds it any more
    with pytest.raises(Refused, match="does not take a charging profile"):
        await driver.apply(on(16, number=3))
    report = await driver.apply(OFF)
    assert report.on is False
    assert not car.charging
    assert box.transaction is None  # ended: it could not be paused


async def test_a_lost_connection_is_taken_up_again(street: Street) -> None:
    driver, car = street.driver(), street.car()
    box = await street.box(car)
    await driver.apply(on(16, lease_s=600.0))
    await until(lambda: car.charging)
    await box.drop()
    await seen_soon(driver)
    await until(lambda: box.connections == 2)
    report = await seen(driver, lambda report: report.on and report.watts)
    assert report.source is Source.US  # what was set lasts in the box
    assert ("TriggerMessage", {"requestedMessage": "BootNotification"}) in box.heard  # it will not boot for us


async def test_a_silent_box_holds_nobody_up(street: Street) -> None:
    driver = street.driver()
    box = await street.box(street.car())
    await driver.read()
    await until(lambda: ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1}) in box.heard)
    box.faults.silent = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable, match="no answer to SetChargingProfile"):
        await driver.apply(on(6))
    assert asyncio.get_running_loop().time() - began < 25
    waiting = asyncio.ensure_future(driver.apply(on(6)))
    await until(lambda: box.heard[-1][0] == "SetChargingProfile")
    await box.drop()
    with pytest.raises(Unreachable, match="connection was lost"):
        await waiting


async def test_a_web_page_is_no_charger(street: Street) -> None:
    driver = street.driver()
    with pytest.raises(Unreachable):
        await driver.read()
    with pytest.raises(InvalidStatus, match="403"):
        await street.raw(additional_headers={"Origin": "http://example.com"}).__aenter__()


async def test_a_newer_connection_takes_the_place_of_the_older(street: Street) -> None:
    driver = street.driver()
    with pytest.raises(Unreachable):
        await driver.read()
    async with street.raw() as older, street.raw() as newer:
        with pytest.raises(ConnectionClosed):
            await listen(older)
        await newer.send(json.dumps([2, "1", "Heartbeat", {}]))
        answer = await reply(newer, "1")
        assert answer[0] == 3


async def listen(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


async def reply(socket: ClientConnection, unique_id: str) -> list[Any]:
    while True:
        message: list[Any] = json.loads(await socket.recv())
        if message[0] != 2 and message[1] == unique_id:
            return message


async def test_nonsense_is_survived_and_in_the_end_cut_off(street: Street) -> None:
    driver = street.driver()
    with pytest.raises(Unreachable):
        await driver.read()
    async with street.raw() as box:
        for number, (action, body) in enumerate(
            [
                ("StatusNotification", {"connectorId": 99, "status": "Charging", "errorCode": "NoError"}),
                ("MeterValues", {"connectorId": 1, "meterValue": [None, {"sampledValue": [{"value": "x"}, 3]}]}),
                ("MeterValues", {"connectorId": "one"}),
                ("NoSuchThing", {}),
                ("StatusNotification", {"connectorId": 1, "status": ["Charging"], "errorCode": None}),
            ]
        ):
            await box.send(json.dumps([2, str(number), action, body]))
            assert (await reply(box, str(number)))[0] in {3, 4}
        await box.send(json.dumps([3, "never asked", {}]))
        frames: list[str | bytes] = [
            "",
            "[" * 50_000,
            "{}",
            "[2]",
            '[2,"x",["a"],{}]',
            "null",
            b"\xff\x00",
            '[9,"x","y",{}]',
        ]
        for frame in frames:
            await box.send(frame)
        await box.send(json.dumps([2, "last", "Heartbeat", {}]))
        assert (await reply(box, "last"))[0] == 3
        for _ in range(20):
            await box.send("nonsense")
        with pytest.raises(ConnectionClosed):
            await listen(box)
    async with street.raw() as box:
        await box.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosed):
            await listen(box)


async def test_a_flood_waits_in_line(street: Street) -> None:
    driver = street.driver()
    other = street.driver("CP2")
    await street.box(street.car(), "CP2")
    with pytest.raises(Unreachable):
        await driver.read()
    await other.read()
    async with street.raw() as box:
        began = asyncio.get_running_loop().time()
        for number in range(1500):
            await box.send(json.dumps([2, str(number), "Heartbeat", {}]))
            if number % 100 == 0:
                assert (await other.read()).connected
                await asyncio.sleep(0)
        for _ in range(400):
            await box.recv()
        assert (
            asyncio.get_running_loop().time() - began >= (400 - BURST) / PACE_PER_S - 0.5
        )  # our own calls come between


async def test_two_boxes_share_a_port_and_the_last_to_leave_closes_it(street: Street) -> None:
    one, two = street.driver("CP1"), street.driver("CP2")
    first, second = street.car(), street.car()
    await street.box(first, "CP1", serial="A")
    await street.box(second, "CP2", serial="B")
    await one.apply(on(6))
    await two.apply(on(16))
    await seen(one, lambda report: report.watts == pytest.approx(4140))
    await seen(two, lambda report: report.watts == pytest.approx(11040))
    assert ((await one.read()).identity, (await two.read()).identity) == ("A", "B")
    await one.close()
    await two.read()
    await two.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", street.port)


async def test_a_port_that_is_taken_is_told(street: Street) -> None:
    with socket.create_server(("127.0.0.1", street.port)):
        driver = street.driver()
        with pytest.raises(Refused, match=rf"port {street.port} of this computer is taken.*`listen`"):
            await driver.read()


async def test_a_sleepy_car_is_woken(street: Street) -> None:
    driver, car = street.driver(), street.car(start_delay_s=1.0)
    await street.box(car)
    await driver.apply(on(6))
    await until(lambda: car.charging)
    pauses = car.pauses
    await driver.wake()
    assert car.pauses == pauses + 1
    await until(lambda: car.charging)
    report = await driver.read()
    assert report.on
    assert 0 < (report.lease_left_s or 0) < LEASE_S


async def test_a_full_car_is_satisfied(street: Street) -> None:
    driver, car = street.driver(), street.car(soc=99.9, capacity_wh=40_000.0)
    await street.box(car)
    await driver.apply(on(16, lease_s=600.0))
    report = await seen(driver, lambda report: report.satisfied, 40.0)
    assert (report.on, report.watts, report.connected) == (True, 0.0, True)


async def test_the_doctor_has_a_look(street: Street) -> None:
    driver = street.driver()
    box = await street.box(street.car(), switches=True, skew_s=400.0)
    await driver.read()
    await until(lambda: box.status != "")
    found = {finding.check: finding for finding in await driver.inspect(CAR)}
    assert found["answer"].message == "is connected: loadctl emulated 1.0"
    assert found["failsafe"].level is Level.OK
    assert found["clock"].level is Level.WARNING
    assert "6 min" in found["clock"].message or "s ahead" in found["clock"].message
    assert found["password"].level is Level.NOTE
