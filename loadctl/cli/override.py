"""`loadctl override`: a person's word on one load, above its rules."""

from __future__ import annotations

from typing import Any

import click

from loadctl.cli.asking import tell, wishing
from loadctl.cli.words import Duration


@click.command()
@click.argument("name")
@click.argument("state", type=click.Choice(["on", "off", "auto"]))
@click.option("--for", "for_s", type=Duration(), help="How long, such as `2h`; without it the load's `hand_hold`.")
@wishing
def override(name: str, state: str, *, for_s: float | None, **asking: Any) -> None:
    """Hold load NAME on or off, or give it back to its rules (auto).

    It breaks every rule but the fuse, an outage and a compressor's rest. The exit code is 2 if no daemon runs or it
    knows no such load.
    """
    tell(f"/loads/{name}/override", {"state": state, "for_s": for_s}, **asking)
