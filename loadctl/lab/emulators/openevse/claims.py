"""What the clients of an OpenEVSE want of it: the highest priority wins, for each property by itself.

Facts: openevse_esp32_firmware src/evse_man.{h,cpp}, web_server_claims.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MANUAL_CLIENT, LIMIT_CLIENT, SHAPER_CLIENT = 0x1_0001, 0x1_0006, 0x1_000C
API, MANUAL, LIMIT, SAFETY = 500, 1000, 1100, 5000  # priorities
_SLOTS = 10


@dataclass(frozen=True, slots=True)
class Claim:
    """What one client wants; None: it leaves that to others."""

    priority: int
    state: str | None = None
    charge_current: int | None = None
    max_current: int | None = None
    auto_release: bool = False

    @classmethod
    def told(cls, priority: int, wanted: Json, *, auto_release: bool) -> Claim:
        """Read a request's body, as leniently as the gateway does."""
        state = {"a": "active", "d": "disabled"}.get(str(wanted.get("state") or "")[:1])
        amps, most = (_whole(wanted.get(key)) for key in ("charge_current", "max_current"))
        return cls(priority, state, amps, most, bool(wanted.get("auto_release", auto_release)))

    def shown(self) -> Json:
        wants = {"state": self.state, "charge_current": self.charge_current, "max_current": self.max_current}
        return {key: value for key, value in wants.items() if value is not None} | {"auto_release": self.auto_release}


class Claims:
    """All claims by client. `version` counts their changes, `overrides` those of the manual override."""

    def __init__(self) -> None:
        self.held: dict[int, Claim] = {}
        self.version = self.overrides = 0

    def room_for(self, client: int) -> bool:
        return client in self.held or len(self.held) < _SLOTS

    def put(self, client: int, claim: Claim | None) -> bool:
        """Make, change or (None) release a claim; False: nothing changed."""
        if self.held.get(client) == claim:
            return False
        if claim is None:
            del self.held[client]
        else:
            self.held[client] = claim
        self.version += 1
        self.overrides += client == MANUAL_CLIENT
        return True

    def unplugged(self) -> bool:
        """Release what ends with the session; False: nothing did."""
        ended = [client for client, claim in self.held.items() if claim.auto_release]
        for client in ended:
            self.put(client, None)
        return bool(ended)

    def best(self, wanted: str) -> tuple[int | None, Any]:
        """Return who decides a property and how; (None, None): nobody does."""
        found = [client for client, claim in self.held.items() if getattr(claim, wanted) is not None]
        if not found:
            return None, None
        client = max(found, key=lambda client: self.held[client].priority)  # of equals the one that came first
        return client, getattr(self.held[client], wanted)

    def shown(self) -> list[Json]:
        return [{"client": client, "priority": claim.priority} | claim.shown() for client, claim in self.held.items()]

    def target(self, default_state: str) -> Json:
        best = {key: self.best(key) for key in ("state", "charge_current", "max_current")}
        properties = {"state": default_state} | {key: value for key, (_, value) in best.items() if value is not None}
        claims = {key: client for key, (client, _) in best.items() if client is not None}
        return {"properties": properties | {"auto_release": False}, "claims": claims}


def as_the_chip_reads(digits: str) -> int:
    """Turn the text of a client's number into 32 bits as the chip's atol does: a signed long, then unsigned."""
    number = int(digits) if digits.removeprefix("-").isdecimal() else 0
    return max(-(2**31), min(2**31 - 1, number)) % 2**32


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
