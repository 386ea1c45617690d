"""`loadctl schema`: what editors need for completion and hover help, and the tables of the reference page."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.option(
    "--page",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instead bring the key tables of this Markdown page up to date, such as rules/README.md.",
)
def schema(page: Path | None) -> None:
    """Print the JSON Schema of rule files.

    Save it beside your rule file and begin the file with `# yaml-language-server: $schema=./loadctl.schema.json`:
    editors then complete keys, show help and underline mistakes.
    """
    from loadctl.config.reference import filled
    from loadctl.config.schema import schema as made

    if page is None:
        click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
    else:
        page.write_text(filled(page.read_text("utf-8"), made()), "utf-8")
