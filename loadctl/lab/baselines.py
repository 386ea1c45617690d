"""What others do with the same readings: policies to be better than."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadctl.controller import LoadState, Sample
from loadctl.core.values import Command, Load


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a baseline decided."""

    commands: tuple[Command, ...] = ()


NOTHING = Wishes()


@dataclass(slots=True)
class NoDiversion:
    """Nothing is diverted: the house helps itself."""

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> Wishes:  # noqa: ARG002
        return NOTHING
