"""The promises as questions to a life, answered from what happened at the devices' wires."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from loadctl.core.rules import Load
from loadctl.core.values import Verdict
from loadctl.lab.emulators.shelly import EmulatedShellyGen2
from tests.faults.life import LEASE_S, Appliance, Life

EPS_S = 0.01
OURS = {"http", "HTTP_in"}  # everybody who speaks HTTP to these devices is us
MAX_AGE_S, HOLD_S, EVERY_S = 20.0, 30.0, 5.0
REST_S = 4.0  # rare pages and rests between requests
STARTS_BLIND_S = MAX_AGE_S + EVERY_S + REST_S
RUNS_BLIND_S = STARTS_BLIND_S + HOLD_S + 1.0 + REST_S
HEALS_S = LEASE_S + 75.0  # after a trouble: a lease, the longest pause of the retries
STEADY_S = 60.0
UNSEEN_S = 3.0  # a button pressed between a look and the renewal that follows it
HAND_S = 600.0 + 30.0

MAY_END_A_RUN = {Verdict.SHED, Verdict.OUTAGE, Verdict.HAND, Verdict.BLIND, Verdict.SHUTDOWN}


def every_second(life: Life) -> Iterator[str]:
    """What must hold at any moment: leases, blindness, a dead daemon's loads off."""
    now = life.now()
    machine = life.machine
    blind = now - life.honest_at > RUNS_BLIND_S and machine is not None and now - machine.began_at > RUNS_BLIND_S
    outage = life.knows_outage()
    for appliance in life.appliances.values():
        relay = appliance.relay
        if not relay.on:
            continue
        well = now - appliance.sick_until > HEALS_S
        if outage and well and now - appliance.pressed_at > HEALS_S:
            yield f"{now:g}: {appliance.name} is on {now - (life.grid_lost_at or 0.0):g} s after the grid was lost"
        ours = relay.source in OURS
        if ours and relay.timer is None:
            yield f"{now:g}: {appliance.name} is on by us and nothing switches it off"
        if machine is None and ours and now - life.dead_since > LEASE_S + 1.0:
            yield f"{now:g}: {appliance.name} is on {now - life.dead_since:g} s after the daemon's end"
        if blind and well and not _by_hand(appliance, now):
            yield f"{now:g}: {appliance.name} is on, and no reading for {now - life.honest_at:g} s"


def _by_hand(appliance: Appliance, now: float) -> bool:
    return now - appliance.pressed_at < HAND_S or now < appliance.wished_until + HEALS_S


def promises(life: Life) -> list[str]:
    """All that can be said of what happened so far."""
    broken = list(life.broken)
    for load in life.promised.loads:
        appliance = life.appliances[load.name]
        broken += minimum_times(life, load, appliance)
        broken += starts(life, load, appliance)
        broken += leases(appliance)
    return [*broken, *blind_starts(life)]


def minimum_times(life: Life, load: Load, appliance: Appliance) -> Iterator[str]:
    """No run of ours shorter than `min_on`, no pause than `min_off`; nothing shortens a compressor's rest."""
    moves = appliance.device.switchings
    first = next((move for move in moves if move.on), None)
    if load.compressor and first is not None and first.source in OURS:
        rested_s = first.at - life.began_at
        if rested_s < load.min_off_s - EPS_S:
            yield f"{load.name}: a compressor of which nothing was known started after {rested_s:g} s"
    for index, (before, after) in enumerate(pairwise(moves)):
        lasted_s = after.at - before.at
        if after.source not in OURS:
            continue
        why = _why(life, load.name, after.at, after.on, since=before.at)
        if not after.on:
            if before.source in OURS and lasted_s < load.min_on_s - EPS_S and not why & MAY_END_A_RUN:
                yield f"{after.at:g}: {load.name} ran {lasted_s:g} s of {load.min_on_s:g}, ended by {why}"
            continue
        unseen = before.source not in OURS and lasted_s < UNSEEN_S
        unseen |= index > 0 and before.source not in OURS and not _looked(appliance, moves[index - 1].at, before.at)
        excused = unseen or (Verdict.HAND in why and not load.compressor)
        if lasted_s < load.min_off_s - EPS_S and not excused:
            yield f"{after.at:g}: {load.name} paused {lasted_s:g} s of {load.min_off_s:g}, ended by {why}"


def starts(life: Life, load: Load, appliance: Appliance) -> Iterator[str]:
    """No more than `max_starts` of ours on a day of the site."""
    if load.max_starts is None:
        return
    moves = appliance.device.switchings
    ours = 0
    for index, move in enumerate(moves):
        again = index > 0 and moves[index - 1].source not in OURS and move.at - moves[index - 1].at < UNSEEN_S
        if move.on and move.source in OURS and not again:
            ours += Verdict.HAND not in _why(life, load.name, move.at, True, since=move.at - 30.0)
    if ours > load.max_starts * len(life.dates):
        yield f"{load.name}: {ours} starts on {len(life.dates)} days"


def leases(appliance: Appliance) -> Iterator[str]:
    """Every ON carries a lease, no OFF does."""
    device = appliance.device
    if isinstance(device, EmulatedShellyGen2):
        for method, params in device.calls:
            if method == "Switch.Set" and (params["on"] is not ("toggle_after" in params)):
                yield f"{appliance.name}: {params}"
        return
    for asked in device.requests:
        if "turn=" in asked.path and ("turn=on" in asked.path) is not ("timer=" in asked.path):
            yield f"{appliance.name}: {asked.path}"


def blind_starts(life: Life) -> Iterator[str]:
    """Judged by orders: nothing is switched on without a reading to trust."""
    for order in life.orders:
        if order.on and order.verdict is Verdict.BLIND:
            yield f"{order.at:g}: {order.load} was told to go on while blind"
        if order.on and 0 <= order.at - life.grid_back_at < STEADY_S:
            yield f"{order.at:g}: {order.load} starts {order.at - life.grid_back_at:g} s after the grid came back"


def _why(life: Life, name: str, at: float, on: bool, since: float) -> set[Verdict]:
    """Return the reasons of all orders that may have brought a move about."""
    if not on and any(begun <= at <= ended for begun, ended in life.exits):
        return {Verdict.SHUTDOWN}
    orders = [order for order in life.orders if order.load == name and order.on is on and order.at <= at]
    late = [order for order in orders if order.at >= since]
    return {order.verdict for order in late or orders[-1:]}


def _looked(appliance: Appliance, begun: float, ended: float) -> bool:
    return any(begun < asked.at <= ended for asked in appliance.device.requests)
