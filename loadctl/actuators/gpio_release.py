"""When nobody drives the pins any more: put them in their safe state from outside, and tell what this kernel does.

`drive_safe` is for `ExecStopPost=` in the unit file, which runs however the daemon ended; `release_behaviour` tells
`doctor` whether it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadctl.actuators.gpio import FOREIGN, GpioOptions, take, translated
from loadctl.actuators.gpio_pins import open_factory
from loadctl.errors import DeviceError, Refused

# Built by Raspberry Pi (6.6.31+rpt-rpi-v8, 6.1.21-v7l+, 6.6.20-v8-16k+) or for it by Ubuntu (6.8.0-1013-raspi).
RASPBERRY_KERNEL = re.compile(r"rpi|raspi|-v[678]l?(-16k)?\+?$")


class Behaviour(StrEnum):
    """What becomes of an output when the program that held it is gone."""

    RELEASED = "released"  # an input again: the pull decides
    PERSISTS = "persists"  # driven on as it was
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Release:
    """What this kernel does with the pins of a program that died, and how we know."""

    behaviour: Behaviour
    reason: str


def drive_safe(
    relays: Iterable[tuple[GpioOptions, bool]], factory: Callable[..., Any] = open_factory
) -> tuple[DeviceError, ...]:
    """Drive each relay to its safe state (the bool: on) and let go; one that fails keeps no other from being driven.

    Returns what went wrong. A pin that loadctl still holds is refused by the kernel: a running daemon is never fought.
    """
    failures: list[DeviceError] = []
    for options, safe_on in relays:
        try:
            relay, _ = take(options, factory, put=safe_on)
            follows = bool(relay.is_active) is safe_on
            relay.close()
        except FOREIGN as error:
            failures.append(translated(error, options))
            continue
        if not follows:
            failures.append(Refused(f"GPIO{options.pin} does not follow", hint="a short, or another program drives it"))
    return tuple(failures)


def release_behaviour(root: Path = Path("/")) -> Release:
    """Tell what happens to a driven pin when its program dies.

    Mainline Linux makes it an input, unless since 6.10 `pinctrl-bcm2835.persist_gpio_outputs` is set. Kernels of
    Raspberry Pi OS leave it driven, unless `dtparam=strict_gpiod` clears that parameter (raspberrypi/linux, pull
    requests 6117 and 6150; for some weeks of 2024 the parameter itself was called strict_gpiod).
    """
    release = _text(root / "proc/sys/kernel/osrelease")
    compatible = _text(root / "proc/device-tree/compatible")
    if "brcm,bcm2" not in compatible:
        return Release(Behaviour.UNKNOWN, "this machine does not say that it is a Raspberry Pi")
    driver = "pinctrl_rp1" if "brcm,bcm2712" in compatible else "pinctrl_bcm2835"
    parameters = root / "sys/module" / driver / "parameters"
    for name, persists in (("persist_gpio_outputs", "Y"), ("strict_gpiod", "N")):
        value = _text(parameters / name)
        if value in ("Y", "N"):
            behaviour = Behaviour.PERSISTS if value == persists else Behaviour.RELEASED
            return Release(behaviour, f"{driver}.{name} is {value}")
    if RASPBERRY_KERNEL.search(release):
        return Release(Behaviour.PERSISTS, f"kernel {release} is built for the Raspberry Pi and has no {driver} switch")
    if release and driver == "pinctrl_bcm2835":
        return Release(Behaviour.RELEASED, f"kernel {release} is mainline Linux")
    return Release(Behaviour.UNKNOWN, f"kernel {release or 'without a name'} says nothing about {driver}")


def _text(path: Path) -> str:
    """Content of a small file of the kernel, or nothing: absent and forbidden are the same to us."""
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
