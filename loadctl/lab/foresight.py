"""The perfect-foresight plan: what the day could have cost, had its sun, its house and its draws been known.

A mixed-integer program over one day with the same appliances, minimum times, needs, wear and prices as the replay,
solved by HiGHS. What it knows of the day is exact: in each step the import is the mean over the recorded rows for each
sum of powers that can be on, not the import at the mean power. What it leaves out:

- switching happens on a grid of `step_s` only, so a shade better plan may exist (`Plan.gap` does not cover that);
- a car's current is any number of amps, held for a row of `follow_s`, and it begins to charge after the mean delay;
- a heat pump's slow start is the energy that it lacks in its first step;
- a tank's thermostat never opens: the plan stops heating before it would;
- relays and readings take no time;
- nothing is on in a step that a gap of the trace touches;
- of an owner's rules it keeps hours, minimum times, starts and daily maxima, not `when`, `max_import` or a battery's.

`Followed` lets a plan run in the same closed loop as any policy, which tells what all of these are worth.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loadctl.controller import LoadState, Sample
from loadctl.core.appliance import least_w
from loadctl.core.calendar import is_open
from loadctl.core.rules import Load
from loadctl.core.values import Command
from loadctl.errors import LoadctlError
from loadctl.lab.baselines import NOTHING, VOLTS, Wishes
from loadctl.lab.program import Model
from loadctl.lab.replay import RELAY_S
from loadctl.lab.scenario_file import CarKeys, HeatPumpKeys, Home, TankKeys
from loadctl.lab.wanted import START_COSTS, Wanted, wanted
from loadctl.outlook.sun import daylight

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_S = 86400
FOLLOW_S = 60
NEAR_S = 1800
SLACK_S = 600
# For so many appliances: coarse to fine. What is finer takes long and gains little.
GRIDS_S: Mapping[int, tuple[int, ...]] = {1: (60,), 2: (300, 120), 3: (300, 120), 4: (900, 300, 120)}
EMPTY_S = 3600  # a tank is empty, and loses nothing, for whole hours only
GAP = 0.0005
LIMIT_S = 60.0
VERSION = 2  # of the program; plans of another one are made anew
WIDE = 0.01  # a gap (in money) that is worth another look
UNSERVED = 1.0  # money per kWh of a need that cannot be met: never worth it, never impossible; not what is billed


@dataclass(frozen=True, slots=True)
class Plan:
    """What should have been done. `money`: what it costs; no plan on this grid costs less than `bound`.

    `on`: for each load, a value for each `step_s` from the beginning of the trace; `power_w`: what it then draws, for
    each `row_s`.
    """

    money: float
    bound: float
    step_s: int
    row_s: int
    on: Mapping[str, tuple[bool, ...]]
    power_w: Mapping[str, tuple[float, ...]]
    starts: Mapping[str, int]
    kept_wh: float
    unmet_wh: float

    @property
    def gap(self) -> float:
        """Return how much better a plan on this grid could be at most, in money."""
        return self.money - self.bound


@dataclass(frozen=True, slots=True)
class Grid:
    """The day cut into steps in which a switch stays, each of `rows` rows in which a current stays."""

    begin: float
    steps: int
    step_s: int
    row_s: int
    base_w: NDArray[np.float64]  # the house less the sun, a value per second; not a number: not known

    @property
    def rows(self) -> int:
        return self.step_s // self.row_s

    @property
    def unknown(self) -> list[int]:
        """Return the steps of which some is not known."""
        return sorted({int(second) // self.step_s for second in np.flatnonzero(np.isnan(self.base_w))})

    def step_at(self, at: float) -> int:
        return int((at - self.begin) // self.step_s)


def _grid(home: Home, step_s: int, row_s: int) -> Grid:
    moments = home.trace.moments
    begin = moments[0].time
    base_w = np.concatenate(
        [np.full(round(moment.for_s), moment.base_w - moment.pv_w if moment.known else np.nan) for moment in moments]
    )
    if 2 * np.isnan(base_w).sum() >= len(base_w):
        raise LoadctlError(
            f"{home.trace.name}: it has gaps of half the time or more; there is no perfect plan for what nobody knows"
        )
    steps = -(-len(base_w) // step_s)
    padded = np.concatenate([base_w, np.full(steps * step_s - len(base_w), base_w[-1])])
    return Grid(begin, steps, step_s, row_s, padded)


@dataclass(frozen=True, slots=True)
class Switch:
    """The variables of one load: on and started in each step; the power in each row as terms."""

    load: Load
    on: range
    started: range
    power: tuple[tuple[tuple[int, float], ...], ...]  # by row of the whole day
    powers_w: tuple[float, ...]  # that it can have, 0 aside; empty: any up to most_w
    most_w: float


def plan(home: Home, *, steps_s: Sequence[int] | None = None, limit_s: float = LIMIT_S) -> Plan:
    """Return the best plan for the home's day that is found in `limit_s`. Raises LoadctlError if too little is known.

    A coarse plan comes first; each finer grid of `steps_s` is searched near the switchings of the plan before, and the
    last one as a whole as well, which also tells how much better any plan on it could be. Where that is much, each load
    in turn is planned anew while the others stay about as they are.
    """
    return _billed(home, _searched(home, steps_s, limit_s))


def _searched(home: Home, steps_s: Sequence[int] | None, limit_s: float) -> Plan:
    """Return the best plan at the costs of the program, in which a lack costs more than it is billed."""
    steps_s = steps_s or GRIDS_S[min(len(home.loads), max(GRIDS_S))]
    rough: Plan | None = None
    for step_s in steps_s if len(steps_s) > 1 else ():
        rough = _better(_solved(home, step_s, limit_s / 4, rough), rough)
    whole = _solved(home, steps_s[-1], limit_s)
    best = replace(_better(whole, rough), bound=whole.bound)
    for load in home.loads if len(home.loads) > 1 else ():
        if best.gap > WIDE:
            found = _solved(home, steps_s[-1], limit_s / 4, best, load)
            best = replace(_better(best, found), bound=whole.bound)
    return best


def _billed(home: Home, found: Plan) -> Plan:
    """Return a plan at the costs of a score: a lack is bought at the usual price, and the same water only once."""
    needs_wh = tanks_wh = 0.0
    kept_wh = found.kept_wh
    for load in home.loads:
        periods = wanted(load, home)
        served_wh = sum(min(_had_wh(home, found, period), period.energy_wh) for period in periods)
        lacks_wh = sum(period.energy_wh for period in periods) - served_wh
        needs_wh += lacks_wh
        if isinstance(home.appliances[load.name], TankKeys):
            tanks_wh += lacks_wh
        if load.name in home.guessed:
            kept_wh += max(0.0, sum(found.power_w[load.name]) * found.row_s / 3600 - served_wh)
    unmet_wh = needs_wh - tanks_wh + max(tanks_wh, found.unmet_wh)
    tariff = home.controller.house.tariff
    bought = (unmet_wh - found.unmet_wh) * tariff.buy.usual / 1000
    more = bought - (kept_wh - found.kept_wh) * tariff.sell.usual / 1000 - needs_wh * UNSERVED / 1000
    return replace(found, money=found.money + more, bound=found.bound + more, kept_wh=kept_wh, unmet_wh=unmet_wh)


def _had_wh(home: Home, found: Plan, period: Wanted) -> float:
    """Return what a load gets in a need's period, for a need of time its time at the load's power."""
    load, begin = period.load, home.trace.begin
    first, last = (max(0, int((at - begin) // found.step_s)) for at in (period.since, period.due))
    if period.runtime:
        return sum(found.on[load.name][first:last]) * found.step_s * load.power_w / 3600
    rows = found.step_s // found.row_s
    return sum(found.power_w[load.name][first * rows : last * rows]) * found.row_s / 3600


def _better(one: Plan, other: Plan | None) -> Plan:
    return other if other is not None and other.money < one.money else one


def kept_plan(home: Home, *, limit_s: float = LIMIT_S, folder: Path | None = None) -> Plan:
    """Return the plan for the home's day; one that was made before is read from the user's cache."""
    folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadctl" / "foresight"
    path = folder / f"{_fingerprint(home, limit_s)}.json"
    if path.is_file():
        return _billed(home, _read(path))
    made = _searched(home, None, limit_s)
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(asdict(made)))
    beside.replace(path)
    return _billed(home, made)


def _read(path: Path) -> Plan:
    data = json.loads(path.read_text())
    for key in ("on", "power_w"):
        data[key] = {name: tuple(values) for name, values in data[key].items()}
    return Plan(**data)


def _fingerprint(home: Home, limit_s: float) -> str:
    """Return what names all that a plan depends on."""
    rules = [
        (
            *(load.name, load.power_w, load.min_on_s, load.min_off_s, load.max_starts, repr(load.windows)),
            *(load.daily_runtime_s, load.daily_energy_wh, load.follow is not None and least_w(load)),
            *((each.since, each.due, each.need.energy_wh, each.need.runtime_s) for each in wanted(load, home)),
        )
        for load in home.loads
    ]
    house = home.controller.house
    made_of = (VERSION, limit_s, GRIDS_S, rules, home.appliances, house.tariff, home.midnight, home.trace.moments)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]


def _solved(home: Home, step_s: int, limit_s: float, like: Plan | None = None, free: Load | None = None) -> Plan:
    """Solve one grid; `like`: only switchings within `NEAR_S` of this plan's are looked at, but for those of `free`."""
    follows = any(load.follow is not None for load in home.loads)
    grid = _grid(home, step_s, min(step_s, FOLLOW_S) if follows else step_s)
    model = Model()
    switches = [_switch(model, grid, home, load) for load in home.loads]
    tanks = {}
    for switch in switches:
        keys = home.appliances[switch.load.name]
        for period in wanted(switch.load, home):
            _need(model, grid, switch, period)
        if isinstance(keys, TankKeys):
            tanks[switch.load.name] = _tank(model, grid, home, switch, keys)
        if like is not None and switch.load is not free:
            _keep_near(model, grid, switch, like)
    _imports(model, grid, home, switches)
    values, money, bound = model.solve(GAP, limit_s)
    on = {switch.load.name: tuple(bool(value > 0.5) for value in values[switch.on]) for switch in switches}
    power_w = {
        switch.load.name: tuple(
            float(sum(values[column] * factor for column, factor in terms)) for terms in switch.power
        )
        for switch in switches
    }
    starts = {switch.load.name: round(sum(values[switch.started])) for switch in switches}
    kept_wh = sum(float(values[content[-1]]) for content, _ in tanks.values())
    unmet_wh = sum(float(sum(values[unmet])) for _, unmet in tanks.values())
    return Plan(money, bound, step_s, grid.row_s, on, power_w, starts, kept_wh, unmet_wh)


def _keep_near(model: Model, grid: Grid, switch: Switch, like: Plan) -> None:
    """Fix what is on and off where the other plan switches nothing nearby."""
    theirs = like.on[switch.load.name]
    near = max(1, NEAR_S // grid.step_s)
    wide = [theirs[step * grid.step_s // like.step_s] for step in range(grid.steps)]
    for step in range(grid.steps):
        around = wide[max(0, step - near) : step + near + 1]
        if all(around):
            model.lower[switch.on[step]] = 1.0
        elif not any(around):
            model.upper[switch.on[step]] = 0.0


def _switch(model: Model, grid: Grid, home: Home, load: Load) -> Switch:
    """Add what a load can do: on or off in each step, for its minimum times, and the power that it then draws."""
    keys = home.appliances[load.name]
    on = model.add(grid.steps, 1.0, whole=True)
    started = model.add(grid.steps, 1.0, cost=START_COSTS)
    stopped = model.add(grid.steps, 1.0)
    runs, rests = (max(1, -(-round(least_s) // grid.step_s)) for least_s in (load.min_on_s, load.min_off_s))
    _limits(model, grid, home, load, on, started)
    for step in grid.unknown:
        model.upper[on[step]] = 0.0
    for step in range(grid.steps):
        before = [(on[step - 1], -1.0)] if step else []
        model.row([(on[step], 1.0), *before, (started[step], -1.0), (stopped[step], 1.0)], 0.0, 0.0)
        since = range(max(0, step - runs + 1), step + 1)
        model.row([*((started[each], 1.0) for each in since), (on[step], -1.0)], most=0.0)
        since = range(max(0, step - rests + 1), step + 1)
        model.row([*((stopped[each], 1.0) for each in since), (on[step], 1.0)], most=1.0)
    power: list[tuple[tuple[int, float], ...]] = []
    power_w = getattr(keys, "power", None) or load.power_w
    if isinstance(keys, CarKeys):
        least, amps = least_w(load), model.add(grid.steps * grid.rows, load.power_w)
        late_s = (sum(keys.delay) / 2) + least / 230.0 / keys.ramp / 2
        for step in range(grid.steps):
            clock_s = (grid.begin + step * grid.step_s - home.midnight) % DAY_S
            if not keys.comes <= clock_s <= keys.leaves - grid.step_s:
                model.upper[on[step]] = 0.0
            for row in range(grid.rows):
                place = amps[step * grid.rows + row]
                late = min(1.0, max(0.0, late_s / grid.row_s - row))
                model.row([(place, 1.0), (on[step], -load.power_w)], most=0.0)
                model.row([(place, 1.0), (on[step], -least), (started[step], least * late)], least=0.0)
                if late:
                    model.row([(place, 1.0), (started[step], load.power_w * late)], most=load.power_w)
                power.append(((place, 1.0),))
        return Switch(load, on, started, tuple(power), (), load.power_w)
    lacks_ws = 0.0
    if isinstance(keys, HeatPumpKeys):
        lacks_ws = power_w * (1 - keys.begins_at / 100) * (keys.hold + keys.ramp / 2)
    for step in range(grid.steps):
        for row in range(grid.rows):
            share = _lacking(lacks_ws / power_w, grid.row_s, row)
            power.append(((on[step], power_w), *([(started[step], -power_w * share)] if share else [])))
    return Switch(load, on, started, tuple(power), (power_w,), power_w)


def _limits(model: Model, grid: Grid, home: Home, load: Load, on: range, started: range) -> None:
    """Keep the hours, the starts and the most for a day that the rules allow."""
    house = home.controller.house
    for step in range(grid.steps) if load.windows else ():
        wall = datetime.fromtimestamp(grid.begin + step * grid.step_s, house.zone)
        day = wall.toordinal()
        suns = {day: daylight(day, house.zone, house.location)} if house.location is not None else {}
        if not is_open(load.windows, wall, suns):
            model.upper[on[step]] = 0.0
    if load.max_starts is not None:
        model.row([(place, 1.0) for place in started], most=float(load.max_starts))
    most_s = [load.daily_runtime_s] if load.daily_runtime_s is not None else []
    if load.daily_energy_wh is not None and load.follow is None:
        most_s.append(load.daily_energy_wh * 3600 / load.power_w)
    if most_s:
        # What has begun may end: a step, and what a slow start lacks, is not counted.
        most = -(-min(most_s) // grid.step_s) + SLACK_S // grid.step_s
        model.row([(place, 1.0) for place in on], most=most)


def _lacking(lacks_s: float, row_s: int, row: int) -> float:
    """Return the share of a row after a start in which nothing is drawn, if all that is lacking is lacking at once."""
    return min(1.0, max(0.0, lacks_s / row_s - row))


def _need(model: Model, grid: Grid, switch: Switch, period: Wanted) -> None:
    first, last = max(0, grid.step_at(period.since)), min(grid.steps, grid.step_at(period.due))
    if period.need.runtime_s is not None:
        hours = grid.step_s / 3600
        kw = switch.load.power_w / 1000
        lacking = model.add(1, cost=UNSERVED * kw)[0]
        terms = [(switch.on[step], hours) for step in range(first, last)]
        model.row([*terms, (lacking, 1.0)], least=period.need.runtime_s / 3600)
        return
    lacking = model.add(1, cost=UNSERVED / 1000)[0]
    terms = [
        (column, factor * grid.row_s / 3600)
        for row in range(first * grid.rows, last * grid.rows)
        for column, factor in switch.power[row]
    ]
    model.row([*terms, (lacking, 1.0)], least=period.need.energy_wh or 0.0)


def _tank(model: Model, grid: Grid, home: Home, switch: Switch, keys: TankKeys) -> tuple[range, range]:
    """Add a tank's heat after each step, and what is drawn and not there. An empty tank loses nothing."""
    tariff = home.controller.house.tariff
    content = model.add(grid.steps, keys.holds)
    unmet = model.add(grid.steps, cost=tariff.buy.usual / 1000)
    loss_wh = keys.loss * grid.step_s / 3600
    loss = model.add(grid.steps, loss_wh)
    each = max(1, round(EMPTY_S / grid.step_s))
    empty = model.add(-(-grid.steps // each), 1.0, whole=True)
    drawn_wh = _drawn(grid, home, keys)
    for step in range(grid.steps):
        rows = range(step * grid.rows, (step + 1) * grid.rows)
        heat = [(column, -factor * grid.row_s / 3600) for row in rows for column, factor in switch.power[row]]
        before = [(content[step - 1], -1.0)] if step else []
        begun_wh = 0.0 if step else keys.begins
        balance_wh = begun_wh - drawn_wh[step]
        model.row(
            [(content[step], 1.0), *before, *heat, (loss[step], 1.0), (unmet[step], -1.0)], balance_wh, balance_wh
        )
        model.row([(content[step], 1.0), (empty[step // each], keys.holds)], most=keys.holds)
        model.row([(loss[step], 1.0), (empty[step // each], loss_wh)], least=loss_wh)
        model.row([(switch.on[step], 1.0), (empty[step // each], 1.0)], most=1.0)
        model.upper[unmet[step]] = drawn_wh[step]
    model.cost[content[-1]] = -tariff.sell.usual / 1000
    return content, unmet


def _drawn(grid: Grid, home: Home, keys: TankKeys) -> list[float]:
    """Return the heat that is drawn in each step."""
    drawn = [0.0] * grid.steps
    for at_s, energy_wh in keys.draws:
        for second in range(0, round(keys.draw), 10):
            clock_s = (home.midnight + at_s + second - grid.begin) % DAY_S
            for day_s in range(0, grid.steps * grid.step_s, DAY_S):
                step = int((clock_s + day_s) // grid.step_s)
                if step < grid.steps:
                    drawn[step] += energy_wh * keys.draws_by / 100 * min(10.0, keys.draw - second) / keys.draw
    return drawn


def _imports(model: Model, grid: Grid, home: Home, switches: Sequence[Switch]) -> None:
    """Add what is bought in each row, as a function of all power together, and its price.

    The import is convex in that power: it lies on the highest of the lines between the sums of power that there can be.
    """
    most_w = sum(switch.most_w for switch in switches)
    sums = {0.0, most_w}
    for powers in itertools.product(*((0.0, *switch.powers_w) for switch in switches)):
        sums.add(sum(powers))
    exact = all(switch.powers_w for switch in switches)
    house = home.controller.house
    last = grid.begin + grid.steps * grid.step_s
    pieces = house.tariff.prices(grid.begin, last, house.zone, {})
    base = grid.base_w.reshape(-1, grid.row_s)
    bought = model.add(len(base))
    for row, seconds in enumerate(base):
        watts = seconds[~np.isnan(seconds)]
        if not len(watts):
            continue
        hours = len(watts) / 3600 / 1000
        at = grid.begin + row * grid.row_s
        piece = next((piece for piece in pieces if piece.end > at), pieces[-1])
        buy, sell = piece.import_price, piece.export_price
        if buy < sell:
            raise LoadctlError(
                "where selling earns more than buying costs, a perfect plan has no end; nothing to score"
            )
        model.cost[bought[row]] = (buy - sell) * hours
        model.constant += sell * float(watts.mean()) * hours
        terms = [term for switch in switches for term in switch.power[row]]
        for column, factor in terms:
            model.cost[column] += sell * factor * hours
        knees = {knee for knee in -np.unique(watts) if 0 < knee < most_w}
        points = sorted(sums if exact else sums | knees)
        for slope, offset_w in _lines(watts, points):
            if slope == 0.0 and offset_w == 0.0:
                continue
            model.row([(bought[row], 1.0), *((column, -slope * factor) for column, factor in terms)], least=offset_w)


def _lines(watts: NDArray[np.float64], points: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield slope and offset of the lines between the mean imports at `points` W more, each once."""
    imports = [float(np.maximum(0.0, watts + point).mean()) for point in points]
    known: float | None = None
    for (one, other), (here, there) in zip(itertools.pairwise(points), itertools.pairwise(imports), strict=True):
        slope = (there - here) / (other - one)
        if known is None or slope - known > 1e-9:
            known = slope
            yield slope, here - slope * one


@dataclass(slots=True)
class Followed:
    """A plan as a policy: it sets what the plan set, a second before it is to be so."""

    plan: Plan
    loads: tuple[Load, ...]
    _set_w: dict[str, float] = field(default_factory=dict)

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> Wishes:  # noqa: ARG002
        commands = []
        for load in self.loads:
            step = int((sample.at + RELAY_S) // self.plan.step_s)
            on = step < len(self.plan.on[load.name]) and self.plan.on[load.name][step]
            watts = load.power_w if on else 0.0
            if on and load.follow is not None:
                row = int((sample.at + RELAY_S) // self.plan.row_s)
                watts = max(self.plan.power_w[load.name][row], least_w(load))
            if watts != self._set_w.get(load.name, 0.0):
                self._set_w[load.name] = watts
                amps = None if load.follow is None else watts / VOLTS
                commands.append(Command(0, load.name, watts, None if amps is None else 1, None, amps))
        return Wishes(tuple(commands)) if commands else NOTHING
