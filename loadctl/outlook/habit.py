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

    def add(self, slot: int, value: float, weight: float) -> None:
        """Count `value`, the sum of what was seen, with the weight it was seen with."""
        self.sums[slot] += value
        self.weights[slot] += weight

    def fade(self) -> None:
        """Begin a new day."""
        self.sums = [each * FADE for each in self.sums]
        self.weights = [each * FADE for each in self.weights]

    def overall(self) -> float:
        """Return the mean of all that was seen."""
        return (sum(self.sums) + self.lean * self.usual) / (sum(self.weights) + self.lean)

    def means(self) -> list[float]:
        """Return the mean of each quarter of an hour."""
        overall, found = self.overall(), []
        for slot in range(SLOTS):
            total, weight = self.lean * overall, self.lean
            for away in (-3, -2, -1, 0, 1, 2, 3):
                share = 1 - abs(away) / 4
                total += share * self.sums[(slot + away) % SLOTS]
                weight += share * self.weights[(slot + away) % SLOTS]
            found.append(total / weight)
        return found

    def dump(self) -> list[list[float]]:
        return [[round(each, 3) for each in part] for part in (self.sums, self.weights)]

    def load(self, kept: object) -> bool:
        """Take up what was dumped; False: it cannot be understood and nothing changes."""
        match kept:
            case [list(sums), list(weights)] if len(sums) == len(weights) == SLOTS and numbers(sums + weights):
                self.sums, self.weights = [float(each) for each in sums], [max(0.0, float(each)) for each in weights]
                return True
        return False


def clock_slot(hour: int, minute: int) -> int:
    """Return the quarter of an hour of the day."""
    return hour * 4 + minute // 15


def numbers(found: Sequence[object]) -> bool:
    """Tell whether these are numbers that can be counted with."""
    return all(isinstance(each, float | int) and isfinite(each) for each in found)
