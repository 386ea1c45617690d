"""The page on tuning says what the command does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadctl.cli import main
from loadctl.cli.tune import tune
from loadctl.lab.tune import days, evidence
from tests.tune_homes import TOO_SHY, csv_days

PAGE = (Path(__file__).parents[2] / "rules/tuning.md").read_text("utf-8")
CONSOLE = re.findall(r"```console\n\$ (loadctl tune .*)\n((?:.*\n)*?)```", PAGE)
SHELL = [line.strip() for block in re.findall(r"```sh\n((?:.*\n)*?)```", PAGE) for line in block.splitlines()]
NUMBER = re.compile(r"\d+(\.\d+)?")


def test_the_example_says_what_it_says(tmp_path: Path):
    home, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert home == TOO_SHY
    (tmp_path / "home.yaml").write_text(home)
    (tmp_path / "days").mkdir()
    traces = csv_days(tmp_path / "days", 10)
    call, told = CONSOLE[0]
    words = [word for word in shlex.split(call)[1:] if word != "days/*.csv"]
    words = [str(tmp_path / word) if word.endswith(".yaml") else word for word in words]
    said = CliRunner().invoke(main, [*words, *map(str, traces), "--jobs", "2"])
    assert said.exit_code == 0, said.output
    assert _shape(said.output.replace(f"{tmp_path}/", "")) == _shape(told)
    written = (tmp_path / "tuned.yaml").read_text()
    _, excerpt = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert NUMBER.sub("#", excerpt).replace("# kW", "# W") in NUMBER.sub("#", written).replace("# kW", "# W")


def test_every_command_can_be_called_so():
    calls = [shlex.split(call) for call, _ in CONSOLE]
    calls += [shlex.split(line.replace("$(basename $home .yaml)", "x")) for line in SHELL if line.startswith("loadctl")]
    assert len(calls) == 5
    for _, command, *words in calls:
        assert command == "tune"
        tune.make_context("tune", words)  # raises UsageError


def test_the_workers_of_a_cluster_are_started_so():
    pytest.importorskip("distributed", reason="pip install 'loadctl[tune]'")
    lines = [shlex.split(line, comments=True) for line in SHELL if line.startswith("dask")]
    assert [words[1] for words in lines] == ["scheduler", "worker"]
    for _, command, *words in lines:
        helped = subprocess.run(
            [sys.executable, "-m", "dask", command, "--help"], capture_output=True, text=True, check=True
        )
        assert all(word in helped.stdout for word in words if word.startswith("--"))


def test_the_numbers_are_those_of_the_code():
    assert f"the search\n  takes {days.SEARCHED_AT_MOST} of them" in PAGE
    assert f"at most {days.HELD_AT_MOST} more judge" in PAGE
    assert f"more than {2 * days.SEARCHED_AT_MOST} days" in PAGE
    assert f"saves {evidence.WORTH_IT:g} a day" in PAGE
    assert evidence.CHANCE == 1 / 20
    assert 2 * evidence.LEAST_DAYS == 10
    defaults = {option.name: option.default for option in tune.params}
    assert (defaults["trials"], defaults["patience"]) == (60, 60.0)


def _shape(text: str) -> list[str]:
    """Return lines without the numbers, which change when loadctl learns to control better."""
    return [" ".join(NUMBER.sub("#", line).replace("kW", "W").split()) for line in text.splitlines()]
