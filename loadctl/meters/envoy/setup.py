"""What kind of Envoy it is and which current transformers (CTs) are clipped on: `/info` and `/ivp/meters`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from loadctl.errors import Garbled
from loadctl.meters.envoy.wire import number, rows

NET, TOTAL = "net-consumption", "total-consumption"

# Firmware from which something is different, all from pyenphase's const.py unless said otherwise.
JSON_SINCE = (3, 9)  # below: one HTML page
ENSEMBLE_SINCE = (5,)
TOKENS_SINCE = (7,)
V1_FROZEN_SINCE = (8, 2, 4264)  # /api/v1/production stands still on metered boxes without CTs
TOTAL_OVERWRITTEN_SINCE = (8, 3, 5433)  # production.json's total-consumption repeats net-consumption
STORAGE_PHASE_LOST_SINCE = (8, 3, 6000)  # a split-phase storage CT shows one leg all zero for moments

_TAG = {
    name: re.compile(rf"<{name}>\s*([^<]*?)\s*</{name}>") for name in ("software", "sn", "imeter", "web-tokens", "time")
}


@dataclass(frozen=True, slots=True)
class Info:
    """`/info`: `version` is (8, 2, 4286) for D8.2.4286, empty if the box did not say."""

    software: str = ""
    version: tuple[int, ...] = ()
    serial: str = ""
    imeter: bool | None = None
    tokens: bool = False
    time: float | None = None

    @property
    def name(self) -> str:
        return f"firmware {self.software}" if self.software else "unknown firmware"


def parse_info(text: str) -> Info:
    """Read `/info` (XML, no login on any firmware). Raises Garbled if it names neither firmware nor serial."""
    found = {name: match[1] for name, pattern in _TAG.items() if (match := pattern.search(text))}
    software = found.get("software", "")[:40]
    version = tuple(int(part) for part in re.findall(r"\d{1,9}", software))
    serial = found.get("sn", "")[:40]
    if not version and not serial:
        raise Garbled("/info: neither firmware nor serial in the answer; is this an Envoy?")
    return Info(
        software=software,
        version=version,
        serial=serial,
        imeter=found["imeter"] == "true" if "imeter" in found else None,
        tokens=version >= TOKENS_SINCE or found.get("web-tokens") == "true",
        time=float(found["time"]) if re.fullmatch(r"\d{1,12}", found.get("time", "")) else None,
    )


@dataclass(frozen=True, slots=True)
class Ct:
    """One enabled meter of `/ivp/meters`. "three" with `phases` 1 is an ordinary European single-phase house."""

    eid: float
    kind: str
    mode: str = ""
    phases: int = 1


@dataclass(frozen=True, slots=True)
class Setup:
    """The enabled CTs; `known` False: this firmware does not tell."""

    known: bool = False
    production: Ct | None = None
    consumption: Ct | None = None
    storage: Ct | None = None
    flags: frozenset[str] = frozenset()

    @property
    def phases(self) -> int | None:
        """How many phases the house has, None if unknown."""
        return max((ct.phases for ct in (self.production, self.consumption) if ct), default=None)

    @property
    def any(self) -> bool:
        return bool(self.production or self.consumption)


def parse_meters(value: Any) -> Setup:
    """Read `/ivp/meters`. Raises Garbled if it is no list.

    Disabled meters stay in the list and are left out here. A meter that is enabled and says "not-metering" measures
    nothing, so it is left out as well and named in the flags.
    """
    if not isinstance(value, list):
        raise Garbled("/ivp/meters: not a list")
    found: dict[str, Ct] = {}
    flags: set[str] = set()
    for row in rows(value):
        eid, kind = number(row.get("eid")), row.get("measurementType")
        if eid is None or not isinstance(kind, str) or row.get("state") != "enabled":
            continue
        status = row.get("meteringStatus")
        if status == "check-wiring":
            flags.add("check_wiring")
        if status == "not-metering":
            flags.add("not_metering")
            continue
        count = number(row.get("phaseCount"), 3)
        mode = row.get("phaseMode")
        found[kind] = Ct(eid, kind, mode if isinstance(mode, str) else "", max(1, int(count or 1)))
    return Setup(
        known=True,
        production=found.get("production"),
        consumption=found.get(NET) or found.get(TOTAL),
        storage=found.get("storage"),
        flags=frozenset(flags),
    )
