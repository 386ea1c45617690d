"""The machine under the doctor's eyes: a root of files per case, real permissions."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadctl.config import House, parse
from loadctl.drivers import Finding, Level
from loadctl.service.doctor import Machine
from loadctl.service.doctor.papers import judge_rules, secrets_in_clear
from tests.unit.tiny_drivers import TINY

WALL = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
RULES = """version: 1
site: {{timezone: Europe/Amsterdam, max_import: 6 kW}}
meter: {{driver: envoy, host: envoy, token: {token}}}
loads:
  boiler: {{actuator: {{driver: shelly, host: shelly}}, power: 2 kW}}
"""
IN_CLEAR = RULES.format(token="eyJ.abc.def")
BY_NAME = RULES.format(token='"${ENVOY_TOKEN}"')


def house(folder: Path, text: str = BY_NAME, mode: int = 0o644) -> House:
    path = folder / "home.yaml"
    path.write_text(text)
    path.chmod(mode)
    return parse(text, str(path), {"ENVOY_TOKEN": "t"}, drivers=TINY)


def machine(folder: Path, *, synchronised: bool = True, **env: str) -> Machine:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    return Machine(folder / "state", root, {"HOME": str(folder), **env}, lambda: synchronised)


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(machine: Machine, house: House, *, wall: datetime = WALL, fix: bool = False) -> dict[str, Finding]:
    findings = machine.examine(house, wall, fix=fix)
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding for finding in findings}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("synchronised", "mark", "year", "level"),
    [
        (True, "", 2026, Level.OK),
        (False, "", 2026, Level.WARNING),
        (False, "run/systemd/timesync/synchronized", 2026, Level.OK),
        (False, ".dockerenv", 2026, Level.NOTE),
        (True, "", 1970, Level.DANGER),
    ],
)
def test_the_clock(tmp_path, synchronised, mark, year, level):
    here = machine(tmp_path, synchronised=synchronised)
    if mark:
        put(here.root / mark)
    wall = WALL.replace(year=year)
    assert found(here, house(tmp_path), wall=wall)["clock"].level is level


def test_a_state_directory_that_is_open_is_closed(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    put(state / "memory.sqlite")
    (state / "memory.sqlite").chmod(0o644)
    here, rules = machine(tmp_path), house(tmp_path)
    before = found(here, rules)
    assert before["state"].level is before["disk"].level is Level.OK
    assert before["state_mode"].level is before["memory_mode"].level is Level.WARNING
    assert mode(state) == 0o755
    fixed = found(here, rules, fix=True)
    assert "was 0755, is 0700" in fixed["state_mode"].message
    assert fixed["state_mode"].fixed
    assert fixed["memory_mode"].fixed
    assert (mode(state), mode(state / "memory.sqlite")) == (0o700, 0o600)
    again = found(here, rules, fix=True)
    assert (again["state_mode"].level, again["state_mode"].fixed) == (Level.OK, False)


def test_a_state_directory_that_is_not_there_or_none(tmp_path):
    assert "first run" in found(machine(tmp_path), house(tmp_path))["state"].message
    put(tmp_path / "state")
    assert found(machine(tmp_path), house(tmp_path))["state"].level is Level.DANGER


def test_the_service_keeps_its_state_elsewhere(tmp_path):
    here = Machine(None, tmp_path / "root", {"HOME": str(tmp_path)}, lambda: True)
    (here.root / "var/lib/loadctl").mkdir(parents=True, mode=0o700)
    assert str(tmp_path / ".local/state") in found(here, house(tmp_path))["state"].message
    put(here.root / "etc/systemd/system/loadctl.service", "[Service]\nWatchdogSec=20s\n")
    assert str(here.root / "var/lib/loadctl") in found(here, house(tmp_path))["state"].message


def test_a_token_in_clear_is_nobody_elses_business(tmp_path):
    rules = house(tmp_path, IN_CLEAR)
    before = found(machine(tmp_path), rules)
    assert before["rules_mode"].level is Level.WARNING
    assert "chmod" in before["rules_mode"].advice
    assert before["secrets"].level is Level.NOTE
    wanted = 0o640 if os.geteuid() == 0 else 0o600  # root's files are for a group to read
    after = found(machine(tmp_path), rules, fix=True)["rules_mode"]
    assert (after.level, after.fixed, mode(rules.path)) == (Level.OK, True, wanted)
    assert "eyJ" not in repr((before, after))


def test_rules_without_secrets_may_be_read_and_not_written_by_all(tmp_path):
    assert found(machine(tmp_path), house(tmp_path))["secrets"].level is Level.OK
    assert found(machine(tmp_path), house(tmp_path, mode=0o666))["rules_write"].level is Level.WARNING


def test_files_of_secrets_beside_the_rules(tmp_path):
    put(tmp_path / "secrets.yaml", "token: x\n")
    (tmp_path / "secrets.yaml").chmod(0o604)
    assert found(machine(tmp_path), house(tmp_path))["secrets_mode_1"].level is Level.WARNING
    assert found(machine(tmp_path), house(tmp_path), fix=True)["secrets_mode_1"].fixed


@pytest.mark.parametrize(
    ("unit", "enabled", "checks"),
    [
        ("", False, {"service"}),
        ("[Service]\nWatchdogSec=20s\n", True, set()),
        ("[Service]\nWatchdogSec=20s\n", False, {"service"}),
        ("[Service]\nWatchdogSec=0\n", True, {"watchdog"}),
        ("[Service]\n#WatchdogSec=20s\n", True, {"watchdog"}),
    ],
)
def test_who_starts_it_again(tmp_path, unit, enabled, checks):
    here = machine(tmp_path)
    (here.root / "run/systemd/system").mkdir(parents=True)
    file = here.root / "etc/systemd/system/loadctl.service"
    if unit:
        put(file, unit)
    if enabled:
        link = file.parent / "multi-user.target.wants/loadctl.service"
        link.parent.mkdir()
        link.symlink_to(file)
    told = found(here, house(tmp_path))
    assert {
        check for check in ("service", "watchdog") if check in told and told[check].level is Level.WARNING
    } == checks


@pytest.mark.parametrize("mark", ["", ".dockerenv"])
def test_where_systemd_does_not_run_nothing_is_claimed(tmp_path, mark):
    here = machine(tmp_path)
    if mark:
        put(here.root / mark)
    assert found(here, house(tmp_path))["service"].level is Level.NOTE


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("meter: {token: abc}", True),
        ("meter: {token: '${TOKEN}'}", False),
        ("meter: {token: !secret envoy}", False),
        ("meter: {token: ''}", False),
        ("loads: {a: {actuator: {password: hunter2}}}", True),
        ("loads: [{login: {password: hunter2}}]", True),
        ("meter: {token_file: token.txt}", False),
        ("- [", False),
        ("", False),
    ],
)
def test_secrets_in_clear_are_found(text, clear):
    assert secrets_in_clear(text) is clear


def test_what_the_owner_accepted_is_listed(tmp_path):
    text = BY_NAME + (
        "  pump: {actuator: {driver: gpio, pin: 17, failsafe: none}, power: 1 kW}\nweb: {host: 0.0.0.0}\n"
    )
    told = {finding.check: finding for finding in judge_rules(house(tmp_path, text))}
    assert told["failsafe.pump"].level is told["page"].level is Level.NOTE
    assert told["timezone"].level is Level.OK
    assert "fuse" not in told
    plain = house(tmp_path, BY_NAME.replace("Europe/Amsterdam", "UTC").replace(", max_import: 6 kW", ""))
    bare = {finding.check: finding for finding in judge_rules(plain)}
    assert [bare[check].level for check in ("failsafe", "page", "fuse", "timezone")] == [
        Level.OK,
        Level.OK,
        Level.NOTE,
        Level.NOTE,
    ]
