"""What about a go-e could hurt later, as findings of `loadctl doctor`. No I/O.

Names of settings: go-eCharger-API-v2, API_KEYS_FIRMWARE.
"""

from __future__ import annotations

from loadctl.actuators.goe.answers import Box, Json
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level

OK, NOTE, WARNING, DANGER = Level.OK, Level.NOTE, Level.WARNING, Level.DANGER

KEYS_V2 = ("fwv", "lmo", "acp", "acs", "su", "ocppe", "fse", "fsi", "loe", "rssi")

_ECO = 4  # `lmo`: charge only when something says so
_WEAK_DBM = -75.0


def judge(box: Box, settings: Json, load: Load, *, v2: bool) -> tuple[Finding, ...]:
    """Judge box and settings with the load's rule in mind; keys that a firmware does not know are left out."""
    found = [_car(box), _api(load, v2=v2), _phases(box, load), _current(box, load), _failsafe(settings)]
    if v2:
        found += [_plug(settings), _pauses(settings), _rivals(settings), _wifi(settings), _access(settings)]
    return tuple(finding for finding in found if finding)


def _car(box: Box) -> Finding:
    if box.error:
        return Finding("car", DANGER, f"the box cannot charge: {box.error}", "its app tells more")
    if box.blocked:
        return Finding("car", WARNING, f"the box does not let the car charge: {box.blocked}")
    words = {True: "a car is plugged in", False: "no car is plugged in"}
    return Finding("car", OK, words.get(bool(box.connected), ""))


def _api(load: Load, *, v2: bool) -> Finding:
    if v2:
        return Finding("api", OK, "speaks HTTP API v2")
    message = "speaks HTTP API v1 only: its phases cannot be switched"
    if _phases_of(load) == {1, 3}:
        return Finding("api", WARNING, message, "switch on v2 in its app if it has it, else write `phases: 3` or 1")
    return Finding("api", NOTE, message, "switch on v2 in its app if it has it")


def _phases(box: Box, load: Load) -> Finding | None:
    if max(_phases_of(load), default=0) <= box.fed:
        return None
    message = f"the rule reckons with three phases, {box.fed} reach the box"
    return Finding("phases", WARNING, message, "write `phases: 1`")


def _current(box: Box, load: Load) -> Finding | None:
    ranges = load.follow.ranges if load.follow else ()
    wanted = [span.most_w / (span.phases * span.volts) for span in ranges if span.phases and span.volts]
    if not wanted or max(wanted) <= box.most_a + 0.5:
        return None
    message = f"the rule goes up to {max(wanted):.0f} A, the box is limited to {box.most_a} A in its app"
    return Finding("current", WARNING, message, f"write at most `{box.most_a} A` in `current`")


def _failsafe(settings: Json) -> Finding:
    """`fse`, `fsi` (firmware 60.4 and later): set by whom it may, not over HTTP."""
    limit_a = settings.get("fsi")
    if settings.get("fse") is True and isinstance(limit_a, int):
        message = f"its failsafe limit is on: it falls to {limit_a} A when its controller falls silent"
        return Finding(
            "failsafe", NOTE, message, "see in its app what it takes for its controller: loadctl cannot set it"
        )
    return Finding(
        "failsafe",
        NOTE,
        "it goes on charging as it was told last when loadctl dies, until the car is full",
        "set a limit of energy in its app, or use it over OCPP (`driver: ocpp`), where it has a fallback current",
    )


def _plug(settings: Json) -> Finding:
    if settings.get("lmo") == _ECO:
        return Finding("plug", OK, "in Eco mode: a car that is plugged in waits for us")
    message = "a car that is plugged in charges at once, until loadctl sees it some seconds later"
    return Finding("plug", NOTE, message, "choose Eco mode in its app and switch its own PV and price rules off there")


def _pauses(settings: Json) -> Finding | None:
    if settings.get("acp") is not False:
        return None
    message = "charging pauses are forbidden in its app: it would go on at its least current"
    return Finding("pauses", DANGER, message, "allow them in the car settings of its app (`acp`)")


def _rivals(settings: Json) -> Finding | None:
    rivals = [name for key, name in (("ocppe", "an OCPP backend"), ("loe", "load balancing")) if settings.get(key)]
    if not rivals:
        return None
    message = f"{' and '.join(rivals)} may limit it too"
    return Finding("rivals", NOTE, message, "switch it off in its app unless you need it")


def _wifi(settings: Json) -> Finding | None:
    rssi = settings.get("rssi")
    if not isinstance(rssi, int):
        return None
    if rssi < _WEAK_DBM:
        return Finding("wifi", WARNING, f"weak Wi-Fi: {rssi} dBm", "move the access point nearer")
    return Finding("wifi", OK, f"Wi-Fi {rssi} dBm")


def _access(settings: Json) -> Finding | None:
    if not settings.get("acs"):
        return None
    message = "every charge must be unlocked with a card or the app"
    return Finding("access", NOTE, message, "set its access to open, or unlock it when you plug the car in")


def _phases_of(load: Load) -> set[int]:
    return {span.phases for span in load.follow.ranges if span.phases} if load.follow else set()
