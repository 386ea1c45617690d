"""What a condition says of values that change, age and go missing, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from loadctl.core.conditions import TRUTH, Compare, Condition, Every, Op, Term, names, weigh
from loadctl.core.values import Input
from loadctl.telling.conditions import sentence, spell_test


def at_60(op: Op, band: float = 3.0) -> Condition:
    test = Compare(0, Term(inputs=(("tank", 1.0),)), op, Term(60.0), band, "°C")
    return Condition(f"tank {op} 60 °C", test)


def told(**values: float) -> dict[str, Input]:
    return {name: Input(value, 0.0) for name, value in values.items()}


def course(condition: Condition, temperatures: list[float | None]) -> list[bool]:
    """Weigh a row of values of `tank`, one after the other; None: it is not known."""
    truths: tuple[bool | None, ...] = ()
    found = []
    for value in temperatures:
        holds, truths = weigh(condition, {} if value is None else told(tank=value), 0.0, truths)
        found.append(holds)
    return found


NO, YES = False, True


@pytest.mark.parametrize(
    ("op", "temperatures", "expected"),
    [
        # the limit ends what holds, and it takes the band to begin
        ("<", [59.9, 57, 56.9, 57, 59.9, 60, 59.9, 57, 56.9], [NO, NO, YES, YES, YES, NO, NO, NO, YES]),
        ("<=", [60, 57.1, 57, 57.1, 60, 60.1, 60, 57.1], [NO, NO, YES, YES, YES, NO, NO, NO]),
        (">", [60.1, 63, 63.1, 63, 60.1, 60, 60.1, 63], [NO, NO, YES, YES, YES, NO, NO, NO]),
        (">=", [60, 62.9, 63, 62.9, 60, 59.9, 60, 62.9], [NO, NO, YES, YES, YES, NO, NO, NO]),
        # equal is equal
        ("==", [59, 60, 60.5, 60], [NO, YES, NO, YES]),
        ("!=", [59, 60, 60.5, 60], [YES, NO, YES, NO]),
        # a gap makes it false, and what it remembers of before is still true afterwards
        ("<", [56, None, 59, 61, None, 59], [YES, NO, YES, NO, NO, NO]),
    ],
)
def test_hysteresis(op, temperatures, expected):
    assert course(at_60(op), temperatures) == expected


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [(False, [NO, YES, NO, YES]), (True, [YES, YES, YES, YES]), (None, [NO, YES, YES, YES])],
)
def test_what_counts_while_it_is_not_known(unknown, expected):
    condition = Condition("tank < 60 °C", at_60("<").test, unknown)
    assert course(condition, [None, 50, None, 50]) == expected


def test_kept_as_false_too():
    condition = Condition("tank < 60 °C", at_60("<").test, None)
    assert course(condition, [70, None]) == [NO, NO]


def test_too_old_is_not_known():
    inputs = {"tank": Input(50.0, read_at=100.0, max_age_s=30.0)}
    assert weigh(at_60("<"), inputs, 130.0, ())[0]
    assert not weigh(at_60("<"), inputs, 130.1, ())[0]
    assert weigh(at_60("<"), {"tank": Input(50.0, 0.0, inf)}, 1e9, ())[0]


WARM = Compare(0, Term(inputs=(("room", 1.0),)), ">", Term(20.0), 1.0, "°C")
FULL = Compare(1, Term(inputs=(("soc", 1.0),)), ">=", Term(50.0), 3.0, "%")
GUESTS = Compare(2, Term(inputs=(("guests", 1.0),)), "!=", Term(), unit=TRUTH)


@pytest.mark.parametrize(
    ("any_of", "values", "known"),
    [
        (False, {"room": 25, "soc": 60, "guests": 1}, True),
        (False, {"room": 25, "soc": 60, "guests": 0}, False),
        (False, {"room": 25, "soc": 40}, False),  # one is false: what the guests do does not matter
        (False, {"room": 25, "soc": 60}, None),
        (True, {"room": 15, "soc": 40, "guests": 1}, True),
        (True, {"room": 15, "soc": 40, "guests": 0}, False),
        (True, {"room": 15, "soc": 60}, True),
        (True, {"room": 15, "soc": 40}, None),
        (True, {}, None),
    ],
)
def test_and_or_with_what_is_not_known(any_of, values, known):
    test = Every((WARM, FULL, GUESTS), any_of)
    for unknown in (True, False):
        holds, _ = weigh(Condition("", test, unknown), told(**values), 0.0, ())
        assert holds is (unknown if known is None else known)


def test_nothing_new_is_the_same_object():
    condition = Condition("", Every((WARM, FULL)))
    _, truths = weigh(condition, told(room=25, soc=60), 0.0, ())
    assert truths == (True, True)
    for values in ({"room": 26, "soc": 70}, {"room": 26}, {}):
        assert weigh(condition, told(**values), 0.0, truths)[1] is truths
    assert weigh(condition, told(room=10, soc=60), 0.0, truths)[1] == (False, True)


def test_each_comparison_remembers_whatever_the_others_say():
    condition = Condition("", Every((WARM, FULL), any_of=True))
    _, truths = weigh(condition, told(room=25, soc=60), 0.0, ())
    _, truths = weigh(condition, told(room=20, soc=51), 0.0, truths)
    assert truths == (False, True)


def test_sums():
    test = Compare(0, Term(5.0, (("a", 2.0), ("b", -1.0))), ">", Term(0.0, (("c", 1.0),)), unit="W")
    assert weigh(Condition("", test), told(a=10, b=4, c=20), 0.0, ())[0]
    assert not weigh(Condition("", test), told(a=10, b=5, c=20), 0.0, ())[0]
    assert names(Condition("", test)) == {"a", "b", "c"}
    assert spell_test(test) == "2 * a - b + 5 W > c"


TANK = at_60("<").test
ENOUGH = "must be at least 53 % to begin (50 % to go on)"
POWER = Compare(0, Term(inputs=(("pv", 1.0),)), ">", Term(500.0, (("house", 1.0),)), unit="W")


@pytest.mark.parametrize(
    ("test", "values", "truths", "said"),
    [
        (TANK, {"tank": 58.4}, (), "tank is 58.4 °C, must be below 57 °C to begin (60 °C to go on)"),
        (TANK, {"tank": 54.19}, (), "tank is 54.2 °C, below 60 °C"),
        (TANK, {"tank": 58.4}, (True,), "tank is 58.4 °C, below 60 °C"),
        (TANK, {"tank": 59.96}, (True,), "tank is 59.96 °C, below 60 °C"),
        (TANK, {"tank": 57.04}, (), "tank is 57.04 °C, must be below 57 °C to begin (60 °C to go on)"),
        (TANK, {}, (), "tank is not known"),
        (at_60("<", band=0.0).test, {"tank": 60.04}, (), "tank is 60.04 °C, must be below 60 °C"),
        (at_60("<=").test, {"tank": 61}, (), "tank is 61 °C, must be at most 57 °C to begin (60 °C to go on)"),
        (at_60(">").test, {"tank": 60}, (False,), "tank is 60 °C, must be above 63 °C to begin (60 °C to go on)"),
        (replace(POWER, band=100.0), {"pv": 1800, "house": 1250}, (),
         "pv is 1.8 kW, must be above house + 600 W (1.85 kW) to begin (1.75 kW to go on)"),
        (POWER, {"pv": 1800, "house": 1500}, (), "pv is 1.8 kW, must be above house + 500 W (2 kW)"),
        (POWER, {"pv": 1800}, (), "house is not known"),
        (POWER, {}, (), "pv is not known and house is not known"),
        (GUESTS, {"guests": 1}, (), "guests is true"),
        (GUESTS, {"guests": 0}, (), "guests is false, must be true"),
        (Compare(0, GUESTS.left, "==", Term(), unit=TRUTH), {"guests": 1}, (), "guests is true, must be false"),
        (Compare(0, Term(inputs=(("mode", 1.0),)), "==", Term(3.0)), {"mode": 2}, (), "mode is 2, must be 3"),
        (Compare(0, Term(inputs=(("mode", 1.0),)), "==", Term(3.0)), {"mode": 3}, (), "mode is 3"),
        (Compare(0, Term(inputs=(("mode", 1.0),)), "!=", Term(3.0)), {"mode": 3}, (),
         "mode is 3, must be other than 3"),
        (Compare(0, Term(inputs=(("co2", 1.0),)), ">", Term(800.0), unit="ppm"), {"co2": 600}, (),
         "co2 is 600 ppm, must be above 800 ppm"),
        # and: who is false decides; or: who is true does
        (Every((WARM, FULL)), {"room": 25, "soc": 40}, (), f"soc is 40 %, {ENOUGH}"),
        (Every((WARM, FULL)), {"room": 25}, (), "soc is not known"),
        (Every((WARM, FULL)), {"soc": 40}, (), f"soc is 40 %, {ENOUGH}"),
        (Every((WARM, FULL)), {"room": 25, "soc": 60}, (), "room is 25 °C, above 20 °C and soc is 60 %, at least 50 %"),
        (Every((WARM, FULL), any_of=True), {"room": 15, "soc": 60}, (), "soc is 60 %, at least 50 %"),
        (Every((WARM, FULL), any_of=True), {"room": 15, "soc": 40}, (),
         f"room is 15 °C, must be above 21 °C to begin (20 °C to go on) or soc is 40 %, {ENOUGH}"),
    ],
)  # fmt: skip
def test_said_in_words(test, values, truths, said):
    assert sentence(Condition("", test), told(**values), 0.0, truths) == said


def test_how_long_ago_it_was_known():
    inputs = {"tank": Input(50.0, read_at=0.0, max_age_s=300.0)}
    assert sentence(at_60("<"), inputs, 725.0) == "tank is not known (last heard of 12 min ago)"
    kept = Condition("", TANK, unknown=None)
    said = "tank is not known (last heard of 12 min ago); what it last said counts"
    assert sentence(kept, inputs, 725.0, (True,)) == said
