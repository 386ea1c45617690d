"""The OpenEVSE driver against an emulated box with a car at its cable, over real HTTP."""

from __future__ import annotations

import pytest

from loadctl.actuators.openevse import OpenEvse, OpenEvseOptions
from loadctl.actuators.openevse.answers import OURS
from loadctl.core.values import Command, Source
from loadctl.drivers import Cared, Charger, Mendable, Shared, Wakeable
from loadctl.errors import Garbled, Refused
from loadctl.lab.emulators.openevse import Claim
from tests.e2e.openevse_garage import box, charge, driving, pause
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio

NO_CAR = "no car is plugged in"


async def test_a_charge_is_claimed_read_back_and_measured() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        report = await driver.apply(charge(10, 7))
        assert (report.load, report.command_id, report.on, report.source) == ("car", 7, True, Source.US)
        assert (report.connected, report.available, report.limit_w, report.phases) == (True, True, 2400.0, None)
        assert report.identity == "A8032A000001"
        assert device.claims[OURS] == Claim(500, "active", 10)
        clock.at += 60
        report = await driver.read()
        assert (report.watts, report.phases, report.inputs) == (2400.0, 1, (("temperature", 41.5),))
        report = await driver.apply(charge(16))
        assert (report.on, report.limit_w) == (True, 3840.0)
        report = await driver.apply(pause())
        assert (report.on, report.limit_w, report.source) == (False, 0.0, Source.US)
        assert device.claims[OURS] == Claim(500, "disabled")
        clock.at += 60
        assert (await driver.read()).watts == 0.0


async def test_it_is_a_charger_that_can_wake_be_inspected_and_mended() -> None:
    driver = OpenEvse(OpenEvseOptions(host="openevse.local"), Shared(Clock()))
    for protocol in (Charger, Wakeable, Cared, Mendable):
        assert isinstance(driver, protocol)
    assert (driver.step_a, driver.switches_phases, driver.lease_s) == (1.0, False, 120.0)
    await driver.close()


async def test_without_a_car_it_is_ready_and_not_available() -> None:
    clock = Clock()
    device = box(clock, plugged=False)
    async with driving(device, clock) as driver:
        report = await driver.apply(charge(6))
        assert (report.on, report.connected, report.available, report.detail) == (True, False, False, NO_CAR)
        device.car.plug()
        report = await driver.read()
        assert (report.on, report.connected, report.available, report.detail) == (True, True, True, "")
        await driver.apply(pause())
        device.car.unplug()
        clock.at += 1
        report = await driver.read()
        assert (report.on, report.connected, report.source) == (False, False, Source.US)


async def test_the_same_command_again_neither_pauses_nor_restarts_the_car() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        for number in range(10):
            assert (await driver.apply(charge(12, number))).limit_w == 2880.0
            clock.at += 40
        assert device.pilots[-1][1] == 12
        assert [amps for _, amps in device.pilots].count(12) == 1
        assert device.car.pauses == 0
        assert device.car.charging


async def test_current_goes_down_in_whole_amps_never_up() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        assert (await driver.apply(Command(1, "car", 9.9 * 240, phases=1, amps=9.9))).limit_w == 9 * 240
        with pytest.raises(Refused, match="cannot go below 6 A"):
            await driver.apply(charge(5))
        assert device.pilot_a == 9


async def test_the_voltage_of_the_house_makes_the_limit() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        report = await driver.apply(Command(1, "car", 10 * 208.0, phases=1, amps=10))
        assert report.limit_w == 2080.0


async def test_a_box_of_three_phases_cannot_tell_how_many_the_car_uses() -> None:
    clock = Clock()
    device = box(clock, car={"phases": 3, "volts": 230.0, "most_a": 16.0})
    device.phases, device.volts = 3, 230.0
    async with driving(device, clock) as driver:
        report = await driver.apply(Command(1, "car", 10 * 690.0, phases=3, amps=10))
        assert report.limit_w == 6900.0
        clock.at += 60
        report = await driver.read()
        assert (report.watts, report.phases) == (6900.0, None)


async def test_older_firmware_tells_no_power_and_no_address() -> None:
    clock = Clock()
    device = box(clock, shaper=False, firmware="4.2.2")
    device.tells_power = False
    async with driving(device, clock, failsafe="none") as driver:
        await driver.apply(charge(20))
        clock.at += 60
        report = await driver.read()
        assert (report.watts, report.identity, driver.lease_s) == (4800.0, "01A8032A", None)
    async with driving(device, clock) as driver:
        with pytest.raises(Refused, match=r"failsafe not armed: its firmware 4\.2\.2 .*update it to 5\.0"):
            await driver.apply(charge(20))


async def test_a_limit_of_the_box_shows_in_the_report() -> None:
    clock = Clock()
    device = box(clock)
    device.soft_a = 24
    async with driving(device, clock) as driver:
        report = await driver.apply(charge(32))
        assert (report.on, report.limit_w) == (True, 24 * 240.0)


@pytest.mark.parametrize(
    ("client", "priority", "words"), [(0x1_0001, 1000, "manual override"), (0x1_0009, 1050, "OCPP")]
)
async def test_a_stronger_client_that_keeps_it_off_is_named(client: int, priority: int, words: str) -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        device.hold(client, Claim(priority, "disabled"))
        with pytest.raises(Refused, match=f"{words}.*keeps it off"):
            await driver.apply(charge(10))
        device.hold(client, None)
        assert (await driver.apply(charge(10))).on is True
        device.hold(client, Claim(priority, "disabled"))
        clock.at += 1
        report = await driver.read()
        assert (report.on, report.source) == (False, Source.HAND)


async def test_a_current_that_somebody_stronger_set_is_told_as_it_is() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        device.override(charge_current=20)
        report = await driver.apply(charge(10))
        assert (report.on, report.source, report.limit_w) == (True, Source.US, 4800.0)


async def test_weaker_parts_of_the_box_give_way() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        device.hold(0x1_0002, Claim(50, "active", 16))
        device.hold(0x1_0004, Claim(100, "disabled"))
        assert (await driver.apply(charge(10))).limit_w == 2400.0
        assert (await driver.apply(pause())).on is False


async def test_a_session_limit_that_is_reached_satisfies() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(10))
        assert (await driver.read()).satisfied is None
        device.reach_limit()
        clock.at += 1
        report = await driver.read()
        assert (report.on, report.satisfied, report.source) == (False, True, Source.PROTECTION)
        assert report.detail == "its session limit decides"


async def test_after_a_restart_of_ours_the_claim_tells_that_it_was_us() -> None:
    clock = Clock()
    device = box(clock)
    clock.at += 10
    async with driving(device, clock) as driver:
        assert (await driver.read()).source is Source.TIMER  # nobody has fed its shaper yet
        await driver.apply(charge(10))
    async with driving(device, clock) as driver:
        report = await driver.read()
        assert (report.on, report.source, report.limit_w) == (True, Source.US, 2400.0)
        report = await driver.apply(Command(0, "car", 2400.0))  # says no current: as it was found
        assert (report.on, report.limit_w) == (True, 2400.0)


STATES = [(4, "ventilation"), (6, "GFCI"), (7, "no ground"), (8, "stuck relay"), (10, "too hot"), (13, "fault 13")]


@pytest.mark.parametrize(("state", "words"), STATES)
async def test_a_fault_makes_it_unavailable(state: int, words: str) -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(10))
        device.trip(state)
        report = await driver.read()
        assert (report.on, report.available, report.source) == (False, False, Source.PROTECTION)
        assert words in report.detail
        with pytest.raises(Refused, match=f"its own protection keeps it off: .*{words}"):
            await driver.apply(charge(10))
        assert (await driver.apply(pause())).on is False
        device.trip(None)
        assert (await driver.apply(charge(10))).on is True


async def test_a_box_that_pauses_by_disabling_is_understood() -> None:
    clock = Clock()
    device = box(clock)
    device.config["pause_uses_disabled"] = True
    async with driving(device, clock) as driver:
        assert (await driver.apply(pause())).on is False
        assert device.state == 255


async def test_a_gateway_without_its_controller_is_no_answer() -> None:
    clock = Clock()
    device = box(clock)
    device.controller_answers = False
    async with driving(device, clock) as driver:
        with pytest.raises(Garbled, match="does not reach the charging controller"):
            await driver.read()


async def test_a_sleepy_car_is_woken_by_taking_its_pilot_for_a_moment() -> None:
    clock = Clock()
    device = box(clock, car={"sleeps_after_s": 600.0})
    async with driving(device, clock) as driver:
        await driver.apply(pause())
        for _ in range(18):
            clock.at += 39
            await driver.read()
        await driver.apply(charge(10))
        clock.at += 30
        assert device.car.asleep
        assert (await driver.read()).watts == 0.0
        await driver.wake()
        clock.at += 30
        report = await driver.read()
        assert (report.on, report.watts, report.limit_w) == (True, 2400.0, 2400.0)


async def test_a_car_that_charges_or_is_paused_is_not_disturbed() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(10))
        clock.at += 60
        await driver.wake()
        assert device.car.pauses == 0
        await driver.apply(pause())
        pilots = list(device.pilots)
        await driver.wake()
        assert device.pilots == pilots
