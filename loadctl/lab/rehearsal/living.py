"""A made-up day lived through: the controller at work in a house that answers.

A command is carried out within the second, the meter shows at once what is so. Time goes by in seconds where something
happens, and in longer steps where nothing does; those end on round moments and where something is given or asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from loadctl.config import House
from loadctl.controller import Controller, Decision, LoadState, Sample
from loadctl.core.calendar import instant
from loadctl.core.rules import Mode, Need
from loadctl.core.values import AnyWish, Away, Boost, Command, ModeWish, Verdict, Wish
from loadctl.lab.rehearsal.course import Day, boosts
from loadctl.lab.rehearsal.given import Names
from loadctl.lab.rehearsal.household import HouseBattery, Machine, machine_of
from loadctl.outlook.sun import daylight

CALM_S = 15.0
STILL_S = 60.0  # while nothing runs and nothing that is given changes
BOOST_HELD_S = 300.0  # beyond its deadline
LIVELY = frozenset(
    {
        Verdict.WAIT_ON,
        Verdict.ROOM,
        Verdict.START,
        Verdict.STOP,
        Verdict.YIELD,
        Verdict.SHED,
        Verdict.WAIT_OFF,
        Verdict.BUSY,
        Verdict.SETTLING,
    }
)
HELD = frozenset({Verdict.HELD_OFF, Verdict.HELD_ON})


@dataclass(slots=True)
class LoadRecord:
    """What a load did at each tick, and what it had had by then."""

    on: list[bool] = field(default_factory=list)
    watts: list[float] = field(default_factory=list)
    amps: list[float] = field(default_factory=list)
    phases: list[int] = field(default_factory=list)
    said: list[Verdict] = field(default_factory=list)
    had_wh: list[float] = field(default_factory=list)
    had_s: list[float] = field(default_factory=list)
    had_starts: list[float] = field(default_factory=list)
    bought_wh: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """All that happened, by the tick. `values`: solar, house, grid, soc and the inputs; None: not known."""

    times: list[float] = field(default_factory=list)
    loads: dict[str, LoadRecord] = field(default_factory=dict)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    imported_wh: list[float] = field(default_factory=list)
    exported_wh: list[float] = field(default_factory=list)
    sentences: dict[tuple[float, str], str] = field(default_factory=dict)

    def index(self, at: float) -> int:
        """Return the tick that shows what was so at `at`."""
        return max(0, bisect_right(self.times, at) - 1)


def live(house: House, day: Day, stops: Collection[float], explain: Collection[float] = ()) -> Record:
    """Live through the day, with a tick at each of `stops`; keep what is said of the loads at each of `explain`."""
    return _Life(house, day, stops, explain).live()


class _Life:
    def __init__(self, house: House, day: Day, stops: Collection[float], explain: Collection[float]) -> None:
        self.house, self.day, self.explain = house, day, frozenset(explain)
        self.controller = Controller(house)
        self.edges = sorted({*day.edges(), *stops, *explain, day.end})
        self.machines: dict[str, Machine] = {load.name: machine_of(load) for load in house.site.loads}
        self.least_first = [load.name for load in reversed(house.site.loads)]
        self.battery: HouseBattery | None = None
        self.inputs = tuple(Names.of(house).inputs)
        self.levels: dict[str, float] = {}  # of the inputs that a load raises
        self.told: dict[str, Command] = {}
        self.record = Record(loads={name: LoadRecord() for name in self.machines})
        self._once = list(day.once)
        self._sums = {name: [0.0, 0.0, 0.0, 0.0] for name in self.machines}
        self._imported_wh = self._exported_wh = 0.0
        self._draws: dict[str, float] = {}
        self._given: dict[tuple[str, str], object] = {}
        for (what, name), line in day.lines.items():
            if what == "plugged" and line.first() is True:
                self.machines[name].set("plugged", False)  # a car that is plugged in later is not there before

    def live(self) -> Record:
        at = self.day.start
        last: tuple[Verdict, ...] = ()
        while True:
            self._become(at)
            states = {name: machine.live(self.told.get(name), at) for name, machine in self.machines.items()}
            grid_w, sample = self._sample(at, states)
            self.controller.ask(*self._wishes(at))
            decision = self.controller.step(sample, states)
            self.told |= {command.load: command for command in decision.commands}
            said = self._note(at, states, decision)
            if at >= self.day.end:
                return self.record
            draws = {name: state.power_w or 0.0 for name, state in states.items()}
            lively = decision.commands or said != last or draws != self._draws or not LIVELY.isdisjoint(said)
            last, self._draws = said, draws
            still = not any(draws.values()) and HELD.isdisjoint(said) and not self.day.moves(at)
            pace_s = 1.0 if lively else STILL_S if still else CALM_S
            until = (at // pace_s + 1) * pace_s
            until = min(until, self.edges[bisect_right(self.edges, at)])
            self._pass(until - at, states, grid_w)
            at = until

    def _become(self, at: float) -> None:
        """Let be so what is given for this moment."""
        day = self.day
        for name, machine in self.machines.items():
            for what in ("draws", "plugged"):
                value = day.at(what, name, at)
                if value is not None and self._given.get((what, name)) != value:
                    self._given[what, name] = value
                    machine.set(what, float(value))
        for link in day.links.values():
            value = day.at("input", link.input, at)
            if isinstance(value, float) and self._given.get(("input", link.input)) != value:
                self._given["input", link.input] = value
                self._level(link.load, link.input, value)
        while self._once and self._once[0][0] <= at:
            once = self._once.pop(0)[1]
            what, name = once.key
            if not isinstance(once.value, float):
                continue
            if name:
                self.machines[name].set(what, once.value)
            else:
                self.battery = self.battery or HouseBattery()
                self.battery.set(what, once.value)

    def _level(self, load: str, name: str, value: float) -> None:
        self.levels[name] = value
        capacity_wh = self.day.links[load].capacity_wh
        if capacity_wh is not None:
            self.machines[load].set("lacks", capacity_wh * (100 - value) / 100)

    def _sample(self, at: float, states: dict[str, LoadState]) -> tuple[float, Sample]:
        day = self.day
        own_w = sum(state.power_w or 0.0 for state in states.values())
        by_grid = ("grid", "") in day.lines
        solar_w, house_w = day.watts("solar", at), day.watts("house", at)
        net_w = own_w + (day.watts("grid", at) if by_grid else house_w - solar_w)
        battery_w = None if self.battery is None else self.battery.live(net_w)
        grid_w = net_w - (battery_w or 0.0)
        known = day.at("meter", "", at, True) is True
        sample = Sample(
            at=at - day.start,
            wall=datetime.fromtimestamp(at, self.house.zone),
            grid_w=grid_w if known else None,
            pv_w=solar_w if known and not by_grid else None,
            load_w=house_w + own_w if known and not by_grid else None,
            battery_w=battery_w if known else None,
            soc_pct=self.battery.soc_pct if known and self.battery else None,
            grid_up=False if day.at("mains", "", at, True) is False else None,
            inputs=self._inputs(at),
        )
        values = {"solar": None if by_grid else solar_w, "house": None if by_grid else house_w, "grid": grid_w}
        values |= {"battery": self.battery.soc_pct if self.battery else None, "net": net_w - own_w}
        for name, value in (values | {name: sample.inputs.get(name) for name in self.inputs}).items():
            self.record.values.setdefault(name, []).append(value)
        return grid_w, sample

    def _inputs(self, at: float) -> dict[str, float]:
        found = {}
        for what, name in self.day.lines:
            if what == "input":
                value = self.levels[name] if name in self.levels else self.day.at("input", name, at)
                if isinstance(value, float):
                    found[name] = value
        return found

    def _wishes(self, at: float) -> Sequence[AnyWish]:
        wishes: list[AnyWish] = []
        for (what, name), line in self.day.lines.items():
            value = line.at(at, None)
            if what == "hand" and isinstance(value, bool):
                wishes.append(Wish(name, value))
            elif what == "mode" and isinstance(value, str):
                wishes.append(ModeWish(name, Mode(value)))
            elif what == "away" and value is True:
                wishes.append(Away())
        for asked_at, name, need in boosts(self.day, at):
            today = datetime.fromtimestamp(asked_at, self.house.zone).toordinal()
            day = today if self._due(need, today) > asked_at else today + 1
            wishes.append(Boost(name, need, day, self._due(need, day) - self.day.start + BOOST_HELD_S))
        return wishes

    def _due(self, need: Need, day: int) -> float:
        place = self.house.location
        suns = {day: daylight(day, self.house.zone, place)} if place else {}
        return instant(need.by, day, self.house.zone, suns)

    def _note(self, at: float, states: dict[str, LoadState], decision: Decision) -> tuple[Verdict, ...]:
        record = self.record
        record.times.append(at)
        record.imported_wh.append(self._imported_wh)
        record.exported_wh.append(self._exported_wh)
        verdicts = decision.verdicts
        for name, state in states.items():
            load, told, sums = record.loads[name], self.told.get(name), self._sums[name]
            on = bool(state.on)
            sums[2] += on and not (load.on and load.on[-1])
            load.on.append(on)
            load.watts.append(state.power_w or 0.0)
            load.amps.append((told.amps or 0.0) if told is not None and on else 0.0)
            load.phases.append((told.phases or 1) if told is not None and on else 0)
            load.said.append(verdicts[name].word)
            for column, total in zip((load.had_wh, load.had_s, load.had_starts, load.bought_wh), sums, strict=True):
                column.append(total)
            if at in self.explain:
                record.sentences[at, name] = verdicts[name].sentence
        return tuple(said.word for said in verdicts.values())

    def _pass(self, seconds: float, states: dict[str, LoadState], grid_w: float) -> None:
        bought_w = max(0.0, grid_w)
        self._imported_wh += bought_w * seconds / 3600
        self._exported_wh += max(0.0, -grid_w) * seconds / 3600
        for name in self.least_first:  # what is bought is bought for the least important first
            watts, sums = states[name].power_w or 0.0, self._sums[name]
            part_w = min(watts, bought_w)
            bought_w -= part_w
            sums[0] += watts * seconds / 3600
            sums[1] += seconds if states[name].on else 0.0
            sums[3] += part_w * seconds / 3600
            link = self.day.links.get(name)
            if link is not None and link.input in self.levels:
                self.levels[link.input] += watts * seconds / 3600 / link.wh_per_unit
        for machine in self.machines.values():
            machine.go(seconds)
        if self.battery is not None:
            self.battery.go(seconds)
