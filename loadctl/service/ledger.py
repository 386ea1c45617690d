"""What the ticks leave behind until the next flush: samples, minute means, energy, decisions. No file, no clock.

Energy is integrated over the real interval between two readings (trapezoids, split where the sign turns). Where one of
them is missing or the interval is longer than a reading may be old, nothing is counted: a gap stays a gap.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from types import MappingProxyType

from loadctl.core.appliance import own_w, tallied
from loadctl.core.rules import Site
from loadctl.core.values import ON, STOPPING, Outcome, Outlook, Phase, Sample, Tally, Tick, Verdict
from loadctl.service.energy import Origin

MOST_SAMPLES = 3600  # an hour at one a second: more is not kept while the disk does not take it
MOST_MINUTES = 1440
MOST_DECISIONS = 2000
NOTES_EVERY_S = 900.0  # at most: of what changes nothing in the house, but tells later what a load waited for

# A change between two of these changes nothing in the house, and clouds make many of them.
QUIET = frozenset(
    {
        Verdict.REST,
        Verdict.BEHIND,
        Verdict.WAIT_ON,
        Verdict.HELD_OFF,
        Verdict.ROOM,
        Verdict.RUN,
        Verdict.IDLE,
        Verdict.CHEAP,
        Verdict.WAIT_OFF,
        Verdict.HELD_ON,
        Verdict.BUSY,
        Verdict.SETTLING,
    }
)

PASSING = frozenset({Verdict.BUSY, Verdict.SETTLING})  # what comes of them is said

MEANS = ("pv_w", "load_w", "grid_w", "battery_w", "soc_pct", "surplus_w")

Explain = Callable[[Site, Outcome, Tick, int], str]

SampleRow = tuple[int, *tuple[float | None, ...], str | None]


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """Means of one minute, in the order of MEANS; `seconds` of it were measured."""

    minute: int
    seconds: float
    means: tuple[float | None, ...]
    loads: tuple[tuple[str, float, float], ...]  # name, Wh, seconds on


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision that changed something, with what it was made on."""

    wall_ms: int
    load: str
    verdict: str
    phase: str
    command_w: float | None
    grid_w: float | None
    pv_w: float | None
    surplus_w: float | None
    spare_w: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Portion:
    """Energy to add to a day: `seconds` measured (of a load: on) and, of a load, its `starts`."""

    wh: float = 0.0
    seconds: float = 0.0
    starts: int = 0

    def __add__(self, other: Portion) -> Portion:
        return Portion(self.wh + other.wh, self.seconds + other.seconds, self.starts + other.starts)


@dataclass(frozen=True, slots=True)
class Money:
    """Money to add to a day; `seconds`: for how much of it that is known."""

    amount: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + other.amount, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Leaves:
    """What one flush writes beside the standings; energy by (day, kind, load). Of a load the kinds are `load`, all that
    it used, and `sun`, the part of it that was not bought. Money by (day, kind): `paid` for import less export, `used`:
    what all that was used would have cost.
    """

    samples: tuple[SampleRow, ...] = ()
    minutes: tuple[MinuteRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    energy: Mapping[tuple[str, str, str], Portion] = field(default_factory=dict)
    money: Mapping[tuple[str, str], Money] = field(default_factory=dict)


@dataclass(slots=True)
class _Minute:
    minute: int
    seconds: float = 0.0
    sums: dict[str, tuple[float, float]] = field(default_factory=dict)
    loads: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, name: str, mean: float, seconds: float) -> None:
        total, measured_s = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = (total + mean * seconds, measured_s + seconds)

    def row(self) -> MinuteRow:
        means = tuple(
            total / measured_s if measured_s > 0 else None
            for total, measured_s in (self.sums.get(name, (0.0, 0.0)) for name in MEANS)
        )
        loads = tuple((name, wh, on_s) for name, (wh, on_s) in sorted(self.loads.items()))
        return MinuteRow(self.minute, self.seconds, means, loads)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What of the last tick is compared with the next one."""

    verdict: Verdict
    phase: Phase
    tally: Tally
    phases: int | None = None


class Ledger:
    """Gathers; `take` hands over what has gathered, `give_back` takes it again when it could not be written."""

    def __init__(self, site: Site, explain: Explain | None = None) -> None:
        self._site = site
        self._explain = explain
        self._seen: dict[str, _Seen] = {}
        self._noted: dict[str, tuple[Verdict, float]] = {}  # the last verdict written down, and when
        self._sample: Sample | None = None
        self._surplus_w: float | None = None
        self._minute: _Minute | None = None
        self._samples: deque[SampleRow] = deque(maxlen=MOST_SAMPLES)
        self._minutes: deque[MinuteRow] = deque(maxlen=MOST_MINUTES)
        self._decisions: deque[DecisionRow] = deque(maxlen=MOST_DECISIONS)
        self._energy: dict[tuple[str, str, str], Portion] = {}
        self._money: dict[tuple[str, str], Money] = {}
        self.flows_wh: dict[str, float] = {}  # of the house, since the start

    def follow(self, site: Site) -> None:
        """Go on under new rules."""
        self._site = site
        names = {load.name for load in site.loads}
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        self._noted = {name: noted for name, noted in self._noted.items() if name in names}

    def note(self, tick: Tick, outcome: Outcome, had: Mapping[str, Origin] = MappingProxyType({})) -> None:
        """Take in one tick; `had`: what each load got since the last one, by where it came from."""
        minute = int(tick.wall.timestamp() // 60)
        if self._minute is None or self._minute.minute != minute:
            self._close_minute()
            self._minute = _Minute(minute)
        self._note_loads(tick, outcome, self._minute)
        for name, origin in had.items():
            if origin.sun_wh:
                self._add(tick.wall.date().isoformat(), "sun", name, Portion(origin.sun_wh))
        if tick.sample is not None and tick.sample is not self._sample:
            self._note_sample(tick, tick.sample, outcome, self._minute)

    def take(self, *, last: bool = False) -> Leaves:
        """Hand over what has gathered; with `last` also the minute that is not over."""
        if last:
            self._close_minute()
        leaves = Leaves(
            tuple(self._samples), tuple(self._minutes), tuple(self._decisions), dict(self._energy), dict(self._money)
        )
        self._samples.clear()
        self._minutes.clear()
        self._decisions.clear()
        self._energy.clear()
        self._money.clear()
        return leaves

    def give_back(self, leaves: Leaves) -> None:
        """Keep for later what could not be written; when it grows too much, the oldest is let go."""
        self._samples = deque(chain(leaves.samples, self._samples), maxlen=MOST_SAMPLES)
        self._minutes = deque(chain(leaves.minutes, self._minutes), maxlen=MOST_MINUTES)
        self._decisions = deque(chain(leaves.decisions, self._decisions), maxlen=MOST_DECISIONS)
        for key, portion in leaves.energy.items():
            self._energy[key] = portion + self._energy.get(key, Portion())
        for day, money in leaves.money.items():
            self._money[day] = money + self._money.get(day, Money())

    def _close_minute(self) -> None:
        if self._minute is not None and (self._minute.seconds > 0 or self._minute.loads):
            self._minutes.append(self._minute.row())
        self._minute = None

    def _note_loads(self, tick: Tick, outcome: Outcome, minute: _Minute) -> None:
        day = tick.wall.date().isoformat()
        commands = {command.load: command.watts for command in outcome.commands}
        for index, load in enumerate(self._site.loads):
            standing, verdict = outcome.state.standings[index], outcome.verdicts[index]
            now = _Seen(verdict, standing.phase, tallied(load, standing, tick.at), standing.phases)
            before = self._seen.get(load.name)
            self._seen[load.name] = now
            if before is not None:
                wh = now.tally.energy_wh - before.tally.energy_wh
                on_s = now.tally.runtime_s - before.tally.runtime_s
                starts = now.tally.starts - before.tally.starts
                if wh or on_s or starts:
                    self._add(day, "load", load.name, Portion(wh, on_s, starts))
                if wh or on_s:
                    known_wh, known_s = minute.loads.get(load.name, (0.0, 0.0))
                    minute.loads[load.name] = (known_wh + wh, known_s + on_s)
            watts = commands.get(load.name)
            adjusts = watts and before is not None and before.phase is ON and now.phase is ON
            changes = (watts is not None and not adjusts) or (before is not None and _changed(before, now))
            if changes or self._is_news(load.name, verdict, tick.at):
                self._noted[load.name] = verdict, tick.at
                self._decisions.append(self._decision(tick, outcome, index, watts))

    def _is_news(self, name: str, verdict: Verdict, at: float) -> bool:
        """Tell whether a verdict is worth a row although it switched nothing: what came of a switching, and after a
        while any that is new.
        """
        if verdict in PASSING:
            return False
        last, noted_at = self._noted.get(name, (None, -inf))
        return verdict is not last and (last in PASSING or at - noted_at >= NOTES_EVERY_S)

    def _decision(self, tick: Tick, outcome: Outcome, index: int, command_w: float | None) -> DecisionRow:
        sample = tick.sample
        return DecisionRow(
            wall_ms=round(tick.wall.timestamp() * 1000),
            load=self._site.loads[index].name,
            verdict=str(outcome.verdicts[index]),
            phase=str(outcome.state.standings[index].phase),
            command_w=command_w,
            grid_w=sample.grid_w if sample else None,
            pv_w=sample.pv_w if sample else None,
            surplus_w=outcome.surplus_w,
            spare_w=outcome.spare_w[index] if outcome.spare_w else None,
            sentence=self._explain(self._site, outcome, tick, index) if self._explain else "",
        )

    def _note_sample(self, tick: Tick, sample: Sample, outcome: Outcome, minute: _Minute) -> None:
        former, former_surplus_w = self._sample, self._surplus_w
        self._sample, self._surplus_w = sample, outcome.surplus_w
        draws = {
            load.name: round(own_w(load, standing), 1)
            for load, standing in zip(self._site.loads, outcome.state.standings, strict=True)
            if standing.phase is ON or standing.phase is STOPPING
        }
        wall_ms = round((tick.wall.timestamp() - (tick.at - sample.read_at)) * 1000)
        values = (sample.pv_w, sample.load_w, sample.grid_w, sample.battery_w, sample.soc_pct, outcome.surplus_w)
        self._samples.append((wall_ms, *values, sample.grid_up, json.dumps(draws) if draws else None))
        if former is None:
            return
        seconds = sample.read_at - former.read_at
        if not 0 < seconds <= sample.max_age_s:
            return
        minute.seconds += seconds
        old = (former.pv_w, former.load_w, former.grid_w, former.battery_w, former.soc_pct, former_surplus_w)
        for name, one, other in zip(MEANS, old, values, strict=True):
            if one is not None and other is not None:
                minute.add(name, (one + other) / 2, seconds)
        self._note_energy(tick.wall.date().isoformat(), former, sample, seconds, tick.outlook)

    def _note_energy(self, day: str, former: Sample, sample: Sample, seconds: float, prices: Outlook) -> None:
        for one_w, other_w, plus, minus in (
            (former.grid_w, sample.grid_w, "import", "export"),
            (former.pv_w, sample.pv_w, "production", None),
            (former.load_w, sample.load_w, "consumption", None),
            (former.battery_w, sample.battery_w, "discharge", "charge"),
        ):
            if one_w is None or other_w is None:
                continue
            above_ws, below_ws = trapezoids(one_w, other_w, seconds)
            self._add(day, plus, "", Portion(above_ws / 3600, seconds))
            if minus is not None:
                self._add(day, minus, "", Portion(below_ws / 3600, seconds))
            if plus == "import":
                paid = above_ws * prices.import_price - below_ws * prices.export_price
                self._pay(day, "paid", Money(paid / 3.6e6, seconds))
            if plus == "consumption":
                self._pay(day, "used", Money(above_ws * prices.import_price / 3.6e6, seconds))

    def _pay(self, day: str, kind: str, money: Money) -> None:
        self._money[day, kind] = self._money.get((day, kind), Money()) + money

    def _add(self, day: str, kind: str, load: str, portion: Portion) -> None:
        key = (day, kind, load)
        if not load:
            self.flows_wh[kind] = self.flows_wh.get(kind, 0.0) + portion.wh
        self._energy[key] = self._energy.get(key, Portion()) + portion


def trapezoids(one_w: float, other_w: float, seconds: float) -> tuple[float, float]:
    """Return the Ws above and below zero, both positive, of power that goes straight from `one_w` to `other_w`."""
    if one_w >= 0 and other_w >= 0:
        return (one_w + other_w) / 2 * seconds, 0.0
    if one_w <= 0 and other_w <= 0:
        return 0.0, -(one_w + other_w) / 2 * seconds
    crossing = one_w / (one_w - other_w)
    first, second = abs(one_w) / 2 * crossing * seconds, abs(other_w) / 2 * (1 - crossing) * seconds
    return (first, second) if one_w > 0 else (second, first)


def _changed(before: _Seen, now: _Seen) -> bool:
    """Tell what is worth a row. To draw a little more or less is none, on another number of phases is."""
    if before.phase is not now.phase:
        return True
    if now.phase is ON and before.phases is not None and now.phases != before.phases:
        return True
    return before.verdict is not now.verdict and not {before.verdict, now.verdict} <= QUIET
