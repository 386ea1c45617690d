"""What can be given on a made-up day, and what is refused."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from loadctl.lab.rehearsal.course import Day
from loadctl.lab.rehearsal.moments import split
from tests.unit.rehearsal_home import refused, rehearsal

ZONE = ZoneInfo("Europe/Amsterdam")


def at(clock: str, day: int = 21) -> float:
    return datetime.fromisoformat(f"2025-06-{day} {clock}").replace(tzinfo=ZONE).timestamp()


def watts(day: Day, what: str, now: float) -> float:
    return day.stretch(now).watts(what, now)


def test_a_value_holds_until_the_next_one(tmp_path):
    day = rehearsal(tmp_path, "11:00 solar 500 W, house 300 W\n12:00 solar 4 kW", until='"13:00"').day
    assert (day.start, day.end) == (at("11:00"), at("13:00"))
    assert [watts(day, "solar", at(clock)) for clock in ("11:00", "11:59", "12:00", "13:00")] == [500, 500, 4000, 4000]
    assert watts(day, "house", at("12:30")) == 300


def test_a_value_with_an_end_gives_way_to_what_was(tmp_path):
    day = rehearsal(tmp_path, "11:00 house 300 W\n11:30-11:40 house 2.3 kW\n11:50 house 400 W").day
    assert [watts(day, "house", at(clock)) for clock in ("11:29", "11:30", "11:39", "11:40", "11:50")] == [
        300,
        2300,
        2300,
        300,
        400,
    ]


def test_a_ramp_stays_where_it_ends_and_begins_where_it_is(tmp_path):
    given = "11:00 solar 1 kW\n11:00-11:10 solar 0 W to 1 kW\n11:30-11:40 solar to 3 kW\n12:00-12:10 solar 3 kW -> 0 W"
    day = rehearsal(tmp_path, given, until='"12:30"').day
    clocks = ("11:00", "11:05", "11:20", "11:35", "11:45", "12:05", "12:20")
    assert [watts(day, "solar", at(clock)) for clock in clocks] == [0, 500, 1000, 2000, 3000, 1500, 0]


def test_turns_are_repeated_until_the_end(tmp_path):
    given = "11:00 solar 1 kW\n11:30-11:38 solar 4 kW for 2 min, then 500 W for 1 min, house 300 W"
    day = rehearsal(tmp_path, given, until='"12:00"').day
    clocks = ("11:29", "11:30", "11:32", "11:33", "11:35", "11:37:59", "11:38")
    assert [watts(day, "solar", at(clock)) for clock in clocks] == [1000, 4000, 500, 4000, 500, 4000, 1000]
    assert watts(day, "house", at("11:31")) == 300


def test_a_clear_sky_is_highest_at_noon_and_dark_at_night(tmp_path):
    day = rehearsal(tmp_path, "00:00 solar clear 6 kW", until='"23:00"').day
    night, morning, noon = (watts(day, "solar", at(clock)) for clock in ("03:00", "08:00", "13:40"))
    assert night == 0
    assert 500 < morning < noon < 6600


def test_a_time_without_a_day_is_the_first_since_the_beginning(tmp_path):
    day = rehearsal(tmp_path, "20:00 solar 0 W\n06:00 solar 1 kW\nday 3 07:00 solar 2 kW", until="mon 08:00").day
    assert [watts(day, "solar", moment) for moment in (at("20:00"), at("06:00", 22), at("07:00", 23))] == [
        0,
        1000,
        2000,
    ]
    assert day.end == at("08:00", 23)


def test_what_is_daily_comes_each_day(tmp_path):
    day = rehearsal(tmp_path, "12:00 solar 0 W\ndaily 13:00-14:00 solar 1 kW", until="day 3 20:00").day
    clocks = (at("13:30"), at("14:30"), at("13:30", 22), at("13:30", 23))
    assert [watts(day, "solar", moment) for moment in clocks] == [1000, 0, 1000, 1000]


def test_the_sun_can_be_the_clock(tmp_path):
    day = rehearsal(tmp_path, "12:00 solar 1 kW\nsunset - 30 min solar 0 W", until='"23:00"').day
    sunset = at("22:04")
    assert abs(next(edge for edge in day.edges()) - (sunset - 1800)) < 120


def test_the_night_of_the_changing_clocks_has_its_hours(tmp_path):
    day = rehearsal(tmp_path, "01:30 solar 0 W\n03:30 solar 0 W", day="2025-03-30").day
    assert day.end - day.start == 3600


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("11:00", "what is so then?"),
        ("11:00 soler 5 W", "`soler` is not known here; did you mean `solar`?"),
        ("11:00 boilr on by hand", "`boilr` is not known here; did you mean `boiler`?"),
        ("11:00 solar 500", "`500` has no unit: write `500 W`"),
        ("11:00 solar 5 kWh", "`5 kWh` is an energy; here a power is meant"),
        ("11:00 solar -5 W", "this is never negative"),
        ("11:00 solar", "how much? write it like `solar 500 W`"),
        ("11:00 house clear 5 kW", "only the sun can be `clear`"),
        ("11:00 solar clear", "how many panels? write it like `solar clear 6 kW`"),
        ("11:00 solar 1 kW to 2 kW", "until when? write it like `11:00-11:40 …`"),
        ("11:00 solar 1 kW for 2 min, then 2 kW for 1 min", "until when?"),
        ("11:00-12:00 solar 1 kW, then 2 kW for 1 min", "`1 kW`: for how long?"),
        ("11:00-12:00 solar 1 kW for 5 min", "keep one of them"),
        ("11.30 solar 1 kW", "a time reads `11:00`"),
        ("25:00 solar 1 kW", "is not a time of day"),
        ("12:00:75 solar 1 kW", "is not a time of day"),
        ("day 0 12:00 solar 1 kW", "the first day is `day 1`"),
        ("11:00 meter off", "`off`: write `silent` or `back`"),
        ("11:00 battery 50 %", "of the battery one can say `at 50 %`"),
        ("11:00 battery at 150 %", "no battery is like that"),
        ("11:00 boiler explodes", "`explodes`: of `boiler` one can say `on by hand`"),
        ("11:00 boiler plugged in", "of `boiler` one can say"),
        ("11:00 boiler mode fest", "`fest` is no mode; did you mean `fast`?"),
        ("11:00 boiler mode solar+min", "only switches on and off"),
        ("11:00 boiler boost 3 kWh", "until when?"),
        ("11:00 boiler warms tnk of 300 l", "`tnk` is no input; did you mean `tank`?"),
        ("11:00 boiler warms holiday of 300 l", "neither a temperature nor a charge"),
        ("11:00-12:00 boiler lacks 3 kWh", "write one time"),
        ("11:00 tank 45", "`45` has no unit: write `45 °C`"),
        ("11:00 holiday maybe", "`maybe`: write it like `1`"),
        ("11:00 grid_w 500 W", "`grid_w` is not known here"),
        ("11:00 away till monday", "write `away`, `away for 3 d` or `home`"),
        ("11:00-daily 12:00 solar 1 kW", "`daily` stands only once"),
    ],
)
def test_what_cannot_be_meant_is_told_with_the_right_spelling(tmp_path, line, said):
    assert said in refused(tmp_path, f"10:00 solar 0 W\n{line}", until='"13:00"')


def test_a_fault_has_its_line_and_column(tmp_path):
    assert refused(tmp_path, "10:00 solar 0 W\n11:00 solar 5") == (
        "home.test.yaml:5:9: tests.it.given[1]: `5` has no unit: write `5 W` or `5 kW`"
    )


def test_a_line_without_a_time_is_so_from_the_beginning(tmp_path):
    when, rest = split("house 300 W")
    assert when is None
    assert rest == "house 300 W"
    day = rehearsal(tmp_path, "house 300 W\n11:00 solar 0 W\n12:00 solar 1 W").day
    assert watts(day, "house", day.start) == 300


def test_truths_and_silence_of_inputs(tmp_path):
    day = rehearsal(tmp_path, "11:00 holiday yes, tank 45 °C\n11:30 holiday 0, tank silent\n12:00 house 0 W").day
    assert [day.stretch(at(clock)).at(("input", "holiday"), at(clock)) for clock in ("11:00", "11:30")] == [1.0, 0.0]
    assert [day.stretch(at(clock)).at(("input", "tank"), at(clock)) for clock in ("11:00", "11:30")] == [45.0, None]
