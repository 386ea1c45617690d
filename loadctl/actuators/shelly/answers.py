"""What Shelly relays answer, as values. No I/O.

Gen1 (ESP8266) speaks plain HTTP, Gen2 and later JSON-RPC. `/shelly` is the same path on all of them, needs no login and
tells which one it is: only Gen2 and later carry `gen`. Facts: shelly-api-docs.shelly.cloud (gen1; gen2 Switch, Sys,
Shelly.GetStatus), and what aioshelly's recorded devices answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadctl.core.values import Source
from loadctl.errors import Garbled, Refused

Json = dict[str, Any]

_REBOOT = {"init", "boot", "reboot", "restore", "saved"}
_PROTECTION = {"overpower", "overtemp", "overtemperature", "overvoltage", "undervoltage", "overcurrent", "limit_error"}


@dataclass(frozen=True, slots=True)
class About:
    """The device as `/shelly` shows it. `roller` None: this firmware does not say there."""

    gen: int
    mac: str
    model: str
    metered: bool = True
    roller: bool | None = False


@dataclass(frozen=True, slots=True)
class Relay:
    """One channel. `source` is the device's own word for who switched it; `timer_left_s` is on the device's clock and
    None where no timer runs or the device does not know the time; `errors` are the protections that have tripped.
    """

    mac: str
    on: bool
    source: str = ""
    watts: float | None = None
    errors: tuple[str, ...] = ()
    timer_s: float | None = None
    timer_started_at: float | None = None
    timer_left_s: float | None = None

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


def gen1_relay(status: Json, device: About, channel: int, where: str) -> Relay:
    """Read one relay out of `/status`. Raises Refused where it has no such relay, Garbled."""
    relays = _list(status.get("relays"))
    if channel >= len(relays):
        raise _no_channel(where, channel, len(relays))
    relay = _object(relays[channel], where)
    tripped = {"overpower": relay.get("overpower"), "overtemperature": status.get("overtemperature")}
    meters = _list(status.get("meters"))
    meter = _object(meters[channel], where) if device.metered and channel < len(meters) else {}
    timed = relay.get("has_timer") is True
    return Relay(
        mac=plain_mac(status.get("mac")) or device.mac,
        on=_flag(relay.get("ison"), where),
        source=str(relay.get("source") or ""),
        watts=number(meter.get("power")) if meter.get("is_valid") is True else None,
        errors=tuple(name for name, on in tripped.items() if on is True),
        timer_s=number(relay.get("timer_duration")) if timed else None,
        timer_started_at=number(relay.get("timer_started")) if timed else None,
        timer_left_s=number(relay.get("timer_remaining")) if timed else None,
    )


def gen2_relay(status: Json, device: About, channel: int, where: str) -> Relay:
    """Read one switch out of `Shelly.GetStatus`. Raises Refused where it has no such switch, Garbled."""
    if f"switch:{channel}" not in status:
        channels = sum(key.startswith("switch:") for key in status)
        if not channels and any(key.startswith("cover:") for key in status):
            raise roller(where)
        raise _no_channel(where, channel, channels)
    switch = _object(status[f"switch:{channel}"], where)
    system = _object(status.get("sys", {}), where)
    started, lasts, now = (
        number(value)
        for value in (switch.get("timer_started_at"), switch.get("timer_duration"), system.get("unixtime"))
    )
    left = None if started is None or lasts is None or now is None else min(lasts, max(0.0, started + lasts - now))
    return Relay(
        mac=plain_mac(system.get("mac")) or device.mac,
        on=_flag(switch.get("output"), where),
        source=str(switch.get("source") or ""),
        watts=number(switch.get("apower")),
        errors=tuple(str(error) for error in _list(switch.get("errors"))),
        timer_s=lasts,
        timer_started_at=started,
        timer_left_s=left,
    )


def source(relay: Relay, wanted: bool | None, leased: bool) -> Source:
    """Who switched the relay. `wanted`: what we last set, None: nothing since we started. `leased`: our ON has a timer.

    Gen1 calls what came by HTTP `http`, Gen2 `HTTP_in`; that may be us or another program. It was us if the state is
    the one we set and, while on, still runs under a timer: an ON of somebody else would have ended ours. What we did
    before a restart shows by that timer only.
    """
    word = relay.source.lower()
    if (relay.errors and not relay.on) or word in _PROTECTION:
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
        return Source.US if relay.on and leased and relay.has_timer else Source.UNKNOWN
    return Source.US if relay.on is wanted and (not relay.on or relay.has_timer or not leased) else Source.HAND


def roller(where: str) -> Refused:
    """The error of a device whose relays drive a shutter's motor."""
    return Refused(
        f"{where}: works a roller shutter",
        hint="set it to relay (switch) mode in the Shelly app if a heater or pump hangs on it",
    )


def plain_mac(value: object) -> str:
    """Write a hardware address as the devices do: `AABBCCDDEEFF`; empty where it is none."""
    digits = str(value or "").upper().replace(":", "").replace("-", "")
    return digits if len(digits) == 12 and all(digit in "0123456789ABCDEF" for digit in digits) else ""


def number(value: object) -> float | None:
    """A number that can be meant, else None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12
    return float(value) if known else None  # type: ignore[arg-type]


def _no_channel(where: str, channel: int, channels: int) -> Refused:
    if not channels:
        return Refused(f"{where}: has no relay to switch", hint="a sensor, meter or dimmer cannot be used here")
    known = "only channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
    return Refused(f"{where}: has no channel {channel}", hint=f"it has {known}; counting starts at 0")


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
