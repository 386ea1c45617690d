"""What a person may ask of a load, in plain checks: which one, for how long."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from loadctl.core.values import Holder, Load, Site, State
from loadctl.errors import LoadctlError

LONGEST_S = 30 * 86400.0


def find(site: Site, name: str) -> int:
    """Return the place of a load in the rules. Raises LoadctlError that names the nearest one."""
    names = [rule.name for rule in site.loads]
    if name in names:
        return names.index(name)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}" if names else "the rules have none"
    raise LoadctlError(f"no load is named {name}: {hint}")


def span_of(rule: Load, for_s: float | None) -> float:
    """Return for how long a wish holds. Raises LoadctlError for what is no time to hold a load."""
    if for_s is None:
        return rule.hand_hold_s
    if not 1 <= for_s <= LONGEST_S:
        raise LoadctlError(
            f"{rule.name}: it can be held for a second to 30 days; what should last belongs in the rules"
        )
    return for_s


def released(state: State, index: int) -> State:
    """Return the state in which no hand holds the load any more."""
    standings = list(state.standings)
    if standings[index].holder is not Holder.HAND:
        return state
    standings[index] = replace(standings[index], holder=Holder.RULE, hand_until=None)
    return replace(state, standings=tuple(standings))
