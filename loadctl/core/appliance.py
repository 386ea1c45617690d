"""One appliance: what it draws, what it has had, whether it has rested."""

from __future__ import annotations

from math import inf

from loadctl.core.rules import Load, Site
from loadctl.core.values import ON, STOPPING, Standing, State, Tally

DRAWS_NOTHING = 0.2  # of the nominal power
STANDBY_SHARE = 0.02  # of it is what the electronics of a dimmer may draw


def own_w(load: Load, standing: Standing) -> float:
    """Return what a running load draws: measured, else as set, else learned by the meter's step, else nominal."""
    if standing.measured_w is not None:
        return standing.measured_w
    if load.follow is not None:
        return standing.target_w or load.follow.ranges[0].least_w
    return load.power_w if standing.learned_w is None else standing.learned_w


def drawn_w(site: Site, state: State) -> float:
    """Return what all our loads that are on draw."""
    pairs = zip(site.loads, state.standings, strict=True)
    return sum(own_w(load, standing) for load, standing in pairs if standing.phase is ON)


def least_w(load: Load) -> float:
    """Return the power at which the load starts: its least, if it has a choice."""
    return load.power_w if load.follow is None else load.follow.ranges[0].least_w


def full_w(load: Load, standing: Standing) -> float:
    """Return what the load draws when it may draw all: as far as is known, never less than half of what its label says.

    A car that takes one phase of three is believed.
    """
    if load.follow is not None:
        ranges = load.follow.ranges
        most = ranges[-1]
        if standing.phase_changes >= load.follow.phase_changes:
            most = next((one for one in ranges if one.phases == standing.phases), most)
        whole_w = most.most_w * (used_share(standing) if most.phases == standing.phases else 1.0)
        taken = [taken_w for taken_w in (standing.takes_w, standing.takes_today_w) if taken_w is not None]
        if taken and standing.phase is ON:
            taken.append(own_w(load, standing))
        return min(whole_w, max(taken, default=whole_w))
    draws_w = own_w(load, standing)
    return draws_w if draws_w >= load.power_w / 2 else load.power_w


def spared_w(load: Load, draws_w: float) -> float:
    """Return how much less the load could draw without being stopped."""
    return 0.0 if load.follow is None else max(0.0, draws_w - least_w(load))


def used_share(standing: Standing) -> float:
    """Return which part of its phases a car really uses."""
    if not standing.phases or not standing.using or standing.using >= standing.phases:
        return 1.0
    return standing.using / standing.phases


def draws_nothing(load: Load, power_w: float) -> bool:
    """Tell an open thermostat or a breaker that is off from a load at work."""
    least = least_w(load)
    return power_w < max(DRAWS_NOTHING * least, min(STANDBY_SHARE * load.power_w, least / 2))


def tallied(load: Load, standing: Standing, at: float) -> Tally:
    """Return the load's totals up to `at`. Time in which its state is in doubt does not count."""
    if standing.phase is not ON and standing.phase is not STOPPING:
        return standing.tally
    elapsed_s = at - standing.tallied_at
    tally = standing.tally
    energy_wh = own_w(load, standing) * elapsed_s / 3600
    return Tally(tally.starts, tally.runtime_s + elapsed_s, tally.energy_wh + energy_wh)


def had_today(load: Load, standing: Standing, at: float) -> Tally:
    """Return what the load has had since the site's day began."""
    had, before = tallied(load, standing, at), standing.today
    return Tally(had.starts - before.starts, had.runtime_s - before.runtime_s, had.energy_wh - before.energy_wh)


def daily_left(load: Load, standing: Standing, at: float) -> tuple[float, float]:
    """Return what is left of the daily maximum, in seconds and in Wh (infinite: none); the first to end counts."""
    if load.daily_runtime_s is None and load.daily_energy_wh is None:
        return inf, inf
    had = had_today(load, standing, at)
    left_s = inf if load.daily_runtime_s is None else load.daily_runtime_s - had.runtime_s
    left_wh = inf if load.daily_energy_wh is None else load.daily_energy_wh - had.energy_wh
    return left_s, left_wh


def rested(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been off for its minimum time."""
    return standing.switched_at is None or at - standing.switched_at >= load.min_off_s


def served(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been on for its minimum time."""
    return standing.switched_at is not None and at - standing.switched_at >= load.min_on_s
