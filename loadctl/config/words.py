"""The short forms of the rule file: `1.5 kW for 1 min`, `import 800 W for 2 min`, `09:00-19:00`, `6 kWh by 18:00`.

Each function turns the short form into the long one (a dict) and hands on what is no text, so that both are checked by
the same code. All raise ValueError with a sentence that names the right spelling.
"""

from __future__ import annotations

import re
from datetime import time
from typing import Any

from loadctl.config.findings import nearest
from loadctl.core import units

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00)?")
_ODD_CLOCK = re.compile(r"(\d{1,2})(?:[.h:]?(\d{2}))?\s*(?:h|hrs|uhr|o'clock)?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)
_RANGE = re.compile(r"(.+?)\s*(?:-|–|—|\bto\b|\buntil\b)\s*(.+)")
_STOP = re.compile(r"(import|export)(?:ing|s)?\s+(.+)", re.IGNORECASE)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_WORDS = {
    **{name: {day} for day, name in enumerate(DAYS)},
    **{name: {day} for day, name in enumerate(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))},
    "weekdays": {0, 1, 2, 3, 4},
    "weekend": {5, 6},
    "daily": set(range(7)),
}  # fmt: skip

# What editors accept for the short forms; `check` understands a little more.
CLOCK_PATTERN = r"([01]?\d|2[0-3]):[0-5]\d"
START_PATTERN = rf"^{units.pattern('W')}( for {units.pattern('s')})?$"
STOP_PATTERN = rf"^(import|export) {units.pattern('W')}( for {units.pattern('s')})?$"
BETWEEN_PATTERN = rf"^{CLOCK_PATTERN} ?- ?({CLOCK_PATTERN}|24:00)$"
NEED_PATTERN = rf"^({units.pattern('Wh')}|{units.pattern('s')}) by {CLOCK_PATTERN}$"


def clock(value: object) -> time:
    """Read a time of day; 24:00 is midnight."""
    if isinstance(value, time):
        return value
    text = str(value).strip()
    if isinstance(value, str | int) and not isinstance(value, bool):
        if text == "24:00":
            return time(0)
        found = _CLOCK.fullmatch(text)
        if found and int(found[1]) < 24 and int(found[2]) < 60:
            return time(int(found[1]), int(found[2]))
        if odd := _ODD_CLOCK.fullmatch(text):
            hour, minute = int(odd[1]), int(odd[2] or 0)
            if odd[3] and 1 <= hour <= 12:
                hour = hour % 12 + (12 if odd[3] in "pP" else 0)
            if hour < 24 and minute < 60:
                raise ValueError(f"`{text}`: a time of day is written `{hour:02}:{minute:02}`")
        raise ValueError(f"`{text[:40]}` is not a time of day; write it like `18:00`")
    raise ValueError("a time of day is meant, such as `18:00`")


def days(value: object) -> frozenset[int]:
    """Read one day or a list of days; Monday is 0."""
    if isinstance(value, frozenset):
        return value
    words = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError("days are written `[mon, sat]`")
    found: set[int] = set()
    for word in words:
        if word.lower() not in _DAY_WORDS:
            raise ValueError(f"`{word[:20]}` is not a day: {nearest(word[:20], _DAY_WORDS)}")
        found |= _DAY_WORDS[word.lower()]
    return frozenset(found)


def start(value: object) -> Any:
    """`1.5 kW for 1 min` -> {surplus, for}."""
    if not isinstance(value, str):
        return _long(value, "1.5 kW for 1 min")
    what, held = _held(value)
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
    """`09:00-19:00` -> {from, to}."""
    if not isinstance(value, str):
        return _long(value, "09:00-19:00")
    found = _RANGE.fullmatch(value.strip())
    if not found:
        raise ValueError(f"`{value[:40]}`: hours are written `09:00-19:00`")
    clock(found[1])
    clock(found[2])
    return {"from": found[1], "to": found[2]}


def need(value: object) -> Any:
    """`6 kWh by 18:00`, `4 h by 19:00` -> {energy or runtime, by}."""
    if not isinstance(value, str):
        return _long(value, "6 kWh by 18:00")
    what, separator, by = (part.strip() for part in re.split(r"(\bby\b|\buntil\b|\bbefore\b|$)", value, maxsplit=1))
    if not separator:
        raise ValueError(f"`{value[:40]}`: until when? write it like `{what or '4 h'} by 18:00`")
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", what):
        raise ValueError(f"`{what}` has no unit: write `{what} kWh by 18:00` or `{what} h by 18:00`")
    clock(by)
    try:
        units.read(what, "s")
    except ValueError:
        units.read(what, "Wh")
        return {"energy": what, "by": by}
    return {"runtime": what, "by": by}


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
