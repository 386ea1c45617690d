"""What an actuator reports, taken into the standing of its load. A late or odd report is an observation, no error."""

from __future__ import annotations

import math
from typing import Any

from loadctl.core.appliance import own_w, tallied, used_share
from loadctl.core.lifecycle import advance
from loadctl.core.rules import Load
from loadctl.core.values import FAULT, OFF, ON, STARTING, STOPPING, Holder, Report, Source, Standing
from loadctl.each_tick import replace

PATIENCE = 3  # read-backs in a row that may fail before a load is lost from sight
FIRST_RETRY_S = 5.0
SAME_SHARE = 0.1  # by which a device may round what it was set to
ARRIVED_SHARE = 0.8  # of what a load was set to, for its change to be done
LONGEST_RETRY_S = 60.0  # a load that must go off is told again at least once a minute


def change(load: Load, standing: Standing, at: float, **fields: Any) -> Standing:
    """Return `standing` with `fields` new and the tallies complete up to `at`."""
    return replace(standing, tally=tallied(load, standing, at), tallied_at=at, **fields)


def move(load: Load, standing: Standing, trigger: str, at: float, **fields: Any) -> Standing:
    """Move a load along the lifecycle; a new phase begins with empty hold times."""
    phase = advance(standing.phase, trigger)
    return change(load, standing, at, phase=phase, since=at, held_s=0.0, held_at=None, **fields)


def fail(load: Load, standing: Standing, at: float, detail: str, was_on: bool | None) -> Standing:
    """Put a load in FAULT: its state is unknown until it is seen again; the next attempt waits, longer each time."""
    if standing.phase is STARTING and was_on is None:
        standing = started(standing)  # it may have: a start in doubt counts
    failures = standing.failures + 1
    pause_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 8))
    return move(
        load,
        standing,
        "fail",
        at,
        was_on=was_on,
        command_id=None,
        settled_at=None,
        leaving_w=0.0,
        measured_w=None,
        failures=failures,
        retry_at=at + pause_s,
        detail=detail,
    )


def set_to(load: Load, standing: Standing, watts: float, phases: int | None, at: float, **fields: Any) -> Standing:
    """Return the standing of a running load that is to draw `watts` from now on."""
    before_w = own_w(load, standing)
    pause_s = 0.0 if load.follow is None else load.follow.every_s
    if phases != standing.phases:
        switched = standing.phases is not None
        fields |= {"phases": phases, "phases_at": at, "phases_held_s": 0.0, "using": None}
        fields |= {"phase_changes": standing.phase_changes + switched}
        pause_s = max(pause_s, load.settle_s)
    return change(load, standing, at, target_w=watts, change_w=watts - before_w, shown_at=at + pause_s, **fields)


def absorb(load: Load, standing: Standing, report: Report, at: float) -> Standing:
    """Return the standing that knows what `report` tells."""
    answers = report.command_id is not None and report.command_id == standing.command_id
    if not answers and report.read_at < standing.asked_at:
        return standing  # read before our last command or the last change: it says nothing about it
    if report.error is not None:
        return _missed(load, standing, report, at, answers)
    standing = _measured(load, standing, report, at)
    if load.follow is not None and standing.phase is ON and report.on:
        standing = _follows(load, standing, report, at, answers)
    if report.on is None:
        return standing
    seen = _seen_on if report.on else _seen_off
    return seen(load, standing, report, at, answers)


def _missed(load: Load, standing: Standing, report: Report, at: float, answers: bool) -> Standing:
    detail = report.detail or report.error or ""
    if answers and standing.phase is STARTING and report.error == "refused":
        return fail(load, standing, at, detail, was_on=False)
    if answers and standing.phase in (STARTING, STOPPING):
        return fail(load, standing, at, detail, was_on=None)
    if answers:
        standing = _not_done(load, standing, at)
    missed = standing.missed + 1
    if missed >= PATIENCE and standing.phase in (ON, OFF):
        # nothing is known to have failed but the line: no penalty, it goes on when the device is seen again
        was_on = standing.was_on
        return replace(fail(load, standing, at, detail, was_on), failures=standing.failures, retry_at=None)
    return replace(standing, missed=missed, detail=detail)


def _not_done(load: Load, standing: Standing, at: float) -> Standing:
    """Return the standing of a running load whose new setting failed: it may draw the more of before and now."""
    fell_w = max(0.0, -standing.change_w)
    if standing.target_w is None or fell_w == 0.0:
        return replace(standing, command_id=None)
    return change(load, standing, at, command_id=None, target_w=standing.target_w + fell_w, change_w=0.0)


def _measured(load: Load, standing: Standing, report: Report, at: float) -> Standing:
    known = (report.watts, report.available, report.satisfied, report.need_left_wh, 0)
    before = (standing.measured_w, standing.available, standing.satisfied, standing.need_left_wh, standing.missed)
    if known == before:
        return standing
    return change(
        load,
        standing,
        at,
        measured_w=report.watts,
        available=report.available,
        satisfied=report.satisfied,
        need_left_wh=report.need_left_wh,
        missed=0,
        detail=standing.detail if report.available else report.detail,
    )


def _follows(load: Load, standing: Standing, report: Report, at: float, answers: bool) -> Standing:
    """Take in what a running load was really set to, on how many phases it draws, and that a change is done.

    It has a meter of its own, so that nobody's kettle can be taken for its step.
    """
    pause_s = load.follow.every_s if load.follow else 0.0
    if standing.command_id is not None and not answers:
        return standing  # read before it was done: it says nothing of the new setting
    if answers:
        waited_s = pause_s if standing.shown_at is None else standing.shown_at - standing.asked_at
        standing = replace(standing, command_id=None, shown_at=report.read_at + waited_s)
    if report.phases is not None and report.phases != standing.using:
        standing = replace(standing, using=report.phases)
    if report.phases is not None and standing.phases is not None and report.phases > standing.phases:
        standing = replace(standing, phases=report.phases)  # the last change of phases did not happen
    if report.limit_w is not None and report.limit_w > 0 and standing.command_id is None:
        limit_w = report.limit_w * used_share(standing)
        if standing.target_w is None or abs(limit_w - standing.target_w) > SAME_SHARE * standing.target_w:
            # Set by somebody else, or not as we wished: no change of ours is on its way.
            standing = change(load, standing, at, target_w=limit_w, change_w=0.0)
    draws = report.watts is not None and report.watts >= ARRIVED_SHARE * (standing.target_w or math.inf)
    if draws:
        seen_by = report.read_at + pause_s
        if standing.shown_at is not None and seen_by < standing.shown_at:
            standing = replace(standing, shown_at=seen_by)
        if standing.settled_at is not None and seen_by < standing.settled_at:
            standing = replace(standing, settled_at=seen_by)
    return standing


def _seen_on(load: Load, standing: Standing, report: Report, at: float, answers: bool) -> Standing:
    phase = standing.phase
    if phase is STARTING and answers:
        return started(move(load, standing, "seen_on", at, **_switched(load, report, at, on=True)))
    if phase is STOPPING and answers:
        return fail(load, standing, at, report.detail or "it is still on after it was told to go off", was_on=True)
    if phase is FAULT:
        # a run that was lost from sight goes on; a start that was in doubt begins now
        began_at = standing.switched_at if standing.was_on or not standing.wants_on else at
        fields = {"was_on": True, "switched_at": at if began_at is None else began_at, "detail": ""}
        seen = move(load, standing, "seen_on", at, **fields)
        return started(seen) if standing.wants_on and standing.was_on is False else seen
    if phase is OFF:
        by_hand = standing.was_on is False and report.source in (Source.HAND, Source.UNKNOWN)
        switched = _switched(load, report, at, on=True) | {"wants_on": True}
        return move(load, standing, "seen_on", at, **switched, **_held(load, at, by_hand))
    return standing


def _seen_off(load: Load, standing: Standing, report: Report, at: float, answers: bool) -> Standing:
    phase = standing.phase
    if phase is STOPPING:
        return move(load, standing, "seen_off", at, **_switched(load, report, at, on=False))
    if phase is STARTING and answers:
        return fail(load, standing, at, report.detail or "it stayed off after it was told to go on", was_on=False)
    if phase is FAULT:
        rests_since = standing.switched_at if standing.was_on is False else at
        fields = {"was_on": False, "switched_at": rests_since, "wants_on": False, "detail": ""}
        return move(load, standing, "seen_off", at, **fields)
    if phase is ON:
        by_hand = report.source is Source.HAND or (report.source is Source.UNKNOWN and load.lease_s is None)
        leaving_w = own_w(load, standing) if standing.settled_at is None else 0.0
        switched = _switched(load, report, at, on=False) | {
            "leaving_w": leaving_w,
            "wants_on": False,
            "detail": report.detail,
        }
        return move(load, standing, "seen_off", at, **switched, **_held(load, at, by_hand))
    if standing.was_on is None and phase is OFF:
        # a compressor that is first seen off may have gone off the moment before
        return replace(standing, was_on=False, switched_at=at if load.compressor else standing.switched_at)
    return standing


def started(standing: Standing) -> Standing:
    """Count a start: when the load is seen on, or when it will never be known whether it was."""
    return replace(standing, tally=replace(standing.tally, starts=standing.tally.starts + 1))


def _switched(load: Load, report: Report, at: float, *, on: bool) -> dict[str, Any]:
    return {
        "was_on": on,
        "asked_at": report.read_at,
        "switched_at": at,
        "settled_at": at + load.settle_s,
        "shown_at": None,
        "change_w": 0.0,
        "command_id": None,
        "failures": 0,
        "retry_at": None,
        "detail": "",
    }


def _held(load: Load, at: float, by_hand: bool) -> dict[str, Any]:
    if by_hand:
        return {"holder": Holder.HAND, "hand_until": at + load.hand_hold_s}
    return {"holder": Holder.RULE, "hand_until": None}
