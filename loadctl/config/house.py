"""A rule file that can be meant, with all defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from loadctl.core.rules import Site
from loadctl.drivers import Shared
from loadctl.errors import Fault
from loadctl.outlook.sun import Location
from loadctl.outlook.tariff import Tariff

MonthDay = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Device:
    """A driver by name with its checked options. `build` makes it, without I/O."""

    driver: str
    options: Any
    build: Callable[[Shared], Any]


@dataclass(frozen=True, slots=True)
class Web:
    """Where the page is served, and to whom.

    `password`: its argon2 hash; `token`: for programs. `private`: also who only looks needs one of them. `hosts`: names
    under which it may be asked for, beside the machine's own; `prefix`: the path at which a reverse proxy shows it.
    """

    host: str = "127.0.0.1"
    port: int = 8480
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    private: bool = False
    hosts: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class House:
    """What the core, the daemon and the page need to begin.

    `actuators`: by load name. `was`: the former name of a load by its present one. `notes`: what the owner should know
    although nothing is wrong. `location`: as the file says it, else roughly by the time zone. `inputs`: by name;
    `units`: of all that a condition may ask for, the inputs included. `site` has the loads in the order of the day on
    which the file was read, `orders` in that of each day of the year if priorities have seasons.
    """

    path: Path
    site: Site
    zone: ZoneInfo
    meter: Device
    actuators: Mapping[str, Device]
    web: Web = Web()
    was: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Fault, ...] = ()
    location: Location | None = None
    tariff: Tariff = field(default_factory=Tariff)
    inputs: Mapping[str, Device] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[MonthDay, Site] = field(default_factory=dict)

    def site_on(self, day: int) -> Site:
        """Return the site with the order of the day with this ordinal: the same object as long as the order is."""
        on = date.fromordinal(day)
        return self.orders.get((on.month, on.day), self.site)
