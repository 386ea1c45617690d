"""What can be asked for by name in a condition besides the inputs of the rule file: in which unit, and its value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from types import MappingProxyType

from loadctl.core.values import Input, Outlook, Report, Sample

LOAD_MAX_AGE_S = 660.0  # no driver reads back more rarely than every 5 min; one answer may be lost

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")  # of an input in the rule file

# Signs as in a Sample: the grid's import and the battery's discharge are positive. "" is a plain number, or yes or no.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "grid_w": "W",
        "pv_w": "W",
        "load_w": "W",
        "battery_w": "W",
        "soc": "%",
        "import_price": "/kWh",
        "export_price": "/kWh",
    }
)
OF_A_LOAD: Mapping[str, str] = MappingProxyType(
    {"power": "W", "on": "", "connected": "", "temperature": "°C", "soc": "%"}
)
WORDS = frozenset({"and", "or", "not", "true", "false"})
RESERVED = WORDS | set(BUILT_IN)  # what no input may be called

_LIMITS = {"soc": (0.0, 100.0), "on": (0.0, 1.0), "connected": (0.0, 1.0)}


def load_names(loads: Iterable[str]) -> dict[str, str]:
    """Return the names that the appliances give (`boiler.power`, `boiler.on`...) with their units."""
    return {f"{load}.{key}": unit for load in loads for key, unit in OF_A_LOAD.items()}


def limits(name: str) -> tuple[float, float]:
    """Return what a value surely lies between."""
    _, dot, key = name.rpartition(".")
    return _LIMITS.get(key, (-inf, inf)) if dot or key == "soc" else (-inf, inf)


def built_in(sample: Sample | None, outlook: Outlook) -> dict[str, Input]:
    """Return what is known of the names in BUILT_IN."""
    found = {
        "import_price": Input(outlook.import_price, 0.0, inf),
        "export_price": Input(outlook.export_price, 0.0, inf),
    }
    if sample is None:
        return found
    values = (
        ("grid_w", sample.grid_w),
        ("pv_w", sample.pv_w),
        ("load_w", sample.load_w),
        ("battery_w", sample.battery_w),
        ("soc", sample.soc_pct),
    )
    for name, value in values:
        if value is not None:
            found[name] = Input(value, sample.read_at, sample.max_age_s)
    return found


def of_load(report: Report) -> dict[str, Input]:
    """Return what an appliance tells: of the keys in OF_A_LOAD, and whatever else its device measures."""
    values = dict(report.inputs)
    if report.on is not None:
        values["on"] = float(report.on)
    if report.watts is not None or report.on is False:
        values["power"] = report.watts or 0.0
    if report.connected is not None:
        values["connected"] = float(report.connected)
    return {f"{report.load}.{key}": Input(value, report.read_at, LOAD_MAX_AGE_S) for key, value in values.items()}
