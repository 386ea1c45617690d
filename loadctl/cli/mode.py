"""`loadctl mode`: how a load is run until another mode is chosen."""

from __future__ import annotations

from pathlib import Path

import click

from loadctl.cli.asking import ask


@click.command()
@click.argument("name")
@click.argument("mode", type=click.Choice(["off", "solar", "solar+min", "fast", "auto"]))
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of the daemon that is meant.")
def mode(name: str, mode: str, *, state_dir: Path | None) -> None:
    """Run load NAME in a mode until another is chosen, also after a restart.

    off: not at all. solar: by its rules. solar+min: at its least power at any time and more by its rules; for loads
    with a range of power, such as a car. fast: all it can take, at once. auto: as the rule file says.
    """
    ask(state_dir, {"do": "mode", "load": name, "mode": mode})
