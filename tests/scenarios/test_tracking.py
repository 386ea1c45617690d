"""A cloudy hour: the car's current and a dimmed heater follow the sun within a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

import pytest

from loadctl.controller import Controller
from loadctl.lab.machines import CarAtHome, Motor, Tank
from loadctl.lab.replay import Machine
from loadctl.lab.trace import Moment, Trace
from loadctl.lab.tracking import track

NOON = 1_750_507_200.0  # 2025-06-21 12:00 UTC
ROW_S = 10.0
# What the panels give at each full minute, on a line in between: clear, small clouds, a bank of them, clear.
CLOUDS_W = (
    3200, 3200, 3250, 3250, 3300, 3300, 3300, 2600, 2200, 2300, 2900, 3400, 3400, 3400, 3100,
    2500, 2500, 2900, 3500, 3500, 3500, 3000, 2200, 1800, 1500, 1100, 900, 900, 1000, 1300,
    1800, 2300, 2800, 3200, 3500, 3600, 3600, 3600, 3100, 2900, 3200, 3600, 3600, 3600, 3600,
    3600, 2800, 2100, 2100, 2600, 3300, 3600, 3600, 3600, 3600, 3600, 3600, 3500, 3500, 3500,
)  # fmt: skip


def cloudy_hour(suns: float = 1.0) -> Trace:
    """An hour of clouds that come and go within a minute; a kettle, and a fridge that cycles."""
    moments = []
    for row in range(int(3600 / ROW_S) - 6):
        minute, part = divmod(row * ROW_S / 60, 1)
        before, after = CLOUDS_W[int(minute)], CLOUDS_W[int(minute) + 1]
        kettle_w = 2000.0 if 19 <= minute < 21 else 0.0
        fridge_w = 90.0 if int(minute) % 30 < 10 else 0.0
        pv_w = suns * (before + part * (after - before))
        moments.append(Moment(NOON + row * ROW_S, pv_w, 150.0 + kettle_w + fridge_w, ROW_S))
    return Trace("an hour of clouds", UTC, tuple(moments))


@dataclass(frozen=True)
class Home:
    """A home whose only load follows the sun: its keys, what hangs on it, panels for so many times the usual sun.

    A step of a dimmer is 40 W here; the meter is 2 s late and the dimmer 1 s, in which a cloud takes 50 W.
    """

    keys: dict[str, object]
    machine: Callable[[], Machine]
    suns: float = 1.0
    phase_changes: int = 0


HOMES = {
    "a car on one phase": Home({"current": "6..16 A", "phases": 1}, lambda: car(1)),
    "a car on one phase or three": Home({"current": "6..16 A", "phases": "auto"}, lambda: car(3), 3.0, 2),
    "a heater behind a dimmer": Home(
        {"actuator": {"driver": "external-dimmer"}, "power": "4 kW"}, lambda: Tank(4000.0, 1000.0, 20.0), 0.8
    ),
}


def car(phases: int) -> CarAtHome:
    return CarAtHome.of(NOON, NOON + 86400, 40_000.0, phases=phases)


@pytest.mark.parametrize("name", HOMES)
def test_a_load_follows_the_sun_through_an_hour_of_clouds(name: str):
    home = HOMES[name]
    controller = Controller.from_dict({"site": {"timezone": "Etc/UTC"}, "loads": {"load": home.keys}})
    seen = track(controller, cloudy_hour(home.suns), home.machine())
    assert seen.on_s > 3000
    assert seen.gap_steps < 1
    assert seen.avoidable_pct < 3
    assert seen.pauses <= 2
    assert seen.phase_changes == home.phase_changes


def test_what_is_tracked_follows_the_sun():
    controller = Controller.from_dict({"loads": {"pump": {"power": "800 W"}}})
    with pytest.raises(ValueError, match="pump does not follow the sun"):
        track(controller, cloudy_hour(), Motor(800.0))
