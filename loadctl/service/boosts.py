"""What people ask for once: a boost of a load (`3 kWh by 17:00`), and peace while nobody is at home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from loadctl.config.dates import clock, spell_length
from loadctl.core.appliance import tallied
from loadctl.core.calendar import DAY_S, instant
from loadctl.core.needs import MARGIN_S, MARGIN_SHARE, left_s
from loadctl.core.rules import Clock, Level, Load, Mode, Need
from loadctl.core.values import OFF, Away, Boost, Mark, Standing, Wish
from loadctl.errors import LoadctlError
from loadctl.service.hands import People, find, mode_of, released, without
from loadctl.units import read, spell

LONGEST_BOOST_S = 7 * DAY_S
LONGEST_AWAY_S = 366 * DAY_S
LEAVES_S = 60.0  # after its deadline a boost is asked for no more


def boost(people: People, name: str, what: str, by: str | None) -> tuple[People, str]:
    """Give a load once what the rules do not, by a time; without one as soon as it can be. `off` takes it back.

    Raises LoadctlError, also for what cannot be done by then.
    """
    index = find(people.site, name)
    rule, standing = people.site.loads[index], people.state.standings[index]
    others = without(people.wishes, Boost, name)
    if what.strip().lower() == "off":
        if others == people.wishes:
            raise LoadctlError(f"{name}: it has no boost")
        return replace(people, wishes=others), f"{name}: no boost any more"
    if mode_of(people.wishes, rule) is Mode.OFF:
        raise LoadctlError(f"{name}: its mode is off, then it gets no boost: `loadctl mode {name} solar` first")
    goal, said = _goal(people, rule, what)
    takes_s = _takes_s(rule, standing, goal, people.at)
    at, due = _deadline(people, name, by, _soonest_s(rule, standing, takes_s, people.at))
    left = due - people.wall.timestamp()
    if by is not None and left < takes_s and not goal.full and goal.level is None:
        raise LoadctlError(_too_much(rule, goal, said, takes_s, left, people.wall))
    day = datetime.fromtimestamp(due, people.wall.tzinfo).toordinal()
    wish = Boost(name, replace(goal, by=at), day, people.at + left + LEAVES_S)
    if any(isinstance(held, Wish) and held.load == name and not held.on for held in people.wishes):
        people, others = released(people, index), without(others, Wish, name)
    when = f"{datetime.fromtimestamp(due, people.wall.tzinfo):%a %H:%M}"
    now = "" if by is not None else "from now on, "
    return replace(people, wishes=(*others, wish)), f"{name}: {said} {now}by {when}, sun or no sun"


def away(people: People, until: str) -> tuple[People, str]:
    """Have needs wait until a moment (`2025-08-12`, `2025-08-12 18:00`), for a time (`+10 d`) or until told (`on`).

    `off`: somebody is at home. Raises LoadctlError.
    """
    others, text = without(people.wishes, Away), until.strip()
    if text.lower() == "off":
        return replace(people, wishes=others), "at home: needs are met again"
    if text.lower() == "on":
        return replace(people, wishes=(*others, Away())), "away: needs wait until `loadctl away off`"
    end = _day(people.wall, text)
    left = end.timestamp() - people.wall.timestamp()
    if left <= 0:
        raise LoadctlError(f"{end:%Y-%m-%d %H:%M} is over: name a moment that is yet to come")
    if left > LONGEST_AWAY_S:
        raise LoadctlError("away for more than a year: `loadctl away on` has no end")
    return replace(people, wishes=(*others, Away(people.at + left))), f"away: needs wait until {end:%a %Y-%m-%d %H:%M}"


def _goal(people: People, rule: Load, what: str) -> tuple[Need, str]:
    """Return the need without its deadline, and how to say it."""
    text, by = what.strip(), Clock()
    if text.lower() == "full":
        return Need(by, full=True), "full"
    for unit in ("Wh", "s", "°C", "%"):
        try:
            value = read(text, unit)
        except ValueError:
            continue
        if value <= 0:
            raise LoadctlError(f"{rule.name}: {text} is nothing to give: write more than that, or `off`")
        said = spell(value, unit)
        if unit == "Wh":
            return Need(by, energy_wh=value), said
        if unit == "s":
            return Need(by, runtime_s=value), said
        level, takes_s = _same_level(rule, people.house.units, unit)
        return Need(by, level=replace(level, target=value), takes_s=takes_s), said
    raise LoadctlError(f"{rule.name}: `{text[:40]}` is nothing that can be given: write `3 kWh`, `2 h` or `full`")


def _same_level(rule: Load, units: Mapping[str, str], unit: str) -> tuple[Level, float]:
    """Return where the load's needs measure what is in `unit`, and how long they allow. Raises LoadctlError."""
    for need in rule.needs:
        if need.level is not None and units.get(need.level.input) == unit:
            return need.level, need.takes_s
    raise LoadctlError(f"{rule.name}: no need in its rules says where to measure that: write `3 kWh`, `2 h` or `full`")


def _takes_s(rule: Load, standing: Standing, goal: Need, at: float) -> float:
    return left_s(rule, standing, Mark(goal, 0.0, tallied(rule, standing, at)), at, {})


def _soonest_s(rule: Load, standing: Standing, takes_s: float, at: float) -> float:
    """Return after how long it can be done, if it begins as soon as the load may."""
    rests_s = 0.0
    if standing.phase is OFF and standing.switched_at is not None:
        rests_s = max(0.0, rule.min_off_s - (at - standing.switched_at))
    return rests_s + takes_s * (1 + MARGIN_SHARE) + MARGIN_S


def _deadline(people: People, name: str, by: str | None, soonest_s: float) -> tuple[Clock, float]:
    """Return the deadline as a clock's time and as a POSIX timestamp."""
    text = "" if by is None else by.strip()
    if by is not None and not text.startswith("+"):
        try:
            at = clock(text)
        except ValueError as error:
            raise LoadctlError(f"{name}: {error}; or after a time like `+2 h`") from error
        return at, _next(people, at)
    span_s = soonest_s
    if by is not None:
        try:
            span_s = read(text[1:], "s")
        except ValueError as error:
            raise LoadctlError(f"{name}: {error}") from error
    if not 60 <= span_s <= LONGEST_BOOST_S:
        raise LoadctlError(f"{name}: {spell_length(span_s)} from now: name a time between a minute and 7 days")
    end = _later(people.wall, span_s).replace(second=0, microsecond=0)
    at = Clock(end.time())
    return at, _instant(people, at, end.toordinal())


def _next(people: People, at: Clock) -> float:
    today = people.wall.toordinal()
    dues = (_instant(people, at, day) for day in range(today, today + 3))
    return next(due for due in dues if due > people.wall.timestamp() + 1)


def _instant(people: People, at: Clock, day: int) -> float:
    return instant(at, day, people.house.zone, people.daylight)


def _too_much(rule: Load, goal: Need, said: str, takes_s: float, left: float, wall: datetime) -> str:
    if takes_s > LONGEST_BOOST_S:
        return f"{rule.name}: {said} takes {spell_length(takes_s)}, and a boost is over within 7 days"
    done_at = _later(wall, takes_s * (1 + MARGIN_SHARE) + MARGIN_S + 60)
    least = "" if goal.energy_wh is None else f" at {spell(round(goal.energy_wh * 3600 / takes_s), 'W')}"
    fits = left // 60 * 60
    less = spell_length(fits) if goal.energy_wh is None else spell(goal.energy_wh * fits / takes_s // 100 * 100, "Wh")
    takes, there = spell_length(takes_s), spell_length(fits)
    return f"{rule.name}: {said} takes {takes}{least}, and {there} are left: `--by {done_at:%H:%M}`, or {less}"


def _later(wall: datetime, seconds: float) -> datetime:
    """Return the moment so much later, also over a change of the clocks."""
    return datetime.fromtimestamp(wall.timestamp() + seconds, wall.tzinfo)


def _day(wall: datetime, text: str) -> datetime:
    if text.startswith("+"):
        try:
            return _later(wall, read(text[1:], "s"))
        except (ValueError, OverflowError) as error:
            raise LoadctlError(f"away for how long? {error}") from error
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        example = (wall + timedelta(days=10)).strftime("%Y-%m-%d")
        raise LoadctlError(f"`{text[:40]}` is no day: write `{example}`, or `for 10 d`") from error
    return end if end.tzinfo is not None else end.replace(tzinfo=wall.tzinfo)
