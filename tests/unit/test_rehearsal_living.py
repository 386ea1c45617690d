"""Made-up days lived through: what appliances, battery and people do in them, and how they are judged."""

from __future__ import annotations

import pytest

from loadctl.lab.rehearsal import try_out
from loadctl.lab.rehearsal.measure import read as measure
from tests.unit.rehearsal_home import refused, rehearsal


def wrong(folder, given: str, expect: str, **keys: str) -> list[str]:
    """Return the lines that were not as expected, each with what was instead."""
    return [
        f"{found.expected.text}: {found.missed.was}"
        for found in try_out(rehearsal(folder, given, expect, **keys)).failures
    ]


def test_a_load_draws_its_power_until_its_thermostat_opens(tmp_path):
    given = "11:00 solar 3 kW, boiler lacks 1 kWh, car unplugged"
    expect = """
        11:00-11:01 boiler off
        11:02-11:30 boiler on
        11:10 boiler 2 kW
        11:32 boiler draws nothing
        11:32 boiler on
        12:00 boiler had 1 kWh
        boiler had 1 start
        11:02-11:12 boiler had 10 min
        house imported nothing
        12:00 boiler bought nothing
        11:10 grid -1 kW
        11:10 solar 3 kW
    """
    assert wrong(tmp_path, given, expect) == []


def test_what_is_not_so_is_told(tmp_path):
    given = "11:00 solar 3 kW, car unplugged"
    expect = """
        11:30 boiler off
        11:30 boiler 1..1.5 kW
        11:30 boiler says rest or wait_on
        11:30 boiler had at most 0.5 kWh
        11:30 boiler had no starts
        11:00-11:30 grid at most -2 kW
        11:30 house exported nothing
    """
    assert wrong(tmp_path, given, expect) == [
        "11:30 boiler off: on, 2 000 W",
        "11:30 boiler 1..1.5 kW: 2 kW",
        "11:30 boiler says rest or wait_on: run",
        "11:30 boiler had at most 0.5 kWh: 966 Wh",
        "11:30 boiler had no starts: 1 start",
        "11:00-11:30 grid at most -2 kW: -1 kW",
        "11:30 house exported nothing: 534 Wh",
    ]


def test_it_is_told_when_it_was_first_wrong(tmp_path):
    (failure,) = try_out(rehearsal(tmp_path, "11:00 solar 3 kW, car unplugged", "11:00-12:00 boiler off")).failures
    assert failure.missed.at - failure.expected.start == 61
    assert failure.word == "settling"
    assert "switched" in failure.sentence
    assert [word.value for _, word in failure.turns][:3] == ["wait_on", "start", "settling"]


def test_a_car_takes_the_current_it_is_offered(tmp_path):
    given = """
        11:00 solar 3.1 kW, house 0 W, boiler off by hand, car lacks 2 kWh
        13:00 house 0 W
    """
    expect = """
        11:30 car 13 A
        11:30 car 2.99 kW
        11:30 car on 1 phase
        12:30 car 0 W
        car had 2 kWh
    """
    assert wrong(tmp_path, given, expect) == []


def test_a_car_that_comes_later_was_not_there(tmp_path):
    given = "11:00 solar 3 kW, boiler off by hand\n11:30 car plugged in\n11:45 car unplugged"
    expect = "11:20 car says away\n11:40 car on\n11:50 car 0 W\n11:50 car had at most 0.7 kWh"
    assert wrong(tmp_path, given, expect) == []


def test_a_car_takes_no_more_than_it_can(tmp_path):
    given = "11:00 solar 5 kW, boiler off by hand, car takes 10 A"
    assert wrong(tmp_path, given, "11:30 car 2.3 kW") == []


def test_a_battery_takes_what_is_left_and_gives_what_lacks(tmp_path):
    given = """
        battery holds 8 kWh, battery gives 2 kW, boiler off by hand, car unplugged
        10:00 solar 3.3 kW, house 300 W, battery at 50 %
        11:00 solar 0 W, house 1 kW
    """
    expect = "11:00 battery 75 %\n12:00 battery 62.5 %\n10:00-11:00 house exported 1 kWh\nhouse imported nothing"
    assert wrong(tmp_path, given, expect) == []


def test_what_a_load_warms_gets_warmer(tmp_path):
    given = "10:00 solar 4 kW, boiler warms tank of 100 l, car charges car_soc of 20 kWh, tank 20 °C, car_soc 95 %"
    expect = "12:00 tank 53.8 °C\n12:00 car_soc 100 %\n12:00 boiler on"
    assert wrong(tmp_path, given, expect) == []


def test_what_people_ask_for(tmp_path):
    given = """
        18:00 solar 0 W, car unplugged
        18:05-18:10 boiler on by hand
        18:20 boiler mode fast for 5 min
        18:30 boiler on by hand
        18:35 boiler by its rules
    """
    expect = """
        18:06 boiler says hand
        18:15 boiler off
        18:22 boiler says mode
        18:29 boiler off
        18:32 boiler on
        18:40 boiler off
    """
    assert wrong(tmp_path, given, expect) == []


def test_a_boost_goes_by_the_only_thermometer_there_is(tmp_path):
    given = "15:00 solar 0 W, tank 40 °C, boiler warms tank of 50 l, car unplugged, boiler boost 60 °C by 18:00"
    assert wrong(tmp_path, given, "15:30 boiler off\n18:00 tank at least 59 °C", until='"18:30"') == []
    assert "until when?" in refused(tmp_path, given.removesuffix(" by 18:00"), until='"18:30"')


def test_a_meter_that_is_silent_and_a_grid_that_is_gone(tmp_path):
    given = "11:00 solar 3 kW, car unplugged\n11:10-11:20 meter silent\n11:30-11:40 grid gone"
    expect = """
        11:09 boiler on
        11:11-11:20 boiler off
        11:15 boiler says blind
        11:25 boiler on
        11:31 boiler says outage
        11:50 boiler on
    """
    assert wrong(tmp_path, given, expect) == []


def test_the_grid_can_be_given_instead_of_sun_and_house(tmp_path):
    assert wrong(tmp_path, "11:00 grid -2.5 kW, car unplugged", "11:05 boiler on\n11:05 grid -500 W") == []


def test_long_steps_and_seconds_see_the_same_day(tmp_path):
    # What is asked for forces a tick; more of them move the beginning and the end by a step at most.
    given = "11:00 solar 500 W, car unplugged\n11:00-11:30 solar to 4 kW\n12:00-12:30 solar to 0 W"
    coarse = try_out(rehearsal(tmp_path, given, "12:40 boiler off")).record
    ticks = "\n".join(
        f"{hour}:{minute:02}:{second:02} solar at least 0 W"
        for hour in (11, 12)
        for minute in range(40)
        for second in range(0, 60, 5)
    )
    fine = try_out(rehearsal(tmp_path, given, f"{ticks}\n12:40 boiler off")).record
    assert len(fine.times) > len(coarse.times)
    assert fine.loads["boiler"].had_s[-1] == pytest.approx(coarse.loads["boiler"].had_s[-1], abs=30)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("11:30", "what is expected then?"),
        ("11:30 boiler", "what is expected of `boiler`?"),
        ("11:30 boilr on", "did you mean `boiler`?"),
        ("11:30 boiler onn", "of `boiler` one can expect `on`, `off`"),
        ("11:30 boiler 2", "`2` has no unit"),
        ("11:30 boiler 3..2 kW", "the smaller one comes first"),
        ("11:30 boiler says runs", "`runs` is none of its words; did you mean `run`?"),
        ("11:30 boiler had 6", "`6` has no unit"),
        ("11:30 boiler had some starts", "`some starts`: write it like `had 3 starts`"),
        ("11:30 boiler imported 3 kWh", "write `house imported …`, or `boiler bought …`"),
        ("11:30 house 300 W", "of the house one can expect `imported"),
        ("11:30 tank hot", "`hot` is not a temperature"),
        ("14:00 boiler on", "not between the beginning and the end"),
        ("10:00 boiler on", "not between the beginning and the end"),
    ],
)
def test_what_cannot_be_expected_is_told_with_the_right_spelling(tmp_path, line, said):
    assert said in refused(tmp_path, "11:00 solar 0 W", line, until='"12:00"')


@pytest.mark.parametrize(
    ("text", "unit", "inside", "outside"),
    [
        ("2 kW", "W", (1900, 2100), (1899, 2101)),
        ("100 W", "W", (80, 120), (79, 121)),
        ("6..9 A", "A", (6, 9), (5.9, 9.1)),
        ("1..2.5 kWh", "Wh", (1000, 2500), (999, 2501)),
        ("-300..0 W", "W", (-300, 0), (-301, 1)),
        ("-0.3..0.1 kW", "W", (-300, 100), (-301, 101)),
        ("at least 1 kWh", "Wh", (1000, 1e9), (999,)),
        ("at most 30 min", "s", (0, 1800), (1801,)),
        (">= 50 %", "%", (50, 100), (49,)),
        ("nothing", "Wh", (0, 50), (51,)),
    ],
)
def test_how_much_is_meant(text, unit, inside, outside):
    found = measure(text, unit)
    assert all(found.met(value) for value in inside)
    assert not any(found.met(value) for value in (*outside, None))
