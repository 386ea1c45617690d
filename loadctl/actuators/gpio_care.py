"""What about a relay on a pin could hurt later, as findings of `loadctl doctor`. Takes no pin and changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from loadctl.actuators.draw import judge_draw
from loadctl.actuators.gpio import GpioOptions, advice, translated
from loadctl.actuators.gpio_pins import Kernel, Linux, holder
from loadctl.actuators.gpio_release import Behaviour, release_behaviour
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level

_STRICT = (
    "add `dtparam=strict_gpiod` to /boot/firmware/config.txt and start the Pi anew; until then only the service's "
    "`ExecStopPost` switches it off"
)


def inspect(
    options: GpioOptions, load: Load, *, root: Path = Path("/"), kernel: Kernel | None = None
) -> tuple[Finding, ...]:
    """Judge the choice of pin, what the kernel does with it when we die, and whether we may use it."""
    if options.factory == "mock":
        message = "`factory: mock` switches nothing at all"
        return (Finding("pin", Level.WARNING, message, "delete the line when the relay is connected"),)
    return (_chip(options, kernel or Linux()), *_pin(options), _release(root), judge_draw(load, on=False, watts=None))


def _chip(options: GpioOptions, kernel: Kernel) -> Finding:
    try:
        user = holder(kernel, options.pin)
    except OSError as error:
        told = translated(error, options)
        level = Level.DANGER if error.errno in {errno.EACCES, errno.EPERM, errno.ENOENT} else Level.UNSEEN
        return Finding("chip", level, str(told.args[0]), told.hint)
    if user == "loadctl":
        return Finding("chip", Level.OK, f"GPIO{options.pin} is held by a loadctl that runs")
    if user:
        message = f"GPIO{options.pin} is held by `{user}`"
        return Finding("chip", Level.DANGER, message, "choose a free pin, or take its overlay out of config.txt")
    return Finding("chip", Level.OK, f"GPIO{options.pin} is free, and {_user()} may use it")


def _pin(options: GpioOptions) -> tuple[Finding, ...]:
    told = advice(options)
    if not told:
        return (Finding("pin", Level.OK, f"GPIO{options.pin} is pulled towards off before loadctl starts"),)
    level = Level.WARNING if options.pin <= 8 else Level.NOTE  # the relay may close at power-up, or only click
    found = []
    for number, sentence in enumerate(told):
        message, _, cure = sentence.partition(": ")
        found.append(Finding(f"pin_{number + 1}" if number else "pin", level, message, cure))
    return tuple(found)


def _release(root: Path) -> Finding:
    release = release_behaviour(root)
    if release.behaviour is Behaviour.RELEASED:
        return Finding("release", Level.OK, f"the relay opens when loadctl dies: {release.reason}")
    if release.behaviour is Behaviour.PERSISTS:
        return Finding("release", Level.WARNING, f"an ON stays on when loadctl dies: {release.reason}", _STRICT)
    message = f"whether the relay opens when loadctl dies is not known: {release.reason}"
    return Finding("release", Level.NOTE, message, "try it: kill loadctl while the load is on")


def _user() -> str:
    return "root" if os.geteuid() == 0 else "this user"
