"""One relay with its flip-back timer, protection and meter; everything is worked out when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loadctl.lab.emulators.shelly.wire import Asked, Wire

T = TypeVar("T")

EPOCH = 1_700_000_000.0  # a device's own idea of now is this plus its clock


@dataclass(frozen=True, slots=True)
class Switching:
    """A change of the relay, at the second it really happened; `source` in the device's own words."""

    at: float
    on: bool
    source: str


@dataclass(frozen=True, slots=True)
class Timer:
    """A flip-back timer: when it runs out the relay changes to the *other* state, whatever that is."""

    started_at: float
    lasts_s: float

    @property
    def ends_at(self) -> float:
        return self.started_at + self.lasts_s


class EmulatedRelay:
    """`draw()` is the power in W that flows while the relay is closed. `deaf` relays forget to start their timers.

    `initial` is the state after a reboot: `off`, `on` or `last`. `auto_off_s` starts a timer with every ON without one.
    """

    def __init__(self, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self.draw = draw
        self.initial = "off"
        self.auto_off_s: float | None = None
        self.auto_on_s: float | None = None  # shown only
        self.limit_w: float | None = None
        self.deaf = False
        self._switchings: list[Switching] = []
        self._clock = clock
        self._on = False
        self._source = "init"
        self._timer: Timer | None = None
        self._errors: tuple[str, ...] = ()
        self._energy_wh = 0.0
        self._counted_at = clock()

    @property
    def on(self) -> bool:
        self._catch_up()
        return self._on

    @property
    def switchings(self) -> list[Switching]:
        self._catch_up()  # looking lets an expired timer happen
        return self._switchings

    @property
    def source(self) -> str:
        self._catch_up()
        return self._source

    @property
    def timer(self) -> Timer | None:
        self._catch_up()
        return self._timer

    @property
    def errors(self) -> tuple[str, ...]:
        self._catch_up()
        return self._errors

    @property
    def watts(self) -> float:
        return self.draw() if self.on else 0.0

    @property
    def energy_wh(self) -> float:
        self._catch_up()
        return self._energy_wh

    def set(self, on: bool, source: str, timer_s: float | None = None) -> None:
        """Switch, and start or drop the timer; the same state again only renews the timer."""
        self._catch_up()
        lasts_s = timer_s or (self.auto_off_s if on else None)
        self._timer = Timer(self._clock(), lasts_s) if lasts_s and not self.deaf else None
        if on:
            self._errors = ()
        self._move(on, source, self._clock())

    def press(self, on: bool) -> None:
        """A hand at the button."""
        self.set(on, "button")

    def trip(self, error: str) -> None:
        """A protection opens the relay."""
        self._catch_up()
        self._trip(error, self._clock())

    def reboot(self) -> None:
        """A power cut: the timer is gone, the state is what the owner set for that case."""
        self._catch_up()
        self._timer, self._errors = None, ()
        self._move(self._on if self.initial == "last" else self.initial == "on", "init", self._clock())
        self._source = "init"

    def _catch_up(self) -> None:
        now = self._clock()
        while self._timer and self._timer.ends_at <= now:
            ended, self._timer = self._timer.ends_at, None
            self._count(ended)
            self._move(not self._on, "timer", ended)
            if self._on and self.auto_off_s:
                self._timer = Timer(ended, self.auto_off_s)
        self._count(now)
        if self._on and self.limit_w is not None and self.draw() > self.limit_w:
            self._trip("overpower", now)

    def _count(self, until: float) -> None:
        if self._on:
            self._energy_wh += self.draw() * (until - self._counted_at) / 3600
        self._counted_at = until

    def _trip(self, error: str, at: float) -> None:
        self._timer, self._errors = None, (error,)
        self._move(False, error, at)

    def _move(self, on: bool, source: str, at: float) -> None:
        if on is not self._on:
            self._switchings.append(Switching(at, on, source))
        self._on, self._source = on, source


class Device(Protocol):
    """What both generations have: relays (those of its lights on a dimmer) and a wire."""

    relays: list[EmulatedRelay]
    app: Wire


class Told(Generic[T]):
    """An attribute that a device of either generation works out in the same way; a `property` that keeps its type."""

    def __init__(self, work_out: Callable[[Device], T]) -> None:
        self._work_out = work_out

    def __get__(self, device: Device, _owner: type) -> T:
        return self._work_out(device)


def first_on(device: Device) -> bool:
    """Whether channel 0 is on."""
    return device.relays[0].on


def first_switchings(device: Device) -> list[Switching]:
    """What channel 0 has done so far."""
    return device.relays[0].switchings


def requests(device: Device) -> list[Asked]:
    """What has been asked of the device."""
    return device.app.asked


def press(device: Device, on: bool) -> None:
    """A hand at the button of channel 0."""
    device.relays[0].press(on)
