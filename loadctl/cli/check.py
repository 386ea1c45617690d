"""`loadctl check`: find what is wrong with rule files before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadctl.config import House


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--secrets", is_flag=True, help="Secrets that are not set here are faults too.")
def check(files: tuple[Path, ...], *, secrets: bool) -> None:
    """Check rule files; no device is asked.

    Each fault is one line: file:line:column: key: what is wrong and what to write. The exit code is 1 if there is one.
    """
    from loadctl.config import load
    from loadctl.errors import ConfigError

    faults = 0
    for file in files:
        try:
            house = load(file, lenient=not secrets)
        except ConfigError as error:
            click.echo(str(error))
            faults += len(error.faults)
            continue
        for note in house.notes:
            click.echo(f"{note} (a note, no fault)")
        click.echo(f"{file}: fine, {_loads(house)}")
    if faults:
        click.echo("1 fault" if faults == 1 else f"{faults} faults", err=True)
        sys.exit(1)


def _loads(house: House) -> str:
    return "1 load" if len(house.site.loads) == 1 else f"{len(house.site.loads)} loads"
