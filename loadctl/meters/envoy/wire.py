"""What all pages have in common: JSON that may be HTML, numbers that may be words, lists that may be null."""

from __future__ import annotations

import json
import math
from typing import Any

from loadctl.errors import Garbled, Refused

Json = dict[str, Any]

_MOST = 1e15  # a lifetime counter in Wh stays far below


class NoSuchPage(Refused):
    """The page is not there, on this firmware or in this house."""


class Forbidden(Refused):
    """The page is there, we may not see it: HTTP 401 or 403."""


def decode(text: str, page: str) -> Any:
    """Read the JSON of an answer, whatever its Content-Type says.

    Raises NoSuchPage for HTML or a 404 dressed as JSON (both come with status 200), Garbled for anything else.
    """
    body = text.strip()
    if not body:
        raise Garbled(f"{page}: empty answer")
    if body.startswith("<"):
        raise NoSuchPage(f"{page}: the Envoy shows a web page instead of data")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"{page}: cut off or not JSON ({len(text)} characters)") from error
    if isinstance(value, dict) and (value.get("status") == 404 or str(value.get("error")).startswith("404")):
        raise NoSuchPage(f"{page}: not known to this Envoy")
    return value


def number(value: Any, most: float = _MOST) -> float | None:
    """Return a finite number, or None for whatever else stands in its place ("unknown", null, NaN, absurdly large)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -most <= value <= most:  # also refuses NaN, and integers too large for a float
        return None
    return float(value) if math.isfinite(value) else None


def watts(value: Any) -> float | None:
    """Return a power; beyond a megawatt no Envoy can measure."""
    return number(value, 1e6)


def rows(value: Any) -> list[Json]:
    """Return the objects in a list; a list that is null, missing or something else has none."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def child(value: Any, key: str) -> Json:
    """Return the object under `key`, empty if it is missing or something else."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def first_word(value: Any) -> str:
    """Return the first word in lower case ("open synchronizing" is open), empty if there is none."""
    return value.split()[0].lower() if isinstance(value, str) and value.split() else ""
