"""`loadctl boost`: give a load something once, sun or no sun."""

from __future__ import annotations

from typing import Any

import click

from loadctl.cli.asking import tell, wishing


@click.command()
@click.argument("name")
@click.argument("what", nargs=-1, required=True)
@click.option(
    "--by", help="When it must be done, such as `17:00`, `sunset` or `+2 h`; without it as soon as it can be."
)
@wishing
def boost(name: str, what: tuple[str, ...], *, by: str | None, **asking: Any) -> None:
    """Give load NAME something once: energy (3 kWh), time (2 h), all it takes (full), or none any more (off).

    It waits for the sun as long as it can, and is done by its time whatever the weather. What a need of the rules
    measures can be named as well: 60 °C, 80 %.
    """
    tell(f"/loads/{name}/boost", {"what": " ".join(what), "by": by}, **asking)
