"""What can be asked for by name in a condition besides the inputs of the rule file: and in which unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from types import MappingProxyType

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
