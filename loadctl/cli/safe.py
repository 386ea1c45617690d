"""`loadctl safe`: every load of a rule file to its safe state, without a daemon."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadctl.config import House

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
    is left to it. The exit code is 1 for a FILE that cannot be used and 2 if a load could not be made safe.
    """
    from loadctl.config import load

    failures = asyncio.run(_make_safe(load(file), state_dir))
    for name, why in failures.items():
        click.echo(f"{name}: not made safe: {why}", err=True)
    if failures:
        sys.exit(2)


async def _make_safe(house: House, chosen: Path | None) -> dict[str, str]:
    """Return the loads that could not be made safe, with the reasons."""
    from loadctl.actuators.gpio_release import drive_safe
    from loadctl.core.values import Command
    from loadctl.drivers import LoopClock, Shared
    from loadctl.service.changeover import address
    from loadctl.service.memory import FILE, state_dir
    from loadctl.service.store import read_saved
    from loadctl.service.switchboard import Mailbox, make_safe

    saved = read_saved(state_dir(chosen, os.environ) / FILE)
    known = saved.loads if saved is not None else {}
    shared = Shared(LoopClock(house.zone))
    wishes, failures = [], {}
    for rule in house.site.loads:
        device = house.actuators[rule.name]
        if device.driver == "gpio":
            # a pin that is let go of turns off; only from outside it can be left on
            for error in drive_safe([(device.options, rule.safe_on)]):
                failures[rule.name] = str(error)
            continue
        row = known.get(rule.name)
        identity = row.identity if row is not None and row.address == address(device) else None
        mailbox = Mailbox(rule.name, device.build(shared), shared.clock, identity=identity)
        wishes.append((mailbox, Command(0, rule.name, rule.power_w if rule.safe_on else 0.0, lease_s=rule.lease_s)))
    for (mailbox, _), report in zip(wishes, await make_safe(wishes, LIMIT_S), strict=True):
        if report.error is not None:
            failures[mailbox.load] = report.detail
        await mailbox.close()
    return failures
