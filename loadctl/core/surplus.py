"""The power that is free: what the meter shows, with what our own loads draw added back.

The battery: what it gives counts as if it came from the grid, unless a load may have it; what it takes counts for the
loads that may claim it. So what is free differs from load to load (`bonus_w`).

Without adding it back a load would switch itself off. What is on its way is taken off before the meter shows it, what
is leaving is not offered before the meter shows it gone: one watt, one taker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loadctl.core.rules import Load, Site
from loadctl.core.values import OFF, ON, STARTING, STOPPING, Holder, Sample, Standing, State, Tally

DRAWS_NOTHING = 0.2  # of the nominal power
STANDBY_SHARE = 0.02  # of it is what the electronics of a dimmer may draw
GONE_S = 10.0  # so long the fuse believes that a load which was switched off is gone before the meter shows it


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


def rested(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been off for its minimum time."""
    return standing.switched_at is None or at - standing.switched_at >= load.min_off_s


def served(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether the load has been on for its minimum time."""
    return standing.switched_at is not None and at - standing.switched_at >= load.min_on_s


@dataclass(slots=True)
class Stock:
    """The power of one reading, seen from our loads; lists are in the order of priority.

    `drawn_w`: from grid and battery. `own_w`: what our loads draw of it, as far as it shows. `spare_w`: free now, with
    all taken off that is on its way or not yet seen stopped. `pending_w`: switched on, but perhaps not in the reading.
    `leaving_w`: switched off, but perhaps still in the reading; `gone_w`: that part of it which the fuse believes gone.
    `room_w[i]`: what loads less important than i would leave to it; `below_w[i]`: what they draw, held to it or not: no
    import of theirs is i's. `yields[i]`: i may be asked to stop; `bonus_w[i]`: what i may have from the battery;
    `spared_below_w[i]`: what loads below i could draw less without being stopped.
    """

    grid_w: float
    drawn_w: float
    surplus_w: float
    own_w: float
    spare_w: float
    pending_w: float
    leaving_w: float
    gone_w: float
    room_w: list[float]
    below_w: list[float]
    yields: list[bool]
    bonus_w: list[float]
    spared_below_w: list[float]


def take_stock(
    site: Site, standings: Sequence[Standing], kept: Mapping[str, bool], sample: Sample, grid_w: float, at: float
) -> Stock:
    """Sort the power of a reading into who has it. `kept`: the loads that a person wants to run, True: in full."""
    battery_w = sample.battery_w or 0.0
    drawn_w = grid_w + max(0.0, battery_w)
    pending_w = leaving_w = gone_w = unseen_w = own_sum_w = room = below = 0.0
    size = len(site.loads)
    room_w = [0.0] * size
    below_w = [0.0] * size
    yields = [False] * size
    bonus_w = [0.0] * size
    spared_below_w = [0.0] * size
    spared = 0.0
    for index in range(size - 1, -1, -1):
        load, standing = site.loads[index], standings[index]
        room_w[index] = room
        below_w[index] = below
        spared_below_w[index] = spared
        bonus_w[index] = _bonus_w(load, standing, battery_w)
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
            set_w = load.power_w if load.follow is None else standing.target_w or least_w(load)
            expected_w = max(set_w, standing.measured_w or 0.0)
            pending_w += expected_w
            own_sum_w += _visible_w(standing, grid_w, expected_w)
            below += expected_w
        elif phase is ON:
            draws_w = own_w(load, standing)
            own_sum_w += draws_w
            below += draws_w
            if load.follow is not None and standing.shown_at is not None:
                shows_w = grid_w - (grid_w if standing.grid_before_w is None else standing.grid_before_w)
                if standing.change_w > 0:
                    pending_w += min(max(standing.change_w - shows_w, 0.0), standing.change_w)
                else:
                    falls_w = min(max(shows_w - standing.change_w, 0.0), -standing.change_w)
                    leaving_w += falls_w
                    gone_w += falls_w if at - standing.asked_at <= GONE_S else 0.0
            if standing.holder is Holder.RULE and kept.get(load.name) is not True:
                yields[index] = load.name not in kept and served(load, standing, at)
                room += draws_w if yields[index] else spared_w(load, draws_w)
                spared += spared_w(load, draws_w)
    free_w = -drawn_w - site.reserve_w
    return Stock(
        grid_w,
        drawn_w,
        free_w + own_sum_w,
        own_sum_w,
        free_w - pending_w - unseen_w,
        pending_w,
        leaving_w,
        gone_w,
        room_w,
        below_w,
        yields,
        bonus_w,
        spared_below_w,
    )


def spared_w(load: Load, draws_w: float) -> float:
    """Return how much less the load could draw without being stopped."""
    return 0.0 if load.follow is None else max(0.0, draws_w - least_w(load))


def charged(load: Load, standing: Standing, soc_pct: float | None) -> Standing:
    """Return the standing that knows whether the battery is full enough for what the load may take from it.

    A charge that is not known allows nothing, but for who may claim at any charge.
    """
    battery = load.battery
    claims = _above(battery.claim_above_pct, soc_pct, battery.band_pct, standing.claims)
    discharges = _above(battery.discharge_above_pct, soc_pct, battery.band_pct, standing.discharges)
    if claims == standing.claims and discharges == standing.discharges:
        return standing
    return replace(standing, claims=claims, discharges=discharges)


def _above(limit_pct: float | None, soc_pct: float | None, band_pct: float, was: bool) -> bool:
    if limit_pct is None:
        return False
    if limit_pct <= 0:
        return True
    return soc_pct is not None and soc_pct >= (limit_pct - band_pct if was else limit_pct)


def _bonus_w(load: Load, standing: Standing, battery_w: float) -> float:
    if battery_w < 0:
        claimed_w = -battery_w if standing.claims else 0.0
        return claimed_w + (load.battery.discharge_w if standing.discharges else 0.0)
    if not standing.discharges:
        return 0.0
    return load.battery.discharge_w or battery_w  # without a power of its own, what runs may run on


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
