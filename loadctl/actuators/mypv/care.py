"""What in a my-PV heater could hurt later, as findings of `loadctl doctor`. No I/O."""

from __future__ import annotations

from loadctl.actuators.mypv.answers import CONTROLS, Heater, State
from loadctl.actuators.mypv.options import MyPvOptions
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from loadctl.units import spell

_NEAR = 0.95  # what it tells as its most is measured now and then


def judge(seen: Heater, options: MyPvOptions, load: Load) -> tuple[Finding, ...]:
    """Judge its state and its settings with the load's rule in mind."""
    return (_lease(seen, options), *_control(seen, options), _power(seen, options, load), _state(seen), _warmth(seen))


def mended(before: Heater, after: Heater, options: MyPvOptions) -> Finding:
    """Tell what became of its power timeout."""
    change = f"power timeout: was {_spell(before.timeout_s)}, is {_spell(after.timeout_s)}"
    if after.timeout_s == options.lease:
        return Finding("lease", Level.OK, change, fixed=True)
    message = f"it said yes and did not change: {change}"
    return Finding("lease", Level.DANGER, message, f"set it to {_spell(options.lease)} in its web page")


def _lease(seen: Heater, options: MyPvOptions) -> Finding:
    lease = _spell(options.lease)
    if seen.timeout_s is None:
        message = f"does not tell its power timeout; loadctl takes your word for `lease: {lease}`"
        return Finding("lease", Level.WARNING, message, f"look in its web page that the power timeout is {lease}")
    if seen.timeout_s != options.lease:
        message = f"its power timeout is {_spell(seen.timeout_s)}, the rule file says `lease: {lease}`: it stays off"
        return Finding("lease", Level.DANGER, message, f"`loadctl doctor FILE --fix` sets it to {lease}")
    return Finding("lease", Level.OK, f"goes off by itself {lease} after it heard from us last")


def _control(seen: Heater, options: MyPvOptions) -> tuple[Finding, ...]:
    wanted = "Modbus TCP" if options.via == "modbus" else "HTTP"
    if seen.control is None:
        return ()
    if CONTROLS.get(seen.control) != wanted:
        kind = CONTROLS.get(seen.control, f"number {seen.control}")
        message = f"its control type is {kind}: it does not listen to what comes by {wanted}"
        advice = f"set its control type to `{wanted}` in its web page, or write another `via`"
        return (Finding("control", Level.DANGER, message, advice),)
    return (Finding("control", Level.OK, f"its control type is {wanted}"),)


def _power(seen: Heater, options: MyPvOptions, load: Load) -> Finding:
    rated = spell(options.rated, "W")
    if load.power_w > options.rated:
        message = f"the rule says `power: {spell(load.power_w, 'W')}` and the heater is `rated: {rated}`"
        return Finding("power", Level.WARNING, message, f"write `power: {rated}`, or correct `rated`")
    if seen.most_w is not None and seen.most_w < _NEAR * options.rated:
        most = spell(seen.most_w, "W")
        message = f"it can set {most} at most, the rule file says `rated: {rated}`"
        return Finding("power", Level.WARNING, message, f"write `rated: {most}`, or raise its maximum power")
    told = "" if seen.most_w is None else f"; it can set up to {spell(seen.most_w, 'W')}"
    return Finding("power", Level.OK, f"takes set-points up to {rated}{told}")


def _state(seen: Heater) -> Finding:
    if seen.trouble:
        return Finding("state", Level.DANGER, seen.trouble, "see in its web page what it needs")
    if seen.state is State.BOOST:
        message = "heats by its own programme now; what loadctl sets does nothing meanwhile"
        return Finding("state", Level.NOTE, message, "`need` in the rule file can do what its hot-water times do")
    words = {State.FULL: "the water is as hot as its own limit allows", State.DEAF: "waits to be told something"}
    return Finding("state", Level.OK, f"{words.get(seen.state, seen.state)}, draws {spell(round(seen.watts), 'W')}")


def _warmth(seen: Heater) -> Finding:
    known = [f"{celsius:.1f} °C" for celsius in seen.celsius if celsius is not None]
    if not known:
        return Finding("temperature", Level.NOTE, "tells no temperature", "is its sensor connected?")
    return Finding("temperature", Level.OK, f"tells {', '.join(known)}")


def _spell(seconds: float | None) -> str:
    return "not told" if seconds is None else spell(seconds, "s")
