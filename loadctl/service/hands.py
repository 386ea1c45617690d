"""What a person may ask of a load, in plain checks: to hold it on or off, to run it in a mode.

The latest word counts: a mode ends an override, a boost ends one that holds the load off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loadctl.config import House
from loadctl.config.findings import no_load
from loadctl.core.rules import Load, Mode, Site
from loadctl.core.values import AnyWish, Away, Daylight, Holder, ModeWish, State, Wish
from loadctl.errors import LoadctlError

LONGEST_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class People:
    """What people ask for, and of which house: at `at` (monotonic) and `wall`, the site's time."""

    house: House
    state: State
    wishes: tuple[AnyWish, ...]
    at: float
    wall: datetime
    daylight: Mapping[int, Daylight] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return self.house.site


def find(site: Site, name: str) -> int:
    """Return the place of a load in the rules. Raises LoadctlError that names the nearest one."""
    return pick([rule.name for rule in site.loads], name)


def pick(names: Sequence[str], name: str) -> int:
    """Return the place of `name` among the names of loads. Raises LoadctlError that names the nearest one."""
    if name in names:
        return names.index(name)
    raise LoadctlError(no_load(name, names))


def override(people: People, name: str, on: bool | None, for_s: float | None) -> tuple[People, str]:
    """Hold a load on or off or, None, give it back to its rules. Raises LoadctlError."""
    index = find(people.site, name)
    if on is None:
        return released(people, index), f"{name}: back to its rules"
    hold_s = span_of(people.site.loads[index], for_s)
    people = replace(people, wishes=(*without(people.wishes, Wish, name), Wish(name, on, people.at + hold_s)))
    until = people.wall + timedelta(seconds=hold_s)
    return people, f"{name}: held {'on' if on else 'off'} until {until:%a %H:%M}, then its rules decide again"


def choose(people: People, name: str, mode: Mode | None) -> tuple[People, str]:
    """Run a load in a mode until another is chosen or, None, as its rules say. Raises LoadctlError."""
    index = find(people.site, name)
    rule = people.site.loads[index]
    if mode not in (None, *modes(rule)):
        known = ", ".join(modes(rule))
        raise LoadctlError(f"{name}: it is only on or off, there is no {mode} for it: choose one of {known}")
    people = released(people, index)
    wishes = without(people.wishes, ModeWish, name)
    if mode is None:
        return replace(people, wishes=wishes), f"{name}: {rule.mode}, as its rules say"
    return replace(people, wishes=(*wishes, ModeWish(name, mode))), f"{name}: {mode}, until another mode is chosen"


def modes(rule: Load) -> tuple[Mode, ...]:
    """Return the modes that a load knows."""
    return tuple(mode for mode in Mode if mode is not Mode.SOLAR_MIN or rule.follow is not None)


def mode_of(wishes: Iterable[AnyWish], rule: Load) -> Mode:
    """Return the mode that a load is in: as a person chose, else as its rules say."""
    chosen = (wish.mode for wish in wishes if isinstance(wish, ModeWish) and wish.load == rule.name)
    return next(chosen, rule.mode)


def span_of(rule: Load, for_s: float | None) -> float:
    """Return for how long a wish holds. Raises LoadctlError for what is no time to hold a load."""
    if for_s is None:
        return rule.hand_hold_s
    if not 1 <= for_s <= LONGEST_S:
        raise LoadctlError(
            f"{rule.name}: it can be held for a second to 30 days; what should last belongs in the rules"
        )
    return for_s


def released(people: People, index: int) -> People:
    """Return what is asked for when no hand holds the load any more."""
    people = replace(people, wishes=without(people.wishes, Wish, people.site.loads[index].name))
    standings = list(people.state.standings)
    if standings[index].holder is not Holder.HAND:
        return people
    standings[index] = replace(standings[index], holder=Holder.RULE, hand_until=None)
    return replace(people, state=replace(people.state, standings=tuple(standings), calm=None))


def without(wishes: Iterable[AnyWish], kind: type[AnyWish], name: str | None = None) -> tuple[AnyWish, ...]:
    """Return the wishes that are not of this kind, or of another load."""
    return tuple(wish for wish in wishes if _about(wish) != (kind, name))


def merged(latest: tuple[AnyWish, ...], former: tuple[AnyWish, ...]) -> tuple[AnyWish, ...]:
    """Return all wishes, those of `former` that nobody said anything newer about first."""
    known = {_about(wish) for wish in latest}
    return (*(wish for wish in former if _about(wish) not in known), *latest)


def _about(wish: AnyWish) -> tuple[type[AnyWish], str | None]:
    return type(wish), None if isinstance(wish, Away) else wish.load
