"""The unit file means what it says, and gives the service nothing that it does not need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY, output_of, program

UNIT = DEPLOY / "systemd" / "loadctl.service"
MOST_EXPOSURE = 2.0


def settings() -> dict[str, list[str]]:
    """Return key -> values. configparser would refuse keys that come twice, as they may here."""
    pairs = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    return {key: [value for other, value in pairs if other == key] for key, _ in pairs}


def complaints(unit: Path) -> list[str]:
    """Return what `systemd-analyze verify` says about `unit`; it says so with exit code 0."""
    _, text = output_of([program("systemd-analyze", "systemd"), "verify", "--man=no", unit])
    return [line for line in text.splitlines() if "loadctl" in line]


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """The unit with programs that exist on this machine, too."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/loadctl/venv/bin/loadctl", "/bin/true"))
    return copy


def test_systemd_understands_every_line(stand_in):
    assert complaints(stand_in) == []


@pytest.mark.parametrize("slip", ["WatchdogSecs=20s", "ProtectSystem=stritc", "Type=notifi", "SystemCallFilter=@sytem"])
def test_a_slip_of_the_pen_would_be_noticed(stand_in, slip):
    stand_in.write_text(stand_in.read_text().replace("[Service]\n", f"[Service]\n{slip}\n"))
    assert complaints(stand_in)


def test_exposure_is_low():
    _, text = output_of(
        [program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", UNIT],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    found = re.search(r"Overall exposure level for loadctl.service: (\d+\.\d+)", text)
    assert found, text
    assert float(found.group(1)) < MOST_EXPOSURE


def test_a_dead_controller_is_followed_by_safe_loads_and_a_new_controller():
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["20s"]
    assert unit["Restart"] == ["always"]
    assert unit["ExecStart"] == ["/opt/loadctl/venv/bin/loadctl run /etc/loadctl/home.yaml"]
    assert unit["ExecStopPost"] == ["/opt/loadctl/venv/bin/loadctl safe /etc/loadctl/home.yaml"]
    assert unit["StartLimitIntervalSec"] == ["0"], "systemd gives up after five crashes otherwise"


def test_the_pins_stay_within_reach():
    unit = settings()
    assert "PrivateDevices" not in unit, "would hide /dev/gpiochip*"
    assert unit["DeviceAllow"] == ["char-gpiochip rw"]
    assert unit["SupplementaryGroups"] == ["gpio"]
    assert unit["ProcSubset"] == ["all"], "gpiozero reads the model of the Pi, loadctl the boot id"


def test_the_kernel_may_be_asked_whether_the_clock_is_right():
    unit = settings()
    assert unit["SystemCallFilter"][-1] == "adjtimex clock_adjtime clock_adjtime64"
    assert "ProtectClock" not in unit, "would forbid to ask as well"
    assert unit["CapabilityBoundingSet"] == [""], "so it cannot be set"


def test_no_secret_stands_in_the_unit():
    assert settings()["EnvironmentFile"] == ["-/etc/loadctl/secrets.env"]
    assert not re.search(r"token|password", " ".join(settings()["Environment"]), re.IGNORECASE)
