"""An OpenEVSE pauses the car when we fall silent: its load shaper, set up, fed, looked after by the doctor."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from loadctl.actuators.openevse.answers import OURS
from loadctl.core.values import Source
from loadctl.drivers import Level
from loadctl.errors import Refused
from loadctl.lab.emulators.openevse import Claim
from tests.e2e.openevse_garage import SECRET, box, charge, driving, pause, rule
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio


def judged(findings: Any) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


async def test_a_silent_controller_means_a_car_that_is_paused() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(16))
        lease_s = driver.lease_s
    silent_since = clock.at
    clock.at += 110
    assert device.car.charging
    clock.at += 86_400
    assert (device.car.charging, device.on) == (False, False)
    ended_at, amps = device.pilots[-1]
    assert amps == 0
    assert 110 <= ended_at - silent_since <= (lease_s or 0.0)
    assert device.car.session_wh == pytest.approx(16 * 240 * 116 / 3600, rel=0.15)


async def test_renewals_keep_the_car_charging_and_their_end_is_told() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        for _ in range(20):
            report = await driver.apply(charge(16))
            assert (report.on, report.source) == (True, Source.US)
            clock.at += 40
        assert device.car.pauses == 0
        clock.at += 200
        report = await driver.read()
        assert (report.on, report.source, report.detail) == (False, Source.TIMER, "its load shaper decides")
        report = await driver.apply(charge(16))
        assert (report.on, report.source, report.limit_w) == (True, Source.US, 3840.0)


async def test_after_a_restart_of_the_gateway_the_car_waits_for_us() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(16))
        clock.at += 20
        device.reboot()
        clock.at += 10
        report = await driver.read()
        assert (report.on, report.source) == (False, Source.TIMER)
        assert device.claims.keys() == {0x1000C}
        assert (await driver.apply(charge(16))).on is True


async def test_a_pause_outlives_a_restart_of_the_gateway() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(16))
        await driver.apply(pause())
        device.reboot()
        for _ in range(8):
            clock.at += 40
            assert (await driver.read()).on is False
        assert device.claims[OURS].state == "disabled"


async def test_while_we_pause_the_car_its_owner_may_let_it_charge() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(pause())
        for _ in range(15):
            clock.at += 40
            await driver.read()
        device.override("active")
        for _ in range(15):
            clock.at += 40
            report = await driver.read()
            assert (report.on, report.source) == (True, Source.HAND)
        assert device.car.pauses == 0
        assert report.limit_w == 32 * 240.0
        with pytest.raises(Refused, match="a manual override in the box lets the car charge"):
            await driver.apply(pause())
        device.hold(0x1_0001, None)
        clock.at += 1
        assert (await driver.read()).on is False


async def test_without_a_lease_a_restart_is_seen() -> None:
    clock = Clock()
    device = box(clock, shaper=False)
    async with driving(device, clock, failsafe="none") as driver:
        assert driver.lease_s is None
        await driver.apply(pause())
        device.reboot()
        clock.at += 1
        report = await driver.read()
        assert (report.on, report.source, report.limit_w) == (True, Source.REBOOT, 32 * 240.0)
        assert (await driver.apply(pause())).on is False
        assert "POST /status" not in {f"{asked.verb} {asked.path}" for asked in device.requests}


UNARMED: list[tuple[dict[str, Any], str]] = [
    ({"current_shaper_enabled": False}, "its load shaper is off .*--fix"),
    ({"current_shaper_data_maxinterval": 600}, "waits 10 min for data"),
    ({"current_shaper_max_pwr": 5000}, r"less than 7\.68 kW"),
    ({"mqtt_enabled": True, "mqtt_live_pwr": "house/power"}, "something else feeds its load shaper"),
]


@pytest.mark.parametrize(("config", "words"), UNARMED)
async def test_no_charge_without_its_failsafe(config: dict[str, Any], words: str) -> None:
    clock = Clock()
    device = box(clock)
    device.config |= config
    device.reboot()
    async with driving(device, clock) as driver:
        with pytest.raises(Refused, match=f"failsafe not armed: .*{words}"):
            await driver.apply(charge(10))
        assert OURS not in device.claims
        assert (await driver.apply(pause())).on is False


async def test_a_shaper_that_another_program_feeds_is_left_to_it() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver, httpx.AsyncClient(transport=httpx.ASGITransport(device.app)) as other:
        await driver.apply(charge(10))
        await other.post("http://box/status", json={"shaper_live_pwr": 4200})
        clock.at += 5
        await driver.read()
        with pytest.raises(Refused, match="something else feeds its load shaper"):
            await driver.apply(charge(10))


async def test_a_session_limit_that_could_outvote_the_failsafe_forbids_the_charge() -> None:
    clock = Clock()
    device = box(clock)
    device.default_state = "disabled"
    async with driving(device, clock) as driver:
        device.hold(0x1_0006, Claim(1100, "active", auto_release=True))
        clock.at += 10
        assert device.on  # although nobody feeds its shaper
        assert (await driver.read()).source is Source.HAND
        with pytest.raises(Refused, match="failsafe not armed: its session limit may go before"):
            await driver.apply(charge(10))
        with pytest.raises(Refused, match="its session limit lets the car charge"):
            await driver.apply(pause())


async def test_a_shaper_switched_off_for_the_moment_is_switched_on_again() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver, httpx.AsyncClient(transport=httpx.ASGITransport(device.app)) as other:
        await driver.apply(charge(10))
        await other.post("http://box/shaper", data={"shaper": "0"})
        await driver.read()
        await driver.apply(charge(10))
    clock.at += 300
    assert not device.on


async def test_settings_changed_in_its_page_are_noticed() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver, httpx.AsyncClient(transport=httpx.ASGITransport(device.app)) as other:
        await driver.apply(charge(10))
        await other.post("http://box/config", json={"current_shaper_data_maxinterval": 3600})
        await driver.read()
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(charge(10))


async def test_the_doctor_finds_the_failsafe_and_others_with_a_say() -> None:
    clock = Clock()
    device = box(clock, password=SECRET)
    clock.at += 10
    async with driving(device, clock, password=SECRET) as driver:
        for _ in ("before anybody has fed its shaper", "while we charge"):
            found = await driver.inspect(rule())
            assert set(judged(found).values()) == {Level.OK}
            await driver.apply(charge(10))
        device.override("disabled")
        clock.at += 1
        found = await driver.inspect(rule())
        assert judged(found)["others"] is Level.WARNING
        assert SECRET not in str(found)
        requests = len(device.requests)
        await driver.inspect(rule())
        assert {asked.verb for asked in device.requests[requests:]} == {"GET"}


TROUBLES: list[tuple[str, dict[str, Any], dict[str, Any], Level, str]] = [
    ("failsafe", {"current_shaper_enabled": False}, {}, Level.DANGER, "nothing would pause the car"),
    ("heartbeat", {"heartbeat_interval": 0}, {}, Level.WARNING, "does not notice when its Wi-Fi gateway hangs"),
    ("others", {"ocpp_enabled": True}, {}, Level.WARNING, "OCPP central system may overrule"),
    ("others", {"divert_enabled": True}, {}, Level.NOTE, "its own solar divert is on"),
    ("current", {}, {"soft_a": 24}, Level.WARNING, "at most 24 A, the rule goes up to 32 A"),
    ("phases", {}, {"phases": 3}, Level.WARNING, "set up for three phases"),
    ("voltage", {}, {"volts": 208.0}, Level.WARNING, "reckons with 208 V, the rule with 240 V"),
    ("temperature", {}, {"temperature_c": 66.0}, Level.WARNING, "66 °C warm"),
    ("protection", {}, {"fault_state": 6}, Level.DANGER, "ground fault"),
    ("wifi", {}, {"rssi": -85}, Level.WARNING, "-85 dBm is weak"),
    ("password", {}, {}, Level.NOTE, "open to everybody"),
]


@pytest.mark.parametrize(("check", "config", "fields", "level", "words"), TROUBLES)
async def test_the_doctor_tells_what_may_hurt(
    check: str, config: dict[str, Any], fields: dict[str, Any], level: Level, words: str
) -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(10))
        device.config |= config
        for name, value in fields.items():
            setattr(device, name, value)
        await driver.close()
    async with driving(device, clock) as driver:
        found = {finding.check: finding for finding in await driver.inspect(rule())}
        assert (found[check].level, words in found[check].message) == (level, True), found[check]
        assert found[check].advice


@pytest.mark.parametrize(
    ("safe_on", "starts", "shaper", "level"),
    [
        (False, "active", False, Level.WARNING),
        (False, "disabled", False, Level.WARNING),
        (False, "disabled", None, Level.NOTE),
        (True, "active", False, Level.OK),
    ],
)
async def test_the_doctor_on_a_box_without_lease(safe_on: bool, starts: str, shaper: bool | None, level: Level) -> None:
    clock = Clock()
    device = box(clock, shaper=False, firmware="4.2.2" if shaper is None else "5.1.5")
    device.default_state = starts
    async with driving(device, clock, failsafe="none") as driver:
        assert judged(await driver.inspect(rule(safe_on=safe_on)))["failsafe"] is level
        assert await driver.mend(rule()) == ()


async def test_the_failsafe_is_set_up_on_request() -> None:
    clock = Clock()
    device = box(clock, shaper=False)
    async with driving(device, clock, lease=90.0) as driver:
        (finding,) = await driver.mend(rule())
        assert (finding.check, finding.level, finding.fixed) == ("failsafe", Level.OK, True)
        assert finding.message == "pauses the car when it hears nothing: was never, is after 85 s"
        assert "without loadctl it charges no car" in finding.advice
        assert await driver.mend(rule()) == ()
        assert (await driver.apply(charge(10))).on is True
    clock.at += 90
    assert not device.on


async def test_a_shaper_that_guards_a_fuse_is_not_touched() -> None:
    clock = Clock()
    device = box(clock)
    device.config |= {"mqtt_enabled": True, "mqtt_live_pwr": "house/power", "current_shaper_max_pwr": 9000}
    before = dict(device.config)
    async with driving(device, clock) as driver:
        assert await driver.mend(rule()) == ()
        assert device.config == before


async def test_settings_that_do_not_stick_are_told() -> None:
    clock = Clock()
    device = box(clock, shaper=False)
    device.deaf_settings = True
    async with driving(device, clock) as driver:
        (finding,) = await driver.mend(rule())
        assert (finding.level, finding.fixed) == (Level.DANGER, False)
