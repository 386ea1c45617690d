"""How much the sun left at best of late: what a load may hope for where the panels never give its full power."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MINUTE_S = 60.0
LATELY_S = 2 * 3600.0


@dataclass(slots=True)
class Lately:
    """The last two hours by the minute. `note` it each reading."""

    _minutes: deque[tuple[float, float]] = field(default_factory=deque)  # when it began (POSIX), mean W
    _start: float = 0.0  # the minute under way
    _sum_w: float = 0.0
    _count: int = 0

    def note(self, now: float, surplus_w: float) -> None:
        """Take in what was left of the sun without our loads (W) at `now` (POSIX)."""
        if not 0 <= now - self._start < MINUTE_S:
            if self._count:
                self._minutes.append((self._start, self._sum_w / self._count))
            self._start, self._sum_w, self._count = now // MINUTE_S * MINUTE_S, 0.0, 0
        self._sum_w += surplus_w
        self._count += 1

    def best_w(self, now: float) -> float | None:
        """Return the mean of the best minute of late; None: nothing was seen."""
        while self._minutes and not now - LATELY_S <= self._minutes[0][0] <= now:  # a clock may be set back
            self._minutes.popleft()
        return max((mean_w for _, mean_w in self._minutes), default=None)
