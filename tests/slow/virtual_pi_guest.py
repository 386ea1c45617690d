"""Runs inside the virtual Pi: lives and deaths of a program that holds two relays, told as JSON lines.

What the pins did is not asked of the driver: levels and functions come from the pin controller's debugfs file, the
order of events from the kernel's own trace of its GPIO calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from loadctl.actuators.gpio import Gpio, GpioOptions
from loadctl.actuators.gpio_burst import GpioBurst, GpioBurstOptions
from loadctl.actuators.gpio_release import drive_safe, release_behaviour
from loadctl.core.values import Command, Report
from loadctl.drivers import LoopClock, Shared
from loadctl.errors import DeviceError

HIGH, LOW = 17, 27  # GPIO17 holds an active-high board, GPIO27 an active-low one
TRACE = Path("/sys/kernel/tracing")
ON, OFF = Command(1, "pump", 1100.0), Command(2, "pump", 0.0)


def options(pin: int) -> GpioOptions:
    keys = {"pin": pin, "failsafe": "none", "active_high": pin == HIGH}
    return TypeAdapter(GpioOptions).validate_python(keys)


def gpio(pin: int) -> Gpio:
    return Gpio(options(pin), Shared(LoopClock(UTC)))


def burst(pin: int) -> GpioBurst:
    keys = {"pin": pin, "rated": 3000.0, "failsafe": "none", "active_high": pin == HIGH, "min_pulse": 3}
    return GpioBurst(TypeAdapter(GpioBurstOptions).validate_python(keys), Shared(LoopClock(UTC)))


async def fire(pin: int) -> None:
    """Half the power for a while, then all of it until a kill."""
    ssr = burst(pin)
    await ssr.apply(Command(1, "heater", 1500.0))
    for _ in range(3):
        await asyncio.sleep(1.0)
        report = await ssr.read()
    tell("half", pin, report)
    await ssr.close()
    tell("half closed", pin)
    tell("full", pin, await burst(pin).apply(Command(2, "heater", 3000.0)))
    os.kill(os.getpid(), signal.SIGKILL)


def pad(pin: int) -> str:
    """Such as `output high`: the pin controller's view."""
    [pins] = Path("/sys/kernel/debug/pinctrl").glob("3f200000.gpio*/pins")
    found = re.search(rf"^pin {pin} .*function (\w+) in (hi|lo)", pins.read_text(), re.MULTILINE)
    if found is None:
        return "unknown"
    function = {"gpio_in": "input", "gpio_out": "output"}.get(found[1], found[1])
    return f"{function} {'high' if found[2] == 'hi' else 'low'}"


def traced(pin: int) -> list[str]:
    """The kernel's GPIO calls for this pin since the last look: `set 1`, `get 0`, `out`, `in`."""
    text = (TRACE / "trace").read_text()
    bases = {int(number) for number in re.findall(r"gpio_(?:value|direction): (\d+)", text)}
    base = next(
        (number - number_of for number in bases for number_of in (HIGH, LOW) if _is_base(number - number_of)), 0
    )
    calls = re.findall(rf"gpio_(?:value|direction): {base + pin}\s+(set \d|get \d|out|in)", text)
    return [call for call in calls if not call.startswith("get")]


def _is_base(number: int) -> bool:
    return any(
        (chip / "label").read_text().startswith("pinctrl-bcm2835") and int((chip / "base").read_text()) == number
        for chip in Path("/sys/class/gpio").glob("gpiochip*")
    )


def say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def tell(case: str, pin: int, report: Report | None = None, **more: object) -> None:
    said = {"on": report.on, "source": str(report.source), "detail": report.detail} if report else {}
    say({"case": case, "pin": pin, "pad": pad(pin), "calls": traced(pin), **said, **more})
    (TRACE / "trace").write_text("")


def in_child(life: Callable[[], None]) -> int:
    """Run `life` in a process of its own; returns how it ended, negative for a signal."""
    child = os.fork()
    if child == 0:
        life()
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    (TRACE / "events/gpio/enable").write_text("1")
    told = release_behaviour()
    say({"case": "kernel", "behaviour": str(told.behaviour), "reason": told.reason})
    for pin in (HIGH, LOW):
        tell("power-up", pin)

        def start(pin: int = pin) -> None:
            relay = gpio(pin)
            tell("start", pin, asyncio.run(relay.read()))
            os.kill(os.getpid(), signal.SIGKILL)

        def run(ending: int, pin: int = pin) -> None:
            relay = gpio(pin)
            tell("on", pin, asyncio.run(relay.apply(ON)))
            if ending:
                os.kill(os.getpid(), ending)
            asyncio.run(relay.close())

        def start_again(pin: int = pin) -> None:
            relay = gpio(pin)
            tell("start again", pin, asyncio.run(relay.read()))
            os.kill(os.getpid(), signal.SIGKILL)

        in_child(start)
        tell("closed", pin, ended=in_child(partial(run, 0)))
        tell("SIGTERM", pin, ended=in_child(partial(run, signal.SIGTERM)))
        tell("SIGKILL", pin, ended=in_child(partial(run, signal.SIGKILL)))
        in_child(start_again)
        tell("killed again", pin)
        tell("drive_safe", pin, failures=[str(error) for error in drive_safe([(options(pin), False)])])

        def fire_and_die(pin: int = pin) -> None:
            asyncio.run(fire(pin))

        def find(pin: int = pin) -> None:
            tell("full found", pin, asyncio.run(burst(pin).read()))

        tell("full killed", pin, ended=in_child(fire_and_die))
        in_child(find)

    holder = gpio(HIGH)
    asyncio.run(holder.apply(ON))

    def second() -> None:
        try:
            asyncio.run(gpio(HIGH).read())
        except DeviceError as error:
            tell("second program", HIGH, error=str(error))

    in_child(second)
    asyncio.run(holder.close())


if __name__ == "__main__":
    main()
