"""The relay on a pin: judged by what its pad did, on gpiozero's mock and on an emulated kernel."""

from __future__ import annotations

import asyncio
import errno
from datetime import UTC
from pathlib import Path

import pytest
from gpiozero import DigitalOutputDevice
from gpiozero.exc import PinUnknownPi
from gpiozero.pins.mock import MockFactory
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators.gpio import Gpio, GpioOptions, advice, translated
from loadctl.actuators.gpio_pins import KernelFactory, Linux, open_factory
from loadctl.actuators.gpio_release import Behaviour, drive_safe, release_behaviour
from loadctl.core.values import Command, Source
from loadctl.drivers import LoopClock, Shared
from loadctl.errors import Refused, Unreachable
from tests.emulators.gpio_kernel import EmulatedKernel

ON, OFF = Command(1, "pump", 1100.0), Command(2, "pump", 0.0)
PI_3B = 0xA02082


def options(pin: int = 17, *, active_high: bool = True, factory: str = "kernel") -> GpioOptions:
    return TypeAdapter(GpioOptions).validate_python(
        {"pin": pin, "failsafe": "none", "active_high": active_high, "factory": factory}
    )


def on_kernel(kernel: EmulatedKernel):
    return lambda name, rest_high: KernelFactory(rest_high=rest_high, kernel=kernel, revision=PI_3B)


def gpio(kernel: EmulatedKernel, pin: int = 17, *, active_high: bool = True) -> Gpio:
    return Gpio(options(pin, active_high=active_high), Shared(LoopClock(UTC)), on_kernel(kernel))


def on_mock(pins: MockFactory, pin: int = 17, *, active_high: bool = True) -> Gpio:
    wanted = options(pin, active_high=active_high, factory="mock")
    return Gpio(wanted, Shared(LoopClock(UTC)), lambda name, rest_high: pins)


# --- the rule file


@pytest.mark.parametrize("key", [{}, {"failsafe": None}, {"failsafe": "off"}])
def test_the_owner_must_say_that_a_pin_holds_no_lease(key):
    with pytest.raises(ValidationError) as told:
        TypeAdapter(GpioOptions).validate_python({"pin": 17, **key})
    [fault] = told.value.errors()
    assert fault["loc"] == ("failsafe",)
    assert "write `failsafe: none`" in fault["msg"]


@pytest.mark.parametrize(
    "wrong", [{"pin": 28}, {"pin": -1}, {"pin": True}, {"pin": 17.0}, {"factory": "lgpio"}, {"x": 1}]
)
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(GpioOptions).validate_python({"pin": 17, "failsafe": "none", **wrong})


def test_editors_learn_which_keys_must_be_there():
    schema = TypeAdapter(GpioOptions).json_schema()
    assert schema["required"] == ["pin", "failsafe"]
    assert "default" not in schema["properties"]["failsafe"]
    assert all(entry["description"] for entry in schema["properties"].values())


@pytest.mark.parametrize(
    ("pin", "active_high", "told"),
    [(17, True, ""), (5, True, "pulled up"), (17, False, "pulled down"), (5, False, ""), (0, True, "add-on")],
)
def test_a_pin_whose_pull_fights_the_board_is_told(pin, active_high, told):
    advised = " ".join(advice(options(pin, active_high=active_high)))
    assert told in advised
    assert bool(told) is bool(advised)


# --- gpiozero's mock


@pytest.mark.anyio
@pytest.mark.parametrize("active_high", [True, False])
async def test_on_and_off_reach_the_pin_and_are_read_back(active_high):
    pins = MockFactory()
    relay = on_mock(pins, active_high=active_high)
    pin = pins.pin(17)
    assert not (await relay.read()).on
    assert pin.function == "output"
    pin.clear_states()

    switched = await relay.apply(ON)
    assert (switched.on, switched.source, switched.command_id) == (True, Source.US, 1)
    assert (switched.load, switched.identity, switched.watts) == ("pump", "gpio:17", None)
    assert (await relay.apply(OFF)).on is False
    await relay.apply(ON)
    await relay.close()

    off, on = not active_high, active_high
    assert [state for _, state in pin.states][:5] == [off, on, off, on, off]
    pin.assert_states([off, on, off, on, off])
    assert pin.function == "input"


@pytest.mark.anyio
async def test_a_pin_that_drives_its_relay_is_taken_over_as_it_is():
    pins = MockFactory()
    pin = pins.pin(17)
    pin.output_with_state(True)
    pin.clear_states()
    found = await on_mock(pins).read()
    assert (found.on, found.source) == (True, Source.UNKNOWN)
    assert "found driving the relay on" in found.detail
    pin.assert_states([True])
    assert len(pin.states) == 1


@pytest.mark.anyio
async def test_two_loads_on_one_pin_the_second_is_refused_and_the_first_unharmed():
    pins = MockFactory()
    first, second = on_mock(pins), on_mock(pins)
    await first.apply(ON)
    with pytest.raises(Refused, match=r"already in use.*one load, one pin"):
        await second.apply(OFF)
    assert (await first.read()).on
    await first.close()
    assert (await second.apply(ON)).on
    await second.close()


def test_plain_gpiozero_clicks_an_active_low_relay_on_at_start():
    """Why there is a pin factory of our own: low is on for this board."""
    pins = MockFactory()
    relay = DigitalOutputDevice(17, active_high=False, pin_factory=pins)
    pins.pin(17).assert_states([False, True])
    assert len(pins.pin(17).states) == 2
    relay.close()


def test_the_factory_is_the_one_that_was_asked_for():
    assert isinstance(open_factory("mock", rest_high=False), MockFactory)
    kernel = open_factory("kernel", rest_high=False)
    assert isinstance(kernel, KernelFactory)
    assert isinstance(kernel.kernel, Linux)


# --- the kernel


@pytest.mark.anyio
async def test_an_active_low_relay_never_clicks_at_start():
    kernel = EmulatedKernel()
    kernel.lines[17].board = True  # the board pulls its input up: off
    relay = gpio(kernel, active_high=False)
    assert (await relay.read()).on is False
    assert set(kernel.lines[17].trail) == {True}
    await relay.close()
    assert set(kernel.lines[17].trail) == {True}


@pytest.mark.anyio
@pytest.mark.parametrize("active_high", [True, False])
async def test_a_load_left_on_by_a_kill_keeps_running_until_it_is_told_otherwise(active_high):
    kernel = EmulatedKernel(persist=True)
    await gpio(kernel, active_high=active_high).apply(ON)
    kernel.die()
    kernel.lines[17].trail.clear()

    again = gpio(kernel, active_high=active_high)
    found = await again.read()
    assert (found.on, found.source) == (True, Source.UNKNOWN)
    assert set(kernel.lines[17].trail) == {active_high}
    await again.apply(ON)
    assert (await again.read()).source is Source.US
    assert set(kernel.lines[17].trail) == {active_high}
    await again.close()
    assert kernel.lines[17].level is not active_high


@pytest.mark.anyio
@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize("active_high", [True, False])
async def test_nobody_at_the_pin_means_off(persist, active_high):
    """After close always; after a kill where the kernel releases, since our pull draws to off and not the boot's."""
    kernel = EmulatedKernel(persist=persist)
    kernel.lines[17].pull = active_high  # the pull from power-up would mean on
    relay = gpio(kernel, active_high=active_high)
    await relay.apply(ON)
    if persist:
        await relay.close()
    else:
        kernel.die()
    assert kernel.lines[17].level is not active_high
    assert kernel.descriptors == 0


@pytest.mark.anyio
async def test_an_input_that_reads_high_is_no_load_that_runs():
    kernel = EmulatedKernel()
    kernel.lines[5].pull = True
    found = await gpio(kernel, 5).read()
    assert (found.on, found.source, found.detail) == (False, Source.US, "")


@pytest.mark.anyio
async def test_a_pin_that_does_not_follow_is_refused_and_no_longer_driven_on():
    kernel = EmulatedKernel()
    kernel.lines[17].short = False
    relay = gpio(kernel)
    with pytest.raises(Refused, match="driven high and reads the opposite"):
        await relay.apply(ON)
    assert kernel.lines[17].latch is False
    kernel.lines[17].short = None
    assert (await relay.apply(ON)).on


@pytest.mark.anyio
async def test_a_pin_switched_behind_our_back_is_not_ours():
    kernel = EmulatedKernel()
    relay = gpio(kernel)
    await relay.apply(ON)
    kernel.lines[17].latch = False  # `pinctrl set 17 dl`
    assert (await relay.read()).source is Source.UNKNOWN


@pytest.mark.anyio
async def test_building_and_closing_touch_nothing():
    kernel = EmulatedKernel()
    kernel.paths = []
    await gpio(kernel).close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "kind", "hint"),
    [
        (errno.EACCES, Refused, "usermod -aG gpio"),
        (errno.ENOENT, Unreachable, "in a container"),
        (errno.ENOTTY, Refused, "Linux 5.10"),
        (errno.EIO, Unreachable, "GPIO17"),
    ],
)
async def test_what_the_kernel_refuses_is_told_and_tried_again(fault, kind, hint):
    kernel = EmulatedKernel()
    kernel.fault = fault
    relay = gpio(kernel)
    with pytest.raises(kind, match=hint):
        await relay.read()
    kernel.fault = 0
    assert (await relay.apply(ON)).on
    kernel.fault = errno.EIO
    with pytest.raises(Unreachable):
        await relay.apply(OFF)
    kernel.fault = 0
    assert (await relay.apply(OFF)).on is False


@pytest.mark.anyio
async def test_a_machine_without_pins_says_so():
    kernel = EmulatedKernel()
    kernel.paths = kernel.paths[:1]  # only the expander, not the header
    with pytest.raises(Unreachable, match="no GPIO chip of a Raspberry Pi's header"):
        await gpio(kernel).read()
    assert kernel.descriptors == 0
    assert "no Raspberry Pi" in str(translated(PinUnknownPi("unable to locate Pi revision"), options()))


@pytest.mark.anyio
async def test_another_program_at_the_pin_is_named():
    kernel = EmulatedKernel()
    kernel.lines[17].holder = "gpioset"
    with pytest.raises(Refused, match="GPIO17 is held by gpioset"):
        await gpio(kernel).read()
    kernel.lines[17].holder = ""
    first = gpio(kernel)
    await first.apply(ON)
    with pytest.raises(Refused, match="GPIO17 is held by loadctl"):
        await gpio(kernel).apply(OFF)
    assert (await first.read()).on


# --- nobody is there any more


@pytest.mark.anyio
@pytest.mark.parametrize("active_high", [True, False])
@pytest.mark.parametrize("safe_on", [True, False])
@pytest.mark.parametrize("persist", [True, False])
async def test_drive_safe_puts_right_what_a_kill_left_behind(active_high, safe_on, persist):
    kernel = EmulatedKernel(persist=persist)
    await gpio(kernel, active_high=active_high).apply(ON)
    kernel.die()
    assert drive_safe([(options(active_high=active_high), safe_on)], on_kernel(kernel)) == ()
    assert (kernel.lines[17].level is active_high) is safe_on
    assert kernel.descriptors == 0


@pytest.mark.anyio
async def test_drive_safe_does_what_it_can_and_never_fights_a_daemon():
    kernel = EmulatedKernel(persist=True)
    running, killed = gpio(kernel, 22), gpio(kernel, 27)
    await killed.apply(ON)
    kernel.die()
    await running.apply(ON)
    kernel.lines[23].short = True
    told = drive_safe([(options(pin), False) for pin in (22, 23, 27)], on_kernel(kernel))
    assert [str(error)[:6] for error in told] == ["GPIO22", "GPIO23"]
    assert kernel.lines[22].level is True
    assert kernel.lines[27].level is False


def pi(root: Path, release: str, soc: str = "bcm2837", **parameters: str) -> Path:
    for path, text in {
        "proc/sys/kernel/osrelease": release + "\n",
        "proc/device-tree/compatible": f"raspberrypi,some-model\0brcm,{soc}\0",
        **{f"sys/module/{name.replace('__', '/parameters/')}": value + "\n" for name, value in parameters.items()},
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("behaviour", "release", "soc", "parameters"),
    [
        (Behaviour.RELEASED, "6.1.0-56-arm64", "bcm2837", {}),
        (Behaviour.RELEASED, "6.12.107+deb12-arm64", "bcm2711", {"pinctrl_bcm2835__persist_gpio_outputs": "N"}),
        (Behaviour.PERSISTS, "6.12.107+deb12-arm64", "bcm2711", {"pinctrl_bcm2835__persist_gpio_outputs": "Y"}),
        (Behaviour.PERSISTS, "6.6.31+rpt-rpi-v8", "bcm2711", {"pinctrl_bcm2835__persist_gpio_outputs": "Y"}),
        (Behaviour.RELEASED, "6.6.31+rpt-rpi-v8", "bcm2711", {"pinctrl_bcm2835__persist_gpio_outputs": "N"}),
        (Behaviour.RELEASED, "6.6.28+rpt-rpi-v8", "bcm2711", {"pinctrl_bcm2835__strict_gpiod": "Y"}),
        (Behaviour.PERSISTS, "6.6.28+rpt-rpi-v8", "bcm2711", {"pinctrl_bcm2835__strict_gpiod": "N"}),
        (Behaviour.PERSISTS, "6.6.31+rpt-rpi-2712", "bcm2712", {"pinctrl_bcm2835__persist_gpio_outputs": "N"}),
        (
            Behaviour.RELEASED,
            "6.6.31+rpt-rpi-2712",
            "bcm2712",
            {"pinctrl_bcm2835__persist_gpio_outputs": "Y", "pinctrl_rp1__persist_gpio_outputs": "N"},
        ),
        (Behaviour.PERSISTS, "6.1.21-v7l+", "bcm2711", {}),
        (Behaviour.PERSISTS, "5.15.84-v8+", "bcm2837", {}),
        (Behaviour.PERSISTS, "6.8.0-1013-raspi", "bcm2711", {}),
        (Behaviour.UNKNOWN, "6.17.0-arm64", "bcm2712", {}),
        (Behaviour.UNKNOWN, "6.1.0-56-amd64", "intel", {}),
    ],
)
def test_the_kernel_is_asked_what_it_does_with_a_dead_programs_pins(tmp_path, behaviour, release, soc, parameters):
    told = release_behaviour(pi(tmp_path, release, soc, **parameters))
    assert told.behaviour is behaviour
    assert told.reason


def test_a_machine_that_tells_nothing_is_unknown(tmp_path):
    assert release_behaviour(tmp_path).behaviour is Behaviour.UNKNOWN


# --- whatever happens


class AnyLife(RuleBasedStateMachine):
    """Commands, looks, closings and kills in any order: the pad does what was asked, and nothing besides."""

    @initialize(active_high=st.booleans(), persist=st.booleans())
    def power_up(self, active_high, persist):
        self.loop = asyncio.Runner()
        self.kernel = EmulatedKernel(persist=persist)
        self.line = self.kernel.lines[17]
        self.active_high = active_high
        self.line.board = None if active_high else True  # a board that is off while nobody drives
        self.line.trail.append(self.line.level)
        self.expected = [False]
        self.start()

    def start(self) -> None:
        self.relay = gpio(self.kernel, active_high=self.active_high)

    def expect(self, on: bool) -> None:
        if self.expected[-1] is not on:
            self.expected.append(on)

    @rule(on=st.booleans())
    def switch(self, on):
        report = self.loop.run(self.relay.apply(ON if on else OFF))
        self.expect(on)
        assert report.on is on

    @rule()
    def look(self):
        assert self.loop.run(self.relay.read()).on is self.expected[-1]

    @rule()
    def close(self):
        was_open = self.line.holder
        self.loop.run(self.relay.close())
        if was_open:
            self.expect(False)

    @rule()
    def kill(self):
        self.kernel.die()
        if not self.kernel.persist:
            self.expect(False)
        self.start()

    @rule()
    def kill_and_drive_safe(self):
        self.kernel.die()
        assert drive_safe([(options(active_high=self.active_high), False)], on_kernel(self.kernel)) == ()
        self.expect(False)
        self.start()

    @invariant()
    def no_pulse_but_those_asked_for(self):
        if not hasattr(self, "line"):
            return
        seen = [level is self.active_high for level in self.line.trail]
        changes = [on for before, on in zip([None, *seen], seen, strict=False) if on is not before]
        assert changes == self.expected
        assert None not in self.line.trail

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.run(self.relay.read())
            self.loop.run(self.relay.close())
            assert self.line.level is not self.active_high
            assert self.kernel.descriptors == 0
            self.loop.close()


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
