"""The go-e driver against an emulated box and car, over real HTTP."""

from __future__ import annotations

from itertools import pairwise

import pytest

from loadctl.core.rules import Follow, Load, Range
from loadctl.core.values import Report, Source
from loadctl.drivers import Charger, Finding, Level, Wakeable
from loadctl.errors import Refused
from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.goe import EmulatedGoE
from tests.e2e.goe_garage import BOTH, charge, driving, garage, off, sets
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio


def rule(least_a: float = 6, most_a: float = 16, phases: tuple[int, ...] = (1, 3)) -> Load:
    ranges = tuple(Range(least_a * n * 230, most_a * n * 230, n * 230, phases=n, volts=230) for n in phases)
    return Load("car", 11_040, 1380, 60, 0, 60, follow=Follow(ranges))


async def test_it_is_what_the_core_asks_of_a_charger() -> None:
    clock = Clock()
    async with driving(garage(clock), clock) as driver:
        assert isinstance(driver, Charger)
        assert isinstance(driver, Wakeable)
        assert (driver.lease_s, driver.step_a, driver.switches_phases) == (None, 1.0, True)


@BOTH
async def test_charging_and_pausing_are_read_back_with_power_and_identity(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    if api == "v1":
        box.set(frc=1)
        clock.at += 2
    async with driving(box, clock) as driver:
        report = await driver.apply(charge(10))
        assert (report.on, report.source, report.command_id, report.connected) == (True, Source.US, 1, True)
        assert (report.limit_w, report.available, report.identity) == (10 * 3 * 230, True, "063421")
        clock.at += 60
        report = await driver.read()
        assert (report.watts, report.phases, report.on) == (6900, 3, True)
        assert (await driver.apply(charge(6))).limit_w == 6 * 3 * 230
        report = await driver.apply(off())
        assert (report.on, report.source, report.limit_w, report.available) == (False, Source.US, 0.0, True)
        clock.at += 5
        report = await driver.read()
        assert report == Report(
            "", clock.at, on=False, watts=0.0, limit_w=0.0, source=Source.US, identity="063421", connected=True
        )
        assert driver.switches_phases is (api == "v2")


@BOTH
async def test_the_same_again_writes_nothing(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    async with driving(box, clock) as driver:
        for command in (charge(9), off()):
            await driver.apply(command)
            told = len(sets(box))
            for number in range(3):
                clock.at += 20
                report = await driver.apply(command)
                assert (report.on, report.source) == (command.watts > 0, Source.US)
                assert number < 3
            assert len(sets(box)) == told
        assert box.car.pauses == 1
        assert box.writes["amp"] == (1 if api == "v2" else 0)


async def test_a_current_that_changes_is_all_that_is_written() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock) as driver:
        for amps in (6, 7, 7, 8.9, 8):
            clock.at += 20
            await driver.apply(charge(amps))
    assert sets(box) == ["/api/set?amp=6&frc=2", "/api/set?amp=7", "/api/set?amp=8"]
    assert box.car.pauses == 0


async def test_v1_writes_the_current_that_wears_out_no_flash() -> None:
    clock = Clock()
    box = garage(clock, api="v1")
    async with driving(box, clock) as driver:
        await driver.apply(charge(8))
        await driver.apply(off())
    assert sets(box) == ["/mqtt?payload=amx=8", "/mqtt?payload=alw=1", "/mqtt?payload=alw=0"]
    assert box.amp == 16


async def test_v1_is_asked_every_five_seconds_at_most_but_a_pause_goes_at_once() -> None:
    clock = Clock()
    box = garage(clock, api="v1")
    async with driving(box, clock, api="v1") as driver:
        for _ in range(3):
            await driver.read()
        times = [asked.at for asked in box.requests]
        assert [late - soon for soon, late in pairwise(times)] == [5, 5]
        before = clock.at
        await driver.apply(off())
        assert clock.at == before


async def test_phases_are_switched_without_load_in_one_apply() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock) as driver:
        await driver.apply(charge(16, phases=1))
        clock.at += 60
        assert (await driver.read()).phases == 1
        for phases, amps in ((3, 6), (1, 16)):
            began = clock.at
            report = await driver.apply(charge(amps, phases=phases))
            assert clock.at - began < 40
            assert (report.on, report.limit_w) == (True, amps * phases * 230)
            clock.at += 60
            report = await driver.read()
            assert (report.phases, report.watts) == (phases, amps * phases * 230)
    assert box.car.jolts == 0
    assert box.car.pauses == 2
    assert sets(box)[2:] == [
        "/api/set?frc=1",
        "/api/set?psm=2&amp=6",
        "/api/set?frc=2",
        "/api/set?frc=1",
        "/api/set?psm=1&amp=16",
        "/api/set?frc=2",
    ]


async def test_a_box_that_may_not_pause_keeps_its_phases() -> None:
    clock = Clock()
    box = garage(clock)

    async with driving(box, clock) as driver:
        await driver.apply(charge(16, phases=3))
        clock.at += 60
        box.set(acp=False)  # forbids pauses: told to pause, it goes on
        with pytest.raises(Refused, match="was told to pause and lets the car go on"):
            await driver.apply(charge(16, phases=1))
        assert (box.psm, box.car.jolts) == (2, 0)
        with pytest.raises(Refused, match="allow charging pauses"):
            await driver.apply(off())


class Stubborn(Car):
    """Draws on when its pilot falls silent."""

    def offer(self, amps: float, phases: int) -> None:
        super().offer(amps or 6.0, phases)


async def test_phases_are_left_as_they_are_while_a_car_draws_on() -> None:
    clock = Clock()
    box = EmulatedGoE(Stubborn(clock.now, plugged=True), clock=clock.now, apis=("v2",))
    async with driving(box, clock) as driver:
        await driver.apply(charge(16, phases=3))
        clock.at += 60
        began = clock.at
        with pytest.raises(Refused, match="draws on after it was paused: its phases are left as they are"):
            await driver.apply(charge(16, phases=1))
        assert clock.at - began < 40
    assert (box.psm, box.frc, box.car.jolts) == (2, 1, 0)


async def test_v1_cannot_switch_phases_and_says_so() -> None:
    clock = Clock()
    box = garage(clock, api="v1")
    async with driving(box, clock) as driver:
        assert (await driver.apply(charge(8, phases=3))).on
        with pytest.raises(Refused, match=r"cannot switch them.*write `phases: 3`"):
            await driver.apply(charge(8, phases=1))
        assert (await driver.apply(charge(8, phases=None))).on


async def test_a_one_phase_car_on_three_phases_is_measured() -> None:
    clock = Clock()
    box = garage(clock, phases=1)
    async with driving(box, clock) as driver:
        await driver.apply(charge(10, phases=3))
        clock.at += 60
        report = await driver.read()
        assert (report.phases, report.watts, report.limit_w) == (1, 2300, 6900)


@BOTH
async def test_no_car_is_told_and_nothing_is_switched(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api, plugged=False)
    async with driving(box, clock) as driver:
        for attempt in (driver.read(), driver.apply(charge(8)), driver.apply(off())):
            report = await attempt
            assert (report.on, report.connected, report.available) == (False, False, False)
            assert report.detail == "no car is plugged in"
    assert sets(box) == []


@BOTH
async def test_a_car_that_comes_home_is_no_hand(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    box.lmo = 3
    async with driving(box, clock) as driver:
        await driver.apply(off())
        box.car.unplug()
        clock.at += 5
        assert (await driver.read()).connected is False
        box.car.plug()
        for _ in range(3):
            clock.at += 5
            report = await driver.read()
            assert (report.on, report.connected, report.source) == (True, True, Source.TIMER)
        assert (await driver.apply(off())).on is False


async def test_a_hand_in_the_app_is_told() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock) as driver:
        await driver.apply(charge(8))
        box.set(frc=1)
        clock.at += 5
        for _ in range(2):
            report = await driver.read()
            assert (report.on, report.source) == (False, Source.HAND)
        await driver.apply(off())
        box.set(frc=2)
        clock.at += 5
        report = await driver.read()
        assert (report.on, report.source) == (True, Source.HAND)


@BOTH
async def test_a_reboot_is_told_from_a_hand(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    box.lmo = 3
    async with driving(box, clock) as driver:
        await driver.apply(charge(7))
        await driver.apply(off())
        clock.at += 60
        await driver.read()
        box.set(frc=0)
        box.reboot()
        clock.at += 5
        for _ in range(2):
            report = await driver.read()
            assert (report.on, report.source) == (True, Source.REBOOT)
        assert report.limit_w == (7 if api == "v2" else 16) * 690


@BOTH
async def test_a_full_car_is_told_from_one_that_was_paused(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api, capacity_wh=10_000, soc=90)
    async with driving(box, clock) as driver:
        await driver.apply(charge(10))
        clock.at += 60
        assert (await driver.read()).satisfied is False
        await driver.apply(off())
        clock.at += 60
        assert (await driver.read()).satisfied is None
        await driver.apply(charge(10))
        assert (await driver.read()).satisfied in {None, False}
        clock.at += 60
        assert (await driver.read()).satisfied is False
        clock.at += 3600
        for _ in range(2):
            report = await driver.read()
            assert (report.on, report.satisfied, report.watts) == (True, True, 0)
        assert (await driver.apply(off())).satisfied is True
        box.car.unplug()
        clock.at += 5
        assert (await driver.read()).satisfied is None


async def test_what_the_box_cannot_run_is_told_with_its_reason() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock) as driver:
        box.set(acs=1)
        report = await driver.apply(charge(8))
        assert (report.on, report.available) == (True, False)
        assert report.detail == "may not charge: waits for a card or the app to unlock it"
        box.set(trx=0)
        clock.at += 5
        assert (await driver.read()).available
        box.set(err=3)
        clock.at += 5
        report = await driver.read()
        assert (report.available, report.detail) == (False, "error: phase fault")
        box.set(err=0, mcpd=60_000, frc=1)
        clock.at += 5
        report = await driver.apply(charge(8))
        assert (report.on, report.available, report.detail) == (True, True, "")
        clock.at += 120
        assert (await driver.read()).watts == 8 * 690


async def test_limits_of_the_box_are_kept_and_told() -> None:
    clock = Clock()
    box = garage(clock, most_a=32)
    box.set(ama=13)
    async with driving(box, clock) as driver:
        assert (await driver.apply(charge(16))).limit_w == 13 * 690
        assert box.amp == 13
        box.set(amt=8)  # it grows hot
        clock.at += 5
        assert (await driver.read()).limit_w == 8 * 690


async def test_a_silent_meter_is_no_measurement() -> None:
    clock = Clock()
    box = garage(clock)
    box.mute = True
    async with driving(box, clock) as driver:
        await driver.apply(charge(8))
        clock.at += 60
        report = await driver.read()
        assert (report.on, report.watts, report.phases) == (True, None, None)
        assert (await driver.apply(charge(8, phases=1))).on  # the car's state tells when it has stopped
        assert box.car.jolts == 0


@BOTH
async def test_a_sleepy_car_is_woken(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api, sleeps_after_s=600)
    async with driving(box, clock) as driver:
        await driver.apply(charge(8))
        clock.at += 60
        await driver.apply(off())
        clock.at += 900
        await driver.apply(charge(8))
        clock.at += 60
        assert (await driver.read()).watts == 0
        await driver.wake()
        clock.at += 60
        report = await driver.read()
        assert (report.on, report.source) == (True, Source.US)
        assert report.watts == (8 * 690 if api == "v2" else 0)  # v1 boxes have nothing that wakes this one
        await driver.apply(off())
        told = len(sets(box))
        await driver.wake()
        assert len(sets(box)) == told


async def test_doctor_tells_what_may_hurt() -> None:
    clock = Clock()
    box = garage(clock)
    box.lmo = 3
    box.set(acp=False, ama=13, acs=1)
    box.rssi = -82
    async with driving(box, clock) as driver:
        found = {finding.check: finding for finding in await driver.inspect(rule())}
    assert sets(box) == []
    assert found["failsafe"].level is Level.NOTE
    assert "goes on charging as it was told last when loadctl dies" in found["failsafe"].message
    assert found["plug"].message.startswith("a car that is plugged in charges at once")
    assert (found["pauses"].level, found["wifi"].level) == (Level.DANGER, Level.WARNING)
    assert found["current"].message == "the rule goes up to 16 A, the box is limited to 13 A in its app"
    assert found["access"].level is Level.NOTE


async def test_doctor_finds_nothing_wrong_with_a_good_one_and_tells_v1s_limits() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock) as driver:
        found: tuple[Finding, ...] = await driver.inspect(rule())
    assert {finding.check for finding in found if finding.level is not Level.OK} == {"failsafe"}
    box.apis = ("v1",)
    async with driving(box, clock) as driver:
        found = await driver.inspect(rule())
    assert {finding.check: finding.level for finding in found}["api"] is Level.WARNING
