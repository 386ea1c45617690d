"""What an OpenEVSE answers, as values. No I/O.

The gateway (ESP32) speaks HTTP and keeps the *claims*: what each of its clients wants, with a priority. What they come
to is the *target*; the charging controller behind it does that. Facts: OpenEVSE/openevse_esp32_firmware 4.2 to 5.1
(api.yml, src/web_server*.cpp, evse_man.h, evse_man.cpp), open_evse/J1772EvseController.h for the states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadctl.actuators.address import plain_mac
from loadctl.actuators.numbers import number
from loadctl.core.values import Source
from loadctl.errors import Garbled

Json = dict[str, Any]

# Vendor 0xFFFE (unregistered) << 16 | "LC". The gateway reads the number in the path as a signed 32-bit one and would
# make 0x7FFFFFFF of it, so there it is written as its negative twin.
OURS = 0xFFFE_4C43
OUR_PATH = f"/claims/{OURS - 2**32}"

MANUAL, LIMIT, ERROR, SHAPER, HOT = 0x1_0001, 0x1_0006, 0x1_0007, 0x1_000C, 0x1_000D
_HOLDERS = {
    MANUAL: "a manual override in the box",
    0x1_0002: "its solar divert",
    0x1_0003: "its boost timer",
    0x1_0004: "its schedule",
    LIMIT: "its session limit",
    ERROR: "its error handling",
    0x1_0008: "OhmConnect",
    0x1_0009: "its OCPP central system",
    0x1_000A: "its RFID reader",
    0x1_000B: "an MQTT client",
    SHAPER: "its load shaper",
    HOT: "its temperature throttle",
    0x2_0001: "its demand shaper",
}

_CHARGING, _SLEEPING = 3, 254  # 255: disabled; what it says depends on how it is set to pause
_FAULTS = {
    4: "the car asks for ventilation",
    5: "diode check failed",
    6: "ground fault (GFCI)",
    7: "no ground",
    8: "stuck relay",
    9: "ground fault self-test failed",
    10: "too hot",
    11: "too much current",
    14: "relay does not close",
}


@dataclass(frozen=True, slots=True)
class Box:
    """`/status`: `on`: the car may charge; `pilot_a`: the most it may draw on each phase while it may.

    `watts` is what the box works out of the measured current and its *configured* voltage. `fault` empty: none.
    `shaping`, `fed`: the load shaper runs, and has heard from somebody in time; `fed_w`: what it last heard.
    """

    on: bool
    state: int
    plugged: bool
    pilot_a: float
    amps: float
    volts: float
    watts: float
    fault: str = ""
    most_a: float | None = None
    temperature_c: float | None = None
    soc_pct: float | None = None
    mac: str = ""
    shaping: bool | None = None
    fed: bool | None = None
    fed_w: float | None = None
    rssi_dbm: float | None = None
    limited: bool = False
    config_version: float | None = None

    @property
    def charging(self) -> bool:
        return self.state == _CHARGING


@dataclass(frozen=True, slots=True)
class Target:
    """`/claims/target`: what the box wants to do, and which client's claim decides it (None: nobody's, its default)."""

    active: bool
    by: int | None
    amps_by: int | None
    amps: float | None
    most_a: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """`/config`, as far as it matters here. `shaper_pause_s` None: this firmware cannot be told (before 5.0)."""

    firmware: str = ""
    serial: str = ""
    three_phase: bool = False
    least_a: float | None = None
    soft_a: float | None = None
    starts_active: bool | None = None
    shaper: bool = False
    shaper_w: float = 0.0
    shaper_pause_s: float | None = None
    shaper_topic: bool = False
    heartbeat_s: float | None = None
    heartbeat_a: float | None = None
    divert: bool = False
    ocpp: bool = False
    locked: bool = False


def box(body: Json, where: str) -> Box:
    """Read `/status`. Raises Garbled where no OpenEVSE answers, or its gateway has lost its controller."""
    state, pilot_a = number(body.get("state")), number(body.get("pilot"))
    if state is None or pilot_a is None or not ("evse_connected" in body or "rapi_connected" in body):
        raise Garbled(f"{where}: something else answers there", hint="no OpenEVSE; check `host`")
    if not body.get("evse_connected", body.get("rapi_connected")):
        raise Garbled(
            f"{where}: its Wi-Fi gateway does not reach the charging controller", hint="restart the box at its breaker"
        )
    amps = (number(body.get("amp")) or 0.0) / 1000
    volts = number(body.get("voltage")) or 240.0
    watts = number(body.get("power"))
    tenths = number(body.get("temp"))
    fault = _FAULTS.get(int(state), "") if 4 <= state < _SLEEPING else ""
    if 4 <= state < _SLEEPING and not fault:
        fault = f"fault {state:.0f}"
    return Box(
        on=state in {1, 2, _CHARGING} or (state == 0 and body.get("status") == "active"),  # 0: it starts
        state=int(state),
        plugged=body["vehicle"] == 1 if "vehicle" in body else state in {2, _CHARGING, 4},
        pilot_a=pilot_a,
        amps=amps,
        volts=volts,
        watts=amps * volts if watts is None else watts,
        fault=fault,
        most_a=number(body.get("max_current")),
        temperature_c=None if tenths is None else tenths / 10,
        soc_pct=number(body.get("battery_level")),
        mac=plain_mac(body.get("macaddress")),
        shaping=_flag(body.get("shaper")),
        fed=_flag(body.get("shaper_updated")),
        fed_w=number(body.get("shaper_live_pwr")),
        rssi_dbm=number(body.get("srssi")),
        limited=_flag(body.get("limit")) is True,
        config_version=number(body.get("config_version")),
    )


def target(body: Json, where: str) -> Target:
    """Read `/claims/target`. Raises Garbled."""
    properties, claims = body.get("properties"), body.get("claims")
    if not isinstance(properties, dict) or not isinstance(claims, dict):
        raise Garbled(f"{where}: its claims cannot be read")
    return Target(
        active=properties.get("state") == "active",
        by=_client(claims.get("state")),
        amps_by=_client(claims.get("charge_current")),
        amps=number(properties.get("charge_current")),
        most_a=number(properties.get("max_current")),
    )


def settings(body: Json, where: str) -> Settings:
    """Read `/config`. Raises Garbled."""
    if "version" not in body:
        raise Garbled(f"{where}: something else answers there", hint="no OpenEVSE; check `host`")
    return Settings(
        firmware=str(body["version"])[:40],
        serial=str(body.get("wifi_serial") or "").upper(),
        three_phase=body.get("is_threephase") is True,
        least_a=number(body.get("min_current_hard")),
        soft_a=number(body.get("max_current_soft")),
        starts_active=_flag(body.get("default_state")),
        shaper=body.get("current_shaper_enabled") is True,
        shaper_w=number(body.get("current_shaper_max_pwr")) or 0.0,
        shaper_pause_s=number(body.get("current_shaper_data_maxinterval")),
        shaper_topic=body.get("mqtt_enabled") is True and bool(body.get("mqtt_live_pwr")),
        heartbeat_s=number(body.get("heartbeat_interval")),
        heartbeat_a=number(body.get("heartbeat_current")),
        divert=body.get("divert_enabled") is True,
        ocpp=body.get("ocpp_enabled") is True,
        locked=bool(body.get("www_password")),
    )


def source(seen: Box, wanted: Target, claimed: bool) -> Source:
    """Who put the box into its state. `claimed`: our claim was there; gateways forget all claims when they restart."""
    if seen.fault or (wanted.by in {LIMIT, ERROR, HOT} and not wanted.active):
        return Source.PROTECTION
    if wanted.by == OURS:
        return Source.US
    if wanted.by == SHAPER and not wanted.active:
        return Source.TIMER
    if wanted.by is None:
        return Source.REBOOT if claimed else Source.UNKNOWN
    return Source.HAND


def holder(client: int | None) -> str:
    """Name whose claim it is, for a person."""
    return "its default state" if client is None else _HOLDERS.get(client, f"its client {client}")


def _client(value: object) -> int | None:
    client = number(value)
    return None if client is None else int(client) % 2**32


def _flag(value: object) -> bool | None:
    return bool(value) if isinstance(value, bool | int) else None
