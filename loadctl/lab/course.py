"""What became of a home under some rules: minute by minute, what was decided and why, and what it came to.

The days of a trace are lived as one run, what was learned and remembered carries over. In a gap of the trace nothing is
counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from math import inf, isnan, nan
from typing import Any

from loadctl.controller import Controller, Decision, LoadState
from loadctl.core.values import ON, Phase, Verdict
from loadctl.lab.replay import Stretch, replay
from loadctl.lab.scenario_file import Home
from loadctl.lab.score import Book, Broken, Unmet
from loadctl.lab.wanted import wanted
from loadctl.outlook.tariff import Piece, Tariff
from loadctl.service.ledger import NOTES_EVERY_S, PASSING, QUIET

MINUTE_S = 60
KNOWN = 7 / 8  # a need counts of whose time so much is known
UNSEEN = 1 / 100  # for so much of the time nobody need see the sun for its sum to count


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision worth telling at `time` (POSIX); `command_w` None: nothing was switched."""

    time: float
    load: str
    verdict: Verdict
    state: Phase
    sentence: str
    command_w: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A load was on from `begin` to `end` (POSIX)."""

    load: str
    begin: float
    end: float


@dataclass(slots=True)
class Part:
    """What one load came to; Wh, s. What is bought is bought for the least important loads first, the house last.

    `needs`: those that were judged; of the `unjudged` a gap of the trace hides whether they were met.
    """

    energy_wh: float = 0.0
    grid_wh: float = 0.0
    starts: int = 0
    on_s: float = 0.0
    needs: int = 0
    missed: int = 0
    unjudged: int = 0

    @property
    def sun_wh(self) -> float:
        """Return what was not bought: from the panels, or out of a battery."""
        return self.energy_wh - self.grid_wh


@dataclass(slots=True)
class Totals:
    """What a home came to in `seconds` of known time; Wh, money. `unmet`: what the house had to help itself with.

    `pv_wh` and `base_wh` None: nobody measured the panels, or not all the time.
    """

    seconds: float = 0.0
    pv_wh: float | None = None
    base_wh: float | None = None
    import_wh: float = 0.0
    export_wh: float = 0.0
    paid: float = 0.0
    earned: float = 0.0
    loads: dict[str, Part] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()
    broken: tuple[Broken, ...] = ()

    @property
    def self_consumption(self) -> float | None:
        """Return the share of the sun that was not sold; None: there was none, or nobody saw it."""
        return max(0.0, 1 - self.export_wh / self.pv_wh) if self.pv_wh else None

    @property
    def money(self) -> float:
        """Return the bill: what was paid, less what was earned."""
        return self.paid - self.earned

    def plain(self) -> dict[str, Any]:
        """Return the sums as plain values."""
        share = self.self_consumption
        return {
            "seconds": round(self.seconds),
            "pv_wh": None if self.pv_wh is None else round(self.pv_wh, 1),
            "base_wh": None if self.base_wh is None else round(self.base_wh, 1),
            "import_wh": round(self.import_wh, 1),
            "export_wh": round(self.export_wh, 1),
            "self_consumption": None if share is None else round(share, 4),
            "money": round(self.money, 4) + 0.0,  # never -0.0
            "paid": round(self.paid, 4),
            "earned": round(self.earned, 4),
            "loads": {
                name: {
                    "energy_wh": round(part.energy_wh, 1),
                    "sun_wh": round(part.sun_wh, 1),
                    "grid_wh": round(part.grid_wh, 1),
                    "starts": part.starts,
                    "on_s": round(part.on_s),
                    "needs": part.needs,
                    "needs_missed": part.missed,
                    "needs_not_judged": part.unjudged,
                }
                for name, part in self.loads.items()
            },
            "unmet": [
                {"load": lack.load, "by": lack.due, "energy_wh": round(lack.energy_wh, 1)} for lack in self.unmet
            ],
            "broken_minimum_times": len(self.broken),
        }


@dataclass(slots=True)
class Minutes:
    """Means of each minute in W, column by column; not a number: not known. Minutes that time jumped over are missing.

    `draws`: of each load, in the order of its names.
    """

    loads: tuple[str, ...]
    time: array[float] = field(default_factory=lambda: array("d"))
    pv_w: array[float] = field(default_factory=lambda: array("f"))
    base_w: array[float] = field(default_factory=lambda: array("f"))
    grid_w: array[float] = field(default_factory=lambda: array("f"))
    draws: tuple[array[float], ...] = ()

    def __post_init__(self) -> None:
        self.draws = tuple(array("f") for _ in self.loads)

    def columns(self) -> tuple[array[float], ...]:
        """Return all but the time."""
        return self.pv_w, self.base_w, self.grid_w, *self.draws

    def plain(self) -> dict[str, Any]:
        """Return the columns as plain values; what is not known is null."""
        return {
            "time": [round(at) for at in self.time],
            "pv_w": _shown(self.pv_w),
            "base_w": _shown(self.base_w),
            "grid_w": _shown(self.grid_w),
            "loads": {name: _shown(draw) for name, draw in zip(self.loads, self.draws, strict=True)},
        }


@dataclass(frozen=True, slots=True)
class Course:
    """A replay of `name`: `minutes`, `decided` and `runs` as far as they were kept. `sentences`: what was asked for."""

    name: str
    zone: tzinfo
    begin: float
    end: float
    totals: Totals
    minutes: Minutes
    decided: tuple[Decided, ...]
    runs: tuple[Run, ...]
    sentences: Mapping[tuple[str, float], str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()  # inputs of the rules of which the trace never told anything

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain values; `time` is POSIX, power is W, what is not known is null."""
        return {
            **self.minutes.plain(),
            "decisions": [
                {
                    "time": round(one.time),
                    "load": one.load,
                    "verdict": str(one.verdict),
                    "state": str(one.state),
                    "sentence": one.sentence,
                    "command_w": one.command_w,
                }
                for one in self.decided
            ],
            "totals": self.totals.plain(),
        }


def lived(
    home: Home,
    controller: Controller | None = None,
    *,
    name: str | None = None,
    minutes: bool = True,
    decisions: bool = True,
    asked: Sequence[tuple[str, float]] = (),
) -> Course:
    """Live through a home's trace under its rules, or under those of a `controller` that has not lived yet.

    What need not be kept takes no memory. `asked`: load and time (POSIX) of sentences that are wanted.
    """
    controller = controller or home.make_controller()
    machines = home.machines()
    book = Book(home, machines)
    account = Account(home.controller.house.tariff, home, book)
    names = tuple(load.name for load in home.loads)
    series = MinuteBook(Minutes(names)) if minutes else None
    diary = Diary(controller, keep=decisions, asked=sorted(asked, key=lambda each: each[1]))

    def count(stretch: Stretch) -> None:
        account.count(stretch)
        diary.switched(stretch)
        if series is not None:
            series.count(stretch)

    result = replay(controller, home.trace, machines, seed=home.seed, watch=diary.watch, count=count)
    score = book.close("", result)
    if series is not None:
        series.close()
    totals = account.close()
    totals.broken = tuple(one for one in score.broken if account.knew(one.at - 1, one.at + 1))
    unmet = [lack for lack in score.unmet if lack.due is None]
    for load in home.loads:
        part = totals.loads[load.name]
        part.starts = result.loads[load.name].starts
        periods = wanted(load, home)
        dues = [period.due for period in periods if account.knew(period.since, period.due)]
        missed = [lack for lack in score.missed if lack.load == load.name and lack.due in dues]
        part.needs, part.missed, part.unjudged = len(dues), len(missed), len(periods) - len(dues)
        unmet += missed
    totals.unmet = tuple(unmet)
    trace = home.trace
    return Course(
        name or home.name,
        trace.zone,
        trace.begin,
        trace.end,
        totals,
        series.minutes if series is not None else Minutes(names),
        tuple(diary.decided),
        tuple(diary.ended(trace.end)),
        diary.sentences,
        tuple(name for name in controller.house.inputs if name not in account.inputs),
    )


@dataclass(slots=True)
class Account:
    """Counts energy and money; `book` knows the needs."""

    tariff: Tariff
    home: Home
    book: Book
    totals: Totals = field(init=False)
    known: list[tuple[float, float]] = field(default_factory=list)  # from when to when (POSIX) the trace was known
    inputs: set[str] = field(default_factory=set)
    _pv_wh: float = 0.0
    _base_wh: float = 0.0
    _unseen_s: float = 0.0
    _pieces: Iterator[Piece] = field(init=False)
    _piece: Piece = field(init=False)

    def __post_init__(self) -> None:
        trace, zone = self.home.trace, self.home.controller.house.zone
        self.totals = Totals(loads={load.name: Part() for load in self.home.loads})
        self._pieces = iter(self.tariff.prices(trace.begin, trace.end, zone, {}))
        self._piece = next(self._pieces)

    def count(self, stretch: Stretch) -> None:
        self.book.count(stretch)
        moment, totals = stretch.moment, self.totals
        if not moment.known:
            return
        if moment.inputs:
            self.inputs.update(moment.inputs)
        self._knows(stretch.begin, stretch.begin + stretch.for_s)
        hours = stretch.for_s / 3600
        bought_w = max(0.0, stretch.grid_w)
        totals.seconds += stretch.for_s
        if moment.sees_sun:
            self._pv_wh += moment.pv_w * hours
            self._base_wh += moment.base_w * hours
        else:
            self._unseen_s += stretch.for_s
        totals.import_wh += bought_w * hours
        totals.export_wh += max(0.0, -stretch.grid_w) * hours
        self._pay(stretch)
        for name, state in reversed(list(stretch.states.items())):
            part = totals.loads[name]
            if state.on:
                part.on_s += stretch.for_s
            if power_w := state.power_w:
                part.energy_wh += power_w * hours
                grid_w = min(power_w, bought_w)
                part.grid_wh += grid_w * hours
                bought_w -= grid_w

    def close(self) -> Totals:
        """Return the sums: of the sun and the house itself too, if (nearly) all of the sun was seen."""
        if self._unseen_s <= UNSEEN * self.totals.seconds:
            self.totals.pv_wh, self.totals.base_wh = self._pv_wh, self._base_wh
        return self.totals

    def knew(self, begin: float, end: float) -> bool:
        """Tell whether (nearly) all of a time was known: whether a need was met in a gap nobody can say."""
        known_s = sum(max(0.0, min(end, till) - max(begin, since)) for since, till in self.known)
        return known_s >= KNOWN * (end - begin)

    def _knows(self, begin: float, end: float) -> None:
        if self.known and self.known[-1][1] == begin:
            begin = self.known.pop()[0]
        self.known.append((begin, end))

    def _pay(self, stretch: Stretch) -> None:
        """Pay at the price that the trace tells, else at that of the hour."""
        inputs, tariff = stretch.moment.inputs, self.tariff
        at, end = stretch.begin, stretch.begin + stretch.for_s
        while at < end:
            while self._piece.end <= at:
                after = next(self._pieces, None)
                if after is None:
                    break
                self._piece = after
            until = min(end, self._piece.end) if self._piece.end > at else end
            kwh = stretch.grid_w * (until - at) / 3_600_000
            if kwh > 0:
                self.totals.paid += kwh * inputs.get(tariff.buy.input or "", self._piece.import_price)
            else:
                self.totals.earned -= kwh * inputs.get(tariff.sell.input or "", self._piece.export_price)
            at = until


@dataclass(slots=True)
class MinuteBook:
    """Makes means of each minute of what is so for some seconds."""

    minutes: Minutes
    _minute: int | None = None
    _seconds: float = 0.0
    _sums: list[float] = field(default_factory=list)

    def count(self, stretch: Stretch) -> None:
        at, end = stretch.begin, stretch.begin + stretch.for_s
        moment = stretch.moment
        draws = [state.power_w or 0.0 for state in stretch.states.values()]
        sun_and_house = (moment.pv_w, moment.base_w) if moment.sees_sun else (nan, nan)
        powers = [*sun_and_house, stretch.grid_w, *draws]
        while at < end:
            minute = int(at // MINUTE_S)
            if minute != self._minute:
                self.close()
                self._minute, self._seconds, self._sums = minute, 0.0, [0.0] * len(powers)
            until = min(end, (minute + 1.0) * MINUTE_S)
            if moment.known:
                self._seconds += until - at
                self._sums = [total + power * (until - at) for total, power in zip(self._sums, powers, strict=True)]
            at = until

    def close(self) -> None:
        """Write down the minute that is over."""
        if self._minute is None:
            return
        self.minutes.time.append(self._minute * MINUTE_S)
        seconds = self._seconds
        for values, total in zip(self.minutes.columns(), self._sums, strict=True):
            values.append(total / seconds if seconds else nan)
        self._minute = None


@dataclass(slots=True)
class Diary:
    """Notes decisions as the daemon's memory does, when loads were on, and the sentences that were asked for."""

    controller: Controller
    keep: bool
    asked: Sequence[tuple[str, float]]
    decided: list[Decided] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    sentences: dict[tuple[str, float], str] = field(default_factory=dict)
    _words: tuple[Verdict, ...] = ()
    _told: dict[str, tuple[Verdict, Phase]] = field(default_factory=dict)
    _noted: dict[str, tuple[Verdict, float]] = field(default_factory=dict)
    _look_at: float = inf  # then what was no news before may be some
    _answered: int = 0
    _since: dict[str, float] = field(default_factory=dict)

    def watch(self, now: float, _surplus_w: float, _states: Mapping[str, LoadState], decision: Decision) -> None:
        while self._answered < len(self.asked) and self.asked[self._answered][1] <= now:
            load, at = self.asked[self._answered]
            self.sentences[load, at] = decision.verdicts[load].sentence
            self._answered += 1
        if not self.keep:
            return
        words = decision.words
        if now < self._look_at and not decision.commands and (words is self._words or words == self._words):
            return
        self._words, self._look_at = words, inf
        watts = {command.load: command.watts for command in decision.commands}
        state = self.controller.state
        rules = self.controller.house.site.loads
        for rule, word, standing in zip(rules, words, state.standings if state else (), strict=True):
            self._note(rule.name, word, standing.phase, watts.get(rule.name), now, decision)

    def _note(
        self, name: str, word: Verdict, phase: Phase, watts: float | None, now: float, decision: Decision
    ) -> None:
        before, was = self._told.get(name, (None, None))
        self._told[name] = word, phase
        switches = watts is not None and not (watts and was is ON and phase is ON)
        changes = before is not None and (phase is not was or (word is not before and not {word, before} <= QUIET))
        if not switches and not changes and not self._is_news(name, word, now):
            return
        self._noted[name] = word, now
        sentence = decision.verdicts[name].sentence
        self.decided.append(Decided(now, name, word, phase, sentence, watts))

    def _is_news(self, name: str, word: Verdict, now: float) -> bool:
        last, at = self._noted.get(name, (None, -inf))
        if word in PASSING or word is last:
            return False
        if last in PASSING or now - at >= NOTES_EVERY_S:
            return True
        self._look_at = min(self._look_at, at + NOTES_EVERY_S)
        return False

    def switched(self, stretch: Stretch) -> None:
        """Take down when loads go on and off."""
        for name, state in stretch.states.items():
            since = self._since.get(name)
            if state.on and since is None:
                self._since[name] = stretch.begin
            elif since is not None and not state.on:
                self.runs.append(Run(name, since, stretch.begin))
                del self._since[name]

    def ended(self, end: float) -> list[Run]:
        """Return all runs, in order; what is still on ends at `end`."""
        left = [Run(name, since, end) for name, since in self._since.items()]
        return sorted([*self.runs, *left], key=lambda run: run.begin)


def _shown(values: array[float]) -> list[float | None]:
    return [None if isnan(value) else round(value, 1) + 0.0 for value in values]
