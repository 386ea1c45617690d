"""Appliances with the little physics that matters to a controller, driven by commands a second at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadctl.controller import LoadState
from loadctl.core.values import Command
from loadctl.lab.emulators.car import Car

SWITCHING_S = 10.0  # a wallbox pauses the car while it switches phases


@dataclass(slots=True)
class CarAtHome:
    """A car that comes home at `comes` and leaves at `leaves` (POSIX), behind a wallbox that sets its current."""

    car: Car
    comes: float
    leaves: float
    phases: int = 1
    resumes: float = 0.0
    _now: list[float] = field(default_factory=lambda: [0.0])

    @classmethod
    def of(
        cls, comes: float, leaves: float, wanted_wh: float, *, phases: int = 1, start_delay_s: float = 30.0
    ) -> CarAtHome:
        """Make a car that lacks `wanted_wh` to be full."""
        now = [comes - 86400.0]
        capacity_wh = max(60_000.0, 2 * wanted_wh)
        soc = 100 * (1 - wanted_wh / capacity_wh)
        car = Car(
            lambda: now[0],
            capacity_wh=capacity_wh,
            soc=soc,
            phases=phases,
            start_delay_s=start_delay_s,
            ramp_a_per_s=2.0,
        )
        return cls(car, comes, leaves, _now=now)

    def live(self, told: Command | None, at: float) -> LoadState:
        self._now[0] = max(at, self._now[0])
        here = self.comes <= at < self.leaves
        if here != self.car.plugged:
            self.car.plug() if here else self.car.unplug()
        amps = told.amps or 0.0 if told is not None and told.watts > 0 else 0.0
        phases = (told.phases if told is not None else None) or 1
        if phases != self.phases:
            self.phases, self.resumes = phases, at + SWITCHING_S
        self.car.offer(amps if at >= self.resumes else 0.0, phases)
        self._now[0] = at + 1.0
        using = sum(current > 0 for current in self.car.currents)
        return LoadState(
            on=amps > 0,
            power_w=self.car.watts if here else 0.0,
            available=here,
            satisfied=self.car.full if here else None,
            phases=using or None,
        )
