"""Daylight and clear skies, held against astral's own sunrise and against what everybody knows of the poles."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from astral import Observer
from astral.sun import sunrise, sunset
from hypothesis import given
from hypothesis import strategies as st

from loadctl.outlook.sun import Location, clear_sky, daylight, location_of, noon_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HOME = Location(52.37, 4.9)
TROMSO, OSLO = Location(69.65, 18.96), ZoneInfo("Europe/Oslo")
JUNE, DECEMBER = date(2025, 6, 21).toordinal(), date(2025, 12, 21).toordinal()


@pytest.mark.parametrize(
    "name", ["Europe/Amsterdam", "America/Denver", "Pacific/Apia", "Australia/Sydney", "Asia/Kolkata", "Asia/Urumqi"]
)
def test_daylight_is_astrals_to_the_minute(name):
    zone = ZoneInfo(name)
    place = location_of(zone)
    assert place is not None
    for month in range(1, 13):
        day = date(2025, month, 21)
        found, observer = daylight(day.toordinal(), zone, place), Observer(place.latitude, place.longitude)
        assert abs(found.rise - sunrise(observer, day, zone).timestamp()) < 90
        assert abs(found.set - sunset(observer, day, zone).timestamp()) < 90


def test_a_day_without_night_is_one_long_day_that_meets_the_next():
    days = [daylight(JUNE + ahead, OSLO, TROMSO) for ahead in range(3)]
    assert all(abs(day.set - day.rise - 86400) < 60 for day in days)
    assert all(one.set == two.rise for one, two in pairwise(days))


def test_a_day_without_sun_has_no_length():
    found = daylight(DECEMBER, OSLO, TROMSO)
    assert found.rise == found.set == noon_of(DECEMBER, OSLO, TROMSO)


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 400), st.sampled_from(sorted(available_timezones())))
def test_daylight_is_in_order_wherever_one_lives(latitude, longitude, ahead, name):
    place, zone = Location(latitude, longitude), ZoneInfo(name)
    one, two = (daylight(JUNE + day, zone, place) for day in (ahead, ahead + 1))
    noon = noon_of(JUNE + ahead, zone, place)
    assert one.rise <= noon <= one.set <= two.rise + 1
    assert one.set - one.rise <= 86400 + 60


def test_clear_skies_are_bright_at_noon_and_dark_at_night():
    def at(hour: int, month: int = 6) -> float:
        return clear_sky(datetime(2025, month, 21, hour, tzinfo=AMSTERDAM).timestamp(), HOME)

    assert at(0) == at(3) == at(23) == 0
    assert 0.9 < at(14) < 1.1
    assert at(8) < at(11) < at(14) > at(17) > at(20) > 0
    assert 0.2 < at(13, month=12) < 0.6


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 366 * 96))
def test_clear_skies_are_never_dark_at_day_nor_too_bright(latitude, longitude, quarter):
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    assert 0 <= clear_sky(at.timestamp(), Location(latitude, longitude)) < 1.2


@pytest.mark.parametrize(
    ("name", "latitude", "longitude"),
    [
        ("Europe/Amsterdam", 52.37, 4.9),
        ("America/Denver", 39.74, -104.98),
        ("US/Eastern", 40.71, -74.01),
        ("Asia/Calcutta", 22.53, 88.37),
        ("Australia/Lord_Howe", -31.55, 159.08),
    ],
)
def test_a_time_zone_tells_roughly_where_one_lives(name, latitude, longitude):
    place = location_of(ZoneInfo(name))
    assert place is not None
    assert (place.latitude, place.longitude) == pytest.approx((latitude, longitude), abs=0.01)


@pytest.mark.parametrize("zone", [ZoneInfo("UTC"), ZoneInfo("Etc/GMT+5"), UTC, timezone(timedelta(hours=2))])
def test_a_zone_that_names_no_place(zone):
    assert location_of(zone) is None
