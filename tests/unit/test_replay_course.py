"""What became of a home: sums, minutes, decisions, and where two sets of rules differ."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.values import Verdict
from loadctl.lab.course import Course, Minutes, Run, Totals, lived
from loadctl.lab.difference import FLICKER_S, SHORTEST_S, answered, differences, questions, told
from loadctl.lab.trace import Moment, Streamed, Trace
from tests.lab_days import MONDAY, home, trace, unseen

HOUR = 3600.0
HEATER = {"power": "2 kW", "min_on": "2 min", "min_off": "2 min"}
BRIGHT = [(HOUR, 0, 200), (2 * HOUR, 2600, 300), (HOUR, 0, 200)]


@pytest.fixture(scope="module")
def noon() -> Course:
    return lived(home({"heater": HEATER}, trace(BRIGHT)))


def test_energy_is_neither_made_nor_lost(noon):
    totals, heater = noon.totals, noon.totals.loads["heater"]
    assert totals.seconds == 4 * HOUR
    assert totals.pv_wh == pytest.approx(5200)
    assert totals.base_wh == pytest.approx(1000)
    assert totals.import_wh - totals.export_wh == pytest.approx(1000 + heater.energy_wh - 5200)
    assert heater.sun_wh + heater.grid_wh == pytest.approx(heater.energy_wh)
    assert heater.starts == 1
    assert heater.on_s == pytest.approx(2 * HOUR, rel=0.05)
    assert totals.self_consumption == pytest.approx(1 - totals.export_wh / 5200)


def test_the_minutes_add_up_to_the_sums(noon):
    minutes = noon.minutes
    assert list(minutes.time) == [MONDAY + 60 * n for n in range(240)]
    assert sum(minutes.pv_w) / 60 == pytest.approx(5200)
    assert sum(minutes.draws[0]) / 60 == pytest.approx(noon.totals.loads["heater"].energy_wh)
    assert sum(max(0.0, watts) for watts in minutes.grid_w) / 60 == pytest.approx(noon.totals.import_wh, rel=0.02)


def test_decisions_and_runs_are_told(noon):
    (run,) = noon.runs
    assert (run.load, run.begin - MONDAY) == ("heater", pytest.approx(HOUR + 60, abs=10))
    words = [one.verdict for one in noon.decided]
    assert words[:3] == [Verdict.REST, Verdict.WAIT_ON, Verdict.START]
    start = noon.decided[2]
    assert (start.command_w, start.time) == (2000, run.begin - 1)  # a relay follows after a second
    assert start.sentence.startswith("starts: 2 ")
    stop = next(one for one in noon.decided if one.command_w == 0)
    assert (stop.verdict, stop.time) == (Verdict.STOP, run.end - 1)


def test_all_of_it_as_plain_values(noon):
    plain = json.loads(json.dumps(noon.plain()))
    assert set(plain) == {"time", "pv_w", "base_w", "grid_w", "loads", "decisions", "totals"}
    assert len(plain["time"]) == len(plain["pv_w"]) == len(plain["loads"]["heater"]) == 240
    assert plain["decisions"][2] == {
        "time": noon.decided[2].time,
        "load": "heater",
        "verdict": "start",
        "state": "starting",
        "sentence": noon.decided[2].sentence,
        "command_w": 2000,
    }
    assert plain["totals"]["loads"]["heater"]["starts"] == 1


def test_what_is_not_to_be_kept_is_not(noon):
    bare = lived(home({"heater": HEATER}, trace(BRIGHT)), minutes=False, decisions=False)
    assert (len(bare.minutes.time), bare.decided) == (0, ())
    assert bare.totals == noon.totals


def test_in_a_gap_nothing_is_counted():
    rows = trace(BRIGHT).moments
    dark = [*list(rows)[:2], Moment(MONDAY + 3 * HOUR, 2600, 300, HOUR, known=False)]
    course = lived(home({"heater": HEATER}, Trace("gap", UTC, tuple(dark))))
    assert course.totals.seconds == 3 * HOUR
    assert course.totals.pv_wh == pytest.approx(5200)
    assert course.plain()["pv_w"][-60:] == [None] * 60
    assert any(one.verdict is Verdict.BLIND for one in course.decided)


def test_a_sun_that_nobody_saw_is_not_known():
    """What was bought and sold, and what the loads did, is known all the same."""
    course = lived(home({"heater": HEATER}, unseen(trace([(HOUR, 0, 200), (2 * HOUR, 0, -2300)]))))
    plain = course.plain()
    assert (plain["totals"]["pv_wh"], plain["totals"]["base_wh"], plain["totals"]["self_consumption"]) == (None,) * 3
    assert set(plain["pv_w"]) == set(plain["base_w"]) == {None}
    assert plain["grid_w"][0] == pytest.approx(200)
    assert plain["totals"]["seconds"] == 3 * HOUR
    assert plain["totals"]["import_wh"] == pytest.approx(200, rel=0.05)
    assert plain["totals"]["loads"]["heater"]["sun_wh"] == pytest.approx(4000, rel=0.05)


def test_a_moment_without_sun_hides_no_day():
    day = trace([(60, 0, 200), (HOUR, 1000, 200)])
    moments = tuple(replace(moment, sees_sun=moment.for_s > 60) for moment in day.moments)
    assert lived(home({"heater": HEATER}, replace(day, moments=moments[:1]))).totals.pv_wh is None
    moments = (replace(moments[0], for_s=30), replace(moments[1], time=MONDAY + 30))
    assert lived(home({"heater": HEATER}, replace(day, moments=moments))).totals.pv_wh == pytest.approx(1000)


def test_a_need_whose_time_nobody_knows_counts_neither_way():
    needy = {"heater": {**HEATER, "need": "1 kWh by 03:00"}}
    whole = [(6 * HOUR, 0, 200)]
    dark = Trace("gap", UTC, (Moment(MONDAY, 0, 200, 600), Moment(MONDAY + 600, 0, 200, 6 * HOUR, known=False)))
    served, unknown = (lived(home(needy, day)).totals.loads["heater"] for day in (trace(whole), dark))
    assert (served.needs, served.missed, served.unjudged) == (1, 0, 0)
    assert (unknown.needs, unknown.missed, unknown.unjudged) == (0, 0, 1)


def test_a_need_that_cannot_be_met_is_missed():
    impossible = home({"heater": {**HEATER, "need": "9 kWh by 02:00"}}, trace([(3 * HOUR, 0, 200)]))
    totals = lived(impossible).totals
    assert (totals.loads["heater"].needs, totals.loads["heater"].missed) == (1, 1)
    assert totals.unmet[0].energy_wh == pytest.approx(5000, rel=0.05)


def test_money_is_that_of_the_hour_or_of_the_trace():
    dark = trace([(2 * HOUR, 0, 1000)])
    (row,) = dark.moments
    told = replace(dark, moments=(replace(row, inputs={"spot": 0.5}),))
    rates = [{"price": "0.40/kWh", "from": "01:00", "to": "02:00"}]
    site = {"tariff": {"import": {"default": "0.20/kWh", "prices": rates, "input": "spot"}}}
    spot = {"driver": "http-json", "url": "http://127.0.0.1/", "unit": "EUR/MWh"}
    rules = {"site": site, "inputs": {"spot": spot}, "loads": {"heater": HEATER}}
    assert lived(home({}, dark, rules=rules)).totals.paid == pytest.approx(0.60)
    assert lived(home({}, told, rules=rules)).totals.paid == pytest.approx(1.00)


def test_a_recorded_battery_gives_what_it_gave():
    (row,) = trace([(HOUR, 0, 500)]).moments
    course = lived(home({"heater": HEATER}, Trace("battery", UTC, (replace(row, battery_w=500.0, soc_pct=60.0),))))
    assert course.totals.import_wh == pytest.approx(0)


def test_days_are_lived_as_one():
    """What the first day taught and used up is known on the second: here, how often it was started."""
    twice = trace([(23 * HOUR, 0, 200), (HOUR, 2600, 200), (HOUR, 2600, 200), (HOUR, 0, 200)])
    course = lived(home({"heater": HEATER}, twice))
    assert course.totals.loads["heater"].starts == 1  # nothing is switched at midnight


def test_a_car_of_which_nothing_is_known_lacks_something_each_day():
    sunny = [(12 * HOUR, 0, 200), (4 * HOUR, 4000, 200), (8 * HOUR, 0, 200)]
    course = lived(home({"car": {"current": "6..16 A"}}, trace(sunny * 2)))
    energy_wh = [
        sum(watts for at, watts in zip(course.minutes.time, course.minutes.draws[0], strict=True) if at // 86400 == day)
        / 60
        for day in (MONDAY // 86400, MONDAY // 86400 + 1)
    ]
    assert energy_wh == pytest.approx([10_000, 10_000], rel=0.02)


def test_what_the_rules_ask_for_and_the_trace_does_not_know_is_named():
    inputs = {"tank": {"driver": "http-json", "url": "http://127.0.0.1/", "unit": "°C"}}
    rules = {"inputs": inputs, "loads": {"heater": {**HEATER, "when": "tank < 50 °C"}}}
    course = lived(home({}, trace(BRIGHT), rules=rules))
    assert course.unknown == ("tank",)
    assert course.totals.loads["heater"].starts == 0
    warm = trace(BRIGHT)
    moments = tuple(replace(one, inputs={"tank": 40.0}) for one in warm.moments)
    course = lived(home({}, replace(warm, moments=moments), rules=rules))
    assert (course.unknown, course.totals.loads["heater"].starts) == ((), 1)


@pytest.mark.slow
def test_a_long_life_takes_no_more_memory_than_a_short_one():
    def peak(days: int) -> int:
        moments = Streamed(partial(sunny, days), next(sunny(1)), list(sunny(days))[-1])
        place = home({"heater": HEATER}, Trace("long", UTC, moments))
        tracemalloc.start()
        course = lived(place, minutes=False, decisions=False)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert course.totals.seconds == days * 86400
        return most

    short, long = peak(1), peak(3)
    assert long < 1.2 * short + 100_000


def sunny(days: int) -> Iterator[Moment]:
    for hour in range(24 * days):
        yield Moment(MONDAY + hour * HOUR, 2600.0 if 9 <= hour % 24 < 15 else 0.0, 200.0, HOUR)


# Where two courses differ


def course(name: str, *spans: tuple[float, float], load: str = "pump") -> Course:
    runs = tuple(Run(load, begin, end) for begin, end in spans)
    return Course(name, UTC, 0.0, 1e6, Totals(), Minutes((load,)), (), runs)


def found(one: Course, other: Course) -> list[tuple[str, float, float]]:
    return [(each.on, each.begin, each.end) for each in differences(one, other)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([(0, 600)], [(0, 600)], []),
        ([(0, 600)], [], [("a", 0, 600)]),
        ([], [(0, 600)], [("b", 0, 600)]),
        ([(0, 600)], [(300, 900)], [("a", 0, 300), ("b", 600, 900)]),
        ([(0, 900)], [(300, 600)], [("a", 0, 300), ("a", 600, 900)]),
        ([(0, 600)], [(30, 600)], []),  # shorter than a minute
        ([(0, 300), (400, 700)], [], [("a", 0, 700)]),  # a flicker
        ([(0, 900)], [(300, 400)], [("a", 0, 900)]),
    ],
)
def test_where_two_courses_differ(one, other, expected):
    assert found(course("a", *one), course("b", *other)) == expected


def test_a_load_that_only_one_knows():
    each, _ = differences(course("a", (0, 600), load="old"), course("b", (0, 600), load="new"))
    assert (each.load, each.on) == ("new", "b")
    (said,) = answered(
        [each], [course("a", load="old"), replace(course("b", load="new"), sentences={("new", -1): "x"})]
    )
    assert (said.said_on, said.said_off) == ("x", "there is no such load")


runs = st.lists(st.integers(0, 2000), max_size=12, unique=True).map(
    lambda edges: [(a, b) for a, b in list(pairwise(sorted(edges)))[::2]]
)


@given(runs, runs)
def test_differences_hold_all_that_differs_and_never_both(one, other):
    apart = differences(course("a", *one), course("b", *other))
    seconds = {
        name: {second for begin, end in spans for second in range(begin, end)}
        for name, spans in (("a", one), ("b", other))
    }
    for each in apart:
        assert each.lasts_s >= SHORTEST_S
        really = seconds[each.on] - seconds[each.off]
        inside = sum(second in really for second in range(int(each.begin), int(each.end)))
        assert inside == each.lasts_s
        assert {int(each.begin), int(each.end) - 1} <= really
    for name in ("a", "b"):
        mine = [each for each in apart if each.on == name]
        assert all(after.begin - before.end > FLICKER_S for before, after in pairwise(mine))


def test_both_sides_say_why():
    day = trace([(600, 0, 200), (1800, 1500, 300), (600, 0, 200)])
    eager = home({"heater": {**HEATER, "start": "1 kW", "stop": "import 1.5 kW"}}, day)
    shy = home({"heater": {**HEATER, "start": "2 kW"}}, day)
    one, other = lived(eager, name="eager"), lived(shy, name="shy")
    (apart,) = differences(one, other)
    again = [
        lived(place, name=name, minutes=False, decisions=False, asked=questions([apart], which))
        for place, name, which in ((eager, "eager", one), (shy, "shy", other))
    ]
    (said,) = answered([apart], again)
    assert re.match(r"starts: 1.\d{3} W free", said.said_on)
    assert re.match(r"rests: 1.\d{3} W free, needs 2.000 W", said.said_off)
    head, *lines = told(said, one)
    assert re.fullmatch(r"  Mon 03 Mar 00:1\d-00:4\d  heater is on under eager, not under shy", head)
    assert [line.split()[0] for line in lines] == ["eager", "shy"]
    assert said.plain()["on"] == {"rules": "eager", "sentence": said.said_on}
