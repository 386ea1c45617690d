"""How much is expected: `2.3 kW`, `6..9 A`, `at least 6 kWh`, `nothing`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from loadctl import units

SLACK_SHARE = 0.05  # who writes one number means about so much
SLACK = {"W": 20.0, "Wh": 50.0, "s": 30.0, "A": 0.5, "%": 1.0, "°C": 0.5}
_BOUND = re.compile(r"(at least|at most|not more than|not less than|>=|<=|≥|≤|[<>])\s*(.+)", re.IGNORECASE)
_LEAST = ("at least", "not less than", ">=", "≥", ">")
_NOTHING = ("nothing", "no", "none")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Measure:
    """From `least` to `most`, in base units."""

    least: float
    most: float

    def met(self, value: float | None) -> bool:
        return value is not None and self.least <= value <= self.most


def read(text: str, unit: str, amount: Callable[[str], float] | None = None) -> Measure:
    """Read what is expected of a value in `unit`. Raises ValueError with the right spelling."""
    amount = amount or (lambda written: units.read(written, unit))
    slack = SLACK.get(unit, 0.0)
    if text.lower() in _NOTHING:
        return Measure(-slack, slack)
    if bound := _BOUND.fullmatch(text):
        value = amount(bound[2])
        return Measure(value, inf) if bound[1].lower() in _LEAST else Measure(-inf, value)
    first, dots, last = text.partition("..")
    if dots:
        if _NUMBER.fullmatch(first.strip()):
            first = f"{first.strip()} {re.sub(r'^[-0-9. ]+', '', last)}"
        measure = Measure(amount(first), amount(last))
        if measure.least > measure.most:
            raise ValueError(f"`{text[:40]}`: the smaller one comes first")
        return measure
    value = amount(text)
    slack = max(slack, SLACK_SHARE * abs(value)) if unit in SLACK else 1e-9
    return Measure(value - slack, value + slack)
