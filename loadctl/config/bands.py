"""The hysteresis of a condition, and between what a sum can lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from math import inf

from loadctl import units
from loadctl.config.tokens import NUMBER, UNIT, Misread, base
from loadctl.core.conditions import Compare, Every, Op, Term, Test, comparisons
from loadctl.inputs.names import limits
from loadctl.telling.conditions import spell_test, spell_value

DEFAULTS = {"°C": 1.0, "%": 3.0, "W": 100.0, "A": 0.5, "V": 2.0}

FLIPPED: dict[Op, Op] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_SIGNED = {"grid_w", "battery_w"}  # any other power is usually counted from 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A comparison, divided by `scale` so that equal sums look equal: `2 * b < a` as `a - 2 * b > 0`."""

    inputs: tuple[tuple[str, float], ...]
    op: Op
    limit: float
    scale: float


def banded(test: Test, hysteresis: str | None) -> Test:
    """Number the comparisons and give each its band.

    `hysteresis`: at most one quantity for each unit, such as `3 °C` or `3 °C, 5 %`; `0` takes it away for all units.
    Raises Misread.
    """
    given = _given(hysteresis or "")
    asked = {compare.unit for compare in comparisons(test) if compare.op not in {"==", "!="}}
    for unit, band in given.items():
        if band and unit not in asked:
            raise Misread(f"{spell_value(band, unit)} is {units.measured(unit)}, and nothing here compares that", None)
    return _banded(test, given, count(), ())


def span(term: Term, usual: str | None = None) -> tuple[float, float]:
    """Return the least and the most that a sum can come to, or usually comes to in this unit."""
    least = most = term.constant
    for name, factor in term.inputs:
        ends = [factor * limit for limit in (limits(name) if usual is None else _usual(name, usual))]
        least, most = least + min(ends), most + max(ends)
    return least, most


def bound(compare: Compare) -> Bound:
    """Bring the inputs of a comparison to its left and its constants to its right."""
    difference = added(compare.left, compare.right, -1.0)
    inputs = sorted(difference.inputs)
    scale = inputs[0][1] if inputs else 1.0
    return Bound(
        tuple((name, round(factor / scale, 9)) for name, factor in inputs),
        compare.op if scale > 0 else FLIPPED[compare.op],
        round(-difference.constant / scale, 9),
        abs(scale),
    )


def added(left: Term, right: Term, times: float = 1.0) -> Term:
    """Add `right` so many times; inputs that cancel out are gone."""
    factors = dict(left.inputs)
    for name, factor in right.inputs:
        factors[name] = factors.get(name, 0.0) + times * factor
    inputs = tuple((name, factor) for name, factor in factors.items() if factor)
    return Term(left.constant + times * right.constant, inputs)


def _given(hysteresis: str) -> dict[str, float]:
    given: dict[str, float] = {}
    for part in hysteresis.split(",") if hysteresis.strip() else ():
        text = part.strip()
        found = NUMBER.match(text)
        follows = UNIT.fullmatch(text, found.end()) if found else None
        if not found or (follows is None and found.end() != len(text)):
            raise Misread(f"`{text[:40]}`: a hysteresis is written `3 °C`", None)
        unit, factor = base(follows[1]) if follows else ("", 1.0)
        if unit in given:
            raise Misread(f"`{text[:40]}`: there is one for this unit already", None)
        given[unit] = float(found[0]) * factor
    return given


def _banded(test: Test, given: Mapping[str, float], index: Iterator[int], beside: tuple[Compare, ...]) -> Test:
    """`beside`: what must hold together with it."""
    if isinstance(test, Every):
        if not test.any_of:
            beside += tuple(part for part in test.parts if isinstance(part, Compare))
        return replace(test, parts=tuple(_banded(part, given, index, beside) for part in test.parts))
    return replace(test, index=next(index), band=_band(test, given, beside))


def _band(compare: Compare, given: Mapping[str, float], beside: tuple[Compare, ...]) -> float:
    """Return the hysteresis of a comparison; one by default leaves half of where it can hold to begin in."""
    if compare.op in {"==", "!="}:
        return 0.0
    band, reach = given.get(compare.unit), _reach(compare)
    gaps = [(_gap(compare, other), other) for other in beside]
    if band is None:
        default = 0.0 if given.get("") == 0 else DEFAULTS.get(compare.unit, 0.0)
        return min(default, reach / 2, *(gap / 4 for gap, _ in gaps))
    if not band:
        return band
    if band > reach or (band == reach and compare.op in {"<", ">"}):
        raise _too_wide(band, compare, compare, reach)
    for gap, other in gaps:
        if band >= gap:
            raise _too_wide(band, compare, Every((compare, other)), gap)
    return band


def _too_wide(band: float, compare: Compare, test: Test, most: float) -> Misread:
    said = f"with {spell_value(band, compare.unit)} of hysteresis nothing could begin `{spell_test(test)}`"
    number = spell_value(most, compare.unit)
    return Misread(f"{said}; write less than {number}" if most else f"{said}; write `{number}`", None)


def _reach(compare: Compare) -> float:
    """Return how far within its limit the value can usually come; inf, too, if that is nowhere."""
    least, most = span(added(compare.left, compare.right, -1.0), compare.unit)
    reach = round(-least if compare.op in {"<", "<="} else most, 9)
    return reach if reach > 0 or (reach == 0 and compare.op in {"<=", ">="}) else inf


def _usual(name: str, unit: str) -> tuple[float, float]:
    """Return what a value lies between as far as its unit tells, where its name says nothing."""
    least, most = limits(name)
    if unit == "%":
        return max(least, 0.0), min(most, 100.0)
    if unit == "W" and name not in _SIGNED:
        return max(least, 0.0), most
    return least, most


def _gap(compare: Compare, other: Compare) -> float:
    """Return how much lies between the limits of what must be above one and below the other; inf if it need not."""
    one, two = bound(compare), bound(other)
    if one.op in {"<", "<="}:
        one, two = two, one
    if one.inputs != two.inputs or not one.inputs or one.op not in {">", ">="} or two.op not in {"<", "<="}:
        return inf
    width = round((two.limit - one.limit) * bound(compare).scale, 9)
    possible = width > 0 or (width == 0 and one.op == ">=" and two.op == "<=")
    return width if possible else inf
