"""`/production.json`: every Envoy since 3.9 has it, every firmware fills it differently.

Entries are found by `type` and `measurementType`, never by position; an entry with `activeCount` 0 is noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from loadctl.errors import Garbled
from loadctl.meters.envoy.pages import Measured, legs, less, oldest, phase_powers
from loadctl.meters.envoy.setup import NET, TOTAL, TOTAL_OVERWRITTEN_SINCE, Info, Setup
from loadctl.meters.envoy.wire import Json, number, rows, watts

PRODUCTION, PRODUCTION_PLAIN = "/production.json?details=1", "/production.json"

_ACB_FRESH_S = 900.0  # AC Batteries report every 5 minutes at best; one was seen 41 hours old


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner knows better: whose production counts, and what an untyped meter (firmware 4.2) measures."""

    pv_source: Literal["auto", "eim", "inverters"] = "auto"
    untyped: Literal["net", "total"] | None = None


@dataclass(frozen=True, slots=True)
class AcBattery:
    """The `storage` entry of AC Batteries; `count` 0: none. Powers + discharging."""

    count: int = 0
    power_w: float | None = None
    soc_pct: float | None = None
    stale: bool = False


def from_production(value: Any, setup: Setup, info: Info, wishes: Wishes) -> Measured:
    """Weigh the production and consumption entries."""
    if not isinstance(value, dict) or not ({"production", "consumption"} & value.keys()):
        raise Garbled("/production.json: neither production nor consumption in the answer")
    entries = rows(value.get("production"))
    inverters = _first(entries, "inverters", None)
    eim, eim_idle = _meter(entries, "production", may_lack_type=True, fitted=bool(setup.production) or not setup.known)
    net, total, consumption_flags = _consumption(value, setup, wishes)
    flags = set(consumption_flags)
    if eim_idle:
        flags.add("eim_inactive")

    eim_w = watts(eim.get("wNow"))
    inverters_w = watts(inverters.get("wNow"))
    from_inverters = wishes.pv_source == "inverters" or (
        not eim and not setup.production and wishes.pv_source == "auto"
    )
    pv_w = inverters_w if from_inverters else eim_w
    if _disagree(inverters, eim):
        flags.add("inverters_disagree")

    net_w, total_w = watts(net.get("wNow")), watts(total.get("wNow"))
    if _overwritten(net, total, info):
        flags.add("total_overwritten_by_net")
        total_w = None if net_w is None or eim_w is None else net_w + eim_w
    total_ct = bool(setup.consumption and setup.consumption.kind == TOTAL) or (bool(total) and not net)
    # A total CT's net entry is total - production CT, wrong if that CT sees only part of the panels.
    grid_w = net_w if net and not (total_ct and from_inverters) else less(total_w, pv_w)
    if total_ct and not eim and not from_inverters:
        grid_w = None
    if pv_w is None:
        flags.add("pv_unknown")

    used = [entry for entry in (eim if not from_inverters else {}, net or total) if entry]
    pv_lines, grid_lines = _lines(eim, not from_inverters), _lines(net, grid_w is not None and grid_w == net_w)
    count = setup.phases or max(_busy(eim), _busy(net))
    return Measured(
        pv_w=pv_w,
        grid_w=grid_w,
        phases=phase_powers(count, legs(pv_lines, "wNow"), legs(grid_lines, "wNow")),
        time=oldest(entry.get("readingTime") for entry in used),
        slow=from_inverters,
        flags=frozenset(flags),
    )


def parse_ac_battery(value: Any) -> AcBattery:
    """Read the `storage` entry. It is always there; a real AC Battery has `percentFull` and an `activeCount`.

    Its age is judged against the newest time in the same answer, the Envoy's clock being its own.
    """
    if not isinstance(value, dict):
        return AcBattery()
    storage = _first(rows(value.get("storage")), "acb", None)
    count, soc_pct = number(storage.get("activeCount"), 1000), number(storage.get("percentFull"), 100)
    if not count or soc_pct is None:
        return AcBattery()
    times = [
        number(entry.get("readingTime")) or 0.0
        for key in ("production", "consumption")
        for entry in rows(value.get(key))
    ]
    if max(times, default=0.0) - (number(storage.get("readingTime")) or 0.0) > _ACB_FRESH_S:
        return AcBattery(count=int(count), stale=True)
    return AcBattery(int(count), watts(storage.get("wNow")), soc_pct)


def _consumption(value: Json, setup: Setup, wishes: Wishes) -> tuple[Json, Json, set[str]]:
    """Return the net and the total entry that count (empty: none) and flags."""
    entries = rows(value.get("consumption"))
    fitted = bool(setup.consumption) or not setup.known
    net, net_idle = _meter(entries, NET, fitted=fitted)
    total, total_idle = _meter(entries, TOTAL, fitted=fitted)
    flags = {"eim_inactive"} if net_idle or total_idle else set()
    if net or total:
        return net, total, flags
    untyped = next((row for row in entries if _is_eim(row) and "measurementType" not in row and _active(row)), None)
    if untyped is None:
        return {}, {}, flags
    if wishes.untyped is None:
        return {}, {}, flags | {"untyped_meters"}
    return (untyped, {}, flags) if wishes.untyped == "net" else ({}, untyped, flags)


def _first(entries: list[Json], kind: str, measured: str | None) -> Json:
    return next(
        (
            row
            for row in entries
            if row.get("type") == kind and (measured is None or row.get("measurementType") == measured)
        ),
        {},
    )


def _meter(entries: list[Json], measured: str, *, fitted: bool, may_lack_type: bool = False) -> tuple[Json, bool]:
    """Return the active entry of that meter and whether there is one that is not active."""
    found = _first(entries, "eim", measured)
    if not found and may_lack_type:
        found = next((row for row in entries if _is_eim(row) and "measurementType" not in row), {})
    if not found:
        return {}, False
    return (found, False) if _active(found) and fitted else ({}, not _active(found))


def _is_eim(row: Json) -> bool:
    return row.get("type") == "eim"


def _active(row: Json) -> bool:
    return (number(row.get("activeCount")) or 0) > 0


def _disagree(inverters: Json, eim: Json) -> bool:
    """Whether inverters and production CT speak of the same minute and differ by more than 40 %."""
    times = number(inverters.get("readingTime")), number(eim.get("readingTime"))
    powers = watts(inverters.get("wNow")), watts(eim.get("wNow"))
    if None in times or None in powers or abs((times[0] or 0) - (times[1] or 0)) > 60:
        return False
    small, large = sorted(power or 0.0 for power in powers)
    return large > 200 and large > 1.4 * max(small, 0.0)


def _overwritten(net: Json, total: Json, info: Info) -> bool:
    """Firmware bug: total-consumption repeats net-consumption (pyenphase pull request 467)."""
    return (
        info.version >= TOTAL_OVERWRITTEN_SINCE
        and bool(net and total)
        and all(net.get(key) == total.get(key) for key in ("wNow", "whLifetime"))
    )


def _lines(entry: Json, wanted: bool) -> Any:
    return entry.get("lines") if wanted else None


def _busy(entry: Json) -> int:
    """How many lines are not all zero: from 8.x there are always three."""
    return sum(1 for line in rows(entry.get("lines")) if any(number(figure) for figure in line.values()))
