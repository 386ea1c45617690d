"""`loadctl test`: try rules on made-up days before they switch anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from loadctl.errors import Fault
    from loadctl.lab.rehearsal import Trial


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-k", "only", metavar="WORDS", default="", help="Only tests with these words in their name.")
@click.option("--picture", is_flag=True, help="Draw every day, not only those that fail.")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of test files, for editors.")
def test(*, paths: tuple[Path, ...], only: str, picture: bool, as_json: bool, schema: bool) -> None:
    """Live through the days in `home.test.yaml` under the rules of `home.yaml`, and see what is on when.

    PATH is a test file, a rule file that has one beside it, or a directory: all below it are tried. No device is asked
    and no time passes. Each test is one line; of a day that was not as expected there is a picture. The exit code is 1
    if there is one.
    """
    from loadctl.errors import ConfigError
    from loadctl.lab.rehearsal import read, try_out
    from loadctl.lab.rehearsal import schema as made

    if schema:
        click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
        return
    if not paths:
        raise click.UsageError("say what to test: a test file, a rule file, or the directory that they are in")
    trials: list[Trial] = []
    faults: list[Fault] = []
    for file in _files(paths):
        try:
            rehearsals = read(file)
        except ConfigError as error:
            faults += error.faults
            if not as_json:
                click.echo(str(error))
            continue
        for rehearsal in rehearsals:
            if only.lower() in rehearsal.name.lower():
                trials.append(try_out(rehearsal))
                if not as_json:
                    _tell(trials[-1], picture=picture)
    failed = sum(bool(trial.failures) for trial in trials)
    if as_json:
        found = {"tests": [_plain(trial) for trial in trials], "faults": [str(fault) for fault in faults]}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        click.echo(_summary(len(trials), failed, len(faults)))
    if failed or faults:
        sys.exit(1)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    from loadctl.errors import LoadctlError
    from loadctl.lab.rehearsal import SUFFIX

    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob(f"*{SUFFIX}"))
            if not found:
                raise LoadctlError(
                    f"{path}: there is no test in it; a test is a file `home{SUFFIX}` beside `home.yaml`"
                )
            yield from found
            continue
        beside = path.with_name(f"{path.stem}{SUFFIX}")
        if path.name.endswith(SUFFIX):
            yield path
        elif beside.is_file():
            yield beside
        else:
            raise LoadctlError(f"{path}: there is no `{beside.name}` beside it")


def _tell(trial: Trial, *, picture: bool) -> None:
    from loadctl.lab.rehearsal.picture import picture as drawn
    from loadctl.lab.rehearsal.picture import story

    rehearsal = trial.rehearsal
    click.echo(f"{'FAIL' if trial.failures else 'ok  '}  {rehearsal.file}: {rehearsal.name}")
    if trial.failures or picture:
        lines = [line for failure in trial.failures for line in story(failure, trial)]
        for line in (*lines, *([""] if lines else []), *drawn(trial), ""):
            click.echo(f"      {line}".rstrip())


def _plain(trial: Trial) -> dict[str, Any]:
    zone = trial.rehearsal.house.zone
    return {
        "file": trial.rehearsal.file,
        "line": trial.rehearsal.line,
        "name": trial.rehearsal.name,
        "passed": not trial.failures,
        "failures": [failure.plain(zone) for failure in trial.failures],
    }


def _summary(tests: int, failed: int, faults: int) -> str:
    said = "1 test" if tests == 1 else f"{tests} tests"
    said += f", {failed} failed" if failed else ", all well" if tests and not faults else ""
    return said + (f", {'1 fault' if faults == 1 else f'{faults} faults'}" if faults else "")
