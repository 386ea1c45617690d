"""Quantities as a householder writes them: `1.5 kW`, `10 min`, `6 kWh`, `16 A`, `30 %`, `60 °C`, `0.12/kWh`.

`read` turns text into a number of the base unit (W, Wh, s, A, V, %, °C, /kWh, °), `spell` turns a number back into
text. Where only one meaning is possible (`2kW`, `2 KW`, `5 minutes`, `1 h 30 min`) it is understood; anything else is
refused with the spelling that was probably meant. `watts` and `span` round what was measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import Any

# unit -> what it measures, factors of its spellings (the canonical ones first), examples
_DIMENSIONS: dict[str, tuple[str, dict[str, float], tuple[str, ...]]] = {
    "W": ("a power", {"W": 1, "kW": 1e3, "MW": 1e6}, ("1.5 kW", "800 W")),
    "Wh": ("an energy", {"Wh": 1, "kWh": 1e3, "MWh": 1e6}, ("6 kWh", "500 Wh")),
    "s": ("a duration", {"s": 1, "min": 60, "h": 3600, "d": 86400, "ms": 1e-3}, ("10 min", "30 s", "2 h")),
    "A": ("a current", {"A": 1, "mA": 1e-3}, ("16 A",)),
    "V": ("a voltage", {"V": 1, "mV": 1e-3}, ("230 V",)),
    "%": ("a share", {"%": 1}, ("30 %",)),
    "°C": ("a temperature", {"°C": 1}, ("60 °C",)),
    "/kWh": ("a price", {"/kWh": 1, "ct/kWh": 1e-2, "/MWh": 1e-3}, ("0.12/kWh", "12 ct/kWh")),
    "°": ("an angle", {"°": 1}, ("52.1", "-4.9")),  # of a place on earth; a bare number has one meaning only
}
# Other spellings with one meaning only, all compared in lower case. `mW` is missing on purpose: nobody means a
# milliwatt, and `mw` for a megawatt is as unlikely.
_ALIASES = {
    "w": "W", "watt": "W", "watts": "W", "kw": "kW", "kilowatt": "kW", "kilowatts": "kW",
    "wh": "Wh", "kwh": "kWh", "mwh": "MWh",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "min", "min": "min", "mins": "min", "minute": "min", "minutes": "min",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d", "ms": "ms",
    "a": "A", "amp": "A", "amps": "A", "ampere": "A", "ma": "mA", "v": "V", "volt": "V", "volts": "V", "mv": "mV",
    "%": "%", "percent": "%", "°c": "°C", "ºc": "°C", "℃": "°C", "c": "°C", "k": "°C",
    # Money has no currency here: one house has one, and `ct` is its hundredth.
    **{f"{money}/{energy.lower()}": f"/{energy}" for energy in ("kWh", "MWh")
       for money in ("", "€", "eur", "$", "usd", "£", "gbp", "chf", "kr", "zł")},
    **{f"{money}/kwh": "ct/kWh" for money in ("ct", "cent", "cents", "c", "¢", "p", "öre")},
}  # fmt: skip

NAME = r"(?:[^\W\d_]*|[€$£¢])\s?/\s?[^\W\d_]+|°\s?[^\W\d_]|[°℃]|[^\W\d_]+|%"
_ONE = re.compile(rf"([+-]?\d{{1,12}}(?:\.\d{{1,9}})?)\s*({NAME})")
_COMMA = re.compile(r"([+-]?\d+),(\d+)(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?")
_THOUSANDS = re.compile(r"\d{1,3}\.000\s*(?:W|Wh)|[1-9]\d{0,2}\.\d{3}\s*(?:W|Wh)")


def read(text: str, unit: str) -> float:
    """Read a quantity into `unit`. Raises ValueError with a sentence that names the right spelling."""
    what, _, examples = _DIMENSIONS[unit]
    text = text.strip()
    shown = f"`{text[:40]}`"
    if comma := _COMMA.fullmatch(text):
        whole, part, rest = comma.groups()
        name = rest.strip() or examples[0].lstrip("0123456789. ")
        raise ValueError(f"{shown}: write a decimal point: `{_join(f'{whole}.{part}', name)}`")
    if _NUMBER.fullmatch(text):
        if unit == "°":
            return float(text)
        raise ValueError(_unit_missing(float(text), text, unit))
    if unit == "s" and (clock := _CLOCK.fullmatch(text)):
        hours, minutes = int(clock[1]), int(clock[2])
        raise ValueError(f"{shown} is a time of day; a duration reads `{hours} h {minutes} min`")
    if _THOUSANDS.fullmatch(text):
        number, base = text.rstrip("Wh").strip(), "Wh" if text.endswith("h") else "W"
        raise ValueError(f"{shown} has two meanings: write `{number.replace('.', '')} {base}` or `{number} k{base}`")
    total, end = 0.0, 0
    for match in _ONE.finditer(text):
        between = text[end : match.start()].strip()
        if between or (end and unit != "s"):
            break
        total += float(match[1]) * _factor(match[2], unit, match[1], shown)
        end = match.end()
    if end != len(text) or not text:
        raise ValueError(f"{shown} is not {what}; write it like `{examples[0]}`")
    return total


def spell(value: float, unit: str) -> str:
    """Write a number of `unit` as a person would: 1500 W is `1.5 kW`, 600 s is `10 min`.

    What is written is rounded (three digits after the point, two where the unit is the smallest) and reads back.
    """
    factors = _DIMENSIONS[unit][1]
    fitting = [(name, value / factor) for name, factor in factors.items() if factor >= 1 and abs(value) >= factor]
    if unit == "s":  # 90 s, but 2 min: a fraction of an hour is hard to read; so is 1 d where 25 h do not fit
        fitting = [(name, n) for name, n in fitting if name == "s" or (n == round(n) and (name != "d" or abs(n) > 1))]
    name, amount = fitting[-1] if fitting else (unit, value)
    digits = {"W": 2, "Wh": 2, "/kWh": 4, "°": 4}.get(name, 3)  # 1.500 W would have two meanings
    number = f"{round(amount, digits) + 0.0:.{digits}f}"  # + 0.0: never `-0`
    return _join(number.rstrip("0").rstrip("."), name)


def watts(power_w: float) -> str:
    """Spell a power: `1 210 W`."""
    return f"{round(power_w):,} W".replace(",", " ")


def span(seconds: float) -> str:
    """Spell a duration: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    left = max(0, round(seconds))
    if left < 120:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min" + (f" {left % 60} s" if left % 60 else "")
    return f"{left // 3600} h {left % 3600 // 60:02d} min"


def base(name: str) -> tuple[str, float] | None:
    """Return what a unit's spelling is in: its base unit and how many of it; None where it is not known."""
    compact = "".join(name.split())
    for unit, (_, factors, _) in _DIMENSIONS.items():
        canonical = compact if compact in factors else _ALIASES.get(compact.lower(), compact)
        if canonical in factors:
            return unit, factors[canonical]
    return None


def measured(unit: str) -> str:
    """Return what a base unit measures: `a power`; a unit that is not known here is its own: `in ppm`."""
    return _DIMENSIONS[unit][0] if unit in _DIMENSIONS else f"in {unit}" if unit else "a plain number"


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a float of the rule file: `Annotated[float, Unit("s", least=0.2)]` holds seconds and is written `5 s`.

    Bounds are in the base unit. Code may hand in plain numbers of the base unit; a rule file must write the unit: it is
    validated with the context `{"file": True}`.
    """

    unit: str
    least: float = 0.0
    most: float = inf

    def read(self, value: object, *, file: bool = True) -> float:
        """Return the number of base units. Raises ValueError with the sentence for the owner."""
        what, _, examples = _DIMENSIONS[self.unit]
        if isinstance(value, str):
            number = read(value, self.unit)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected {what} such as `{examples[0]}`, found {_kind(value)}")  # noqa: TRY004
        elif file and value and self.unit != "°":
            raise ValueError(_unit_missing(float(value), str(value), self.unit))
        else:
            number = float(value)  # nothing is nothing in every unit
        if not number >= self.least:
            raise ValueError(f"{spell(number, self.unit)} is too little; at least {spell(self.least, self.unit)}")
        if number > self.most:
            raise ValueError(f"{spell(number, self.unit)} is too much; at most {spell(self.most, self.unit)}")
        return number

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - the core itself runs without pydantic

        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.read(value, file=bool((info.context or {}).get("file"))),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: spell(value, self.unit)),
        )

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        return schema(self.unit, signed=self.least < 0)


def pattern(unit: str, *, signed: bool = False) -> str:
    """Return the regular expression (without anchors) of the spellings that editors accept for `unit`."""
    names = "|".join(re.escape(name) for name in _DIMENSIONS[unit][1])
    one = rf"{'-?' if signed else ''}\d+(\.\d+)? ?({names})"
    return f"{one}( {one})*" if unit == "s" else one


def schema(unit: str, *, signed: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a quantity in `unit`."""
    _, _, examples = _DIMENSIONS[unit]
    written = {"type": "string", "pattern": f"^{pattern(unit, signed=signed)}$"}
    bare = {"type": "number"} if unit == "°" else {"const": 0}
    return {"anyOf": [written, bare], "examples": list(examples)}


def _factor(name: str, unit: str, number: str, shown: str) -> float:
    what, _, examples = _DIMENSIONS[unit]
    if name in ("k", "K") and unit in ("W", "Wh"):
        raise ValueError(f"{shown}: the unit `{name}` is not known here; write it like `{number} k{unit}`")
    if known := base(name):
        if known[0] == unit:
            return known[1]
        raise ValueError(f"{shown} is {_DIMENSIONS[known[0]][0]}; here {what} is meant, such as `{examples[0]}`")
    if unit == "°C" and name.lstrip("° ") in ("F", "f"):
        raise ValueError(f"{shown}: write it in °C: `{spell(round((float(number) - 32) / 1.8, 1), unit)}`")
    raise ValueError(f"{shown}: the unit `{name[:20]}` is not known here; write it like `{examples[0]}`")


def _unit_missing(number: float, text: str, unit: str) -> str:
    larger = {"W": "kW", "Wh": "kWh", "s": "min"}.get(unit)
    if larger is None:
        return f"`{text}` has no unit: write `{_join(text, unit)}`"
    spelled = spell(number, unit)
    second = spelled if not spelled.endswith(f" {unit}") else f"{text} {larger}"
    return f"`{text}` has no unit: write `{text} {unit}` or `{second}`"


def _join(number: str, name: str) -> str:
    return number + name if name in ("", "°") or name.startswith("/") else f"{number} {name}"


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        "a list" if isinstance(value, list | tuple) else "a group of keys" if isinstance(value, dict) else "no number"
    )
