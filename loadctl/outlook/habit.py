"""What is usual at a time of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

SLOT_S = 900.0
SLOTS = 96  # a day's quarters of an hour
FADE = 0.9  # what a day counts, beside the day after it


@dataclass(slots=True)
class Habit:
    """A mean by the quarter of an hour of the day, in which a day fades as others follow.

    A quarter of an hour leans on its neighbours, and where little was seen on the mean of all: `lean` is what that
    weighs. `usual` is the mean before anything was seen.
    """

    usual: float
    lean: float
    sums: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    weights: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    _means: list[float] = field(default_factory=list)  # empty: to be worked out anew

    def add(self, slot: int, value: float, weight: float) -> None:
        """Count `value`, the sum of what was seen, with the weight it was seen with."""
        self.sums[slot] += value
        self.weights[slot] += weight
        self._means = []

    def fade(self) -> None:
        """Begin a new day."""
        self.sums = [each * FADE for each in self.sums]
        self.weights = [each * FADE for each in self.weights]
        self._means = []

    def overall(self) -> float:
        """Return the mean of all that was seen."""
        return (sum(self.sums) + self.lean * self.usual) / (sum(self.weights) + self.lean)

    def means(self) -> list[float]:
        """Return the mean of each quarter of an hour; the list is only lent."""
        if self._means:
            return self._means
        leant = self.lean * self.overall()
        self._means = [
            total / weight
            for total, weight in zip(_leaning(leant, self.sums), _leaning(self.lean, self.weights), strict=True)
        ]
        return self._means

    def dump(self) -> list[list[float]]:
        return [[round(each, 3) for each in part] for part in (self.sums, self.weights)]

    def load(self, kept: object) -> bool:
        """Take up what was dumped; False: it cannot be understood and nothing changes."""
        match kept:
            case [list(sums), list(weights)] if len(sums) == len(weights) == SLOTS and numbers(sums + weights):
                self._means = []
                self.sums, self.weights = [float(each) for each in sums], [max(0.0, float(each)) for each in weights]
                return True
        return False


def _leaning(first: float, each: list[float]) -> list[float]:
    """Return for each quarter of an hour `first` and its value with a share of its neighbours', all added up."""
    around = each[-3:] + each + each[:3]
    return [
        first + 0.25 * a + 0.5 * b + 0.75 * c + d + 0.75 * e + 0.5 * f + 0.25 * g
        for a, b, c, d, e, f, g in zip(
            around, around[1:], around[2:], around[3:], around[4:], around[5:], around[6:], strict=False
        )
    ]


def clock_slot(hour: int, minute: int) -> int:
    """Return the quarter of an hour of the day."""
    return hour * 4 + minute // 15


def numbers(found: Sequence[object]) -> bool:
    """Tell whether these are numbers that can be counted with."""
    return all(isinstance(each, float | int) and isfinite(each) for each in found)
