"""What a `when:` says, as values, and whether it holds: comparisons of sums of inputs, joined by and, or.

Each comparison has a hysteresis of its own: its limit ends it, and to begin, the value must be `band` within it, so
that one that trembles around its limit switches nothing. An input that is not known makes a comparison unknown; unknown
and false is false, unknown or true is true, and a condition that stays unknown is what its owner said it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loadctl.core.values import Input

Op = Literal["<", "<=", ">", ">=", "==", "!="]
Truths = tuple[bool | None, ...]

TRUTH = "truth"  # the unit of a comparison that asks for yes or no: `!= 0` or `== 0`

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
    holds = truth(condition.test, inputs, at, memory, keep=condition.unknown is None)
    now = tuple(memory)
    return bool(condition.unknown) if holds is None else holds, truths if now == truths else now


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


def truth(test: Test, inputs: Mapping[str, Input], at: float, memory: list[bool | None], *, keep: bool) -> bool | None:
    """Tell whether a test holds, None: not known; its comparisons are remembered in `memory`."""
    if isinstance(test, Compare):
        while len(memory) <= test.index:
            memory.append(None)
        word = compared(test, inputs, at, memory[test.index])
        if word is None:
            return memory[test.index] if keep else None
        memory[test.index] = word
        return word
    # All parts are looked at, always: what one remembers must not hang on the others.
    words = [truth(part, inputs, at, memory, keep=keep) for part in test.parts]
    if test.any_of in words:
        return test.any_of
    return None if None in words else not test.any_of


def compared(compare: Compare, inputs: Mapping[str, Input], at: float, held: bool | None) -> bool | None:
    """Tell whether a comparison holds that last was `held`; None: not known."""
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
