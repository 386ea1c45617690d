"""How good a policy is, in money: what a home pays for a trace under it.

Import is paid and export is earned at the site's prices, each switching-on costs a little wear, and what was not served
in time is bought by the house itself and listed. Heat that is left in a tank at the end counts at the price for which
we would have sold the sun: it saves that much of tomorrow's. So does what an appliance took beyond its needs if it was
only guessed: nobody said that it is worth nothing.

What the house came to in a gap of the trace nobody knows, and it is not counted; there only what the loads draw is
paid, at the price of buying, or to run in a gap would cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadctl.controller import LoadState
from loadctl.lab.replay import Machine, Policy, Result, Stretch, replay
from loadctl.lab.scenario_file import Home
from loadctl.lab.wanted import START_COSTS, Wanted, wanted
from loadctl.outlook.tariff import Piece

MET_WITHIN_S = 60.0  # a need with so little left to do was met
MET_WITHIN_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Unmet:
    """What an appliance lacked, at `due` (POSIX; None: all along), of what it needed."""

    load: str
    due: float | None
    energy_wh: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A run (`on`) or a rest that ended at `at` (POSIX) before its minimum time."""

    load: str
    on: bool
    at: float
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy came to in a home: `money` is what was paid, wear and what was bought later included.

    `kept_wh`: what is left at the end and saves some of tomorrow's sun.
    """

    home: str
    trace: str
    policy: str
    money: float
    import_wh: float
    export_wh: float
    starts: Mapping[str, int]
    energy_wh: Mapping[str, float]
    kept_wh: float
    unmet: tuple[Unmet, ...]
    broken: tuple[Broken, ...]

    @property
    def all_starts(self) -> int:
        return sum(self.starts.values())

    @property
    def unmet_wh(self) -> float:
        """Return what the house bought later."""
        return sum(bought_later(self.unmet).values())

    @property
    def missed(self) -> tuple[Unmet, ...]:
        """Return the needs with a deadline that were not met; a tank that ran empty misses none."""
        return tuple(unmet for unmet in self.unmet if unmet.due is not None)


def bought_later(unmet: Iterable[Unmet]) -> dict[str, float]:
    """Return what the house buys for each load (Wh). A need and the tank lack the same water: the larger counts."""
    needs_wh, tanks_wh = defaultdict[str, float](float), defaultdict[str, float](float)
    for lack in unmet:
        (tanks_wh if lack.due is None else needs_wh)[lack.load] += lack.energy_wh
    return {load: max(needs_wh[load], tanks_wh[load]) for load in sorted({*needs_wh, *tanks_wh})}


def score_home(home: Home, policy: Policy[Any], name: str = "ours") -> Score:
    """Live through the home's trace under a policy and count the money. Each call begins anew, the policy must too."""
    machines = home.machines()
    book = Book(home, machines)
    result = replay(policy, home.trace, machines, seed=home.seed, count=book.count)
    return book.close(name, result)


@dataclass(slots=True)
class Book:
    """Keeps account of a replay, a second at a time."""

    home: Home
    machines: Mapping[str, Machine]
    money: float = 0.0
    import_wh: float = 0.0
    export_wh: float = 0.0
    broken: list[Broken] = field(default_factory=list)
    unmet: list[Unmet] = field(default_factory=list)
    had_wh: dict[str, float] = field(default_factory=dict)
    had_s: dict[str, float] = field(default_factory=dict)
    _pieces: list[Piece] = field(init=False)
    _periods: list[Wanted] = field(init=False)
    _begun: list[tuple[Wanted, float]] = field(default_factory=list)  # with what the load had had then
    _served_wh: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # of the needs
    _turn: float = 0.0  # POSIX: until then neither price nor period changes
    _buy: float = 0.0
    _sell: float = 0.0
    _switched: dict[str, float | None] = field(default_factory=dict)
    _states: dict[str, LoadState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first, last = self.home.trace.moments[0], self.home.trace.moments[-1]
        house = self.home.controller.house
        self._pieces = list(house.tariff.prices(first.time, last.time + last.for_s, house.zone, {}))
        self._periods = [period for load in self.home.loads for period in wanted(load, self.home)]
        self._turn = first.time
        for load in self.home.loads:
            self.had_wh[load.name] = self.had_s[load.name] = 0.0
            self._switched[load.name] = None

    def count(self, stretch: Stretch) -> None:
        now, left_s, known = stretch.begin, float(stretch.for_s), stretch.moment.known
        grid_w = stretch.grid_w if known else sum(state.power_w or 0.0 for state in stretch.states.values())
        if known:
            self.import_wh += max(0.0, grid_w) * left_s / 3600
            self.export_wh += max(0.0, -grid_w) * left_s / 3600
        for name, state in stretch.states.items():
            before = self._states.get(name)
            if state is not before:
                self._changed(name, before, state, now)
        while left_s > 0:
            if now >= self._turn:
                self._turned(now)
            for_s = min(left_s, self._turn - now)
            price = self._buy if grid_w > 0 else self._sell
            self.money += grid_w * price * for_s / 3_600_000
            for name, state in stretch.states.items():
                if state.power_w:
                    self.had_wh[name] += state.power_w * for_s / 3600
                if state.on:
                    self.had_s[name] += for_s
            now, left_s = now + for_s, left_s - for_s

    def close(self, name: str, result: Result) -> Score:
        last = self.home.trace.moments[-1]
        self._turned(last.time + last.for_s)
        kept_wh = sum(max(0.0, self.had_wh[load] - self._served_wh[load]) for load in self.home.guessed)
        for load, machine in self.machines.items():
            lacked_wh = getattr(machine, "unmet_wh", 0.0)
            kept_wh += getattr(machine, "kept_wh", 0.0)
            if lacked_wh > 0:
                self.unmet.append(Unmet(load, None, lacked_wh))
        tariff = self.home.controller.house.tariff
        later = sum(bought_later(self.unmet).values()) * tariff.buy.usual - kept_wh * tariff.sell.usual
        starts = {load: account.starts for load, account in result.loads.items()}
        return Score(
            self.home.name,
            self.home.trace.name,
            name,
            self.money + later / 1000 + START_COSTS * sum(starts.values()),
            self.import_wh,
            self.export_wh,
            starts,
            dict(self.had_wh),
            kept_wh,
            tuple(self.unmet),
            tuple(self.broken),
        )

    def _turned(self, now: float) -> None:
        """Begin and end what begins and ends at `now`."""
        for period, before in self._begun:
            if period.due <= now:
                self._due(period, before)
        self._begun = [each for each in self._begun if each[0].due > now]
        for period in self._periods:
            if period.since <= now < period.due and all(period is not each for each, _ in self._begun):
                self._begun.append((period, self._had(period)))
        piece = next((piece for piece in self._pieces if piece.end > now), self._pieces[-1])
        self._buy, self._sell = piece.import_price, piece.export_price
        self._turn = min([piece.end, *(each.due for each, _ in self._begun)])

    def _had(self, period: Wanted) -> float:
        return (self.had_s if period.runtime else self.had_wh)[period.load.name]

    def _due(self, period: Wanted, before: float) -> None:
        had, power_w, whole_wh = self._had(period) - before, period.load.power_w, period.energy_wh
        had_wh = had * power_w / 3600 if period.runtime else had
        self._served_wh[period.load.name] += min(had_wh, whole_wh)
        lacks_wh = whole_wh - had_wh
        if lacks_wh > max(MET_WITHIN_S * power_w / 3600, MET_WITHIN_SHARE * whole_wh):
            self.unmet.append(Unmet(period.load.name, period.due, lacks_wh))

    def _changed(self, name: str, before: LoadState | None, state: LoadState, now: float) -> None:
        self._states[name] = state
        if before is None or bool(before.on) == bool(state.on):
            return
        since, self._switched[name] = self._switched[name], now
        load = next(load for load in self.home.loads if load.name == name)
        least_s = load.min_on_s if before.on else load.min_off_s
        if since is not None and now - since < least_s:
            self.broken.append(Broken(name, bool(before.on), now, now - since))
