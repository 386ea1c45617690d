"""`loadctl history`: what the memory knows of the past, for spreadsheets and other programs."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadctl.cli.words import read_moment

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group()
def history() -> None:
    """Look into what was measured and decided."""


@history.command()
@click.option("--from", "begin", metavar="TIME", help="Such as 2025-06-01, '2025-06-01 14:30' or 'yesterday 14:00'.")
@click.option("--to", "end", metavar="TIME", help="The same; a day is included as a whole. Default: until now.")
@click.option("--what", type=click.Choice(["minutes", "samples", "decisions", "energy"]), default="minutes")
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: the screen.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the memory is kept.")
def export(
    *, begin: str | None, end: str | None, what: str, form: str, output: Path | None, state_dir: Path | None
) -> None:
    """Write history as a table: minute means, readings of the last day, decisions, or energy by the day.

    Times are the site's. What was not known is left empty: a gap is never filled with zeros.
    """
    from loadctl.service.history import History, write_csv, write_json, write_parquet
    from loadctl.service.memory import FILE
    from loadctl.service.memory import state_dir as folder

    if form == "parquet" and output is None:
        raise click.UsageError("a Parquet file is nothing for the screen: say where to put it with -o FILE")
    path = folder(state_dir, os.environ) / FILE
    with History(path) as past, _readable(path):
        since = read_moment(begin, past.zone, "--from") if begin else datetime.fromtimestamp(0, past.zone)
        until = read_moment(end, past.zone, "--to", end=True) if end else datetime.now(past.zone)
        if since >= until:
            raise click.UsageError("--from must be before --to")
        table = past.table(what, since, until)  # type: ignore[arg-type]
        if form == "parquet" and output is not None:
            with _whole(output) as part:
                write_parquet(table, part, past.zone.key)
            return
        write = write_csv if form == "csv" else write_json
        if output is None:
            write(table, sys.stdout)
            return
        with _whole(output) as part, part.open("w", encoding="utf-8", newline="") as out:
            write(table, out)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        raise click.ClickException(f"{path}: cannot be read to the end: {error}") from error


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """Lend a name beside `output`, which is there in the end as a whole or as it was before."""
    part = output.with_name(f"{output.name}.part")
    try:
        yield part
        part.replace(output)
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
