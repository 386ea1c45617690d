"""`loadctl doctor` in a house of emulated devices, judged by what it tells and by what happened at their wires."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loadctl.cli import main
from loadctl.config import parse
from loadctl.drivers import Finding, Level, Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.envoy import Fault as EnvoyFault
from loadctl.lab.emulators.envoy.enlighten import make_token
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2, Fault
from loadctl.lab.emulators.shelly.relay import EPOCH
from loadctl.service.doctor import Machine, examine
from tests.e2e.shelly_home import BOTH, SECRET, Device, kettle
from tests.envoys import QuickClock, emulated, make_certificate

pytestmark = pytest.mark.anyio

Told = dict[str, dict[str, Finding]]


@asynccontextmanager
async def served(*devices: Any) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serve(device.app)) for device in devices]


def rules(meter: str, *shellies: str, options: str = "") -> str:
    lines = ["version: 1", f'meter: {{driver: envoy, host: "{meter}", every: 2 s}}', "loads:"]
    for number, url in enumerate(shellies):
        lines.append(f'  load{number}: {{actuator: {{driver: shelly, host: "{url}"{options}}}, power: 2 kW}}')
    return "\n".join(lines)


async def told(text: str, folder: Path, clock: QuickClock, *, fix: bool = False, limit_s: float = 30.0) -> Told:
    house = parse(text, str(folder / "home.yaml"), {"PASSWORD": SECRET})
    machine = Machine(folder / "state", folder, {"HOME": str(folder)}, lambda: True)
    diagnoses = await examine(house, Shared(clock), machine, fix=fix, limit_s=limit_s)
    return {one.device: {finding.check: finding for finding in one.findings} for one in diagnoses}


def levels(findings: dict[str, Finding], *wanted: Level) -> dict[str, Level]:
    return {check: one.level for check, one in findings.items() if not wanted or one.level in wanted}


@BOTH
async def test_settings_that_bring_a_load_back_are_found_and_fixed(make: Any, tmp_path: Path) -> None:
    clock = QuickClock()
    device = make(kettle, clock=clock.now)
    device.relays[0].initial = "last"
    async with served(emulated(clock, "5"), device) as (meter, url):
        text = rules(meter, url)
        sick = (await told(text, tmp_path, clock))["loads.load0"]
        assert levels(sick, Level.WARNING, Level.DANGER) == {"auto_off": Level.WARNING, "power_on": Level.DANGER}
        assert device.relays[0].auto_off_s is None

        mended = (await told(text, tmp_path, clock, fix=True))["loads.load0"]
        assert {check for check, one in mended.items() if one.fixed} == {"auto_off", "power_on"}
        assert "was never, is after 2 min" in mended["auto_off"].message
        assert [(relay.auto_off_s, relay.initial) for relay in device.relays] == [(120.0, "off")]

        again = (await told(text, tmp_path, clock, fix=True))["loads.load0"]
        assert levels(again, Level.WARNING, Level.DANGER, Level.UNSEEN) == {}
        assert not any(one.fixed for one in again.values())
    assert device.switchings == []


@BOTH
async def test_a_device_that_says_yes_and_keeps_its_settings(make: Any, tmp_path: Path) -> None:
    clock = QuickClock()
    device = make(clock=clock.now)
    device.deaf_settings = True
    async with served(emulated(clock, "5"), device) as (meter, url):
        found = (await told(rules(meter, url), tmp_path, clock, fix=True))["loads.load0"]
    assert (found["auto_off"].level, found["auto_off"].fixed) == (Level.DANGER, False)


@BOTH
async def test_only_one_channel_is_set(make: Any, tmp_path: Path) -> None:
    clock = QuickClock()
    device = make(clock=clock.now, channels=2)
    async with served(emulated(clock, "5"), device) as (meter, url):
        await told(rules(meter, url, options=", channel: 1"), tmp_path, clock, fix=True)
    assert [relay.auto_off_s for relay in device.relays] == [None, 120.0]


@BOTH
async def test_behind_a_password(make: Any, tmp_path: Path) -> None:
    clock = QuickClock()
    device = make(clock=clock.now, password=SECRET)
    async with served(emulated(clock, "5"), device) as (meter, url):
        found = (await told(rules(meter, url, options=', password: "${PASSWORD}"'), tmp_path, clock, fix=True))[
            "loads.load0"
        ]
        locked_out = (await told(rules(meter, url), tmp_path, clock))["loads.load0"]
    assert found["auto_off"].fixed
    assert found["password"].level is Level.OK
    assert levels(locked_out) == {"answer": Level.UNSEEN}
    assert SECRET not in repr((found, locked_out))


async def test_everything_else_that_a_shelly_tells(tmp_path: Path) -> None:
    clock = QuickClock()
    old = EmulatedShellyGen1(clock=clock.now, firmware="20200309-104051/v1.6.0-g43055636", meters=0)
    old.rssi, old.cloud, old.scheduled, old.update = -88, True, True, "20230913-112003/v1.14.0-gcb84623"
    old.relays[0].auto_on_s = 30.0
    new = EmulatedShellyGen2(lambda: 900.0, clock=clock.now)
    new.firmware, new.knows_time, new.input_mode = "20220811-084637/0.11.0-gfa1bc37", False, "detached"
    new.jobs = [{"id": 1, "enable": True, "calls": [{"method": "Switch.Set", "params": {"id": 0, "on": True}}]}]
    new.scripts = [{"id": 1, "name": "x", "enable": True, "running": True}]
    new.relays[0].set(on=True, source="HTTP_in", timer_s=100.0)
    async with served(emulated(clock, "5"), old, new) as (meter, *urls):
        found = await told(rules(meter, *urls), tmp_path, clock)
    first, second = found["loads.load0"], found["loads.load1"]
    assert levels(first) == {
        "auto_off": Level.WARNING,
        "power_on": Level.OK,
        "auto_on": Level.DANGER,
        "schedule": Level.WARNING,
        "input": Level.NOTE,
        "power": Level.NOTE,
        "firmware": Level.NOTE,
        "wifi": Level.WARNING,
        "password": Level.NOTE,
        "clock": Level.NOTE,
        "others": Level.NOTE,
    }
    assert "1.14.0 is ready" in first["firmware"].message
    assert levels(second) == {
        "auto_off": Level.WARNING,
        "power_on": Level.OK,
        "schedule": Level.WARNING,
        "power": Level.WARNING,
        "firmware": Level.WARNING,
        "wifi": Level.OK,
        "password": Level.NOTE,
        "clock": Level.NOTE,
        "others": Level.NOTE,
    }
    assert "draws 900 W" in second["power"].message


async def test_a_roller_shutter_is_no_heater(tmp_path: Path) -> None:
    clock = QuickClock()
    device = EmulatedShellyGen2(clock=clock.now)
    device.profile = "cover"
    async with served(emulated(clock, "5"), device) as (meter, url):
        found = (await told(rules(meter, url), tmp_path, clock, fix=True))["loads.load0"]
    assert levels(found) == {"answer": Level.UNSEEN}
    assert "roller shutter" in found["answer"].message


async def test_broken_devices_delay_no_other_and_have_an_end(tmp_path: Path) -> None:
    clock = QuickClock()
    well, hung, mad = (EmulatedShellyGen2(clock=clock.now) for _ in range(3))
    hung.fault, mad.fault = Fault.HANG, Fault.GARBAGE
    box = emulated(clock, "5")
    box.fault = EnvoyFault.HANG
    async with served(box, well, hung, mad) as (meter, *urls):
        house = parse(rules(meter, *urls, "http://127.0.0.1:9"), str(tmp_path / "home.yaml"), {})
        machine = Machine(tmp_path / "state", tmp_path, {"HOME": str(tmp_path)}, lambda: True)
        diagnoses = await examine(house, Shared(clock), machine, limit_s=1.0, measure_s=0.0)
        box.fault = None
    found = {one.device: {finding.check: finding for finding in one.findings} for one in diagnoses}
    assert levels(found["meter"]) == {"time": Level.UNSEEN}
    assert levels(found["loads.load1"]) == {"time": Level.UNSEEN}
    assert levels(found["loads.load2"]) == levels(found["loads.load3"]) == {"answer": Level.UNSEEN}
    assert Level.UNSEEN not in levels(found["loads.load0"]).values()
    assert "clock" in found["machine"]


async def test_a_meter_in_good_health(tmp_path: Path) -> None:
    clock = QuickClock()
    box = emulated(clock, "5")
    box.epoch = clock.wall().timestamp() - clock.now()
    async with served(box) as (meter,):
        text = (
            rules(meter) + "\n  pump: {actuator: {driver: gpio, pin: 17, failsafe: none, factory: mock}, power: 1 kW}"
        )
        found = await told(text, tmp_path, clock)
    seen = levels(found["meter"])
    assert seen.pop("battery_hidden") is Level.NOTE  # this firmware shows batteries to installers only
    sound = ("reading", "pace", "max_age", "patience", "noise", "firmware", "clock", "ct")
    assert seen == dict.fromkeys(sound, Level.OK)
    assert found["loads.pump"]["pin"].level is Level.WARNING
    assert found["rules"]["failsafe.pump"].level is Level.NOTE


async def test_a_meter_without_a_consumption_ct_switches_nothing(tmp_path: Path) -> None:
    clock = QuickClock()
    async with served(emulated(clock, "5", consumption_ct=None)) as (meter,):
        found = (await told(rules(meter, "http://127.0.0.1:9"), tmp_path, clock))["meter"]
    assert levels(found, Level.DANGER) == {"reading": Level.DANGER, "ct": Level.DANGER}
    assert "nobody can know what is exported" in found["ct"].message


async def test_a_meter_that_repeats_itself_and_a_slow_one(tmp_path: Path) -> None:
    clock = QuickClock()
    box = emulated(clock, "5")
    box.fault = EnvoyFault.STALE
    async with served(box) as (meter,):
        found = (await told(rules(meter, "http://127.0.0.1:9"), tmp_path, clock))["meter"]
    assert found["pace"].level is Level.WARNING


@pytest.mark.parametrize(
    ("days", "role", "serial", "expected"),
    [
        (300, "owner", "992201123456", {"token": Level.OK}),
        (10, "owner", "992201123456", {"token": Level.WARNING}),
        (-2, "owner", "992201123456", {"token": Level.DANGER}),
        (300, "owner", "123456789012", {"token": Level.OK, "token_gateway": Level.DANGER}),
    ],
)
async def test_tokens(days: int, role: str, serial: str, expected: dict[str, Level], tmp_path: Path) -> None:
    clock = QuickClock()
    box = emulated(clock, "8")
    token = make_token(serial, clock.wall().timestamp() + days * 86400, role)
    if days > 0 and serial == box.serial:
        box.gate.tokens[token] = role
    else:
        box.gate.tokens.clear()
    async with serve(box.app, make_certificate(tmp_path)) as url:
        text = rules(url, "http://127.0.0.1:9").replace("every: 2 s", f"every: 2 s, token: {token}")
        found = (await told(text, tmp_path, clock))["meter"]
    assert {check: level for check, level in levels(found).items() if check.startswith("token")} == expected
    assert found["certificate"].level is Level.NOTE
    assert token not in repr(found)
    accepted = token in box.gate.tokens
    assert (Level.UNSEEN in levels(found).values()) is not accepted
    assert ("ct" in found) is accepted


async def test_with_the_daemon_at_work_the_certificate_can_be_pinned(tmp_path: Path) -> None:
    clock = QuickClock()
    box = emulated(clock, "8")
    async with serve(box.app, make_certificate(tmp_path)) as url:
        text = rules(url, "http://127.0.0.1:9").replace("every: 2 s", f"every: 2 s, token: {box.token}")
        advice = (await told(text, tmp_path, clock))["meter"]["certificate"].advice
        pin = advice.partition("fingerprint: ")[2].partition("`")[0]
        found = (await told(text.replace("every: 2 s", f"every: 2 s, fingerprint: {pin}"), tmp_path, clock))["meter"]
    assert found["certificate"].level is Level.OK


# --- the command


async def run(arguments: Sequence[str]) -> Result:
    """Run the command in a thread of its own: the devices are served by this one."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["doctor", *arguments], catch_exceptions=False)


@asynccontextmanager
async def home(folder: Path, *devices: Device) -> AsyncIterator[list[str]]:
    """A house in real time: the command has the system's clock."""
    box = EmulatedEnvoy(real, "5")
    box.epoch, box.pv_w, box.grid_w = EPOCH, 3000.0, -2000.0
    async with served(box, *devices) as (meter, *urls):
        (folder / "home.yaml").write_text(rules(meter, *urls))
        yield [str(folder / "home.yaml"), "--measure", "0s", "--limit", "20s", "--state-dir", str(folder / "state")]


def real() -> float:
    return time.time() - EPOCH


async def test_the_command_fixes_and_ends_in_a_code(tmp_path: Path) -> None:
    device, other = EmulatedShellyGen2(kettle, clock=real), EmulatedShellyGen2(kettle, clock=real)
    async with home(tmp_path, device, other) as arguments:
        sick = await run([*arguments, "--json"])
        assert sick.exit_code == 1
        rows = json.loads(sick.stdout)
        assert all(set(row) == {"device", "level", "check", "message", "advice", "fixed"} for row in rows)
        [row] = [row for row in rows if (row["device"], row["check"]) == ("loads.load0", "auto_off")]
        assert (row["level"], row["fixed"]) == ("warning", False)

        other.fault = Fault.GARBAGE
        mended = await run([*arguments, "--fix"])
        assert "  fixed    switches itself off: was never, is after 2 min\n" in mended.stdout
        assert "\x1b[" not in mended.stdout
        assert ", 1 not looked at, 1 fixed\n" in mended.stdout
        assert mended.exit_code == 2


async def test_on_a_terminal_what_looks_like_markup_stays_text(tmp_path: Path) -> None:
    pump = "\n  pump: {actuator: {driver: gpio, pin: 5, failsafe: none}, power: 2 kW}"
    (tmp_path / "home.yaml").write_text(rules("http://127.0.0.1:9", "http://127.0.0.1:9") + pump)
    command = ["doctor", str(tmp_path / "home.yaml"), "--state-dir", str(tmp_path / "state")]
    colours = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "300"}
    result = await asyncio.to_thread(CliRunner().invoke, main, command, env=colours, catch_exceptions=False)
    assert result.exit_code == 2
    assert "\x1b[35munseen \x1b[0m  no connection to http://127.0.0.1:9" in result.stdout
    assert result.stdout.count("no connection") == 1
    assert "token" not in result.stdout
    assert "`gpio=5=op,dl`" in result.stdout


async def test_rules_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "home.yaml").write_text("version: 1\n")
    result = await run([str(tmp_path / "home.yaml")])
    assert result.exit_code == 1
    assert "home.yaml:" in result.stderr
