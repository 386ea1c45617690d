"""Policies with one deliberate flaw each: what a promise's property must notice, or it proves nothing.

Most lie to the real core about one thing (its rules, its clock, its meter); a few spoil what it says.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from loadctl.calm import step
from loadctl.core.rules import Load, Site
from loadctl.core.values import Away, Outcome, Phase, Sample, State, Tick, Verdict
from tests.house import Policy


def forgets(**rule: object) -> Policy:
    """A core that reads these fields of every load wrongly, e.g. `min_off_s=0.0`."""

    def policy(site: Site, state: State, tick: Tick) -> Outcome:
        return step(replace(site, loads=tuple(_altered(load, rule) for load in site.loads)), state, tick)

    return policy


def _altered(load: Load, rule: dict[str, object]) -> Load:
    return replace(load, **rule)  # type: ignore[arg-type]


def misreads_site(**rule: object) -> Policy:
    """A core that reads these keys of the site wrongly, e.g. `max_import_w=None`."""

    def policy(site: Site, state: State, tick: Tick) -> Outcome:
        return step(replace(site, **rule), state, tick)  # type: ignore[arg-type]

    return policy


def forgets_follow(**follow: object) -> Policy:
    """A core that reads these keys of every load that follows the sun wrongly, e.g. `every_s=0.0`."""

    def altered(load: Load) -> Load:
        return load if load.follow is None else replace(load, follow=replace(load.follow, **follow))  # type: ignore[arg-type]

    def policy(site: Site, state: State, tick: Tick) -> Outcome:
        return step(replace(site, loads=tuple(altered(load) for load in site.loads)), state, tick)

    return policy


def sees_no_import(site: Site, state: State, tick: Tick) -> Outcome:
    """What the house buys is not seen: nothing ever falls."""
    grid_w = None if tick.sample is None else tick.sample.grid_w
    return step(site, state, tick if grid_w is None else _seen(tick, grid_w=min(grid_w, 0.0)))


def overlooks_the_battery(site: Site, state: State, tick: Tick) -> Outcome:
    """What the battery gives is the sun's."""
    return step(site, state, _seen(tick, battery_w=0.0))


def lives_for_the_day(site: Site, state: State, tick: Tick) -> Outcome:
    """Nothing is expected of the hours to come."""
    return step(site, state, replace(tick, outlook=replace(tick.outlook, slots=())))


def puts_off(site: Site, state: State, tick: Tick) -> Outcome:
    """Needs can wait, as if nobody was at home."""
    return step(site, state, replace(tick, wishes=(*tick.wishes, Away())))


def _seen(tick: Tick, **value: object) -> Tick:
    sample: Sample | None = tick.sample
    return tick if sample is None else replace(tick, sample=replace(sample, **value))  # type: ignore[arg-type]


def trusts_old_readings(site: Site, state: State, tick: Tick) -> Outcome:
    """The last reading is good for ever."""
    return step(site, state, _seen(tick, max_age_s=1e9))


def counts_repeats(site: Site, state: State, tick: Tick) -> Outcome:
    """A repeated reading is as good as a new one."""
    return step(site, state, _seen(tick, read_at=tick.at))


def puts_zero_for_unknown(site: Site, state: State, tick: Tick) -> Outcome:
    """No number from the meter: 0 W, then."""
    unknown = tick.sample is not None and tick.sample.grid_w is None
    return step(site, state, _seen(tick, grid_w=0.0) if unknown else tick)


def ignores_outages(site: Site, state: State, tick: Tick) -> Outcome:
    """The grid is always there."""
    return step(site, state, _seen(tick, grid_up=True))


def trusts_the_wall_clock(site: Site, state: State, tick: Tick) -> Outcome:
    """Hold times by the time of day."""
    return step(site, state, replace(tick, at=tick.wall.astimezone(UTC).timestamp()))


def forgets_the_day(site: Site, state: State, tick: Tick) -> Outcome:
    """Every wall clock jump begins a new day."""
    back = tick.wall.toordinal() < state.day
    return step(site, replace(state, day=tick.wall.toordinal() - 1) if back else state, tick)


def counts_on_it(site: Site, state: State, tick: Tick) -> Outcome:
    """What was asked to go off leaves its power at once, no need to see it."""
    going_w = sum(
        load.power_w
        for load, standing in zip(site.loads, state.standings, strict=True)
        if standing.phase is Phase.STOPPING
    )
    if tick.sample is None or tick.sample.grid_w is None:
        return step(site, state, tick)
    gone = tuple(replace(standing, leaving_w=0.0) for standing in state.standings)
    return step(site, replace(state, standings=gone), _seen(tick, grid_w=tick.sample.grid_w - going_w))


def upside_down(site: Site, state: State, tick: Tick) -> Outcome:
    """The least important first."""
    out = step(replace(site, loads=site.loads[::-1]), replace(state, standings=state.standings[::-1]), tick)
    state = replace(out.state, standings=out.state.standings[::-1])
    return out._replace(state=state, verdicts=out.verdicts[::-1], spare_w=out.spare_w[::-1])


def ignores_shutdown(site: Site, state: State, tick: Tick) -> Outcome:
    """The way out is not seen."""
    return step(site, state, replace(tick, shutdown=False))


def sleeps(site: Site, state: State, tick: Tick) -> Outcome:
    """Keep nearly every promise by doing nothing."""
    return step(site, state, replace(tick, sample=None))


def copies(site: Site, state: State, tick: Tick) -> Outcome:
    """A new standing on every tick, changed or not."""
    out = step(site, state, tick)
    return out._replace(state=replace(out.state, standings=tuple(replace(s) for s in out.state.standings)))


def repeats_itself(site: Site, state: State, tick: Tick) -> Outcome:
    """Say everything twice."""
    out = step(site, state, tick)
    return out._replace(commands=out.commands * 2)


def mumbles(site: Site, state: State, tick: Tick) -> Outcome:
    """Act for one reason, give another."""
    out = step(site, state, tick)
    return out._replace(verdicts=(Verdict.REST,) * len(out.verdicts))


class Moody:
    """A core with a memory of its own, so that the same ticks do not give the same outcome."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, site: Site, state: State, tick: Tick) -> Outcome:
        self.calls += 1
        if self.calls % 500:
            return step(site, state, tick)
        return step(site, replace(state, next_id=state.next_id + 1), tick)


def impatient(site: Site, state: State, tick: Tick) -> Outcome:
    """Any condition has always held."""
    eager = [
        replace(standing, held_s=load.start_for_s, held_at=tick.at) if standing.phase is Phase.OFF else standing
        for load, standing in zip(site.loads, state.standings, strict=True)
    ]
    return step(site, replace(state, standings=tuple(eager)), tick)
