"""A relay on a pin under the doctor's eyes: on an emulated kernel and the files of several machines."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from loadctl.actuators.gpio import GpioOptions
from loadctl.actuators.gpio_care import inspect
from loadctl.actuators.gpio_pins import KernelFactory
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from tests.emulators.gpio_kernel import HEADER, EmulatedKernel

PUMP = Load("pump", 1100.0, 1100.0, 60.0, 110.0, 120.0)
PI_3B = 0xA02082


def options(pin: int = 17, **keys: object) -> GpioOptions:
    return TypeAdapter(GpioOptions).validate_python({"pin": pin, "failsafe": "none", **keys})


def pi(root: Path, release: str) -> Path:
    for name, text in (("proc/sys/kernel/osrelease", release), ("proc/device-tree/compatible", "brcm,bcm2837\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def found(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    ("release", "level", "told"),
    [
        ("6.12.0-arm64", Level.OK, "opens when loadctl dies"),
        ("6.6.31+rpt-rpi-v8", Level.WARNING, "stays on"),
        ("", Level.NOTE, "not known"),
    ],
)
def test_what_the_kernel_does_when_we_die(tmp_path, release, level, told):
    finding = found(inspect(options(), PUMP, root=pi(tmp_path, release), kernel=EmulatedKernel()))["release"]
    assert finding.level is level
    assert told in finding.message
    assert ("dtparam=strict_gpiod" in finding.advice) is (level is Level.WARNING)


@pytest.mark.parametrize(
    ("pin", "active_high", "levels"),
    [
        (17, True, [Level.OK]),
        (5, True, [Level.WARNING]),
        (17, False, [Level.NOTE]),
        (5, False, [Level.OK]),
        (0, True, [Level.WARNING, Level.WARNING]),
    ],
)
def test_the_choice_of_pin(tmp_path, pin, active_high, levels):
    findings = inspect(options(pin, active_high=active_high), PUMP, root=tmp_path, kernel=EmulatedKernel())
    assert [finding.level for finding in findings if finding.check.startswith("pin")] == levels
    assert len(found(findings)) == len(findings)


def test_looking_takes_and_changes_nothing(tmp_path):
    kernel = EmulatedKernel()
    line = kernel.lines[17]
    line.output = line.latch = True
    assert found(inspect(options(), PUMP, root=tmp_path, kernel=kernel))["chip"].level is Level.OK
    assert (line.output, line.latch, line.trail, line.holder, kernel.descriptors) == (True, True, [], "", 0)


@pytest.mark.parametrize(("holder", "level"), [("loadctl", Level.OK), ("spi0 CS0", Level.DANGER)])
def test_a_pin_that_is_held(tmp_path, holder, level):
    kernel = EmulatedKernel()
    pin = KernelFactory(rest_high=False, kernel=kernel, revision=PI_3B).pin(17)
    kernel.lines[17].holder = holder
    finding = found(inspect(options(), PUMP, root=tmp_path, kernel=kernel))["chip"]
    assert (finding.level, holder in finding.message) == (level, True)
    pin.close()


@pytest.mark.parametrize(
    ("number", "level", "advice"),
    [(errno.EACCES, Level.DANGER, "usermod"), (errno.EIO, Level.UNSEEN, ""), (errno.ENOENT, Level.DANGER, "devices")],
)
def test_a_chip_that_cannot_be_used(tmp_path, number, level, advice):
    kernel = EmulatedKernel()
    kernel.fault = number
    finding = found(inspect(options(), PUMP, root=tmp_path, kernel=kernel))["chip"]
    assert finding.level is level
    assert advice in finding.advice


def test_a_machine_without_pins(tmp_path):
    kernel = EmulatedKernel()
    kernel.paths.remove(HEADER)
    assert found(inspect(options(), PUMP, root=tmp_path, kernel=kernel))["chip"].level is Level.DANGER


def test_a_mock_switches_nothing(tmp_path):
    [finding] = inspect(options(factory="mock"), PUMP, root=tmp_path)
    assert (finding.check, finding.level) == ("pin", Level.WARNING)
