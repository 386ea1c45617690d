"""A heater behind a zero-cross solid-state relay (SSR) on a GPIO pin, throttled by burst firing.

Whole cycles of the mains are let through or not, spread by error diffusion (`burst`), from a thread of its own
(`burst_thread`). What a pin does at power-up, at the end and after a kill stands in `gpio`; two things differ here:

- a pin that is found driving its SSR on is a pulse that a killed loadctl left behind: full power, and nobody's wish. It
  is switched off at the first look;
- `failsafe: none` is still what the owner must write. The thread switches off when the event loop has hung for a
  minute, but it dies with its process, and then the pin may stay on (Raspberry Pi OS) until `drive_safe` or the next
  start.

A zero-cross SSR only: never a mechanical relay, never a load that is no plain resistor.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, field_validator
from pydantic.dataclasses import dataclass

from loadctl.actuators.burst import FULL, LATE_SHARE, Schedule, percent_of, ripple_w
from loadctl.actuators.burst_thread import Firing, Pace, RealPace
from loadctl.actuators.gpio import FOREIGN, GpioOptions, take, translated
from loadctl.actuators.gpio_pins import open_factory
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Finding, Level, Shared
from loadctl.errors import DeviceError, Unreachable
from loadctl.units import Unit, spell

LEASE_S = 60.0  # for so long the thread fires on without a look from the event loop
JOIN_S = 1.0
WINDOW_S = 1.0  # over which the quickest meters average

ACKNOWLEDGE = (
    "a GPIO pin cannot switch itself off when loadctl is killed: give the heater its own thermostat and write "
    "`failsafe: none` to say that you know"
)

logger = logging.getLogger(__name__)


def _failsafe_required(schema: dict[str, Any]) -> None:
    """For editors `failsafe` is simply a key that must be there; its default only carries our own error text."""
    schema["required"] = ["pin", "rated", "failsafe"]
    del schema["properties"]["failsafe"]["default"]


_CONFIG = ConfigDict(extra="forbid", json_schema_extra=_failsafe_required)


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class GpioBurstOptions:
    """A zero-cross SSR on a pin of the Raspberry Pi that runs loadctl, fired in bursts of whole mains cycles."""

    pin: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=27,
            description="BCM number as `pinout` prints it: 17 is GPIO17, the 11th pin of the header. "
            "Best 9-27: 0-8 are pulled up from power-up until loadctl starts.",
        ),
    ]
    rated: Annotated[
        float,
        Unit("W", least=10, most=25_000),
        Field(description="What the heater draws at 100 %, from its label; loadctl asks for shares of it"),
    ]
    failsafe: Annotated[
        Literal["none"],
        Field(description="Must be `none`. " + ACKNOWLEDGE[0].upper() + ACKNOWLEDGE[1:] + "."),
    ] = Field(default="", validate_default=True)
    active_high: Annotated[
        StrictBool, Field(description="true: the SSR conducts when the pin is high, as a plain one does")
    ] = True
    mains: Annotated[Literal["50 Hz", "60 Hz"], Field(description="The grid's frequency: 60 Hz in North America")] = (
        "50 Hz"
    )
    min_pulse: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=50,
            description="Shortest time on and shortest time off, in mains cycles. 1 spreads the power best; more is "
            "coarser: lamps flicker more slowly, and the meter must average for longer.",
        ),
    ] = 1
    factory: Annotated[
        Literal["kernel", "mock"],
        Field(description="`mock` switches nothing: it tries a rule file on a machine that has no pins."),
    ] = "kernel"

    @field_validator("failsafe", mode="before")
    @classmethod
    def _acknowledged(cls, value: object) -> object:
        if value != "none":
            raise ValueError(ACKNOWLEDGE)
        return value

    @property
    def cycle_s(self) -> float:
        return 1 / 60 if self.mains == "60 Hz" else 1 / 50

    @property
    def pulse_s(self) -> float:
        return self.min_pulse * self.cycle_s

    @property
    def relay(self) -> GpioOptions:
        """The pin as a plain relay."""
        return GpioOptions(pin=self.pin, failsafe="none", active_high=self.active_high, factory=self.factory)


class GpioBurst:
    """`identity` is `gpio:17`; the draw is not measured, `limit_w` is the share of `rated` that is fired.

    Opened at the first use, and again after an error; an error leaves the SSR off. Raises Refused for a pin that is in
    use or does not follow, Unreachable where there are no pins or the thread is not what it should be.
    """

    Options = GpioBurstOptions
    lease_s = None
    settle_s = 3.0  # the next pulse obeys; the meter shows it at its next reading or the one after
    every_s = 1.0  # microseconds of work, and how soon a thread that stands still is noticed
    step_share = 1 / FULL
    least_share = 1 / FULL
    rise_s = 2.0

    def __init__(
        self,
        options: GpioBurstOptions,
        shared: Shared,
        factory: Callable[..., Any] = open_factory,
        pace: Pace | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self._options = options
        self._shared = shared
        self._factory = factory
        self._pace = RealPace() if pace is None else pace
        self._lease_s = lease_s
        self._firing: Firing | None = None
        self._leaving: threading.Thread | None = None  # one that was told to end
        self._found = ""

    async def read(self) -> Report:
        """Look; and say to the thread that somebody is there."""
        firing = await self._held()
        try:
            seen = firing.look()
        except (*FOREIGN, DeviceError) as error:
            raise self._failed(error) from error
        return self._report(seen)

    async def apply(self, command: Command) -> Report:
        firing = await self._held()
        try:
            seen = firing.set(percent_of(command.watts, self._options.rated))
        except (*FOREIGN, DeviceError) as error:
            raise self._failed(error) from error
        self._found = ""
        return self._report(seen, command.id, command.load)

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Tell what could hurt later; the pin is not taken, nothing changes."""
        from loadctl.actuators import gpio_care  # noqa: PLC0415 - files that only the doctor reads

        return (*gpio_care.inspect(self._options.relay, load), *_inspect(self._options, load))

    async def close(self) -> None:
        """Drive the SSR off, let go of the pin and see the thread end. Raises DeviceError."""
        try:
            self._drop()
        except FOREIGN as error:
            raise translated(error, self._options.relay) from error
        finally:
            await self._ended()

    async def _held(self) -> Firing:
        if self._firing is None:
            await self._ended()
            self._firing = self._open()
        return self._firing

    def _open(self) -> Firing:
        options, pin = self._options, f"GPIO{self._options.pin}"
        try:
            relay, found_on = take(options.relay, self._factory, put=False)
        except FOREIGN as error:
            raise translated(error, options.relay) from error
        self._found = f"{pin} was found driving the SSR on and was switched off" if found_on else ""
        logger.log(logging.WARNING if found_on else logging.INFO, "%s", self._found or f"{pin} taken, SSR off")
        schedule = Schedule(options.pulse_s, tolerance_s=options.cycle_s / 2, lease_s=self._lease_s)
        return Firing(pin, relay, schedule, self._pace)

    def _failed(self, error: Exception) -> DeviceError:
        try:
            self._drop()
        except (*FOREIGN, DeviceError) as again:
            logger.warning("GPIO%d: not driven off: %s", self._options.pin, again)
        return error if isinstance(error, DeviceError) else translated(error, self._options.relay)

    def _drop(self) -> None:
        firing, self._firing = self._firing, None
        if firing is not None:
            self._leaving = firing.thread
            firing.stop()

    async def _ended(self) -> None:
        """See the last thread end. Raises Unreachable."""
        if self._leaving is None:
            return
        if self._leaving.is_alive():
            await asyncio.to_thread(self._leaving.join, JOIN_S)
        if self._leaving.is_alive():
            raise Unreachable(
                f"GPIO{self._options.pin}: the thread that fires the bursts does not end", hint="restart loadctl"
            )
        self._leaving = None

    def _report(self, seen: Schedule, command_id: int | None = None, load: str = "") -> Report:
        return Report(
            load=load,
            read_at=self._shared.clock.now(),
            command_id=command_id,
            on=seen.percent > 0,
            limit_w=self._options.rated * seen.percent / FULL,
            source=Source.TIMER if seen.expired else Source.US,
            identity=f"gpio:{self._options.pin}",
            detail=self._found or _told(seen),
        )


def _told(seen: Schedule) -> str:
    if seen.expired:
        return f"loadctl stood still for {spell(seen.lease_s, 's')}, and the SSR was switched off meanwhile"
    if seen.percent and seen.lag >= LATE_SHARE:
        return (
            f"{seen.late} of {seen.pulses} pulses ended late, by up to {seen.worst_s * 1000:.0f} ms: this computer "
            "does too much besides"
        )
    return ""


def _inspect(options: GpioBurstOptions, load: Load) -> tuple[Finding, ...]:
    rated = spell(options.rated, "W")
    if load.power_w > options.rated:
        rating = Finding(
            "rated",
            Level.WARNING,
            f"the rule says `power: {spell(load.power_w, 'W')}` and the heater is `rated: {rated}`",
            f"write `power: {rated}`, or correct `rated`",
        )
    else:
        rating = Finding("rated", Level.OK, f"fires shares of {rated}, in steps of {spell(options.rated / FULL, 'W')}")
    off_w = spell(round(ripple_w(options.rated, options.pulse_s, WINDOW_S)), "W")
    bursts = Finding(
        "bursts",
        Level.NOTE,
        f"pulses of {options.pulse_s * 1000:.0f} ms: a reading that averages over 1 s may be {off_w} off",
        "if lamps flicker: another circuit for the heater, another `min_pulse`, or a dimmer with a filter",
    )
    return rating, bursts
