"""An SSR fired in bursts: judged by what its pad did on an emulated kernel, the thread's time in the test's hand."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from itertools import groupby, pairwise
from math import inf

import pytest
from gpiozero.pins.mock import MockFactory
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators import ACTUATORS
from loadctl.actuators.burst_thread import RealPace
from loadctl.actuators.gpio import Gpio
from loadctl.actuators.gpio_burst import GpioBurst, GpioBurstOptions
from loadctl.actuators.gpio_pins import KernelFactory
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Cared, Dimmer, Level, LoopClock, Shared, driver_class
from loadctl.errors import Refused, Unreachable
from loadctl.service.mailbox import Mailbox
from tests.e2e.until import until
from tests.emulators.gpio_kernel import EmulatedKernel

PI_3B = 0xA02082
HEATER = Load("heater", 3000.0, 30.0, 60.0, 110.0, 120.0)
LIMIT_S = 20.0  # real seconds, for a machine that is busy; nothing waits for so long


def options(**keys: object) -> GpioBurstOptions:
    given = {"pin": 17, "rated": 3000.0, "failsafe": "none", **keys}
    return TypeAdapter(GpioBurstOptions).validate_python(given)


def command(watts: float, number: int = 1) -> Command:
    return Command(number, "heater", watts)


class Hand:
    """A pace that goes as far as the test says. `asleep`: the thread is in its `wait` and nobody has rung."""

    def __init__(self) -> None:
        self.time = 100.0
        self.until = inf
        self.gate = threading.Event()  # closed: whoever wakes is held up
        self.gate.set()
        self.broken: Exception | None = None
        self._bell: threading.Event | None = None
        self._asleep = threading.Condition()

    def now(self) -> float:
        return self.time

    def wait(self, bell: threading.Event, until: float) -> None:
        if self.broken is not None:
            raise self.broken
        with self._asleep:
            self._bell, self.until = bell, until
            self._asleep.notify_all()
        bell.wait()
        with self._asleep:
            self._bell = None
        self.gate.wait()

    def settle(self) -> None:
        """Wait until the thread has done all there is to do."""
        with self._asleep:
            assert self._asleep.wait_for(lambda: self._bell is not None and not self._bell.is_set(), LIMIT_S)

    def wake(self) -> None:
        """Wake the thread, at the end of its pulse or too early."""
        self.settle()
        assert self._bell is not None
        self._bell.set()

    def ring(self) -> None:
        """Wake the thread and see it sleep again."""
        self.wake()
        self.settle()

    def go(self, seconds: float) -> None:
        """Let time pass; the thread wakes on the dot each time."""
        self.settle()
        end = self.time + seconds
        while self.until <= end:
            self.time = max(self.time, self.until)
            self.ring()
        self.time = end


class Scope(EmulatedKernel):
    """A kernel with an oscilloscope at GPIO17. `hangs`: what switches the pin does not return until it is set."""

    def __init__(self, hand: Hand, *, persist: bool = False) -> None:
        super().__init__(persist=persist)
        self.hand = hand
        self.trace: list[tuple[float, bool | None]] = []
        self.hangs: threading.Event | None = None
        self.in_kernel = threading.Event()

    def ioctl(self, fd: int, request: int, argument: bytearray) -> None:
        if self.hangs is not None and request & 0xFF == 0x0F:
            self.in_kernel.set()
            assert self.hangs.wait(LIMIT_S)
        super().ioctl(fd, request, argument)
        if request & 0xFF in (0x0D, 0x0F):
            self.trace.append((self.hand.time, self.lines[17].level))

    def conducts(self, on: bool = True) -> bool:
        return self.lines[17].level is on

    def pulses(self, on: bool = True) -> list[tuple[bool, int]]:
        """States of the SSR from the first pulse on, each with its length in cycles of 20 ms."""
        edges = [next(group) for _, group in groupby(self.trace, key=lambda seen: seen[1])]
        first = next(number for number, (_, level) in enumerate(edges) if level is on)
        return [
            (level is on, round((end - begin) / 0.02))
            for (begin, level), (end, _) in zip(edges[first:], edges[first + 1 :], strict=False)
        ]


def burst(kernel: EmulatedKernel, pace: Hand | None, **keys: object) -> GpioBurst:
    return GpioBurst(
        options(**keys),
        Shared(LoopClock(UTC)),
        lambda name, rest_high: KernelFactory(rest_high=rest_high, kernel=kernel, revision=PI_3B),
        pace,
    )


def the_thread() -> threading.Thread:
    [thread] = [thread for thread in threading.enumerate() if thread.name == "burst-GPIO17"]
    return thread


@asynccontextmanager
async def bench(*, persist: bool = False, **keys: object) -> AsyncIterator[tuple[GpioBurst, Hand, Scope]]:
    """An SSR, its time and its pad; afterwards it must be off, free, and its thread gone."""
    hand = Hand()
    kernel = Scope(hand, persist=persist)
    ssr = burst(kernel, hand, **keys)
    before = set(threading.enumerate())
    try:
        yield ssr, hand, kernel
    finally:
        hand.gate.set()
        await ssr.close()
        assert kernel.lines[17].level is not keys.get("active_high", True)
        assert kernel.descriptors == 0
        assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("burst")]


# --- the rule file


@pytest.mark.parametrize("key", [{}, {"failsafe": None}, {"failsafe": "lease"}])
def test_the_owner_must_say_that_a_pin_holds_no_lease(key):
    with pytest.raises(ValidationError) as told:
        TypeAdapter(GpioBurstOptions).validate_python({"pin": 17, "rated": 3000.0, **key})
    [fault] = told.value.errors()
    assert fault["loc"] == ("failsafe",)
    assert "write `failsafe: none`" in fault["msg"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pin": 28}, {"rated": 0.0}, {"rated": 1e6}, {"mains": 50}, {"mains": "55 Hz"}, {"min_pulse": 0},
        {"min_pulse": 51}, {"min_pulse": 1.5}, {"lease": 60}, {"factory": "lgpio"},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        options(**wrong)


def test_editors_learn_which_keys_must_be_there():
    schema = TypeAdapter(GpioBurstOptions).json_schema()
    assert schema["required"] == ["pin", "rated", "failsafe"]
    assert "default" not in schema["properties"]["failsafe"]
    assert all(entry["description"] for entry in schema["properties"].values())


def test_it_is_a_dimmer_by_its_name_in_the_rule_file():
    assert driver_class(ACTUATORS, "gpio-burst") is GpioBurst
    ssr = burst(EmulatedKernel(), None)
    assert isinstance(ssr, Dimmer)
    assert isinstance(ssr, Cared)
    assert (ssr.lease_s, ssr.step_share, ssr.least_share) == (None, 0.01, 0.01)
    relay: object = driver_class(ACTUATORS, "gpio")
    assert relay is Gpio
    assert not isinstance(relay, Dimmer)


# --- pulses


@pytest.mark.anyio
async def test_a_third_is_one_cycle_in_three():
    async with bench() as (ssr, hand, kernel):
        report = await ssr.apply(command(990.0, 7))
        assert (report.on, report.limit_w, report.watts, report.command_id) == (True, 990.0, None, 7)
        assert (report.source, report.identity, report.load) == (Source.US, "gpio:17", "heater")
        hand.go(2.0)
        pulses = kernel.pulses()
        assert {pulse for pulse in pulses if pulse[0]} == {(True, 1)}
        assert {pulse for pulse in pulses if not pulse[0]} == {(False, 2), (False, 3)}
        assert sum(on for on, _ in pulses) == 33  # of a hundred cycles


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keys", "length_s"),
    [({}, 0.02), ({"mains": "60 Hz"}, 1 / 60), ({"min_pulse": 5}, 0.1), ({"mains": "60 Hz", "min_pulse": 6}, 0.1)],
)
async def test_a_half_is_on_and_off_for_the_shortest_pulse(keys, length_s):
    async with bench(**keys) as (ssr, hand, kernel):
        await ssr.apply(command(1500.0))
        hand.go(100 * length_s)
        times = [at for at, _ in kernel.trace[1:]]
        assert len(times) > 90
        for begin, end in pairwise(times):
            assert end - begin == pytest.approx(length_s)


@pytest.mark.anyio
async def test_an_active_low_ssr_is_fired_the_other_way_round_and_not_at_start():
    async with bench(active_high=False) as (ssr, hand, kernel):
        kernel.lines[17].board = True
        kernel.lines[17].trail.clear()
        await ssr.read()
        assert set(kernel.lines[17].trail) == {True}
        await ssr.apply(command(750.0))
        hand.go(0.8)
        assert kernel.pulses(on=False)[:3] == [(True, 1), (False, 3), (True, 1)]


@pytest.mark.anyio
async def test_all_is_steadily_on_and_nothing_is_off_at_once():
    async with bench(min_pulse=50) as (ssr, hand, kernel):
        assert (await ssr.apply(command(5000.0))).limit_w == 3000.0  # no more than there is
        hand.go(20.0)
        assert [level for _, level in kernel.trace] == [False, True]
        off = await ssr.apply(command(0.0))
        assert (off.on, off.limit_w, off.source, off.detail) == (False, 0.0, Source.US, "")
        assert [level for _, level in kernel.trace] == [False, True, False]
        hand.go(20.0)
        assert len(kernel.trace) == 3
        assert hand.until == inf  # nothing to do, nothing to wake for


@pytest.mark.anyio
async def test_the_same_again_restarts_nothing_and_another_share_waits_for_the_end_of_the_pulse():
    async with bench(min_pulse=10) as (ssr, hand, kernel):
        await ssr.apply(command(1500.0))
        hand.go(0.15)  # of a pulse of 0.2 s
        for _ in range(3):
            await ssr.apply(command(1500.0))
        hand.go(0.25)
        await ssr.apply(command(30.0))
        hand.go(30.0)
        assert kernel.pulses()[:2] == [(True, 10), (False, 10)]
        assert {cycles for on, cycles in kernel.pulses() if on} == {10}
        assert (await ssr.read()).limit_w == 30.0


# --- who is there, and who is not


@pytest.mark.anyio
async def test_a_loop_that_hangs_means_off_until_it_asks_again():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(3000.0))
        hand.go(59.0)
        await ssr.read()
        hand.go(59.9)
        assert kernel.conducts()
        hand.go(0.2)
        assert not kernel.conducts()
        late = await ssr.read()
        assert (late.on, late.limit_w, late.source) == (False, 0.0, Source.TIMER)
        assert "stood still for 1 min" in late.detail
        hand.go(10.0)
        assert (await ssr.read()).on is False
        again = await ssr.apply(command(600.0))
        assert (again.on, again.limit_w, again.source, again.detail) == (True, 600.0, Source.US, "")


@pytest.mark.anyio
async def test_a_thread_that_oversleeps_is_found_and_the_ssr_driven_off():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(3000.0))
        hand.settle()
        hand.time += 1.5
        with pytest.raises(Unreachable, match=r"GPIO17: the thread that fires the bursts is 1\.5 s late"):
            await ssr.read()
        assert not kernel.conducts()
        assert kernel.lines[17].holder == ""
        assert (await ssr.read()).on is False
        assert (await ssr.apply(command(3000.0))).on


@pytest.mark.anyio
async def test_late_pulses_are_counted_and_told_and_nothing_is_made_up_for():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(1500.0))
        for _ in range(10):
            hand.settle()
            hand.time = hand.until + 0.08
            hand.ring()
        assert kernel.pulses() == [(True, 5), (False, 5)] * 5
        told = await ssr.read()
        assert told.on
        assert told.detail == "10 of 11 pulses ended late, by up to 80 ms: this computer does too much besides"
        hand.go(10.0)  # it was a moment: by now most were in time
        assert (await ssr.read()).detail == ""


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_dies_leaves_the_ssr_off_and_is_told():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(3000.0))
        hand.settle()
        hand.broken = RuntimeError("a bug")
        thread = the_thread()
        hand.wake()
        thread.join(LIMIT_S)
        assert not kernel.conducts()
        hand.broken = None
        with pytest.raises(Unreachable, match="the thread that fires the bursts has ended"):
            await ssr.apply(command(0.0))
        assert (await ssr.apply(command(0.0))).on is False
        assert (await ssr.apply(command(3000.0))).on


@pytest.mark.anyio
async def test_a_thread_that_does_not_end_is_told_and_gets_no_successor():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(3000.0))
        hand.settle()
        hand.gate.clear()
        with pytest.raises(Unreachable, match="does not end"):
            await ssr.close()
        assert not kernel.conducts()
        with pytest.raises(Unreachable, match="does not end"):
            await ssr.apply(command(3000.0))
        hand.gate.set()
        assert (await ssr.apply(command(3000.0))).on


@pytest.mark.anyio
async def test_a_kernel_that_hangs_holds_up_the_thread_and_never_the_loop():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(1500.0))
        hand.settle()
        kernel.hangs = threading.Event()
        hand.time = hand.until
        hand.wake()
        assert await asyncio.to_thread(kernel.in_kernel.wait, LIMIT_S)
        with pytest.raises(Unreachable, match="hangs in the kernel"):
            await ssr.read()
        kernel.hangs.set()
        kernel.hangs = None
        assert (await ssr.read()).on is False  # the thread, freed, has switched off and gone
        assert not kernel.conducts()


@pytest.mark.anyio
async def test_an_off_is_answered_at_once_although_the_kernel_hangs():
    async with bench() as (ssr, hand, kernel):
        reports: list[Report] = []
        mailbox = Mailbox("heater", ssr, LoopClock(UTC), deliver=reports.append)
        task = asyncio.create_task(mailbox.run())
        mailbox.put(command(1500.0))
        await until(lambda: any(report.on for report in reports))
        hand.settle()
        hangs = kernel.hangs = threading.Event()
        hand.time = hand.until
        hand.wake()
        assert await asyncio.to_thread(kernel.in_kernel.wait, LIMIT_S)
        mailbox.put(command(0.0, 2))
        await until(lambda: reports[-1].command_id == 2)
        assert reports[-1].error == "unreachable"
        hangs.set()
        kernel.hangs = None
        mailbox.put(command(0.0, 3))
        await until(lambda: reports[-1].command_id == 3)
        assert reports[-1].on is False
        task.cancel()
        await asyncio.wait([task])


# --- the pin


@pytest.mark.anyio
@pytest.mark.parametrize("active_high", [True, False])
async def test_a_pulse_that_a_killed_loadctl_left_behind_is_ended(active_high):
    async with bench(persist=True, active_high=active_high) as (ssr, _, kernel):
        line = kernel.lines[17]
        line.output, line.latch = True, active_high
        found = await ssr.read()
        assert (found.on, found.source, found.limit_w) == (False, Source.US, 0.0)
        assert "was found driving the SSR on" in found.detail
        assert line.level is not active_high
        assert "was found" in (await ssr.read()).detail
        assert (await ssr.apply(command(0.0))).detail == ""


@pytest.mark.anyio
async def test_a_pin_that_does_not_follow_is_refused_and_no_longer_driven():
    async with bench() as (ssr, _, kernel):
        kernel.lines[17].short = False
        with pytest.raises(Refused, match="GPIO17 was driven on and reads the opposite"):
            await ssr.apply(command(30.0))
        assert kernel.lines[17].latch is False
        assert kernel.lines[17].holder == ""
        kernel.lines[17].short = None
        assert (await ssr.apply(command(30.0))).on


@pytest.mark.anyio
async def test_a_short_between_two_looks_is_found_by_the_thread_and_told_at_the_next():
    async with bench() as (ssr, hand, kernel):
        await ssr.apply(command(1500.0))
        hand.settle()
        thread = the_thread()
        kernel.lines[17].short = True
        hand.time = hand.until
        hand.wake()
        thread.join(LIMIT_S)
        with pytest.raises(Refused, match="driven off and reads the opposite"):
            await ssr.read()
        kernel.lines[17].short = None


@pytest.mark.anyio
async def test_a_pin_switched_behind_our_back_is_found():
    async with bench() as (ssr, _, kernel):
        await ssr.apply(command(3000.0))
        kernel.lines[17].latch = False  # `pinctrl set 17 dl`
        with pytest.raises(Refused, match="another program"):
            await ssr.read()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "kind", "hint"),
    [
        (errno.EACCES, Refused, "usermod -aG gpio"),
        (errno.ENOTTY, Refused, "Linux 5.10"),
        (errno.EIO, Unreachable, "17"),
    ],
)
async def test_what_the_kernel_refuses_is_told_and_tried_again(fault, kind, hint):
    async with bench() as (ssr, hand, kernel):
        kernel.fault = fault
        with pytest.raises(kind, match=hint):
            await ssr.read()
        kernel.fault = 0
        assert (await ssr.apply(command(1500.0))).on
        hand.settle()
        thread = the_thread()
        kernel.fault = errno.EIO
        hand.time = hand.until
        hand.wake()
        thread.join(LIMIT_S)
        kernel.fault = 0
        assert not kernel.conducts()
        with pytest.raises(Unreachable, match="GPIO17"):
            await ssr.read()
        assert (await ssr.apply(command(1500.0))).on


@pytest.mark.anyio
async def test_another_program_at_the_pin_is_named():
    async with bench() as (ssr, _, kernel):
        kernel.lines[17].holder = "gpioset"
        with pytest.raises(Refused, match="GPIO17 is held by gpioset"):
            await ssr.apply(command(3000.0))
        kernel.lines[17].holder = ""


@pytest.mark.anyio
async def test_building_and_closing_touch_nothing():
    kernel = EmulatedKernel()
    kernel.paths = []
    before = threading.active_count()
    await burst(kernel, None).close()
    assert threading.active_count() == before


@pytest.mark.anyio
async def test_on_gpiozeros_mock_with_the_real_pace():
    pins = MockFactory()
    ssr = GpioBurst(options(factory="mock"), Shared(LoopClock(UTC)), lambda name, rest_high: pins, RealPace())
    pin = pins.pin(17)
    await ssr.apply(command(1500.0))
    await until(lambda: len(pin.states) >= 12)
    await ssr.close()
    levels = [level for _, level in pin.states]
    assert levels[-1] is False
    assert all(before is not after for before, after in pairwise(levels))
    assert pin.function == "input"


# --- the doctor


@pytest.mark.anyio
async def test_the_doctor_tells_the_rating_and_what_a_reading_may_be_off():
    kernel = EmulatedKernel()
    found = {finding.check: finding for finding in await burst(kernel, None, factory="mock").inspect(HEATER)}
    assert found["rated"].level is Level.OK
    assert "in steps of 30 W" in found["rated"].message
    assert found["bursts"].message == "pulses of 20 ms: a reading that averages over 1 s may be 60 W off"
    assert found["pin"].level is Level.WARNING  # it is a mock
    small = {finding.check: finding for finding in await burst(kernel, None, rated=2000.0).inspect(HEATER)}
    assert small["rated"].level is Level.WARNING
    assert "power: 2 kW" in small["rated"].advice
