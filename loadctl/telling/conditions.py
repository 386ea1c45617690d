"""A condition in words: as its owner would write it, and what of it decides now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loadctl.core.conditions import TRUTH, Compare, Condition, Every, Term, Test, Truths, compared, truth, value
from loadctl.core.values import Input
from loadctl.units import base, spell

_WORDS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "", "!=": "other than"}
_DIGITS = {"W": 0, "Wh": 0, "s": 0, "%": 1, "°C": 1, "/kWh": 4}  # of a measured value that is told


def sentence(condition: Condition, inputs: Mapping[str, Input], at: float, truths: Truths = ()) -> str:
    """Say what decides now, with its numbers: `tank_temp is 59.4 °C, must be below 59 °C to begin (60 °C to go on)`.

    `truths` as `weigh` gave them for this very moment; without them nothing has begun to hold.
    """
    return _say(condition.test, inputs, at, list(truths), keep=condition.unknown is None)


def _say(test: Test, inputs: Mapping[str, Input], at: float, memory: list[bool | None], *, keep: bool) -> str:
    if isinstance(test, Compare):
        held = memory[test.index] if test.index < len(memory) else None
        return _say_compare(test, inputs, at, held, keep=keep)
    words = [truth(part, inputs, at, list(memory), keep=keep) for part in test.parts]
    if test.any_of in words:  # one is enough
        return _say(test.parts[words.index(test.any_of)], inputs, at, memory, keep=keep)
    if None in words:
        return _say(test.parts[words.index(None)], inputs, at, memory, keep=keep)
    return (" or " if test.any_of else " and ").join(_say(part, inputs, at, memory, keep=keep) for part in test.parts)


def _say_compare(compare: Compare, inputs: Mapping[str, Input], at: float, held: bool | None, *, keep: bool) -> str:
    holds = compared(compare, inputs, at, held)
    if holds is None:
        said = " and ".join(_unknown(name, inputs, at) for name in _missing(compare, inputs, at))
        return f"{said}; what it last said counts" if keep and held is not None else said
    left, right = value(compare.left, inputs, at), value(compare.right, inputs, at)
    if left is None or right is None:
        raise AssertionError("what can be compared has numbers")
    name = spell_term(compare.left, compare.unit)
    if compare.unit == TRUTH:
        wanted = "true" if compare.op == "!=" else "false"
        now = "true" if left else "false"
        return f"{name} is {now}" if holds else f"{name} is {now}, must be {wanted}"
    more = 0.0 if holds else -compare.band if compare.op in {"<", "<="} else compare.band
    limit = spell_value(right + more, compare.unit)
    now = spell_value(round(left, _DIGITS.get(compare.unit, 3)), compare.unit)
    if now == limit:  # only so because it was rounded
        now = spell_value(left, compare.unit)
    if compare.right.inputs:
        limit = f"{spell_term(replace(compare.right, constant=compare.right.constant + more), compare.unit)} ({limit})"
    limit, now = f"{_WORDS[compare.op]} {limit}".strip(), f"{name} is {now}"
    if holds:
        return now if compare.op == "==" else f"{now}, {limit}"
    then = f" to begin ({spell_value(right, compare.unit)} to go on)" if more else ""
    return f"{now}, must be {limit}{then}"


def _missing(compare: Compare, inputs: Mapping[str, Input], at: float) -> list[str]:
    asked = dict.fromkeys(name for term in (compare.left, compare.right) for name, _ in term.inputs)
    return [name for name in asked if value(Term(inputs=((name, 1.0),)), inputs, at) is None]


def _unknown(name: str, inputs: Mapping[str, Input], at: float) -> str:
    found = inputs.get(name)
    if found is None:
        return f"{name} is not known"
    age_s = at - found.read_at
    return (
        f"{name} is not known (last heard of {spell(round(age_s, -1) if age_s < 120 else age_s // 60 * 60, 's')} ago)"
    )


def spell_term(term: Term, unit: str) -> str:
    """Write a sum as its owner would: `2 * a - b + 500 W`."""
    said = ""
    for name, factor in term.inputs:
        times = "" if abs(factor) == 1 else f"{abs(factor):g} * "
        said += f"{_sign(factor, first=not said)}{times}{name}"
    if term.constant or not said:
        number = spell_value(abs(term.constant), unit)
        said += f"{_sign(term.constant, first=not said)}{number}"
    return said


def spell_test(test: Test, *, inner: bool = False) -> str:
    """Write a test in the words of the rule file."""
    if isinstance(test, Every):
        said = (" or " if test.any_of else " and ").join(spell_test(part, inner=True) for part in test.parts)
        return f"({said})" if inner else said
    left = spell_term(test.left, test.unit)
    if test.unit == TRUTH:
        return left if test.op == "!=" else f"not {left}"
    return f"{left} {test.op} {spell_term(test.right, test.unit)}"


def spell_value(number: float, unit: str) -> str:
    """Write a number of a base unit, or of a unit that is only a name."""
    return spell(number, unit) if base(unit) else f"{round(number, 3) + 0.0:g} {unit}".strip()


def _sign(number: float, *, first: bool) -> str:
    if first:
        return "-" if number < 0 else ""
    return " - " if number < 0 else " + "
