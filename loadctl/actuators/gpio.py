"""A relay or solid-state relay on a Raspberry Pi's GPIO pin, through gpiozero.

What the relay does when nobody drives the pin is decided by the kernel and the board, not by us:

- **start**: a pin that a killed loadctl left on is taken over as it is, without a click, and reported as found; an
  input becomes an output at the off level in one step. gpiozero's own factories can do neither, hence `gpio_pins`.
- **close** drives the pin off, then lets go of it. Kernels of Raspberry Pi OS keep it driven off; a mainline kernel
  makes it an input, which our pull inside the chip (50 kΩ) draws to off.
- **killed**: a mainline kernel turns the load off the same way. Raspberry Pi OS leaves the pin as it was, ON included,
  until `gpio_release.drive_safe` or the next start; `dtparam=strict_gpiod` in config.txt makes it behave like mainline.
- **power-up**, before loadctl starts: GPIO0-8 are pulled up, the others down (BCM2835 ARM Peripherals, table 6-31).

A pin holds no lease, hence `failsafe: none` in the rule file.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal

from gpiozero import DigitalOutputDevice
from gpiozero.exc import GPIOPinInUse, GPIOZeroError, PinUnknownPi
from pydantic import ConfigDict, Field, StrictBool, StrictInt, field_validator
from pydantic.dataclasses import dataclass

from loadctl.actuators.gpio_pins import open_factory
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Refused, Unreachable

logger = logging.getLogger(__name__)

FOREIGN = (GPIOZeroError, OSError)

ACKNOWLEDGE = (
    "a GPIO pin cannot switch itself off when loadctl dies: give the heater its own thermostat and write "
    "`failsafe: none` to say that you know"
)


def _failsafe_required(schema: dict[str, Any]) -> None:
    """For editors `failsafe` is simply a key that must be there; its default only carries our own error text."""
    schema["required"] = ["pin", "failsafe"]
    del schema["properties"]["failsafe"]["default"]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", json_schema_extra=_failsafe_required))
class GpioOptions:
    """A relay on a pin of the Raspberry Pi that runs loadctl."""

    pin: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=27,
            description="BCM number as `pinout` prints it: 17 is GPIO17, the 11th pin of the header. "
            "Best 9-27: 0-8 are pulled up from power-up until loadctl starts.",
        ),
    ]
    failsafe: Annotated[
        Literal["none"],
        Field(description="Must be `none`. " + ACKNOWLEDGE[0].upper() + ACKNOWLEDGE[1:] + "."),
    ] = Field(default="", validate_default=True)
    active_high: Annotated[
        StrictBool,
        Field(description="true: the relay closes when the pin is high. Most boards with optocouplers want false."),
    ] = True
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


class Gpio:
    """`identity` is `gpio:17`; the draw is not measured. Opened at the first use, and again after an error.

    Raises Refused for a pin that is in use, out of bounds or does not follow, Unreachable where there are no pins.
    """

    Options = GpioOptions
    lease_s = None
    settle_s = 3.0  # a relay closes within 20 ms; the meter shows it at its next reading or the one after
    every_s = 2.0  # microseconds of work

    def __init__(
        self,
        options: GpioOptions,
        shared: Shared,
        factory: Callable[..., Any] = open_factory,
    ) -> None:
        self._options = options
        self._shared = shared
        self._factory = factory
        self._relay: Any = None
        self._driven: bool | None = None  # what we switched it to; None: as it was found
        self._detail = ""

    async def read(self) -> Report:
        try:
            return self._report()
        except FOREIGN as error:
            raise self._failed(error) from error

    async def apply(self, command: Command) -> Report:
        on = command.watts > 0
        try:
            self._held().value = on
            self._driven, self._detail = on, ""
            report = self._report(command.id, command.load)
        except FOREIGN as error:
            raise self._failed(error) from error
        if report.on is not on:
            await self.close()  # do not go on driving a pin that something drives against
            raise Refused(
                f"GPIO{self._options.pin} was driven {_level(on is self._options.active_high)} and reads the opposite",
                hint="a short at the pin, or another program drives it: look with `pinctrl get`",
            )
        return report

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Tell what could hurt later; the pin is not taken, nothing changes."""
        from loadctl.actuators import gpio_care  # noqa: PLC0415 - it knows this module

        return gpio_care.inspect(self._options, load)

    async def close(self) -> None:
        """Drive the relay off and let go of the pin; the module's text tells what the kernel makes of that."""
        if self._relay is None:
            return
        try:
            self._relay.off()
        except FOREIGN as error:
            raise self._failed(error) from error
        self._let_go()

    def _report(self, command_id: int | None = None, load: str = "") -> Report:
        on = bool(self._held().is_active)
        return Report(
            load=load,
            read_at=self._shared.clock.now(),
            command_id=command_id,
            on=on,
            source=Source.US if on is self._driven else Source.UNKNOWN,
            identity=f"gpio:{self._options.pin}",
            detail=self._detail,
        )

    def _held(self) -> Any:
        """The relay, opened as it is found."""
        if self._relay is None:
            self._relay, found = take(self._options, self._factory)
            self._driven = None if found else False
            self._detail = (
                f"GPIO{self._options.pin} was found driving the relay on and is taken over so" if found else ""
            )
            logger.info("%s", self._detail or f"GPIO{self._options.pin} taken, relay off")
        return self._relay

    def _failed(self, error: Exception) -> DeviceError:
        self._let_go()
        return translated(error, self._options)

    def _let_go(self) -> None:
        relay, self._relay, self._driven = self._relay, None, None
        if relay is not None:
            relay.close()


def take(options: GpioOptions, factory: Callable[..., Any], *, put: bool | None = None) -> tuple[Any, bool]:
    """Take the pin; returns gpiozero's device and whether the relay was found driven on.

    `put` is the state to put it to. Without, an output is adopted as it is and everything else put to off: the level of
    an input is a pull or the board's doing, and nobody's decision.
    """
    pins = factory(options.factory, rest_high=bool(put) is options.active_high)
    pin = pins.pin(options.pin)
    found_on = pin.function == "output" and bool(pin.state) is options.active_high
    relay = DigitalOutputDevice(
        options.pin,
        active_high=options.active_high,
        initial_value=found_on if put is None else put,
        pin_factory=pins,
    )
    return relay, found_on


def translated(error: Exception, options: GpioOptions) -> DeviceError:
    """Say in a householder's words what the kernel or a GPIO library raised."""
    pin = f"GPIO{options.pin}"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, PinUnknownPi):
        return Unreachable(f"{pin}: this machine is no Raspberry Pi", hint="`factory: mock` tries a rule file anywhere")
    if isinstance(error, GPIOPinInUse):
        return Refused(
            str(error),
            hint="one load, one pin, one program: look at the rule file, `gpioinfo` and the overlays in config.txt",
        )
    if number in (errno.EACCES, errno.EPERM):
        return Refused(
            f"{pin}: no permission for {getattr(error, 'filename', None) or 'the GPIO chip'}",
            hint="`sudo usermod -aG gpio USER` and log in again; in a unit file SupplementaryGroups=gpio",
        )
    if number == errno.ENOENT:
        return Unreachable(
            f"{pin}: no GPIO chip of a Raspberry Pi's header found under /dev",
            hint="in a container, hand in the device: `devices: [/dev/gpiochip0]` (Pi 5: also gpiochip4)",
        )
    if number in (errno.ENOTTY, errno.EINVAL):
        return Refused(f"{pin}: this kernel cannot do it ({error})", hint="Linux 5.10 or newer is needed")
    return Unreachable(f"{pin}: {error}")


def advice(options: GpioOptions) -> tuple[str, ...]:
    """What `check` and `doctor` should tell about a choice of pin that works, but may not be meant."""
    pulled_up = options.pin <= 8
    off_high = not options.active_high
    told = []
    if options.pin <= 1:
        told.append(f"GPIO{options.pin} talks to the memory of add-on boards (HATs) while the Pi starts: take 9-27")
    if pulled_up and not off_high:
        told.append(
            f"GPIO{options.pin} is pulled up from power-up until loadctl starts, which an active-high relay may take "
            f"for on: take 9-27, or add `gpio={options.pin}=op,dl` to config.txt"
        )
    if off_high and not pulled_up:
        told.append(
            f"GPIO{options.pin} is pulled down from power-up until loadctl starts; if the relay clicks on meanwhile, "
            f"add `gpio={options.pin}=op,dh` to config.txt or a 10 kΩ resistor from the pin to 3.3 V"
        )
    return tuple(told)


def _level(high: bool) -> str:
    return "high" if high else "low"
