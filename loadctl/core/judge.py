"""What one load should do now, and why: the precedence of the rules, top down.

    fuse and outage › compressor rest › a person's hand or mode › blindness, shutdown › minimum times › max_starts ›
    when › need › window, daily maximum › surplus

Everything that may break a minimum time stands before it in this line. A need for a level of some input (a temperature,
a charge) ends by itself when it is reached, so `when` does not stand in its way.
"""

from __future__ import annotations

from typing import NamedTuple

from loadctl.core.appliance import draws_nothing, own_w, rested, served
from loadctl.core.rules import Load, Mode
from loadctl.core.values import FAULT, OFF, ON, STARTING, STOPPING, Holder, Standing, Verdict

KEEN_W = 700.0  # with so much short the time to stop passes as usual: in a minute 0.012 kWh, half a start's wear
SLOWEST, FASTEST = 0.25, 4.0
PATIENCE = 3.0  # so many times its time to start waits who has had what it usually uses: there is no hurry
A_MOMENT_S = 1e-3

Judgement = tuple[Verdict, bool | None]  # what and why; switch on, switch off, or leave it


class Sight(NamedTuple):
    """What is the same for all loads in one tick."""

    at: float
    fresh: bool  # a reading that was not counted before
    elapsed_s: float  # what it stands for: the time since the last one, but one interval at most
    blind: bool
    lost: bool  # blind for longer than the site holds
    outage: bool
    soc_pct: float | None
    shutdown: bool


class Look(NamedTuple):
    """What a tick shows of one load."""

    start_w: float  # it asks for so much now
    free_w: float  # it could have at once
    room_w: float  # less important loads would leave to it
    below_w: float  # they have, although they may not leave it yet
    leaving_w: float  # was switched off and may still show on the meter
    short: bool  # the condition to stop holds now
    squeezed: bool  # only because a more important load could use its power
    eased: bool  # and less surplus than its rule says is enough now
    crowded: bool  # with it the house would draw more than `max_import`
    shed: bool
    yields: bool
    open: bool
    holds: bool  # its `when`
    spent: bool  # it had its daily maximum
    need: bool
    awaits: bool  # it has one start left at most, and a need that is not met yet
    ends: bool  # what it still needs takes no longer than its minimum time on
    sated: bool  # it had what it usually uses in a day
    behind: bool  # and its power is with those that it let go first
    mode: Mode
    wish: bool | None

    def enough(self) -> bool:
        """Tell whether the load could start, once others have made room and the meter shows it."""
        return self.free_w + self.room_w + self.leaving_w >= self.start_w


def judge(load: Load, standing: Standing, sight: Sight, look: Look) -> Judgement:
    """Return the verdict and what to do about it: True switches on, False off, None leaves it."""
    phase = standing.phase
    if phase is STOPPING:
        return Verdict.BUSY, None
    if refuses_off(standing):
        return Verdict.FAULT, None if _pauses(standing, sight) else False
    if phase is OFF and _pauses(standing, sight):
        return Verdict.FAULT, None
    if look.shed:
        return Verdict.SHED, False
    if sight.outage:
        return (Verdict.OUTAGE, None) if _carried(load, sight) else _safe(Verdict.OUTAGE, load, standing, sight)
    if phase is FAULT:
        return _lost_from_sight(load, standing, sight, look)
    wish = _wish(standing, look)
    if wish is not None:
        return _by_hand(wish, load, standing, sight, look)
    if look.mode is Mode.OFF:
        return Verdict.MODE, False if phase is not OFF else None
    if sight.shutdown:
        return _safe(Verdict.SHUTDOWN, load, standing, sight)
    if sight.blind:
        return _safe(Verdict.BLIND, load, standing, sight) if sight.lost else (Verdict.BLIND, None)
    if phase is STARTING:
        return Verdict.BUSY, None
    if phase is ON:
        return _while_on(load, standing, sight, look)
    return _while_off(load, standing, sight, look)


def held(standing: Standing, for_s: float) -> bool:
    """Tell whether a condition has held for long enough; `for: 0 s` still takes a second reading."""
    return standing.held_s >= max(for_s, A_MOMENT_S)


def pace(load: Load, over_w: float) -> float:
    """Return how fast the time passes for which a load that is on may be short of `over_w`, or has that to spare.

    Where its owner named the time it is that time. Else what is short is weighed: a little of it is borne for long, a
    lot for a short while, so that it never costs much more than another start.
    """
    return min(max(abs(over_w) / KEEN_W, SLOWEST), FASTEST) if load.keen else 1.0


def _while_on(load: Load, standing: Standing, sight: Sight, look: Look) -> Judgement:
    if standing.settled_at is not None:
        return Verdict.SETTLING, None
    if look.need:
        return Verdict.NEED, None
    if look.yields:
        return Verdict.YIELD, False
    barred = _barred(look)
    if barred is not None:
        return (barred, False) if served(load, standing, sight.at) else (Verdict.HELD_ON, None)
    if look.mode is Mode.FAST or (look.mode is Mode.SOLAR_MIN and look.short):
        return Verdict.MODE, None
    if held(standing, load.stop_for_s) and look.short:
        why = Verdict.YIELD if look.squeezed else Verdict.STOP
        # Stopped now its need would not be met any more, or by a run that is longer than it needs.
        finishes = look.ends or (look.awaits and spent(load, standing))
        return (why, False) if served(load, standing, sight.at) and not finishes else (Verdict.HELD_ON, None)
    if look.short:
        return Verdict.WAIT_OFF, None
    if draws_nothing(load, own_w(load, standing)):
        return Verdict.IDLE, None
    return (Verdict.CHEAP if look.eased else Verdict.RUN), None


def _while_off(load: Load, standing: Standing, sight: Sight, look: Look) -> Judgement:
    if standing.was_on is None:
        return Verdict.BUSY, None  # what it really does is read before anything is switched
    if standing.settled_at is None and not draws_nothing(load, standing.measured_w or 0.0):
        return Verdict.WELDED, None
    if not standing.available:
        return Verdict.AWAY, None
    if look.need:
        at_risk = look.crowded or blocked(load, standing, sight.at)
        return (Verdict.NEED_AT_RISK, None) if at_risk else (Verdict.NEED, True)
    barred = _barred(look)
    if barred is not None:
        return barred, None
    wanted = look.mode is Mode.FAST or look.mode is Mode.SOLAR_MIN
    if not wanted and not look.enough():
        if look.behind:
            return Verdict.BEHIND, None
        within_reach = look.free_w + look.below_w + look.leaving_w >= look.start_w
        return (Verdict.ROOM if within_reach else Verdict.REST), None
    if not rested(load, standing, sight.at):
        return Verdict.HELD_OFF, None
    if spent(load, standing, kept=_kept(load, look)):
        return Verdict.SPENT, None
    if look.crowded:
        return Verdict.CROWDED, None
    if wanted:
        return Verdict.MODE, True
    if not held(standing, load.start_for_s):
        return Verdict.WAIT_ON, None
    if look.free_w < look.start_w:
        return Verdict.ROOM, None
    return (Verdict.START, True) if sight.fresh else (Verdict.WAIT_ON, None)


def _barred(look: Look) -> Verdict | None:
    """Return what forbids the load to run, however much sun there is; who is in a hurry asks for no hours."""
    if not look.holds:
        return Verdict.UNMET
    if look.mode is Mode.FAST:
        return None
    if not look.open:
        return Verdict.WINDOW
    return Verdict.ENOUGH if look.spent else None


def _kept(load: Load, look: Look) -> int:
    """Return how many starts the sun leaves to a need that is not met yet."""
    by_sun = look.mode is Mode.SOLAR and load.max_starts != 1
    return 1 if look.awaits and by_sun else 0


def spent(load: Load, standing: Standing, kept: int = 0) -> bool:
    """Tell whether today's starts are used up, but for those that are kept for a need."""
    return load.max_starts is not None and standing.tally.starts - standing.today.starts >= load.max_starts - kept


def blocked(load: Load, standing: Standing, at: float) -> bool:
    """Tell whether even a need may not start the load now."""
    return spent(load, standing) or not rested(load, standing, at)


def _safe(why: Verdict, load: Load, standing: Standing, sight: Sight) -> Judgement:
    on = standing.phase is not OFF
    if not load.safe_on:
        return why, False if on else None
    if on or standing.was_on is None:
        return why, None
    return (Verdict.HELD_OFF, None) if _rests(load, standing, sight) else (why, True)


def _carried(load: Load, sight: Sight) -> bool:
    """Tell whether the battery may carry what runs while the grid is gone; nothing starts on it."""
    return load.shed_below_pct is not None and sight.soc_pct is not None and sight.soc_pct >= load.shed_below_pct


def _by_hand(wish: bool, load: Load, standing: Standing, sight: Sight, look: Look) -> Judgement:
    on = standing.phase is not OFF
    if wish == on:
        return Verdict.HAND, None
    if not wish:
        return Verdict.HAND, False
    if standing.was_on is None:
        return Verdict.BUSY, None
    if _rests(load, standing, sight):
        return Verdict.HELD_OFF, None
    return (Verdict.CROWDED, None) if look.crowded else (Verdict.HAND, True)


def _wish(standing: Standing, look: Look) -> bool | None:
    if look.wish is not None:
        return look.wish
    return standing.phase is not OFF if standing.holder is Holder.HAND else None


def _rests(load: Load, standing: Standing, sight: Sight) -> bool:
    return load.compressor and not rested(load, standing, sight.at)


def refuses_off(standing: Standing) -> bool:
    """Tell a load that was told to go off and did not: it is told again, with pauses, until it does."""
    return standing.retry_at is not None and not standing.wants_on and standing.phase in (ON, FAULT)


def _pauses(standing: Standing, sight: Sight) -> bool:
    return standing.retry_at is not None and sight.at < standing.retry_at


def _lost_from_sight(load: Load, standing: Standing, sight: Sight, look: Look) -> Judgement:
    """Tell a load that is lost from sight to go off when we must, or when nobody knows more after its minimum time.

    Until then it is only looked at: the OFF might end a run too early, or one that a person began.
    """
    if look.wish is False:
        return Verdict.HAND, False
    if sight.shutdown or sight.lost:
        why = Verdict.SHUTDOWN if sight.shutdown else Verdict.BLIND
        return why, None if load.safe_on or standing.was_on is False else False
    ours = standing.wants_on and standing.holder is not Holder.HAND
    overdue = ours and sight.at - standing.since >= load.min_on_s
    return Verdict.FAULT, False if overdue else None
