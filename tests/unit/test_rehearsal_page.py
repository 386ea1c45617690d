"""The page about testing rules says what can be written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadctl.cli.test import test as command
from loadctl.lab.rehearsal import try_out
from loadctl.lab.rehearsal.reading import DayKeys, FileKeys, parse
from tests.unit.rehearsal_home import rehearsal, written

PAGE = (Path(__file__).parents[2] / "rules/testing.md").read_text("utf-8")
GIVEN, EXPECTED = (
    PAGE.partition(f"## What can be {what}\n")[2].partition("\n## ")[0] for what in ("given", "expected")
)


def lines(section: str) -> list[str]:
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [line for cell in cells for line in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("line", lines(GIVEN))
def test_what_the_page_gives_can_be_given(tmp_path, line):
    assert rehearsal(tmp_path, f"06:00 house 0 W\n{line}", until='"20:00"').day.lines


@pytest.mark.parametrize("line", lines(EXPECTED))
def test_what_the_page_expects_can_be_expected(tmp_path, line):
    assert rehearsal(tmp_path, "06:00 house 0 W", line, until='"20:00"').expected


def test_the_example_is_true(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = written(tmp_path, example)
    (rehearsed,) = parse(example, file)
    assert [failure.expected.text for failure in try_out(rehearsed).failures] == []


def test_every_key_and_option_is_named():
    keys = {*FileKeys.__dataclass_fields__, *DayKeys.__dataclass_fields__}
    assert keys == set(re.findall(r"^\| `(\w+)` \|", PAGE.partition("## The file")[2], re.MULTILINE))
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    assert {option for option in options if f"`{option}" not in PAGE} <= {"--schema"}
