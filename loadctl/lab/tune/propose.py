"""From rules and days to a proposal: search, keep what helps, let the held-back days judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from loadctl.lab.trace import Trace
from loadctl.lab.tune.days import Days, Split, Sum
from loadctl.lab.tune.evidence import LEAST_DAYS, WORTH_IT, Gain, Verdict, judge
from loadctl.lab.tune.space import AS_WRITTEN, Settings, Space, fits
from loadctl.lab.tune.study import Found, Plan, front, search

ROWS = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the trade between money and switching. `held` None: no day is held back."""

    settings: Settings
    searched: Sum
    held: Sum | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change that is proposed (`kept`) or was not good enough, compared with the rest without it."""

    name: str
    kept: bool
    gain: Gain
    searched: float
    """Money per searched day."""
    starts: float
    """More starts per held-back day."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came out. `settings` are those proposed; none: the rules stay as they are, and `why` says why."""

    split: Split
    trials: int
    trade: tuple[Row, ...]
    settings: Settings
    changes: tuple[Change, ...]
    before: tuple[Sum, Sum | None]
    after: tuple[Sum, Sum | None]
    whole: Gain | None
    why: str


def propose(study: optuna.Study, space: Space, days: Days, split: Split, plan: Plan) -> Proposal:
    """Search and judge."""
    found = search(study, space, days, split.searched, plan)
    base = days.of(AS_WRITTEN, split.searched)
    good = [one for one in found if one.sum.allowed(base)]
    trade = _thinned(front([Found(AS_WRITTEN, base), *good]))
    for one in trade:
        days.live(one.settings, split.held)
    candidate = refined(space, days, split.searched, good, base)
    verdict = _judged(candidate, space, days, split.held)
    kept = _only(space, candidate, verdict.kept)
    held = _held(days, kept, split.held)
    before_held = _held(days, AS_WRITTEN, split.held)
    why = ""
    if len(split.held) < LEAST_DAYS:
        why = (
            f"{len(split.held)} days held back are too few to tell a gain from chance; at least {2 * LEAST_DAYS} days "
            "are needed, a few weeks are better."
        )
    elif not candidate:
        why = "none of the rules that were tried is better than yours on the days searched."
    elif not kept:
        why = "what looked better on the days searched did not prove itself on those held back."
    elif held is not None and before_held is not None and not held.allowed(before_held):
        kept, why = AS_WRITTEN, "what is cheaper would miss needs on held-back days."
    return Proposal(
        split,
        len(found),
        tuple(Row(one.settings, one.sum, _held(days, one.settings, split.held)) for one in trade),
        kept,
        tuple(_changes(space, days, split, candidate, verdict, kept)),
        (base, before_held),
        (days.of(kept, split.searched), _held(days, kept, split.held)),
        verdict.whole if kept else None,
        why,
    )


def refined(space: Space, days: Days, searched: Sequence[Trace], good: Sequence[Found], base: Sum) -> Settings:
    """Return the cheapest settings found on the days searched, without what does not help there."""
    best = min(good, key=lambda one: one.sum.money, default=Found(AS_WRITTEN, base))
    singles: dict[str, Found] = {}
    for one in good:
        if len(one.settings) == 1 and one.sum.money < base.money - WORTH_IT:
            name = one.settings[0][0]
            if name not in singles or one.sum.money < singles[name].sum.money:
                singles[name] = one
    together = space.settings({name: one.settings[0][1] for name, one in singles.items()})
    if len(together) > 1 and fits(space, together):
        total = days.of(together, searched)
        if total.allowed(base) and total.money < best.sum.money:
            best = Found(together, total)
    for name, _ in best.settings:
        if all(name != other for other, _ in best.settings):
            continue  # went with another one
        less = space.without(best.settings, name)
        if fits(space, less):
            total = days.of(less, searched)
            if total.allowed(base) and total.money < best.sum.money + WORTH_IT:
                best = Found(less, total)
    return best.settings if best.sum.money < base.money - WORTH_IT else AS_WRITTEN


def _judged(candidate: Settings, space: Space, days: Days, held: Sequence[Trace]) -> Verdict:
    if len(held) < LEAST_DAYS:
        return Verdict((), {}, Gain(0.0, 1.0, 0, 0))

    def money(names: tuple[str, ...]) -> list[float]:
        settings = _fitting(space, _only(space, candidate, names))
        return [one.money for one in days.measures(settings, held)]

    for name, _ in candidate:  # begin with all of it at once: whoever is free takes the next day
        days.live(_fitting(space, space.without(candidate, name)), held)
    return judge([name for name, _ in candidate], money)


def _fitting(space: Space, settings: Settings) -> Settings:
    """What cannot be meant alone is judged as the rules as written."""
    return settings if fits(space, settings) else AS_WRITTEN


def _changes(
    space: Space, days: Days, split: Split, candidate: Settings, verdict: Verdict, kept: Settings
) -> list[Change]:
    """Return what each change brings against the proposal (or, if it was dropped, the last rules it was part of)."""
    found = []
    names = {name for name, _ in kept}
    for name, _ in candidate:
        if name not in verdict.gains:
            continue
        within = kept if name in names else _only(space, candidate, (*names, name))
        within = _fitting(space, within)
        without = _fitting(space, space.without(within, name))
        searched = days.of(without, split.searched).money - days.of(within, split.searched).money
        starts = 0.0
        if split.held and name in names:
            starts = days.of(within, split.held).starts - days.of(without, split.held).starts
        found.append(Change(name, name in names, verdict.gains[name], searched, starts))
    return found


def _only(space: Space, settings: Settings, names: Sequence[str]) -> Settings:
    return space.settings({name: option for name, option in settings if name in names})


def _held(days: Days, settings: Settings, held: Sequence[Trace]) -> Sum | None:
    return days.of(settings, held) if held else None


def _thinned(rows: Sequence[Found]) -> list[Found]:
    """Return a few of many: the ends, and some in between."""
    if len(rows) <= ROWS:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (ROWS - 1))] for index in range(ROWS)]
