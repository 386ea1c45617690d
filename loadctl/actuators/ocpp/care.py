"""What about an OCPP charger could hurt later, as findings of `loadctl doctor`. No I/O."""

from __future__ import annotations

from loadctl.actuators.ocpp.box import Box, Connector
from loadctl.actuators.ocpp.options import OcppOptions
from loadctl.actuators.ocpp.profiles import MEASURANDS, SAFE_LEVEL, TOLERATED_S
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from loadctl.units import spell

OK, NOTE, WARNING, DANGER = Level.OK, Level.NOTE, Level.WARNING, Level.DANGER


def inspect(box: Box, connector: Connector, options: OcppOptions, load: Load) -> tuple[Finding, ...]:
    """Judge what the box has told of itself, with its rule in mind."""
    return (
        Finding("answer", OK, " ".join(filter(None, ("is connected:", box.model or "a charger", box.firmware)))),
        _judge_lease(box, options),
        _judge_smart_charging(box),
        _judge_phases(box, options, load),
        _judge_meter(box, connector),
        _judge_clock(box, options),
        _judge_password(options),
    )


def _judge_lease(box: Box, options: OcppOptions) -> Finding:
    if options.failsafe == "none":
        return Finding("failsafe", WARNING, "the car goes on charging if loadctl dies (`failsafe: none`)")
    if box.abilities.stack_level == SAFE_LEVEL:
        message = "it holds only one charging profile: it cannot go back to a pause when loadctl dies"
        return Finding("failsafe", DANGER, message, "write `failsafe: none` if that can do no harm")
    if box.abilities.stack_level is None:
        message = "it does not tell how many charging profiles it holds; loadctl uses two"
        return Finding("failsafe", NOTE, message, "stop loadctl while the car charges and see that it pauses")
    return Finding("failsafe", OK, f"it pauses by itself after {spell(options.lease, 's')} without loadctl")


def _judge_smart_charging(box: Box) -> Finding:
    features = box.abilities.features
    if features is None or "SmartCharging" in features:
        return Finding(
            "smart_charging", OK if features else NOTE, "it takes charging profiles" if features else "not told"
        )
    advice = "switch on smart charging or load management in its settings, or update its firmware"
    return Finding("smart_charging", WARNING, "it says that it knows no charging profiles", advice)


def _judge_phases(box: Box, options: OcppOptions, load: Load) -> Finding:
    can = box.abilities.switches_phases
    ranges = load.follow.ranges if load.follow else ()
    if options.switch_phases and can is False:
        return Finding("phases", WARNING, "it says that it cannot switch phases", "delete `switch_phases: true`")
    if can and not options.switch_phases and len(ranges) < 2:
        return Finding(
            "phases", NOTE, "it can switch between one and three phases", "`switch_phases: true` lets loadctl"
        )
    return Finding("phases", OK, "phases are as the rule says")


def _judge_meter(box: Box, connector: Connector) -> Finding:
    watts = connector.meter.watts
    if watts is not None:
        return Finding("meter", OK, f"measures; the last it told is {spell(round(watts), 'W')}")
    told = {part.strip() for part in (box.abilities.measurands or "").split(",")}
    if told & set(MEASURANDS):
        return Finding("meter", OK, "measures; it has told nothing yet, as many do until a car charges")
    advice = "loadctl reckons with the limit; switch on MeterValues in its settings if it has a meter"
    return Finding("meter", NOTE, "has not told any measurement", advice)


def _judge_clock(box: Box, options: OcppOptions) -> Finding:
    off_s = abs(round(box.skew_s))
    if off_s <= TOLERATED_S:
        return Finding("clock", OK, "its clock is right")
    ahead = "ahead" if box.skew_s > 0 else "behind"
    level = WARNING if off_s > options.lease / 3 else NOTE
    advice = "the lease counts by its clock, and loadctl allows for that; set its time server all the same"
    return Finding("clock", level, f"its clock is {spell(off_s, 's')} {ahead}", advice)


def _judge_password(options: OcppOptions) -> Finding:
    if options.password is not None:
        return Finding("password", OK, "it gets in with its password only")
    advice = "set an AuthorizationKey in the charger and `password` here if strangers use this network"
    return Finding("password", NOTE, "anything in this network may say that it is this charger", advice)
