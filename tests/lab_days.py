"""Small made-up days for the lab's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadctl.lab.scenario_file import Home, Scenario
from loadctl.lab.trace import Moment, Trace

MONDAY = datetime(2025, 3, 3, tzinfo=UTC).timestamp()


def trace(rows: Sequence[tuple[float, float, float]], begin: float = MONDAY, name: str = "made up") -> Trace:
    """Make a trace of rows (for how many seconds, W of sun, W of the house)."""
    moments, at = [], begin
    for for_s, pv_w, base_w in rows:
        moments.append(Moment(at, pv_w, base_w, for_s))
        at += for_s
    return Trace(name, UTC, tuple(moments))


def holed(day: Trace, *holes: int) -> Trace:
    """Return a trace of whose rows some are not known."""
    moments = tuple(replace(row, known=index not in holes) for index, row in enumerate(day.moments))
    return replace(day, moments=moments)


def unseen(day: Trace) -> Trace:
    """Return a day whose panels nobody measured."""
    return replace(day, moments=tuple(replace(moment, sees_sun=False) for moment in day.moments))


def home(loads: dict[str, Any], day: Trace, house: dict[str, Any] | None = None, **more: Any) -> Home:
    """Make a home of rules, and of what its appliances really are."""
    return Scenario("test", Path("test.yaml"), {"rules": {"loads": loads}, "house": house or {}, **more}).on(day)
