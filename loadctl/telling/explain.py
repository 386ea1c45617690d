"""A verdict in a sentence with its numbers, when it could change, and what would stand in the way next.

Made on request, not on every tick. What comes second is found by judging again with the first thing lifted: there is
one precedence, and it is `judge`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from loadctl.core.judge import judge
from loadctl.core.ledger import WAITS
from loadctl.core.rules import Mode, Site
from loadctl.core.step import step
from loadctl.core.values import OFF, ON, Holder, Outcome, Tick, Verdict
from loadctl.core.walk import Case
from loadctl.telling.facts import Facts
from loadctl.telling.sayings import SAYINGS

_OWN_TIME = frozenset({Verdict.BUSY, Verdict.BLIND, Verdict.OUTAGE, Verdict.FAULT})  # what follows has to wait for it
_POWERED = frozenset({Verdict.RUN, Verdict.CHEAP, Verdict.IDLE})
_BY_SUN = _POWERED | {Verdict.WAIT_OFF, Verdict.HELD_ON}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`sentence`: for a person; `next_change_s`: seconds until the load could change by its rules, None: no matter of
    time; `second`: what would stand in its way (of a running load: keep it running) if the first were gone.
    """

    sentence: str
    next_change_s: float | None
    second: str | None = None

    @property
    def text(self) -> str:
        return self.sentence if self.second is None else f"{self.sentence}; then: {self.second}"


def explain(site: Site, outcome: Outcome, tick: Tick, index: int) -> Explanation:
    """Explain the verdict on the load at `index` of `site.loads`."""
    if not outcome.cases:  # a second in which nothing could change was decided without judging anybody
        outcome = outcome._replace(cases=step(site, outcome.state, replace(tick, reports=())).cases)
    verdict = outcome.verdicts[index]
    chain = [
        SAYINGS[word](Facts(site, outcome, tick, index, case)) for word, case in _chain(verdict, outcome.cases[index])
    ]
    first, others = chain[0], chain[1:]
    sentence, until_s = first.sentence, first.until_s
    if verdict is Verdict.NEED_AT_RISK and others:
        sentence, until_s = f"{sentence}, but: {others[0].clause}", others[0].until_s
        others = others[1:]
    if until_s is not None and verdict not in _OWN_TIME:
        until_s = max(until_s, *(other.until_s or 0.0 for other in others), 0.0)
    wanted_s = _wanted_s(Facts(site, outcome, tick, index, outcome.cases[index])) if verdict in _BY_SUN else None
    if wanted_s is not None:
        until_s = wanted_s if until_s is None else min(until_s, wanted_s)
    second = next((other.clause for other in others if other.clause not in sentence), None)
    return Explanation(sentence, until_s, second)


def _wanted_s(running: Facts) -> float | None:
    """Return after how long a more important load that waits could want the power of this one; None: none waits."""
    outcome = running.outcome
    waiting = [i for i in running.before if outcome.verdicts[i] in WAITS and outcome.cases[i].look.enough()]
    theirs = (explain(running.site, outcome, running.tick, index).next_change_s for index in waiting)
    soonest_s = min((left_s for left_s in theirs if left_s is not None), default=None)
    return None if soonest_s is None else max(soonest_s, running.rest_left_s)


def _chain(verdict: Verdict, case: Case) -> Iterator[tuple[Verdict, Case]]:
    """Yield the verdict, and then each that follows when all before it are lifted, until the load would switch."""
    yield verdict, case
    seen = {verdict}
    _, turn_on = judge(case.load, case.standing, case.sight, case.look)
    while turn_on is None and verdict in _LIFTS:
        case, former = _LIFTS[verdict](case), verdict
        verdict, turn_on = judge(case.load, case.standing, case.sight, case.look)
        told = turn_on is None or former is Verdict.HELD_ON  # of that one the reason to stop is told
        if not told or verdict in seen or (case.power.spare_w is None and verdict in _POWERED):
            return
        seen.add(verdict)
        yield verdict, case


def _look(**fields: Any) -> Callable[[Case], Case]:
    return lambda case: case._replace(look=case.look._replace(**fields))


def _standing(**fields: Any) -> Callable[[Case], Case]:
    return lambda case: case._replace(standing=replace(case.standing, **fields))


def _sunny(case: Case) -> Case:
    """There is power for the load, and was for long enough."""
    sight, look = case.sight._replace(fresh=True), case.look._replace(start_w=-inf, short=False)
    return case._replace(sight=sight, look=look, standing=replace(case.standing, held_s=inf))


def _dark(case: Case) -> Case:
    """The sun left a running load, long enough ago."""
    return case._replace(look=case.look._replace(short=True), standing=replace(case.standing, held_s=inf))


def _seeing(case: Case) -> Case:
    """Meter and grid are there; of the power nothing is known."""
    case = case._replace(sight=case.sight._replace(blind=False, lost=False, outage=False))
    return case if case.power.spare_w is not None else _sunny(case)


def _mended(case: Case) -> Case:
    on = bool(case.standing.was_on)
    return _seeing(_standing(phase=ON if on else OFF, was_on=on, retry_at=None, wants_on=on)(case))


def _let_go(case: Case) -> Case:
    return _look(wish=None)(_standing(holder=Holder.RULE, hand_until=None)(case))


_RESTED = _standing(switched_at=-inf)

# What is no reason any more when the verdict is lifted. The others pass by themselves, or end the story.
_LIFTS: dict[Verdict, Callable[[Case], Case]] = {
    Verdict.BEHIND: _sunny,
    Verdict.REST: _sunny,
    Verdict.ROOM: _sunny,
    Verdict.WAIT_ON: lambda case: _standing(held_s=inf)(case)._replace(sight=case.sight._replace(fresh=True)),
    Verdict.HELD_OFF: _RESTED,
    Verdict.SPENT: lambda case: case._replace(load=replace(case.load, max_starts=None)),
    Verdict.WINDOW: _look(open=True),
    Verdict.UNMET: _look(holds=True),
    Verdict.ENOUGH: _look(spent=False),
    Verdict.CROWDED: _look(crowded=False),
    Verdict.AWAY: _standing(available=True),
    Verdict.WELDED: _standing(measured_w=None),
    Verdict.RUN: _dark,
    Verdict.CHEAP: _dark,
    Verdict.IDLE: _dark,
    Verdict.WAIT_OFF: _dark,
    Verdict.HELD_ON: _RESTED,
    Verdict.NEED: _look(need=False),
    Verdict.NEED_AT_RISK: _look(need=False, holds=True, mode=Mode.FAST),  # which of its bars it is, and no other
    Verdict.MODE: _look(mode=Mode.SOLAR),
    Verdict.SETTLING: _standing(settled_at=None),
    Verdict.HAND: _let_go,
    Verdict.BLIND: _seeing,
    Verdict.OUTAGE: _seeing,
    Verdict.FAULT: _mended,
}
