"""A load with a range of power, kept on the sun: up in steps with patience, down at once.

What it may have is what it draws plus what is free. A rise waits until the meter shows the last change, a fall does
not: while a change is on its way, import beyond what it explains is taken off at once. A car that takes less than it is
offered is offered little more than it takes, so that the rest is free for others.

More phases than one carry more power, and no less than six amperes on each: between the two ranges a charger is
switched rarely, after the other range would have been the better one for minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf
from typing import NamedTuple

from loadctl.core.appliance import own_w, used_share
from loadctl.core.judge import Sight
from loadctl.core.rules import Follow, Load, Range
from loadctl.core.values import ON, Standing
from loadctl.each_tick import replace

RISE_SHARE = 0.25  # of a step that must be free beyond it, so that a trembling surplus changes nothing
FALL_W = 10.0  # import that is only noise
_UNKNOWN = Standing()  # of a car that has yet to draw
BELIEVED_S = 600.0  # so long a car that left some of its offer is offered little more than it takes
LEFT_SHARE = 1.5  # of a step: who leaves more than this of what it is offered has no use for it


class Setting(NamedTuple):
    """What a load is to be set to: the power it will draw; for a charger its current on so many phases, which comes to
    `nominal_w` if the car uses them all.
    """

    watts: float
    nominal_w: float
    phases: int | None = None
    amps: float | None = None


class Allowance(NamedTuple):
    """What a running load may draw: `rise_w` more than now, `over_w` less (an import that is its doing), at most
    `cap_w`.

    `all_in`: as much as `cap_w` allows, sun or no sun. `grid_w`: the reading, to tell an import that a change explains.
    """

    rise_w: float
    over_w: float
    grid_w: float
    cap_w: float = inf
    all_in: bool = False


def in_force(load: Load, standing: Standing) -> Range:
    """Return the range of powers that the load can be set to without switching phases, as it really draws them."""
    if load.follow is None:
        raise ValueError(f"{load.name} cannot follow")
    ranges = load.follow.ranges
    found = next((one for one in ranges if one.phases == standing.phases), ranges[0])
    return _as_used(found, standing)


def settings(load: Load, standing: Standing, sight: Sight, may: Allowance) -> Setting | None:
    """Return the new setting of a load that is on, None to leave it as it is."""
    follow = load.follow
    if follow is None:
        return None
    range_, draws_w = in_force(load, standing), own_w(load, standing)
    set_w = _set_w(range_, standing, draws_w)
    scale = set_w / draws_w if draws_w > set_w else 1.0  # where the voltage is high it draws more than it is set to
    cap_w = may.cap_w * scale
    if standing.shown_at is not None and may.all_in:
        return _changed(range_, standing, set_w, set_w, cap_w)
    if standing.shown_at is not None:
        before_w = may.grid_w if standing.grid_before_w is None else standing.grid_before_w
        unexplained_w = may.grid_w - max(0.0, before_w) - max(standing.change_w, 0.0)
        wanted_w = set_w - unexplained_w if unexplained_w > FALL_W else set_w
        return _changed(range_, standing, set_w, wanted_w, cap_w)
    could_w = cap_w if may.all_in else _could_w(draws_w, may) * scale
    other = _better(load, standing, range_, min(could_w, cap_w), sight, all_in=may.all_in)
    if other is not None:
        return _setting(other, standing, min(could_w, cap_w))
    if standing.modest_until is not None:
        could_w = min(could_w, draws_w + LEFT_SHARE * range_.step_w)
    if could_w > set_w and (standing.command_id is not None or not sight.fresh):
        return None
    return _changed(range_, standing, set_w, could_w, cap_w)


def first(load: Load, standing: Standing, at: float, free_w: float, cap_w: float, *, all_in: bool) -> Setting:
    """Return what a load begins with: its least, on more phases only if there is power for them; all, if it must."""
    if load.follow is None:
        return Setting(load.power_w, load.power_w)
    chosen = load.follow.ranges[0]
    for one in load.follow.ranges[1:]:
        allowed = standing.phases in (None, one.phases) or may_switch(load.follow, standing, at)
        if allowed and min(inf if all_in else free_w, cap_w) >= one.least_w + RISE_SHARE * one.step_w:
            chosen = one
    return _setting(chosen, _UNKNOWN, cap_w if all_in else chosen.least_w)


def usable(load: Load, standing: Standing) -> Range:
    """Return the range in force as far as the load has any use for it."""
    range_ = in_force(load, standing)
    if standing.modest_until is None or standing.phase is not ON:
        return range_
    return replace(range_, most_w=max(range_.least_w, min(range_.most_w, own_w(load, standing))))


def modest(load: Load, standing: Standing, at: float) -> Standing:
    """Return the standing that knows whether the load leaves what it is offered; it is believed for a while."""
    if standing.shown_at is None and standing.settled_at is None:
        range_ = in_force(load, standing)
        standing = _taking(standing, range_, own_w(load, standing))
        if own_w(load, standing) < (standing.target_w or 0.0) - LEFT_SHARE * range_.step_w:
            fresh = standing.modest_until is not None and standing.modest_until - at > BELIEVED_S / 2
            return standing if fresh else replace(standing, modest_until=at + BELIEVED_S)
    if standing.modest_until is not None and at >= standing.modest_until:
        return replace(standing, modest_until=None)
    return standing


def _taking(standing: Standing, range_: Range, draws_w: float) -> Standing:
    """Return the standing that knows the most the load takes: told by what it leaves of all, or by taking more."""
    known_w = standing.takes_today_w or 0.0
    all_offered = (standing.target_w or 0.0) >= range_.most_w
    leaves = range_.least_w / 2 <= draws_w < range_.most_w - LEFT_SHARE * range_.step_w
    told = standing.takes_today_w is not None or standing.takes_w is not None
    if draws_w <= known_w or not (told or (all_offered and leaves)):
        return standing
    return replace(standing, takes_today_w=draws_w)


def appetite_w(load: Load, standing: Standing, at: float) -> float:
    """Return how much more the load would take if it might."""
    if load.follow is None:
        return 0.0
    range_, draws_w = in_force(load, standing), own_w(load, standing)
    if standing.modest_until is not None:
        return 0.0
    most = load.follow.ranges[-1] if may_switch(load.follow, standing, at) else range_
    return max(0.0, _as_used(most, standing).most_w - max(_set_w(range_, standing, draws_w), draws_w))


def _set_w(range_: Range, standing: Standing, draws_w: float) -> float:
    """Return what a running load is set to; what was found on has not told it yet, so it may draw what it does."""
    return standing.target_w or max(range_.least_w, draws_w)


def fair_w(ranges: Sequence[Range], total_w: float) -> list[float]:
    """Return equal parts of `total_w`; what one cannot use is left to the others."""
    parts = [one.least_w for one in ranges]
    open_ = set(range(len(ranges)))
    left_w = total_w - sum(parts)
    while left_w > 1e-6 and open_:
        part_w = left_w / len(open_)
        for index in tuple(open_):
            more_w = min(part_w, ranges[index].most_w - parts[index])
            parts[index] += more_w
            left_w -= more_w
            if more_w < part_w:
                open_.discard(index)
    return parts


def patient(load: Load, standing: Standing, may: Allowance, elapsed_s: float) -> Standing:
    """Return the standing with the time grown or shrunk for which another number of phases would have been better."""
    follow = load.follow
    if follow is None or len(follow.ranges) < 2 or standing.shown_at is not None:
        return standing
    better = awaited(load, standing, may) is not None
    held_s = standing.phases_held_s + elapsed_s if better else max(0.0, standing.phases_held_s - elapsed_s)
    held_s = min(held_s, max(follow.phase_up_s, follow.phase_down_s))
    return standing if held_s == standing.phases_held_s else replace(standing, phases_held_s=held_s)


def awaited(load: Load, standing: Standing, may: Allowance) -> Range | None:
    """Return the range with another number of phases that would be the better one now, as the charger draws it."""
    if load.follow is None:
        return None
    could_w = may.cap_w if may.all_in else min(_could_w(own_w(load, standing), may), may.cap_w)
    return _other(load.follow, standing, in_force(load, standing), could_w)


def may_switch(follow: Follow, standing: Standing, at: float) -> bool:
    """Tell whether the charger may go to more phases, as far as their changes today and the pause between them go.

    Back to fewer it may at any time: else it would buy what the sun does not give.
    """
    if len(follow.ranges) < 2 or standing.phase_changes >= follow.phase_changes:
        return False
    return standing.phases_at is None or at - standing.phases_at >= follow.phase_pause_s


def _could_w(draws_w: float, may: Allowance) -> float:
    return draws_w - may.over_w if may.over_w > FALL_W else draws_w + max(0.0, may.rise_w)


def _better(
    load: Load, standing: Standing, range_: Range, could_w: float, sight: Sight, *, all_in: bool
) -> Range | None:
    follow = load.follow
    if follow is None or standing.command_id is not None:
        return None
    other = _other(follow, standing, range_, could_w)
    if other is None:
        return None
    if other.least_w < range_.least_w:
        return other if standing.phases_held_s >= follow.phase_down_s else None
    held = all_in or standing.phases_held_s >= follow.phase_up_s
    return other if held and may_switch(follow, standing, sight.at) else None


def _other(follow: Follow, standing: Standing, range_: Range, could_w: float) -> Range | None:
    """Return the better range for `could_w`: more phases if there is power for them, fewer if there is too little."""
    if standing.using is not None and range_.phases is not None and standing.using < range_.phases:
        return None  # a car that takes one phase of three gains nothing by three
    more = [one for one in follow.ranges if one.least_w > range_.least_w]
    fewer = [one for one in follow.ranges if one.least_w < range_.least_w]
    if more and could_w >= more[0].least_w + RISE_SHARE * more[0].step_w and could_w > range_.most_w:
        return more[0]
    return fewer[-1] if fewer and could_w < range_.least_w - FALL_W else None


def _as_used(one: Range, standing: Standing) -> Range:
    """Return the range as the car really draws it: one that uses one phase of three takes a third."""
    share = _used_share(one, standing)
    if share == 1.0:
        return one
    return Range(one.least_w * share, one.most_w * share, one.step_w * share, one.phases, one.volts)


def _changed(range_: Range, standing: Standing, set_w: float, could_w: float, cap_w: float) -> Setting | None:
    """Return the step of the range at or below what it could draw and may, None if that is no change worth making."""
    if cap_w < set_w - FALL_W:
        could_w = min(could_w, cap_w)
    if set_w - FALL_W <= could_w < set_w + range_.step_w * (1 + RISE_SHARE) and set_w <= range_.most_w:
        return None
    if set_w <= could_w < inf:
        could_w -= RISE_SHARE * range_.step_w
    watts = _on_grid(range_, min(could_w, cap_w))
    return None if watts == set_w else _in_use(range_, watts, _used_share(range_, standing))


def _setting(one: Range, standing: Standing, wanted_w: float) -> Setting:
    used = _as_used(one, standing)
    return _in_use(used, _on_grid(used, wanted_w), _used_share(one, standing))


def _in_use(one: Range, watts: float, share: float) -> Setting:
    """Return the setting with which a car that uses a share of the phases draws `watts`."""
    nominal_w = watts / share
    amps = round(nominal_w / (one.volts * one.phases), 2) if one.volts and one.phases else None
    return Setting(watts, nominal_w, one.phases, amps)


def _used_share(one: Range, standing: Standing) -> float:
    """Return which part of the range's phases the car uses; a car on one phase says nothing about what it does on
    three.
    """
    return used_share(standing) if one.phases == standing.phases else 1.0


def _on_grid(range_: Range, wanted_w: float) -> float:
    most = min(max(wanted_w, range_.least_w), range_.most_w)
    if most == range_.most_w:
        return range_.most_w
    return range_.least_w + range_.step_w * floor((most - range_.least_w) / range_.step_w + 1e-6)
