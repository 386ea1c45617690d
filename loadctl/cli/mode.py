"""`loadctl mode`: how a load is run until another mode is chosen."""

from __future__ import annotations

from typing import Any

import click

from loadctl.cli.asking import tell, wishing


@click.command()
@click.argument("name")
@click.argument("mode", type=click.Choice(["off", "solar", "solar+min", "fast", "auto"]))
@wishing
def mode(name: str, mode: str, **asking: Any) -> None:
    """Run load NAME in a mode until another is chosen, also after a restart.

    off: not at all. solar: by its rules. solar+min: at its least power at any time and more by its rules; for loads
    with a range of power, such as a car. fast: all it can take, at once. auto: as the rule file says.
    """
    tell(f"/loads/{name}/mode", {"mode": mode}, **asking)
