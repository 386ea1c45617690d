"""What each verdict says: a sentence with its numbers, and how long it holds if nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import NamedTuple

from loadctl.core.appliance import daily_left, had_today, least_w, own_w, served
from loadctl.core.calendar import openings, zone_of
from loadctl.core.follow import Allowance, awaited, in_force, may_switch
from loadctl.core.judge import spent
from loadctl.core.needs import pressing
from loadctl.core.rules import Mode, Window
from loadctl.core.terms import price_of
from loadctl.core.values import OFF, ON, Away, Holder, Tick, Verdict, Wish
from loadctl.telling.conditions import sentence
from loadctl.telling.facts import Facts, phases, price
from loadctl.units import span, spell, watts


class Saying(NamedTuple):
    """`clause` is the reason, with its numbers; `head` what the load does because of it, "" if the clause tells.

    `until_s`: so long it holds at least; None: that is no matter of time.
    """

    head: str
    clause: str
    until_s: float | None = None

    @property
    def sentence(self) -> str:
        return f"{self.head}: {self.clause}" if self.head else self.clause


Say = Callable[[Facts], Saying]


def _wants(f: Facts) -> str:
    """`1 210 W free, needs 1 500 W`, without the time for which."""
    look = f.case.look
    room = f" and {watts(look.room_w)} that less important loads would leave" if look.room_w > 0 else ""
    if look.start_w <= 0:
        return f"{f.free} free{room}, enough at {price(f.tick.outlook.import_price)}"
    return f"{f.free} free{room}, needs {watts(look.start_w)}"


def _rest(f: Facts) -> Saying:
    head = "pauses" if f.load.follow is not None else "rests"
    if f.case.look.start_w == inf:
        worth, sold = price(f.load.worth or 0.0), price(f.tick.outlook.export_price)
        return Saying(head, f"its power is worth {worth} here and earns {sold} sold")
    held = f" for {span(f.hold_left_s)}" if f.hold_left_s else ""
    return Saying(head, _wants(f) + held, f.hold_left_s)


def _wait_on(f: Facts) -> Saying:
    return Saying("waits", f"{_wants(f)} for {span(f.hold_left_s)} more", f.hold_left_s)


def _held_off(f: Facts) -> Saying:
    rest = "its compressor rests" if f.load.compressor else "its minimum time off"
    return Saying("waits", f"{rest} {f.until(f.rest_left_s)}", f.rest_left_s)


def _held_on(f: Facts) -> Saying:
    if served(f.load, f.case.standing, f.case.sight.at):
        if f.case.look.ends:
            still_s = max((f.still_s(mark) for mark in f.case.standing.marks), default=0.0)
            return Saying(f.runs, f"all it still needs is {span(still_s)}, less than it must run at a time", still_s)
        return Saying(f.runs, "it has no start left today and its need is not met yet")
    return Saying(f.runs, f"its minimum time on {f.until(f.rest_left_s)}", f.rest_left_s)


def _room(f: Facts) -> Saying:
    behind = [index for index in range(len(f.site.loads)) if index != f.index and index not in f.before]
    asked = [index for index in behind if f.outcome.cases[index].look.yields]
    running = [index for index in behind if f.outcome.state.standings[index].phase is not OFF]
    firm = [index for index in running if f.outcome.state.plan(index).firm]
    if firm and not asked:
        return Saying("waits", f"{f.others(firm, '')} would have to buy and keeps its place: {_wants(f)}")
    return Saying("waits", f"{f.others(asked or running, 'a less important load')} must make room: {_wants(f)}")


def _yield(f: Facts) -> Saying:
    asking = [i for i in f.before if f.outcome.verdicts[i] in (Verdict.ROOM, Verdict.NEED_AT_RISK)]
    hungry = [i for i in f.before if f.site.loads[i].follow is not None and f.outcome.state.standings[i].phase is ON]
    takers = asking if f.case.look.yields else hungry
    return Saying("stops", f"its {f.draws} go to {f.others(takers, 'a more important load')}", 0.0)


def _barred(f: Facts, clause: str, until_s: float | None) -> Saying:
    return Saying("stops" if f.case.standing.phase is ON else "stays off", clause, until_s)


def _window(f: Facts) -> Saying:
    opens = _opens_at(f.load.windows, f.tick)
    if opens is None:
        return _barred(f, "outside its hours, and none come within a year", None)
    left_s = opens - f.tick.wall.timestamp()
    return _barred(f, f"outside its hours {f.until(left_s)}", left_s)


def _opens_at(windows: Sequence[Window], tick: Tick) -> float | None:
    """Return when the next hours begin (POSIX); None: not within a year."""
    zone, today = zone_of(tick.wall), tick.wall.toordinal()
    for day in range(today - 1, today + 367):
        # hours that begin before sunrise may begin before others of the evening before
        hours = openings(windows, (day, day + 1), zone, tick.outlook.daylight)
        begins = [start for start, _ in hours if start > tick.wall.timestamp()]
        if begins:
            return min(begins)
    return None


def _unmet(f: Facts) -> Saying:
    when = f.load.when
    said = sentence(when, f.tick.inputs, f.tick.at, f.case.standing.truths) if when else "its `when`"
    return _barred(f, said, None)


def _enough(f: Facts) -> Saying:
    most_s, most_wh = f.load.daily_runtime_s, f.load.daily_energy_wh
    left_s, left_wh = daily_left(f.load, f.case.standing, f.tick.at)
    parts = [] if most_s is None else [f"{span(most_s - left_s)} of {span(most_s)}"]
    if most_wh is not None:
        parts.append(f"{spell(round(most_wh - left_wh, -1), 'Wh')} of {spell(most_wh, 'Wh')}")
    return _barred(f, f"had {' and '.join(parts)} today, {f.until(f.day_left_s)}", f.day_left_s)


def _behind(f: Facts) -> Saying:
    had_wh = had_today(f.load, f.case.standing, f.tick.at).energy_wh
    ahead = [i for i in f.before if i > f.index and f.outcome.state.standings[i].phase is not OFF]
    had = f"had {spell(round(had_wh, -1), 'Wh')} today, what it usually uses"
    return Saying("waits", f"{had}; {f.others(ahead, 'who')} must have more today and goes first")


def _spent(f: Facts) -> Saying:
    starts = f.load.max_starts or 0
    if not spent(f.load, f.case.standing):
        return _barred(f, f"the last of its {starts} starts of today is kept for its need", f.day_left_s)
    used = "start of today is" if starts == 1 else f"{starts} starts of today are"
    return _barred(f, f"its {used} used up, {f.until(f.day_left_s)}", f.day_left_s)


def _crowded(f: Facts) -> Saying:
    its_w, most_w = least_w(f.load), f.site.max_import_w or 0.0
    would_w = most_w - f.case.power.headroom_w + its_w
    clause = f"with its {watts(its_w)} {watts(would_w)} would come from the grid, at most {watts(most_w)}"
    return Saying("waits", clause)


def _shed(f: Facts) -> Saying:
    grid_w = (f.tick.sample.grid_w if f.tick.sample else None) or 0.0
    most = watts(f.site.max_import_w or 0.0)
    return Saying("off at once", f"the house draws {watts(grid_w)} from the grid, at most {most}", 0.0)


def _run(f: Facts) -> Saying:
    return Saying(f.runs, f"{f.free} for it{_more_phases(f)}", f.hold_left_s)


def _more_phases(f: Facts) -> str:
    """Return what a charger would rather have than its present number of phases, and when it may."""
    follow, standing, power, sample = f.load.follow, f.after, f.case.power, f.tick.sample
    if follow is None or not standing.phases_held_s or sample is None or sample.grid_w is None:
        return ""
    cap_w = own_w(f.load, standing) + power.headroom_w
    other = awaited(f.load, standing, Allowance(power.free_w, power.over_w, sample.grid_w, cap_w, f.case.asks.all_in))
    if other is None or not other.phases:
        return ""
    name = phases(other.phases)
    if other.least_w < in_force(f.load, standing).least_w:
        return f"; {name} in {span(follow.phase_down_s - standing.phases_held_s)} if no more comes"
    if not may_switch(follow, standing, f.tick.at):
        if standing.phases_at is None or standing.phase_changes >= follow.phase_changes:
            return f"; {name} no more today, they changed {standing.phase_changes} times"
        return f"; {name} not {f.until(follow.phase_pause_s - (f.tick.at - standing.phases_at), 'before')}"
    return f"; {name} in {span(follow.phase_up_s - standing.phases_held_s)} if {watts(other.least_w)} stay"


def _cheap(f: Facts) -> Saying:
    until_s = None if f.case.asks.all_in else f.hold_left_s  # at this price it needs no sun
    sun = min(max((f.case.power.spare_w or 0.0) / least_w(f.load), 0.0), 1.0)
    plan = f.outcome.state.plan(f.index)
    pays = max(one for one in (plan.price, f.load.worth, -inf) if one is not None)
    rest = ", the rest is bought" if sun < 1 else ""
    costs = price_of(sun, f.tick.outlook.import_price, f.tick.outlook.export_price)
    said = f"{f.free} for it{rest}: a kWh costs {price(costs)}"
    if plan.price is None or (f.load.worth is not None and f.load.worth >= plan.price):
        return Saying(f.runs, f"{said} and is worth {price(pays)}", until_s)
    said += f", it pays up to {price(pays)}"
    if costs > pays and isfinite(f.case.asks.stop_import_w):
        said += f" to start and stops at {watts(f.case.asks.stop_import_w)} from the grid"
    marks = sorted(f.case.standing.marks, key=lambda mark: mark.due)
    mark = next((mark for mark in marks if f.still_s(mark) > 0), None)
    if mark is not None:
        start = next((start for due, start in plan.starts if due == mark.due), None)
        said += f": {f.need(mark)}" + ("" if start is None else f", else it must run from {f.clock(start):%a %H:%M}")
    return Saying(f.runs, said, until_s)


def _wait_off(f: Facts) -> Saying:
    if f.case.look.squeezed:
        hungry = [i for i in f.before if f.site.loads[i].follow is not None]
        why = f"its {f.draws} could go to {f.others(hungry, 'a more important load')}"
    else:
        why = _imported(f)
    return Saying(f.runs, f"{why}, stops after {span(f.hold_left_s)} more{_more_phases(f)}", f.hold_left_s)


def _imported(f: Facts) -> str:
    limit_w = f.case.asks.stop_import_w
    if not isfinite(limit_w):
        return f.imports
    limit = f"at most {watts(limit_w)}" if limit_w >= 0 else f"at least {watts(-limit_w)} asked"
    return f"{f.imports}, {limit}"


def _idle(f: Facts) -> Saying:
    car = f.load.follow is not None and f.load.follow.ranges[0].phases is not None
    why = "the car takes nothing, it is full or waits" if car else "its thermostat is open or its breaker is off"
    return Saying("on, but draws nothing", f"{why}; the power goes to others", f.hold_left_s)


def _need(f: Facts) -> Saying:
    away = any(isinstance(wish, Away) for wish in f.tick.wishes)
    mark = pressing(f.load, f.case.standing, f.tick, away=away)
    if mark is None:
        return Saying(f.runs, "a need of it")
    until_s = max(0.0, min(f.still_s(mark), mark.due - f.tick.wall.timestamp()))
    return Saying(f"{f.runs} whatever the sun", f.need(mark), until_s)


def _mode(f: Facts) -> Saying:
    mode = f.case.look.mode
    if mode is Mode.OFF:
        return Saying("off", "its mode is off")
    return Saying(f.runs, f"its mode is {mode}" + (", sun or no sun" if mode is Mode.FAST else f", {f.free} for it"))


def _busy(f: Facts) -> Saying:
    if f.after.command_id is None:
        return Saying("", "waits to hear from its switch")
    left_s = f.left_s(f.site.answer_s, f.after.asked_at)
    said = f"is being switched {'on' if f.after.wants_on else 'off'}, a fault if no answer comes in {span(left_s)}"
    return Saying("", said, left_s)


def _settling(f: Facts) -> Saying:
    left_s = f.left_s(0.0, f.case.standing.settled_at)
    return Saying("switched on just now", f"the meter has yet to show it, within {span(left_s)}", left_s)


def _hand(f: Facts) -> Saying:
    wishes = (wish for wish in f.tick.wishes if isinstance(wish, Wish))
    wish = next((wish for wish in wishes if wish.load == f.load.name), None)
    until = f.case.standing.hand_until if wish is None else wish.until
    left_s = None if until is None else f.left_s(0.0, until)
    state = "on" if (f.on if wish is None else wish.on) else "off"
    return Saying("", f"held {state} by hand" + ("" if left_s is None else f" {f.until(left_s)}"), left_s)


def _safe(f: Facts) -> str:
    return f"{'on' if f.load.safe_on else 'off'}, its safe state"


def _blind(f: Facts) -> Saying:
    since = f.outcome.state.blind_since
    left_s = f.site.hold_s if since is None else f.left_s(f.site.hold_s, since)
    why = f"no reading to trust{'' if since is None else f' for {span(f.tick.at - since)}'}"
    if f.case.sight.lost:
        return Saying(_safe(f), why)
    keeps = "runs on" if f.on else "stays off"
    return Saying(f"{keeps} for {span(left_s)}", why, left_s if f.on is not f.load.safe_on else None)


def _outage(f: Facts) -> Saying:
    steady, below_pct, soc_pct = f.outcome.state.steady_since, f.load.shed_below_pct, f.case.sight.soc_pct
    left_s = None if steady is None else f.left_s(f.site.steady_s, steady)
    why = "the grid is gone" if left_s is None else f"the grid is back and has to be steady for {span(left_s)} more"
    if below_pct is not None and soc_pct is not None and soc_pct >= below_pct:
        return Saying("left as it is", f"{why}; the battery has {soc_pct:g} %, enough above {below_pct:g} %", left_s)
    return Saying(_safe(f), why, left_s)


def _fault(f: Facts) -> Saying:
    standing, retry_at = f.after, f.after.retry_at
    said = standing.detail or "its switch does not do what it is told"
    if retry_at is not None and retry_at >= f.tick.at and (standing.phase is OFF or not standing.wants_on):
        return Saying("fault", f"{said}; next try in {span(retry_at - f.tick.at)}", retry_at - f.tick.at)
    if standing.wants_on and standing.holder is not Holder.HAND:
        left_s = f.left_s(f.load.min_on_s, standing.since)
        return Saying("fault", f"{said}; told to go off if nothing is heard for {span(left_s)} more", left_s)
    return Saying("fault", f"{said}; asked again and again")


SAYINGS: dict[Verdict, Say] = {
    Verdict.BEHIND: _behind,
    Verdict.REST: _rest,
    Verdict.WAIT_ON: _wait_on,
    Verdict.HELD_OFF: _held_off,
    Verdict.ROOM: _room,
    Verdict.SPENT: _spent,
    Verdict.WINDOW: _window,
    Verdict.UNMET: _unmet,
    Verdict.ENOUGH: _enough,
    Verdict.CROWDED: _crowded,
    Verdict.AWAY: lambda f: Saying("cannot run", f.case.standing.detail or "its device says so"),
    Verdict.WELDED: lambda f: Saying(
        "alarm", f"it draws {watts(f.after.measured_w or 0.0)} although its switch is off; is it welded?"
    ),
    Verdict.START: lambda f: Saying("starts", f"{f.free} free for {span(f.load.start_for_s * f.patience)}", 0.0),
    Verdict.STOP: lambda f: Saying("stops", f"{_imported(f)}, for {span(f.load.stop_for_s)}", 0.0),
    Verdict.YIELD: _yield,
    Verdict.SHED: _shed,
    Verdict.RUN: _run,
    Verdict.CHEAP: _cheap,
    Verdict.WAIT_OFF: _wait_off,
    Verdict.HELD_ON: _held_on,
    Verdict.NEED: _need,
    Verdict.IDLE: _idle,
    Verdict.MODE: _mode,
    Verdict.BUSY: _busy,
    Verdict.SETTLING: _settling,
    Verdict.NEED_AT_RISK: lambda f: _need(f)._replace(head="may not run now"),
    Verdict.HAND: _hand,
    Verdict.BLIND: _blind,
    Verdict.OUTAGE: _outage,
    Verdict.SHUTDOWN: lambda f: Saying(_safe(f), "loadctl stops, or the load left the rules"),
    Verdict.FAULT: _fault,
}
