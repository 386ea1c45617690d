"""A home lives through the same day under every policy, and beside the perfect-foresight plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from loadctl.errors import LoadctlError
from loadctl.lab.baselines import BASELINES, Baseline, NoDiversion
from loadctl.lab.foresight import LIMIT_S, Plan, kept_plan
from loadctl.lab.losses import Ledger
from loadctl.lab.replay import replay
from loadctl.lab.scenario_file import Scenario
from loadctl.lab.score import Book, Score, score_home
from loadctl.lab.trace import Trace

OURS = "loadctl"
NONE = "no diversion"
LEAST = 0.005  # less money than this is none


@dataclass(frozen=True, slots=True)
class Day:
    """What all came to on one day. `plan` None: there is none, and `why` says so. `known`: the share without gaps."""

    home: str
    trace: str
    none: Score
    ours: Score
    others: Mapping[str, Score]
    plan: Plan | None
    why: str
    losses: Mapping[str, float]
    known: float = 1.0

    @property
    def scores(self) -> tuple[Score, ...]:
        """Return all policies: no diversion, what others do, loadctl."""
        return (self.none, *self.others.values(), self.ours)

    @property
    def planned(self) -> float | None:
        """Return the money that the plan saves."""
        return None if self.plan is None else self.none.money - self.plan.money

    @property
    def possible(self) -> float | None:
        """Return the money that could be saved, if there is a plan. Who does better proves that more could."""
        return None if self.planned is None else max(self.planned, *(self.saved(score) for score in self.scores))

    @property
    def beaten_by(self) -> Score | None:
        """Return the policy that did better than the plan, if any: its search was short or its grid coarse."""
        if self.plan is None:
            return None
        best = min(self.scores, key=lambda score: score.money)
        return best if best.money < self.plan.money - LEAST else None

    def saved(self, score: Score) -> float:
        """Return the money that a policy saves over no diversion."""
        return self.none.money - score.money


def contest(
    home: Scenario, trace: Trace, *, others: bool = True, limit_s: float = LIMIT_S, folder: Path | None = None
) -> Day:
    """Let one day be lived under all policies.

    `limit_s`: how long to search for the plan; `folder`: where it is kept.
    """
    lived = home.on(trace)
    plan, why = None, ""
    try:
        plan = kept_plan(lived, limit_s=limit_s, folder=folder)
    except LoadctlError as error:
        why = str(error)
    losses: Mapping[str, float] = {}
    if plan is None:
        ours = score_home(lived, lived.make_controller(), OURS)
    else:
        machines = lived.machines()
        book = Book(lived, machines)
        ledger = Ledger(plan, lived.loads, trace.moments[0].time)
        result = replay(lived.make_controller(), trace, machines, seed=lived.seed, watch=ledger.watch, count=book.count)
        ours = book.close(OURS, result)
        losses = ledger.losses(ours, lived.controller.house.tariff)
    scores = {
        name: score_home(lived, Baseline(lived.loads, make()), name) for name, make in BASELINES.items() if others
    }
    none = score_home(lived, NoDiversion(), NONE)
    unknown_s = sum(moment.for_s for moment in trace.moments if not moment.known)
    return Day(home.name, trace.name, none, ours, scores, plan, why, losses, 1 - unknown_s / (trace.end - trace.begin))


def contests(
    jobs: Iterable[tuple[Scenario, Trace]], workers: int, *, limit_s: float = LIMIT_S, folder: Path | None = None
) -> Iterator[Day]:
    """Let many days be lived, several at once, and yield them in order."""
    todo = [(home, trace, limit_s, folder) for home, trace in jobs]
    if workers <= 1 or len(todo) <= 1:
        yield from map(_contest, todo)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_contest, todo)


def _contest(job: tuple[Scenario, Trace, float, Path | None]) -> Day:
    home, trace, limit_s, folder = job
    return contest(home, trace, limit_s=limit_s, folder=folder)


def share(saved: Sequence[float], possible: Sequence[float | None]) -> float | None:
    """Return the part of the possible saving, the ratio of the sums over the days that have a plan.

    None: there is no such day, or nothing could be saved.
    """
    pairs = [(mine, most) for mine, most in zip(saved, possible, strict=True) if most is not None]
    most = sum(most for _, most in pairs)
    return sum(mine for mine, _ in pairs) / most if most >= LEAST else None
