"""How much the sun left at best of late: what a load may hope for while it never leaves its full power."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

STEADY_S = 120.0  # longer than the meter takes to show that a load of ours began
LATELY_S = 2 * 3600.0


@dataclass(slots=True)
class Lately:
    """What was there without a break for two minutes, within the last two hours. `note` it each reading."""

    _found: list[tuple[float, float]] = field(default_factory=list)  # since when (POSIX), the least W
    _start: float = 0.0  # of the two minutes under way
    _least_w: float = inf

    def note(self, now: float, surplus_w: float) -> None:
        """Take in what was left of the sun without our loads (W) at `now` (POSIX)."""
        if not 0 <= now - self._start < STEADY_S:
            if self._least_w < inf:
                self._found.append((self._start, self._least_w))
            self._start, self._least_w = now // STEADY_S * STEADY_S, inf
        self._least_w = min(self._least_w, surplus_w)

    def best_w(self, now: float) -> float | None:
        """Return the most that lasted; None: nothing was seen. What is later than `now` a clock had wrong."""
        self._found = [each for each in self._found if now - LATELY_S <= each[0] <= now]
        return max((least_w for _, least_w in self._found), default=None)
