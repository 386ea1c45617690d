"""What the memory knows of one moment: what each load did, since when and why, and what the house drew.

What was not written down is said to be so: before the first record, while loadctl did not run, while it was blind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadctl.core.values import Phase, Verdict
from loadctl.service.history import Decision, History, Minute
from loadctl.service.resume import FLUSH_S

MINUTE = timedelta(minutes=1)
WRITTEN_BY = MINUTE + timedelta(seconds=FLUSH_S)

_STATES = {Phase.OFF: "off", Phase.STOPPING: "off", Phase.STARTING: "on", Phase.ON: "on", Phase.FAULT: "fault"}


@dataclass(frozen=True, slots=True)
class Then:
    """One load at a moment: `state` (on, off, fault) since `began`, a decision; `latest` is the last one noted before
    the moment, which may be the same.
    """

    load: str
    state: str
    began: Decision
    latest: Decision


@dataclass(frozen=True, slots=True)
class Past:
    """All that is known of `at`. `minute`: means of the minute it lies in; `gap`: why there are none."""

    at: datetime
    loads: tuple[Then, ...]
    minute: Minute | None
    gap: str | None


def look_back(history: History, at: datetime, now: datetime) -> Past:
    """Return what was at `at`; `now` tells what is not written down yet from what never will be."""
    begin = at.replace(second=0, microsecond=0)
    minute = next(history.minutes(begin, begin + MINUTE), None)
    measured = minute is not None and minute.seconds > 0
    loads = tuple(_then(history.before(at, name)) for name in history.loads_before(at))
    return Past(at, loads, minute, None if measured else _gap(history, at, now))


def _then(decisions: Iterator[Decision]) -> Then:
    """Take one load's decisions, the newest first, back to where its state began."""
    latest = began = next(decisions)
    state = _state(latest)
    for decision in decisions:
        if _state(decision) != state:
            break
        began = decision
    return Then(latest.row.load, state, began, latest)


def _state(decision: Decision) -> str:
    return _STATES[Phase(decision.row.phase)]


def _gap(history: History, at: datetime, now: datetime) -> str:
    before, after = history.measured_around(at)
    if after is None and now - at < WRITTEN_BY:
        return "this is not written down yet: a running loadctl tells what is now, without --at"
    if before is None:
        return f"nothing is written down before {after:%a %d %b %Y %H:%M}" if after else "nothing is written down"
    noted = list(history.decisions(before, at))
    if noted and noted[-1].row.verdict == Verdict.SHUTDOWN:
        return f"loadctl was stopped on {noted[-1].time:%a %d %b at %H:%M}"
    blind = next((decision for decision in noted if decision.row.verdict == Verdict.BLIND), None)
    if blind is not None:
        return f"there was no reading to trust since {blind.time:%a %H:%M}"
    until = "" if after is None else f" until {after:%a %H:%M}"
    return f"nothing is written down from {before + MINUTE:%a %d %b %H:%M}{until}: loadctl did not run"
