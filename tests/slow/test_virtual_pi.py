"""What a real kernel does to the relay pins, at every start and every end of loadctl: on a virtual Raspberry Pi 3B.

`released` boots Debian's kernel as it is, `persists` with the parameter that makes it behave as Raspberry Pi OS does.
An emulated pin has no pull: at an input the level says nothing, only that it is an input.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pytest

from tests.slow.debian import Missing, cache_of
from tests.slow.virtual_pi import VirtualPi, build

pytestmark = pytest.mark.slow

HIGH, LOW = 17, 27


@pytest.fixture(scope="module")
def virtual_pi() -> VirtualPi:
    try:
        return build(cache_of("virtual-pi"))
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=["released", "persists"])
def told(request: pytest.FixtureRequest, virtual_pi: VirtualPi) -> dict[Any, dict[str, Any]]:
    lines = virtual_pi.run(f"pinctrl_bcm2835.persist_gpio_outputs={int(request.param == 'persists')}")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return {"kernel": lines[0]} | {(line["case"], line["pin"]): line for line in lines[1:]}


def level(pin: int, *, on: bool) -> str:
    return "high" if on is (pin == HIGH) else "low"


def test_doctor_knows_this_kernel(told, request):
    assert told["kernel"]["behaviour"] in request.node.name


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_a_start_makes_an_output_that_is_off_and_never_was_on(told, pin):
    start = told["start", pin]
    assert (start["on"], start["pad"]) == (False, f"output {level(pin, on=False)}")
    assert f"set {int(pin == HIGH)}" not in start["calls"]
    assert "in" not in start["calls"]


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_on_is_on(told, pin):
    assert (told["on", pin]["on"], told["on", pin]["pad"]) == (True, f"output {level(pin, on=True)}")


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_a_closed_relay_is_off_whatever_the_kernel_does_next(told, pin):
    if told["kernel"]["behaviour"] == "released":
        assert told["closed", pin]["pad"].startswith("input")
    else:
        assert told["closed", pin]["pad"] == f"output {level(pin, on=False)}"
    assert told["closed", pin]["ended"] == 0


@pytest.mark.parametrize("pin", [HIGH, LOW])
@pytest.mark.parametrize(("ending", "code"), [("SIGTERM", -15), ("SIGKILL", -9)])
def test_a_killed_program_leaves_an_input_or_on_a_pi_kernel_a_load_that_runs(told, pin, ending, code):
    if told["kernel"]["behaviour"] == "released":
        assert told[ending, pin]["pad"].startswith("input")
    else:
        assert told[ending, pin]["pad"] == f"output {level(pin, on=True)}"
    assert told[ending, pin]["ended"] == code


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_the_next_start_takes_over_what_runs_without_dropping_it(told, pin):
    again = told["start again", pin]
    if told["kernel"]["behaviour"] == "released":
        assert (again["on"], again["pad"]) == (False, f"output {level(pin, on=False)}")
        return
    assert (again["on"], again["source"], again["pad"]) == (True, "unknown", f"output {level(pin, on=True)}")
    assert "found driving the relay on" in again["detail"]
    assert f"set {int(pin != HIGH)}" not in again["calls"]
    assert "in" not in again["calls"]


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_drive_safe_puts_it_off_from_outside(told, pin):
    safe = told["drive_safe", pin]
    assert safe["failures"] == []
    if told["kernel"]["behaviour"] == "released":
        assert safe["pad"].startswith("input")
    else:
        assert safe["pad"] == f"output {level(pin, on=False)}"
    assert f"set {int(pin == HIGH)}" not in safe["calls"]


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_half_the_power_is_one_pulse_on_and_one_off(told, pin):
    half = told["half", pin]
    assert (half["on"], half["source"]) == (True, "us")
    pulses = [call for call in half["calls"] if call.startswith("set")]
    assert len(pulses) > 10
    assert all(after != before for before, after in pairwise(pulses[1:]))
    closed = told["half closed", pin]
    if told["kernel"]["behaviour"] == "released":
        assert closed["pad"].startswith("input")
    else:
        assert closed["pad"] == f"output {level(pin, on=False)}"


@pytest.mark.parametrize("pin", [HIGH, LOW])
def test_a_burst_that_a_kill_froze_is_ended_by_the_next_start(told, pin):
    killed, found = told["full killed", pin], told["full found", pin]
    assert told["full", pin]["pad"] == f"output {level(pin, on=True)}"
    assert killed["ended"] == -9
    assert (found["on"], found["source"], found["pad"]) == (False, "us", f"output {level(pin, on=False)}")
    assert f"set {int(pin == HIGH)}" not in found["calls"]
    if told["kernel"]["behaviour"] == "released":
        assert killed["pad"].startswith("input")
        assert found["detail"] == ""
    else:
        assert killed["pad"] == f"output {level(pin, on=True)}"
        assert "found driving the SSR on" in found["detail"]


def test_a_second_program_is_told_who_holds_the_pin(told):
    assert "GPIO17 is held by loadctl" in told["second program", HIGH]["error"]
    assert told["second program", HIGH]["pad"] == "output high"
