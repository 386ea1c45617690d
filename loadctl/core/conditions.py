"""What a `when:` says, as values, and whether it holds: comparisons of sums of inputs, joined by and, or.

Each comparison has a hysteresis of its own: its limit ends it, and to begin, the value must be `band` within it, so
that one that trembles around its limit switches nothing. An input that is not known makes a comparison unknown; unknown
and false is false, unknown or true is true, and a condition that stays unknown is what its owner said it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from loadctl.core.units import base, spell

if TYPE_CHECKING:
    from loadctl.core.values import Input

Op = Literal["<", "<=", ">", ">=", "==", "!="]
Truths = tuple[bool | None, ...]

TRUTH = "truth"  # the unit of a comparison that asks for yes or no: `!= 0` or `== 0`

_WORDS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "", "!=": "other than"}
_DIGITS = {"W": 0, "Wh": 0, "s": 0, "%": 1, "°C": 1, "/kWh": 4}  # of a measured value that is told
_ALMOST = 1e-9  # sums of decimal fractions are that far off


@dataclass(frozen=True, slots=True)
class Term:
    """A sum: `constant` plus each input times its factor, all in base units."""

    constant: float = 0.0
    inputs: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """How `left` is to `right`, both in `unit`; `index` is its place in the truths that are remembered.

    `band` narrows an inequality while it does not hold; equal is equal, it has none.
    """

    index: int
    left: Term
    op: Op
    right: Term
    band: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold (`any_of` False) or one of them does. There is no `not`: it turns each comparison around."""

    parts: tuple[Test, ...]
    any_of: bool = False


Test = Compare | Every


@dataclass(frozen=True, slots=True)
class Condition:
    """`text` as its owner wrote it; `unknown`: what counts while an input is not known.

    None: each comparison that is not known counts as it last did; one that never was is false.
    """

    text: str
    test: Test
    unknown: bool | None = False


def weigh(condition: Condition, inputs: Mapping[str, Input], at: float, truths: Truths) -> tuple[bool, Truths]:
    """Return whether it holds, and what to remember; `truths` as this gave it the last time, () at first."""
    memory = list(truths)
    holds = _weigh(condition.test, inputs, at, memory, keep=condition.unknown is None)
    if holds is None:
        holds = bool(condition.unknown)
    return holds, truths if len(memory) == len(truths) and tuple(memory) == truths else tuple(memory)


def names(condition: Condition) -> frozenset[str]:
    """Return the inputs that it asks for."""
    return frozenset(
        name
        for compare in comparisons(condition.test)
        for term in (compare.left, compare.right)
        for name, _ in term.inputs
    )


def comparisons(test: Test) -> Iterator[Compare]:
    """Go through all comparisons, in the order of the text."""
    if isinstance(test, Compare):
        yield test
        return
    for part in test.parts:
        yield from comparisons(part)


def sentence(condition: Condition, inputs: Mapping[str, Input], at: float, truths: Truths = ()) -> str:
    """Say what decides now, with its numbers: `tank_temp is 59.4 °C, must be below 59 °C to begin (60 °C to go on)`.

    `truths` as `weigh` gave them for this very moment; without them nothing has begun to hold.
    """
    return _say(condition.test, inputs, at, list(truths), keep=condition.unknown is None)


def _weigh(test: Test, inputs: Mapping[str, Input], at: float, memory: list[bool | None], *, keep: bool) -> bool | None:
    if isinstance(test, Compare):
        while len(memory) <= test.index:
            memory.append(None)
        word = _compare(test, inputs, at, memory[test.index])
        if word is None:
            return memory[test.index] if keep else None
        memory[test.index] = word
        return word
    # All parts are looked at, always: what one remembers must not hang on the others.
    words = [_weigh(part, inputs, at, memory, keep=keep) for part in test.parts]
    if test.any_of in words:
        return test.any_of
    return None if None in words else not test.any_of


def _compare(compare: Compare, inputs: Mapping[str, Input], at: float, held: bool | None) -> bool | None:
    left, right = value(compare.left, inputs, at), value(compare.right, inputs, at)
    if left is None or right is None:
        return None
    above = left - right
    band = 0.0 if held else compare.band
    match compare.op:
        case "<":
            return above < -band - _ALMOST
        case "<=":
            return above <= -band + _ALMOST
        case ">":
            return above > band + _ALMOST
        case ">=":
            return above >= band - _ALMOST
        case "==":
            return abs(above) <= _ALMOST
        case "!=":
            return abs(above) > _ALMOST


def value(term: Term, inputs: Mapping[str, Input], at: float) -> float | None:
    """Add up; None where an input is missing or too old."""
    total = term.constant
    for name, factor in term.inputs:
        found = inputs.get(name)
        if found is None or at - found.read_at > found.max_age_s:
            return None
        total += factor * found.value
    return total


def _say(test: Test, inputs: Mapping[str, Input], at: float, memory: list[bool | None], *, keep: bool) -> str:
    if isinstance(test, Compare):
        held = memory[test.index] if test.index < len(memory) else None
        return _say_compare(test, inputs, at, held, keep=keep)
    words = [_weigh(part, inputs, at, list(memory), keep=keep) for part in test.parts]
    if test.any_of in words:  # one is enough
        return _say(test.parts[words.index(test.any_of)], inputs, at, memory, keep=keep)
    if None in words:
        return _say(test.parts[words.index(None)], inputs, at, memory, keep=keep)
    return (" or " if test.any_of else " and ").join(_say(part, inputs, at, memory, keep=keep) for part in test.parts)


def _say_compare(compare: Compare, inputs: Mapping[str, Input], at: float, held: bool | None, *, keep: bool) -> str:
    holds = _compare(compare, inputs, at, held)
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
