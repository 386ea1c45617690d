"""One dimmed output: a relay in series with something that lets a part of the power through."""

from __future__ import annotations

from collections.abc import Callable

from loadctl.lab.emulators.shelly.relay import EmulatedRelay


class EmulatedLight:
    """`full()` is the power in W that flows at 100 %, `share` what part of it flows at a brightness in %.

    A change takes `ramp_s`; while it lasts `level` is where it has got to. `night_percent` caps what is set without a
    word; `least_percent` lifts it.
    """

    def __init__(self, clock: Callable[[], float], full: Callable[[], float]) -> None:
        self.full = full
        self.share: Callable[[float], float] = lambda percent: percent / 100
        self.ramp_s = 0.0
        self.night_percent: float | None = None
        self.least_percent = 0.0
        self.span = (0.0, 100.0)
        self.one_to_ten = False
        self.relay = EmulatedRelay(clock, self._draw)
        self.brightness = 50.0  # where it is, or goes
        self._clock = clock
        self._from, self._moved_at = 50.0, clock()

    @property
    def level(self) -> float:
        """Where it has got to on its way to `brightness`."""
        gone_s = self._clock() - self._moved_at
        if gone_s >= self.ramp_s:
            return self.brightness
        return self._from + (self.brightness - self._from) * gone_s / self.ramp_s

    @property
    def moving_since(self) -> float | None:
        """When the change began that is not over."""
        return self._moved_at if self.level != self.brightness else None

    def dim(self, percent: float) -> None:
        """Set the brightness; on or off is the relay's."""
        self.relay.on  # noqa: B018 - what has flowed until now is counted at the old brightness
        level = self.level
        self._from, self._moved_at = level, self._clock()
        cap = 100.0 if self.night_percent is None else self.night_percent
        self.brightness = min(max(percent, self.least_percent), cap)

    def _draw(self) -> float:
        low, high = self.span
        return self.full() * self.share(low + (high - low) * self.level / 100)
