"""The Shelly dimmer driver against emulated devices of both generations, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators.shelly import Shelly, ShellyDimmer, ShellyDimmerOptions, ShellyOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Actuator, Cared, Dimmer, Finding, Level, Mendable, Shared
from loadctl.errors import Refused
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2, Fault
from tests.e2e.shelly_home import BOTH, Clock, Device

pytestmark = pytest.mark.anyio

FULL_W = 2000.0


def full() -> float:
    return FULL_W


def to(watts: float, number: int = 1, lease_s: float | None = None) -> Command:
    return Command(number, "boiler", watts, lease_s=lease_s)


@asynccontextmanager
async def dimming(device: Device, clock: Clock, **options: Any) -> AsyncIterator[ShellyDimmer]:
    async with serve(device.app) as url:
        driver = ShellyDimmer(ShellyDimmerOptions(host=url, **({"rated": FULL_W} | options)), Shared(clock))
        try:
            yield driver
        finally:
            await driver.close()


def at(report: Report) -> tuple[bool | None, float | None, float | None]:
    return report.on, report.watts, report.limit_w


async def test_it_is_a_dimmer_and_a_relay_is_none() -> None:
    clock = Clock()
    shared = Shared(clock)
    dimmer = ShellyDimmer(ShellyDimmerOptions(host="192.168.1.40", rated=2000), shared)
    relay = Shelly(ShellyOptions(host="192.168.1.41"), shared)
    checked: Actuator = dimmer
    assert isinstance(dimmer, Dimmer)
    assert isinstance(dimmer, Cared)
    assert isinstance(dimmer, Mendable)
    assert not isinstance(relay, Dimmer)
    assert (dimmer.step_share, dimmer.least_share) == pytest.approx((0.01, 0.01))
    assert (checked.lease_s, relay.lease_s) == (120.0, 120.0)
    await dimmer.close()
    await relay.close()


@BOTH
async def test_watts_become_per_cent_and_are_read_back(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    async with dimming(device, clock) as driver:
        report = await driver.apply(to(500, 7))
        assert report.lease_left_s == pytest.approx(120, abs=2)
        assert report == Report(
            "boiler",
            clock.at,
            7,
            on=True,
            watts=500.0,
            limit_w=500.0,
            source=Source.US,
            identity=device.mac,
            lease_left_s=report.lease_left_s,
        )
        assert at(await driver.apply(to(1999))) == (True, 1980.0, 1980.0), "never more than asked for"
        assert at(await driver.apply(to(3))) == (True, 20.0, 20.0), "on is at least 1 %"
        assert at(await driver.apply(to(9000))) == (True, 2000.0, 2000.0)
        assert at(await driver.read()) == (True, 2000.0, 2000.0)
        assert at(await driver.apply(to(0))) == (False, 0.0, 0.0)
        assert [change.on for change in device.switchings] == [True, False], "turning up and down is no switching"


@BOTH
async def test_the_lease_goes_with_every_change_and_runs_out_in_silence(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    async with dimming(device, clock, lease=60.0) as driver:
        for percent in (10, 20, 20, 30, 20):
            clock.at += 40
            report = await driver.apply(to(percent * 20))
            assert report.lease_left_s == pytest.approx(60, abs=2)
            assert device.lights[0].brightness == percent
        clock.at += 57
        assert device.on
        clock.at += 4
        report = await driver.read()
        assert (report.on, report.limit_w, report.source) == (False, 0.0, Source.TIMER)


async def test_an_off_carries_no_timer_and_brightness_never_goes_alone() -> None:
    clock = Clock()
    first = EmulatedShellyGen1(clock=clock.now, dimmer=True)
    second = EmulatedShellyGen2(clock=clock.now, dimmer=True)
    for device in (first, second):
        async with dimming(device, clock) as driver:
            await driver.apply(to(900))
            await driver.apply(to(0))
    assert [asked.path for asked in first.requests if "turn" in asked.path] == [
        "/light/0?turn=on&timer=120&brightness=45",
        "/light/0?turn=off",
    ]
    assert [params for method, params in second.calls if method == "Light.Set"] == [
        {"id": 0, "on": True, "toggle_after": 120.0, "brightness": 45},
        {"id": 0, "on": False},
    ]


@BOTH
async def test_a_dimmer_that_forgets_its_timer_is_switched_off_again(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now, dimmer=True)
    device.relays[0].deaf = True
    async with dimming(device, clock) as driver:
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(to(500))
        assert not device.on


@BOTH
async def test_what_a_night_mode_holds_down_is_told_as_it_is(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    device.lights[0].night_percent = 30.0
    async with dimming(device, clock) as driver:
        assert at(await driver.apply(to(1500))) == (True, 600.0, 600.0)


@BOTH
async def test_more_than_asked_for_is_refused(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    device.lights[0].least_percent = 20.0
    async with dimming(device, clock) as driver:
        with pytest.raises(Refused, match=r"said yes to 5 % and stands at 20 % .*lowest brightness"):
            await driver.apply(to(100))


async def test_a_dimmer_on_its_way_counts_where_it_goes() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(full, clock=clock.now, dimmer=True)
    device.lights[0].dim(10)
    device.lights[0].ramp_s = 5.0
    async with dimming(device, clock) as driver:
        report = await driver.apply(to(1000))
        assert report.limit_w == 1000.0
        assert report.watts is not None
        assert report.watts < 1000.0
        clock.at += 5
        assert at(await driver.read()) == (True, 1000.0, 1000.0)


def controller(percent: float) -> float:
    """A power controller that begins at 20 % and reaches half its power at 50 %."""
    return percent / 100 if percent > 50 else max(0.0, percent - 20) / 60


@BOTH
async def test_a_curve_turns_both_ways(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    device.lights[0].share = lambda percent: (
        0.0 if percent <= 20 else (percent - 20) / 60 if percent <= 50 else percent / 100
    )
    async with dimming(device, clock, curve=((20, 0), (50, 1000))) as driver:
        assert driver.least_share == pytest.approx(1 / 60)
        assert driver.step_share == pytest.approx(1 / 60)
        report = await driver.apply(to(500))
        assert (device.lights[0].brightness, report.limit_w, report.watts) == (35, 500.0, 500.0)
        assert (await driver.apply(to(1))).limit_w == pytest.approx(33.3, abs=0.1)
        assert (await driver.apply(to(1200))).watts == 1200.0


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, "rated"),
        ({"rated": "2 kW", "curve": [["50 %", "2.5 kW"]]}, "`curve` must rise"),
        ({"rated": "2 kW", "curve": [["50 %", "1 kW"], ["40 %", "1.5 kW"]]}, "`curve` must rise"),
        ({"rated": "2 kW", "curve": [[50, 900]]}, "unit"),
        ({"rated": "0 W"}, "too little"),
        ({"rated": "2 kW", "lease": "20 s"}, "three times"),
    ],
)
async def test_keys_that_cannot_be_meant(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(ShellyDimmerOptions).validate_python({"host": "x"} | written, context={"file": True})


async def test_keys_as_they_are_written() -> None:
    written = {"host": "192.168.1.40", "rated": "2 kW", "curve": [["20 %", "0 W"], ["50 %", "900 W"]]}
    options = TypeAdapter(ShellyDimmerOptions).validate_python(written, context={"file": True})
    assert (options.rated, options.curve) == (2000.0, ((20.0, 0.0), (50.0, 900.0)))


@BOTH
async def test_who_mixes_up_relay_and_dimmer_is_told(make: Any) -> None:
    clock = Clock()
    async with dimming(make(clock=clock.now), clock) as driver:
        with pytest.raises(Refused, match=r"nothing to dim \(write `driver: shelly`\)"):
            await driver.read()
    async with serve(make(clock=clock.now, dimmer=True).app) as url:
        relay = Shelly(ShellyOptions(host=url), Shared(clock))
        with pytest.raises(Refused, match=r"no relay to switch \(write `driver: shelly-dimmer`\)"):
            await relay.read()
        await relay.close()


@BOTH
async def test_a_hand_and_a_liar(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    async with dimming(device, clock) as driver:
        await driver.apply(to(500))
        device.press(on=True)
        assert (await driver.read()).source is Source.HAND
        await driver.apply(to(0))
        device.fault = Fault.LIE
        with pytest.raises(Refused, match="said yes and stayed off"):
            await driver.apply(to(500))


def by_check(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding for finding in findings}


LOAD = Load("boiler", FULL_W, 20.0, 60.0, 20.0, 60.0)


@BOTH
async def test_the_doctor_finds_what_keeps_a_heater_from_following(make: Any) -> None:
    clock = Clock()
    device = make(full, clock=clock.now, dimmer=True)
    light = device.lights[0]
    light.night_percent, light.ramp_s, light.least_percent = 40.0, 4.0, 10.0
    async with dimming(device, clock) as driver:
        seen = by_check(await driver.inspect(LOAD))
        assert "no more than 40 %" in seen["night_mode"].message
        assert "4 s" in seen["transition"].message
        assert seen["auto_off"].level is Level.WARNING
        assert (seen["power"].level, "off" in seen["power"].message) == (Level.OK, True)
        if isinstance(device, EmulatedShellyGen1):
            assert "no lower than 10 %" in seen["least"].message
        fixed = by_check(await driver.mend(LOAD))
        assert fixed["auto_off"].fixed
        assert (device.relays[0].auto_off_s, device.relays[0].initial) == (120.0, "off")
        assert await driver.mend(LOAD) == ()
    assert device.switchings == []


async def test_the_doctor_on_0_to_10_volts() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(full, clock=clock.now, dimmer=True)
    device.lights[0].span, device.lights[0].one_to_ten = (10.0, 90.0), True
    device.lights[0].share = lambda percent: (percent / 100) ** 2
    async with dimming(device, clock) as driver:
        seen = by_check(await driver.inspect(LOAD))
        assert "10 % to 90 %" in seen["range"].message
        assert "1-10 V" in seen["op_mode"].message
        device.lights[0].span = (0.0, 100.0)
        await driver.apply(to(1000))
        power = by_check(await driver.inspect(LOAD))["power"]
        assert (power.level, power.message) == (Level.WARNING, "at 50 % it draws 500 W, not 1 kW")
        assert "`curve: [[50 %, 500 W]]`" in power.advice
