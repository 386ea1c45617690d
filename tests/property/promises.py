"""What the core promises, as questions to a house's log. Each returns the sentences that say where it was broken.

They judge the wire: contacts that moved, commands that arrived, watts that flowed. Of the core's own words they use the
verdicts, never its memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from loadctl.core.judge import refuses_off
from loadctl.core.rules import Battery, Load
from loadctl.core.values import Command, Phase, Sample, Source, Verdict
from tests.house import Appliance, House, Moment

EPS_S = 1e-6
A_FEW_S = 10.0  # "watts already shed count as gone for a few seconds"
RETRY_S = 65.0  # a load that does not go off is told again once a minute at least

# "fuse and outage › compressor rest › a person's hand › blindness, shutdown › minimum times"
MAY_END_A_RUN = {Verdict.MODE, Verdict.SHED, Verdict.OUTAGE, Verdict.HAND, Verdict.BLIND, Verdict.SHUTDOWN}
MAY_CUT_A_PAUSE = {Verdict.HAND, Verdict.OUTAGE, Verdict.BLIND, Verdict.SHUTDOWN}  # the last three with `safe_on` only

TURNS_ON = {Verdict.START, Verdict.NEED, Verdict.MODE, Verdict.HAND}
SAFE = {Verdict.BLIND, Verdict.OUTAGE, Verdict.SHUTDOWN}
TURNS_OFF = SAFE | {
    Verdict.STOP,
    Verdict.YIELD,
    Verdict.SHED,
    Verdict.HAND,
    Verdict.FAULT,
    Verdict.MODE,
    Verdict.UNMET,
    Verdict.WINDOW,
    Verdict.ENOUGH,
}
RUNS_ON_SURPLUS = {Verdict.RUN, Verdict.WAIT_OFF}
ON_ITS_WAY = {Verdict.WAIT_ON, Verdict.ROOM, Verdict.HELD_OFF, Verdict.START, Verdict.BUSY, Verdict.SETTLING}
SETS_ANEW = {
    *RUNS_ON_SURPLUS,
    Verdict.CHEAP,
    Verdict.IDLE,
    Verdict.HELD_ON,
    Verdict.NEED,
    Verdict.MODE,
    Verdict.HAND,
    Verdict.SETTLING,  # under the fuse only
}


@dataclass(frozen=True, slots=True)
class Order:
    """A command with what surrounded it."""

    moment: Moment
    command: Command
    index: int
    load: Load
    verdict: Verdict

    @property
    def sets_anew(self) -> bool:
        """Tell a new power for a load that runs from a start."""
        return self.command.watts > 0 and self.moment.outcome.state.standings[self.index].phase is Phase.ON


def orders(house: House) -> Iterator[Order]:
    """Every command of the log, in order."""
    for moment in house.moments:
        for command in moment.outcome.commands:
            index = house.by_name[command.load]
            yield Order(moment, command, index, house.site.loads[index], moment.outcome.verdicts[index])


def minimum_times(house: House) -> list[str]:
    """1: no run of ours shorter than `min_on`, no pause shorter than `min_off`, no compressor's rest cut short."""
    broken = []
    set_anew = _set_anew(house)
    for appliance in house.appliances:
        load = appliance.load
        for index, change in enumerate(appliance.changes):
            if change.source is not Source.US:
                continue
            before = appliance.changes[index - 1] if index else None
            if before is None:
                first_ever = change.on and load.compressor and change.at - house.began < load.min_off_s - EPS_S
                if first_ever and change.verdict is not Verdict.HAND:
                    broken.append(
                        f"{load.name} (compressor, its past unknown) started after {change.at - house.began:g}"
                    )
                continue
            if before.at > change.asked_at or not _could_know(house, appliance, index):
                continue
            began = change if change.on else before
            if (load.name, began.asked_at) in set_anew:
                continue  # it went off by itself, and a new power that we gave it switched it on: to us one long run
            lasted_s = change.at - before.at
            lost = change.verdict is Verdict.FAULT and _blind_or_stopping(house, change.asked_at)
            if not (change.on or lost) and lasted_s < load.min_on_s - EPS_S and change.verdict not in MAY_END_A_RUN:
                broken.append(f"{load.name} ran {lasted_s:g} of {load.min_on_s:g} s, ended by {change.verdict}")
            if (
                change.on
                and lasted_s < load.min_off_s - EPS_S
                and (load.compressor or change.verdict not in MAY_CUT_A_PAUSE)
            ):
                broken.append(f"{load.name} paused {lasted_s:g} of {load.min_off_s:g} s, ended by {change.verdict}")
    return broken


def _set_anew(house: House) -> set[tuple[str, float]]:
    """Return which load got a new power when, as one that runs."""
    return {(order.load.name, order.moment.tick.at) for order in orders(house) if order.sets_anew}


def _blind_or_stopping(house: House, at: float) -> bool:
    """Tell if a load lost from sight (FAULT) was told to be safe because we were blind, too, or on the way out."""
    moment = next(moment for moment in house.moments if moment.tick.at == at)
    return moment.tick.shutdown or moment.outcome.surplus_w is None


def _could_know(house: House, appliance: Appliance, index: int) -> bool:
    """Tell if the change before `index` was ours, or the state before it had been read and told in time."""
    before, ours = appliance.changes[index - 1], appliance.changes[index]
    if before.source is Source.US:
        return True
    since = appliance.changes[index - 2].at if index > 1 else house.began
    return any(
        report.load == appliance.load.name and report.on is (not before.on) and since <= report.read_at < before.at
        for moment in house.moments
        if moment.tick.at <= ours.asked_at
        for report in moment.tick.reports
    )


def starts_a_day(house: House) -> list[str]:
    """1: not more than `max_starts` of ours on a day of the site, except by hand and to be safe."""
    wall = {moment.tick.at: moment.tick.wall.date() for moment in house.moments}
    broken = []
    set_anew = _set_anew(house)
    for appliance in house.appliances:
        days: dict[object, int] = {}
        for change in appliance.changes:
            ours = change.source is Source.US and (appliance.load.name, change.asked_at) not in set_anew
            if change.on and ours and change.verdict not in MAY_CUT_A_PAUSE:
                day = wall[change.asked_at]
                days[day] = days.get(day, 0) + 1
        most = appliance.load.max_starts
        broken += [f"{appliance.load.name}: {n} starts on {day}" for day, n in days.items() if most and n > most]
    return broken


def one_taker(house: House, give_w: float = 1.0) -> list[str]:
    """2: what a START or a rise takes was there at the last reading, after all that others already draw or are about to
    draw.

    A load that was told to go off keeps its power until it was *seen* off, whatever the meter shows meanwhile.
    """
    seen: dict[str, bool | None] = {load.name: None for load in house.site.loads}
    told_w: dict[int, float] = {}
    broken = []
    for moment in house.moments:
        for report in moment.tick.reports:
            if report.on is not None:
                seen[report.load] = report.on
            if report.command_id is not None and not report.on:
                told_w.pop(house.by_name[report.load], None)
        for command in moment.outcome.commands:
            index = house.by_name[command.load]
            if not command.watts:
                told_w.pop(index, None)
                continue
            verdict, load, sample = moment.outcome.verdicts[index], house.site.loads[index], moment.tick.sample
            sets_anew = moment.outcome.state.standings[index].phase is Phase.ON
            rises = sets_anew and command.watts > told_w.get(index, command.watts)
            if sample and (verdict is Verdict.START or (verdict in RUNS_ON_SURPLUS and rises)):
                left_w = _left_for(house, moment, sample, index, seen, told_w)
                takes_w = house.appliances[index].takes_w(command.watts, command.phases)
                need_w = load.start_w if verdict is Verdict.START else takes_w
                if left_w < need_w - give_w:
                    broken.append(f"{moment.tick.at:g}: {verdict} takes {need_w:g} W for {load.name}, {left_w:g} W are")
            told_w[index] = command.watts
    return broken


def _left_for(
    house: House, moment: Moment, sample: Sample, index: int, seen: dict[str, bool | None], told_w: dict[int, float]
) -> float:
    """Return what is left for a load: the reading, our draw in it given back, every other taker taken away."""
    left_w = -(sample.grid_w or 0.0) - house.site.reserve_w + _of_the_battery(house.site.loads[index].battery, sample)
    shown_at = sample.read_at - house.meter.lag_s
    for other, appliance in enumerate(house.appliances):
        shown_w = appliance.draw_at(shown_at)
        left_w += shown_w
        if other == index:
            continue
        if other in told_w or appliance.draw_at(moment.tick.at) > 0:
            left_w -= max(_will_draw_w(appliance, moment.tick.at, told_w.get(other)), 0.0)
        elif shown_w and seen[appliance.load.name] is not False:
            left_w -= shown_w
    return left_w


def _of_the_battery(battery: Battery, sample: Sample) -> float:
    """Return what the battery takes or, negative, gives, as far as it is not this load's."""
    charges_w, soc_pct = -(sample.battery_w or 0.0), sample.soc_pct or 0.0
    claims, discharges = (
        limit is not None and soc_pct >= limit - battery.band_pct
        for limit in (battery.claim_above_pct, battery.discharge_above_pct)
    )
    found_w = charges_w if charges_w < 0 or claims else 0.0
    return found_w + max(battery.discharge_w, -charges_w) if discharges else found_w


def _will_draw_w(appliance: Appliance, at: float, told_w: float | None) -> float:
    """Return what an appliance draws, or is about to: with a range of power as it was told."""
    if appliance.load.follow is None:
        return min(appliance.nominal_w, appliance.load.power_w)
    return max(
        appliance.draw_at(at), 0.0 if told_w is None else min(appliance.takes_w(told_w, appliance.phases), told_w)
    )


def fuse(house: House, give_w: float = 1.0) -> list[str]:
    """Decision 6: nothing starts or rises that would exceed `max_import`; above it loads are throttled or shed in the
    same tick."""
    most_w = house.site.max_import_w
    if most_w is None:
        return []
    broken = []
    fresh_at = None
    shed_at = -math.inf
    told_w: dict[int, float] = {}
    for moment in house.moments:
        sample, at = moment.tick.sample, moment.tick.at
        more = []
        if any(report.on is False for report in moment.tick.reports):
            shed_at = at  # seen off just now, and the meter has yet to show it
        for command in moment.outcome.commands:
            index = house.by_name[command.load]
            limit_w = max(told_w.get(index, 0.0), house.appliances[index].limit_w)  # or what a hand has set since
            sets_anew = moment.outcome.state.standings[index].phase is Phase.ON
            if command.watts and not (sets_anew and command.watts <= limit_w):
                more.append(command.load)
            else:
                shed_at = at
            told_w[index] = command.watts
        if sample is None or sample.grid_w is None or at - sample.read_at > sample.max_age_s:
            continue
        if more and sample.grid_w > most_w + give_w:
            broken.append(f"{at:g}: {more[0]} is switched on at {sample.grid_w:g} W import")
        if more and not _off_unknown(house, moment):
            coming_w = _coming(house, moment, sample, told_w)
            if coming_w > most_w + give_w and not set(moment.outcome.verdicts) & {Verdict.SHED}:
                broken.append(f"{at:g}: {more[0]} would make it {coming_w:g} W import")
        waits = at - shed_at < A_FEW_S
        if fresh_at != sample.read_at and sample.grid_w > most_w + give_w and not waits:
            expected_w = _after_what_left(house, moment, sample)
            runs = [
                standing.phase in {"on", "starting"} and verdict is not Verdict.FAULT
                for standing, verdict in zip(moment.outcome.state.standings, moment.outcome.verdicts, strict=True)
            ]
            if expected_w > most_w + give_w and any(runs):
                broken.append(f"{at:g}: {expected_w:g} W import, and {runs.count(True)} loads left on")
        fresh_at = sample.read_at
    return broken


def _off_unknown(house: House, moment: Moment) -> bool:
    """Tell if something went off by itself that is still believed on: it may come back with a new power."""
    return any(
        standing.phase == "on" and not appliance.on_at(moment.tick.at)
        for appliance, standing in zip(house.appliances, moment.outcome.state.standings, strict=True)
    )


def _coming(house: House, moment: Moment, sample: Sample, told_w: dict[int, float]) -> float:
    """Return the import to expect once all that is on or going on draws."""
    shown_at = sample.read_at - house.meter.lag_s
    coming_w = sample.grid_w or 0.0
    for index, (appliance, standing) in enumerate(zip(house.appliances, moment.outcome.state.standings, strict=True)):
        if standing.phase == "on" and standing.settled_at is None and appliance.load.follow is None:
            continue  # it draws what it draws, with its thermostat open or not
        coming_w -= appliance.draw_at(shown_at)
        if standing.phase in {"on", "starting"}:
            coming_w += _will_draw_w(appliance, moment.tick.at, told_w.get(index))
    return coming_w


def _after_what_left(house: House, moment: Moment, sample: Sample) -> float:
    """Return the import without what was told to go and still shows."""
    shown_at = sample.read_at - house.meter.lag_s
    gone = [
        appliance.draw_at(shown_at)
        for appliance, standing in zip(house.appliances, moment.outcome.state.standings, strict=True)
        if standing.phase not in {"on", "starting"}
    ]
    return (sample.grid_w or 0.0) - sum(gone)


def priority(house: House, calm_s: float = 60.0, give_w: float = 1.0) -> list[str]:
    """3: where a lower load runs on surplus and a higher one could start on it, its verdict says why it does not."""
    broken = []
    stirred_at = house.began
    last: tuple[object, ...] = ()
    for moment in house.moments:
        if house.cells is not None:
            return []  # what is free differs from load to load then
        now = (*(appliance.draw_at(moment.tick.at) for appliance in house.appliances), house.net_at(moment.tick.at))
        if now != last:
            last, stirred_at = now, moment.tick.at
        sample = moment.tick.sample
        if moment.tick.at - stirred_at < calm_s or sample is None or sample.grid_w is None:
            continue
        free_w = -sample.grid_w - house.site.reserve_w + sum(a.draw_at(moment.tick.at) for a in house.appliances)
        verdicts = moment.outcome.verdicts
        for index, appliance in enumerate(house.appliances):
            draws_w = appliance.draw_at(moment.tick.at)
            lower_runs = any(verdict in RUNS_ON_SURPLUS for verdict in verdicts[index + 1 :])
            could = free_w >= appliance.load.start_w + give_w and not appliance.on_at(moment.tick.at)
            if could and lower_runs and verdicts[index] in {Verdict.REST, *RUNS_ON_SURPLUS}:
                broken.append(f"{moment.tick.at:g}: {appliance.load.name} has {free_w:g} W and says {verdicts[index]}")
            free_w -= appliance.load.power_w if verdicts[index] in ON_ITS_WAY else draws_w
    return broken


def blindness(house: House) -> list[str]:
    """4: nothing starts while blind; after `hold` and one tick every load is told to be safe; no number is made up."""
    broken = []
    good = None
    late, late_at = 0, house.began
    told_off: dict[str, float] = {}
    by_hand: dict[str, float] = {}
    for moment in house.moments:
        at, sample, outcome = moment.tick.at, moment.tick.sample, moment.outcome
        told_off |= {command.load: at for command in outcome.commands if not command.watts}
        by_hand |= {
            load.name: at
            for load, verdict in zip(house.site.loads, outcome.verdicts, strict=True)
            if verdict is Verdict.HAND
        }
        if sample and sample.grid_w is not None:
            good = sample
        blind_s = math.inf if good is None else at - good.read_at - good.max_age_s
        if good is None:
            blind_s = at - house.began
        if blind_s <= EPS_S:
            late = 0
            continue
        if outcome.surplus_w is not None:
            broken.append(f"{at:g}: blind, yet it speaks of {outcome.surplus_w:g} W surplus")
        for command in outcome.commands:
            index = house.by_name[command.load]
            safe_on = house.site.loads[index].safe_on and outcome.verdicts[index] in SAFE
            if command.watts and not safe_on and outcome.verdicts[index] is not Verdict.HAND:
                broken.append(f"{at:g}: {command.load} switched on while blind by {outcome.verdicts[index]}")
        late = late + 1 if blind_s > house.site.hold_s + EPS_S else 0
        late_at = at if late <= 1 else late_at  # a machine that stood still could switch nothing
        if late < 2:
            continue
        for load, standing, verdict in zip(house.site.loads, outcome.state.standings, outcome.verdicts, strict=True):
            # one that refuses its OFF is a FAULT, and told again and again
            excused = verdict is Verdict.HAND or at - told_off.get(load.name, -math.inf) < RETRY_S
            if standing.phase in {"on", "starting"} and not load.safe_on and not excused:
                broken.append(f"{at:g}: blind for {blind_s:g} s past max_age and {load.name} stays on: {verdict}")
        broken += _still_drawing(house, moment, at - late_at, by_hand)
    return broken


def _still_drawing(house: House, moment: Moment, late_s: float, by_hand: dict[str, float]) -> Iterator[str]:
    """Name the contacts that are closed long after they should have been opened, where nothing was in the way."""
    at = moment.tick.at
    for appliance, verdict in zip(house.appliances, moment.outcome.verdicts, strict=True):
        if not appliance.on_at(at) or appliance.load.safe_on or verdict is Verdict.HAND:
            continue
        grace_s = appliance.device.poll_s + 2 * appliance.device.latency_s + 20.0
        since = max((change.at for change in appliance.changes if change.at <= at), default=house.began)
        since = max(since, by_hand.get(appliance.load.name, since))
        fine = appliance.fine_since(at) < at - 300.0
        if fine and late_s > grace_s and at - since > grace_s:
            yield f"{at:g}: {appliance.load.name} is really still on, {late_s:g} s too late: {verdict}"


def outage(house: House) -> list[str]:
    """4: `grid_up` false does not wait; and the grid must be back for `steady_s` before anything starts."""
    broken = []
    lost_at = -math.inf
    for moment in house.moments:
        at, sample, outcome = moment.tick.at, moment.tick.sample, moment.outcome
        if sample and sample.grid_up is False:
            lost_at = at
        for command in outcome.commands:
            index = house.by_name[command.load]
            safe_on = house.site.loads[index].safe_on and outcome.verdicts[index] in SAFE
            if command.watts and at - lost_at < house.site.steady_s - EPS_S and not safe_on:
                broken.append(f"{at:g}: {command.load} starts {at - lost_at:g} s after the grid was gone")
        if lost_at != at or sample is None or at - sample.read_at > sample.max_age_s:
            continue
        for load, standing in zip(house.site.loads, outcome.state.standings, strict=True):
            told = refuses_off(standing)  # it was told and said no: it is told again, with pauses
            if standing.phase in {"on", "starting"} and not load.safe_on and not told:
                broken.append(f"{at:g}: the grid is gone and {load.name} is left on")
    return broken


def calm(house: House) -> list[str]:
    """5: the number of starts is bounded by the rules, whatever the sky does."""
    broken = []
    lasted_s = house.at - house.began
    for appliance in house.appliances:
        load = appliance.load
        ours = [c for c in appliance.changes if c.on and c.verdict in {Verdict.START, Verdict.NEED}]
        # An outage, a fuse, a hand or a trip may end a run early: then only the pause and the hold time are sure.
        forced = any(not c.on and c.verdict not in {Verdict.STOP, Verdict.YIELD} for c in appliance.changes)
        run_s = 0.0 if forced else max(load.min_on_s, 0.0)
        cycle_s = max(run_s + load.min_off_s, load.start_for_s + (0.0 if forced else load.stop_for_s))
        if len(ours) > lasted_s / cycle_s + 1:
            broken.append(f"{load.name} started {len(ours)} times in {lasted_s:g} s of cycles of {cycle_s:g} s")
    return broken


def sane(house: House) -> list[str]:
    """On every tick: commands and verdicts fit each other, one command a load, numbers that are numbers."""
    broken = []
    last_id = 0
    for moment in house.moments:
        at, outcome = moment.tick.at, moment.outcome
        names = [command.load for command in outcome.commands]
        if len(set(names)) != len(names):
            broken.append(f"{at:g}: two commands for one load: {names}")
        if not len(outcome.verdicts) == len(outcome.spare_w) == len(house.site.loads):
            broken.append(f"{at:g}: a verdict and a spare_w for each load, please")
        if not all(math.isfinite(watts) for watts in (*outcome.spare_w, outcome.surplus_w) if watts is not None):
            broken.append(f"{at:g}: not a number: {outcome.spare_w} {outcome.surplus_w}")
        for command in outcome.commands:
            if command.id <= last_id:
                broken.append(f"{at:g}: command {command.id} after {last_id}")
            last_id = command.id
    for order in orders(house):
        wish_on, verdict = order.command.watts > 0, order.verdict
        allowed = (TURNS_ON | (SAFE if order.load.safe_on else set())) if wish_on else TURNS_OFF
        allowed = SETS_ANEW if order.sets_anew else allowed
        if verdict not in allowed:
            broken.append(f"{order.moment.tick.at:g}: {order.load.name} gets {order.command.watts:g} W for {verdict}")
    return broken
