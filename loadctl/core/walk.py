"""The walk down the loads in order of priority: each is judged, takes its share, and leaves the rest to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

from loadctl.core.absorb import move, set_to, started
from loadctl.core.appliance import daily_left, least_w, own_w
from loadctl.core.asked import Asked
from loadctl.core.calendar import is_open
from loadctl.core.conditions import weigh
from loadctl.core.follow import Setting, first, modest, patient, settings
from loadctl.core.judge import A_MOMENT_S, PATIENCE, Look, Sight, judge, pace, spent
from loadctl.core.ledger import Ledger, Power
from loadctl.core.needs import ends_soon, pressing, wants_s
from loadctl.core.rules import Load, Mode, Site
from loadctl.core.surplus import Stock
from loadctl.core.terms import Terms, terms
from loadctl.core.values import NO_PLAN, OFF, ON, STARTING, Command, Holder, Outcome, Standing, State, Tick, Verdict
from loadctl.each_tick import replace

KEEPS_NEED = frozenset({Verdict.NEED, Verdict.BUSY, Verdict.SETTLING, Verdict.BLIND, Verdict.FAULT})
FOLLOWS = frozenset(
    {Verdict.RUN, Verdict.CHEAP, Verdict.IDLE, Verdict.WAIT_OFF, Verdict.HELD_ON, Verdict.NEED, Verdict.MODE}
)


class Case(NamedTuple):
    """All that one load was judged on, so that `explain` can judge it again with one thing changed."""

    load: Load
    standing: Standing
    sight: Sight
    look: Look
    power: Power
    asks: Terms


class _Scene(NamedTuple):
    """What is the same for all loads of a walk."""

    state: State
    tick: Tick
    sight: Sight
    asked: Asked
    ledger: Ledger


def walk(
    site: Site, state: State, tick: Tick, standings: list[Standing], sight: Sight, stock: Stock | None, asked: Asked
) -> Outcome:
    """Judge the loads in order of priority, hand the power down, and command what changes."""
    ledger = Ledger.of(site, standings, stock, tick, asked)
    scene = _Scene(state, tick, sight, asked, ledger)
    next_id = state.next_id
    verdicts: list[Verdict] = []
    cases: list[Case] = []
    commands: list[Command] = []
    for index, load in enumerate(site.loads):
        case = _case(scene, index)
        standing = case.standing
        verdict, turn_on = judge(load, standing, sight, case.look)
        ledger.reserve(index, verdict, case.look, case.power, tick.at)
        standing, setting = _set(scene, index, case, verdict, turn_on)
        holder = _holder(standing.holder, verdict, turn_on)
        if holder is not standing.holder:
            standing = replace(standing, holder=holder, hand_until=None)
        if turn_on is not None or setting is not None:
            grid_w = stock.grid_w if stock else None
            standing = _ask(
                load, standing, turn_on, setting, command_id=next_id, asked_at=tick.at, grid_before_w=grid_w
            )
            commands.append(_command(load, next_id, setting))
            next_id += 1
        standings[index] = standing
        verdicts.append(verdict)
        cases.append(case)
    return Outcome(
        replace(state, standings=tuple(standings), next_id=next_id),
        tuple(verdicts),
        tuple(commands),
        stock.surplus_w if stock else None,
        tuple([case.power.spare_w for case in cases]),
        tuple(cases),
    )


def _case(scene: _Scene, index: int) -> Case:
    """Return what the load is judged on, its hold time counted up to now."""
    _, tick, sight, asked, ledger = scene
    load, standing = ledger.site.loads[index], ledger.standings[index]
    asks, power = _asks(scene, load, standing, index), ledger.power(index)
    draws_w = own_w(load, standing) if standing.phase is ON else 0.0
    alone = power.spare_w is not None and power.import_w > asks.stop_import_w
    plan = scene.state.plan(index)
    squeezed = not alone and not plan.firm and 0.0 < draws_w <= ledger.hunger_w
    short = alone or squeezed
    holds = True
    if load.when is not None:
        holds, truths = weigh(load.when, tick.inputs, tick.at, standing.truths)
        if truths is not standing.truths:
            standing = replace(standing, truths=truths)
    pressed = pressing(load, standing, tick, away=asked.away) if standing.marks and not sight.blind else None
    look = Look(
        start_w=asks.start_w,
        free_w=power.free_w,
        room_w=power.room_w,
        below_w=power.below_w,
        leaving_w=power.leaving_w,
        short=short,
        squeezed=squeezed,
        eased=asks.eased,
        crowded=least_w(load) > power.headroom_w,
        shed=index in ledger.shed,
        yields=index in ledger.yields,
        open=not load.windows or is_open(load.windows, tick.wall, tick.outlook.daylight),
        holds=holds,
        spent=min(daily_left(load, standing, tick.at)) <= 0,
        need=pressed is not None and (holds or pressed.need.level is not None),
        awaits=spent(load, standing, kept=1) and wants_s(load, standing, tick, away=asked.away) > 0,
        ends=short and ends_soon(load, standing, tick, away=asked.away),
        sated=plan.sated,
        behind=plan.sated and power.free_w < asks.start_w <= power.free_w + ledger.overtaken_w(index),
        mode=asked.modes.get(load.name, Mode.SOLAR),
        wish=asked.wishes.get(load.name),
    )
    case = Case(load, standing, sight, look, power, asks)
    if not sight.fresh or power.spare_w is None:
        return case
    return case._replace(standing=_timed(case, scene.state.sample_at))


def _asks(scene: _Scene, load: Load, standing: Standing, index: int) -> Terms:
    """Return what the load asks for; a need that was met since the plan was made is no reason to buy any more."""
    tick, plan = scene.tick, scene.state.plan(index)
    if not (load.thrifty or plan is NO_PLAN or wants_s(load, standing, tick, away=scene.asked.away) > 0):
        plan = NO_PLAN
    asks = terms(load, plan, tick.outlook)
    has_battery = tick.sample is not None and tick.sample.battery_w is not None
    if asks.eased and not asks.all_in and not standing.discharges and has_battery:
        return Terms(load.start_w, load.stop_import_w)  # what the sun lacks would come out of the battery
    return asks


def _timed(case: Case, read_at: float | None) -> Standing:
    """Return the standing with its hold time grown, shrunk or, while power is just leaving the meter, frozen."""
    load, standing, sight, look, power, asks = case
    elapsed_s = sight.elapsed_s
    if standing.phase is OFF:
        met, for_s = look.free_w + look.room_w >= look.start_w, load.start_for_s
        if not met and look.enough():
            return standing
        elapsed_s /= PATIENCE if look.sated else 1.0
    elif standing.phase is ON and standing.settled_at is None:
        met, for_s = look.short, load.stop_for_s
        elapsed_s *= 1.0 if look.squeezed else pace(load, power.import_w - asks.stop_import_w)
    else:
        return standing
    if met:
        grown_s = elapsed_s if standing.held_at is not None else 0.0  # the first reading only begins it
        held_s = min(max(for_s, A_MOMENT_S), standing.held_s + grown_s)
        if held_s == standing.held_s and standing.held_at is not None:
            return standing
        return replace(standing, held_s=held_s, held_at=read_at)
    if standing.held_s == 0.0 and standing.held_at is None:
        return standing
    return replace(standing, held_s=max(0.0, standing.held_s - elapsed_s), held_at=None)


def _set(
    scene: _Scene, index: int, case: Case, verdict: Verdict, turn_on: bool | None
) -> tuple[Standing, Setting | None]:
    """Return what the load is to be set to, if it starts or follows the sun; None: as it is, or off."""
    _, _, sight, _, ledger = scene
    load, standing, _, look, power, asks = case
    all_in = verdict is Verdict.NEED or look.mode is Mode.FAST or look.wish is True or asks.all_in
    if turn_on:
        setting = first(load, standing, sight.at, power.free_w, power.headroom_w, all_in=all_in)
        ledger.begin(load, setting)
        return standing, setting
    stock, fused = ledger.stock, index in ledger.fused
    if turn_on is False or stock is None or not (fused or _follows(load, standing, verdict, look)):
        return standing, None
    may = ledger.allowance(index, stock, power, all_in=all_in)
    if sight.fresh:
        standing = modest(load, patient(load, standing, may, sight.elapsed_s), sight.at)
    new = settings(load, standing, sight, may)
    ledger.followed(index, standing, new, may, sight.at)
    return standing, new


def _follows(load: Load, standing: Standing, verdict: Verdict, look: Look) -> bool:
    """Tell whether the load is set by the sun; what a person set at the device stays as it is."""
    if load.follow is None or standing.phase is not ON:
        return False
    return verdict in FOLLOWS or (verdict is Verdict.HAND and look.wish is True)


def _holder(holder: Holder, verdict: Verdict, turn_on: bool | None) -> Holder:
    if verdict is Verdict.NEED:
        return Holder.NEED
    if holder is Holder.NEED and verdict not in KEEPS_NEED:
        return Holder.RULE
    if holder is Holder.HAND and turn_on is False and verdict is not Verdict.HAND:
        return Holder.RULE  # what we switch off is no person's word any more
    return holder


def _command(load: Load, command_id: int, setting: Setting | None) -> Command:
    if setting is None:
        return Command(command_id, load.name, 0.0)
    return Command(command_id, load.name, setting.nominal_w, setting.phases, load.lease_s, setting.amps)


def _ask(load: Load, standing: Standing, turn_on: bool | None, setting: Setting | None, **asked: Any) -> Standing:
    """Return the standing that knows what was asked of it: the command's id, when, and what the grid was before."""
    at: float = asked["asked_at"]
    if turn_on is None and setting is not None:
        return set_to(load, standing, setting.watts, setting.phases, at, **asked)
    asked |= {"wants_on": turn_on, "settled_at": None, "detail": "", "shown_at": None, "change_w": 0.0}
    if setting is None:
        leaving_w = own_w(load, standing) if standing.phase is ON else 0.0
        standing = started(standing) if standing.phase is STARTING else standing
        return move(load, standing, "stop", at, leaving_w=leaving_w, target_w=None, **asked)
    if load.follow is not None:
        asked |= {"target_w": setting.watts, "phases": setting.phases, "phases_held_s": 0.0}
        if standing.phases is not None and setting.phases != standing.phases:
            asked |= {"phases_at": at, "phase_changes": standing.phase_changes + 1, "using": None}
    return move(load, standing, "start", at, was_on=None, leaving_w=0.0, measured_w=None, retry_at=None, **asked)
