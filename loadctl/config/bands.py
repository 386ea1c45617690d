"""The hysteresis of a condition, and between what a sum can lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from loadctl.config.tokens import NUMBER, UNIT, Misread, base
from loadctl.core import units
from loadctl.core.conditions import Compare, Every, Term, Test, comparisons, spell_test, spell_value
from loadctl.inputs.names import limits

DEFAULTS = {"°C": 1.0, "%": 3.0, "W": 100.0, "A": 0.5, "V": 2.0}


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
    return _banded(test, given, count())


def span(term: Term) -> tuple[float, float]:
    """Return the least and the most that a sum can come to."""
    least = most = term.constant
    for name, factor in term.inputs:
        ends = [factor * limit for limit in limits(name)]
        least, most = least + min(ends), most + max(ends)
    return least, most


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


def _banded(test: Test, given: Mapping[str, float], index: Iterator[int]) -> Test:
    if isinstance(test, Every):
        return replace(test, parts=tuple(_banded(part, given, index) for part in test.parts))
    return replace(test, index=next(index), band=_band(test, given))


def _band(compare: Compare, given: Mapping[str, float]) -> float:
    """Return the hysteresis of a comparison; one by default never so wide that nothing could end it."""
    if compare.op in {"==", "!="}:
        return 0.0
    least, most = span(added(compare.left, compare.right, -1.0))
    reach = most if compare.op in {"<", "<="} else -least  # so far beyond its limit it can come
    band = given.get(compare.unit)
    if band is None:
        default = 0.0 if given.get("") == 0 else DEFAULTS.get(compare.unit, 0.0)
        return min(default, max(0.0, reach / 2))
    if band and 0 < reach <= band:
        said = f"with {spell_value(band, compare.unit)} of hysteresis nothing could end `{spell_test(compare)}`"
        raise Misread(f"{said}; write less than {spell_value(reach, compare.unit)}", None)
    return band
