"""What a relay that measures tells of the load behind it, for `loadctl doctor`."""

from __future__ import annotations

from loadctl.core.appliance import draws_nothing, least_w
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from loadctl.units import spell

_LEAKS_W = 20.0  # a relay that is open lets nothing through; indicator lamps and the meter's error stay below
_NEAR = 0.2  # a heater draws a tenth less on low voltage


def judge_draw(load: Load, *, on: bool, watts: float | None) -> Finding:
    """Compare what flows with the rule's `power`; `watts` None: the device does not measure."""
    power = spell(load.power_w, "W")
    if watts is None:
        return Finding(
            "power",
            Level.NOTE,
            f"this device does not measure: loadctl reckons with `power: {power}`",
            "make sure that it is what the load really draws; a welded relay or an open thermostat goes unseen",
        )
    drawn = spell(round(watts), "W")
    if not on and watts > _LEAKS_W:
        return Finding(
            "power",
            Level.DANGER,
            f"its relay is off and {drawn} flow: the contact may be welded",
            "switch the circuit off at its breaker and have the relay replaced",
        )
    if not on:
        return Finding("power", Level.OK, f"measures; it is off, so `power: {power}` could not be compared")
    if draws_nothing(load, watts):
        return Finding(
            "power",
            Level.WARNING,
            f"it is on and draws {drawn}, not {power}",
            "is its thermostat satisfied, its breaker off, or `power` wrong?",
        )
    if not (1 - _NEAR) * least_w(load) <= watts <= (1 + _NEAR) * load.power_w:
        return Finding(
            "power",
            Level.WARNING,
            f"it draws {drawn}, the rule says `power: {power}`",
            f"write `power: {spell(round(watts, -1), 'W')}` if that is what it draws when it works",
        )
    return Finding("power", Level.OK, f"it draws {drawn}, near its `power: {power}`")
