"""A house that is not there: sun, base load, and appliances with the little physics that matters to a controller.

Time is seconds since local midnight of the first day. An appliance is asked how much it draws while its relay is
closed; what it draws changes what it will draw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loadctl.core.calendar import DAY_S
from loadctl.lab.emulators.car import Car

Course = Callable[[float], float]  # seconds since midnight -> W


class Appliance(Protocol):
    """Something behind a relay or a wallbox."""

    def advance(self, closed: bool, at_s: float, dt_s: float) -> float:
        """Live through `dt_s` from `at_s` on, let draw or not; return the W drawn in that time."""
        ...


@dataclass(slots=True)
class Resistor:
    """Draws its power whenever it may: a heater without a thermostat, a pump."""

    power_w: float

    def advance(self, closed: bool, at_s: float, dt_s: float) -> float:  # noqa: ARG002
        return self.power_w if closed else 0.0


@dataclass(frozen=True, slots=True)
class Draw:
    """Hot water taken each day: `energy_wh` from `at_s` (of the day) on, evenly over `over_s`."""

    at_s: float
    energy_wh: float
    over_s: float = 600.0


@dataclass(slots=True)
class Tank:
    """A boiler: heat that is put in, drawn and lost, and a thermostat that opens when it is full.

    `hysteresis_wh` must have left the tank before the thermostat closes again.
    """

    power_w: float
    capacity_wh: float
    content_wh: float
    hysteresis_wh: float = 350.0
    loss_w: float = 60.0
    draws: Sequence[Draw] = ()
    calls_for_heat: bool = True

    def advance(self, closed: bool, at_s: float, dt_s: float) -> float:
        drawn_w = sum(d.energy_wh * 3600 / d.over_s for d in self.draws if 0 <= at_s % DAY_S - d.at_s < d.over_s)
        if self.content_wh >= self.capacity_wh:
            self.calls_for_heat = False
        elif self.content_wh <= self.capacity_wh - self.hysteresis_wh:
            self.calls_for_heat = True
        power_w = self.power_w if closed and self.calls_for_heat else 0.0
        self.content_wh += (power_w - drawn_w - self.loss_w) * dt_s / 3600
        self.content_wh = min(max(self.content_wh, 0.0), self.capacity_wh)
        return power_w


@dataclass(slots=True)
class Garage:
    """A car that comes home each day at `comes_s` with `soc` % and leaves at `leaves_s`; its wallbox feeds it."""

    car: Car
    comes_s: float
    leaves_s: float
    soc: float

    def advance(self, closed: bool, at_s: float, dt_s: float) -> float:  # noqa: ARG002
        here = not self.leaves_s <= at_s % DAY_S < self.comes_s
        if here and not self.car.plugged:
            self.car.soc = self.soc
            self.car.plug()
        elif not here:
            self.car.unplug()
        return self.car.watts


@dataclass(slots=True)
class Clouds:
    """Broken clouds: shares of the clear sky that come and go by chance, the same for the same seed."""

    seed: int = 1
    cover: float = 0.35  # the share of the time that is overcast
    mean_s: float = 420.0  # how long a cloud or a gap lasts
    _edges: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice, at_s, clear = random.Random(self.seed), 0.0, True
        while at_s < DAY_S:
            share = dice.uniform(0.88, 1.0) if clear else dice.uniform(0.15, 0.6)
            self._edges.append((at_s, share))
            weight = 2 * (1 - self.cover if clear else self.cover)
            at_s += max(20.0, dice.expovariate(1 / (self.mean_s * weight)))
            clear = not clear

    def share(self, at_s: float) -> float:
        """Return the share of the clear-sky power that comes through, sliding over 20 s at a cloud's edge."""
        clock_s = at_s % DAY_S
        before = 1.0
        for edge_s, share in self._edges:
            if clock_s < edge_s:
                break
            slide = min(1.0, (clock_s - edge_s) / 20.0)
            now = before + (share - before) * slide
            before = share if slide >= 1.0 else now
        return before


def clear_sky(peak_w: float, rise_s: float = 6 * 3600.0, set_s: float = 21 * 3600.0) -> Course:
    """Return the course of an array on a cloudless day: a bell between sunrise and sunset."""

    def pv_w(at_s: float) -> float:
        share = (at_s % DAY_S - rise_s) / (set_s - rise_s)
        return peak_w * math.sin(math.pi * share) ** 1.3 if 0 < share < 1 else 0.0

    return pv_w


@dataclass(frozen=True, slots=True)
class Spike:
    """Something switched on by people: a kettle, an oven."""

    at_s: float
    power_w: float
    for_s: float


def everyday(base_w: float, spikes: Sequence[Spike]) -> Course:
    """Return the course of a house without our loads: a base, a fridge that cycles, and `spikes`."""

    def load_w(at_s: float) -> float:
        clock_s = at_s % DAY_S
        fridge_w = 90.0 if clock_s % 2700 < 900 else 0.0
        return base_w + fridge_w + sum(s.power_w for s in spikes if 0 <= clock_s - s.at_s < s.for_s)

    return load_w


@dataclass(slots=True)
class House:
    """Sun and base load as courses, appliances by name; `advance` lives on and leaves what the meter would show."""

    pv: Course
    base: Course
    appliances: dict[str, Appliance]
    at_s: float
    pv_w: float = 0.0
    base_w: float = 0.0
    draws_w: dict[str, float] = field(default_factory=dict)
    import_wh: float = 0.0
    export_wh: float = 0.0
    pv_wh: float = 0.0

    @property
    def grid_w(self) -> float:
        return self.base_w + sum(self.draws_w.values()) - self.pv_w

    def advance(self, to_s: float, closed: Callable[[str], bool]) -> None:
        """Live on until `to_s`; `closed` tells for each appliance whether its relay is."""
        dt_s = to_s - self.at_s
        if dt_s <= 0:
            return
        self.pv_w, self.base_w = self.pv(self.at_s), self.base(self.at_s)
        self.draws_w = {
            name: appliance.advance(closed(name), self.at_s, dt_s) for name, appliance in self.appliances.items()
        }
        energy_wh = self.grid_w * dt_s / 3600
        self.import_wh += max(0.0, energy_wh)
        self.export_wh += max(0.0, -energy_wh)
        self.pv_wh += self.pv_w * dt_s / 3600
        self.at_s = to_s
