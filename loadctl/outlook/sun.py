"""Where the sun stands: daylight of a day, and how much a clear sky gives.

The astronomy is astral's. Daylight runs from the solar midnight before to the one after, so that a day without night is
one long day that meets the next, and a day without sun has its rise and its set at noon.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from importlib.resources import files
from math import acos, cos, degrees, exp, radians, sin

from astral import Observer
from astral.julian import julianday, julianday_to_juliancentury
from astral.sun import eq_of_time, sun_declination, zenith_and_azimuth

from loadctl.core.calendar import DAY_S
from loadctl.core.values import Daylight

HORIZON_DEG = -0.833  # the sun's upper edge on the horizon, refraction included
# Roofs face all ways, most of them the noon sun; what is not so is learned.
TILT_DEG = 25.0
# Light at the ground under a clear sky: the sun's own, that loses its way in the air, and the sky's.
SUN_WM2, THROUGH, AIR_MASS_POWER, SKY_SHARE = 1353.0, 0.7, 0.678, 0.12
_PLACE = re.compile(r"([+-]\d{4}(?:\d{2})?)([+-]\d{5}(?:\d{2})?)")


@dataclass(frozen=True, slots=True)
class Location:
    """A place on earth in degrees, north and east positive."""

    latitude: float
    longitude: float


def daylight(day: int, zone: tzinfo, place: Location) -> Daylight:
    """Return sunrise and sunset of the day with the ordinal `day`, at sea level, good to a minute."""
    noon = noon_of(day, zone, place)
    declination = sun_declination(_century(noon))
    high = radians(place.latitude), radians(declination)
    # The cosine of the hour angle at which the sun passes the horizon; beyond ±1 it never does.
    angle = (sin(radians(HORIZON_DEG)) - sin(high[0]) * sin(high[1])) / max(cos(high[0]) * cos(high[1]), 1e-9)
    if angle >= 1:
        return Daylight(noon, noon)
    before, after = ((noon_of(day + ahead, zone, place) + noon) / 2 for ahead in (-1, 1))
    if angle <= -1:
        return Daylight(before, after)
    half_s = degrees(acos(angle)) * 240
    return Daylight(max(before, noon - half_s), min(after, noon + half_s))


@lru_cache(maxsize=64)
def noon_of(day: int, zone: tzinfo, place: Location) -> float:
    """Return when the sun stands highest on that day, the moment nearest to noon of the clock."""
    clock = datetime.combine(date.fromordinal(day), time(12), zone).timestamp()
    past_min = clock % DAY_S / 60 + 4 * place.longitude + eq_of_time(_century(clock)) - 720
    return clock - ((past_min + 720) % 1440 - 720) * 60


@lru_cache(maxsize=1024)  # the quarters of an hour of some days, asked again each minute
def clear_sky(at: float, place: Location) -> float:
    """Return the power of panels under a clear sky at the POSIX timestamp `at`, as a share of their nominal power.

    On a roof of 25° that faces the noon sun; 0 while the sun is down.
    """
    observer = Observer(place.latitude, place.longitude)
    zenith_deg, azimuth_deg = zenith_and_azimuth(observer, datetime.fromtimestamp(at, UTC), with_refraction=False)
    height_deg = 90 - zenith_deg
    if height_deg <= HORIZON_DEG:
        return 0.0
    height, tilt = radians(max(height_deg, 0.0)), radians(TILT_DEG)
    facing_deg = 180.0 if place.latitude >= 0 else 0.0
    # Air mass after Kasten and Young (1989), the light that passes it after Meinel (1976).
    air = 1 / (sin(height) + 0.50572 * (max(height_deg, 0.0) + 6.07995) ** -1.6364)
    direct = SUN_WM2 * THROUGH**air**AIR_MASS_POWER
    upon = sin(height) * cos(tilt) + cos(height) * sin(tilt) * cos(radians(azimuth_deg - facing_deg))
    low = 1 - exp(-(height_deg - HORIZON_DEG) / 2)  # dusk has no edge
    return float(direct * (max(0.0, upon) + SKY_SHARE) / 1000 * low)


def location_of(zone: tzinfo) -> Location | None:
    """Return a rough place for a time zone: its main city, as tzdata tells; None for one that names no place."""
    name = str(getattr(zone, "key", ""))
    places = _places()
    if name not in places:  # US/Eastern is America/New_York by another name
        links = (row.split() for row in _rows("tzdata.zi") if row.startswith("L "))
        name = next((target for _, target, link in links if link == name), name)
    return places.get(name)


def _places() -> dict[str, Location]:
    """Read zone.tab: a country, ISO 6709 (±DDMM±DDDMM or ±DDMMSS±DDDMMSS), a zone, by tabs."""
    found = {}
    for row in _rows("zone.tab"):
        fields = row.split("\t")
        if len(fields) > 2 and (written := _PLACE.fullmatch(fields[1])):
            north, east = written[1], written[2]
            found[fields[2]] = Location(_degrees(north, 2), _degrees(east, 3))
    return found


def _rows(table: str) -> list[str]:
    return (files("tzdata") / "zoneinfo" / table).read_text("utf-8").splitlines()


def _degrees(written: str, digits: int) -> float:
    whole, rest = written[1 : 1 + digits], written[1 + digits :]
    size = int(whole) + int(rest[:2]) / 60 + int(rest[2:] or 0) / 3600
    return -size if written[0] == "-" else size


def _century(at: float) -> float:
    return julianday_to_juliancentury(julianday(datetime.fromtimestamp(at, UTC)))
