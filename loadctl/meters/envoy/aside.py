"""The pages that are asked rarely, one between two readings: batteries, grid relay, generator."""

from __future__ import annotations

from typing import Any

from loadctl.errors import DeviceError
from loadctl.meters.envoy.balance import Side
from loadctl.meters.envoy.ensemble import (
    GENERATOR,
    INVENTORY,
    POWER,
    RELAY,
    SECCTRL,
    Batteries,
    Charge,
    Inventory,
    parse_generator,
    parse_inventory,
    parse_power,
    parse_relay,
    parse_secctrl,
)
from loadctl.meters.envoy.production import PRODUCTION, AcBattery, parse_ac_battery
from loadctl.meters.envoy.setup import ENSEMBLE_SINCE, Info
from loadctl.meters.envoy.wire import Forbidden, NoSuchPage, decode

_RARELY_S = 3600.0
_POWER_S, _CHARGE_S, _RELAY_S, _GENERATOR_S, _ACB_S = 30.0, 60.0, 15.0, 30.0, 300.0
_POWER_GOOD_S, _CHARGE_GOOD_S, _STATE_GOOD_S, _ACB_GOOD_S = 150.0, 900.0, 300.0, 900.0
_FAILED_S = 60.0


class Aside:
    """Remembers what those pages said and when to ask which again."""

    def __init__(self, info: Info, now: float) -> None:
        self._ensemble = info.version >= ENSEMBLE_SINCE
        pages = (POWER, INVENTORY, SECCTRL, RELAY, GENERATOR) if self._ensemble else ()
        self._due = dict.fromkeys(pages, now)
        self._batteries: Batteries | None = None if self._ensemble else Batteries(0, None)
        self._charge: Charge | None = None
        self._inventory: Inventory | None = None
        self._acb = AcBattery()
        self._digest, self._hidden = not info.tokens, False
        self._relay: bool | None = None
        self._generator: bool | None = None
        self._at: dict[str, float] = {}

    def next(self, now: float, first: bool) -> str | None:
        """Return the page to ask now. Before the first reading only the batteries' power: a battery that discharges
        hides the import.
        """
        due = [path for path, at in self._due.items() if at <= now and (path == POWER or not first)]
        return min(due, key=self._due.__getitem__, default=None)

    def take(self, path: str, text: str, now: float) -> None:
        """Read an answer and plan the next question."""
        try:
            value = decode(text, path)
            self._read(path, value, now)
        except DeviceError as error:
            self.fail(path, error, now)
            return
        self._due[path] = now + self._period(path)

    def fail(self, path: str, error: DeviceError, now: float) -> None:
        """Note that a page is not there (ask rarely) or failed (ask a little later)."""
        missing = isinstance(error, NoSuchPage)
        if missing and path == POWER:
            self._batteries = Batteries(0, None)
        if path == POWER and self._digest and isinstance(error, Forbidden):
            # Firmware 5 and 6 show batteries to installers only, and few have any: the load is given, and doubtful.
            self._batteries, self._hidden = Batteries(0, None), True
            self._due |= dict.fromkeys((INVENTORY, SECCTRL, RELAY, GENERATOR), now + _RARELY_S)
        if missing and path == PRODUCTION:
            self._acb = AcBattery()
        self._due[path] = now + (_RARELY_S if missing or isinstance(error, Forbidden) else _FAILED_S)
        if path == RELAY and missing and self._inventory and self._inventory.controller:
            self._due[INVENTORY] = min(self._due[INVENTORY], now + _RELAY_S)

    def ac_battery(self, value: Any, now: float) -> None:
        """Take the AC Batteries from a production.json that was read anyway."""
        self._acb = parse_ac_battery(value)
        self._at[PRODUCTION] = now
        self._due.pop(PRODUCTION, None)

    def side(self, now: float) -> Side:
        """Return what is known now; what is too old is not."""
        acb = self._acb
        flags = {"acb_stale": acb.stale, "battery_hidden": self._hidden}
        acb_w = acb.power_w if self._good(PRODUCTION, _ACB_GOOD_S, now) else None
        charged = self._charge and self._charge.soc_pct is not None and self._good(SECCTRL, _CHARGE_GOOD_S, now)
        return Side(
            batteries=self._has_batteries(),
            battery_w=self._power_w(acb_w, now),
            soc_pct=self._charge.soc_pct if self._charge and charged else acb.soc_pct,
            grid_up=self._grid_up(now),
            generator=self._running(now),
            flags=frozenset(flag for flag, up in flags.items() if up),
        )

    def _read(self, path: str, value: Any, now: float) -> None:
        if path == POWER:
            self._batteries, self._hidden = parse_power(value), False
        elif path == SECCTRL:
            self._charge = parse_secctrl(value)
            if self._charge.ac_batteries:
                self._due.setdefault(PRODUCTION, now)
        elif path == RELAY:
            self._relay = parse_relay(value)
        elif path == INVENTORY:
            self._inventory = parse_inventory(value)
            if self._inventory.controller:
                self._due[RELAY] = min(self._due[RELAY], now + _RELAY_S)
            elif RELAY not in self._at:  # nothing to open, and no generator without it
                self._due[RELAY] = self._due[GENERATOR] = now + _RARELY_S
        elif path == GENERATOR:
            self._generator = parse_generator(value)
        else:
            self._acb = parse_ac_battery(value)
        self._at[path] = now

    def _period(self, path: str) -> float:
        controller = self._inventory.controller if self._inventory else self._relay is not None
        if path == POWER:
            return _POWER_S if self._batteries and self._batteries.count else _RARELY_S
        if path == SECCTRL:
            return _CHARGE_S if self._charge and self._charge.soc_pct is not None else _RARELY_S
        if path == RELAY:
            return _RELAY_S if controller else _RARELY_S
        if path == GENERATOR:
            return _GENERATOR_S if controller else _RARELY_S
        if path == INVENTORY:
            return _RELAY_S * 2 if controller and RELAY not in self._at else _RARELY_S
        return _ACB_S if self._acb.count else _RARELY_S

    def _has_batteries(self) -> bool | None:
        if self._acb.count:
            return True
        if self._batteries is not None:
            return self._batteries.count > 0
        return None if self._inventory is None else self._inventory.batteries > 0

    def _power_w(self, acb_w: float | None, now: float) -> float | None:
        if self._batteries is None or (self._batteries.count and not self._good(POWER, _POWER_GOOD_S, now)):
            return None
        if self._batteries.count == 0:
            return acb_w
        return None if self._batteries.power_w is None else self._batteries.power_w + (acb_w or 0.0)

    def _grid_up(self, now: float) -> bool | None:
        """An open relay is believed until something newer says closed; in a house that cannot be parted, nothing is."""
        if self._inventory and not self._inventory.controller:
            return None
        states = [
            (self._at.get(path, 0.0), state)
            for path, state in ((RELAY, self._relay), (INVENTORY, self._inventory.grid_up if self._inventory else None))
            if state is not None
        ]
        if not states:
            return None
        at, up = max(states, key=lambda entry: entry[0])
        return up if not up or now - at <= _STATE_GOOD_S else None

    def _running(self, now: float) -> bool | None:
        if self._inventory and self._inventory.generator and not self._newer(GENERATOR, INVENTORY):
            return True
        if self._generator is None or (not self._generator and not self._good(GENERATOR, _RARELY_S + 60, now)):
            return None
        return self._generator

    def _newer(self, path: str, other: str) -> bool:
        return self._at.get(path, float("-inf")) > self._at.get(other, float("-inf"))

    def _good(self, path: str, seconds: float, now: float) -> bool:
        return path in self._at and now - self._at[path] <= seconds
