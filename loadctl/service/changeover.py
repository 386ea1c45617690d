"""What goes over from one rule file to the next, and the state that each load is left in. No clock and no device."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from loadctl.config import Device, House
from loadctl.core.absorb import started
from loadctl.core.rules import Load, Site
from loadctl.core.step import start
from loadctl.core.values import OFF, STARTING, AnyWish, Away, Command, Standing, State


def safe_command(rule: Load, standing: Standing, at: float) -> Command | None:
    """Return what puts a load in its safe state; None: that is on, and its compressor has yet to rest."""
    rested_s = at - (standing.since if standing.switched_at is None else standing.switched_at)
    if rule.safe_on and rule.compressor and standing.was_on is not True and rested_s < rule.min_off_s:
        return None
    return safe_wish(rule)


def safe_wish(rule: Load) -> Command:
    """Return the command for a load's safe state: off or, where the rules say so, all it can take."""
    if not rule.safe_on:
        return Command(0, rule.name, 0.0, lease_s=rule.lease_s)
    if rule.follow is None:
        return Command(0, rule.name, rule.power_w, lease_s=rule.lease_s)
    most = rule.follow.ranges[-1]
    amps = most.most_w / (most.volts * most.phases) if most.volts and most.phases else None
    return Command(0, rule.name, most.most_w, most.phases, rule.lease_s, amps)


def carry_over(old: Site, state: State, house: House, kept: set[str], at: float, day: int) -> State:
    """Return the state under new rules. Loads in `kept` are the same device as before and keep their standing.

    A device that was exchanged under a name, or got another one (`was:`), is one that was put in its safe state just
    now; its tallies stay.
    """
    new = house.site
    known = {rule.name: (rule, standing) for rule, standing in zip(old.loads, state.standings, strict=True)}
    standings = []
    for rule, unknown in zip(new.loads, start(new, at, day).standings, strict=True):
        before = rule.name if rule.name in known else house.was.get(rule.name, "")
        if before not in known:
            standings.append(unknown)
            continue
        former, standing = known[before]
        if rule.name not in kept:
            standing = _exchanged(standing, at)
        if [(need.by, need.days) for need in rule.needs] != [(need.by, need.days) for need in former.needs]:
            standing = replace(standing, marks=())
        standings.append(standing)
    return replace(state, standings=tuple(standings), plans=(), planned_until=None, calm=None)


def _exchanged(standing: Standing, at: float) -> Standing:
    was_off = standing.phase is OFF and standing.was_on is False
    standing = started(standing) if standing.phase is STARTING else standing
    return Standing(
        phase=OFF,
        since=standing.since if was_off else at,
        switched_at=standing.switched_at if was_off else at,
        learned_w=standing.learned_w,
        tally=standing.tally,
        tallied_at=at,
        today=standing.today,
        marks=standing.marks,
    )


def gone(old: House, new: House) -> list[tuple[Load, Device]]:
    """Return the loads, with their devices, that the new rules no longer have, under whatever name."""
    there = {_place(device) for device in new.actuators.values()}
    pairs = [(rule, old.actuators[rule.name]) for rule in old.site.loads if rule.name not in new.actuators]
    return [(rule, device) for rule, device in pairs if _place(device) not in there]


def _place(device: Device) -> str:
    """Return where a device is: a pin is the same one whatever else is said of it."""
    pin = getattr(device.options, "pin", None)
    return address(device) if pin is None else f"GPIO{pin}"


def same(one: Device, other: Device) -> bool:
    """Tell whether a device need not be opened anew."""
    return (one.driver, one.options) == (other.driver, other.options)


def address(device: Device) -> str:
    """Return a short name of where and how a device is looked for; what is secret is no part of it."""
    return hashlib.sha256(f"{device.driver} {device.options!r}".encode()).hexdigest()[:16]


def wishes_under(house: House, wishes: tuple[AnyWish, ...]) -> tuple[AnyWish, ...]:
    """Return what people wish of the loads that are in the rules, also of those that got another name."""
    now = {former: name for name, former in house.was.items()} | {rule.name: rule.name for rule in house.site.loads}
    return tuple(
        wish if isinstance(wish, Away) else replace(wish, load=now[wish.load])
        for wish in wishes
        if isinstance(wish, Away) or wish.load in now
    )
