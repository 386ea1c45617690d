"""A car at the cable of an emulated charger: it decides itself what it takes of what it is offered.

It begins some time after it was offered a current, rises slowly, falls at once, stops when its battery is charged. What
it does between two looks is worked out at the second, so it needs no task of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Car:
    """`phases`, `least_a`, `most_a`: what its charger can take, on each; `limit_soc`: where it stops (%).

    `sleeps_after_s`: without an offer for so long it sleeps, until `wake()` or the next `plug()`. Attributes may be
    changed at any time; `unplug()` and `soc = …` make a drive.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        plugged: bool = False,
        capacity_wh: float = 60_000.0,
        soc: float = 50.0,
        limit_soc: float = 100.0,
        phases: int = 3,
        least_a: float = 6.0,
        most_a: float = 16.0,
        volts: float = 230.0,
        start_delay_s: float = 5.0,
        ramp_a_per_s: float = 1.0,
        sleeps_after_s: float | None = None,
    ) -> None:
        self.clock = clock
        self.capacity_wh, self.limit_soc = capacity_wh, limit_soc
        self.phases, self.least_a, self.most_a, self.volts = phases, least_a, most_a, volts
        self.start_delay_s, self.ramp_a_per_s, self.sleeps_after_s = start_delay_s, ramp_a_per_s, sleeps_after_s
        self.pauses = 0  # how often it was made to stop before it was full
        self.jolts = 0  # how often its phases were switched while it drew: that breaks real cars
        self.drawn_wh = 0.0  # in all its life
        self._stored_wh = capacity_wh * soc / 100
        self._plugged, self._asleep = plugged, False
        self._offer_a, self._offer_phases = 0.0, 3
        self._amps = 0.0
        self._at = self._idle_since = self._begins_at = clock()
        self._drawn_before_wh = 0.0

    @property
    def plugged(self) -> bool:
        return self._plugged

    @property
    def asleep(self) -> bool:
        self._pass()
        return self._asleep

    @property
    def full(self) -> bool:
        self._pass()
        return self._left_wh <= 1e-6

    @property
    def soc(self) -> float:
        """Charge of its battery in %."""
        self._pass()
        return 100 * self._stored_wh / self.capacity_wh

    @soc.setter
    def soc(self, percent: float) -> None:
        self._pass()
        self._stored_wh = self.capacity_wh * percent / 100

    @property
    def session_wh(self) -> float:
        """Energy since it was plugged in last."""
        self._pass()
        return self.drawn_wh - self._drawn_before_wh

    @property
    def charging(self) -> bool:
        self._pass()
        return self._amps > 0

    @property
    def currents(self) -> tuple[float, float, float]:
        """Amps on L1, L2, L3."""
        self._pass()
        one, two, three = (self._amps if phase < self._using else 0.0 for phase in range(3))
        return one, two, three

    @property
    def watts(self) -> float:
        self._pass()
        return self._amps * self._using * self.volts

    def plug(self) -> None:
        self._pass()
        if not self._plugged:
            self._plugged, self._asleep = True, False
            self._drawn_before_wh = self.drawn_wh
            self._idle_since = self._at
            self._begins_at = self._at + self.start_delay_s

    def unplug(self) -> None:
        self._pass()
        self._plugged, self._amps = False, 0.0

    def offer(self, amps: float, phases: int) -> None:
        """Tell the car what it may draw on each of so many phases from now on, as the pilot does; 0 A is a pause.

        The same offer again changes nothing.
        """
        self._pass()
        if (amps, phases) == (self._offer_a, self._offer_phases):
            return
        drew, used, offered = self._amps, self._using, self._offer_a > 0
        self._offer_a, self._offer_phases = amps, phases
        if drew > 0 and amps <= 0:
            self.pauses += 1
        if drew > 0 and amps > 0 and self._using != used:
            self.jolts += 1
        if amps <= 0:
            self._idle_since = self._at
        elif not offered:
            self._begins_at = self._at + self.start_delay_s
        self._amps = min(self._amps, self._target_a)

    def wake(self) -> None:
        """Interrupt its pilot for a moment, as if its plug had been pulled."""
        self._pass()
        self._asleep, self._amps = False, 0.0
        self._begins_at = self._at + self.start_delay_s
        self._idle_since = self._at

    @property
    def _using(self) -> int:
        return min(self.phases, self._offer_phases)

    @property
    def _left_wh(self) -> float:
        return self.capacity_wh * self.limit_soc / 100 - self._stored_wh

    @property
    def _target_a(self) -> float:
        if not self._plugged or self._asleep or self._left_wh <= 1e-6 or self._offer_a < self.least_a:
            return 0.0
        return min(self._offer_a, self.most_a)

    def _pass(self) -> None:
        """Let happen what has happened since the last look, under one and the same offer."""
        now = self.clock()
        since, self._at = self._at, now
        if self._plugged and self._offer_a <= 0 and self.sleeps_after_s is not None:
            self._asleep = self._asleep or now - self._idle_since >= self.sleeps_after_s
        self._amps = min(self._amps, target_a := self._target_a)
        drawing_s = now - max(since, self._begins_at)
        if target_a <= 0 or drawing_s <= 0:
            return
        rising_s = min(drawing_s, (target_a - self._amps) / self.ramp_a_per_s)
        reached_a = min(target_a, self._amps + rising_s * self.ramp_a_per_s)
        amp_seconds = (self._amps + reached_a) / 2 * rising_s + reached_a * (drawing_s - rising_s)
        wanted_wh = amp_seconds * self._using * self.volts / 3600
        taken_wh = min(wanted_wh, self._left_wh)
        self.drawn_wh += taken_wh
        self._stored_wh += taken_wh
        self._amps = reached_a if self._left_wh > 1e-6 else 0.0
