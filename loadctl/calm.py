"""Most seconds nothing happens. A tick that cannot decide otherwise than the one before need not be thought through.

When a tick has changed nothing but how long a condition has held, what it found is kept with the readings for which it
holds: all that the core decides depends on the grid's power by comparisons with limits, so that what is the same at
two readings is the same between them. It holds until the first moment at which time alone could change something, and
not a tick longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple, Protocol

from loadctl.core.appliance import daily_left, own_w
from loadctl.core.calendar import midnight, openings, zone_of
from loadctl.core.conditions import names
from loadctl.core.judge import A_MOMENT_S
from loadctl.core.needs import left_s, margin_s
from loadctl.core.rules import Load, Site
from loadctl.core.step import step as think
from loadctl.core.values import (
    OFF,
    ON,
    AnyWish,
    Input,
    Mark,
    Outcome,
    Outlook,
    Plan,
    Sample,
    Standing,
    State,
    Tick,
    Verdict,
)
from loadctl.each_tick import replace

SET_S = 1.0  # by which two clocks may drift apart and nobody has set one
FAR_W, NEAR_W = 400.0, 50.0  # other readings that are tried
SOME = 3  # readings: as many times it may be thought to find out


class Hold(NamedTuple):
    """A load whose condition to switch holds longer with each reading, or less long."""

    load: int  # its place
    limit_s: float  # it grows as long as it is less; 0: it shrinks as long as it is more
    grows: bool


class Calm(NamedTuple):
    """What was decided, and for which ticks it is decided again: readings from `low_w` to `high_w`, before `until`.

    `turn`: when time alone could change something, a new plan apart. `holds`: what goes on meanwhile.
    """

    low_w: float
    high_w: float
    clock: float  # the wall clock's lead on the monotonic one: when somebody sets it, all hours are others
    until: float
    turn: float
    grid_w: float
    battery_w: float | None
    soc_pct: float | None
    grid_up: bool | None
    generator: bool | None
    wishes: tuple[AnyWish, ...]
    asks: frozenset[str]  # inputs by name
    inputs: Mapping[str, Input] | None
    outlook: Outlook | None
    verdicts: tuple[Verdict, ...]
    surplus_w: float
    spare_w: tuple[float | None, ...]
    holds: tuple[Hold, ...]


class Reading(Protocol):
    """What a meter shows besides the grid's power."""

    @property
    def battery_w(self) -> float | None: ...
    @property
    def soc_pct(self) -> float | None: ...
    @property
    def grid_up(self) -> bool | None: ...


def step(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide one tick as the core does, but quickly where it decides what it did before."""
    return again(state, tick) or _calmed(site, state, tick, think(site, state, tick))


def again(state: State, tick: Tick) -> Outcome | None:
    """Return what `tick` decides if that is what was decided before, None if it must be thought through."""
    calm, sample = state.calm, tick.sample
    if calm is None or sample is None or tick.reports or tick.shutdown:
        return None
    grid_w = sample.grid_w
    if grid_w is None or tick.at - sample.read_at > sample.max_age_s or not _foreseen(calm, tick, sample, grid_w):
        return None
    kept = lived(state, calm, sample.read_at, sample.every_s)
    return None if kept is None else decided(kept, calm, grid_w)


def _foreseen(calm: Calm, tick: Tick, sample: Sample, grid_w: float) -> bool:
    """Tell whether this is a tick of those that `calm` is about."""
    if tick.wishes is not calm.wishes or sample.generator is not calm.generator:
        return False
    if not covers(calm, tick.at, tick.wall.timestamp(), grid_w, sample):
        return False
    if calm.inputs is not None and tick.inputs is not calm.inputs:
        return False
    return calm.outlook is None or _same_prices(tick.outlook, calm.outlook)


def covers(calm: Calm, at: float, now: float, grid_w: float, reading: Reading) -> bool:
    """Tell whether the same is decided at `at` (monotonic) and `now` (POSIX) when the meter shows this."""
    return (
        at < calm.until
        and calm.low_w <= grid_w <= calm.high_w
        and reading.battery_w == calm.battery_w
        and reading.soc_pct == calm.soc_pct
        and reading.grid_up is calm.grid_up
        and abs(now - at - calm.clock) <= SET_S
    )


def lived(state: State, calm: Calm, read_at: float, every_s: float) -> State | None:
    """Return the state after a reading that `calm` covers; None if now a condition has held for long enough."""
    before, standings = state.sample_at, state.standings
    if before is not None and read_at <= before:
        read_at = before
    elif calm.holds:
        held = _held(standings, calm.holds, read_at, 0.0 if before is None else min(read_at - before, every_s))
        if held is None:
            return None
        standings = held
    return State(
        standings=standings,
        next_id=state.next_id,
        sample_at=read_at,
        day=state.day,
        plans=state.plans,
        planned_until=state.planned_until,
        calm=calm,
    )


def decided(state: State, calm: Calm, grid_w: float) -> Outcome:
    """Return what is decided again at `grid_w`."""
    less_w = grid_w - calm.grid_w
    spare_w = tuple([None if spare is None else spare - less_w for spare in calm.spare_w])
    return Outcome(state, calm.verdicts, (), calm.surplus_w - less_w, spare_w)


def _held(
    standings: tuple[Standing, ...], holds: tuple[Hold, ...], read_at: float, elapsed_s: float
) -> tuple[Standing, ...] | None:
    """Return the standings with one more reading for which their conditions held, or did not."""
    found = list(standings)
    for place, limit_s, grows in holds:
        standing = found[place]
        held_s = standing.held_s + elapsed_s if grows else standing.held_s - elapsed_s
        if held_s >= limit_s if grows else held_s <= limit_s:
            return None
        found[place] = replace(standing, held_s=held_s, held_at=read_at if grows else None)
    return tuple(found)


def _calmed(site: Site, state: State, tick: Tick, outcome: Outcome) -> Outcome:
    """Return the outcome that remembers for which ticks it is decided again."""
    sample, after = tick.sample, outcome.state
    # A repeated reading starts nothing, so it tells nothing of what a fresh one would.
    fresh = sample is not None and (state.sample_at is None or sample.read_at > state.sample_at)
    holds = _held_still(site, state, outcome) if fresh else None
    if sample is None or sample.grid_w is None or holds is None:
        return outcome
    calm, grid_w = _calm(site, tick, sample, outcome, holds), sample.grid_w

    def reach_w(*probes_w: float) -> float:
        """Return the reading furthest to one side at which everything would be decided as in `outcome`."""
        for probe_w in probes_w:
            would = think(site, planned, replace(tick, sample=replace(sample, grid_w=grid_w + probe_w)))
            if would.verdicts == outcome.verdicts and _held_still(site, planned, would) == holds:
                return grid_w + probe_w
        return grid_w

    before = state.calm
    if before is not None and _went_on(before, calm, tick, sample, grid_w):
        calm = calm._replace(low_w=before.low_w, high_w=before.high_w)
    elif _wide(state, sample, calm):
        planned = replace(state, planned_until=after.planned_until)  # the plans are the same
        calm = calm._replace(low_w=reach_w(-FAR_W, -NEAR_W), high_w=reach_w(FAR_W, NEAR_W))
    return outcome._replace(state=replace(after, calm=calm))


def _went_on(before: Calm, calm: Calm, tick: Tick, sample: Sample, grid_w: float) -> bool:
    """Tell whether `calm` is about the same as `before`, of which only the plan was over, and is the same again."""
    same = before.asks == calm.asks and before.verdicts == calm.verdicts and before.holds == calm.holds
    return same and _foreseen(before._replace(until=before.turn), tick, sample, grid_w)


def _wide(before: State, sample: Sample, calm: Calm) -> bool:
    """Tell whether it is worth to look for how far the reading could lie apart: it takes some thinking, too.

    It is if only the grid's power was another than when it was calm before, and more readings are to come.
    """
    old = before.calm
    if old is None or before.sample_at is None or sample.grid_w == old.grid_w:
        return False
    if sample.battery_w != old.battery_w or sample.soc_pct != old.soc_pct:
        return False
    return bool(calm.until - sample.read_at > SOME * (sample.read_at - before.sample_at))


def _calm(site: Site, tick: Tick, sample: Sample, outcome: Outcome, holds: tuple[Hold, ...]) -> Calm:
    """Return for which ticks like this one, at the same reading, it is decided at once."""
    state, grid_w = outcome.state, sample.grid_w or 0.0
    asks = _asked(site, state)
    pairs = zip(site.loads, state.standings, strict=True)
    priced = any(load.worth is not None or load.thrifty or standing.marks for load, standing in pairs)
    turn = min(moment for moment in _turns(site, state, tick, asks) if moment > tick.at) - A_MOMENT_S
    return Calm(
        grid_w,
        grid_w,
        tick.wall.timestamp() - tick.at,
        turn if state.planned_until is None else min(turn, state.planned_until - A_MOMENT_S),
        turn,
        grid_w,
        sample.battery_w,
        sample.soc_pct,
        sample.grid_up,
        sample.generator,
        tick.wishes,
        asks,
        tick.inputs if asks else None,
        tick.outlook if priced else None,
        outcome.verdicts,
        outcome.surplus_w or 0.0,
        outcome.spare_w,
        holds,
    )


def _held_still(site: Site, before: State, outcome: Outcome) -> tuple[Hold, ...] | None:
    """Return the hold times that will go on as in this tick, None if it has changed anything else."""
    after = outcome.state
    if outcome.commands or after.blind_since is not None or after.outage_since is not None or after.day != before.day:
        return None
    if after.plans is not before.plans or len(before.standings) != len(after.standings):
        return None
    holds = []
    for index, (one, other) in enumerate(zip(before.standings, after.standings, strict=True)):
        if other.was_on is None or (other.phase is not OFF and other.phase is not ON):
            return None
        if other.settled_at is not None or other.shown_at is not None or other.command_id is not None:
            return None
        if one is other:
            continue
        if other != replace(one, held_s=other.held_s, held_at=other.held_at):
            return None
        load, grows = site.loads[index], other.held_at is not None
        if (load.keen and other.phase is ON) or after.plan(index).sated:
            return None  # it does not grow as time passes
        for_s = load.start_for_s if other.phase is OFF else load.stop_for_s
        if grows or other.held_s > 0:
            holds.append(Hold(index, max(for_s, A_MOMENT_S) if grows else 0.0, grows))
    return tuple(holds)


def _asked(site: Site, state: State) -> frozenset[str]:
    """Return the inputs that conditions and needs are about."""
    levels = (mark.need.level for standing in state.standings for mark in standing.marks)
    found = {level.input for level in levels if level is not None}
    return frozenset(found.union(*(names(load.when) for load in site.loads if load.when is not None)))


def _same_prices(one: Outlook, other: Outlook) -> bool:
    return one is other or (
        one.import_price == other.import_price
        and one.export_price == other.export_price
        and one.daylight is other.daylight
    )


def _turns(site: Site, state: State, tick: Tick, asks: frozenset[str]) -> Iterator[float]:
    """Yield when (monotonic) time alone could change what is decided, but for the plan; what is over, too."""
    at, lead = tick.at, tick.wall.timestamp() - tick.at
    yield midnight(tick.wall) - lead
    yield from (wish.until for wish in tick.wishes if wish.until is not None)
    yield from (known.read_at + known.max_age_s for name, known in tick.inputs.items() if name in asks)
    for index, (load, standing) in enumerate(zip(site.loads, state.standings, strict=True)):
        yield from _moments(load, standing)
        yield from (turn - lead for turn in _hours(load, tick))
        for mark in standing.marks:
            yield from _needed(load, standing, mark, state.plan(index), tick)
        if standing.phase is ON:
            still_s, still_wh = daily_left(load, standing, at)
            draws_w = own_w(load, standing)
            yield at + still_s
            if draws_w > 0:
                yield at + still_wh * 3600 / draws_w


def _moments(load: Load, standing: Standing) -> Iterator[float]:
    for moment in (standing.hand_until, standing.retry_at, standing.modest_until):
        if moment is not None:
            yield moment
    if standing.switched_at is not None:
        yield standing.switched_at + (load.min_on_s if standing.phase is ON else load.min_off_s)
        yield standing.switched_at + load.min_off_s - load.start_for_s
    if load.follow is not None and standing.phases_at is not None:
        yield standing.phases_at + load.follow.phase_pause_s


def _hours(load: Load, tick: Tick) -> Iterator[float]:
    today = tick.wall.toordinal()
    near = (today - 1, today, today + 1)
    return chain.from_iterable(openings(load.windows, near, zone_of(tick.wall), tick.outlook.daylight))


def _needed(load: Load, standing: Standing, mark: Mark, plan: Plan, tick: Tick) -> Iterator[float]:
    """Yield when a need's period ends, when it comes to its last moment, and when it could be met."""
    at, lead = tick.at, tick.wall.timestamp() - tick.at
    still_s = left_s(load, standing, mark, at, tick.inputs, plan)
    yield mark.due - lead
    if still_s > 0:
        yield at + still_s
        if not mark.forced:
            yield mark.due - lead - still_s - margin_s(load, standing, still_s)
            yield from (start - lead for due, start in plan.starts if due == mark.due)
