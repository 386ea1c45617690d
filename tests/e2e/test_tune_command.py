"""`loadctl tune`, as a person calls it: real days lived in real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadctl.cli import main
from loadctl.lab.scenario_file import read_scenario
from loadctl.units import read
from tests.tune_homes import TOO_SHY, csv_days, day

SOON = ("--trials", 8, "--jobs", 2)


def _run(*args: object):
    return CliRunner().invoke(main, ["tune", *map(str, args)])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    file = tmp_path / "home.yaml"
    file.write_text(TOO_SHY)
    return file


def test_a_rule_that_is_too_shy_is_found_explained_and_written(tmp_path: Path, home: Path):
    target = tmp_path / "tuned.yaml"
    said = _run(home, *csv_days(tmp_path, 10), *SOON, "--write", target)
    assert said.exit_code == 0, said.output
    assert "the search saw 5 days, 5 days only judged" in said.output
    (limit,) = re.findall(r"- boiler: `grid_limit: (.*?)` instead of `0 W`: saves 0\.", said.output)
    assert "better on 5 days, worse on 0; by chance once in 32 times" in said.output
    text = target.read_text()
    assert "      # tuned: was `0 W`; saves 0." in text
    assert f"      grid_limit: {limit}   # never pay\n" in text
    assert "# the boiler of the old house" in text
    assert read_scenario(target).on(day(0)).loads[0].start_w == 2000.0 - read(limit, "W")


def test_nothing_is_proposed_on_too_few_days_and_nothing_is_written(tmp_path: Path, home: Path):
    target = tmp_path / "tuned.yaml"
    said = _run(home, *csv_days(tmp_path, 4, minutes=10), *SOON, "--write", target)
    assert said.exit_code == 0, said.output
    assert "Nothing is proposed: 2 days held back are too few" in said.output
    assert not target.exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path, home: Path):
    said = _run(home, *csv_days(tmp_path, 2, minutes=10), *SOON, "--write", home)
    assert said.exit_code == 2
    assert said.output == f"loadctl: {home} exists; name another file, or write over it with --force\n"


def test_what_could_not_be_written_is_told_before_the_search(tmp_path: Path, home: Path):
    folder = tmp_path / "nowhere"
    said = _run(home, *csv_days(tmp_path, 2, minutes=10), *SOON, "--write", folder / "tuned.yaml")
    assert said.exit_code == 2
    assert said.output.endswith(f"cannot be written: there is no folder {folder} that you may write to\n")
    assert home.read_text() == TOO_SHY


def test_a_rule_file_is_tuned_with_a_house_of_its_own(tmp_path: Path, home: Path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1   # mine\nsite: {timezone: UTC}\nmeter: {driver: envoy, token: '${A_TOKEN}'}\nloads:\n"
        "  boiler: {actuator: {driver: shelly, host: h}, power: 2 kW, grid_limit: 0 W}   # never pay\n"
    )
    target = tmp_path / "tuned.yaml"
    said = _run(rules, *csv_days(tmp_path, 10), *SOON, "--house", home, "--json", "--write", target)
    assert said.exit_code == 0, said.output
    told = json.loads(said.output)
    limit = told["proposed"].pop("loads.boiler.grid_limit")
    assert not told["proposed"]
    assert told["after"]["held_back"]["money"] < told["before"]["held_back"]["money"] - 0.01
    assert f"power: 2 kW, grid_limit: {limit}}}   # never pay\n" in target.read_text()
    assert "'${A_TOKEN}'" in target.read_text()
    checked = CliRunner().invoke(main, ["check", str(target)])
    assert checked.exit_code == 0, checked.output


def test_a_home_of_which_nothing_is_known_is_told_what_is_missing(tmp_path: Path):
    home = tmp_path / "home.yaml"
    home.write_text("rules: {loads: {fan: {power: 1 kW}}}\n")
    said = _run(home, *csv_days(tmp_path, 2, minutes=10))
    assert said.exit_code == 2
    assert said.output.startswith(f"loadctl: {home}: nothing to tune; fan is left alone: nothing says what it must get")
    assert len(said.output.splitlines()) == 1


def test_a_study_about_other_days_is_refused_in_one_line(tmp_path: Path, home: Path):
    files = csv_days(tmp_path, 3, minutes=10)
    store = f"sqlite:///{tmp_path}/study.db"
    first = _run(home, *files[:2], "--trials", 2, "--jobs", 1, "--storage", store, "--only-search")
    assert first.exit_code == 0, first.output
    assert "the study `home` is done: 2 rules were tried" in first.output
    other = _run(home, *files, "--trials", 2, "--jobs", 1, "--storage", store)
    assert other.exit_code == 2
    assert other.output.startswith("loadctl: the study `home` in this storage is about other rules, other days")
    assert len(other.output.splitlines()) == 1


def test_a_scheduler_that_is_not_there_is_told_in_one_line(tmp_path: Path, home: Path):
    said = _run(home, *csv_days(tmp_path, 2, minutes=10), "--cluster", "tcp://127.0.0.1:1")
    assert said.exit_code == 2
    assert said.output.splitlines()[-1].startswith("loadctl: tcp://127.0.0.1:1: no Dask scheduler answers there")


@pytest.mark.parametrize("missing", ["optuna", "distributed"])
def test_what_is_not_installed_is_named_with_the_way_to_get_it(tmp_path: Path, home: Path, missing: str):
    (trace,) = csv_days(tmp_path, 1, minutes=10)
    # None in the table of modules is Python's own way to say that there is none.
    code = f"import sys; sys.modules[{missing!r}] = None; from loadctl.cli import main; main()"
    call = [sys.executable, "-c", code, "tune", str(home), str(trace), "--cluster", "tcp://127.0.0.1:9"]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"loadctl: tuning needs {missing}: pip install 'loadctl[tune]'\n"
