"""`loadctl boost`: give a load something once, sun or no sun."""

from __future__ import annotations

from pathlib import Path

import click

from loadctl.cli.asking import ask


@click.command()
@click.argument("name")
@click.argument("what", nargs=-1, required=True)
@click.option(
    "--by", help="When it must be done, such as `17:00`, `sunset` or `+2 h`; without it as soon as it can be."
)
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of the daemon that is meant.")
def boost(name: str, what: tuple[str, ...], *, by: str | None, state_dir: Path | None) -> None:
    """Give load NAME something once: energy (3 kWh), time (2 h), all it takes (full), or none any more (off).

    It waits for the sun as long as it can, and is done by its time whatever the weather. What a need of the rules
    measures can be named as well: 60 °C, 80 %.
    """
    ask(state_dir, {"do": "boost", "load": name, "what": " ".join(what), "by": by})
