"""`loadctl demo`: the main job on an embedded home, no hardware needed."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from loadctl.cli.words import Duration


@click.command()
@click.option("--for", "for_s", type=Duration(), help="End by itself after this time, such as `10s` or `2 min`.")
@click.option("--speed", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Times real speed.")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="Of the HTTP side.")
def demo(*, for_s: float | None, speed: float, port: int) -> None:
    """Watch an emulated home being controlled.

    The real daemon reads an emulated Envoy and switches two emulated Shellys and an emulated go-e wallbox over real
    HTTP on this machine; its car comes home at noon. The exit code is 2 if a load's safe state could not be confirmed
    at the end.
    """
    from rich.console import Console

    from loadctl.lab.demo import play

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    console = Console()
    port = _free(port)
    if not asyncio.run(play(console, speed=speed, for_s=for_s, port=port)):
        sys.exit(2)


def _free(port: int) -> int:
    """Return `port`, or another one if something listens there already: a demo is no reason to stop it."""
    from loadctl.web.server import listen

    for wanted in (port, 0):
        try:
            with listen("127.0.0.1", wanted) as listener:
                found: int = listener.getsockname()[1]
                return found
        except OSError:
            click.echo(f"port {wanted} is taken, using another", err=True)
    return port
