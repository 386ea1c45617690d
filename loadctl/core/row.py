"""The row in which the loads stand: the order of priority, in which who has had what it usually uses in a day steps
behind the last of those that must have more.

What it takes beyond that is heat for tomorrow, worth what the sun is sold for; what they will lack is bought. How sure
the sun of the hours to come is does not matter: who lets others go first loses nothing if there is enough for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from loadctl.core.rules import Site
from loadctl.core.values import Outcome, Plan, State
from loadctl.each_tick import replace

T = TypeVar("T")
Row = tuple[int, ...]  # who stands where, by the places in `Site.loads`


def row_of(plans: Sequence[Plan]) -> Row | None:
    """Return the row for the plans, None if it is the order of priority."""
    last = max((index for index, plan in enumerate(plans) if plan.needs), default=0)
    stepping = [index for index in range(last) if plans[index].sated]
    if not stepping:
        return None
    ahead = (index for index in range(last + 1) if index not in stepping)
    return (*ahead, *stepping, *range(last + 1, len(plans)))


def in_row(row: Row, site: Site, state: State) -> tuple[Site, State]:
    """Return site and state with the loads in the row's order."""
    return replace(site, loads=_put(row, site.loads)), replace(
        state, standings=_put(row, state.standings), plans=_put(row, state.plans)
    )


def in_order(row: Row, outcome: Outcome, planned: Sequence[Plan], state: State) -> Outcome:
    """Return the outcome with the loads in the order of priority again; `planned`: the row's plans, from `state`'s."""
    back = tuple(row.index(index) for index in range(len(row)))
    after = outcome.state
    plans = state.plans if after.plans is planned else _put(back, after.plans)
    return outcome._replace(
        state=replace(after, standings=_put(back, after.standings), plans=plans),
        verdicts=_put(back, outcome.verdicts),
        spare_w=_put(back, outcome.spare_w),
        cases=_put(back, outcome.cases),
    )


def _put(row: Row, each: tuple[T, ...]) -> tuple[T, ...]:
    return tuple([each[index] for index in row])
