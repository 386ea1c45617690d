"""The failsafe of an OpenEVSE, and what in it could hurt later, as findings of `loadctl doctor`. No I/O.

The box has no lease of its own for HTTP clients: a claim stays until it is released or the gateway restarts, and the
heartbeat (`heartbeat_interval`) watches the link between gateway and controller, not us. What it has is the *load
shaper* (current shaper): as long as it is told what the house draws it leaves the car what the fuse allows, and when
it is told nothing for `current_shaper_data_maxinterval` seconds, or nothing at all since a restart, it pauses the car
with a claim above ours and above a person's (src/current_shaper.cpp, 5.0 and later). We tell it 0 W, and so it limits
nothing until we fall silent. Where the owner feeds it for its real purpose it cannot serve us.
"""

from __future__ import annotations

from loadctl.actuators.openevse.answers import HOT, OURS, SHAPER, Box, Json, Settings, Target, holder
from loadctl.actuators.openevse.options import OpenEvseOptions
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from loadctl.units import spell

OK, NOTE, WARNING, DANGER = Level.OK, Level.NOTE, Level.WARNING, Level.DANGER

SLACK_S = 5.0  # the shaper looks every 2 s, the controller needs a moment
_AMPLE_W = 60_000  # more than any such box can draw
_MENDS = "`loadctl doctor FILE --fix` sets it"
_WEAK_DBM, _BAD_DBM = -70.0, -80.0
_WARM_C = 60.0  # its throttle begins a little above


def in_use(settings: Settings, seen: Box) -> bool:
    """Whether somebody else feeds the load shaper."""
    return settings.shaper_topic or bool(seen.fed_w)


def unarmed(settings: Settings, seen: Box, lease_s: float) -> tuple[str, str]:
    """Tell why the box would not pause the car when we fall silent, and what to do; empty: it would."""
    if settings.shaper_pause_s is None or seen.fed is None:
        told = f"its firmware {settings.firmware} has no load shaper that could do it"
        return told, "update it to 5.0 or newer, or accept `failsafe: none`"
    if in_use(settings, seen):
        told = "something else feeds its load shaper"
        return told, "only `failsafe: none` fits then; if nothing does any more, restart the box"
    if not settings.shaper:
        return "its load shaper is off", _MENDS
    if seen.limited and settings.starts_active is False:  # then the limit claims to charge, as strong as the shaper
        told = "its session limit may go before its load shaper"
        return told, "clear the limit in its web page, or set its default state to active"
    needed_w = (settings.soft_a or 0.0) * seen.volts * (3 if settings.three_phase else 1)
    if settings.shaper_w < needed_w:
        told = f"its load shaper would leave the car less than {spell(needed_w, 'W')}"
        return told, f"raise its max power to {spell(_AMPLE_W, 'W')}, or accept `failsafe: none`"
    if settings.shaper_pause_s + SLACK_S > lease_s:
        return f"its load shaper waits {spell(settings.shaper_pause_s, 's')} for data", _MENDS
    return "", ""


def wish(settings: Settings, seen: Box, lease_s: float | None) -> Json:
    """Return what must be set so that it is armed; empty: nothing, or nothing that we may touch."""
    if lease_s is None or settings.shaper_pause_s is None or in_use(settings, seen):
        return {}
    pause = {"current_shaper_data_maxinterval": int(lease_s - SLACK_S)}
    if not settings.shaper:
        return {"current_shaper_enabled": True, "current_shaper_max_pwr": _AMPLE_W} | pause
    return pause if settings.shaper_pause_s + SLACK_S > lease_s else {}


def mended(before: Settings, after: Settings, seen: Box, lease_s: float) -> tuple[Finding, ...]:
    """Tell what was changed, judged by what was read back."""
    change = f"pauses the car when it hears nothing: was {_spell_pause(before)}, is {_spell_pause(after)}"
    if unarmed(after, seen, lease_s) == ("", ""):
        advice = "" if before.shaper else "without loadctl it charges no car until its load shaper is switched off"
        return (Finding("failsafe", OK, change, advice, fixed=True),)
    advice = "set it in its web page, under Load shaper"
    return (Finding("failsafe", DANGER, f"it said yes and did not change: {change}", advice),)


def judge(seen: Box, wanted: Target, settings: Settings, options: OpenEvseOptions, load: Load) -> tuple[Finding, ...]:
    """Judge the box, its settings and who else has a say."""
    found = [_failsafe(settings, seen, options, load), _heartbeat(settings), _current(settings, load)]
    found += _phases(settings, seen, load)
    found += [_others(settings, seen, wanted), _wifi(seen.rssi_dbm), _password(settings, options)]
    if seen.fault:
        message = f"its own protection has tripped: {seen.fault}"
        found.insert(0, Finding("protection", DANGER, message, "find out why before it charges again"))
    if wanted.amps_by == HOT or (seen.temperature_c is not None and seen.temperature_c >= _WARM_C):
        message = f"it is {seen.temperature_c or 0:.0f} °C warm inside and will charge slower"
        found.append(Finding("temperature", WARNING, message, "look for a loose terminal; shade it from the sun"))
    return tuple(found)


def _failsafe(settings: Settings, seen: Box, options: OpenEvseOptions, load: Load) -> Finding:
    if options.failsafe == "lease":
        why, advice = unarmed(settings, seen, options.lease)
        if why:
            return Finding("failsafe", DANGER, f"nothing would pause the car if loadctl dies: {why}", advice)
        paused = f"it pauses the car {spell(settings.shaper_pause_s or 0.0, 's')} after it last heard from us"
        return Finding("failsafe", OK, f"{paused}, and after a restart until it hears from us")
    if load.safe_on:
        return Finding("failsafe", OK, "charges on without loadctl, as `safe: on` and `failsafe: none` want it")
    after = ", and at full current after a restart" if settings.starts_active else ""
    message = f"the car charges on if loadctl dies (`failsafe: none`){after}"
    if settings.starts_active:
        return Finding("failsafe", WARNING, message, "set its default state to disabled in its web page, at least")
    if settings.shaper_pause_s is None or in_use(settings, seen):
        return Finding("failsafe", NOTE, message)
    return Finding("failsafe", WARNING, f"{message}, and this box could hold a lease", "delete `failsafe: none`")


def _heartbeat(settings: Settings) -> Finding:
    """The controller's own net for a gateway that hangs; firmware before 5.1.6 always has it and does not show it."""
    if settings.heartbeat_s == 0:
        message = "its controller does not notice when its Wi-Fi gateway hangs"
        return Finding("heartbeat", WARNING, message, "set `heartbeat_interval` to 5 s in its web page")
    if settings.heartbeat_a is None:
        return Finding("heartbeat", OK, "its controller falls back to a low current when its gateway hangs")
    told = f"its controller falls back to {settings.heartbeat_a:.0f} A when its gateway hangs"
    return Finding("heartbeat", OK, told)


def _current(settings: Settings, load: Load) -> Finding:
    ranges = load.follow.ranges if load.follow else ()
    amps = (span.most_w / (span.phases * span.volts) for span in ranges if span.phases and span.volts)
    wanted_a = max(amps, default=0.0)
    if settings.soft_a is None:
        return Finding("current", NOTE, "does not tell the most it may draw")
    if wanted_a > settings.soft_a + 0.5:
        message = f"it gives at most {settings.soft_a:.0f} A, the rule goes up to {wanted_a:.0f} A"
        return Finding("current", WARNING, message, f"write `current: … {settings.soft_a:.0f} A` in the rule")
    return Finding("current", OK, f"it may draw up to {settings.soft_a:.0f} A")


def _phases(settings: Settings, seen: Box, load: Load) -> list[Finding]:
    ranges = load.follow.ranges if load.follow else ()
    phases = {span.phases for span in ranges if span.phases}
    found = []
    if phases and phases != {3 if settings.three_phase else 1}:
        there = "three phases" if settings.three_phase else "one phase"
        advice = "it cannot switch: write its number of phases as `phases` in the rule, or mend the box's setting"
        found.append(Finding("phases", WARNING, f"it is set up for {there}, the rule is not", advice))
    volts = next((span.volts for span in ranges if span.volts), None)
    if volts is not None and abs(seen.volts - volts) > 0.04 * volts:
        message = f"it reckons with {seen.volts:.0f} V, the rule with {volts:.0f} V: it measures amps only"
        found.append(Finding("voltage", WARNING, message, "set the voltage in its web page to that of your house"))
    return found


def _others(settings: Settings, seen: Box, wanted: Target) -> Finding:
    if wanted.by not in {None, OURS, SHAPER}:
        message = f"{holder(wanted.by)} decides now whether the car charges"
        return Finding("others", WARNING, message, "clear it in its web page, or leave the car to it")
    if settings.ocpp:
        message = "an OCPP central system may overrule loadctl"
        return Finding("others", WARNING, message, "switch OCPP off in its web page: only one can lead")
    if settings.divert:
        message = "its own solar divert is on; loadctl overrules it while it runs"
        return Finding("others", NOTE, message, "switch it off in its web page, so that only one follows the sun")
    if seen.limited:
        return Finding("others", NOTE, "a session limit will end the charge", "that goes before all rules here")
    return Finding("others", OK, "nobody else decides whether the car charges")


def _wifi(rssi_dbm: float | None) -> Finding:
    if not rssi_dbm:
        return Finding("wifi", OK, "tells no Wi-Fi strength (wired?)")
    told = f"Wi-Fi {rssi_dbm:.0f} dBm"
    if rssi_dbm >= _WEAK_DBM:
        return Finding("wifi", OK, told)
    advice = "an access point nearer to it keeps the car charging"
    return Finding("wifi", NOTE if rssi_dbm >= _BAD_DBM else WARNING, f"{told} is weak", advice)


def _password(settings: Settings, options: OpenEvseOptions) -> Finding:
    if settings.locked:
        return Finding("password", OK, "asks for a password")
    if options.password is not None:
        return Finding("password", NOTE, "it asks for no password although the rule file has one", "set it there")
    message = "open to everybody in your network"
    return Finding("password", NOTE, message, "set a password in its web page and `password:` here")


def _spell_pause(settings: Settings) -> str:
    if not settings.shaper:
        return "never"
    return f"after {spell(settings.shaper_pause_s or 0.0, 's')}"
