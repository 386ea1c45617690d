"""Whether a gain on days that were held back is more than chance.

If a change did nothing, the difference that it makes on a day could as well have had the other sign. So the signs are
flipped, in all ways or in many at random, and it is counted how often chance alone gets as far: the exact one-sided
sign-flip (permutation) test on paired days, R. A. Fisher, The Design of Experiments (1935), chapter 3.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadctl.lab.wanted import START_COSTS

CHANCE = 0.05
LEAST_DAYS = 5  # 2^-5 is the first below one in twenty
WORTH_IT = START_COSTS  # per day: a change that brings less than one switching-on costs is not worth the ink
EXACT_UP_TO = 14  # days: 16 384 ways
TRIES = 20_000
NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Gain:
    """What something saves: `mean` per day, and how often `chance` alone would bring as much."""

    mean: float
    chance: float
    better: int
    worse: int

    def clear(self, tried: int) -> bool:
        """Tell whether it is worth proposing when it is one of `tried`."""
        return self.mean >= WORTH_IT and self.chance <= CHANCE / max(1, tried)


def gain(saved: Sequence[float]) -> Gain:
    """Judge savings per day; a positive one is a gain."""
    n = len(saved)
    if not n:
        return Gain(0.0, 1.0, 0, 0)
    better, worse = sum(one > NOTHING for one in saved), sum(one < -NOTHING for one in saved)
    return Gain(sum(saved) / n, chance(saved), better, worse)


def chance(saved: Sequence[float]) -> float:
    """Return how often flipped signs bring as much as these savings, from above 0 to 1. Always the same answer."""
    moved = [abs(one) for one in saved if abs(one) > NOTHING]
    if not moved:
        return 1.0
    reached = sum(saved) - NOTHING
    if len(moved) <= EXACT_UP_TO:
        sums = [0.0]
        for one in moved:
            sums = [before + one for before in sums] + [before - one for before in sums]
        return sum(total >= reached for total in sums) / len(sums)
    dice = random.Random(1)
    hits = sum(sum(one if dice.random() < 0.5 else -one for one in moved) >= reached for _ in range(TRIES))
    return (hits + 1) / (TRIES + 1)  # what was seen is one of the ways


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which changes are proposed, which are not, and what each brings against the rest without it."""

    kept: tuple[str, ...]
    gains: dict[str, Gain]
    whole: Gain


def judge(changes: Sequence[str], money: Callable[[tuple[str, ...]], Sequence[float]]) -> Verdict:
    """Drop, one by one, the changes that do not earn their place.

    `money(changes)` is what each held-back day costs with just these changes. The bar is set by how many changes there
    were at first: whoever looks often finds something by chance.
    """
    tried = len(changes)
    kept = tuple(changes)
    gains: dict[str, Gain] = {}
    while kept:
        with_all = money(kept)
        for name in kept:
            without = money(tuple(other for other in kept if other != name))
            gains[name] = gain([before - after for before, after in zip(without, with_all, strict=True)])
        unclear = [name for name in kept if not gains[name].clear(tried)]
        if not unclear:
            break
        worst = max(unclear, key=lambda name: (gains[name].chance, -gains[name].mean))
        kept = tuple(name for name in kept if name != worst)
    before, after = money(()), money(kept)
    whole = gain([one - other for one, other in zip(before, after, strict=True)])
    if kept and not whole.clear(1):
        return Verdict((), gains, whole)
    return Verdict(kept, gains, whole)


def rule(days: int) -> str:
    """Say to an owner what is proposed."""
    return (
        f"Proposed is only what saves {WORTH_IT:g} a day or more on the {days} held-back days, each change compared "
        "with the same rules without it, and so evenly that chance (each day's difference with either sign) would "
        "bring as much less than once in 20 times, shared among all changes that were tried."
    )
