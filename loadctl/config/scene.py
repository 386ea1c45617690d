"""What the checks of a rule file look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from loadctl.config.findings import Path
from loadctl.config.house import Device
from loadctl.config.keys import SiteKeys
from loadctl.config.keys_load import LoadKeys
from loadctl.config.year import Year
from loadctl.core.rules import Load
from loadctl.outlook.sun import Location
from loadctl.outlook.tariff import Tariff

NOISE_W = 20.0  # by which two readings of an unchanged house differ


@dataclass(frozen=True, slots=True)
class Rule:
    """One appliance as the file says it, as the core takes it, and the device behind it."""

    load: Load
    keys: LoadKeys
    device: Device

    @property
    def path(self) -> Path:
        return ("loads", self.load.name)

    @property
    def least_w(self) -> float:
        """What it draws at least while it is on."""
        return self.load.follow.ranges[0].least_w if self.load.follow else self.load.power_w


@dataclass(frozen=True, slots=True)
class Scene:
    """The house around the appliances. `units`: of what a condition may ask for; `every_s`: the meter's interval."""

    site: SiteKeys
    zone: ZoneInfo
    location: Location | None
    tariff: Tariff
    units: Mapping[str, str]
    every_s: float | None
    year: Year
