"""What the core promises of loads that follow the sun, as questions to a house's log."""

from __future__ import annotations

from itertools import pairwise

from loadctl.core.rules import Range
from tests.house import Appliance, House
from tests.property.promises import EPS_S, RUNS_ON_SURPLUS, Order, orders

FALLS_S = 5.0  # a reading, a tick and the command's way
NOISE_W = 20.0


def settable(house: House) -> list[str]:
    """A load is only ever set to what its ranges allow, to a step of them, with the current that comes to."""
    return [
        f"{order.moment.tick.at:g}: {order.load.name} cannot be set to {order.command}"
        for order in orders(house)
        if order.command.watts and not _fits(order)
    ]


def _fits(order: Order) -> bool:
    load, command = order.load, order.command
    if load.follow is None:
        return command.watts == load.power_w and command.phases is None and command.amps is None
    ranges = [one for one in load.follow.ranges if one.phases == command.phases]
    if not ranges or not _on_a_step(ranges[0], command.watts):
        return False
    one = ranges[0]
    if one.phases is None or one.volts is None:
        return command.amps is None
    return command.amps is not None and abs(command.amps * one.phases * one.volts - command.watts) < 0.01 * 690


def _on_a_step(one: Range, watts: float) -> bool:
    if not one.least_w - 1e-3 <= watts <= one.most_w + 1e-3:
        return False
    steps = (watts - one.least_w) / one.step_w
    return abs(watts - one.most_w) < 1e-3 or abs(steps - round(steps)) < 1e-3


def paced(house: House) -> list[str]:
    """Between a setting and the next rise lies `every_s` at least, however the sun trembles."""
    broken = []
    last: dict[str, Order] = {}
    for order in orders(house):
        follow, name, at = order.load.follow, order.load.name, order.moment.tick.at
        if follow is None:
            continue
        before = last.get(name)
        last[name] = order
        if before is None or not order.sets_anew or not before.command.watts:
            continue
        rises = order.command.phases == before.command.phases and order.command.watts > before.command.watts
        after_s = at - before.moment.tick.at
        if rises and order.verdict in RUNS_ON_SURPLUS and after_s < follow.every_s - EPS_S:
            broken.append(f"{at:g}: {name} rises again after {after_s:g} s")
    return broken


def phases_rest(house: House) -> list[str]:
    """To more phases it goes `phase_pause_s` after their last change at the soonest, and so many times a day at most.

    Back to fewer it may at any time, and so once more than the rule says.
    """
    broken = []
    wall = {moment.tick.at: moment.tick.wall.date() for moment in house.moments}
    for index, load in enumerate(house.site.loads):
        if load.follow is None or len(load.follow.ranges) < 2:
            continue
        settings = [order for order in orders(house) if order.index == index and order.command.watts]
        changes = [
            (after.moment.tick.at, (after.command.phases or 0) > (before.command.phases or 0))
            for before, after in pairwise(settings)
            if before.command.phases != after.command.phases
        ]
        for (one, _), (two, is_more) in pairwise(changes):
            if is_more and two - one < load.follow.phase_pause_s - EPS_S:
                broken.append(f"{two:g}: {load.name} goes to more phases after {two - one:g} s")
        days = [wall[at] for at, _ in changes]
        most = load.follow.phase_changes + 1
        broken += [f"{load.name} changes phases {days.count(day)} times" for day in set(days) if days.count(day) > most]
    return broken


def tracks(house: House) -> list[str]:
    """What a throttled load draws above its least is not imported for longer than it takes to see it and to settle."""
    broken = []
    since: dict[int, float] = {}
    slowest_s = house.meter.every_s + house.meter.lag_s + FALLS_S
    for appliance in house.appliances:
        load = appliance.load
        follow_s = load.follow.every_s if load.follow else 0.0
        slowest_s += max(load.settle_s, follow_s) + 2 * appliance.device.latency_s + appliance.device.ramp_s
    for moment in house.moments:
        at = moment.tick.at
        sample, outcome = moment.tick.sample, moment.outcome
        buys = house.net_at(at) > NOISE_W and sample is not None and outcome.surplus_w is not None
        for index, appliance in enumerate(house.appliances):
            above = appliance.load.follow is not None and _above_least(appliance, at)
            if not (buys and above and outcome.verdicts[index] in RUNS_ON_SURPLUS):
                since.pop(index, None)
                continue
            lasted_s = at - since.setdefault(index, at)
            if lasted_s > slowest_s:
                watts = appliance.draw_at(at)
                broken.append(f"{at:g}: {appliance.load.name} draws {watts:g} W of import for {lasted_s:g} s")
                since[index] = at
    return broken


def _above_least(appliance: Appliance, at: float) -> bool:
    load = appliance.load
    if load.follow is None:
        return False
    one = next((one for one in load.follow.ranges if one.phases == appliance.phases), load.follow.ranges[0])
    return appliance.draw_at(at) > sum(
        appliance.takes_w(watts, appliance.phases) for watts in (one.least_w, one.step_w)
    )


FOLLOWS = (settable, paced, phases_rest)
