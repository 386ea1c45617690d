"""What a `when:` says, as values: comparisons of sums of inputs, joined by and, or, not.

Each comparison has a hysteresis of its own: once it holds it takes `band` more to end it, so that a value that trembles
around its limit switches nothing. An input that is not known makes a comparison unknown, and an unknown condition is
what its owner said it should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Term:
    """A sum: `constant` plus each input times its factor, all in base units."""

    constant: float = 0.0
    inputs: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """`left` is above or below `right`; `index` is its place in the truths that are remembered."""

    index: int
    left: Term
    op: Literal["<", ">", "==", "!="]
    right: Term
    band: float = 0.0


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold (`any_of` False) or one of them does."""

    parts: tuple[Test, ...]
    any_of: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    part: Test


Test = Compare | Every | Not


@dataclass(frozen=True, slots=True)
class Condition:
    """`text` as its owner wrote it; `unknown`: what counts while an input is not known (None: what held last)."""

    text: str
    test: Test
    unknown: bool | None = False
