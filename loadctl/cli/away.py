"""`loadctl away`: nobody is at home, needs wait."""

from __future__ import annotations

from pathlib import Path

import click

from loadctl.cli.asking import ask


@click.command()
@click.argument("how", type=click.Choice(["until", "for", "on", "off"]))
@click.argument("when", nargs=-1)
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of the daemon that is meant.")
def away(how: str, when: tuple[str, ...], *, state_dir: Path | None) -> None:
    """Have needs wait while nobody is at home; what the sun gives is used all the same.

    until 2025-08-12, until "2025-08-12 18:00", for 10 d; on: until told; off: somebody is at home again.
    """
    words = " ".join(when)
    if (how in {"until", "for"}) is not bool(words):
        raise click.UsageError("write `away until 2025-08-12`, `away for 10 d`, `away on` or `away off`")
    ask(state_dir, {"do": "away", "until": {"until": words, "for": f"+{words}"}.get(how, how)})
