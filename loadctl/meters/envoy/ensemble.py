"""Batteries, grid relay and generator: `/ivp/ensemble/…` (firmware 5+). Houses without answer `[]`, 404 or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadctl.errors import Garbled
from loadctl.meters.envoy.wire import first_word, number, rows, watts

POWER, SECCTRL, RELAY = "/ivp/ensemble/power", "/ivp/ensemble/secctrl", "/ivp/ensemble/relay"
INVENTORY, GENERATOR = "/ivp/ensemble/inventory", "/ivp/ensemble/generator"

_CONTROLLERS = {"ENPOWER", "COLLAR", "C6 COMBINER CONTROLLER"}


@dataclass(frozen=True, slots=True)
class Batteries:
    """`/ivp/ensemble/power`: how many IQ batteries, and what they give together (+ discharging)."""

    count: int
    power_w: float | None


@dataclass(frozen=True, slots=True)
class Charge:
    """`/ivp/ensemble/secctrl`: how full all batteries are together, and whether AC Batteries are among them."""

    soc_pct: float | None
    ac_batteries: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """`/ivp/ensemble/inventory`: batteries and the system controller, which alone can part the house from the grid."""

    batteries: int = 0
    controller: bool = False
    grid_up: bool | None = None
    generator: bool | None = None


def parse_power(value: Any) -> Batteries:
    """Read the batteries' power; the key really is `devices:`. Raises Garbled."""
    if isinstance(value, list) and not value:
        return Batteries(0, None)
    if not isinstance(value, dict):
        raise Garbled(f"{POWER}: not an object")
    devices = rows(value.get("devices:", value.get("devices")))
    powers = [number(device.get("real_power_mw")) for device in devices]
    known = [power for power in powers if power is not None]
    if not known or len(known) < len(powers):
        return Batteries(len(devices), None)
    return Batteries(len(devices), watts(sum(known) / 1000))


def parse_secctrl(value: Any) -> Charge:
    """Read the charge; `Max_energy` 0 is a house without a battery, whose fields are there all the same."""
    energy_wh, soc_pct = number(_get(value, "Max_energy")), number(_get(value, "agg_soc"), 100)
    acb = any(number(_get(value, key)) for key in ("ACB_agg_soc", "ACB_agg_energy"))
    return Charge(soc_pct if energy_wh and soc_pct is not None and soc_pct >= 0 else None, acb)


def parse_relay(value: Any) -> bool | None:
    """Return whether the house hangs on the grid, None if the answer does not say ("unknown")."""
    return _closed(_get(value, "mains_oper_state"))


def parse_generator(value: Any) -> bool | None:
    """Return whether a generator feeds the house; open = not feeding."""
    if _get(value, "present") == 0:
        return False
    return _closed(_get(value, "oper_state"))


def parse_inventory(value: Any) -> Inventory:
    """Read which devices there are. Raises Garbled if it is no list."""
    if not isinstance(value, list):
        raise Garbled(f"{INVENTORY}: not a list")
    batteries = sum(len(rows(group.get("devices"))) for group in rows(value) if group.get("type") == "ENCHARGE")
    controllers = [
        device for group in rows(value) if group.get("type") in _CONTROLLERS for device in rows(group.get("devices"))
    ]
    states = [state for device in controllers if (state := _closed(device.get("mains_oper_state"))) is not None]
    fed = any(device.get("admin_state_str") == "ENPWR_STATE_OPER_GEN_CLOSE" for device in controllers)
    return Inventory(
        batteries=batteries,
        controller=bool(controllers),
        grid_up=all(states) if states else None,
        generator=True if fed else None,
    )


def _closed(state: Any) -> bool | None:
    """Only the first word counts: "open synchronizing" is open."""
    return {"closed": True, "open": False}.get(first_word(state))


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
