"""The examples in `rules/`: each can be meant, does what its tests say, and its tests would tell if it did not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import inf
from pathlib import Path

import pytest

from loadctl.config import load
from loadctl.core.values import Verdict
from loadctl.lab.rehearsal import SUFFIX, Rehearsal, Trial, read, trial, try_out
from loadctl.lab.rehearsal.course import Day, Line, Piece
from loadctl.lab.rehearsal.expect import Claim
from loadctl.lab.rehearsal.measure import Measure
from loadctl.lab.rehearsal.trial import missed

RULES = Path(__file__).parents[2] / "rules"
EXAMPLES = sorted(file for file in RULES.glob("*.yaml") if not file.name.endswith(SUFFIX))
TESTS = [(file.name, rehearsal.name) for file in sorted(RULES.glob(f"*{SUFFIX}")) for rehearsal in read(file)]


@cache
def rehearsals(file: str) -> dict[str, Rehearsal]:
    return {rehearsal.name: rehearsal for rehearsal in read(RULES / file)}


@cache
def lived(file: str, name: str) -> Trial:
    return try_out(rehearsals(file)[name])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_example_can_be_meant_and_has_a_test(file):
    house = load(file, {}, lenient=True)
    notes = [str(note) for note in house.notes if "ENVOY_TOKEN" not in note.message]
    assert not [note for note in notes if "it will always run" not in note]
    assert file.with_name(f"{file.stem}{SUFFIX}").is_file()


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_example_does_what_its_tests_say(file, name):
    failures = [f"{failure.expected.text}: {failure.missed.was}" for failure in lived(file, name).failures]
    assert failures == []


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_line_would_fail_if_the_day_were_otherwise(file, name):
    record = lived(file, name).record
    for line in lived(file, name).rehearsal.expected:
        assert opposite(line.claim).missed(record, line.start, line.end) is not None, line.text


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_no_test_is_content_with_rules_that_do_nothing_and_with_rules_that_do_all(file, name):
    rehearsal = rehearsals(file)[name]
    idle, busy = (replace(rehearsal, day=forced(rehearsal, on)) for on in (False, True))
    assert any(missed(day, trial.lived(day)) for day in (idle, busy))


def opposite(claim: Claim) -> Claim:
    """Return a claim that no value meets that meets this one."""
    if claim.on is not None:
        return replace(claim, on=not claim.on)
    if claim.words:
        return replace(claim, words=tuple(word for word in Verdict if word not in claim.words))
    assert claim.measure is not None
    least, most = claim.measure.least, claim.measure.most
    return replace(claim, measure=Measure(most + 1e-6, inf) if most < inf else Measure(-inf, least - 1e-6))


def forced(rehearsal: Rehearsal, on: bool) -> Day:
    """Return the same day with all loads held on, or off, by hand from beginning to end."""
    day = rehearsal.day
    hands = {("hand", load.name): Line([Piece(day.start, inf, on)]) for load in rehearsal.house.site.loads}
    return replace(day, lines={**day.lines, **hands})
