"""What a home's loads must get by when, as its rules say: for the score and for the perfect plan."""

from __future__ import annotations

from dataclasses import dataclass

from loadctl.core.calendar import in_season, instant
from loadctl.core.rules import Load, Need
from loadctl.lab.scenario_file import Home
from loadctl.outlook.sun import daylight

START_COSTS = 0.005  # wear of one switching-on


@dataclass(frozen=True, slots=True)
class Wanted:
    """A need's period: what the load must have got from `since` to `due` (POSIX)."""

    load: Load
    need: Need
    since: float
    due: float

    @property
    def runtime(self) -> bool:
        return self.need.runtime_s is not None

    @property
    def energy_wh(self) -> float:
        """Return what it comes to, a time at the load's power."""
        if self.need.runtime_s is not None:
            return self.need.runtime_s * self.load.power_w / 3600
        return self.need.energy_wh or 0.0


def wanted(load: Load, home: Home) -> list[Wanted]:
    """Return the periods of a load's needs that end within the trace; what is left to its device is not counted."""
    first, last = home.trace.moments[0], home.trace.moments[-1]
    begin, end = first.time, last.time + last.for_s
    zone, place = home.controller.house.zone, home.controller.house.location
    days = range(home.first_day, home.first_day + int((end - begin) // 86400) + 2)
    suns = {day: daylight(day, zone, place) for day in days} if place is not None else {}
    found = []
    for need in load.needs:
        if need.always or (need.energy_wh is None and need.runtime_s is None):
            continue
        since = begin
        for day in days:
            due = instant(need.by, day, zone, suns)
            counts = (day - 1) % 7 in need.days and (need.season is None or in_season(need.season, day))
            if begin < due <= end and counts:
                found.append(Wanted(load, need, since, due))
                since = due
    return found
