"""One number out of a JSON document: where it stands, and what counts as one. No I/O.

A path is written `sensors[0].temperature` or, for keys with dots and brackets, as JSON Pointer (RFC 6901):
`/sensors/0/temperature`. Nothing at all is the whole document.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from loadctl import units
from loadctl.errors import Garbled

Path = tuple[str | int, ...]

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d{1,6})\]")
_NUMBER = re.compile(rf"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{{1,3}})?)\s*({units.NAME})?")
_COMMA = re.compile(r"([+-]?\d+),(\d{1,2}(?!\d).*)", re.DOTALL)  # `54,2`; `1,500` could be a thousand and a half
_YES = {"true", "on", "yes"}
_NO = {"false", "off", "no"}
_MOST = 1e12
_LONGEST, _MOST_KEYS = 40, 6  # of what is shown of a strange answer
_OFFSETS = {"°f": (1 / 1.8, -32 / 1.8), "f": (1 / 1.8, -32 / 1.8), "k": (1.0, -273.15)}


@dataclass(frozen=True, slots=True)
class Scale:
    """From the unit of a source to the base unit: times `factor`, plus `offset`."""

    base: str = ""
    factor: float = 1.0
    offset: float = 0.0


def scale(unit: str) -> Scale:
    """Read a unit; one that is not known is its own. Raises ValueError with a sentence for the owner."""
    compact = "".join(unit.split())
    if temperature := _OFFSETS.get(compact.lower()):
        return Scale("°C", *temperature)
    if known := units.base(compact):
        return Scale(*known)
    if compact and not re.fullmatch(units.NAME, compact):
        raise ValueError(f"`{unit[:20]}` is no unit; write it like `°C`, `kW`, `%`, `/kWh` or `ppm`")
    return Scale(compact)


def path(text: str) -> Path:
    """Read a path. Raises ValueError with a sentence for the owner."""
    text = text.strip()
    if text.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))
    steps: list[str | int] = []
    at = 1 if re.match(r"\$($|[.\[])", text) else 0  # as JSONPath begins
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise ValueError(f"`{text[:60]}` is no path; write it like `sensors[0].temperature`")
        steps.append(found[1].strip() if found[1] is not None else int(found[2]))
        at = found.end()
    return tuple(steps)


def decode(body: bytes, where: str) -> Any:
    """Read JSON, whatever the Content-Type says. Raises Garbled."""
    if body.lstrip()[:1] == b"<":
        raise Garbled(f"{where}: shows a web page instead of data", hint="`url` must be the address of its JSON")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"{where}: its answer is not JSON ({len(body)} bytes)") from error


def pick(document: Any, steps: Path, where: str) -> Any:
    """Follow a path. Raises Garbled with what stands there instead."""
    found = document
    for index, step in enumerate(steps):
        try:
            found = found[_index(step)] if isinstance(found, list) else found[str(step)]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            here = f"`{spell(steps[: index + 1])}`"
            raise Garbled(f"{where}: its answer has no {here}; {_there(found)}") from error
    return found


def number(value: Any, unit: Scale, times: float, where: str) -> float:
    """Return `times` a value in the base unit. Without a unit true, on and yes are 1; false, off and no are 0.

    Raises Garbled where something else stands.
    """
    if not unit.base and (value is True or value is False):
        return float(value)
    read = _read(value, unit) if isinstance(value, str) else value
    if isinstance(read, int | float) and not isinstance(read, bool) and -_MOST < read < _MOST:
        result = float(read * times * unit.factor + unit.offset)
        if isfinite(result):
            return result
    raise Garbled(f"{where}: {_shown(value)} stands where {units.measured(unit.base)} is meant")


def spell(steps: Path) -> str:
    """Write a path as its owner would."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _read(text: str, unit: Scale) -> float | None:
    text = text.strip()
    if not unit.base and text.lower() in _YES | _NO:
        return float(text.lower() in _YES)
    if comma := _COMMA.fullmatch(text):
        text = f"{comma[1]}.{comma[2]}"
    found = _NUMBER.fullmatch(text)
    if not found or (found[2] and scale(found[2]) != unit):
        return None
    return float(found[1])


def _index(step: str | int) -> int:
    if isinstance(step, str) and not re.fullmatch(r"[0-9]{1,6}", step):
        raise ValueError("no place in a list")
    return int(step)


def _there(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(_shown(key) for key in list(value)[:_MOST_KEYS])
        return f"there is {keys}{', …' if len(value) > _MOST_KEYS else ''}" if keys else "there is nothing"
    return f"there is {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a group of keys" if isinstance(value, dict) else f"`{json.dumps(value)[:_LONGEST].strip(chr(34))}`"
