"""One tick: absorb what was reported, take stock of the power, judge each load, command what changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loadctl.core.absorb import absorb, change, fail, move, started
from loadctl.core.judge import A_MOMENT_S, Look, Sight, blocked, judge, refuses_off
from loadctl.core.needs import is_open, marked, pressing
from loadctl.core.surplus import Stock, draws_nothing, own_w, rested, take_stock, tallied
from loadctl.core.values import (
    FAULT,
    OFF,
    ON,
    STARTING,
    STOPPING,
    Command,
    Holder,
    Load,
    Outcome,
    Sample,
    Site,
    Standing,
    State,
    Tick,
    Verdict,
)

DOUBTFUL_YEAR = 2020  # a clock before it was never set: no day begins and no need ends by it
WAITS = frozenset({Verdict.WAIT_ON, Verdict.ROOM, Verdict.HELD_OFF})  # for power that nobody less important gets
KEEPS_NEED = frozenset({Verdict.NEED, Verdict.BUSY, Verdict.SETTLING, Verdict.BLIND, Verdict.FAULT})
LEARNS_SLOWLY = 0.3


def start(site: Site, at: float, day: int) -> State:
    """Return the state of a site about which nothing is known yet; `day` is the ordinal of the site's day."""
    return State(standings=tuple(Standing(since=at, tallied_at=at) for _ in site.loads), day=day)


def step(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick. Pure: the same site, state and tick give the same outcome."""
    at, sample = tick.at, tick.sample
    standings = _kept(site, state, tick)
    wishes = {wish.load: wish.on for wish in tick.wishes if wish.until is None or at < wish.until}
    state, sight = _sight(site, state, tick)
    if sample is None or sample.grid_w is None or sight.blind:
        stock = None
    else:
        if sight.fresh:
            _settle(site, standings, sample)
        stock = take_stock(site, standings, wishes.keys(), sample, sample.grid_w, at)
    return _walk(site, state, tick, standings, sight, stock, wishes)


def _kept(site: Site, state: State, tick: Tick) -> list[Standing]:
    """Return the standings with all that came in since the last tick: reports, silence, a new day, ended holds."""
    at = tick.at
    standings = list(state.standings)
    if tick.reports:
        places = {load.name: index for index, load in enumerate(site.loads)}
        for report in tick.reports:
            index = places.get(report.load, -1)
            if index >= 0:
                standings[index] = absorb(site.loads[index], standings[index], report, at)
    new_day = _day(state.day, tick) > state.day
    for index, standing in enumerate(standings):
        load = site.loads[index]
        if (standing.phase is STARTING or standing.phase is STOPPING) and at - standing.asked_at > site.answer_s:
            standing = fail(load, standing, at, "no answer to the last command", was_on=None)  # noqa: PLW2901
        if standing.hand_until is not None and at >= standing.hand_until:
            standing = replace(standing, holder=Holder.RULE, hand_until=None)  # noqa: PLW2901
        if new_day:
            standing = replace(standing, today=tallied(load, standing, at))  # noqa: PLW2901
        if load.needs and tick.wall.year >= DOUBTFUL_YEAR:
            standing = marked(load, standing, tick.wall, at)  # noqa: PLW2901
        standings[index] = standing
    return standings


def _day(day: int, tick: Tick) -> int:
    """Return the site's day to count by. A clock put back over midnight does not give the day's starts anew."""
    today = tick.wall.toordinal()
    return day if tick.wall.year < DOUBTFUL_YEAR or today == day - 1 else today


def _sight(site: Site, state: State, tick: Tick) -> tuple[State, Sight]:
    at, sample = tick.at, tick.sample
    late = sample is not None and at - sample.read_at > sample.max_age_s
    blind = sample is None or sample.grid_w is None or late
    fresh = not blind and sample is not None and (state.sample_at is None or sample.read_at > state.sample_at)

    blind_since = state.blind_since if blind else None
    if blind and blind_since is None:
        # blind since the last good reading grew too old, even if no tick fell on that moment
        blind_since = sample.read_at + sample.max_age_s if late and sample and sample.grid_w is not None else at

    gone = sample is not None and (sample.grid_up is False or sample.generator is True)
    outage_since, steady_since = state.outage_since, state.steady_since
    if gone:
        outage_since, steady_since = at if outage_since is None else outage_since, None
    elif outage_since is not None and not blind:
        steady_since = at if steady_since is None else steady_since
        if at - steady_since >= site.steady_s:
            outage_since = steady_since = None

    seen = replace(
        state,
        sample_at=sample.read_at if fresh and sample else state.sample_at,
        blind_since=blind_since,
        outage_since=outage_since,
        steady_since=steady_since,
        day=_day(state.day, tick),
    )
    elapsed_s = 0.0
    if fresh and sample is not None and state.sample_at is not None:
        elapsed_s = min(sample.read_at - state.sample_at, sample.every_s)
    lost = blind_since is not None and at - blind_since >= site.hold_s
    soc_pct = sample.soc_pct if sample is not None and not late else None
    return seen, Sight(at, fresh, elapsed_s, blind, lost, outage_since is not None, soc_pct, tick.shutdown)


def _settle(site: Site, standings: list[Standing], sample: Sample) -> None:
    """End the settling of loads that this reading is sure to show, and learn from the step what they draw.

    A step on the meter does not end it early: a kettle makes one too, and then the same watts were given away twice.
    """
    unsettled = [index for index, standing in enumerate(standings) if standing.settled_at is not None]
    for index in unsettled:
        load, standing = site.loads[index], standings[index]
        if standing.settled_at is None or sample.read_at < standing.settled_at:
            continue
        learned_w = standing.learned_w
        before_w = standing.grid_before_w
        alone = len(unsettled) == 1
        if alone and standing.phase is ON and before_w is not None and sample.grid_w is not None:
            learned_w = _learned(load, learned_w, sample.grid_w - before_w)
        standings[index] = change(
            load, standing, sample.read_at, settled_at=None, leaving_w=0.0, grid_before_w=None, learned_w=learned_w
        )


def _learned(load: Load, known_w: float | None, step_w: float) -> float:
    """Return what the load is believed to draw after a step on the meter. Clouds and kettles make steps too.

    So one step says little: it takes two missing ones in a row to believe that the thermostat is open.
    """
    half_w = load.power_w / 2
    if draws_nothing(load, step_w):
        return 0.0 if known_w is not None and known_w <= half_w else half_w
    step_w = min(max(step_w, half_w), 1.3 * load.power_w)
    return step_w if not known_w else known_w + LEARNS_SLOWLY * (step_w - known_w)


def _walk(
    site: Site,
    state: State,
    tick: Tick,
    standings: list[Standing],
    sight: Sight,
    stock: Stock | None,
    wishes: Mapping[str, bool],
) -> Outcome:
    """Judge the loads in order of priority, hand the power down, and command what changes."""
    at = tick.at
    shed = _shed(site, standings, stock)
    yields = [False] * len(standings)
    taken_w = rise_w = 0.0
    next_id = state.next_id
    verdicts: list[Verdict] = []
    spare: list[float | None] = []
    commands: list[Command] = []
    for index, load in enumerate(site.loads):
        standing = standings[index]
        free_w = room_w = below_w = leaving_w = 0.0
        short = crowded = False
        if stock is not None:
            free_w, room_w = stock.spare_w - taken_w, stock.room_w[index]
            below_w, leaving_w = stock.below_w[index], stock.leaving_w
            import_w = stock.drawn_w - below_w - leaving_w
            short = import_w > load.stop_import_w
            if site.max_import_w is not None:
                crowded = stock.grid_w + stock.pending_w + rise_w + load.power_w > site.max_import_w
            if standing.phase is OFF:
                spare.append(free_w)
            else:
                draws_w = own_w(load, standing) if standing.phase is ON and standing.settled_at is None else 0.0
                spare.append(draws_w - import_w)
            if sight.fresh and tick.sample is not None:
                standing = _held(load, standing, free_w + room_w, leaving_w, short, sight, tick.sample.read_at)
        else:
            spare.append(None)
        open_ = not load.windows or is_open(load.windows, tick.wall)
        need = bool(load.needs) and not sight.blind and pressing(load, standing, at)
        wish = wishes.get(load.name)
        look = Look(free_w, room_w, below_w, leaving_w, short, crowded, shed[index], yields[index], open_, need, wish)
        verdict, turn_on = judge(load, standing, sight, look)

        if stock is not None and verdict is Verdict.NEED_AT_RISK and site.max_import_w is not None:
            over_w = stock.grid_w + stock.pending_w + rise_w + load.power_w - site.max_import_w - leaving_w
            if crowded and over_w <= room_w and not blocked(load, standing, at):
                _make_room(index, over_w, site, standings, stock, yields)
                rise_w += load.power_w  # nobody less important starts on what the fuse has left
        if stock is not None and verdict in WAITS and look.enough(load):
            if verdict is Verdict.ROOM:
                _make_room(index, load.start_w - free_w - leaving_w, site, standings, stock, yields)
            if verdict is not Verdict.HELD_OFF or _soon(load, standing, at):
                taken_w += load.power_w
        if turn_on:
            taken_w += load.power_w
            rise_w += load.power_w
        holder = _holder(standing.holder, verdict, turn_on)
        if holder is not standing.holder:
            standing = replace(standing, holder=holder, hand_until=None)
        if turn_on is not None:
            standing = _ask(load, standing, turn_on, next_id, at, stock)
            watts = load.power_w if turn_on else 0.0
            commands.append(Command(next_id, load.name, watts, lease_s=load.lease_s if turn_on else None))
            next_id += 1
        standings[index] = standing
        verdicts.append(verdict)
    state = replace(state, standings=tuple(standings), next_id=next_id)
    return Outcome(state, tuple(verdicts), tuple(commands), stock.surplus_w if stock else None, tuple(spare))


def _held(
    load: Load, standing: Standing, potential_w: float, leaving_w: float, short: bool, sight: Sight, read_at: float
) -> Standing:
    """Return the standing with its hold time grown, shrunk or, while power is just leaving the meter, frozen."""
    if standing.phase is OFF:
        met, for_s = potential_w >= load.start_w, load.start_for_s
        if not met and potential_w + leaving_w >= load.start_w:
            return standing
    elif standing.phase is ON and standing.settled_at is None:
        met, for_s = short, load.stop_for_s
    else:
        return standing
    if met:
        grown_s = sight.elapsed_s if standing.held_at is not None else 0.0  # the first reading only begins it
        held_s, held_at = min(max(for_s, A_MOMENT_S), standing.held_s + grown_s), read_at
        if held_s == standing.held_s and standing.held_at is not None:
            return standing
        return replace(standing, held_s=held_s, held_at=held_at)
    if standing.held_s == 0.0 and standing.held_at is None:
        return standing
    return replace(standing, held_s=max(0.0, standing.held_s - sight.elapsed_s), held_at=None)


def _shed(site: Site, standings: list[Standing], stock: Stock | None) -> list[bool]:
    """Choose who goes off at once, from the least important up, until the house fits its fuse."""
    shed = [False] * len(standings)
    if stock is None or site.max_import_w is None:
        return shed
    over_w = stock.grid_w - stock.gone_w - site.max_import_w
    for index in range(len(standings) - 1, -1, -1):
        if over_w <= 0:
            break
        standing = standings[index]
        if refuses_off(standing):
            continue  # it is told again in its time; no relief to count on
        if standing.phase is ON:
            over_w -= own_w(site.loads[index], standing)
            shed[index] = True
        elif standing.phase is STARTING or (standing.phase is FAULT and standing.was_on is not False):
            shed[index] = True  # it may not draw anything yet: no relief to count on
    return shed


def _make_room(
    index: int, short_w: float, site: Site, standings: list[Standing], stock: Stock, yields: list[bool]
) -> None:
    """Ask as few of the less important loads to stop as it takes, the least important first."""
    for lower in range(len(standings) - 1, index, -1):
        if short_w <= 0:
            return
        if stock.yields[lower] and not yields[lower]:
            yields[lower] = True
            short_w -= own_w(site.loads[lower], standings[lower])


def _soon(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether a load that only waits for its minimum time off will be ready before its hold time could pass."""
    return rested(load, standing, at + load.start_for_s)


def _holder(holder: Holder, verdict: Verdict, turn_on: bool | None) -> Holder:
    if verdict is Verdict.NEED:
        return Holder.NEED
    if holder is Holder.NEED and verdict not in KEEPS_NEED:
        return Holder.RULE
    if holder is Holder.HAND and turn_on is False and verdict is not Verdict.HAND:
        return Holder.RULE  # what we switch off is no person's word any more
    return holder


def _ask(load: Load, standing: Standing, turn_on: bool, command_id: int, at: float, stock: Stock | None) -> Standing:
    asked = {
        "wants_on": turn_on,
        "command_id": command_id,
        "asked_at": at,
        "settled_at": None,
        "grid_before_w": stock.grid_w if stock else None,
        "detail": "",
    }
    if not turn_on:
        leaving_w = own_w(load, standing) if standing.phase is ON else 0.0
        standing = started(standing) if standing.phase is STARTING else standing
        return move(load, standing, "stop", at, leaving_w=leaving_w, **asked)
    return move(load, standing, "start", at, was_on=None, leaving_w=0.0, measured_w=None, retry_at=None, **asked)
