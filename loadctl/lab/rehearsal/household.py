"""The appliances and the battery of a made-up day: a load that is on draws its power, until it has had enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from loadctl.controller import LoadState
from loadctl.core.rules import Load
from loadctl.core.values import Command
from loadctl.lab.emulators.car import Car

CAR_LACKS_WH = 40_000.0
OFF = LoadState(on=False, power_w=0.0)


class Machine(Protocol):
    """An appliance as the world sees it. `live` tells what it does from `at` on, `go` lets the time go by."""

    def live(self, told: Command | None, at: float) -> LoadState: ...

    def go(self, seconds: float) -> None: ...

    def set(self, what: str, value: float) -> None:
        """Make it be so: `lacks` (Wh), `draws` (W), `plugged`, `phases`, `amps`."""
        ...


@dataclass(slots=True)
class Heater:
    """Anything behind a switch or a dimmer. `lacks_wh`: after so much its thermostat opens; None: it has none."""

    power_w: float
    dims: bool
    lacks_wh: float | None = None
    _draws_w: float = 0.0
    _does: LoadState = OFF

    def live(self, told: Command | None, at: float) -> LoadState:  # noqa: ARG002 - no moment is like another to a car
        on = told is not None and told.watts > 0
        asked_w = min(told.watts, self.power_w) if told is not None and self.dims else self.power_w
        self._draws_w = asked_w if on and (self.lacks_wh is None or self.lacks_wh > 0) else 0.0
        if on is not self._does.on or self._draws_w != self._does.power_w:
            self._does = LoadState(on=on, power_w=self._draws_w)
        return self._does

    def go(self, seconds: float) -> None:
        if self.lacks_wh is not None and self._draws_w:
            self.lacks_wh = max(0.0, self.lacks_wh - self._draws_w * seconds / 3600)

    def set(self, what: str, value: float) -> None:
        if what == "lacks":
            self.lacks_wh = value
        elif what == "draws":
            self.power_w = value


@dataclass(slots=True)
class Garage:
    """A car behind a wallbox that sets its current."""

    _now: list[float] = field(default_factory=lambda: [0.0])
    car: Car = field(init=False)

    def __post_init__(self) -> None:
        self.car = Car(lambda: self._now[0], plugged=True, capacity_wh=1e6, ramp_a_per_s=2.0)
        self.set("lacks", CAR_LACKS_WH)

    def live(self, told: Command | None, at: float) -> LoadState:
        self._now[0] = at
        on = told is not None and told.watts > 0
        self.car.offer((told.amps or 0.0) if told is not None and on else 0.0, (told and told.phases) or 1)
        drawing = sum(current > 0 for current in self.car.currents)
        return LoadState(
            on=on,
            power_w=self.car.watts,
            available=self.car.plugged,
            satisfied=self.car.full if self.car.plugged else None,
            phases=drawing or None,
        )

    def go(self, seconds: float) -> None:
        self._now[0] += seconds

    def set(self, what: str, value: float) -> None:
        match what:
            case "lacks":
                self.car.soc = 100 - 100 * value / self.car.capacity_wh
            case "plugged":
                self.car.plug() if value else self.car.unplug()
            case "phases":
                self.car.phases = round(value)
            case "amps":
                self.car.most_a = value


def machine_of(load: Load) -> Machine:
    """Return the appliance that fits a rule."""
    if load.follow is not None and load.follow.ranges[0].phases is not None:
        return Garage()
    return Heater(load.power_w, load.follow is not None)


@dataclass(slots=True)
class HouseBattery:
    """A battery that takes what is left over and gives what is lacking, by itself and at once."""

    capacity_wh: float = 10_000.0
    most_w: float = 5_000.0
    stored_wh: float = 5_000.0
    power_w: float = 0.0  # + discharging

    @property
    def soc_pct(self) -> float:
        return 100 * self.stored_wh / self.capacity_wh

    def live(self, lacking_w: float) -> float:
        """Return what it gives (negative: takes) when the house lacks so much."""
        wanted_w = min(max(lacking_w, -self.most_w), self.most_w)
        if (wanted_w > 0 and self.stored_wh <= 0) or (wanted_w < 0 and self.stored_wh >= self.capacity_wh):
            wanted_w = 0.0
        self.power_w = wanted_w
        return wanted_w

    def go(self, seconds: float) -> None:
        self.stored_wh = min(max(self.stored_wh - self.power_w * seconds / 3600, 0.0), self.capacity_wh)

    def set(self, what: str, value: float) -> None:
        """Make it be so: `soc` (%), `capacity` (Wh), `most` (W)."""
        match what:
            case "soc":
                self.stored_wh = self.capacity_wh * value / 100
            case "capacity":
                self.stored_wh *= value / self.capacity_wh
                self.capacity_wh = value
            case "most":
                self.most_w = value
