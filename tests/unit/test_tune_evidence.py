"""What counts as proof: days that were held back, each change against the rest without it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.lab.tune.evidence import CHANCE, LEAST_DAYS, chance, gain, judge

MONEY = st.floats(-5, 5, allow_nan=False)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ([0.1] * 5, 1 / 32),
        ([0.1] * 4, 1 / 16),
        ([0.1, -0.1], 3 / 4),
        ([0.3, 0.2, -0.1], 2 / 8),  # +++ and what was seen
        ([0.0, 0.0], 1.0),
        ([], 1.0),
        ([-0.1] * 5, 1.0),
    ],
)
def test_the_signs_are_flipped_in_all_ways(saved: list[float], expected: float):
    assert chance(saved) == pytest.approx(expected)


@given(st.lists(MONEY, min_size=1, max_size=9))
def test_a_few_days_prove_no_more_than_they_can(saved: list[float]):
    assert 2.0 ** -len(saved) <= chance(saved) <= 1.0


@given(st.lists(MONEY, min_size=1, max_size=9), st.permutations(range(9)))
def test_the_order_of_the_days_does_not_matter(saved: list[float], order: list[int]):
    shuffled = [saved[index] for index in order if index < len(saved)]
    assert chance(shuffled) == pytest.approx(chance(saved), abs=1e-6)


def test_many_days_are_judged_by_samples_as_by_all_ways():
    dice = random.Random(3)
    saved = [dice.gauss(0.02, 0.05) for _ in range(14)]
    sampled = chance([*saved, 1e-6])  # the fifteenth day changes next to nothing, but it is too many to try all ways
    assert sampled == pytest.approx(chance(saved), abs=0.02)


def test_noise_is_hardly_ever_clear():
    dice = random.Random(1)
    clear = sum(gain([dice.gauss(0, 0.1) for _ in range(10)]).clear(1) for _ in range(1000))
    assert clear <= 1000 * CHANCE * 1.4


def test_of_many_looks_none_is_lucky():
    dice = random.Random(2)
    lucky = 0
    for _ in range(100):
        effects = {f"knob{n}": [dice.gauss(0, 0.1) for _ in range(10)] for n in range(8)}
        lucky += bool(_judge(effects).kept)
    assert lucky <= 100 * CHANCE * 1.6


def test_what_helps_is_kept_and_what_rides_along_is_not():
    verdict = _judge({"start": [0.1] * 7, "min_on": [0.02, -0.02, 0.03, -0.03, 0.02, -0.02, 0.01]})
    assert verdict.kept == ("start",)
    assert verdict.whole.mean == pytest.approx(0.1)
    assert (verdict.gains["start"].better, verdict.gains["start"].worse) == (7, 0)


def test_a_gain_that_is_sure_but_tiny_is_not_worth_the_ink():
    assert _judge({"start": [0.001] * 12}).kept == ()


def test_too_few_days_prove_nothing():
    assert _judge({"start": [1.0] * (LEAST_DAYS - 1)}).kept == ()
    assert _judge({"start": [1.0] * LEAST_DAYS}).kept == ("start",)


def test_two_changes_that_only_help_together_stay_together():
    def money(names: tuple[str, ...]) -> list[float]:
        return [1.0 - 0.1 * ({"start", "stop"} <= set(names))] * 8

    assert judge(["start", "stop"], money).kept == ("start", "stop")


def test_two_changes_of_which_either_will_do_leave_one():
    def money(names: tuple[str, ...]) -> list[float]:
        return [1.0 - 0.1 * bool(names)] * 8

    assert len(judge(["start", "stop"], money).kept) == 1


def _judge(effects: dict[str, list[float]]):
    """Judge changes that each save something of their own."""
    n = len(next(iter(effects.values())))
    return judge(list(effects), lambda names: [3.0 - sum(effects[name][at] for name in names) for at in range(n)])
