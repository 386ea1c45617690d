"""Prices by the hours: fixed, by day and night, by season, negative, by the sun."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.rules import Clock, Season, Window
from loadctl.core.values import Daylight
from loadctl.outlook.tariff import Price, Rate, Tariff

ZONE = ZoneInfo("Europe/Amsterdam")
WEEKEND = frozenset({5, 6})


def at(day: int, text: str, month: int = 6) -> float:
    return datetime.combine(date(2025, month, day), time.fromisoformat(text), ZONE).timestamp()


def hours(text: str, **more) -> Window:
    start, _, end = text.partition("-")
    return Window(Clock(time.fromisoformat(start)), Clock(time.fromisoformat(end)), **more)


def course(
    tariff: Tariff, start: float, end: float, daylight: dict[int, Daylight] | None = None
) -> list[tuple[str, float, float]]:
    """Return (clock, import, export) of each piece."""
    pieces = tariff.prices(start, end, ZONE, daylight or {})
    assert pieces[0].start == start
    assert pieces[-1].end == end
    return [(f"{datetime.fromtimestamp(p.start, ZONE):%d %H:%M}", p.import_price, p.export_price) for p in pieces]


def test_a_fixed_price_is_one_piece():
    assert course(Tariff(), at(3, "10:00"), at(4, "22:00")) == [("03 10:00", 0.30, 0.08)]


def test_day_and_night():
    night = Tariff(Price(0.35, (Rate(0.22, (hours("23:00-07:00"),)),)))
    assert course(night, at(3, "06:00"), at(4, "00:00")) == [
        ("03 06:00", 0.22, 0.08),
        ("03 07:00", 0.35, 0.08),
        ("03 23:00", 0.22, 0.08),
    ]


def test_the_first_rate_whose_hours_these_are_counts():
    peak = Rate(0.50, (hours("17:00-20:00", days=frozenset(range(5))),))
    winter = Rate(0.40, (hours("00:00-00:00", season=Season((10, 1), (3, 31))),))
    tariff = Tariff(Price(0.30, (peak, winter)), Price(0.05, (Rate(-0.02, (hours("11:00-15:00", days=WEEKEND),)),)))
    friday, saturday = at(6, "16:00"), at(7, "16:00")
    assert course(tariff, friday, saturday) == [
        ("06 16:00", 0.30, 0.05),
        ("06 17:00", 0.50, 0.05),
        ("06 20:00", 0.30, 0.05),
        ("07 11:00", 0.30, -0.02),
        ("07 15:00", 0.30, 0.05),
    ]
    assert course(tariff, at(6, "12:00", month=1), at(6, "18:00", month=1)) == [
        ("06 12:00", 0.40, 0.05),
        ("06 17:00", 0.50, 0.05),
    ]


def test_prices_by_the_sun():
    day = date(2025, 6, 3).toordinal()
    sun = {day: Daylight(at(3, "05:20"), at(3, "21:55"))}
    dark = Tariff(Price(0.3, (Rate(0.2, (Window(Clock(sun="sunset"), Clock(sun="sunrise")),)),)))
    assert course(dark, at(3, "12:00"), at(4, "00:00"), sun) == [("03 12:00", 0.3, 0.08), ("03 21:55", 0.2, 0.08)]


FACES = st.builds(lambda quarter: time(quarter // 4, quarter % 4 * 15), st.integers(0, 95))
WINDOWS = st.builds(Window, FACES.map(Clock), FACES.map(Clock), st.frozensets(st.integers(0, 6)))
RATES = st.lists(st.builds(Rate, st.floats(-1, 1), st.lists(WINDOWS, max_size=2).map(tuple)), max_size=3).map(tuple)
PRICES = st.builds(Price, st.floats(-1, 1), RATES)


@given(PRICES, PRICES, st.sampled_from((at(29, "12:00", month=3), at(25, "12:00", month=10))), st.integers(0, 96))
def test_the_course_has_no_gap(buy, sell, start, quarters):
    end = start + 36 * 3600 + quarters * 900
    pieces = Tariff(buy, sell).prices(start, end, ZONE, {})
    assert pieces[0].start == start
    assert pieces[-1].end == end
    assert all(one.end == two.start and one.start < one.end for one, two in pairwise(pieces))
