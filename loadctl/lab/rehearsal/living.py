"""A made-up day lived through: the controller at work in a house that answers.

A command is carried out within the second, the meter shows at once what is so. Time goes by in seconds where something
happens, and in longer steps where nothing does; those end on round moments and where something is given or asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from loadctl.config import House
from loadctl.controller import Controller, Decision, LoadState, Sample
from loadctl.core.calendar import instant
from loadctl.core.rules import Mode, Need
from loadctl.core.values import AnyWish, Away, Boost, Command, ModeWish, Verdict, Wish
from loadctl.lab.rehearsal.course import Day, Stretch, boosts
from loadctl.lab.rehearsal.given import Key, Link, Names
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
METER, MAINS = ("meter", ""), ("mains", "")
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


@dataclass(slots=True)
class _Part:
    """A load's part in the day: the appliance, what it was told last, what it does now, what it has had so far."""

    machine: Machine
    link: Link | None
    record: LoadRecord = field(default_factory=LoadRecord)
    told: Command | None = None
    draws_w: float = 0.0
    on: bool = False
    had_wh: float = 0.0
    had_s: float = 0.0
    starts: float = 0.0
    bought_wh: float = 0.0

    def live(self, at: float) -> LoadState:
        state = self.machine.live(self.told, at)
        on = state.on is True
        self.starts += on and not self.on
        self.draws_w, self.on = state.power_w or 0.0, on
        return state

    def note(self, said: Verdict) -> None:
        record, told = self.record, self.told if self.on else None
        record.on.append(self.on)
        record.watts.append(self.draws_w)
        record.amps.append(0.0 if told is None else told.amps or 0.0)
        record.phases.append(0 if told is None else told.phases or 1)
        record.said.append(said)
        record.had_wh.append(self.had_wh)
        record.had_s.append(self.had_s)
        record.had_starts.append(self.starts)
        record.bought_wh.append(self.bought_wh)

    def go(self, seconds: float, bought_w: float) -> None:
        """Let time pass in which so much of what it draws is bought."""
        self.had_wh += self.draws_w * seconds / 3600
        self.had_s += seconds if self.on else 0.0
        self.bought_wh += bought_w * seconds / 3600
        self.machine.go(seconds)


class _Life:
    def __init__(self, house: House, day: Day, stops: Collection[float], explain: Collection[float]) -> None:
        self.house, self.day, self.explain = house, day, frozenset(explain)
        self.controller = Controller(house)
        self.edges = sorted({*day.edges(), *stops, *explain, day.end})
        self.parts = {load.name: _Part(machine_of(load), day.links.get(load.name)) for load in house.site.loads}
        self.least_first = [self.parts[load.name] for load in reversed(house.site.loads)]
        self.battery: HouseBattery | None = None
        self.by_grid = ("grid", "") in day.lines
        self.levels: dict[str, float] = {}  # of the inputs that a load raises
        self.stretch = Stretch({}, {})
        self.record = Record(loads={name: part.record for name, part in self.parts.items()})
        self._asked = [name for what, name in day.lines if what == "input"]
        self._columns = {name: list[float | None]() for name in ("solar", "house", "grid", "battery", "net")}
        self._inputs = {name: list[float | None]() for name in Names.of(house).inputs}
        self.record.values = self._columns | self._inputs
        self._once = list(day.once)
        self._imported_wh = self._exported_wh = 0.0
        self._given: dict[Key, object] = {}
        for (what, name), line in day.lines.items():
            if what == "plugged" and line.first() is True:
                self.parts[name].machine.set("plugged", False)  # a car that is plugged in later is not there before

    def live(self) -> Record:
        at = edge = self.day.start
        last: tuple[Verdict, ...] = ()
        drew: list[float] = []
        while True:
            if at >= edge:
                self.stretch = self.day.stretch(at)
                self._become(at)
                self.controller.ask(*self._wishes(at))
                edge = next((edge for edge in self.edges if edge > at), inf)
            elif self.stretch.moving:
                self._become(at)
            states = {name: part.live(at) for name, part in self.parts.items()}
            draws = [part.draws_w for part in self.parts.values()]
            grid_w, sample = self._sample(at, sum(draws))
            decision = self.controller.step(sample, states)
            for command in decision.commands:
                self.parts[command.load].told = command
            said = decision.words
            self._note(at, decision)
            if at >= self.day.end:
                return self.record
            lively = decision.commands or said != last or draws != drew or not LIVELY.isdisjoint(said)
            last, drew = said, draws
            still = not self.stretch.moving and not any(draws) and HELD.isdisjoint(said)
            pace_s = 1.0 if lively else STILL_S if still else CALM_S
            until = min((at // pace_s + 1) * pace_s, edge)
            self._pass(until - at, grid_w)
            at = until

    def _become(self, at: float) -> None:
        """Let be so what is given for this moment."""
        now = self.stretch
        for key in (*now.steady, *now.moving):
            what, name = key
            if what in ("draws", "plugged"):
                value = now.at(key, at)
                if value is not None and self._given.get(key) != value:
                    self._given[key] = value
                    self.parts[name].machine.set(what, float(value))
        for link in self.day.links.values():
            value = now.at(("input", link.input), at)
            if isinstance(value, float) and self._given.get(("input", link.input)) != value:
                self._given["input", link.input] = value
                self._level(link, value)
        while self._once and self._once[0][0] <= at:
            once = self._once.pop(0)[1]
            what, name = once.key
            if not isinstance(once.value, float):
                continue
            if name:
                self.parts[name].machine.set(what, once.value)
            else:
                self.battery = self.battery or HouseBattery()
                self.battery.set(what, once.value)

    def _level(self, link: Link, value: float) -> None:
        self.levels[link.input] = value
        if link.capacity_wh is not None:
            self.parts[link.load].machine.set("lacks", link.capacity_wh * (100 - value) / 100)

    def _sample(self, at: float, own_w: float) -> tuple[float, Sample]:
        now, by_grid, battery = self.stretch, self.by_grid, self.battery
        solar_w, house_w = now.watts("solar", at), now.watts("house", at)
        others_w = now.watts("grid", at) if by_grid else house_w - solar_w
        battery_w = None if battery is None else battery.live(own_w + others_w)
        grid_w = own_w + others_w - (battery_w or 0.0)
        known = now.at(METER, at, True) is True
        soc_pct = None if battery is None else battery.soc_pct
        inputs = self._told(at)
        sample = Sample(
            at=at - self.day.start,
            wall=datetime.fromtimestamp(at, self.house.zone),
            grid_w=grid_w if known else None,
            pv_w=solar_w if known and not by_grid else None,
            load_w=house_w + own_w if known and not by_grid else None,
            battery_w=battery_w if known else None,
            soc_pct=soc_pct if known else None,
            grid_up=False if now.at(MAINS, at, True) is False else None,
            inputs=inputs,
        )
        shown = (None if by_grid else solar_w, None if by_grid else house_w, grid_w, soc_pct, others_w)
        for column, value in zip(self._columns.values(), shown, strict=True):
            column.append(value)
        for name, column in self._inputs.items():
            column.append(inputs.get(name))
        return grid_w, sample

    def _told(self, at: float) -> dict[str, float]:
        """Return what the inputs tell."""
        found = {}
        for name in self._asked:
            value = self.levels[name] if name in self.levels else self.stretch.at(("input", name), at)
            if isinstance(value, float):
                found[name] = value
        return found

    def _wishes(self, at: float) -> Sequence[AnyWish]:
        wishes: list[AnyWish] = []
        for (what, name), value in self.stretch.steady.items():
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

    def _note(self, at: float, decision: Decision) -> None:
        record, parts = self.record, self.parts
        record.times.append(at)
        record.imported_wh.append(self._imported_wh)
        record.exported_wh.append(self._exported_wh)
        for load, word in zip(decision.loads, decision.words, strict=True):
            parts[load.name].note(word)
        if at in self.explain:
            record.sentences |= {(at, name): said.sentence for name, said in decision.verdicts.items()}

    def _pass(self, seconds: float, grid_w: float) -> None:
        bought_w = max(0.0, grid_w)
        self._imported_wh += bought_w * seconds / 3600
        self._exported_wh += max(0.0, -grid_w) * seconds / 3600
        for part in self.least_first:  # what is bought is bought for the least important first
            part_w = min(part.draws_w, bought_w)
            bought_w -= part_w
            part.go(seconds, part_w)
            link = part.link
            if link is not None and link.input in self.levels:
                self.levels[link.input] += part.draws_w * seconds / 3600 / link.wh_per_unit
        if self.battery is not None:
            self.battery.go(seconds)
