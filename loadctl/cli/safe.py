"""`loadctl safe`: every load of a rule file to its safe state, without a daemon."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from loadctl.actuators.gpio import GpioOptions
    from loadctl.config import Device
    from loadctl.core.rules import Load

LIMIT_S = 15.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the daemon keeps which device belongs to which load: no other is switched.",
)
def safe(file: Path, *, state_dir: Path | None) -> None:
    """Put every load of FILE in its safe state and tell which could not be.

    For when no daemon does it: systemd calls it after each end of the service. A GPIO pin that a running daemon holds
    is left to it. If FILE cannot be used, the rules count that loadctl ran on last; a load that FILE no longer has is
    made safe by them, too. The exit code is 1 where there are none either, and 2 if a load could not be made safe.
    """
    from loadctl.service.memory import state_dir as found

    folder = found(state_dir, os.environ)
    failures = asyncio.run(_make_safe(_loads(file, folder), folder))
    for name, why in failures.items():
        click.echo(f"{name}: not made safe: {why}", err=True)
    if failures:
        sys.exit(2)


def _loads(file: Path, folder: Path) -> list[tuple[Load, Device]]:
    """Return the loads of `file` and those that it no longer has, as they ran last; if it cannot be used, only these.

    Raises ConfigError.
    """
    from loadctl.config import load
    from loadctl.errors import ConfigError
    from loadctl.service.changeover import gone
    from loadctl.service.rules import COPY, recall

    before = recall(folder, file)
    try:
        house = load(file)
    except ConfigError as error:
        if before is None:
            raise
        click.echo(f"{error}\n{file} cannot be used: loads go by the rules that ran last ({folder / COPY})", err=True)
        house = before
    loads = [(rule, house.actuators[rule.name]) for rule in house.site.loads]
    return loads if before is None else loads + gone(before, house)


async def _make_safe(loads: list[tuple[Load, Device]], folder: Path) -> dict[str, str]:
    """Return the loads that could not be made safe, with the reasons."""
    from loadctl.actuators.gpio_release import drive_safe
    from loadctl.drivers import LoopClock, Shared
    from loadctl.errors import DeviceError
    from loadctl.service.changeover import address, safe_wish
    from loadctl.service.mailbox import Mailbox
    from loadctl.service.memory import FILE
    from loadctl.service.store import read_saved
    from loadctl.service.switchboard import make_safe

    saved = read_saved(folder / FILE)
    known = saved.loads if saved is not None else {}
    shared = Shared(LoopClock(UTC))
    wishes, failures = [], {}
    for rule, device in loads:
        pin = _pin(device)
        if pin is not None:
            # a pin that is let go of turns off; only from outside it can be left on
            for error in drive_safe([(pin, rule.safe_on)]):
                failures[rule.name] = str(error)
            continue
        row = known.get(rule.name)
        identity = row.identity if row is not None and row.address == address(device) else None
        mailbox = Mailbox(rule.name, device.build(shared), shared.clock, identity=identity)
        wishes.append((mailbox, safe_wish(rule)))
    for (mailbox, _), report in zip(wishes, await make_safe(wishes, LIMIT_S), strict=True):
        if report.error is not None:
            failures[mailbox.load] = report.detail
        try:
            await mailbox.close()
        except DeviceError as error:
            failures.setdefault(mailbox.load, str(error))
    return failures


def _pin(device: Device) -> GpioOptions | None:
    """Return the pin that a load hangs on, None if it hangs on none."""
    options = device.options.relay if device.driver == "gpio-burst" else device.options
    return cast("GpioOptions", options) if device.driver in {"gpio", "gpio-burst"} else None
