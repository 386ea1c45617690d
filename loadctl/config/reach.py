"""Conditions that can never hold, or always do: their owner meant something else.

Only limits count here. A hysteresis with which nothing could begin is refused, or made smaller, where it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import inf, prod

from loadctl.config.bands import bound, span
from loadctl.config.expression import negated
from loadctl.core.conditions import Compare, Condition, Every, Term, Test
from loadctl.telling.conditions import spell_test

_MOST_CASES = 500  # of ways in which a condition can hold; one with more is believed


def unreachable(condition: Condition) -> tuple[str, ...]:
    """Return a sentence for the whole condition or, if that can be meant, for each part of it that decides nothing."""
    return tuple(_pointless(condition.test))


def _pointless(test: Test) -> Iterator[str]:
    if _never(test):
        yield f"`{spell_test(test)}` can never hold"
    elif _never(negated(test)):
        yield f"`{spell_test(test)}` always holds"
    elif isinstance(test, Every):
        for part in test.parts:
            yield from _pointless(part)


def _never(test: Test) -> bool:
    """Tell whether each way in which it could hold contradicts itself."""
    return _count(test) <= _MOST_CASES and all(_contradicts(case) for case in _cases(test))


def _count(test: Test) -> int:
    if isinstance(test, Compare):
        return 1
    counts = [_count(part) for part in test.parts]
    return sum(counts) if test.any_of else prod(counts)


def _cases(test: Test) -> Iterator[tuple[Compare, ...]]:
    """Go through the ways in which it holds: comparisons that do so together."""
    if isinstance(test, Compare):
        yield (test,)
    elif test.any_of:
        for part in test.parts:
            yield from _cases(part)
    else:
        for cases in product(*(tuple(_cases(part)) for part in test.parts)):
            yield tuple(compare for case in cases for compare in case)


@dataclass(slots=True)
class _Between:
    """What is left for a value: more than (or from) `least`, less than (or up to) `most`."""

    least: float = -inf
    most: float = inf
    above: bool = False
    below: bool = False
    excluded: frozenset[float] = frozenset()

    def narrow(self, op: str, limit: float) -> None:
        if op in {">", ">=", "=="} and (limit, op == ">") > (self.least, self.above):
            self.least, self.above = limit, op == ">"
        if op in {"<", "<=", "=="} and (limit, op != "<") < (self.most, not self.below):
            self.most, self.below = limit, op == "<"
        if op == "!=":
            self.excluded |= {limit}

    @property
    def is_empty(self) -> bool:
        if self.least == self.most:
            return self.above or self.below or self.least in self.excluded
        return self.least > self.most


def _contradicts(case: tuple[Compare, ...]) -> bool:
    left_over: dict[tuple[tuple[str, float], ...], _Between] = {}
    for compare in case:
        found = bound(compare)
        if found.inputs not in left_over:
            least, most = span(Term(inputs=found.inputs))
            left_over[found.inputs] = _Between(least, most)
        left_over[found.inputs].narrow(found.op, found.limit)
    return any(between.is_empty for between in left_over.values())
