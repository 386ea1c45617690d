"""The controller for programs that have a house of their own: a simulator, a home automation, a notebook.

No I/O, no clock, no thread: time and the meter's readings are handed in, what is to change comes back, and what the
appliances really do is told with the next step. It is the same code that runs in `loadctl run`.

>>> from datetime import datetime, timedelta
>>> rules = {"site": {"timezone": "Europe/Berlin"}, "loads": {"boiler": {"power": "2 kW", "start": "1.5 kW for 1 min"}}}
>>> controller = Controller.from_dict(rules)  # or Controller.from_file("home.yaml")
>>> began, boiler = datetime(2025, 6, 21, 12, 0), LoadState(on=False)
>>> for second in range(0, 120, 5):
...     grid_w = -300.0 if boiler.on else -2300.0  # what your meter shows
...     sample = Sample(at=second, wall=began + timedelta(seconds=second), grid_w=grid_w)
...     decision = controller.step(sample, {"boiler": boiler})
...     if decision.watts:
...         print(f"{sample.wall:%H:%M:%S}", decision.watts)
...         boiler = LoadState(on=decision.watts["boiler"] > 0)  # your house switches it
12:01:00 {'boiler': 2000.0}
>>> decision.verdicts["boiler"].word
<Verdict.RUN: 'run'>
>>> decision.verdicts["boiler"].sentence
'runs: 2 300 W for it'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from math import inf, isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

import yaml

from loadctl.actuators import ACTUATORS
from loadctl.calm import Calm, covers, decided, lived, step
from loadctl.config import House, load, parse
from loadctl.config.findings import no_load
from loadctl.config.reading import Drivers
from loadctl.core import values
from loadctl.core.appliance import drawn_w
from loadctl.core.rules import Load, Site
from loadctl.core.step import reordered, start
from loadctl.core.values import AnyWish, Away, Command, Input, Outcome, Outlook, Report, Tick, Verdict
from loadctl.each_tick import each_tick
from loadctl.inputs.known import METER_W, of_load, of_meter, of_prices
from loadctl.meters import METERS
from loadctl.outlook.maker import OutlookMaker
from loadctl.telling.explain import explain

COARSEST_S = 300.0  # a longer time between two readings is a hole, unless the one before was as long
HOLE_S = 3600.0  # longer than that it is one in any case
NOTHING: Mapping[str, LoadState] = MappingProxyType({})


@each_tick(frozen=True, slots=True)
class Sample:
    """What the house's meter shows at `at` (monotonic s) and `wall` (aware; naive is taken as the site's local time).

    Signs: `grid_w` + import, - export; `battery_w` + discharging, - charging. `load_w` is the whole house with the
    controlled appliances, the battery taken out. Without `grid_w` it follows from the others; None, and what is no
    finite number, is not known. `grid_up` False: the grid is gone. `inputs`: what the rules ask for by name, in base
    units (W, °C, %, /kWh; yes: 1).

    Any course of time will do, if no more than an hour lies between two readings that belong together.
    """

    at: float
    wall: datetime
    grid_w: float | None = None
    pv_w: float | None = None
    load_w: float | None = None
    battery_w: float | None = None
    soc_pct: float | None = None
    grid_up: bool | None = None
    inputs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadState:
    """What an appliance really does, as far as it is known: by default nothing is.

    `on` None: it is taken to do what it is told. `power_w`: what it draws. `available` False: it cannot run now (no car
    is plugged in). `satisfied`: its own thermostat is done. `need_left_kwh`: what its need still lacks, if you know
    better than its tally. `phases`: on how many a car really draws. `by_hand`: a person switched it so; that is
    respected for a while.
    """

    on: bool | None = None
    power_w: float | None = None
    available: bool | None = None
    satisfied: bool | None = None
    need_left_kwh: float | None = None
    phases: int | None = None
    by_hand: bool = False


class _Thought(NamedTuple):
    """All that a step was decided on."""

    site: Site
    tick: Tick
    outcome: Outcome


@each_tick(frozen=True, slots=True)
class Said:
    """A verdict on one appliance: its word at once, its sentence and next change when they are asked for."""

    word: Verdict
    _thought: Callable[[], _Thought] = field(repr=False)
    _index: int = field(repr=False)

    @property
    def sentence(self) -> str:
        site, tick, outcome = self._thought()
        return explain(site, outcome, tick, self._index).sentence

    @property
    def next_change_at(self) -> float | None:
        """When the appliance could change by its rules at the earliest, on the clock of `Sample.at`; None: unknown."""
        site, tick, outcome = self._thought()
        left_s = explain(site, outcome, tick, self._index).next_change_s
        return None if left_s is None else tick.at + left_s


@each_tick(frozen=True, slots=True)
class Decision:
    """What one step decided. `commands`: only what changes; 0 W is off. `surplus_w` None: nobody knows.

    `words`: the verdicts in the order of `loads`; while nothing changes it is the same object.
    """

    commands: tuple[Command, ...]
    surplus_w: float | None
    loads: tuple[Load, ...]
    words: tuple[Verdict, ...]
    _thought: Callable[[], _Thought] = field(repr=False)

    @property
    def watts(self) -> dict[str, float]:
        """Return what changes, by appliance: the power it is to draw from now on."""
        return {command.load: command.watts for command in self.commands}

    @property
    def verdicts(self) -> dict[str, Said]:
        """Return what was decided on each appliance, and why."""
        thought = self._thought
        return {
            load.name: Said(word, thought, index)
            for index, (load, word) in enumerate(zip(self.loads, self.words, strict=True))
        }


@dataclass(frozen=True, slots=True)
class ExternalOptions:
    """A device that is somebody else's to switch: the program that calls the controller."""

    failsafe: str = "none"


class External:
    """A meter or a switch that is the caller's: `driver: external`."""

    Options: ClassVar[type[ExternalOptions]] = ExternalOptions
    every_s = 1.0
    settle_s = 5.0
    lease_s = None
    tells = ("temperature", "soc")  # if the caller hands them in, as the input `boiler.temperature`

    def __init__(self, options: ExternalOptions, shared: object) -> None:
        pass


class ExternalCharger(External):
    """A wallbox that is the caller's: `driver: external-charger`."""

    settle_s = 90.0  # many cars take their time to begin; one that says what it draws is settled when it draws
    step_a = 1.0
    switches_phases = True
    rise_s = 5.0


class ExternalDimmer(External):
    """A heater behind a controller of the caller's: `driver: external-dimmer`."""

    step_share = 0.01
    least_share = 0.0
    rise_s = 2.0


class _Rest(NamedTuple):
    """What was found when nothing could change: a step that `calm` covers and that differs in nothing of all this
    decides the same again.
    """

    calm: Calm
    site: Site
    state: values.State
    day: int
    since: float  # POSIX: from then on and before `until` prices and daylight are those of `outlook`
    until: float
    outlook: Outlook
    states: Mapping[str, LoadState]
    inputs: Mapping[str, float]
    known: Mapping[str, Input]
    own_w: float


class Controller:
    """One house's rules at work, a step at a time. Make one with `from_file` or `from_dict`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._state: values.State | None = None
        self._outlook = OutlookMaker(house.zone, house.location, house.tariff)
        self._pending: dict[str, Command] = {}
        self._told: dict[str, LoadState] = {}
        self._known: dict[str, Input] = {}
        self._wishes: tuple[AnyWish, ...] = ()
        self._at: float | None = None
        self._every_s = 1.0
        self._gap_s = 0.0  # between the last two readings
        self._rest: _Rest | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> Controller:
        """Read a rule file. Secrets need not be set: no device is asked. Raises ConfigError with all that is wrong."""
        return cls(load(Path(path), lenient=True, drivers=_DRIVERS))

    @classmethod
    def from_dict(cls, rules: Mapping[str, Any]) -> Controller:
        """Take the keys of a rule file as plain values; `version`, `meter` and the actuators may be left out.

        Raises ConfigError with all that is wrong; the places in it are those of the rules written as YAML.
        """
        full: dict[str, Any] = {"version": 1, "meter": {"driver": "external"}, **rules}
        loads = full.get("loads")
        if isinstance(loads, Mapping):
            full["loads"] = {name: _with_actuator(keys) for name, keys in loads.items()}
        text = yaml.safe_dump(_plain(full), sort_keys=False, allow_unicode=True)
        return cls(parse(text, "rules.yaml", {}, lenient=True, drivers=_DRIVERS))

    @property
    def state(self) -> values.State | None:
        """All that is remembered; None before the first step."""
        return self._state if self._rest is None else replace(self._rest.state, sample_at=self._at)

    def ask(self, *wishes: AnyWish) -> None:
        """Replace what people ask for: overrides (`Wish`), modes (`ModeWish`), boosts (`Boost`), `Away`.

        Raises ValueError for a load that is not in the rules.
        """
        self._refuse_strangers(wish.load for wish in wishes if not isinstance(wish, Away))
        self._wishes = wishes

    def step(self, sample: Sample, states: Mapping[str, LoadState] = NOTHING) -> Decision:
        """Live on to `sample.at` and return what is to change.

        Raises ValueError if time runs backwards, and for a load that is not in the rules.
        """
        sample = _finite(sample)
        if self._rest is not None:
            decision = self._quiet(self._rest, sample, states)
            if decision is not None:
                return decision
            self._state, self._rest = self.state, None
        at, wall = sample.at, _local(sample.wall, self.house.zone)
        if not isfinite(at) or (self._at is not None and at < self._at):
            raise ValueError(f"time runs forward only: {at} comes before {self._at}")
        self._refuse_strangers(states)
        site = self._ordered(wall.toordinal())
        if self._state is None:
            self._state = start(site, at, wall.toordinal())
        elif self._at is not None and at > self._at:
            self._passed(at - self._at)
        self._at = at
        seen, own_w = _seen(sample, self._every_s), drawn_w(site, self._state)
        self._outlook.note(wall, seen, own_w)
        reports = self._reports(at, states)
        for report in reports:
            self._known = self._known | {
                f"{report.load}.{key}": Input(value, at, inf) for key, value in of_load(report)
            }
        outlook = self._outlook.outlook(wall, _given(sample), at)
        tick = _tick(sample, wall, seen, reports, self._wishes, self._known, outlook)
        outcome = step(site, self._state, tick)
        self._state = outcome.state
        for command in outcome.commands:
            self._pending[command.load] = command
        calm = outcome.state.calm
        if calm is not None and not self._pending and calm.asks.isdisjoint(METER_W):
            self._rest = _Rest(
                calm,
                site,
                outcome.state,
                wall.toordinal(),
                *self._outlook.span,
                outlook,
                dict(states),
                dict(sample.inputs),
                self._known,
                own_w,
            )
        return Decision(
            outcome.commands, outcome.surplus_w, site.loads, outcome.verdicts, partial(_Thought, site, tick, outcome)
        )

    def _quiet(self, rest: _Rest, sample: Sample, states: Mapping[str, LoadState]) -> Decision | None:
        """Return what the step decides if it can be nothing else than before, and learn from the reading."""
        at, wall, grid_w, calm = sample.at, sample.wall, sample.grid_w, rest.calm
        if grid_w is None:
            grid_w = _grid_w(sample)
        if grid_w is None or self._at is None or not self._at < at <= self._at + COARSEST_S:
            return None
        if wall.tzinfo is not self.house.zone:
            wall = _local(wall, self.house.zone)
        now = wall.timestamp()
        if not rest.since <= now < rest.until or wall.toordinal() != rest.day or self._wishes is not calm.wishes:
            return None
        if states != rest.states or sample.inputs != rest.inputs or not covers(calm, at, now, grid_w, sample):
            return None
        every_s = at - self._at
        if calm.holds:
            state = lived(rest.state, calm, at, every_s)
            if state is None:
                return None
            self._rest = rest = rest._replace(state=state)
        self._every_s = self._gap_s = every_s
        self._at = at
        self._outlook.learn(wall, now, grid_w, sample.pv_w, sample.load_w, sample.battery_w, rest.own_w, every_s)
        thought = partial(_again, rest, sample, wall, every_s)
        return Decision((), calm.surplus_w - (grid_w - calm.grid_w), rest.site.loads, calm.verdicts, thought)

    def _passed(self, gap_s: float) -> None:
        """Learn how far the readings lie apart."""
        if gap_s <= COARSEST_S:
            self._every_s = gap_s
        elif COARSEST_S < self._gap_s <= HOLE_S and gap_s <= HOLE_S:
            self._every_s = min(gap_s, self._gap_s)
        self._gap_s = gap_s

    def _refuse_strangers(self, names: Iterable[str]) -> None:
        known = [load.name for load in self.house.site.loads]
        for name in names:
            if name not in known:
                raise ValueError(no_load(name, known))

    def _ordered(self, day: int) -> Site:
        """Return the site, changed over to the priorities of the day."""
        old, new = self.house.site, self.house.site_on(day)
        if new is not old:
            self.house = replace(self.house, site=new)
            self._state = self._state and reordered(self._state, old, new)
        return new

    def _reports(self, at: float, states: Mapping[str, LoadState]) -> tuple[Report, ...]:
        """Tell the core what is new: answers to its commands, and what an appliance does otherwise than before."""
        reports = []
        for rule in self.house.site.loads:
            name = rule.name
            state = states.get(name, _UNKNOWN)
            pending = self._pending.get(name)
            if pending is None and state == self._told.get(name):
                continue
            command_id = None
            on = state.on
            if pending is not None and (on is None or on == (pending.watts > 0)):
                on, command_id = pending.watts > 0, pending.id
                del self._pending[name]
            elif on is None and name not in self._told:
                on = False
            self._told[name] = state
            left_kwh = _number(state.need_left_kwh)
            reports.append(
                Report(
                    name,
                    at,
                    command_id,
                    on,
                    _number(state.power_w),
                    source=values.Source.HAND if state.by_hand else values.Source.US,
                    available=state.available is not False,
                    satisfied=state.satisfied,
                    phases=state.phases,
                    need_left_wh=None if left_kwh is None else left_kwh * 1000,
                )
            )
        return tuple(reports)


def _local(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment by the site's clock."""
    if wall.tzinfo is None:
        return wall.replace(tzinfo=zone)
    return wall if wall.tzinfo is zone else wall.astimezone(zone)


def _finite(sample: Sample) -> Sample:
    """Return the sample without what is no number: a table of readings with gaps has NaN in their places."""
    powers = (sample.grid_w, sample.pv_w, sample.load_w, sample.battery_w, sample.soc_pct)
    total = sum([power or 0.0 for power in powers])
    if total - total == 0.0:  # neither NaN nor infinite
        return sample
    grid_w, pv_w, load_w, battery_w, soc_pct = map(_number, powers)
    return replace(sample, grid_w=grid_w, pv_w=pv_w, load_w=load_w, battery_w=battery_w, soc_pct=soc_pct)


def _number(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _grid_w(sample: Sample) -> float | None:
    """Return what the house takes from the grid, by the other values if it is not told itself."""
    if sample.grid_w is not None or sample.load_w is None or sample.pv_w is None:
        return sample.grid_w
    return sample.load_w - sample.pv_w - (sample.battery_w or 0.0)


def _seen(sample: Sample, every_s: float) -> values.Sample:
    return values.Sample(
        sample.at,
        _grid_w(sample),
        sample.pv_w,
        sample.load_w,
        sample.battery_w,
        sample.soc_pct,
        grid_up=sample.grid_up,
        every_s=every_s,
        max_age_s=max(10.0, 2 * every_s),
    )


def _given(sample: Sample) -> dict[str, Input]:
    return {name: Input(value, sample.at) for name, value in sample.inputs.items() if isfinite(value)}


def _tick(
    sample: Sample,
    wall: datetime,
    seen: values.Sample,
    reports: tuple[Report, ...],
    wishes: tuple[AnyWish, ...],
    known: Mapping[str, Input],
    outlook: Outlook,
) -> Tick:
    inputs = {**of_meter(seen), **of_prices(outlook, sample.at), **known, **_given(sample)}
    return Tick(sample.at, wall, seen, reports, wishes, inputs=inputs, outlook=outlook)


def _again(rest: _Rest, sample: Sample, wall: datetime, every_s: float) -> _Thought:
    """Return what a quiet step was decided on."""
    calm, seen = rest.calm, _seen(sample, every_s)
    tick = _tick(sample, wall, seen, (), calm.wishes, rest.known, rest.outlook)
    state = replace(rest.state, sample_at=sample.at)
    return _Thought(rest.site, tick, decided(state, calm, seen.grid_w or 0.0))


_UNKNOWN = LoadState()
_SWITCH = {"external": "loadctl.controller:External"}
_OTHERS = {
    "external-charger": "loadctl.controller:ExternalCharger",
    "external-dimmer": "loadctl.controller:ExternalDimmer",
}
_DRIVERS = Drivers({**METERS, **_SWITCH}, {**ACTUATORS, **_SWITCH, **_OTHERS})


def _with_actuator(keys: Any) -> Any:
    keys = {} if keys is None else keys
    if not isinstance(keys, Mapping) or "actuator" in keys:
        return keys
    driver = "external"
    if "current" in keys:
        driver = "external-charger"
    elif ".." in str(keys.get("power", "")):
        driver = "external-dimmer"
    return {"actuator": {"driver": driver}, **keys}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
