"""The short forms of the rule file: `1.5 kW for 1 min`, `import 800 W for 2 min`, `6 kWh by 18:00`, `6..16 A`.

Each function turns the short form into the long one (a dict) and hands on what is no text, so that both are checked by
the same code. All raise ValueError with a sentence that names the right spelling.
"""

from __future__ import annotations

import re
from typing import Any

from loadctl import units
from loadctl.config import dates
from loadctl.core.calendar import in_season
from loadctl.core.rules import Season

_STOP = re.compile(r"(import|export)(?:ing|s)?\s+(.+)", re.IGNORECASE)
_SPAN = re.compile(r"(.+?)\s*(?:\.\.+|…|–|—|-|\bto\b)\s*(.+)")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_SPANS = {"A": "6..16 A", "W": "0.3..3 kW"}
_BY = re.compile(r"(\bby\b|\buntil\b|\bbefore\b|$)")
_ALWAYS = re.compile(r"(.*?)\s*\balways\b\s*(.*)", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d{1,9}")
_LITRES = re.compile(r"(\d+(?:\.\d+)?)\s*(?:l|litres?|liters?)", re.IGNORECASE)

# What editors accept for the short forms; `check` understands a little more.
START_PATTERN = rf"^({units.pattern('W')}|{units.pattern('%')})( for {units.pattern('s')})?$"
STOP_PATTERN = rf"^(import|export) {units.pattern('W')}( for {units.pattern('s')})?$"
_NEEDED = "|".join((*(units.pattern(unit) for unit in ("Wh", "s", "°C", "%")), "full"))
_LEVEL = f"({units.pattern('°C')}|{units.pattern('%')})"
NEED_PATTERN = rf"^(({_NEEDED}) by {dates.CLOCK_PATTERN}{dates.ON_PATTERN}|{_LEVEL} always)$"
BAND_PATTERN = rf"^{_LEVEL}$"
DAILY_PATTERN = rf"^({units.pattern('Wh')}|{units.pattern('s')})$"


def start(value: object) -> Any:
    """`1.5 kW for 1 min`, `70 % for 1 min` -> {surplus or share, for}."""
    if not isinstance(value, str):
        return _long(value, "1.5 kW for 1 min")
    what, held = _held(value)
    if what.endswith("%"):
        units.read(what, "%")
        return {"share": what, **held}
    units.read(what, "W")
    return {"surplus": what, **held}


def stop(value: object) -> Any:
    """`import 800 W for 2 min`, `export 200 W` -> {import or export, for}."""
    if not isinstance(value, str):
        return _long(value, "import 800 W for 2 min")
    what, held = _held(value)
    found = _STOP.fullmatch(what)
    if not found:
        units.read(what, "W")
        raise ValueError(
            f"write `import {what}` (stop when the house draws more than that from the grid) or "
            f"`export {what}` (stop when it feeds in less than that)"
        )
    units.read(found[2], "W")
    return {found[1].lower(): found[2], **held}


def between(value: object) -> Any:
    """`09:00-19:00`, `sunrise + 1 h to sunset` -> {from, to}."""
    return dates.between(value) if isinstance(value, str) else _long(value, "09:00-19:00")


def need(value: object) -> Any:
    """`6 kWh by 18:00`, `4 h by sunset on sat, sun in may-sep`, `full by 18:00`, `8 °C always` -> {energy (or another),
    by, days, season, always}.
    """
    if not isinstance(value, str):
        return _to_the_end_of_the_day(_long(value, "6 kWh by 18:00"))
    if always := _ALWAYS.fullmatch(value.strip()):
        return _floor(always[1], always[2])
    what, separator, by = (part.strip() for part in _BY.split(value, maxsplit=1))
    by, found = dates.on_days(by)
    if not separator:
        raise ValueError(f"`{value[:40]}`: until when? write it like `{what or '4 h'} by 18:00`")
    if not what:
        raise ValueError(f"`{value[:40]}`: what by then? write it like `4 h {value.strip()}` or `full {value.strip()}`")
    if _NUMBER.fullmatch(what):
        raise ValueError(f"`{what}` has no unit: write `{what} kWh by {by}` or `{what} h by {by}`")
    dates.clock(by)
    return _to_the_end_of_the_day({**_meant(what), "by": by, **found})


def _floor(what: str, more: str) -> Any:
    if not what or more:
        raise ValueError(f"`always` stands at the end, such as `{what or '8 °C'} always`; nothing goes with it")
    if _NUMBER.fullmatch(what):
        raise ValueError(f"`{what}` has no unit: write `{what} °C always` or `{what} % always`")
    if _BY.split(what, maxsplit=1)[1]:
        raise ValueError("`by` and `always` contradict each other; keep one of them")
    return {**_meant(what), "always": True}


def _to_the_end_of_the_day(value: Any) -> Any:
    """`by 24:00 on sat` -> the first moment of Sunday; seasons likewise."""
    if str(value.get("by")).strip() != "24:00":
        return value
    moved = dict(value)
    if "days" in value:
        moved["days"] = dates.sorted_names(frozenset((day + 1) % 7 for day in dates.days(value["days"])))
    if "season" in value:
        moved["season"] = dates.spell_season(dates.a_day_later(dates.season(value["season"])))
    return moved


def _meant(what: str) -> dict[str, Any]:
    return {"full": True} if what.lower() == "full" else {_needed(what): what}


def _needed(what: str) -> str:
    """Tell a duration, a temperature and a charge from an energy by the unit."""
    for key, unit in (("runtime", "s"), ("temperature", "°C"), ("soc", "%")):
        try:
            units.read(what, unit)
        except ValueError:
            continue
        return key
    units.read(what, "Wh")
    return "energy"


def daily(value: object) -> Any:
    """`4 h`, `6 kWh`, a list of both -> {runtime, energy}."""
    items = [item for item in listed(value) if isinstance(item, str)]
    if not items or len(items) != len(listed(value)):
        return _long(value, "4 h")
    found: dict[str, str] = {}
    for item in items:
        key = _needed(item)
        if key not in {"energy", "runtime"}:
            raise ValueError(
                f"`{item[:40]}`: the most for a day is a time or an energy; write it like `4 h` or `6 kWh`"
            )
        if key in found:
            raise ValueError(f"`{found[key]}` and `{item}` say the same; keep one of them")
        found[key] = item
    return found


def when(value: object) -> Any:
    """`tank < 60 °C` -> {if}."""
    return {"if": value} if isinstance(value, str) else _long(value, "tank < 60 °C")


def span(value: object, unit: str, least: float) -> tuple[float | None, float]:
    """Read `6..16 A` as (6, 16) and `16 A` as (None, 16); the first one may do without its unit."""
    if not isinstance(value, str):
        return None, units.Unit(unit, least).read(value)
    found = _SPAN.fullmatch(value.strip())
    if not found:
        return None, units.Unit(unit, least).read(value)
    most = units.Unit(unit, least).read(found[2])
    first = found[1].strip()
    if _NUMBER.fullmatch(first):
        first = f"{first} {re.sub(r'[^A-Za-z]', '', found[2])}"
    low = units.Unit(unit, least).read(first)
    if low > most:
        raise ValueError(f"`{value[:40]}`: the smaller one comes first, such as `{_SPANS[unit]}`")
    return low, most


def span_pattern(unit: str) -> str:
    """Return the regular expression of the spellings of a span that editors accept."""
    return rf"^(\d+(\.\d+)?( ?k?{unit})?\.\.)?{units.pattern(unit)}$"


def band(value: object) -> tuple[float, str]:
    """Read `1 °C` or `3 %`; the unit tells what it is of."""
    for unit, most in (("°C", 20.0), ("%", 50.0)):
        try:
            units.read(str(value), unit)
        except ValueError:
            continue
        return units.Unit(unit, least=0.1, most=most).read(value), unit
    raise ValueError("how much more than the floor? write it like `1 °C` or `3 %`")


def priority(value: object) -> tuple[tuple[int, Season | None], ...]:
    """Read `2` or `{1: apr-sep, 3: oct-mar}`, one rank for each part of the year."""
    if not isinstance(value, dict):
        return ((_rank(value), None),)
    if not value:
        raise ValueError("write `1`, or with the parts of the year `{1: apr-sep, 3: oct-mar}`")
    found = tuple((_rank(rank), season) for rank, said in value.items() for season in map(dates.season, listed(said)))
    for day in dates.A_YEAR:
        both = [dates.spell_season(season) for _, season in found if in_season(season, day)]
        if len(both) > 1:
            raise ValueError(f"`{both[0]}` and `{both[1]}` share days; each day has one priority")
    return found


def _rank(value: object) -> int:
    whole = _WHOLE.fullmatch(str(value))  # a key is text
    if isinstance(value, bool) or not whole:
        raise ValueError("a whole number is meant here, or with the parts of the year `{1: apr-sep, 3: oct-mar}`")
    if not 1 <= int(whole[0]) <= 1000:
        raise ValueError("a number from 1 (most important) to 1000 is meant here")
    return int(whole[0])


def every(value: object) -> Any:
    """`7 d` -> 7 days."""
    seconds = units.Unit("s", least=86400, most=60 * 86400).read(value)
    if seconds % 86400:
        raise ValueError(f"`{value}`: whole days are meant, such as `7 d`")
    return round(seconds / 86400)


def litres(value: object) -> Any:
    """`300` or `300 l`."""
    if not isinstance(value, str):
        return value
    found = _LITRES.fullmatch(value.strip())
    if not found:
        raise ValueError(f"`{value[:40]}`: write the litres of the tank as a number, such as `300`")
    return float(found[1])


def listed(value: object) -> Any:
    """One or a list of them -> a list."""
    return value if isinstance(value, list) else [value]


def _held(text: str) -> tuple[str, dict[str, str]]:
    what, separator, duration = (part.strip() for part in re.split(r"(\bfor\b|$)", text, maxsplit=1))
    if not separator:
        return what, {}
    units.read(duration, "s")
    return what, {"for": duration}


def _long(value: object, example: str) -> object:
    if isinstance(value, dict):
        return value
    raise ValueError(f"write it like `{example}`")
