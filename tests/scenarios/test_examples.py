"""The examples in `rules/`: each can be meant, does what its tests say, and its tests would tell if it did not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import inf
from pathlib import Path

import pytest

from loadctl.config import load
from loadctl.core.values import Verdict
from loadctl.lab.scenario import SUFFIX, Scenario, Trial, read, try_out
from loadctl.lab.scenario.course import Day, Line, Piece
from loadctl.lab.scenario.expect import Claim
from loadctl.lab.scenario.measure import Measure

RULES = Path(__file__).parents[2] / "rules"
EXAMPLES = sorted(file for file in RULES.glob("*.yaml") if not file.name.endswith(SUFFIX))
TESTS = [(file.name, scenario.name) for file in sorted(RULES.glob(f"*{SUFFIX}")) for scenario in read(file)]


@cache
def scenarios(file: str) -> dict[str, Scenario]:
    return {scenario.name: scenario for scenario in read(RULES / file)}


@cache
def lived(file: str, name: str) -> Trial:
    return try_out(scenarios(file)[name])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_example_can_be_meant_and_has_a_test(file):
    house = load(file, {}, lenient=True)
    assert not [
        str(note) for note in house.notes if "ENVOY_TOKEN" not in note.message and "always run" not in note.message
    ]
    assert file.with_name(f"{file.stem}{SUFFIX}").is_file()


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_example_does_what_its_tests_say(file, name):
    failures = [f"{failure.expected.text}: {failure.missed.was}" for failure in lived(file, name).failures]
    assert failures == []


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_line_would_fail_if_the_day_were_otherwise(file, name):
    record = lived(file, name).record
    for line in lived(file, name).scenario.expected:
        assert opposite(line.claim).missed(record, line.start, line.end) is not None, line.text


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_no_test_is_content_with_rules_that_do_nothing_and_with_rules_that_do_all(file, name):
    scenario = scenarios(file)[name]
    assert any(try_out(replace(scenario, day=forced(scenario, on))).failures for on in (False, True))


def opposite(claim: Claim) -> Claim:
    """Return a claim that no value meets that meets this one."""
    if claim.on is not None:
        return replace(claim, on=not claim.on)
    if claim.words:
        return replace(claim, words=tuple(word for word in Verdict if word not in claim.words))
    assert claim.measure is not None
    least, most = claim.measure.least, claim.measure.most
    return replace(claim, measure=Measure(most + 1e-6, inf) if most < inf else Measure(-inf, least - 1e-6))


def forced(scenario: Scenario, on: bool) -> Day:
    """Return the same day with all loads held on, or off, by hand from beginning to end."""
    day = scenario.day
    hands = {("hand", load.name): Line([Piece(day.start, inf, on)]) for load in scenario.house.site.loads}
    return replace(day, lines={**day.lines, **hands})
