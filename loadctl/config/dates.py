"""Times, days and seasons as people write them: `18:00`, `sunset - 30 min`, `mon-fri`, `15 oct - 31 mar`.

All raise ValueError with a sentence that names the right spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Any

from loadctl import units
from loadctl.config.findings import nearest
from loadctl.core.calendar import in_season
from loadctl.core.rules import Clock, Season

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

A_YEAR = range(date(2028, 1, 1).toordinal(), date(2029, 1, 1).toordinal())  # one with all days that there can be

_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_WORDS = {
    **{name: {day} for day, name in enumerate(DAYS)},
    **{name: {day} for day, name in enumerate(_DAY_NAMES)},
    "weekdays": {0, 1, 2, 3, 4},
    "weekend": {5, 6},
    "daily": set(range(7)),
}
_MONTH_NAMES = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
                "november", "december")  # fmt: skip
_MONTH_WORDS = {name: month for names in (MONTHS, _MONTH_NAMES) for month, name in enumerate(names, 1)} | {"sept": 9}
_LAST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00)?")
_ODD_CLOCK = re.compile(r"(\d{1,2})(?:[.h:]?(\d{2}))?\s*(?:h|hrs|uhr|o'clock)?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)
_SUN = re.compile(r"(sunrise|sunset)(?:\s*([+-])\s*(.+))?", re.IGNORECASE)
_SUN_SAID = re.compile(r"(.+?)\s+(before|after)\s+(sunrise|sunset)", re.IGNORECASE)
_SUN_WORDS = {"sunup": "sunrise", "dawn": "sunrise", "sundown": "sunset", "dusk": "sunset"}
_CLOCK_WORDS = {"noon": "12:00", "midday": "12:00", "midnight": "00:00"}
_MOST_OFFSET_S = 6 * 3600.0

_TO = re.compile(r"\s*(?:–|—|\bto\b|\buntil\b)\s*")
_ON = re.compile(r"(?:,|\band\b)?\s*\b(on|in)\b", re.IGNORECASE)
_DAY_OF_MONTH = re.compile(r"(?:(\d{1,2})\.?\s+)?([a-z]+)(?:\s+(\d{1,2}))?", re.IGNORECASE)

# What editors accept for the short forms; `check` understands a little more.
_TIME = r"([01]?\d|2[0-3]):[0-5]\d"
_SUN_PATTERN = rf"(sunrise|sunset)( ?[+-] ?{units.pattern('s')})?"
CLOCK_PATTERN = rf"({_TIME}|24:00|{_SUN_PATTERN})"
_DAY_PATTERN = "(" + "|".join((*DAYS, "weekdays", "weekend", "daily")) + ")"
DAYS_PATTERN = rf"({_DAY_PATTERN}|{_DAY_PATTERN}-{_DAY_PATTERN})(, ?{_DAY_PATTERN})*"
_DATE_PATTERN = rf"([0-3]?\d )?({'|'.join(MONTHS)})"
SEASON_PATTERN = rf"{_DATE_PATTERN}( ?- ?{_DATE_PATTERN})?"
ON_PATTERN = rf"( on {DAYS_PATTERN})?( in {SEASON_PATTERN})?"
BETWEEN_PATTERN = rf"^({_TIME} ?- ?({_TIME}|24:00)|{CLOCK_PATTERN} to {CLOCK_PATTERN}){ON_PATTERN}$"


def clock(value: object) -> Clock:
    """Read a moment of the day: `18:00`, `24:00` (midnight), `sunrise`, `sunset - 30 min`."""
    if isinstance(value, Clock):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a time of day is meant, such as `18:00`")  # noqa: TRY004 - pydantic tells ValueErrors
    text = str(value).strip()
    if text == "24:00":
        return Clock(time(0))
    found = _CLOCK.fullmatch(text)
    if found and int(found[1]) < 24 and int(found[2]) < 60:
        return Clock(time(int(found[1]), int(found[2])))
    if sun := _SUN.fullmatch(text):
        return _by_the_sun(sun[1], sun[2], sun[3], text)
    if said := _SUN_SAID.fullmatch(text):
        return _by_the_sun(said[3], "+" if said[2].lower() == "after" else "-", said[1], text)
    better = _CLOCK_WORDS.get(text.lower()) or _SUN_WORDS.get(text.lower())
    if better:
        raise ValueError(f"`{text}`: write `{better}`")
    if odd := _ODD_CLOCK.fullmatch(text):
        hour, minute = int(odd[1]), int(odd[2] or 0)
        if odd[3] and 1 <= hour <= 12:
            hour = hour % 12 + (12 if odd[3] in "pP" else 0)
        if hour < 24 and minute < 60:
            raise ValueError(f"`{text}`: a time of day is written `{hour:02}:{minute:02}`")
    raise ValueError(f"`{text[:40]}` is not a time of day; write it like `18:00` or `sunset - 30 min`")


def spell_clock(at: Clock, *, end: bool = False) -> str:
    """Write a moment of the day as in the file; `end`: midnight is the end of a day."""
    if at.sun is None:
        return "24:00" if end and at.time == time(0) else f"{at.time:%H:%M}"
    if not at.offset_s:
        return at.sun
    return f"{at.sun} {'+' if at.offset_s > 0 else '-'} {units.spell(abs(at.offset_s), 's')}"


def spell_length(seconds: float) -> str:
    """Write a length of hours and minutes: `2 h 30 min`."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours and minutes else units.spell(round(seconds / 60) * 60.0, "s")


def days(value: object) -> frozenset[int]:
    """Read one day or some of them: `sat`, `mon-fri`, `sat, sun`, `[mon, sat]`; Monday is 0."""
    if isinstance(value, frozenset):
        return value
    if isinstance(value, str):
        value = re.split(r"\s*(?:,|\band\b)\s*|(?<![-–])\s+(?![-–])", value.strip())
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise ValueError("days are written `[mon, sat]`, `mon-fri` or `weekend`")
    return frozenset(day for word in value for day in _days(word.strip().lower()))


def season(value: object) -> Season:
    """Read `may-sep`, `may` or `15 oct - 31 mar`; both ends are part of it."""
    if isinstance(value, Season):
        return value
    if not isinstance(value, str):
        raise ValueError("a season is written `may-sep` or `15 oct - 31 mar`")  # noqa: TRY004
    text = value.strip()
    if text.lower() in {"summer", "winter", "spring", "autumn", "fall"}:
        raise ValueError(
            f"`{text}` is another time in the south than in the north; write the months, such as `may-sep`"
        )
    parts = re.split(r"\s*(?:-|–|—|\bto\b|\buntil\b)\s*", text)
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"`{text[:40]}`: a season is written `may-sep` or `15 oct - 31 mar`")
    (start, from_day), (end, to_day) = _date(parts[0]), _date(parts[-1])
    return Season((start, from_day or 1), (end, to_day or _LAST_DAY[end - 1]))


def spell_season(found: Season) -> str:
    """Write a season as in the file."""
    (start, from_day), (end, to_day) = found.start, found.end
    first = f"{'' if from_day == 1 else f'{from_day} '}{MONTHS[start - 1]}"
    last = f"{'' if to_day == _LAST_DAY[end - 1] else f'{to_day} '}{MONTHS[end - 1]}"
    return first if first == last else f"{first} - {last}" if " " in first + last else f"{first}-{last}"


def shortest(found: Season) -> int:
    """Return how many days the season has in a year without a 29 February."""
    first = date(2027, 1, 1).toordinal()
    return sum(in_season(found, day) for day in range(first, first + 365))


def a_day_later(found: Season) -> Season:
    """Return the season that begins and ends a day later."""
    first, last = (date(2028, *end) + timedelta(days=1) for end in (found.start, found.end))
    return Season((first.month, first.day), (last.month, last.day))


def between(text: str) -> dict[str, Any]:
    """`09:00-19:00`, `sunrise + 1 h to sunset`, `09:00-19:00 on weekdays in may-sep` -> {from, to, days, season}."""
    text, found = on_days(text)
    parts: Sequence[str] = [part.strip() for part in _TO.split(text)]
    if len(parts) != 2:
        parts = _at_a_dash(text)
    for part in parts:
        clock(part)
    return {"from": parts[0], "to": parts[1], **found}


def on_days(text: str) -> tuple[str, dict[str, Any]]:
    """Split `… on sat, sun in may-sep` into what stands before and {days, season}."""
    what, *rest = (part.strip() for part in _ON.split(text))
    found: dict[str, Any] = {}
    for word, said in zip(rest[::2], rest[1::2], strict=True):
        key = "days" if word.lower() == "on" else "season"
        if key in found:
            raise ValueError(f"`{text.strip()[:40]}`: `{word}` stands here twice")
        found[key] = sorted_names(days(said)) if key == "days" else spell_season(season(said))
    return what, found


def sorted_names(found: frozenset[int]) -> list[str]:
    """Name the days, Monday first."""
    return [DAYS[day] for day in sorted(found)]


def _at_a_dash(text: str) -> Sequence[str]:
    """Find the dash that parts two times of day; that of `sunset - 30 min` is none."""
    splits = [(text[: dash.start()].strip(), text[dash.end() :].strip()) for dash in re.finditer("-", text)]
    for split in splits:
        if all(_is_clock(part) for part in split):
            return split
    if not splits or not any(part[:1].isdigit() or _SUN.match(part) for split in splits for part in split):
        raise ValueError(f"`{text[:40]}`: hours are written `09:00-19:00` or `sunrise + 1 h to sunset`")
    return splits[0]


def _is_clock(text: str) -> bool:
    try:
        clock(text)
    except ValueError:
        return False
    return True


def _by_the_sun(sun: str, sign: str | None, offset: str | None, text: str) -> Clock:
    offset_s = units.read(offset, "s") if offset else 0.0
    if offset_s > _MOST_OFFSET_S:
        raise ValueError(f"`{text[:40]}` is more than {units.spell(_MOST_OFFSET_S, 's')} away; write a time of day")
    return Clock(
        sun="sunrise" if sun.lower() == "sunrise" else "sunset", offset_s=-offset_s if sign == "-" else offset_s
    )


def _days(word: str) -> set[int]:
    first, dash, last = (part.strip() for part in re.split(r"([-–]|$)", word, maxsplit=1))
    for name in (first, last) if dash else (first,):
        if name not in _DAY_WORDS:
            raise ValueError(f"`{name[:20]}` is not a day: {nearest(name[:20], _DAY_WORDS)}")
    if not dash:
        return _DAY_WORDS[first]
    if len(_DAY_WORDS[first]) > 1 or len(_DAY_WORDS[last]) > 1:
        raise ValueError(f"`{word[:20]}`: days are written `mon-fri` or `[mon, sat]`")
    begin, end = min(_DAY_WORDS[first]), min(_DAY_WORDS[last])
    return {(begin + ahead) % 7 for ahead in range((end - begin) % 7 + 1)}


def _date(text: str) -> tuple[int, int | None]:
    found = _DAY_OF_MONTH.fullmatch(text)
    if not found or (found[1] and found[3]):
        raise ValueError(f"`{text[:20]}` is not a day of the year; write it like `15 oct` or `may`")
    month = _MONTH_WORDS.get(found[2].lower())
    if month is None:
        raise ValueError(f"`{found[2][:20]}` is not a month: {nearest(found[2][:20], _MONTH_WORDS)}")
    written = found[1] or found[3]
    if written and not 1 <= int(written) <= _LAST_DAY[month - 1]:
        raise ValueError(f"`{text[:20]}`: {_MONTH_NAMES[month - 1]} has no such day")
    return month, int(written) if written else None
