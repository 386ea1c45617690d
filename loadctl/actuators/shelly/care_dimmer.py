"""What in a dimmer's settings keeps a heater from following the sun, as findings of `loadctl doctor`. No I/O.

Names of settings: shelly-api-docs.shelly.cloud, gen1 `/settings` and `/settings/light/{n}` of a Dimmer, gen2
`Light.GetConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadctl.actuators.numbers import number
from loadctl.actuators.shelly.answers import Json, Output
from loadctl.actuators.shelly.scale import Scale
from loadctl.drivers import Finding, Level
from loadctl.units import spell

_SLOW_S = 3.0
_NEAR = 0.15  # a heater draws a tenth less on low voltage
_SHOWS_W = 20.0


@dataclass(frozen=True, slots=True)
class Dimming:
    """How a dimmer treats what it is told. None: it does not tell, or does not do it.

    `night_percent`: no more than that in the hours of its night mode. `ramp_s`: how long a change takes. `span`: what
    it makes of 0 % and 100 %. `least_percent`: it goes no lower. `one_to_ten`: its lowest output is 1 V, not 0 V.
    """

    night_percent: float | None = None
    ramp_s: float | None = None
    span: tuple[float, float] | None = None
    least_percent: float | None = None
    one_to_ten: bool = False


def dimming(body: Json) -> Dimming:
    """Read `Light.GetConfig`, or the two settings pages of a Gen1 dimmer in one."""
    night, span = body.get("night_mode"), body.get("range_map")
    enabled = isinstance(night, dict) and bool(night.get("enable") or night.get("enabled"))
    ends = [number(end) for end in span] if isinstance(span, list) else []
    gen1_ms = number(body.get("transition"))
    return Dimming(
        night_percent=number(night.get("brightness")) if isinstance(night, dict) and enabled else None,
        ramp_s=number(body.get("transition_duration")) if gen1_ms is None else gen1_ms / 1000,
        span=(ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None,
        least_percent=number(body.get("min_brightness")) or None,
        one_to_ten=body.get("op_mode") == 1,
    )


def judge_dimming(seen: Dimming) -> tuple[Finding, ...]:
    """Judge how the dimmer treats what it is told; what is as it should be goes without saying."""
    found = []
    if seen.night_percent is not None and seen.night_percent < 100:
        message = f"its night mode lets no more than {seen.night_percent:.0f} % through, without a word"
        found.append(Finding("night_mode", Level.WARNING, message, "switch its night mode off in the Shelly app"))
    if seen.ramp_s is not None and seen.ramp_s > _SLOW_S:
        message = f"each change takes it {spell(seen.ramp_s, 's')}"
        advice = "set its transition time to 1 s or less in the Shelly app"
        found.append(Finding("transition", Level.WARNING, message, advice))
    if seen.span is not None and seen.span != (0, 100):
        message = f"it makes {seen.span[0]:.0f} % to {seen.span[1]:.0f} % of 0 % to 100 %"
        advice = "set its range to 0 to 100 % in the Shelly app, or measure a `curve` with it"
        found.append(Finding("range", Level.NOTE, message, advice))
    if seen.least_percent is not None and seen.least_percent > 1:
        message = f"it goes no lower than {seen.least_percent:.0f} %"
        advice = "set its minimum brightness to 1 % in the Shelly app"
        found.append(Finding("least", Level.WARNING, message, advice))
    if seen.one_to_ten:
        message = "it works in 1-10 V mode, in which its output never reaches 0 V"
        advice = "set it to 0-10 V in the Shelly app if the power controller behind it takes that"
        found.append(Finding("op_mode", Level.WARNING, message, advice))
    return tuple(found)


def judge_scale(output: Output, scale: Scale) -> Finding:
    """Compare what flows with what `rated` and `curve` make of where it stands."""
    rated = spell(scale.points[-1][1], "W")
    if output.watts is None:
        message = f"this device does not measure: loadctl reckons with `rated: {rated}`"
        advice = "make sure that it is what the heater really draws, and try half of it with a meter"
        return Finding("power", Level.NOTE, message, advice)
    drawn = spell(round(output.watts), "W")
    if not output.on and output.watts > _SHOWS_W:
        message = f"it is off and {drawn} flow: what it drives does not go off"
        return Finding("power", Level.DANGER, message, "switch the circuit off at its breaker and look at the wiring")
    if not output.on or output.percent is None:
        return Finding("power", Level.OK, f"measures; it is off, so `rated: {rated}` could not be compared")
    told = f"at {output.percent:.0f} % it draws {drawn}"
    expected_w = scale.watts(output.percent)
    if abs(output.watts - expected_w) <= max(_SHOWS_W, _NEAR * expected_w):
        return Finding("power", Level.OK, f"{told}, as expected")
    message = f"{told}, not {spell(round(expected_w), 'W')}"
    if output.watts <= _SHOWS_W:
        advice = "is its thermostat satisfied, its breaker off, or does the heater begin higher up (see `curve`)?"
    elif output.percent < 100:
        advice = f"write `curve: [[{output.percent:.0f} %, {drawn}]]` if it is not its thermostat"
    else:
        advice = f"write `rated: {drawn}` if that is what it draws when it works"
    return Finding("power", Level.WARNING, message, advice)
