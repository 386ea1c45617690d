"""One tick: absorb what was reported, take stock of the power, judge each load, command what changes."""

from __future__ import annotations

from loadctl.core.values import Outcome, Site, State, Tick


def start(site: Site, at: float, day: int) -> State:
    """Return the state of a site about which nothing is known yet."""
    raise NotImplementedError


def step(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick. Pure: the same site, state and tick give the same outcome."""
    raise NotImplementedError
