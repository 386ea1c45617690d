"""`loadctl test`: a line for each test, a picture where one fails, JSON, exit codes, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from loadctl.cli import main
from loadctl.lab.rehearsal import schema
from tests.unit.rehearsal_home import RULES, written

REPOSITORY = Path(__file__).parents[2]
GOOD = """\
given: [house 300 W, car unplugged]
tests:
  the sun heats the boiler:
    given: [11:00 solar 500 W, 11:10-11:40 solar to 4 kW]
    expect: [11:05 boiler off, 11:45 boiler on]
    until: "12:00"
"""
BAD = GOOD.replace("11:45 boiler on", "11:30-11:50 boiler off")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["test", *(str(argument) for argument in arguments)])


@pytest.mark.parametrize("path", ["", "home.yaml", "home.test.yaml"])
def test_a_test_that_is_true_is_one_line(tmp_path, path):
    written(tmp_path, GOOD)
    result = run(tmp_path / path)
    assert result.output.splitlines() == [
        f"ok    {tmp_path}/home.test.yaml: the sun heats the boiler",
        "1 test, all well",
    ]
    assert result.exit_code == 0


def test_where_one_fails_the_day_is_drawn(tmp_path):
    written(tmp_path, BAD)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert result.output.replace(str(tmp_path), "rules") == Path(__file__).with_name("rehearsed.txt").read_text("utf-8")


def test_the_same_day_is_drawn_the_same_again(tmp_path):
    written(tmp_path, BAD)
    assert run(tmp_path).output == run(tmp_path).output


def test_a_day_can_be_drawn_that_is_as_expected(tmp_path):
    written(tmp_path, GOOD)
    result = run(tmp_path, "--picture")
    assert result.exit_code == 0
    assert "Sat 21 Jun 2025" in result.output
    assert "▲" not in result.output


def test_as_json(tmp_path):
    written(tmp_path, BAD)
    result = run(tmp_path, "--json")
    (found,) = json.loads(result.output)["tests"]
    assert result.exit_code == 1
    assert (found["name"], found["line"], found["passed"]) == ("the sun heats the boiler", 3, False)
    (failure,) = found["failures"]
    assert (failure["line"], failure["expected"], failure["was"]) == (5, "11:30-11:50 boiler off", "on, 2 000 W")
    assert failure["at"].startswith("2025-06-21T11:3")


def test_only_some(tmp_path):
    written(tmp_path, GOOD + BAD.partition("tests:\n")[2].replace("the sun heats", "the moon heats"))
    assert run(tmp_path, "-k", "SUN heats").exit_code == 0
    assert run(tmp_path, "-k", "moon").exit_code == 1


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("", "1:1: the file is empty; the smallest has under `tests:`"),
        ("[a]", "1:1: these are no tests"),
        ("tests: {}", "1:1: tests: no test stands here"),
        ("tests:\n  it: {given: 11:00 solar 1 kW}", "2:3: tests.it: `expect` is missing"),
        ("tests:\n  it: {given: [], expects: []}", "2:19: tests.it.expects: `expects` is not a key here; did you mean"),
        ("tests:\n  it: {given: [], expect: []}", "tests.it: when does it begin?"),
        ("tests:\n  it: {given: 11:00 solar 1 kW, expect: []}", "tests.it: a test ends after it begins"),
        ("tests:\n  it: {day: today, given: [], expect: []}", "`today`: a day is written `2025-06-21`"),
        (
            "rules: other.yaml\ntests:\n  it: {given: [], expect: []}",
            "1:1: rules: there is no rule file `other.yaml` beside",
        ),
        ("tests:\n  it: {given: 11:00 solar 1 kW, until: day 60 12:00, expect: []}", "within a month"),
        ("tests:\n  a: {given: [], expect: []}\n  a: {given: [], expect: []}", "3:3: tests.a: `a` stands here twice"),
        (
            "given: [sollar 1 kW]\ntests:\n  it: {given: 11:00 house 0 W, expect: []}",
            "1:9: given[0]: `sollar` is not known",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path, tests, said):
    written(tmp_path, tests)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert said in result.output
    assert result.output.startswith(f"{tmp_path}/home.test.yaml:")


def test_what_is_wrong_with_the_rules_is_told_too(tmp_path):
    written(tmp_path, GOOD, RULES.replace("2 kW", "2000"))
    result = run(tmp_path)
    assert f"{tmp_path}/home.yaml:9:60: loads.boiler.power: `2000` has no unit" in result.output
    assert result.exit_code == 1


def test_nothing_to_test_is_told(tmp_path):
    (tmp_path / "home.yaml").write_text(RULES, "utf-8")
    assert "there is no test in it" in run(tmp_path).output
    assert "there is no `home.test.yaml` beside it" in run(tmp_path / "home.yaml").output
    assert "there is no such file" in run(tmp_path / "nowhere.test.yaml").output
    assert run().exit_code == 2


def test_the_published_schema_is_that_of_the_code_and_fits_the_examples():
    published = json.loads((REPOSITORY / "rules/loadctl.test.schema.json").read_text("utf-8"))
    assert published == schema() == json.loads(run("--schema").output)
    examples = sorted((REPOSITORY / "rules").glob("*.test.yaml"))
    assert examples
    for example in examples:
        data = yaml.load(example.read_text("utf-8"), yaml.BaseLoader)  # a loader that makes only text
        jsonschema.Draft202012Validator(published).validate(data)
