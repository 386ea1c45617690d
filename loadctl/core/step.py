"""One tick: absorb what was reported, take stock of the power, judge each load, command what changes."""

from __future__ import annotations

from typing import Any

from loadctl.core.absorb import absorb, change, fail
from loadctl.core.appliance import draws_nothing, tallied
from loadctl.core.asked import Asked
from loadctl.core.calm import again, calmed
from loadctl.core.each_tick import replace
from loadctl.core.judge import Sight
from loadctl.core.needs import marked
from loadctl.core.plan import EVERY_S, plan
from loadctl.core.rules import Load, Site
from loadctl.core.surplus import charged, take_stock
from loadctl.core.values import ON, STARTING, STOPPING, Holder, Outcome, Sample, Standing, State, Tally, Tick
from loadctl.core.walk import walk

DOUBTFUL_YEAR = 2001  # a clock before it was never set: no day begins and no need ends by it
LEARNS_SLOWLY = 0.3


def start(site: Site, at: float, day: int) -> State:
    """Return the state of a site about which nothing is known yet; `day` is the ordinal of the site's day."""
    return State(standings=tuple(Standing(since=at, tallied_at=at) for _ in site.loads), day=day)


def reordered(state: State, old: Site, new: Site) -> State:
    """Return the state for the same loads in another order of priority; what was planned is planned anew."""
    known = {load.name: standing for load, standing in zip(old.loads, state.standings, strict=True)}
    standings = tuple(known[load.name] for load in new.loads)
    return replace(state, standings=standings, plans=(), planned_at=None, calm=None)


def step(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick. Pure: the same site, state and tick give the same outcome."""
    return again(state, tick) or calmed(site, state, tick, think(site, state, tick), think)


def think(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick from the beginning."""
    at, sample = tick.at, tick.sample
    asked = Asked.of(site, tick)
    standings = _kept(site, state, tick, asked)
    state, sight = _sight(site, state, tick)
    if sample is None or sample.grid_w is None or sight.blind:
        stock = None
    else:
        if sight.fresh:
            _settle(site, standings, sample)
        stock = take_stock(site, standings, asked.kept, sample, sample.grid_w, at)
        state = _planned(site, state, standings, tick, away=asked.away, base_w=sample.grid_w - stock.own_w)
    return walk(site, state, tick, standings, sight, stock, asked)


def _planned(site: Site, state: State, standings: list[Standing], tick: Tick, *, away: bool, base_w: float) -> State:
    """Return the state with a plan that is not too old; a site without needs has nothing to plan."""
    if not any(standing.marks or load.thrifty for load, standing in zip(site.loads, standings, strict=True)):
        return replace(state, plans=(), planned_at=None) if state.plans else state
    if state.planned_at is not None and 0 <= tick.at - state.planned_at < EVERY_S:
        return state
    plans = plan(site, standings, tick, away=away, base_w=base_w)
    return replace(state, plans=state.plans if plans == state.plans else plans, planned_at=tick.at)


def _kept(site: Site, state: State, tick: Tick, asked: Asked) -> list[Standing]:
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
        if standing.command_id is not None and standing.phase is ON and at - standing.asked_at > site.answer_s:
            standing = replace(standing, command_id=None)  # noqa: PLW2901
        if standing.hand_until is not None and at >= standing.hand_until:
            standing = replace(standing, holder=Holder.RULE, hand_until=None)  # noqa: PLW2901
        if new_day:
            standing = new_day_of(load, standing, at)  # noqa: PLW2901
        boosts = asked.boosts.get(load.name, ())
        if (load.needs or boosts or standing.marks) and tick.wall.year >= DOUBTFUL_YEAR:
            standing = marked(load, standing, boosts, state.plan(index), tick, away=asked.away)  # noqa: PLW2901
        if tick.sample is not None:
            standing = charged(load, standing, tick.sample.soc_pct)  # noqa: PLW2901
        standings[index] = standing
    return standings


def new_day_of(load: Load, standing: Standing, at: float) -> Standing:
    """Return the standing at the beginning of a day, having learned what the load used in the last one."""
    tally = tallied(load, standing, at)
    used_wh = tally.energy_wh - standing.today.energy_wh
    usual_wh = standing.usual_wh
    if standing.today != Tally():  # the first day was not seen whole
        usual_wh = used_wh if usual_wh is None else usual_wh + LEARNS_SLOWLY * (used_wh - usual_wh)
    takes_w = standing.takes_w if standing.takes_today_w is None else standing.takes_today_w
    return replace(standing, today=tally, phase_changes=0, usual_wh=usual_wh, takes_w=takes_w, takes_today_w=None)


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
    for index, standing in enumerate(standings):
        if standing.command_id is not None and standing.phase is ON:
            continue  # it is not done yet
        if standing.shown_at is not None and sample.read_at >= standing.shown_at:
            fields: dict[str, Any] = {"shown_at": None, "change_w": 0.0, "grid_before_w": None}
            standings[index] = change(site.loads[index], standing, sample.read_at, **fields)
    unsettled = [index for index, standing in enumerate(standings) if standing.settled_at is not None]
    for index in unsettled:
        load, standing = site.loads[index], standings[index]
        if standing.settled_at is None or sample.read_at < standing.settled_at:
            continue
        learned_w = standing.learned_w
        before_w = standing.grid_before_w
        alone = len(unsettled) == 1 and not any(other.shown_at is not None for other in standings)
        onoff = standing.phase is ON and load.follow is None
        if alone and onoff and before_w is not None and sample.grid_w is not None:
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
