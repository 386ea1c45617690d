"""`loadctl away`: nobody is at home, needs wait."""

from __future__ import annotations

from typing import Any

import click

from loadctl.cli.asking import tell, wishing


@click.command()
@click.argument("how", type=click.Choice(["until", "for", "on", "off"]))
@click.argument("when", nargs=-1)
@wishing
def away(how: str, when: tuple[str, ...], **asking: Any) -> None:
    """Have needs wait while nobody is at home; what the sun gives is used all the same.

    until 2025-08-12, until "2025-08-12 18:00", for 10 d; on: until told; off: somebody is at home again.
    """
    words = " ".join(when)
    if (how in {"until", "for"}) is not bool(words):
        raise click.UsageError("write `away until 2025-08-12`, `away for 10 d`, `away on` or `away off`")
    tell("/away", {"until": {"until": words, "for": f"+{words}"}.get(how, how)}, **asking)
