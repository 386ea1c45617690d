"""The my-PV driver against an emulated heater with its tank, over real Modbus TCP and real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators import ACTUATORS
from loadctl.actuators.mypv import MyPv, MyPvOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Actuator, Cared, Dimmer, Finding, Level, Mendable, Shared, driver_class
from loadctl.errors import Garbled, Refused, Unreachable
from loadctl.lab.emulators.modbus import serve_modbus
from loadctl.lab.emulators.mypv import HTTP, MODBUS, EmulatedMyPv, Model, Tank
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import Fault
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("via", ["modbus", "http"])
EVERY_MODEL = pytest.mark.parametrize("model", ["AC ELWA 2", "AC ELWA-E", "AC THOR 9s"])
LOAD = Load("boiler", 3000.0, 60.0, 60.0, 60.0, 60.0)


def to(watts: float, number: int = 1) -> Command:
    return Command(number, "boiler", watts)


def heater(clock: Clock, via: str = "modbus", model: Model = "AC ELWA 2", **settings: Any) -> EmulatedMyPv:
    control = HTTP if via == "http" else MODBUS
    return EmulatedMyPv(clock=clock.now, model=model, **({"control": control} | settings))


@asynccontextmanager
async def driving(device: EmulatedMyPv, clock: Clock, via: str = "modbus", **options: Any) -> AsyncIterator[MyPv]:
    async with serve(device.app) as url, serve_modbus(device) as port:
        host = "127.0.0.1" if via == "modbus" else url
        written: dict[str, Any] = {"rated": 3000.0, "via": via, "port": port} | options
        driver = MyPv(MyPvOptions(host=host, **written), Shared(clock))
        try:
            yield driver
        finally:
            await driver.close()


async def test_it_is_what_the_registry_promises() -> None:
    driver = driver_class(ACTUATORS, "my-pv")(MyPvOptions(host="192.168.1.60", rated=3000), Shared(Clock()))
    checked: Actuator = driver
    for kind in (Dimmer, Cared, Mendable):
        assert isinstance(driver, kind)
    assert checked.lease_s == 60.0
    await driver.close()


@BOTH
@EVERY_MODEL
async def test_it_heats_with_what_it_is_told(model: Model, via: str) -> None:
    clock = Clock()
    device = heater(clock, via, model, heater_w=6000.0 if "THOR" in model else 3000.0)
    scale = {"rated": 6000.0, "full_scale": 9000.0} if "THOR" in model else {}
    async with driving(device, clock, via, **scale) as driver:
        assert (await driver.read()).on is False
        await driver.apply(to(1200))
        clock.at += 2
        report = await driver.apply(to(1200, 7))
        assert report == Report(
            "boiler",
            clock.at,
            7,
            on=True,
            watts=1200.0,
            limit_w=1200.0,
            source=Source.US,
            identity=device.serial,
            lease_left_s=60.0,
            satisfied=False,
            inputs=(("temperature", round(device.celsius, 1)),),
        )
        await driver.apply(to(2400))
        clock.at += 2
        assert (await driver.read()).watts == 2400.0
        off = await driver.apply(to(0))
        assert (off.on, off.watts, off.limit_w, off.source, off.lease_left_s) == (False, 0.0, 0.0, Source.US, None)
    assert device.told[0][1] == (1800 if "THOR" in model else 1200)


@BOTH
async def test_a_silent_controller_means_a_cold_heater(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        await driver.apply(to(2000))
        for _ in range(5):
            clock.at += 20
            assert (await driver.apply(to(2000, 0))).lease_left_s == 60.0
        told_at = device.told[-1][0]
        clock.at = told_at + 59
        assert (await driver.read()).lease_left_s == 1.0
        assert device.watts == 2000.0
        clock.at = told_at + 60
        report = await driver.read()
        assert (report.on, report.watts, report.source, report.available) == (False, 0.0, Source.TIMER, True)


@BOTH
@pytest.mark.parametrize("timeout_s", [0, 10, 600])
async def test_nothing_is_heated_under_another_timeout_and_the_doctor_mends_it(via: str, timeout_s: int) -> None:
    clock = Clock()
    device = heater(clock, via, timeout_s=timeout_s)
    async with driving(device, clock, via) as driver:
        with pytest.raises(Refused, match=r"failsafe not armed: its power timeout is (0|10) \w+, `lease` is 1 min"):
            await driver.apply(to(2000))
        assert device.told == []
        assert by_check(await driver.inspect(LOAD))["lease"].level is Level.DANGER
        device.deaf_settings = True
        [finding] = await driver.mend(LOAD)
        assert (finding.level, finding.fixed) == (Level.DANGER, False)
        device.deaf_settings = False
        [finding] = await driver.mend(LOAD)
        assert (finding.level, finding.fixed) == (Level.OK, True)
        assert (device.timeout_s, await driver.mend(LOAD)) == (60, ())
        assert (await driver.apply(to(2000))).on


async def test_a_timeout_that_is_not_told_is_taken_on_the_owners_word() -> None:
    clock = Clock()
    device = heater(clock, "http")
    device.tells_settings = False
    async with driving(device, clock, "http") as driver:
        assert (await driver.apply(to(2000))).on
        assert "takes your word" in by_check(await driver.inspect(LOAD))["lease"].message


@BOTH
async def test_hot_water_is_satisfied_and_no_fault(via: str) -> None:
    clock = Clock()
    device = heater(clock, via, tank=Tank(litres=100, celsius=59.0))
    async with driving(device, clock, via) as driver:
        assert (await driver.apply(to(3000))).satisfied is False
        for _ in range(20):
            clock.at += 20
            report = await driver.apply(to(3000))
        assert (report.on, report.watts, report.satisfied, report.available) == (True, 0.0, True, True)
        assert dict(report.inputs)["temperature"] == pytest.approx(60.0, abs=0.2)
        assert (await driver.apply(to(0))).on is False
        assert (await driver.apply(to(500))).satisfied is True


@BOTH
@EVERY_MODEL
async def test_the_wrong_control_type_is_told(model: Model, via: str) -> None:
    clock = Clock()
    device = heater(clock, via, model, control=MODBUS if via == "http" else HTTP)
    async with driving(device, clock, via) as driver:
        with pytest.raises(Refused, match=r"ignores what it is told .*control type"):
            await driver.apply(to(2000))
        assert device.told[-1][1] == 0, "what may arrive late is taken back"
        assert (await driver.read()).on is False
        findings = by_check(await driver.inspect(LOAD))
        if via == "http" or model != "AC ELWA-E":
            assert findings["control"].level is Level.DANGER


@BOTH
async def test_its_own_programme_is_a_hands_doing(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        device.boost = True
        report = await driver.read()
        assert (report.on, report.watts, report.source) == (True, 3000.0, Source.HAND)
        with pytest.raises(Refused, match=r"heats by its own programme .*legionella"):
            await driver.apply(to(0))
        device.boost = False
        assert (await driver.apply(to(0))).on is False


@BOTH
async def test_protections_and_broken_heaters(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        await driver.apply(to(2000))
        device.error = 201
        report = await driver.read()
        assert (report.on, report.available, report.source) == (False, False, Source.PROTECTION)
        assert report.detail == "its safety thermostat has tripped"
        with pytest.raises(Refused, match="safety thermostat"):
            await driver.apply(to(2000))
        assert by_check(await driver.inspect(LOAD))["state"].level is Level.DANGER
        device.error, device.blocked = 0, True
        with pytest.raises(Refused, match="it is blocked"):
            await driver.apply(to(2000))
        device.blocked, device.broken = False, True
        with pytest.raises(Refused, match="draws nothing"):
            await driver.apply(to(2000))
        assert (await driver.read()).on is False
        device.broken = False
        assert (await driver.apply(to(2000))).on


@BOTH
async def test_somebody_else_at_the_same_heater(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        device._tell(1000, device.control)  # noqa: SLF001 - another program
        clock.at += 2
        report = await driver.read()
        assert (report.on, report.source, report.lease_left_s, report.limit_w) == (True, Source.UNKNOWN, None, None)
        await driver.apply(to(0))
        device._tell(1000, device.control)  # noqa: SLF001
        clock.at += 2
        assert (await driver.read()).source is Source.HAND


@BOTH
async def test_another_heater_at_the_address_is_not_told_anything(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        await driver.read()
        device.serial = "1601502401189999"
        device.fault = Fault.RESET if via == "http" else None
        if via == "http":
            with pytest.raises(Unreachable):
                await driver.read()
            device.fault = None
        with pytest.raises(Refused, match="another device answers there: 1601502401189999"):
            await driver.read()
        with pytest.raises(Refused, match="another device"):
            await driver.apply(to(2000))
    assert device.told == []


async def test_trouble_on_the_way_by_http() -> None:
    clock = Clock()
    device = heater(clock, "http")
    async with driving(device, clock, "http") as driver:
        for fault, error, words in (
            (Fault.RESET, Unreachable, "broke off"),
            (Fault.GARBAGE, Garbled, "does not answer like"),
            (Fault.REFUSE, Refused, "answers 401 to /data.jsn .*via: modbus"),
        ):
            device.fault = fault
            with pytest.raises(error, match=words):
                await driver.read()
        device.fault = None
        assert (await driver.read()).on is False


async def test_trouble_on_the_way_by_modbus() -> None:
    clock = Clock()
    device = heater(clock)
    async with serve_modbus(device) as port:
        driver = MyPv(MyPvOptions(host="127.0.0.1", port=port, rated=3000), Shared(clock))
        await driver.apply(to(2000))
    with pytest.raises(Unreachable, match="no answer"):
        await driver.read()
    with pytest.raises(Unreachable, match="cannot be reached"):
        await driver.apply(to(0))
    async with serve_modbus(device, port=port):
        assert (await driver.apply(to(0))).on is False
        await driver.close()


def by_check(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding for finding in findings}


@BOTH
async def test_the_doctor_of_a_sound_heater(via: str) -> None:
    clock = Clock()
    device = heater(clock, via)
    async with driving(device, clock, via) as driver:
        findings = by_check(await driver.inspect(LOAD))
        assert {finding.level for finding in findings.values()} == {Level.OK}
        assert findings["temperature"].message == "tells 40.0 °C"
        assert "3 kW" in findings["power"].message
    assert device.told == []
    async with driving(device, clock, via, rated=3500.0) as driver:
        assert "`rated: 3.5 kW`" in by_check(await driver.inspect(LOAD))["power"].message


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, "rated"),
        ({"rated": "3 kW", "host": "http://192.168.1.60"}, "write `192.168.1.60`"),
        ({"rated": "3 kW", "lease": "700 s"}, "too much"),
        ({"rated": "3 kW", "every": "30 s"}, "three times"),
        ({"rated": "3 kW", "via": "mqtt"}, "modbus"),
    ],
)
async def test_keys_that_cannot_be_meant(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(MyPvOptions).validate_python({"host": "192.168.1.60"} | written, context={"file": True})
