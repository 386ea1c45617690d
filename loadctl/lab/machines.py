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
        phases = (told.phases if told is not None else None) or self.phases
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


WATER_WH = 1.163  # warm a litre by a kelvin


@dataclass(frozen=True, slots=True)
class Shower:
    """Hot water drawn each day at `at_s` after local midnight: `litres` at the tank's temperature."""

    at_s: float
    litres: float


@dataclass(slots=True)
class Motor:
    """Draws its power whenever it may: a pump, a fan."""

    power_w: float

    def live(self, told: Command | None, at: float) -> LoadState:  # noqa: ARG002
        on = told is not None and told.watts > 0
        return LoadState(on=on, power_w=self.power_w if on else 0.0)


@dataclass(slots=True)
class Tank:
    """A hot-water tank with a thermostat of its own, heated by a rod or, with a `cop` above 1, by a heat pump.

    `thermostat`: at this temperature (°C) it opens, `hysteresis` K below it closes again. `rise_s`: a compressor takes
    so long to its full power. `midnight`: POSIX of a local midnight, for the showers. A dimmed rod draws what it is
    told.
    """

    power_w: float
    litres: float
    temperature: float
    thermostat: float = 60.0
    hysteresis: float = 5.0
    cop: float = 1.0
    rise_s: float = 0.0
    loss_w: float = 60.0
    cold: float = 12.0
    midnight: float = 0.0
    showers: tuple[Shower, ...] = ()
    calls: bool = True
    _power_w: float = 0.0
    _at: float | None = None

    def live(self, told: Command | None, at: float) -> LoadState:
        passed_s = 0.0 if self._at is None else at - self._at
        self._warm(passed_s, at)
        self._at = at
        if self.temperature >= self.thermostat:
            self.calls = False
        elif self.temperature <= self.thermostat - self.hysteresis:
            self.calls = True
        on = told is not None and told.watts > 0
        most_w = min(self.power_w, told.watts) if told is not None and on and self.cop == 1.0 else self.power_w
        if not on or not self.calls:
            self._power_w = 0.0
        elif self.rise_s:
            self._power_w = min(most_w, max(self._power_w, 0.3 * most_w) + most_w * passed_s / self.rise_s)
        else:
            self._power_w = most_w
        return LoadState(on=on, power_w=self._power_w)

    def _warm(self, passed_s: float, at: float) -> None:
        """Let pass the time up to `at` under the power of the last look."""
        holds_wh = self.litres * WATER_WH
        self.temperature += (self._power_w * self.cop - self.loss_w) * passed_s / 3600 / holds_wh
        for shower in self.showers:
            if passed_s > 0 and (at - self.midnight - shower.at_s) % 86400.0 < passed_s:
                share = min(1.0, shower.litres / self.litres)
                self.temperature += share * (self.cold - self.temperature)


@dataclass(slots=True)
class Programme:
    """A dishwasher: somebody presses start at `pressed` (POSIX); with its plug on it runs its programme and is done.

    A plug that is pulled in the middle spoils it: it begins anew. `cuts` counts that.
    """

    power_w: float
    length_s: float
    pressed: float
    runs: list[tuple[float, float]] = field(default_factory=list)
    cuts: int = 0
    _since: float | None = None

    def live(self, told: Command | None, at: float) -> LoadState:
        on = told is not None and told.watts > 0
        if self._since is not None and at - self._since >= self.length_s:
            self.runs.append((self._since, at))
            self._since, self.pressed = None, float("inf")
        if self._since is not None and not on:
            self.cuts, self._since = self.cuts + 1, None
        if self._since is None and on and at >= self.pressed:
            self._since = at
        return LoadState(on=on, power_w=0.0 if self._since is None else self.power_w)


@dataclass(slots=True)
class Room:
    """A room on an electric floor: `holds_wh` warm it by a kelvin, `leaks_w` leave it for each kelvin to the outside.

    `thermostat`: the floor's own.
    """

    power_w: float
    temperature: float
    outside: float
    holds_wh: float = 400.0
    leaks_w: float = 45.0
    thermostat: float = 26.0
    _power_w: float = 0.0
    _at: float | None = None

    def live(self, told: Command | None, at: float) -> LoadState:
        passed_s = 0.0 if self._at is None else at - self._at
        lost_w = self.leaks_w * (self.temperature - self.outside)
        self.temperature += (self._power_w - lost_w) * passed_s / 3600 / self.holds_wh
        self._at = at
        on = told is not None and told.watts > 0
        self._power_w = self.power_w if on and self.temperature < self.thermostat else 0.0
        return LoadState(on=on, power_w=self._power_w)


@dataclass(slots=True)
class HouseBattery:
    """A house battery that keeps the grid at zero as far as it can. `given_wh`: all it gave in its life."""

    capacity_wh: float
    soc_pct: float
    power_w: float = 3000.0
    least_pct: float = 5.0
    given_wh: float = 0.0

    def live(self, net_w: float, for_s: float) -> float:
        """Live through `for_s` in which house and sun come to `net_w` (+ import); return W (+ discharging)."""
        room_w = (100.0 - self.soc_pct) / 100 * self.capacity_wh * 3600 / for_s
        left_w = max(0.0, self.soc_pct - self.least_pct) / 100 * self.capacity_wh * 3600 / for_s
        watts = max(-self.power_w, -room_w, min(net_w, self.power_w, left_w))
        self.soc_pct -= 100 * watts * for_s / 3600 / self.capacity_wh
        self.given_wh += max(0.0, watts) * for_s / 3600
        return watts
