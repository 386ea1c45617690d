"""The power that is free: what the meter shows, with what our own loads draw added back.

Without adding it back a load would switch itself off. What is on its way is taken off before the meter shows it, what
is leaving is not offered before the meter shows it gone: one watt, one taker.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loadctl.core.values import OFF, ON, STARTING, STOPPING, Holder, Load, Sample, Site, Standing, Tally

DRAWS_NOTHING = 0.2  # of the nominal power
GONE_S = 10.0  # so long the fuse believes that a load which was switched off is gone before the meter shows it


def own_w(load: Load, standing: Standing) -> float:
    """Return what a running load draws: measured, else learned from the meter's step, else nominal."""
    if standing.measured_w is not None:
        return standing.measured_w
    return load.power_w if standing.learned_w is None else standing.learned_w


def draws_nothing(load: Load, power_w: float) -> bool:
    """Tell an open thermostat or a breaker that is off from a load at work."""
    return power_w < DRAWS_NOTHING * load.power_w


def tallied(load: Load, standing: Standing, at: float) -> Tally:
    """Return the load's totals up to `at`. Time in which its state is in doubt does not count."""
    if standing.phase is not ON and standing.phase is not STOPPING:
        return standing.tally
    elapsed_s = at - standing.tallied_at
    tally = standing.tally
    energy_wh = own_w(load, standing) * elapsed_s / 3600
    return Tally(tally.starts, tally.runtime_s + elapsed_s, tally.energy_wh + energy_wh)


def rested(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been off for its minimum time."""
    return standing.switched_at is None or at - standing.switched_at >= load.min_off_s


def served(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been on for its minimum time."""
    return standing.switched_at is not None and at - standing.switched_at >= load.min_on_s


@dataclass(slots=True)
class Stock:
    """The power of one reading, seen from our loads; lists are in the order of priority.

    `drawn_w`: from grid and battery. `spare_w`: free now, with all taken off that is on its way or not yet seen
    stopped. `pending_w`: switched on, but perhaps not in the reading. `leaving_w`: switched off, but perhaps still in
    the reading; `gone_w`: that part of it which the fuse believes gone. `room_w[i]`: what loads less important than i
    would leave to it; `below_w[i]`: what they draw, held to it or not: no import of theirs is i's. `yields[i]`: i may
    be asked to make room.
    """

    grid_w: float
    drawn_w: float
    surplus_w: float
    spare_w: float
    pending_w: float
    leaving_w: float
    gone_w: float
    room_w: list[float]
    below_w: list[float]
    yields: list[bool]


def take_stock(
    site: Site, standings: Sequence[Standing], held: Collection[str], sample: Sample, grid_w: float, at: float
) -> Stock:
    """Sort the power of a reading into who has it. `held` names the loads that a person holds by a wish.

    What the battery gives is nobody's surplus: it counts as if it came from the grid.
    """
    drawn_w = grid_w + max(0.0, sample.battery_w or 0.0)
    pending_w = leaving_w = gone_w = unseen_w = own_sum_w = room = below = 0.0
    size = len(site.loads)
    room_w = [0.0] * size
    below_w = [0.0] * size
    yields = [False] * size
    for index in range(size - 1, -1, -1):
        load, standing = site.loads[index], standings[index]
        room_w[index] = room
        below_w[index] = below
        phase = standing.phase
        if phase is OFF:
            if standing.settled_at is not None:
                leaving_w += standing.leaving_w
                gone_w += _gone_w(standing, grid_w, at)
        elif phase is STOPPING:
            leaving_w += standing.leaving_w
            gone_w += _gone_w(standing, grid_w, at)
            unseen_w += standing.leaving_w
        elif phase is STARTING or (phase is ON and standing.settled_at is not None):
            expected_w = max(load.power_w, standing.measured_w or 0.0)
            pending_w += expected_w
            own_sum_w += _visible_w(standing, grid_w, expected_w)
            below += expected_w
        elif phase is ON:
            draws_w = own_w(load, standing)
            own_sum_w += draws_w
            below += draws_w
            if standing.holder is Holder.RULE and load.name not in held and served(load, standing, at):
                yields[index] = True
                room += draws_w
    free_w = -drawn_w - site.reserve_w
    return Stock(
        grid_w,
        drawn_w,
        free_w + own_sum_w,
        free_w - pending_w - unseen_w,
        pending_w,
        leaving_w,
        gone_w,
        room_w,
        below_w,
        yields,
    )


def _gone_w(standing: Standing, grid_w: float, at: float) -> float:
    """Return what the fuse takes off the reading for a load that we switched off: nothing once the meter shows it."""
    before_w = standing.grid_before_w
    if before_w is None or at - standing.since > GONE_S or grid_w <= before_w - standing.leaving_w / 2:
        return 0.0
    return standing.leaving_w


def _visible_w(standing: Standing, grid_w: float, expected_w: float) -> float:
    """Guess how much of a load that was just switched on the reading shows already."""
    before_w = standing.grid_before_w
    return 0.0 if before_w is None else min(max(grid_w - before_w, 0.0), expected_w)
