"""`loadctl doctor`: look at everything that could hurt later, and put right what can be."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadctl.cli.words import Duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadctl.drivers import Finding
    from loadctl.service.doctor import Diagnosis

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "danger": "bold red", "unseen": "magenta"}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Put right what can be: settings of devices, permissions of files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.option("--measure", type=Duration(), default="20 s", show_default=True, help="How long to watch the meter.")
@click.option("--limit", type=Duration(), default="60 s", show_default=True, help="The longest a device is waited for.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the memory is kept.")
def doctor(file: Path, *, fix: bool, as_json: bool, measure: float, limit: float, state_dir: Path | None) -> None:
    """Look at everything in the house of FILE that could hurt later; nothing is switched.

    The exit code is 0 if there is nothing to do, 1 for a warning, a danger or a FILE that cannot be used, and 2 if
    something could not be looked at.
    """
    from loadctl.config import load
    from loadctl.drivers import LoopClock, Shared
    from loadctl.service.doctor import Machine, examine

    house = load(file)
    if sys.stderr.isatty():
        click.echo(f"asking all devices and watching the meter for {measure:.0f} s…", err=True)
    shared = Shared(LoopClock(house.zone))
    diagnoses = asyncio.run(examine(house, shared, Machine(state_dir), fix=fix, limit_s=limit, measure_s=measure))
    if as_json:
        print(json.dumps([_row(diagnosis.device, one) for diagnosis in diagnoses for one in diagnosis.findings]))
    else:
        _show(diagnoses)
    levels = {finding.level for diagnosis in diagnoses for finding in diagnosis.findings}
    sys.exit(2 if "unseen" in levels else 1 if levels & {"warning", "danger"} else 0)


def _row(device: str, finding: Finding) -> dict[str, str | bool]:
    return {
        "device": device,
        "level": str(finding.level),
        "check": finding.check,
        "message": finding.message,
        "advice": finding.advice,
        "fixed": finding.fixed,
    }


def _show(diagnoses: Sequence[Diagnosis]) -> None:
    """Print a group for each device: on a terminal in colours and wrapped, else one line per finding."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for diagnosis in diagnoses:
        console.print(Text(diagnosis.title, "bold"), soft_wrap=True)
        table = Table.grid(padding=(0, 2))
        for finding in diagnosis.findings:
            word = "fixed" if finding.fixed else str(finding.level)
            if console.is_terminal:
                table.add_row("", Text(f"{word:7}", STYLES[finding.level]), Text(_sentence(finding)))
            else:
                console.print(Text(f"  {word:7}  {_sentence(finding)}"), soft_wrap=True)
        if console.is_terminal:
            console.print(table)
    console.print(Text(_summary(diagnoses)), soft_wrap=True)


def _sentence(finding: Finding) -> str:
    return f"{finding.message} → {finding.advice}" if finding.advice else finding.message


def _summary(diagnoses: Sequence[Diagnosis]) -> str:
    findings = [finding for diagnosis in diagnoses for finding in diagnosis.findings]
    count = Counter(str(finding.level) for finding in findings)
    words = {"danger": "danger", "warning": "warning", "note": "note"}
    told = [f"{count[level]} {word}{'' if count[level] == 1 else 's'}" for level, word in words.items() if count[level]]
    told += [f"{count['unseen']} not looked at"] if count["unseen"] else []
    fixed = sum(finding.fixed for finding in findings)
    told += [f"{fixed} fixed"] if fixed else []
    return ", ".join(told) if told else "all is well"
