"""From each page's JSON to watts, one pure function per page. Signs on the LAN: + towards the switchboard (production,
import, a discharging battery), which are ours too.

Every function takes what came and what is known of the house, gives a `Measured` and raises Garbled only if nothing in
the answer can be what was asked for. Values that are not certain are None and a flag says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loadctl.core.values import PhasePower
from loadctl.errors import Garbled
from loadctl.meters.envoy.setup import NET, STORAGE_PHASE_LOST_SINCE, TOTAL, V1_FROZEN_SINCE, Ct, Info, Setup
from loadctl.meters.envoy.wire import Json, NoSuchPage, child, number, rows, watts

READINGS, LIVEDATA, STREAM = "/ivp/meters/readings", "/ivp/livedata/status", "/stream/meter"
V1, INVERTERS, PAGE = "/api/v1/production", "/api/v1/production/inverters", "/production"

_CURRENTLY = re.compile(r"<td>\s*Currently\s*</td>\s*<td>\s*(-?[\d.]{1,12})\s*([kM]?)W\s*</td>", re.IGNORECASE)
_LEGS = ("ph-a", "ph-b", "ph-c")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one answer says. `pv_w` is as measured (a little below 0 at night), `time` the Envoy's own clock, None where
    the page has none; `slow`: the production is what the inverters reported minutes ago. `battery_w` and `soc_pct` as
    far as this page tells.
    """

    pv_w: float | None = None
    grid_w: float | None = None
    battery_w: float | None = None
    soc_pct: float | None = None
    phases: tuple[PhasePower, ...] = ()
    time: float | None = None
    slow: bool = False
    generator: bool | None = None
    flags: frozenset[str] = frozenset()


def from_readings(value: Any, setup: Setup, info: Info) -> Measured:
    """`/ivp/meters/readings`: objects matched by eid to the enabled CTs (others are in the list, in any order)."""
    if not isinstance(value, list):
        raise Garbled(f"{READINGS}: not a list")
    by_eid = {number(row.get("eid")): row for row in rows(value)}
    production, consumption = _row(by_eid, setup.production), _row(by_eid, setup.consumption)
    storage = _row(by_eid, setup.storage)
    flags: set[str] = set()
    if (setup.production and not production) or (setup.consumption and not consumption):
        flags.add("ct_missing")
    pv_w, grid_w = watts(production.get("activePower")), watts(consumption.get("activePower"))
    pv_legs, grid_legs = (
        legs(production.get("channels"), "activePower"),
        legs(consumption.get("channels"), "activePower"),
    )
    if setup.consumption and setup.consumption.kind == TOTAL:
        total_w = _total(consumption, setup.consumption.phases)
        grid_w = less(total_w, pv_w)
        grid_legs = list(map(less, grid_legs, pv_legs))
    battery_w = watts(storage.get("activePower"))
    if _leg_lost(storage, setup.storage, info):
        battery_w = None
        flags.add("storage_phase_missing")
    if setup.production is None and grid_w is not None:
        flags.add("pv_unknown")
    return Measured(
        pv_w=pv_w,
        grid_w=grid_w,
        battery_w=battery_w,
        phases=phase_powers(setup.phases or 1, pv_legs, grid_legs),
        time=oldest(row.get("timestamp") for row in (production, consumption) if row),
        flags=frozenset(flags),
    )


def from_stream(value: Any, setup: Setup) -> Measured:
    """One frame of `/stream/meter`: always three meters of three phases, with numbers even where no CT is."""
    seen = {kind: _frame_legs(value, kind) for kind in ("production", NET, TOTAL)}
    if not any(seen.values()):
        raise Garbled(f"{STREAM}: a frame without meters")
    pv_w = _sum(seen["production"]) if setup.production or not setup.known else None
    net_w, total_w = _sum(seen[NET]), _sum(seen[TOTAL])
    grid_legs = seen[NET]
    grid_w = net_w
    if setup.consumption and setup.consumption.kind == TOTAL and total_w != net_w:  # equal: overwritten, net is right
        grid_w = less(total_w, pv_w)
        grid_legs = list(map(less, seen[TOTAL], seen["production"]))
    if setup.known and not setup.consumption:
        grid_w, grid_legs = None, []
    return Measured(
        pv_w=pv_w,
        grid_w=grid_w,
        phases=phase_powers(setup.phases or 1, seen["production"] if setup.production else [], grid_legs),
        flags=frozenset() if pv_w is not None else frozenset({"pv_unknown"}),
    )


def from_livedata(value: Any, setup: Setup) -> Measured:
    """`/ivp/livedata/status`: milliwatts, balanced by the box, the battery included. Still while `sc_stream` is off."""
    meters = child(value, "meters")
    if not meters:
        raise Garbled(f"{LIVEDATA}: no `meters` in the answer")
    pv_w, grid_w, battery_w = (_milli(child(meters, key).get("agg_p_mw")) for key in ("pv", "grid", "storage"))
    generator_w = _milli(child(meters, "generator").get("agg_p_mw"))
    pv_legs, grid_legs = (
        [_milli(child(meters, key).get(f"agg_p_ph_{leg}_mw")) for leg in "abc"] for key in ("pv", "grid")
    )
    count = number(meters.get("phase_count"), 3)
    soc_pct = number(meters.get("soc"), 100)
    has_grid = bool(setup.consumption) or not setup.known
    has_pv = bool(setup.production) or not setup.known
    return Measured(
        pv_w=pv_w if has_pv else None,
        grid_w=grid_w if has_grid else None,
        battery_w=battery_w if battery_w or soc_pct else None,  # 0 W and 0 %: a house without a battery
        soc_pct=soc_pct or None,
        phases=phase_powers(setup.phases or int(count or 1), pv_legs, grid_legs) if has_grid and has_pv else (),
        time=number(meters.get("last_update")),
        generator=True if generator_w is not None and abs(generator_w) > 50 else None,
        flags=frozenset() if has_pv else frozenset({"pv_unknown"}),
    )


def live_enabled(value: Any) -> bool:
    """Whether the live data run; otherwise its values stand still."""
    return child(value, "connection").get("sc_stream") == "enabled"


def from_v1(value: Any, setup: Setup, info: Info) -> Measured:
    """`/api/v1/production`: the inverters' sum, minutes old, and on metered boxes without CTs not even that."""
    if not isinstance(value, dict):
        raise Garbled(f"{V1}: not an object")
    energies = [number(value.get(key)) for key in ("wattHoursToday", "wattHoursSevenDays", "wattHoursLifetime")]
    if not any(energies):
        return Measured(slow=True, flags=frozenset({"v1_zero"}))
    if info.imeter and info.version >= V1_FROZEN_SINCE and not setup.any:
        return Measured(slow=True, flags=frozenset({"v1_stale"}))
    return Measured(pv_w=watts(value.get("wattsNow")), slow=True)


def from_inverters(value: Any) -> Measured:
    """`/api/v1/production/inverters`: the sum of the microinverters' last reports, 5 to 15 minutes old."""
    if not isinstance(value, list):
        raise Garbled(f"{INVERTERS}: not a list")
    reports = [watts(row.get("lastReportWatts")) for row in panels(value)]
    known = [report for report in reports if report is not None]
    return Measured(pv_w=sum(known) if known else None, slow=True)


def panels(value: Any) -> list[Json]:
    """Return the microinverters of the list; `devType` 11 is an AC Battery, 12 a relay; the oldest name no type."""
    return [row for row in rows(value) if row.get("devType", 1) == 1]


def from_page(html: str) -> Measured:
    """`/production` of firmware 3.x: an HTML table with "Currently 6.63 kW". Raises NoSuchPage for any other page."""
    match = _CURRENTLY.search(html)
    if not match:
        raise NoSuchPage(f"{PAGE}: no `Currently … W` on the page")
    try:
        shown = float(match[1])
    except ValueError as error:
        raise Garbled(f"{PAGE}: `{match[1]}` is no number") from error
    return Measured(
        pv_w=watts(shown * {"": 1, "k": 1e3, "M": 1e6}[match[2].replace("K", "k").replace("m", "M")]), slow=True
    )


def legs(value: Any, key: str) -> list[float | None]:
    """Return the power under `key` of each phase in `lines` or `channels`."""
    return [watts(row.get(key)) for row in rows(value)]


def phase_powers(
    count: int, pv_legs: Sequence[float | None], grid_legs: Sequence[float | None]
) -> tuple[PhasePower, ...]:
    """Return L1..L`count`; nothing on one phase, where the totals say it all. Only the first `count` legs are real."""
    if count < 2 or max(len(pv_legs), len(grid_legs)) < count:
        return ()
    nothing: list[float | None] = [None] * count
    return tuple(
        PhasePower(
            grid_w=grid_w,
            pv_w=None if pv_w is None else max(0.0, pv_w),
            load_w=None if pv_w is None or grid_w is None else pv_w + grid_w,
        )
        for pv_w, grid_w in zip([*pv_legs, *nothing][:count], [*grid_legs, *nothing][:count], strict=True)
    )


def less(one: float | None, other: float | None) -> float | None:
    """Return the difference of two known powers."""
    return None if one is None or other is None else one - other


def oldest(times: Iterable[Any]) -> float | None:
    """Return the earliest of the times that are there."""
    return min((at for value in times if (at := number(value)) is not None), default=None)


def _row(by_eid: dict[float | None, Json], ct: Ct | None) -> Json:
    return by_eid.get(ct.eid, {}) if ct else {}


def _total(row: Json, count: int) -> float | None:
    """Power of a total-consumption meter. D8.3.6086 was seen with it in `instantaneousDemand`, not in `activePower`."""
    active_w, demand_w = watts(row.get("activePower")), watts(row.get("instantaneousDemand"))
    channels = [power for power in legs(row.get("channels"), "activePower")[:count] if power is not None]
    if active_w is None or demand_w is None or not channels:
        return active_w
    sum_w = sum(channels)
    near_w = 0.02 * abs(sum_w) + 5
    return demand_w if abs(active_w - sum_w) > near_w >= abs(demand_w - sum_w) else active_w


def _leg_lost(row: Json, ct: Ct | None, info: Info) -> bool:
    """Whether one leg of a split-phase storage CT is missing, so that the total is the other leg's alone."""
    if not row or ct is None or ct.phases != 2 or info.version < STORAGE_PHASE_LOST_SINCE:
        return False
    empty = [
        not any(number(channel.get(key)) for key in ("activePower", "current", "voltage"))
        for channel in rows(row.get("channels"))[:2]
    ]
    return len(empty) == 2 and empty[0] != empty[1]


def _frame_legs(value: Any, kind: str) -> list[float | None]:
    meter = child(value, kind)
    return [watts(child(meter, leg).get("p")) for leg in _LEGS] if meter else []


def _sum(powers: Sequence[float | None]) -> float | None:
    known = [power for power in powers if power is not None]
    return sum(known) if known and len(known) == len(powers) else None


def _milli(value: Any) -> float | None:
    power = number(value)
    return None if power is None else watts(power / 1000)
