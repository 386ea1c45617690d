"""Hours of the day as a householder means them: several, over midnight, by the sun, in a season, when clocks change."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from loadctl.core.calendar import crosses_midnight, instant, is_open, opening
from loadctl.core.rules import Clock, Season, Window
from loadctl.core.values import Daylight

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
WEEKDAYS = frozenset(range(5))
JUNE, DECEMBER = date(2025, 6, 18), date(2025, 12, 17)  # Wednesdays


def clock(text: str) -> Clock:
    """Read `09:00`, `sunset` or `sunrise-1.5` (hours)."""
    for sun in ("sunrise", "sunset"):
        if text.startswith(sun):
            return Clock(sun=sun, offset_s=float(text.removeprefix(sun) or 0) * 3600)
    return Clock(time.fromisoformat(text))


def window(text: str, **more) -> Window:
    start, _, end = text.partition("..")
    return Window(clock(start), clock(end), **more)


def wall(day: date, text: str, zone: ZoneInfo = AMSTERDAM) -> datetime:
    return datetime.combine(day, time.fromisoformat(text), zone)


def sun(day: date, rise: str, set_: str) -> dict[int, Daylight]:
    return {day.toordinal(): Daylight(wall(day, rise).timestamp(), wall(day, set_).timestamp())}


SUN = sun(JUNE, "05:18", "22:02") | sun(DECEMBER, "08:44", "16:27")


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ("09:00..17:00", "08:59:59.9", False),
        ("09:00..17:00", "09:00", True),
        ("09:00..17:00", "16:59:59.9", True),
        ("09:00..17:00", "17:00", False),
        ("09:00..00:00", "23:59:59.9", True),
        ("09:00..00:00", "00:00", False),
        ("00:00..00:00", "00:00", True),
        ("00:00..00:00", "23:59", True),
        ("22:00..06:00", "21:59", False),
        ("22:00..06:00", "23:30", True),
        ("22:00..06:00", "05:59", True),
        ("22:00..06:00", "06:00", False),
        ("sunrise+1..sunset-2", "06:17", False),
        ("sunrise+1..sunset-2", "06:18", True),
        ("sunrise+1..sunset-2", "20:02", False),
        ("sunset..sunrise", "22:02", True),
        ("sunset..sunrise", "05:17", True),
        ("sunset..sunrise", "05:18", False),
        ("20:00..sunset", "21:00", True),
        ("20:00..sunset", "22:02", False),
        ("20:00..sunset", "12:00", False),
        ("sunset..23:00", "22:30", True),
        ("sunset..00:00", "23:59", True),
        ("sunset..00:00", "00:00", False),
        ("sunset..sunset+4", "00:00", True),  # yesterday's
        ("sunrise-6..sunrise", "23:30", True),  # tomorrow's
        ("22:00..sunrise", "05:00", True),
        ("03:00..sunrise", "02:59", False),
        ("03:00..sunrise", "03:00", True),
    ],
)
def test_hours(hours, now, expected):
    assert is_open([window(hours)], wall(JUNE, now), SUN) is expected


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ("20:00..sunset", "21:00", False),  # no hours in winter, and not a whole night and day
        ("20:00..sunset", "12:00", False),
        ("sunset..22:00", "16:27", True),
        ("sunrise..09:00", "08:50", True),
    ],
)
def test_the_same_hours_in_winter(hours, now, expected):
    assert is_open([window(hours)], wall(DECEMBER, now), SUN) is expected


def test_no_window_is_always():
    assert is_open([], wall(JUNE, "03:00"), {})


def test_one_of_several_windows_is_enough():
    windows = [window("06:00..09:00"), window("17:00..sunset"), window("23:00..01:00")]
    found = [hour for hour in range(24) if is_open(windows, wall(JUNE, f"{hour:02}:00"), SUN)]
    assert found == [0, 6, 7, 8, 17, 18, 19, 20, 21, 22, 23]  # 22:00 is before the sunset at 22:02


def test_the_days_are_those_on_which_the_hours_begin():
    weekend = [window("22:00..06:00", days=frozenset({4, 5}))]
    saturday, sunday, monday = date(2025, 6, 21), date(2025, 6, 22), date(2025, 6, 23)
    assert is_open(weekend, wall(saturday, "05:00"), {})
    assert is_open(weekend, wall(sunday, "05:00"), {})
    assert not is_open(weekend, wall(sunday, "23:00"), {})
    assert not is_open(weekend, wall(monday, "05:00"), {})


def test_a_season_and_the_night_at_its_end():
    summer = [window("22:00..06:00", season=Season((5, 1), (9, 30)))]
    assert not is_open(summer, wall(date(2025, 5, 1), "05:00"), {})
    assert is_open(summer, wall(date(2025, 5, 1), "22:00"), {})
    assert is_open(summer, wall(date(2025, 10, 1), "05:00"), {})
    assert not is_open(summer, wall(date(2025, 10, 1), "22:00"), {})


def test_a_season_over_the_new_year_and_a_leap_day():
    winter = [window("00:00..00:00", season=Season((11, 15), (2, 28)))]
    days = [(2024, 11, 14), (2024, 11, 15), (2025, 1, 1), (2025, 2, 28), (2024, 2, 29), (2025, 3, 1)]
    found = [is_open(winter, wall(date(*day), "12:00"), {}) for day in days]
    assert found == [False, True, True, True, False, False]


def test_in_spring_a_skipped_time_is_the_moment_of_the_change():
    night = date(2025, 3, 30)
    skipped = instant(Clock(time(2, 30)), night.toordinal(), AMSTERDAM, {})
    assert datetime.fromtimestamp(skipped, AMSTERDAM) == wall(night, "03:00")
    assert is_open([window("02:30..03:30")], wall(night, "03:00"), {})
    assert opening(window("02:15..02:45"), night.toordinal(), AMSTERDAM, {}) is None


def test_in_autumn_a_time_that_comes_twice_is_its_first_coming():
    night = date(2025, 10, 26)
    hours = [window("02:15..02:45")]
    assert is_open(hours, wall(night, "02:30"), {})
    assert not is_open(hours, wall(night, "02:30").replace(fold=1), {})
    assert is_open([window("02:30..06:00")], wall(night, "02:10").replace(fold=1), {})


def test_a_day_that_a_country_skipped():
    apia = ZoneInfo("Pacific/Apia")  # went from Thursday 29 to Saturday 31 December 2011
    noon = instant(Clock(time(12)), date(2011, 12, 30).toordinal(), apia, {})
    assert datetime.fromtimestamp(noon, apia) == wall(date(2011, 12, 31), "00:00", apia)
    assert is_open([window("22:00..06:00")], wall(date(2011, 12, 31), "05:00", apia), {})


def test_midnight_itself_may_be_skipped():
    santiago, night = ZoneInfo("America/Santiago"), date(2024, 9, 8)  # 00:00 became 01:00
    midnight = instant(Clock(time(0)), night.toordinal(), santiago, {})
    assert datetime.fromtimestamp(midnight, santiago) == wall(night, "01:00", santiago)


def test_the_sun_of_a_day_nobody_knows():
    before, after = JUNE.toordinal() - 2, JUNE.toordinal() + 2
    known = SUN[JUNE.toordinal()]
    assert instant(clock("sunrise"), after, AMSTERDAM, SUN) == known.rise + 2 * 86400
    assert instant(clock("sunset-1"), before, AMSTERDAM, SUN) == known.set - 2 * 86400 - 3600
    assert instant(clock("sunrise"), before, AMSTERDAM, {}) == wall(date.fromordinal(before), "06:00").timestamp()
    assert instant(clock("sunset+1"), before, AMSTERDAM, {}) == wall(date.fromordinal(before), "19:00").timestamp()


def test_whether_hours_cross_midnight_is_the_same_all_year():
    over = [
        "22:00..06:00",
        "09:00..09:00",
        "sunset..sunrise",
        "sunset-4..sunrise+4",
        "sunset..sunset-1",
        "12:00..sunrise",
    ]
    within = ["09:00..17:00", "sunrise..sunset", "20:00..sunset", "sunset..sunset+1", "03:00..sunrise", "sunset..22:00"]
    assert all(crosses_midnight(window(hours)) for hours in over)
    assert not any(crosses_midnight(window(hours)) for hours in within)
