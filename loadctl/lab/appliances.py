"""Appliances of a home in a scenario file: told what to draw, they draw what they can, a second at a time.

They say the same object again while nothing changes, so that a year of seconds is soon lived through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from loadctl.controller import LoadState
from loadctl.core.calendar import DAY_S
from loadctl.core.values import Command
from loadctl.lab.emulators.car import Car
from loadctl.lab.house import Draw

OFF = LoadState(on=False, power_w=0.0)
AWAY = LoadState(on=False, power_w=0.0, available=False)


@dataclass(slots=True)
class Plain:
    """Draws its power whenever it may: a heater without a thermostat, a pump."""

    power_w: float
    _on: LoadState = field(init=False)

    def __post_init__(self) -> None:
        self._on = LoadState(on=True, power_w=self.power_w)

    def live(self, told: Command | None, at: float) -> LoadState:  # noqa: ARG002 - a pump knows no time
        return OFF if told is None or told.watts <= 0 else self._on


@dataclass(slots=True)
class HeatPump:
    """A compressor: `begins_share` of its power for `begins_s`, then up to all of it within `ramp_s`."""

    power_w: float
    begins_share: float = 1 / 3
    begins_s: float = 60.0
    ramp_s: float = 120.0
    _since: float = math.inf
    _state: LoadState = OFF

    def live(self, told: Command | None, at: float) -> LoadState:
        if told is None or told.watts <= 0:
            if self._since < math.inf:
                self._since, self._state = math.inf, OFF
            return self._state
        self._since = min(self._since, at)
        risen = min(max(at - self._since - self.begins_s, 0.0) / self.ramp_s, 1.0) if self.ramp_s else 1.0
        power_w = self.power_w * (self.begins_share + (1 - self.begins_share) * risen)
        if power_w != self._state.power_w:
            self._state = LoadState(on=True, power_w=power_w)
        return self._state


@dataclass(slots=True)
class Boiler:
    """A hot-water tank by its heat: what is put in, drawn and lost, and a thermostat that opens when it is full.

    `hysteresis_wh` must have left it before the thermostat closes again. What is drawn and is not there is `unmet_wh`:
    the house helps itself. `midnight`: POSIX of a local one, for the draws.
    """

    power_w: float
    capacity_wh: float
    content_wh: float
    hysteresis_wh: float
    loss_w: float
    draws: tuple[Draw, ...]
    midnight: float
    unmet_wh: float = 0.0
    calls_for_heat: bool = True
    _drawn_w: float = 0.0
    _until: float = -math.inf
    _state: LoadState = OFF

    def live(self, told: Command | None, at: float) -> LoadState:
        if at >= self._until:
            self._turn(at)
        if self.content_wh >= self.capacity_wh:
            self.calls_for_heat = False
        elif self.content_wh <= self.capacity_wh - self.hysteresis_wh:
            self.calls_for_heat = True
        on = told is not None and told.watts > 0
        power_w = self.power_w if on and self.calls_for_heat else 0.0
        content_wh = max(0.0, self.content_wh + (power_w - self.loss_w) / 3600)
        if self._drawn_w:
            content_wh -= self._drawn_w / 3600
            if content_wh < 0:
                self.unmet_wh -= content_wh
                content_wh = 0.0
        self.content_wh = content_wh
        state = self._state
        if on is not state.on or power_w != state.power_w:
            state = self._state = LoadState(on=on, power_w=power_w)
        return state

    @property
    def kept_wh(self) -> float:
        return self.content_wh

    def _turn(self, at: float) -> None:
        """Look what is drawn from `at` on, and until when."""
        clock_s = (at - self.midnight) % DAY_S
        self._drawn_w = sum(d.energy_wh * 3600 / d.over_s for d in self.draws if 0 <= clock_s - d.at_s < d.over_s)
        turns_s = [turn for d in self.draws for turn in (d.at_s, d.at_s + d.over_s) if turn > clock_s]
        self._until = at + min([*turns_s, DAY_S]) - clock_s


@dataclass(slots=True)
class DailyCar:
    """A car that comes home each day at `comes_s` and leaves at `leaves_s` (after local `midnight`, a POSIX time).

    It lacks `wants_wh` to be full, each day anew. Each time it may charge again it takes `delay_s()` to begin.
    """

    comes_s: float
    leaves_s: float
    wants_wh: float
    midnight: float
    delay_s: Callable[[], float]
    phases: int = 1
    volts: float = 230.0
    ramp_a_per_s: float = 2.0
    _now: list[float] = field(default_factory=lambda: [-math.inf])
    _car: Car = field(init=False)
    _day: float = -math.inf
    _told: Command | None = None
    _rests_until: float = -math.inf
    _state: LoadState = AWAY

    def __post_init__(self) -> None:
        now = self._now
        now[0] = self.midnight
        self._car = Car(
            lambda: now[0],
            capacity_wh=max(60_000.0, 2 * self.wants_wh),
            phases=self.phases,
            volts=self.volts,
            ramp_a_per_s=self.ramp_a_per_s,
        )

    def live(self, told: Command | None, at: float) -> LoadState:
        if told is self._told and at < self._rests_until:
            return self._state
        car, now = self._car, self._now
        now[0] = max(at, now[0])
        day, clock_s = divmod(at - self.midnight, DAY_S)
        here = self.comes_s <= clock_s < self.leaves_s
        if here and day != self._day and car.plugged:
            car.unplug()  # one that is always here has been away all the same
        self._day = day
        if here != car.plugged:
            if here:
                car.soc = 100 - 100 * self.wants_wh / car.capacity_wh
                car.start_delay_s = self.delay_s()
                car.plug()
            else:
                car.unplug()
        if told is not self._told:
            on = told is not None and told.watts > 0
            if on and not self._state.on:
                car.start_delay_s = self.delay_s()
            amps = 0.0 if not on or told is None else told.amps or told.watts / self.volts
            car.offer(amps, (told.phases if told is not None else None) or 1)
            self._told = told
        on = told is not None and told.watts > 0
        now[0] = at + 1.0
        using = sum(current > 0 for current in car.currents)
        self._state = LoadState(
            on=on,
            power_w=car.watts,
            available=here,
            satisfied=car.full if here else None,
            phases=using or None,
        )
        self._rests_until = self._turn(at, here=here, on=on)
        return self._state

    def _turn(self, at: float, *, here: bool, on: bool) -> float:
        """Return until when nothing can change by itself."""
        clock_s = (at - self.midnight) % DAY_S
        if not here:
            return at + (self.comes_s - clock_s if clock_s < self.comes_s else DAY_S - clock_s)
        return at + self.leaves_s - clock_s if not on or self._car.full else -math.inf
