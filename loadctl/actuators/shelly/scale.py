"""From watts to a dimmer's per cent and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]  # %, W


@dataclass(frozen=True, slots=True)
class Scale:
    """`points` in rising order from (0 %, 0 W) to (100 %, all it draws), straight lines between them."""

    points: tuple[Point, ...]

    def watts(self, percent: float) -> float:
        for (low, below_w), (high, above_w) in pairwise(self.points):
            if percent <= high:
                return below_w + (above_w - below_w) * (percent - low) / (high - low)
        return self.points[-1][1]

    def percent(self, watts: float) -> int:
        """Return the highest whole per cent that draws no more than `watts`; any power draws at least the least."""
        fitting = (percent for percent in range(100, self._first, -1) if self.watts(percent) <= watts + 1e-6)
        return next(fitting, self._first)

    @property
    def least_w(self) -> float:
        """What it draws on its lowest per cent that draws anything."""
        return self.watts(self._first)

    @property
    def step_w(self) -> float:
        """What one per cent changes where it changes most."""
        steps = (self.watts(percent + 1) - self.watts(percent) for percent in range(self._first, 100))
        return max(steps, default=self.watts(100))

    @property
    def _first(self) -> int:
        return next(percent for percent in range(1, 101) if self.watts(percent) > 0)
