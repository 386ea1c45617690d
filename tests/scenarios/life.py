"""Days in a household: its rule file at work on machines, in closed loop, some seconds at a time.

The meter shows what was a step ago, with a little noise; switches follow a step later. `Life.moments` keeps what
happened, and the questions below are those that a householder would ask of it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from random import Random

from loadctl.controller import Controller, Sample
from loadctl.core.values import Away, Command, Verdict
from loadctl.lab.house import Clouds, Course, clear_sky
from loadctl.lab.machines import HouseBattery
from loadctl.lab.replay import Machine
from loadctl.lab.trace import Trace

RULES = Path(__file__).parent / "households"
DAY_S = 86400.0
NIGHT_STEP_S = 120.0
NOISE_W = 4.0
GRID_W = 20.0  # import of so much is the noise's


@dataclass(frozen=True, slots=True)
class Moment:
    """A step: POSIX `at` and local `wall` at its beginning, what was drawn in it, and what was decided at its end."""

    at: float
    wall: datetime
    for_s: float
    grid_w: float
    surplus_w: float
    battery_w: float
    soc_pct: float | None
    power_w: Mapping[str, float]
    on: Mapping[str, bool]
    verdicts: Mapping[str, Verdict]


@dataclass(slots=True)
class Life:
    """A household from local midnight of `begins` on. `sun` and `house` go by seconds since then."""

    rules: str
    begins: date
    machines: Mapping[str, Machine]
    sun: Course
    house: Course
    battery: HouseBattery | None = None
    inputs: Callable[[datetime], Mapping[str, float]] = lambda _: {}
    step_s: float = 10.0
    seed: int = 1
    moments: list[Moment] = field(default_factory=list)
    controller: Controller = field(init=False)
    midnight: float = field(init=False)
    _told: dict[str, Command] = field(default_factory=dict)
    _sent: tuple[Command, ...] = ()
    _seen: tuple[float, float, float, float] | None = None
    _passed_s: float = 0.0
    _dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self.controller = Controller.from_file(RULES / self.rules)
        self.midnight = datetime.combine(self.begins, time(0), self.controller.house.zone).timestamp()
        self._dice = Random(self.seed)

    def days(self, count: float = 1.0) -> Life:
        """Live so many days more."""
        until_s = self._passed_s + count * DAY_S
        while self._passed_s < until_s:
            self._step()
        return self

    def away(self) -> None:
        self.controller.ask(Away())

    def back(self) -> None:
        self.controller.ask()

    def _step(self) -> None:
        at, zone = self.midnight + self._passed_s, self.controller.house.zone
        for_s = self.step_s if self.sun(self._passed_s) > 0 else max(self.step_s, NIGHT_STEP_S)
        wall = datetime.fromtimestamp(at, zone)
        self._told |= {command.load: command for command in self._sent}
        states = {name: machine.live(self._told.get(name), at) for name, machine in self.machines.items()}
        draws_w = {name: state.power_w or 0.0 for name, state in states.items()}
        pv_w, base_w = self.sun(self._passed_s), self.house(self._passed_s)
        house_w = base_w + sum(draws_w.values())
        battery_w = 0.0 if self.battery is None else self.battery.live(house_w - pv_w, for_s)
        grid_w = house_w - pv_w - battery_w
        shown = (grid_w + self._dice.gauss(0, NOISE_W), pv_w, house_w, battery_w)
        seen = self._seen or shown
        self._seen = shown
        sample = Sample(
            self._passed_s,
            wall,
            *seen[:3],
            battery_w=None if self.battery is None else seen[3],
            soc_pct=None if self.battery is None else self.battery.soc_pct,
            inputs=self.inputs(wall),
        )
        decision = self.controller.step(sample, states)
        self._sent = decision.commands
        self.moments.append(
            Moment(
                at,
                wall,
                for_s,
                grid_w,
                pv_w - base_w,
                battery_w,
                None if self.battery is None else self.battery.soc_pct,
                draws_w,
                {name: bool(state.on) for name, state in states.items()},
                {name: said.word for name, said in decision.verdicts.items()},
            )
        )
        self._passed_s += for_s

    # What a householder asks.

    def wh(self, load: str, *, when: Callable[[Moment], bool] = lambda _: True) -> float:
        """Energy that a load had."""
        return sum(one.power_w[load] * one.for_s / 3600 for one in self.moments if when(one))

    def bought_wh(self, load: str, *, when: Callable[[Moment], bool] = lambda _: True) -> float:
        """Energy that was bought because of a load: no more than it drew."""
        return sum(
            min(one.power_w[load], max(0.0, one.grid_w - GRID_W)) * one.for_s / 3600
            for one in self.moments
            if when(one)
        )

    def hours(self, load: str, *, when: Callable[[Moment], bool] = lambda _: True) -> float:
        """Hours in which the load drew power."""
        return sum(one.for_s for one in self.moments if one.power_w[load] > 1.0 and when(one)) / 3600

    def runs(self, load: str) -> list[tuple[datetime, datetime]]:
        """Stretches of time in which the load's switch was on."""
        found = []
        for on, stretch in itertools.groupby(self.moments, key=lambda one: one.on[load]):
            items = list(stretch)
            if on:
                found.append((items[0].wall, items[-1].wall + timedelta(seconds=items[-1].for_s)))
        return found

    def day(self, index: int) -> date:
        return self.begins + timedelta(days=index)

    def __iter__(self) -> Iterator[Moment]:
        return iter(self.moments)


def between(start: str, end: str) -> Callable[[Moment], bool]:
    """Tell the moments of a part of the day; it may cross midnight."""
    first, last = time.fromisoformat(start), time.fromisoformat(end)

    def fits(one: Moment) -> bool:
        clock = one.wall.time()
        return first <= clock < last if first < last else clock >= first or clock < last

    return fits


def minutes(run: tuple[datetime, datetime]) -> float:
    return (run[1] - run[0]).total_seconds() / 60


def sunny(peak_w: float, rise: float = 6.0, down: float = 21.0) -> Course:
    return clear_sky(peak_w, rise * 3600, down * 3600)


def dull(peak_w: float, rise: float = 6.0, down: float = 21.0) -> Course:
    """A twelfth of a clear day's power."""
    clear = sunny(peak_w, rise, down)
    return lambda at_s: clear(at_s) / 12


def broken(peak_w: float, rise: float = 6.0, down: float = 21.0, seed: int = 3) -> Course:
    clear, shares = sunny(peak_w, rise, down), _shares(seed)
    return lambda at_s: clear(at_s) * shares[int(at_s % DAY_S / 10)]


@cache
def _shares(seed: int) -> tuple[float, ...]:
    clouds = Clouds(seed)
    return tuple(clouds.share(10.0 * index) for index in range(int(DAY_S / 10)))


def in_turn(*courses: Course) -> Course:
    """One course a day, the last one for ever."""
    return lambda at_s: courses[min(int(at_s // DAY_S), len(courses) - 1)](at_s)


def quiet(watts: float = 250.0) -> Course:
    return lambda at_s: watts + (90.0 if at_s % 2700 < 900 else 0.0)


def recorded(trace: Trace) -> tuple[Course, Course]:
    """Sun and house of a recorded day by the seconds since its beginning; the day repeats."""
    first = trace.moments[0].time
    starts = [moment.time - first for moment in trace.moments]

    def row(at_s: float) -> int:
        return max(0, bisect_right(starts, at_s % DAY_S) - 1)

    return lambda at_s: trace.moments[row(at_s)].pv_w, lambda at_s: trace.moments[row(at_s)].base_w
