"""`loadctl schema`: what editors need for completion and hover help."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of rule files.

    Save it beside your rule file and begin the file with `# yaml-language-server: $schema=./loadctl.schema.json`:
    editors then complete keys, show help and underline mistakes.
    """
    from loadctl.config.schema import schema as made

    click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
