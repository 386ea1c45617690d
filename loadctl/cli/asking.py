"""What the commands that ask the daemon for something have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


def ask(chosen: Path | None, question: Mapping[str, Any]) -> None:
    """Ask the daemon and print what it says. The exit code is 2 if it refuses; raises LoadctlError if none runs."""
    from loadctl.service.door import knock
    from loadctl.service.memory import state_dir

    answer = knock(state_dir(chosen, os.environ), question)
    click.echo(answer.get("said", ""), err=not answer.get("ok"))
    if not answer.get("ok"):
        sys.exit(2)
