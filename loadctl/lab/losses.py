"""Where a policy lost money against the perfect-foresight plan, in the words of its verdicts.

All that a policy paid more than the plan is exactly the sum of

- what it bought instead of taking from the sun: the kWh its loads had from the grid, and what the house bought later,
  less what the plan bought, each at the price of buying less that of selling;
- wear of more starts;
- the rest: heat that was made and lost again, or more than was needed, at the price of selling. It can be less than
  nothing, where the plan loses more heat or leaves out something (see `foresight`).

The first is split by what the loads' verdicts were. Bought in a minimum time: a cloud came too soon. Bought while it
waited to stop: waiting. Bought while it ran by its rules: partial sun that it accepted. Bought because a need pressed,
or later by the house: there the fault lies earlier, in the sun that the plan took with this load and the policy let go,
and the amount is split by the verdicts that the load had then: waiting to start, at rest below its threshold, held off.
The split is bookkeeping, not a proof: without one loss another might have come in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadctl.controller import Decision, LoadState
from loadctl.core.rules import Load
from loadctl.core.values import Verdict
from loadctl.lab.foresight import Plan
from loadctl.lab.score import Score, bought_later
from loadctl.lab.wanted import START_COSTS
from loadctl.outlook.tariff import Tariff

BEFORE, AFTER, HELD, PARTIAL, NEEDS, SWITCHING, REST = CAUSES = (
    "waiting to start",
    "waiting to stop",
    "minimum times",
    "thresholds and partial sun",
    "needs at the last moment",
    "switching",
    "the rest",
)
# What a load that draws from the grid is said to do. What is not here runs because a need presses.
BOUGHT = {
    Verdict.WAIT_OFF: AFTER,
    Verdict.SETTLING: AFTER,
    Verdict.BUSY: AFTER,
    Verdict.STOP: AFTER,
    Verdict.YIELD: AFTER,
    Verdict.BLIND: AFTER,
    Verdict.START: BEFORE,
    Verdict.HELD_ON: HELD,
    Verdict.RUN: PARTIAL,
    Verdict.CHEAP: PARTIAL,
}
# What a load is said to do while the plan takes sun with it. What is not here has had enough or cannot.
MISSED = {
    Verdict.WAIT_ON: BEFORE,
    Verdict.ROOM: BEFORE,
    Verdict.SETTLING: BEFORE,
    Verdict.BUSY: BEFORE,
    Verdict.START: BEFORE,
    Verdict.STOP: BEFORE,
    Verdict.YIELD: BEFORE,
    Verdict.HELD_OFF: HELD,
    Verdict.REST: PARTIAL,
    Verdict.BEHIND: PARTIAL,
    Verdict.RUN: PARTIAL,  # a car that takes less than the plan
    Verdict.HELD_ON: PARTIAL,
    Verdict.WAIT_OFF: PARTIAL,
    Verdict.CHEAP: PARTIAL,
    Verdict.NEED: PARTIAL,
}
HEAT = "heat lost or too much"
LATE = "late"


def called(cause: str, money: float) -> str:
    """Return what a loss is called for a person: what is left over is heat, if it is a loss at all."""
    return HEAT if cause == REST and money > 0 else cause


@dataclass(slots=True)
class Ledger:
    """Watches a replay under our rules, second by second, beside the plan for the same day."""

    plan: Plan
    loads: tuple[Load, ...]
    begin: float
    bought_wh: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))  # by load and cause
    missed_wh: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    planned_wh: float = 0.0  # bought by the plan's loads

    def watch(self, now: float, surplus_w: float, states: Mapping[str, LoadState], decision: Decision) -> None:
        row = int((now - self.begin) // self.plan.row_s)
        planned = [self.plan.power_w[load.name][row] for load in self.loads]
        draws = [states[load.name].power_w or 0.0 for load in self.loads]
        wanted_w, draw_w = sum(planned), sum(draws)
        sun_w = surplus_w if surplus_w > 0 else 0.0  # in a gap what is drawn counts as bought
        self.planned_wh += max(0.0, wanted_w - sun_w) / 3600
        short_w, spare_w = draw_w - sun_w, sun_w - draw_w
        if short_w > 0:
            verdicts = decision.verdicts
            for load, watts in zip(reversed(self.loads), reversed(draws), strict=True):
                part_w = min(watts, short_w)
                if part_w > 0:
                    self.bought_wh[load.name, BOUGHT.get(verdicts[load.name].word, LATE)] += part_w / 3600
                    short_w -= part_w
        elif spare_w > 0 and wanted_w > 0:
            verdicts = decision.verdicts
            for load, watts, plan_w in zip(self.loads, draws, planned, strict=True):
                part_w = min(plan_w - watts, spare_w)
                if part_w > 0 and (cause := MISSED.get(verdicts[load.name].word)):
                    self.missed_wh[load.name, cause] += part_w / 3600
                    spare_w -= part_w

    def losses(self, score: Score, tariff: Tariff) -> dict[str, float]:
        """Return the money lost by cause; together it is what the policy paid more than the plan."""
        span = (tariff.buy.usual - tariff.sell.usual) / 1000
        lost = dict.fromkeys(CAUSES, 0.0)
        bought_wh = defaultdict(float, self.bought_wh)
        for load, energy_wh in bought_later(score.unmet).items():
            bought_wh[load, LATE] += energy_wh
        all_wh = sum(bought_wh.values())
        more_wh = all_wh - self.planned_wh - self.plan.unmet_wh
        for (load, cause), energy_wh in bought_wh.items():
            money = span * (energy_wh / all_wh) * more_wh
            for other, share in self._earlier(load).items() if cause == LATE else ((cause, 1.0),):
                lost[other] += money * share
        lost[SWITCHING] = START_COSTS * (score.all_starts - sum(self.plan.starts.values()))
        lost[REST] = score.money - self.plan.money - sum(lost.values())
        return lost

    def _earlier(self, load: str) -> Mapping[str, float]:
        """Return why a load had to buy late, in shares."""
        missed = {cause: energy_wh for (name, cause), energy_wh in self.missed_wh.items() if name == load}
        all_wh = sum(missed.values())
        return {cause: energy_wh / all_wh for cause, energy_wh in missed.items()} if all_wh > 0 else {NEEDS: 1.0}
