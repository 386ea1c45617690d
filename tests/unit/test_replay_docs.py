"""The page about replaying says what is true: its commands are run, and their output is what is printed there.

Decisions become better from time to time: numbers may differ from those on the page by a little, words may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadctl.cli import main
from loadctl.cli.replay import replay
from loadctl.lab.formats.home_assistant import ROLES
from loadctl.lab.formats.table import KNOWN

RULES = Path(__file__).parents[2] / "rules"
PAGE = (RULES / "replaying.md").read_text("utf-8")
NUMBER = re.compile(r"-?\d+(?:[.\u202f\u00a0]\d+)*")
A_LITTLE = 0.25


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    boiler = (RULES / "boiler-shelly.yaml").read_text("utf-8")
    (tmp_path / "boiler-shelly.yaml").write_text(boiler, "utf-8")
    patient = re.sub(r"start: .*", "start: 2 kW for 5 min", boiler)
    (tmp_path / "patient.yaml").write_text(re.sub(r"stop: import \d+ W", "stop: import 200 W", patient), "utf-8")
    (tmp_path / "one-day.csv").write_text((RULES / "one-day.csv").read_text("utf-8"))
    (tank,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "tank.yaml").write_text(tank, "utf-8")
    with chdir(tmp_path):
        yield tmp_path


def words(line: str) -> str:
    return re.sub(r" +", " ", NUMBER.sub("0", line)).strip()


@pytest.mark.parametrize(
    ("command", "printed"), re.findall(r"```console\n\$ loadctl ([^\n]*)\n(.*?)```", PAGE, re.DOTALL)
)
def test_what_is_printed_is_true(folder, command, printed):
    said = CliRunner().invoke(main, command.split())
    assert said.exit_code == 0, said.output
    table, _, apart = printed.partition("\n\n")
    really, _, really_apart = said.stdout.partition("\n\n")
    for line, real in zip(table.splitlines(), really.splitlines(), strict=True):
        assert words(line) == words(real)
        for mine, other in zip(NUMBER.findall(line), NUMBER.findall(real), strict=True):
            assert float(mine) == pytest.approx(float(other), rel=A_LITTLE, abs=1.5)
    known = {words(line) for line in really_apart.splitlines()}
    lines = [line for line in apart.splitlines() if line != "..."]
    assert [line for line in lines if words(line) not in known] == []


def test_a_scenario_file_alone_is_a_home(folder):
    said = CliRunner().invoke(main, ["replay", "tank.yaml", "one-day.csv", "--to", "2025-05-14 08:00"])
    assert said.exit_code == 0, said.output
    assert said.stderr == ""


def test_every_option_column_and_role_is_named():
    options = {option for parameter in replay.params for option in parameter.opts if option.startswith("--")}
    assert {option for option in options if f"`{option}" not in PAGE} == set()
    assert {name for name in KNOWN if f"`{name}`" not in PAGE} == set()
    assert {role for role in ROLES if f"`{role}`" not in PAGE} == set()
