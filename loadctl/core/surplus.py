"""The power that is free: what the meter shows, with what our own loads draw added back.

The battery: what it gives counts as if it came from the grid, unless a load may have it; what it takes counts for the
loads that may claim it. So what is free differs from load to load (`bonus_w`).

Without adding it back a load would switch itself off. What is on its way is taken off before the meter shows it, what
is leaving is not offered before the meter shows it gone: one watt, one taker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from loadctl.core.appliance import least_w, own_w, served, spared_w
from loadctl.core.rules import Load, Site
from loadctl.core.values import OFF, ON, STARTING, STOPPING, Holder, Plan, Sample, Standing
from loadctl.each_tick import replace

GONE_S = 10.0  # so long the fuse believes that a load which was switched off is gone before the meter shows it


class Place(NamedTuple):
    """What a load finds at its place in the row of priorities.

    `below_w`: what loads less important draw, held to it or not: no import of theirs is its own. `room_w`: what of it
    they would leave to it; `spared_w`: without being stopped. `bonus_w`: what it may have from the battery. `gives_w`:
    what it would leave itself to more important loads; `yields`: by being stopped. `firm`: it would yield, but keeps
    its place, for what it does not get now it has to buy; `firm_w`: what such loads below draw beyond what they leave.
    `needs`: it must have more itself.
    """

    below_w: float
    room_w: float
    spared_w: float
    bonus_w: float
    gives_w: float
    yields: bool
    firm: bool
    firm_w: float
    needs: bool


@dataclass(slots=True)
class Stock:
    """The power of one reading, seen from our loads; `places` in the order of priority.

    `drawn_w`: from grid and battery. `own_w`: what our loads draw of it, as far as it shows. `surplus_w`: free for all
    of them. `spare_w`: free now, with all taken off that is on its way or not yet seen stopped (`unseen_w`).
    `pending_w`: switched on, but perhaps not in the reading. `leaving_w`: switched off, but perhaps still in the
    reading; `gone_w`: that part of it which the fuse believes gone. `row`: the places of the loads by priority alone.
    """

    grid_w: float
    drawn_w: float
    surplus_w: float = 0.0
    own_w: float = 0.0
    spare_w: float = 0.0
    pending_w: float = 0.0
    unseen_w: float = 0.0
    leaving_w: float = 0.0
    gone_w: float = 0.0
    places: list[Place] = field(default_factory=list)
    row: Sequence[int] = ()


def take_stock(
    site: Site,
    standings: Sequence[Standing],
    plans: Sequence[Plan],
    row: Sequence[int],
    kept: Mapping[str, bool],
    sample: Sample,
    grid_w: float,
    at: float,
) -> Stock:
    """Sort the power of a reading into who has it. `kept`: the loads that a person wants to run, True: in full."""
    battery_w = sample.battery_w or 0.0
    stock = Stock(grid_w, grid_w + max(0.0, battery_w), row=row)
    below_w = room_w = spared = firm_w = 0.0
    for load, standing, plan in zip(reversed(site.loads), reversed(standings), reversed(plans), strict=True):
        draws_w = _counted(stock, load, standing, at)
        runs = standing.phase is ON and standing.settled_at is None
        by_rule = runs and standing.holder is Holder.RULE and kept.get(load.name) is not True
        spares_w = spared_w(load, draws_w) if by_rule else 0.0
        could = by_rule and load.name not in kept and served(load, standing, at)
        yields, firm = could and not plan.firm, could and plan.firm
        gives_w, bonus_w = draws_w if yields else spares_w, _bonus_w(load, standing, battery_w)
        stock.places.append(Place(below_w, room_w, spared, bonus_w, gives_w, yields, firm, firm_w, plan.needs))
        below_w += draws_w
        room_w += gives_w
        spared += spares_w
        firm_w += draws_w - gives_w if firm else 0.0
    stock.places.reverse()
    free_w = -stock.drawn_w - site.reserve_w
    stock.surplus_w = free_w + stock.own_w
    stock.spare_w = free_w - stock.pending_w - stock.unseen_w
    return stock


def _counted(stock: Stock, load: Load, standing: Standing, at: float) -> float:
    """Count a load's power into the stock and return what it draws."""
    phase, settles = standing.phase, standing.settled_at is not None
    if phase is STOPPING or (phase is OFF and settles):
        stock.leaving_w += standing.leaving_w
        stock.gone_w += _gone_w(standing, stock.grid_w, at)
        stock.unseen_w += standing.leaving_w if phase is STOPPING else 0.0
        return 0.0
    if phase is STARTING or (phase is ON and settles):
        set_w = load.power_w if load.follow is None else standing.target_w or least_w(load)
        draws_w = max(set_w, standing.measured_w or 0.0)
        stock.pending_w += draws_w
        stock.own_w += min(max(_shows_w(stock, standing), 0.0), draws_w)
        return draws_w
    if phase is not ON:
        return 0.0
    draws_w = own_w(load, standing)
    stock.own_w += draws_w
    if load.follow is not None and standing.shown_at is not None:
        left_w = standing.change_w - _shows_w(stock, standing)  # of its change, for the meter to show
        if standing.change_w > 0:
            stock.pending_w += min(max(left_w, 0.0), standing.change_w)
        else:
            falls_w = min(max(-left_w, 0.0), -standing.change_w)
            stock.leaving_w += falls_w
            stock.gone_w += falls_w if at - standing.asked_at <= GONE_S else 0.0
    return draws_w


def _shows_w(stock: Stock, standing: Standing) -> float:
    """Guess how much of a load's last change the reading shows already: what the grid has changed since."""
    return 0.0 if standing.grid_before_w is None else stock.grid_w - standing.grid_before_w


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
