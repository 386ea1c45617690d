"""The walk down the loads in order of priority: each is judged, takes its share, and leaves the rest to the next.

What has been given away on the way stands in a `Ledger`, so that no watt has two takers: power that a more important
load starts on, waits for or could still use is not offered to a less important one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

from loadctl.core.absorb import move, set_to, started
from loadctl.core.calendar import is_open
from loadctl.core.conditions import weigh
from loadctl.core.follow import (
    Allowance,
    Setting,
    appetite_w,
    fair_w,
    first,
    in_force,
    modest,
    patient,
    settings,
    usable,
)
from loadctl.core.judge import A_MOMENT_S, Look, Sight, blocked, judge, pace, refuses_off, spent
from loadctl.core.needs import pressing, wanting
from loadctl.core.rules import Load, Mode, Site
from loadctl.core.surplus import Stock, least_w, own_w, rested, spared_w, tallied
from loadctl.core.terms import Terms, terms
from loadctl.core.values import (
    FAULT,
    OFF,
    ON,
    STARTING,
    Away,
    Boost,
    Command,
    Holder,
    ModeWish,
    Outcome,
    Plan,
    Standing,
    State,
    Tick,
    Verdict,
    Wish,
)

WAITS = frozenset({Verdict.WAIT_ON, Verdict.ROOM, Verdict.HELD_OFF})  # for power that nobody less important gets
KEEPS_NEED = frozenset({Verdict.NEED, Verdict.BUSY, Verdict.SETTLING, Verdict.BLIND, Verdict.FAULT})
FOLLOWS = frozenset(
    {
        Verdict.RUN,
        Verdict.CHEAP,
        Verdict.IDLE,
        Verdict.WAIT_OFF,
        Verdict.HELD_ON,
        Verdict.NEED,
        Verdict.MODE,
    }
)
NO_PLAN = Plan()


@dataclass(frozen=True, slots=True)
class Asked:
    """What people ask for: `wishes` on or off and `modes` by load, more needs, and whether nobody is at home.

    `kept`: the loads that a person wants to run; True: in full, False: at their least at any time.
    """

    wishes: Mapping[str, bool]
    modes: Mapping[str, Mode]
    boosts: Mapping[str, tuple[Boost, ...]]
    kept: Mapping[str, bool]
    away: bool = False

    @classmethod
    def of(cls, site: Site, tick: Tick) -> Asked:
        """Sort what was asked for; what has run out is left out."""
        wishes: dict[str, bool] = {}
        modes: dict[str, Mode] = {load.name: load.mode for load in site.loads if load.mode is not Mode.SOLAR}
        boosts: dict[str, tuple[Boost, ...]] = {}
        away = False
        for wish in tick.wishes:
            if wish.until is not None and tick.at >= wish.until:
                continue
            match wish:
                case Wish():
                    wishes[wish.load] = wish.on
                case ModeWish():
                    modes[wish.load] = wish.mode
                case Boost():
                    boosts[wish.load] = (*boosts.get(wish.load, ()), wish)
                case Away():
                    away = True
        kept = {name: mode is Mode.FAST for name, mode in modes.items() if mode in (Mode.FAST, Mode.SOLAR_MIN)}
        return cls(wishes, modes, boosts, kept | dict.fromkeys(wishes, True), away)


@dataclass(slots=True)
class Ledger:
    """What was given away so far. `taken_w`: promised to more important loads. `hunger_w`: they could use so much more.

    `rise_w`: the house will draw so much more by what was decided in this tick. `relief_w`: so much less. `yields`,
    `caps_w`: who is to stop, and who to draw no more than so much, to make room; `shed`, `fused`: for the fuse.
    """

    yields: list[bool]
    caps_w: list[float]
    shed: list[bool]
    fused: list[bool]
    taken_w: float = 0.0
    hunger_w: float = 0.0
    rise_w: float = 0.0
    relief_w: float = 0.0


class Power(NamedTuple):
    """What a reading means for one load; `spare_w`: what it could start on, or has left while on.

    `import_w`: what the house draws because of it, were it at its least. `over_w`: what it should draw less, and
    `headroom_w`: what the fuse lets it draw more.
    """

    free_w: float = 0.0
    room_w: float = 0.0
    below_w: float = 0.0
    leaving_w: float = 0.0
    import_w: float = 0.0
    over_w: float = 0.0
    headroom_w: float = inf
    spare_w: float | None = None


class Case(NamedTuple):
    """All that one load was judged on, so that `explain` can judge it again with one thing changed."""

    load: Load
    standing: Standing
    sight: Sight
    look: Look
    power: Power
    asks: Terms


def walk(
    site: Site, state: State, tick: Tick, standings: list[Standing], sight: Sight, stock: Stock | None, asked: Asked
) -> Outcome:
    """Judge the loads in order of priority, hand the power down, and command what changes."""
    no = [False] * len(standings)
    ledger = Ledger(no, [inf] * len(standings), no[:], no[:])
    if stock is not None and site.max_import_w is not None:
        _fit_the_fuse(site, standings, stock, site.max_import_w, ledger)
    if stock is not None:
        _share(site, standings, stock, ledger, tick, asked)
    next_id = state.next_id
    verdicts: list[Verdict] = []
    spare: list[float | None] = []
    cases: list[Case] = []
    commands: list[Command] = []
    for index, load in enumerate(site.loads):
        standing = standings[index]
        asks = terms(load, _plan(index, load, standing, state, tick, asked), tick.outlook)
        if asks.eased and not asks.all_in and not standing.discharges and _has_battery(tick):
            asks = Terms(load.start_w, load.stop_import_w)  # what the sun lacks would come out of the battery
        power = _power(index, site, standing, stock, ledger)
        standing, look = _look(index, load, standing, tick, sight, power, asked, ledger, asks)
        verdict, turn_on = judge(load, standing, sight, look)
        cases.append(Case(load, standing, sight, look, power, asks))
        if stock is not None:
            _reserve(index, site, standing, verdict, look, power, tick.at, standings, stock, ledger)
        all_in = verdict is Verdict.NEED or look.mode is Mode.FAST or look.wish is True or asks.all_in
        setting = None
        if turn_on:
            setting = first(load, standing, tick.at, power.free_w, power.headroom_w, all_in=all_in)
            ledger.taken_w += load.power_w
            ledger.rise_w += setting.watts
        elif turn_on is None and stock is not None and (ledger.fused[index] or _follows(load, standing, verdict, look)):
            standing, setting = _followed(index, load, standing, sight, power, stock, ledger, all_in=all_in)
        holder = _holder(standing.holder, verdict, turn_on)
        if holder is not standing.holder:
            standing = replace(standing, holder=holder, hand_until=None)
        if turn_on is not None or setting is not None:
            standing = _ask(load, standing, turn_on, setting, next_id, tick.at, stock)
            commands.append(_command(load, next_id, setting))
            next_id += 1
        standings[index] = standing
        verdicts.append(verdict)
        spare.append(power.spare_w)
    state = replace(state, standings=tuple(standings), next_id=next_id)
    surplus_w = stock.surplus_w if stock else None
    return Outcome(state, tuple(verdicts), tuple(commands), surplus_w, tuple(spare), tuple(cases))


def _plan(index: int, load: Load, standing: Standing, state: State, tick: Tick, asked: Asked) -> Plan:
    """Return what was planned for the load; a need that was met since is no reason to buy any more."""
    if not state.plans or load.thrifty:
        return state.plans[index] if state.plans else NO_PLAN
    return state.plans[index] if wanting(load, standing, tick, away=asked.away) else NO_PLAN


def _has_battery(tick: Tick) -> bool:
    return tick.sample is not None and tick.sample.battery_w is not None


def _follows(load: Load, standing: Standing, verdict: Verdict, look: Look) -> bool:
    """Tell whether the load is set by the sun; what a person set at the device stays as it is."""
    if load.follow is None or standing.phase is not ON:
        return False
    return verdict in FOLLOWS or (verdict is Verdict.HAND and look.wish is True)


def _power(index: int, site: Site, standing: Standing, stock: Stock | None, ledger: Ledger) -> Power:
    if stock is None:
        return Power()
    load = site.loads[index]
    free_w = stock.spare_w - ledger.taken_w + stock.bonus_w[index]
    below_w, leaving_w = stock.below_w[index], stock.leaving_w
    over_w = stock.drawn_w - leaving_w - stock.bonus_w[index]
    draws_w = own_w(load, standing) if standing.phase is ON and standing.settled_at is None else 0.0
    headroom_w = inf
    if site.max_import_w is not None:
        # What the battery gives while power flows out will flow no longer when that is used here.
        grid_w = stock.grid_w if stock.grid_w >= 0 else min(0.0, stock.drawn_w)
        headroom_w = site.max_import_w - grid_w - stock.pending_w - ledger.rise_w
    return Power(
        free_w,
        stock.room_w[index],
        below_w,
        leaving_w,
        import_w=over_w - below_w - spared_w(load, draws_w),
        over_w=over_w + site.reserve_w - stock.spared_below_w[index] - ledger.relief_w,
        headroom_w=headroom_w,
        spare_w=free_w if standing.phase is OFF else draws_w - over_w + below_w,
    )


def _look(
    index: int,
    load: Load,
    standing: Standing,
    tick: Tick,
    sight: Sight,
    power: Power,
    asked: Asked,
    ledger: Ledger,
    asks: Terms,
) -> tuple[Standing, Look]:
    """Return what the load's rule has to say about this tick, and the standing that has kept its hold time."""
    draws_w = own_w(load, standing) if standing.phase is ON else 0.0
    over_w = power.import_w - asks.stop_import_w
    alone = power.spare_w is not None and over_w > 0
    squeezed = not alone and 0.0 < draws_w <= ledger.hunger_w
    short = alone or squeezed
    if sight.fresh and tick.sample is not None and power.spare_w is not None:
        passes = 1.0 if squeezed else pace(load, over_w)
        standing = _held(load, standing, power, asks.start_w, short, passes, sight, tick.sample.read_at)
    holds = True
    if load.when is not None:
        holds, truths = weigh(load.when, tick.inputs, tick.at, standing.truths)
        if truths is not standing.truths:
            standing = replace(standing, truths=truths)
    pressed = pressing(load, standing, tick, away=asked.away) if standing.marks and not sight.blind else None
    return standing, Look(
        start_w=asks.start_w,
        free_w=power.free_w,
        room_w=power.room_w,
        below_w=power.below_w,
        leaving_w=power.leaving_w,
        short=short,
        squeezed=squeezed,
        eased=asks.eased,
        crowded=least_w(load) > power.headroom_w,
        shed=ledger.shed[index],
        yields=ledger.yields[index],
        open=not load.windows or is_open(load.windows, tick.wall, tick.outlook.daylight),
        holds=holds,
        spent=_had_enough(load, standing, tick.at),
        need=pressed is not None and (holds or pressed.need.level is not None),
        awaits=spent(load, standing, kept=1) and wanting(load, standing, tick, away=asked.away),
        mode=asked.modes.get(load.name, Mode.SOLAR),
        wish=asked.wishes.get(load.name),
    )


def _had_enough(load: Load, standing: Standing, at: float) -> bool:
    if load.daily_runtime_s is None and load.daily_energy_wh is None:
        return False
    had, before = tallied(load, standing, at), standing.today
    if load.daily_runtime_s is not None and had.runtime_s - before.runtime_s >= load.daily_runtime_s:
        return True
    return load.daily_energy_wh is not None and had.energy_wh - before.energy_wh >= load.daily_energy_wh


def _held(
    load: Load,
    standing: Standing,
    power: Power,
    start_w: float,
    short: bool,
    passes: float,
    sight: Sight,
    read_at: float,
) -> Standing:
    """Return the standing with its hold time grown, shrunk or, while power is just leaving the meter, frozen."""
    elapsed_s = sight.elapsed_s
    if standing.phase is OFF:
        potential_w = power.free_w + power.room_w
        met, for_s = potential_w >= start_w, load.start_for_s
        if not met and potential_w + power.leaving_w >= start_w:
            return standing
    elif standing.phase is ON and standing.settled_at is None:
        met, for_s = short, load.stop_for_s
        elapsed_s *= passes
    else:
        return standing
    if met:
        grown_s = elapsed_s if standing.held_at is not None else 0.0  # the first reading only begins it
        held_s, held_at = min(max(for_s, A_MOMENT_S), standing.held_s + grown_s), read_at
        if held_s == standing.held_s and standing.held_at is not None:
            return standing
        return replace(standing, held_s=held_s, held_at=held_at)
    if standing.held_s == 0.0 and standing.held_at is None:
        return standing
    return replace(standing, held_s=max(0.0, standing.held_s - elapsed_s), held_at=None)


def _reserve(
    index: int,
    site: Site,
    standing: Standing,
    verdict: Verdict,
    look: Look,
    power: Power,
    at: float,
    standings: list[Standing],
    stock: Stock,
    ledger: Ledger,
) -> None:
    """Keep the power that the load waits for from less important ones, and have them make room for it."""
    load = site.loads[index]
    if verdict is Verdict.NEED_AT_RISK and look.crowded:
        over_w = least_w(load) - power.headroom_w - power.leaving_w
        if over_w <= power.room_w and not blocked(load, standing, at):
            _make_room(index, over_w, site, standings, stock, ledger)
            ledger.rise_w += load.power_w  # nobody less important starts on what the fuse has left
    if verdict in WAITS and look.enough():
        if verdict is Verdict.ROOM:
            _make_room(index, look.start_w - power.free_w - power.leaving_w, site, standings, stock, ledger)
        if verdict is not Verdict.HELD_OFF or _soon(load, standing, at):
            ledger.taken_w += load.power_w


def _followed(
    index: int,
    load: Load,
    standing: Standing,
    sight: Sight,
    power: Power,
    stock: Stock,
    ledger: Ledger,
    *,
    all_in: bool,
) -> tuple[Standing, Setting | None]:
    """Set a load that follows the sun anew, and note for those below what it takes, leaves and could still use."""
    draws_w = own_w(load, standing)
    set_w = draws_w if standing.target_w is None else standing.target_w
    cap_w = min(ledger.caps_w[index], min(draws_w, set_w) + power.headroom_w + stock.gone_w)
    may = Allowance(power.free_w, power.over_w, stock.grid_w, cap_w, all_in)
    if sight.fresh:
        standing = patient(load, standing, may, sight.elapsed_s)
        standing = modest(load, standing, sight.at)
    setting = settings(load, standing, sight, may)
    change_w = 0.0 if setting is None else setting.watts - set_w
    wants_w = appetite_w(load, standing, sight.at)
    ledger.rise_w += max(0.0, change_w)
    ledger.relief_w += max(0.0, -change_w)
    wants_w = min(wants_w, max(0.0, ledger.caps_w[index] - set_w))
    if not all_in:  # who buys what the sun does not give waits for nobody to make room
        ledger.hunger_w += max(0.0, wants_w - max(0.0, power.free_w))
    ledger.taken_w += max(change_w, wants_w)
    return standing, setting


def _share(site: Site, standings: Sequence[Standing], stock: Stock, ledger: Ledger, tick: Tick, asked: Asked) -> None:
    """Divide what loads of one rank draw and could draw among them, by capping each at its part."""
    groups: dict[int, list[int]] = {}
    for index, load in enumerate(site.loads):
        if load.share is not None and load.follow is not None and _takes_part(load, standings[index], tick, asked):
            groups.setdefault(load.share, []).append(index)
    for members in groups.values():
        running = [index for index in members if standings[index].phase is ON]
        total_w = sum(own_w(site.loads[index], standings[index]) for index in running)
        total_w += max(0.0, stock.spare_w + stock.leaving_w)
        if total_w < sum(site.loads[index].start_w for index in members):
            members = running  # not enough for one more  # noqa: PLW2901
        if len(members) < 2:
            continue
        ranges = [usable(site.loads[index], standings[index]) for index in members]
        for index, fair in zip(members, fair_w(ranges, total_w), strict=True):
            if standings[index].modest_until is None:
                ledger.caps_w[index] = min(ledger.caps_w[index], fair)


def _takes_part(load: Load, standing: Standing, tick: Tick, asked: Asked) -> bool:
    """Tell whether the load draws its share of what is divided, or could."""
    if standing.phase is ON:
        return True
    could = standing.phase is OFF and standing.was_on is False and standing.available and not standing.satisfied
    follows = asked.modes.get(load.name, Mode.SOLAR) is not Mode.OFF and asked.wishes.get(load.name) is not False
    free = standing.holder is not Holder.HAND and is_open(load.windows, tick.wall, tick.outlook.daylight)
    return could and follows and free and rested(load, standing, tick.at)


def _fit_the_fuse(site: Site, standings: Sequence[Standing], stock: Stock, max_import_w: float, ledger: Ledger) -> None:
    """Choose who draws less or goes off at once, from the least important up, until the house fits its fuse."""
    over_w = stock.grid_w - stock.gone_w - max_import_w
    for index in range(len(standings) - 1, -1, -1):
        if over_w <= 0:
            return
        load, standing = site.loads[index], standings[index]
        if refuses_off(standing):
            continue  # it is told again in its time; no relief to count on
        if standing.phase is ON:
            draws_w = own_w(load, standing)
            if load.follow is not None and over_w <= draws_w - in_force(load, standing).least_w:
                ledger.caps_w[index] = draws_w - over_w
                ledger.fused[index] = True
            else:
                ledger.shed[index] = True
            over_w -= draws_w
        elif standing.phase is STARTING or (standing.phase is FAULT and standing.was_on is not False):
            ledger.shed[index] = True  # it may not draw anything yet: no relief to count on


def _make_room(index: int, short_w: float, site: Site, standings: list[Standing], stock: Stock, ledger: Ledger) -> None:
    """Ask as few of the less important loads to stop as it takes, the least important first; who can, draws less."""
    for lower in range(len(standings) - 1, index, -1):
        if short_w <= 0:
            return
        load, standing = site.loads[lower], standings[lower]
        if standing.phase is not ON or ledger.yields[lower] or stock.room_w[lower - 1] <= stock.room_w[lower]:
            continue
        draws_w = own_w(load, standing)
        spared = spared_w(load, draws_w)
        if short_w <= spared or not stock.yields[lower]:
            ledger.caps_w[lower] = min(ledger.caps_w[lower], draws_w - min(short_w, spared))
            short_w -= spared
        else:
            ledger.yields[lower] = True
            short_w -= draws_w


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


def _command(load: Load, command_id: int, setting: Setting | None) -> Command:
    if setting is None:
        return Command(command_id, load.name, 0.0)
    return Command(command_id, load.name, setting.nominal_w, setting.phases, load.lease_s, setting.amps)


def _ask(
    load: Load,
    standing: Standing,
    turn_on: bool | None,
    setting: Setting | None,
    command_id: int,
    at: float,
    stock: Stock | None,
) -> Standing:
    asked: dict[str, Any] = {
        "command_id": command_id,
        "asked_at": at,
        "grid_before_w": stock.grid_w if stock else None,
    }
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
