"""One tick: absorb what was reported, take stock of the power, judge each load, command what changes."""

from __future__ import annotations

from loadctl.core.absorb import absorb, fail
from loadctl.core.asked import Asked
from loadctl.core.judge import Sight
from loadctl.core.learn import new_day_of, settle
from loadctl.core.needs import marked
from loadctl.core.plan import lasts_s, plan
from loadctl.core.row import Row, in_order, in_row, row_of
from loadctl.core.rules import Load, Site
from loadctl.core.surplus import charged, take_stock
from loadctl.core.values import NO_PLAN, ON, STARTING, STOPPING, Holder, Outcome, Standing, State, Tick
from loadctl.core.walk import walk
from loadctl.each_tick import replace

DOUBTFUL_YEAR = 2001  # a clock before it was never set: no day begins and no need ends by it


def start(site: Site, at: float, day: int) -> State:
    """Return the state of a site about which nothing is known yet; `day` is the ordinal of the site's day."""
    return State(standings=tuple(Standing(since=at, tallied_at=at) for _ in site.loads), day=day)


def reordered(state: State, old: Site, new: Site) -> State:
    """Return the state for the same loads in another order of priority; what was planned is planned anew."""
    known = {load.name: standing for load, standing in zip(old.loads, state.standings, strict=True)}
    standings = tuple(known[load.name] for load in new.loads)
    return replace(state, standings=standings, plans=(), planned_until=None, calm=None)


def step(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick. Pure: the same site, state and tick give the same outcome."""
    row = row_of(state.plans)
    if row is None:
        return _step(site, state, tick, tuple(range(len(site.loads))))
    placed, standing = in_row(row, site, state)
    return in_order(row, _step(placed, standing, tick, row), standing.plans, state)


def _step(site: Site, state: State, tick: Tick, row: Row) -> Outcome:
    """Decide one tick for the loads in the order in which they stand; `row`: their places by priority."""
    at, sample = tick.at, tick.sample
    asked = Asked.of(site, tick)
    standings = _kept(site, state, tick, asked)
    state, sight = _sight(site, state, tick)
    if sample is None or sample.grid_w is None or sight.blind:
        stock = None
    else:
        if sight.fresh:
            settle(site, standings, sample)
        plans = state.plans or (NO_PLAN,) * len(site.loads)
        stock = take_stock(site, standings, plans, row, asked.kept, sample, sample.grid_w, at)
        state = _planned(site, state, standings, tick, asked, sample.grid_w - stock.own_w)
    return walk(site, state, tick, standings, sight, stock, asked)


def _planned(site: Site, state: State, standings: list[Standing], tick: Tick, asked: Asked, base_w: float) -> State:
    """Return the state with a plan that still holds; a site without needs has nothing to plan."""
    if not any(standing.marks or load.thrifty for load, standing in zip(site.loads, standings, strict=True)):
        return replace(state, plans=(), planned_until=None) if state.plans else state
    same = all(now.marks is before.marks for now, before in zip(standings, state.standings, strict=True))
    if same and state.planned_until is not None and tick.at < state.planned_until:
        return state
    plans = plan(site, standings, tick, asked, base_w)
    until = tick.at + lasts_s(standings, tick)
    return replace(state, plans=state.plans if plans == state.plans else plans, planned_until=until)


def _kept(site: Site, state: State, tick: Tick, asked: Asked) -> list[Standing]:
    """Return the standings with all that came in since the last tick: reports, silence, a new day, ended holds."""
    standings = list(state.standings)
    places = {load.name: index for index, load in enumerate(site.loads)} if tick.reports else {}
    for report in tick.reports:
        index = places.get(report.load)
        if index is not None:
            standings[index] = absorb(site.loads[index], standings[index], report, tick.at)
    new_day = _day(state.day, tick) > state.day
    for index, load in enumerate(site.loads):
        standing = _aged(load, standings[index], tick.at, site.answer_s)
        if new_day:
            standing = new_day_of(load, standing, tick.at)
        boosts = asked.boosts.get(load.name, ())
        if (load.needs or boosts or standing.marks) and tick.wall.year >= DOUBTFUL_YEAR:
            standing = marked(load, standing, boosts, state.plan(index), tick, away=asked.away)
        if tick.sample is not None:
            standing = charged(load, standing, tick.sample.soc_pct)
        standings[index] = standing
    return standings


def _aged(load: Load, standing: Standing, at: float, answer_s: float) -> Standing:
    """Return the standing that waits for no answer longer than `answer_s`, and is held by no hand any longer."""
    if at - standing.asked_at > answer_s:
        if standing.phase is STARTING or standing.phase is STOPPING:
            standing = fail(load, standing, at, "no answer to the last command", was_on=None)
        elif standing.phase is ON and standing.command_id is not None:
            standing = replace(standing, command_id=None)
    if standing.hand_until is not None and at >= standing.hand_until:
        standing = replace(standing, holder=Holder.RULE, hand_until=None)
    return standing


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
        calm=None,
    )
    elapsed_s = 0.0
    if fresh and sample is not None and state.sample_at is not None:
        elapsed_s = min(sample.read_at - state.sample_at, sample.every_s)
    lost = blind_since is not None and at - blind_since >= site.hold_s
    soc_pct = sample.soc_pct if sample is not None and not late else None
    return seen, Sight(at, fresh, elapsed_s, blind, lost, outage_since is not None, soc_pct, tick.shutdown)
