"""What a line of `given:` says: `11:10-11:40 solar 500 W to 4 kW, house 300 W`, `13:00 boiler off by hand for 30 min`.

`read` takes what stands behind the time and returns facts. It raises ValueError with the right spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from loadctl import units
from loadctl.config import House, words
from loadctl.config.findings import Findings, nearest
from loadctl.config.keys_load import NeedKeys
from loadctl.config.loads import WH_PER_LITRE, need_of
from loadctl.config.validate import checked
from loadctl.core.rules import Load, Mode, Need
from loadctl.inputs.names import BUILT_IN

Value = float | str | bool | None
Key = tuple[str, str]  # what, of whom: ("solar", ""), ("hand", "boiler"), ("input", "tank")


@dataclass(frozen=True, slots=True)
class Course:
    """Something has a value from then on: `value`, or `to` at the end of the time, or each of `cycle` in turn.

    `clear`: it is the nominal power of panels under a clear sky. `for_s`: it ends after so long.
    """

    key: Key
    value: Value = None
    to: float | None = None
    cycle: tuple[tuple[float, float], ...] = ()  # value, for s
    clear: bool = False
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """Something is so at that moment and goes its own way from there."""

    key: Key
    value: float | Need


@dataclass(frozen=True, slots=True)
class Link:
    """What a load draws raises an input by one for each `wh_per_unit`."""

    load: str
    input: str
    wh_per_unit: float
    capacity_wh: float | None = None


Fact = Course | Once | Link


@dataclass(frozen=True, slots=True)
class Names:
    """Who can be spoken of: the appliances, and the inputs with their base units."""

    loads: Mapping[str, Load]
    inputs: Mapping[str, str]

    @classmethod
    def of(cls, house: House) -> Names:
        """Return those of a rule file; what meter and switches tell follows from the day itself."""
        measured = {*BUILT_IN, *(f"{load.name}.{key}" for load in house.site.loads for key in _MEASURED)}
        inputs = {name: unit for name, unit in house.units.items() if name not in measured}
        return cls({load.name: load for load in house.site.loads}, inputs)


_MEASURED = ("power", "on", "connected")
_BETWEEN = re.compile(r"\s*,(?!\s*then\b)\s*", re.IGNORECASE)
_THEN = re.compile(r"\s*,?\s*\bthen\b\s*", re.IGNORECASE)
_FOR = re.compile(r"(.*?)\s*\bfor\s+(.+)", re.IGNORECASE)
_TO = re.compile(r"\s*(?:\bto\b|->|→)\s*", re.IGNORECASE)
_LINK = re.compile(r"(?:warms|charges)\s+(\S+)\s+of\s+(.+)", re.IGNORECASE)
_HAND = re.compile(r"(on|off)\s+by\s+hand", re.IGNORECASE)
_PHASES = re.compile(r"takes\s+([123])\s+phases?", re.IGNORECASE)
_PLAIN = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?")
_TRUTHS = {"true": 1.0, "yes": 1.0, "on": 1.0, "false": 0.0, "no": 0.0, "off": 0.0}
_SUBJECTS = ("solar", "house", "grid", "meter", "battery", "away", "home")
_OF_A_LOAD = (
    "`on by hand`, `off by hand for 30 min`, `by its rules`, `mode fast`, `boost 3 kWh by 17:00`, `lacks 6 kWh`, "
    "`draws 1.8 kW`"
)
_OF_A_CAR = f"{_OF_A_LOAD}, `plugged in`, `unplugged`, `takes 1 phase`, `takes 11 A`"


def read(text: str, names: Names) -> Iterator[Fact]:
    """Yield what the items of a line say, in order."""
    if not text:
        raise ValueError("what is so then? write it like `11:00 solar 500 W, house 300 W`")
    for item in _BETWEEN.split(text):
        subject, rest = subject_of(item, (*_SUBJECTS, *names.loads, *names.inputs))
        yield _fact(subject, rest, names)


def subject_of(item: str, known: tuple[str, ...]) -> tuple[str, str]:
    """Split an item into who it is about and what it says of it."""
    for name in sorted(known, key=len, reverse=True):
        if item.lower().startswith(name.lower()) and not re.match(r"[\w.-]", item[len(name) : len(name) + 1]):
            return name, item[len(name) :].strip()
    first = item.split(maxsplit=1)[0] if item else ""
    hint = nearest(first[:40], (name for name in known if "." not in name))
    raise ValueError(f"`{first[:40]}` is not known here; {hint}")


def _fact(subject: str, rest: str, names: Names) -> Fact:
    match subject:
        case "solar":
            return _power("solar", rest, least=0.0, clear=True)
        case "house":
            return _power("house", rest, least=0.0)
        case "grid" if rest.lower() in ("gone", "back"):
            return Course(("mains", ""), rest.lower() == "back")
        case "grid":
            return _power("grid", rest)
        case "meter":
            return Course(("meter", ""), _one_of(rest, {"silent": False, "back": True}))
        case "battery":
            return _battery(rest)
        case "away" | "home":
            what, for_s = _for(rest)
            if what:
                raise ValueError(f"`{subject} {rest[:30]}`: write `away`, `away for 3 d` or `home`")
            return Course(("away", ""), subject == "away", for_s=for_s)
    if subject in names.loads:
        return _load(names.loads[subject], rest, names)
    return _input(subject, rest, names.inputs[subject])


def _power(name: str, rest: str, *, least: float | None = None, clear: bool = False) -> Course:
    def quantity(text: str) -> float:
        watts = units.read(text, "W")
        if least is not None and watts < least:
            raise ValueError(f"`{text}`: this is never negative")
        return watts

    if rest.lower().startswith("clear"):
        if not clear:
            raise ValueError("only the sun can be `clear`: `solar clear 6 kW`")
        power = rest[5:].strip().removeprefix("of").strip()
        if not power:
            raise ValueError("how many panels? write it like `solar clear 6 kW`")
        return Course((name, ""), quantity(power), clear=True)
    return _course((name, ""), rest, quantity, f"{name} 500 W")


def _course(key: Key, rest: str, quantity: Callable[[str], float], example: str) -> Course:
    if not rest:
        raise ValueError(f"how much? write it like `{example}`")
    turns = _THEN.split(rest)
    if len(turns) > 1:
        cycle = []
        for turn in turns:
            what, for_s = _for(turn)
            if not for_s:
                raise ValueError(f"`{turn[:30]}`: for how long? write it like `{turn[:20]} for 3 min, then …`")
            cycle.append((quantity(what), for_s))
        return Course(key, cycle=tuple(cycle))
    what, for_s = _for(rest)
    ends = _TO.split(what)
    if len(ends) > 2:
        raise ValueError(f"`{what[:40]}`: write it like `500 W to 4 kW`")
    first = quantity(ends[0]) if ends[0] else None
    return Course(key, first, quantity(ends[1]) if len(ends) > 1 else None, for_s=for_s)


def _battery(rest: str) -> Once:
    for word, key, unit in (("at", "soc", "%"), ("holds", "capacity", "Wh"), ("gives", "most", "W")):
        if rest.lower().startswith(f"{word} "):
            value = units.read(rest[len(word) :], unit)
            if value < 0 or (unit == "%" and value > 100) or (unit == "Wh" and value < 1):
                raise ValueError(f"`{rest[:30]}`: no battery is like that")
            return Once((key, ""), value)
    raise ValueError("of the battery one can say `at 50 %`, `holds 10 kWh` and `gives 3 kW`")


def _input(name: str, rest: str, unit: str) -> Course:
    if rest.lower() in ("silent", "unknown"):
        return Course(("input", name), None)

    def quantity(text: str) -> float:
        return amount(text, unit)

    return _course(("input", name), rest, quantity, f"{name} {example(unit)}")


def amount(text: str, unit: str) -> float:
    """Read the value of an input."""
    if unit == "" and text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    if unit in ("W", "Wh", "s", "A", "V", "%", "°C", "/kWh"):
        return units.read(text, unit)
    number = text.removesuffix(unit).strip()
    if not _PLAIN.fullmatch(number):
        raise ValueError(f"`{text[:40]}`: write it like `{example(unit)}`")
    return float(number)


def example(unit: str) -> str:
    """Return a value as it is written."""
    return {"W": "500 W", "%": "50 %", "°C": "45 °C", "/kWh": "0.12/kWh", "": "1"}.get(unit, f"10 {unit}")


def _load(load: Load, rest: str, names: Names) -> Fact:
    name, said = load.name, rest.lower()
    what, for_s = _for(rest)
    if hand := _HAND.fullmatch(what):
        return Course(("hand", name), hand[1].lower() == "on", for_s=for_s)
    if said == "by its rules":
        return Course(("hand", name), None)
    if said.startswith("mode "):
        return Course(("mode", name), _mode(what[5:].strip(), load), for_s=for_s)
    if said.startswith("boost "):
        return Once(("boost", name), _need(name, rest[6:].strip(), names))
    if said.startswith("lacks "):
        return Once(("lacks", name), units.read(rest[6:], "Wh"))
    if said.startswith("draws "):
        return _course(("draws", name), rest[6:], lambda text: units.read(text, "W"), f"{name} draws 1.8 kW")
    if link := _LINK.fullmatch(rest):
        return _link(load, link[1], link[2], names.inputs)
    if car := _car(load, rest):
        return car
    known = _OF_A_CAR if _is_car(load) else _OF_A_LOAD
    raise ValueError(f"`{rest[:40]}`: of `{name}` one can say {known}")


def _car(load: Load, rest: str) -> Fact | None:
    said = rest.lower()
    if not _is_car(load):
        return None
    if said in ("plugged in", "unplugged"):
        return Course(("plugged", load.name), said == "plugged in")
    if phases := _PHASES.fullmatch(rest):
        return Once(("phases", load.name), float(phases[1]))
    return Once(("amps", load.name), units.read(rest[6:], "A")) if said.startswith("takes ") else None


def _is_car(load: Load) -> bool:
    return load.follow is not None and load.follow.ranges[0].phases is not None


def _mode(word: str, load: Load) -> str:
    modes = tuple(mode.value for mode in Mode)
    if word not in modes:
        raise ValueError(f"`{word[:20]}` is no mode; {nearest(word[:20], modes)}")
    if word == Mode.SOLAR_MIN and load.follow is None:
        raise ValueError(f"`{load.name}` only switches on and off; write `mode fast`")
    return word


def _need(name: str, text: str, names: Names) -> Need:
    findings = Findings("")
    keys = checked(NeedKeys, words.need(text), (), findings)
    if keys is None:
        raise ValueError(findings.faults[0].message)
    named = {
        key: [input_ for input_, of in names.inputs.items() if of == unit and "." not in input_]
        for key, unit in (("temperature", "°C"), ("soc", "%"))
    }
    need = need_of(name, keys, {key: found[0] for key, found in named.items() if len(found) == 1})
    if need.always:
        raise ValueError(f"`{text[:40]}`: until when? write it like `{text[:40]} by 17:00`")
    if need.level is not None and need.level.input not in names.inputs:
        raise ValueError(f"`{need.level.input}` is not known here")
    return need


def _link(load: Load, name: str, size: str, inputs: Mapping[str, str]) -> Link:
    unit = inputs.get(name)
    if unit is None:
        raise ValueError(f"`{name[:40]}` is no input; {nearest(name[:40], inputs)}")
    if unit == "%":
        capacity_wh = units.read(size, "Wh")
        return Link(load.name, name, capacity_wh / 100, capacity_wh)
    if unit != "°C":
        raise ValueError(f"`{name}` is neither a temperature nor a charge: say its course with times")
    litres = words.litres(size)
    if litres <= 0:
        raise ValueError("a tank holds more than nothing")
    return Link(load.name, name, litres * WH_PER_LITRE)


def _for(text: str) -> tuple[str, float | None]:
    found = _FOR.fullmatch(text.strip())
    return (found[1], units.read(found[2], "s")) if found else (text.strip(), None)


def _one_of(word: str, known: Mapping[str, bool]) -> bool:
    if word.lower() not in known:
        raise ValueError(f"`{word[:20]}`: write {' or '.join(f'`{name}`' for name in known)}")
    return known[word.lower()]
