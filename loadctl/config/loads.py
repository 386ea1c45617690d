"""From the keys of one appliance to the core's `Load`: the defaults are filled in here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loadctl.config.bands import DEFAULTS
from loadctl.config.drawing import Draw
from loadctl.config.keys import HouseBatteryKeys
from loadctl.config.keys_common import BetweenKeys
from loadctl.config.keys_load import BatteryKeys, LoadKeys, NeedKeys
from loadctl.core.conditions import Condition
from loadctl.core.rules import Battery, Clock, Level, Load, Mode, Need, Window

WH_PER_LITRE = 1.163  # to warm a litre of water by 1 °C
TAKES_S = 7200.0


def load_of(
    name: str,
    keys: LoadKeys,
    draw: Draw,
    when: Condition | None,
    sources: Mapping[str, str],
    lease_s: float | None,
    settle_s: float,
) -> Load:
    """Fill in the defaults of one appliance; what depends on the others (battery, share) is filled in by `order`."""
    margin_w = margin(draw.least_w)
    start_w, stop_w = _thresholds(keys, draw.least_w, margin_w)
    on_s, off_s = (600.0, 600.0) if keys.compressor else (600.0, 300.0) if draw.car else (120.0, 120.0)
    thrifty = draw.follow is None and not _has_a_say(keys)
    return Load(
        name=name,
        power_w=draw.most_w,
        start_w=start_w,
        start_for_s=_given(keys.start.hold if keys.start else None, 60.0),
        stop_import_w=stop_w,
        stop_for_s=_given(keys.stop.hold if keys.stop else None, 60.0 if thrifty else 180.0 if draw.car else 120.0),
        min_on_s=_given(keys.min_on, on_s),
        min_off_s=_given(keys.min_off, off_s),
        max_starts=12 if draw.car and keys.max_starts is None else keys.max_starts,
        compressor=keys.compressor,
        settle_s=_given(keys.settle, settle_s),
        lease_s=lease_s,
        safe_on=keys.safe == "on",
        hand_hold_s=keys.hand_hold,
        shed_below_pct=keys.shed_below,
        windows=tuple(window(between) for between in keys.between),
        needs=tuple(need_of(name, need, sources) for need in keys.need),
        when=when,
        worth=keys.worth,
        daily_runtime_s=keys.daily_max.runtime if keys.daily_max else None,
        daily_energy_wh=keys.daily_max.energy if keys.daily_max else None,
        follow=draw.follow,
        thrifty=thrifty,
        mode=Mode(keys.mode),
    )


def _has_a_say(keys: LoadKeys) -> bool:
    """Tell whether the owner says himself how much sun there must be, or what the appliance must get."""
    return bool(keys.start or keys.stop or keys.need) or keys.grid_limit is not None or keys.worth is not None


def margin(least_w: float) -> float:
    """Return what it may cost more than was accepted at the start."""
    return max(100.0, least_w / 10)


def _thresholds(keys: LoadKeys, least_w: float, margin_w: float) -> tuple[float, float]:
    """Return the surplus to start on and the import to stop at; each follows from the other unless given."""
    if keys.grid_limit is not None:
        return least_w - keys.grid_limit, keys.grid_limit + margin_w
    start_w = None
    if keys.start is not None:
        start_w = keys.start.surplus if keys.start.share is None else least_w * keys.start.share / 100
    if keys.stop is None:
        stop_w = max(0.0, least_w - (start_w or least_w)) + margin_w
    else:
        stop_w = keys.stop.imports if keys.stop.imports is not None else -(keys.stop.exports or 0.0)
    if start_w is None:  # whoever stops early must start late
        start_w = least_w + max(0.0, margin_w - stop_w)
    return start_w, stop_w


def window(between: BetweenKeys) -> Window:
    """Turn hours into the core's."""
    return Window(between.start, between.to, between.days, between.season)


def need_of(name: str, keys: NeedKeys, sources: Mapping[str, str] = MappingProxyType({})) -> Need:
    """Turn a need into the core's. `sources`: the inputs that tell a `temperature` and a `soc` unless it names one; by
    default the load's own.
    """
    level = None
    if keys.temperature is not None:
        per_degree = None if keys.litres is None else keys.litres * WH_PER_LITRE
        level = Level(
            keys.of or sources.get("temperature", f"{name}.temperature"),
            keys.temperature,
            per_degree,
            _band(keys, DEFAULTS["°C"]),
            leaks=True,
        )
    elif keys.soc is not None:
        per_percent = None if keys.capacity is None else keys.capacity / 100
        level = Level(keys.of or sources.get("soc", f"{name}.soc"), keys.soc, per_percent, _band(keys, DEFAULTS["%"]))
    return Need(
        keys.by or Clock(),
        keys.energy,
        keys.runtime,
        level,
        full=bool(keys.full),
        takes_s=_given(keys.takes, TAKES_S),
        days=keys.days,
        every_days=keys.every,
        season=keys.season,
        always=bool(keys.always),
    )


def _band(keys: NeedKeys, default: float) -> float:
    return keys.band[0] if keys.band else default


def battery_of(keys: BatteryKeys | None, house: HouseBatteryKeys | None, *, before_the_battery: bool) -> Battery:
    """Return what a load may take from the battery: by its own keys, by its place in the order, by the house's."""
    own, all_ = keys or BatteryKeys(), house or HouseBatteryKeys()
    claim_above = own.claim_above
    if claim_above is None:
        claim_above = 0.0 if before_the_battery else all_.claim_above
    return Battery(claim_above, own.discharge_above, own.discharge or 0.0, all_.band if own.band is None else own.band)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
