"""The load shaper of an OpenEVSE: leaves the car what the house's fuse allows, and pauses it when it hears nothing.

Facts: openevse_esp32_firmware src/current_shaper.{h,cpp}.
"""

from __future__ import annotations

import math

from loadctl.lab.emulators.openevse.claims import LIMIT, SAFETY, Claim

_LOOP_S = 2.0


class Shaper:
    """`on`: it runs; `fed`: it was told what the house draws, in time; `live_w`: what it was told last."""

    def __init__(self, at: float, *, on: bool) -> None:
        self.on, self.fed, self.live_w = on, False, 0.0
        self.left_a = 0.0
        self._told = False  # since its last loop
        self._started_at = self._told_at = at
        self._paused = False

    def tell(self, live_w: float, left_a: float) -> None:
        """Take what the house draws, and what the fuse then leaves for the car."""
        self.live_w, self.left_a, self.fed, self._told = live_w, left_a, True, True

    def next_at(self, now: float, silence_s: float) -> float:
        """When it will do something by itself."""
        if not self.on:
            return math.inf
        if self._told or not self.fed:
            return math.inf if self._paused and not self._told else self._loop_at(now)
        return self._loop_at(self._told_at + silence_s)

    def step(self, at: float, least_a: float) -> Claim:
        """Do it: return the claim it makes."""
        if self._told:
            self._told, self._told_at = False, at
            self._paused = self.left_a < least_a
            return Claim(SAFETY, "disabled" if self._paused else None, max_current=max(0, math.floor(self.left_a)))
        self.fed, self._paused = False, True
        return Claim(LIMIT, "disabled")

    def stop(self) -> None:
        self.on = self._paused = False

    def _loop_at(self, since: float) -> float:
        """Its first loop after a moment."""
        return self._started_at + _LOOP_S * (math.floor((since - self._started_at) / _LOOP_S) + 1)
