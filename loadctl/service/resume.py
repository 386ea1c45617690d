"""What was known before a restart, brought to the present: pure arithmetic on ages, no file and no clock.

Time away must never be credited beyond what really passed, or a compressor would start before it has rested. In the
same boot the monotonic clock tells it exactly; after a reboot only two wall clocks do that were both right; else it is
zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from loadctl.core.learn import new_day_of
from loadctl.core.rules import Load, Site
from loadctl.core.values import FAULT, OFF, ON, STARTING, AnyWish, Holder, Report, Source, Standing, State
from loadctl.service.energy import Session

FLUSH_S = 10.0  # what happened later than this before the end may not have been written
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()  # a clock that shows less was never set

PAST = frozenset({"since", "switched_at", "held_at", "asked_at", "tallied_at", "phases_at"})
FUTURE = frozenset(
    {"settled_at", "shown_at", "modest_until", "hand_until", "retry_at"}
)  # moments that may still lie ahead
MOMENTS = PAST | FUTURE

_STANDING = TypeAdapter(Standing)
_NAMES = frozenset(each.name for each in fields(Standing))


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was written: monotonic `at` of boot `boot_id`, `wall` in seconds since 1970, the site's `day`.

    `trusted`: the wall clock was known to be right then.
    """

    at: float
    wall: float
    day: int
    boot_id: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class SavedLoad:
    """A standing as it was at `moment`, on that moment's monotonic clock.

    `identity`: which device it had; `address`: where the rules had it looked for; `session`: of the car at a charger.
    """

    name: str
    identity: str | None
    moment: Moment
    standing: Standing
    address: str | None = None
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """All that the file knew of the last run; `state` without its standings, which are in `loads` by name.

    `learned`: what can be learned again but need not be, as plain values by who learned it.
    """

    moment: Moment
    state: State
    loads: Mapping[str, SavedLoad]
    wishes: tuple[AnyWish, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identities(self) -> dict[str, str]:
        """Which device each load had: another one at the same address is not switched."""
        return {name: load.identity for name, load in self.loads.items() if load.identity is not None}

    @property
    def sessions(self) -> dict[str, Session]:
        """What the car of each load has had."""
        return {name: load.session for name, load in self.loads.items() if load.session is not None}

    @property
    def addresses(self) -> dict[str, str]:
        """Where each load's device was looked for."""
        return {name: load.address for name, load in self.loads.items() if load.address is not None}


@dataclass(frozen=True, slots=True)
class Away:
    """Credited seconds between a moment and now; not `certain`: it may have been more."""

    seconds: float
    certain: bool


def as_ages(standing: Standing, at: float) -> dict[str, Any]:
    """Return `standing` as plain values with every moment turned into its age at `at` (negative: still ahead)."""
    values: dict[str, Any] = _STANDING.dump_python(standing, mode="json")
    for name in MOMENTS:
        if values[name] is not None:
            values[name] = at - values[name]
    return values


def from_ages(values: Any, at: float) -> Standing:
    """Undo `as_ages`. Raises ValueError on what cannot be a standing; what it does not know is left out."""
    if not isinstance(values, dict):
        raise ValueError("no standing")  # noqa: TRY004 - the file is wrong, not the program
    known = {name: value for name, value in values.items() if name in _NAMES}
    standing = _STANDING.validate_python(known)
    moments: dict[str, float] = {}
    for name in MOMENTS & known.keys():
        age = getattr(standing, name)
        if age is None:
            continue
        if not math.isfinite(age):
            raise ValueError(f"{name} is no age: {age!r}")
        moments[name] = min(at, at - age) if name in PAST else at - age
    return replace(standing, **moments)  # type: ignore[arg-type]


def time_away(then: Moment, *, now_at: float, now_wall: datetime, boot_id: str, clock_trusted: bool) -> Away:
    """Return how much time surely passed since `then`."""
    if boot_id and boot_id == then.boot_id and now_at >= then.at:
        return Away(now_at - then.at, certain=True)
    wall = now_wall.timestamp()
    if clock_trusted and then.trusted and then.wall >= EARLIEST and wall >= then.wall:
        return Away(wall - then.wall, certain=True)
    return Away(0.0, certain=False)


def restore(
    saved: Saved,
    site: Site,
    fresh: State,
    *,
    now_at: float,
    now_wall: datetime,
    boot_id: str,
    clock_trusted: bool,
    reports: Mapping[str, Report] | None = None,
) -> State:
    """Return the state to go on with: `fresh` (a site about which nothing is known) with what was saved laid over it.

    `reports` are the real states as read just now, by load; a load without one is taken to do what its lease allows.
    A load is found by its name or, after a change of name, by the identity of its device.
    """
    seen = reports or {}
    today = now_wall.date().toordinal()

    def away(then: Moment) -> Away:
        return time_away(then, now_at=now_at, now_wall=now_wall, boot_id=boot_id, clock_trusted=clock_trusted)

    standings = []
    for load, blank in zip(site.loads, fresh.standings, strict=True):
        report = seen.get(load.name)
        row = _row_of(load.name, report, site, saved)
        if row is None:
            standings.append(blank)
            continue
        gone = away(row.moment)
        standing = _moved(row.standing, row.moment.at, now_at, gone)
        standing = _matched(load, standing, report, now_at, gone)
        standings.append(_of_today(load, standing, row.moment, today, gone, now_at))

    gone = away(saved.moment)
    old = saved.state
    outage_at = None if old.outage_since is None else now_at - gone.seconds - (saved.moment.at - old.outage_since)
    return replace(
        fresh,
        standings=tuple(standings),
        next_id=max(fresh.next_id, old.next_id),
        outage_since=fresh.outage_since if outage_at is None else min(now_at, outage_at),
        # What must have lasted begins again: the time away is no evidence.
        steady_since=None if old.steady_since is None else now_at,
        # Days only go forward: a clock that is behind at boot must not give back today's starts.
        day=max(today, saved.moment.day),
    )


def restore_wishes(
    saved: Saved, *, now_at: float, now_wall: datetime, boot_id: str, clock_trusted: bool
) -> tuple[AnyWish, ...]:
    """Return what people had asked for and what has not run out since."""
    then = saved.moment
    gone = time_away(then, now_at=now_at, now_wall=now_wall, boot_id=boot_id, clock_trusted=clock_trusted)
    moved = (
        wish if wish.until is None else replace(wish, until=now_at - gone.seconds + (wish.until - then.at))
        for wish in saved.wishes
    )
    return tuple(wish for wish in moved if wish.until is None or wish.until > now_at)


def _row_of(name: str, report: Report | None, site: Site, saved: Saved) -> SavedLoad | None:
    if name in saved.loads:
        return saved.loads[name]
    if report is None or report.identity is None:
        return None
    named = {load.name for load in site.loads}
    return next(
        (row for row in saved.loads.values() if row.identity == report.identity and row.name not in named), None
    )


def _moved(standing: Standing, then_at: float, now_at: float, gone: Away) -> Standing:
    """Bring the moments to the present clock; forget what was measured, and hold times, which are no evidence now."""
    ahead = (now_at - gone.seconds) - then_at
    moments = {
        name: min(now_at, value + ahead) if name in PAST else value + ahead
        for name in MOMENTS
        if (value := getattr(standing, name)) is not None
    }
    moved = replace(standing, **moments)
    forgotten = replace(moved, held_s=0.0, held_at=None, grid_before_w=None, measured_w=None)
    return replace(forgotten, command_id=None, missed=0, tallied_at=now_at)


def _matched(load: Load, standing: Standing, report: Report | None, now_at: float, gone: Away) -> Standing:
    """Settle what a load does by what was seen of it and, unseen, by whether its lease may have run out.

    What stays in doubt is a FAULT until it is seen. Only a hand that the device itself tells of counts as one here:
    while we were away a reboot or a command that was never written down may have switched it as well.
    """
    on = None if report is None else report.on
    phase = standing.phase
    if phase is FAULT:
        return standing
    if phase is OFF:
        by_hand = report is not None and report.source is Source.HAND
        return replace(standing, was_on=False if on is False or (on and by_hand) else None)
    if phase is STARTING:  # it may have, and a start in doubt counts
        standing = replace(standing, tally=replace(standing.tally, starts=standing.tally.starts + 1))
    if on is True:
        if phase is ON:
            return replace(standing, was_on=True)
        # The answer to the pending command never comes. A start surely succeeded by now; when, is not known.
        since = now_at if phase is STARTING or standing.switched_at is None else standing.switched_at
        return replace(standing, phase=ON, since=since, switched_at=since, was_on=True, wants_on=True)
    if on is False or _lease_may_be_over(load, gone):
        lease_s = math.inf if load.lease_s is None else load.lease_s
        off_since = now_at - max(0.0, gone.seconds - FLUSH_S - lease_s)
        return replace(
            standing,
            phase=OFF,
            since=off_since,
            switched_at=off_since,
            was_on=on,
            wants_on=False,
            holder=Holder.RULE,
            hand_until=None,
            settled_at=None,
            leaving_w=0.0,
        )
    return replace(
        standing,
        phase=FAULT,
        since=now_at,
        was_on=True if phase is ON else None,
        settled_at=None,
        leaving_w=0.0,
        retry_at=None,
        detail="not seen since loadctl was started again",
    )


def _lease_may_be_over(load: Load, gone: Away) -> bool:
    """Leases are renewed at a third, so within half of one it surely still holds."""
    if load.lease_s is None:
        return False
    return not gone.certain or gone.seconds >= load.lease_s / 2


def _of_today(load: Load, standing: Standing, then: Moment, today: int, gone: Away, now_at: float) -> Standing:
    """Begin the day's tallies anew on a day that is surely a later one; needs keep what they had by their marks."""
    if not gone.certain or today <= then.day:
        return standing
    return new_day_of(load, standing, now_at)
