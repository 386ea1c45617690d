"""What Shelly relays and dimmers answer, as values. No I/O.

Gen1 (ESP8266) speaks plain HTTP, Gen2 and later JSON-RPC. `/shelly` is the same path on all of them, needs no login and
tells which one it is: only Gen2 and later carry `gen`. Facts: shelly-api-docs.shelly.cloud (gen1; gen2 Switch, Light,
Sys, Shelly.GetStatus), and what aioshelly's recorded devices answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadctl.actuators.address import plain_mac
from loadctl.actuators.numbers import number
from loadctl.core.values import Source
from loadctl.errors import Garbled, Refused

Json = dict[str, Any]

_REBOOT = {"init", "boot", "reboot", "restore", "saved"}
_PROTECTION = {"overpower", "overtemp", "overtemperature", "overvoltage", "undervoltage", "overcurrent", "limit_error"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What of a Shelly is driven, in both protocols' words: `/relay/0` is `Switch.Set`, `relays[0]` is `switch:0`."""

    gen1: str
    gen2: str

    def gen2_key(self, channel: int) -> str:
        return f"{self.gen2.lower()}:{channel}"


RELAY, LIGHT = Kind("relay", "Switch"), Kind("light", "Light")


@dataclass(frozen=True, slots=True)
class About:
    """The device as `/shelly` shows it. `roller` None: this firmware does not say there."""

    gen: int
    mac: str
    model: str
    metered: bool = True
    roller: bool | None = False


@dataclass(frozen=True, slots=True)
class Output:
    """One channel. `source` is the device's own word for who switched it; `timer_left_s` is on the device's clock and
    None where no timer runs or the device does not know the time; `errors` are the protections that have tripped.
    `percent` is where a dimmer stands or, while it moves, where it will.
    """

    mac: str
    on: bool
    source: str = ""
    watts: float | None = None
    errors: tuple[str, ...] = ()
    timer_s: float | None = None
    timer_started_at: float | None = None
    timer_left_s: float | None = None
    percent: float | None = None

    @property
    def has_timer(self) -> bool:
        return self.timer_s is not None or self.timer_left_s is not None


def about(body: Json, where: str) -> About:
    """Read `/shelly`. Raises Garbled where no Shelly answers."""
    mac = plain_mac(body.get("mac"))
    if not mac or not ("gen" in body or "type" in body):
        raise Garbled(f"{where}: something else answers there", hint="no Shelly; check `host`")
    if "gen" not in body:
        # A Shelly 1 shows a meter that only repeats the power its owner typed in; a Shelly 2 has one for two relays.
        metered = bool(_whole(body.get("num_meters"))) and _whole(body["num_meters"]) >= _whole(body.get("num_outputs"))
        shutter = body["mode"] == "roller" if "mode" in body else None if _whole(body.get("num_rollers")) else False
        return About(1, mac, str(body["type"]), metered, shutter)
    if _whole(body["gen"]) < 2:
        raise Garbled(f"{where}: tells no generation that is known")
    model = str(body.get("app") or body.get("model") or "Shelly")
    return About(_whole(body["gen"]), mac, model, roller=body.get("profile") == "cover")


def gen1_output(status: Json, device: About, kind: Kind, channel: int, where: str) -> Output:
    """Read one relay or light out of `/status`. Raises Refused where it has no such one, Garbled."""
    outputs = _list(status.get(f"{kind.gen1}s"))
    if channel >= len(outputs):
        raise _no_channel(where, kind, channel, len(outputs), others=bool(_list(status.get(f"{_other(kind).gen1}s"))))
    output = _object(outputs[channel], where)
    tripped = {
        "overpower": output.get("overpower"),
        "overtemperature": status.get("overtemperature"),
        "overload": status.get("overload"),
        "load error": status.get("loaderror"),
    }
    meters = _list(status.get("meters"))
    meter = _object(meters[channel], where) if device.metered and channel < len(meters) else {}
    timed = output.get("has_timer") is True
    return Output(
        mac=plain_mac(status.get("mac")) or device.mac,
        on=_flag(output.get("ison"), where),
        source=str(output.get("source") or ""),
        watts=number(meter.get("power")) if meter.get("is_valid") is True else None,
        errors=tuple(name for name, on in tripped.items() if on is True or on == 1),
        timer_s=number(output.get("timer_duration")) if timed else None,
        timer_started_at=number(output.get("timer_started")) if timed else None,
        timer_left_s=number(output.get("timer_remaining")) if timed else None,
        percent=_percent(output.get("brightness"), where) if kind is LIGHT else None,
    )


def gen2_output(status: Json, device: About, kind: Kind, channel: int, where: str) -> Output:
    """Read one switch or light out of `Shelly.GetStatus`. Raises Refused where it has no such one, Garbled."""
    if kind.gen2_key(channel) not in status:
        channels = _count(status, kind.gen2)
        if not channels and _count(status, "cover"):
            raise roller(where)
        raise _no_channel(where, kind, channel, channels, others=_count(status, _other(kind).gen2) > 0)
    output = _object(status[kind.gen2_key(channel)], where)
    system = _object(status.get("sys", {}), where)
    started, lasts, now = (
        number(value)
        for value in (output.get("timer_started_at"), output.get("timer_duration"), system.get("unixtime"))
    )
    left = None if started is None or lasts is None or now is None else min(lasts, max(0.0, started + lasts - now))
    return Output(
        mac=plain_mac(system.get("mac")) or device.mac,
        on=_flag(output.get("output"), where),
        source=str(output.get("source") or ""),
        watts=number(output.get("apower")),
        errors=tuple(str(error) for error in _list(output.get("errors"))),
        timer_s=lasts,
        timer_started_at=started,
        timer_left_s=left,
        percent=_percent(_target(output), where) if kind is LIGHT else None,
    )


def source(output: Output, wanted: bool | None, leased: bool) -> Source:
    """Who switched it. `wanted`: what we last set, None: nothing since we started. `leased`: our ON has a timer.

    Gen1 calls what came by HTTP `http`, Gen2 `HTTP_in`; that may be us or another program. It was us if the state is
    the one we set and, while on, still runs under a timer: an ON of somebody else would have ended ours. What we did
    before a restart shows by that timer only.
    """
    word = output.source.lower()
    if (output.errors and not output.on) or word in _PROTECTION:
        return Source.PROTECTION
    if word == "timer":
        return Source.TIMER
    if word in _REBOOT:
        return Source.REBOOT
    if not word:
        return Source.UNKNOWN
    if not word.startswith("http"):
        return Source.HAND
    if wanted is None:
        return Source.US if output.on and leased and output.has_timer else Source.UNKNOWN
    return Source.US if output.on is wanted and (not output.on or output.has_timer or not leased) else Source.HAND


def roller(where: str) -> Refused:
    """The error of a device whose relays drive a shutter's motor."""
    return Refused(
        f"{where}: works a roller shutter",
        hint="set it to relay (switch) mode in the Shelly app if a heater or pump hangs on it",
    )


def _no_channel(where: str, kind: Kind, channel: int, channels: int, *, others: bool) -> Refused:
    if not channels:
        driver = "shelly-dimmer" if kind is RELAY else "shelly"
        hint = f"write `driver: {driver}`" if others else "a sensor or a meter cannot be used here"
        return Refused(f"{where}: has {'no relay to switch' if kind is RELAY else 'nothing to dim'}", hint=hint)
    known = "only channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
    return Refused(f"{where}: has no channel {channel}", hint=f"it has {known}; counting starts at 0")


def _other(kind: Kind) -> Kind:
    return LIGHT if kind is RELAY else RELAY


def _count(status: Json, name: str) -> int:
    return sum(key.startswith(f"{name.lower()}:") for key in status)


def _target(light: Json) -> object:
    """Where a Gen2+ light stands, or goes: while it moves `brightness` is only where it has got to."""
    moving = light.get("transition")
    target = moving.get("target") if isinstance(moving, dict) else None
    found = target.get("brightness") if isinstance(target, dict) else None
    return light.get("brightness") if found is None else found


def _percent(value: object, where: str) -> float:
    percent = number(value)
    if percent is None or not 0 <= percent <= 100:
        raise Garbled(f"{where}: does not say how far it is dimmed")
    return percent


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise Garbled(f"{where}: does not say whether it is on")
    return value


def _object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise Garbled(f"{where}: its status cannot be read")
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
