"""What others do: rows of what is free, as in their own tests, and what always holds for all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.controller import LoadState, Sample
from loadctl.core.rules import Clock, Follow, Load, Need, Range
from loadctl.lab.baselines import BASELINES, Baseline, Delays, Evcc, Idea, NoonTimer, OpenEvse, PvExcess, Threshold

MORNING = datetime(2025, 3, 3, 9, tzinfo=UTC)
HEATER = Load("heater", 2000.0, 2000.0, 60.0, 100.0, 120.0, settle_s=0.0)
CAR = Load(
    "car", 3680.0, 1380.0, 60.0, 100.0, 180.0, follow=Follow((Range(1380.0, 3680.0, 230.0, 1, 230.0),)), settle_s=0.0
)
PUMP = Load("pump", 1000.0, 1000.0, 60.0, 100.0, 120.0, min_on_s=900.0, min_off_s=600.0, settle_s=0.0)


def _live(
    idea: Idea, loads: Sequence[Load], free_w: Callable[[int], float], seconds: int, begin: datetime = MORNING
) -> dict[str, list[float]]:
    """Let a baseline live; what is free without its loads by the second. Returns what each load was set to."""
    policy = Baseline(tuple(loads), idea)
    watts = dict.fromkeys((load.name for load in loads), 0.0)
    shown = [0.0, 0.0]  # the meter is two seconds late
    course: dict[str, list[float]] = {load.name: [] for load in loads}
    for second in range(seconds):
        draws_w = sum(watts.values())
        shown.append(draws_w - free_w(second))
        states = {name: LoadState(on=power_w > 0, power_w=power_w) for name, power_w in watts.items()}
        for name, power_w in watts.items():
            course[name].append(power_w)
        sample = Sample(float(second), begin + timedelta(seconds=second), shown.pop(0))
        for command in policy.step(sample, states).commands:
            watts[command.load] = command.watts
    return course


def _first(course: list[float], *, on: bool = True, after: int = 0) -> int | None:
    return next((second for second in range(after, len(course)) if (course[second] > 0) is on), None)


def _at(*rows: tuple[int, float]) -> Callable[[int], float]:
    """Return the course of what is free: from when on how much."""
    return lambda second: next((watts for since, watts in reversed(rows) if second >= since), 0.0)


@pytest.mark.parametrize(("free", "on"), [(1499.0, False), (1501.0, True)])
def test_the_threshold_is_1500_w(free: float, on: bool):
    course = _live(Threshold(), [HEATER], _at((0, free)), 60)["heater"]
    assert (_first(course) is not None) is on


def test_the_threshold_goes_off_within_seconds():
    course = _live(Threshold(), [HEATER], _at((0, 1800.0), (60, 1400.0)), 100)["heater"]
    off = _first(course, on=False, after=30)
    assert off is not None
    assert 60 < off <= 66


@pytest.mark.parametrize(("free", "on"), [(2140.0, False), (2160.0, True)])
def test_the_delays_want_150_w_more_for_30_s(free: float, on: bool):
    course = _live(Delays(), [HEATER], _at((0, free)), 60)["heater"]
    assert (_first(course) is not None) is on
    if on:
        assert 30 <= (_first(course) or 0) <= 36


@pytest.mark.parametrize(("free", "off"), [(1810.0, False), (1790.0, True)])
def test_the_delays_bear_200_w_of_import_for_60_s(free: float, off: bool):
    course = _live(Delays(), [HEATER], _at((0, 2500.0), (100, free)), 200)["heater"]
    found = _first(course, on=False, after=100)
    assert (found is not None) is off
    if found is not None:
        assert 160 <= found <= 166


def test_evcc_waits_a_minute_to_start_and_three_to_stop():
    course = _live(Evcc(), [CAR], _at((0, 0.0), (100, 2000.0), (600, 1000.0)), 1000)["car"]
    begun = _first(course)
    assert begun is not None
    assert 160 <= begun <= 195  # looked at each 30 s
    assert course[begun + 40] == 8 * 230.0  # whole amps
    ended = _first(course, on=False, after=600)
    assert ended is not None
    assert 780 <= ended <= 815


def test_evcc_begins_to_wait_anew_when_the_sun_is_gone_in_between():
    course = _live(Evcc(), [CAR], lambda second: 2000.0 if second % 60 < 40 else 0.0, 1200)["car"]
    assert _first(course) is None


def test_openevse_rises_in_seconds_and_falls_in_minutes():
    course = _live(OpenEvse(), [CAR], _at((0, 0.0), (100, 2000.0), (400, 0.0)), 2000)["car"]
    begun = _first(course)
    assert begun is not None
    assert 115 <= begun <= 150
    assert course[450] == 1380.0  # no sun: the least
    ended = _first(course, on=False, after=400)
    assert ended is not None
    assert ended - begun >= 595


def test_openevse_keeps_100_w_and_half_an_ampere():
    assert _first(_live(OpenEvse(), [CAR], _at((0, 1380 + 100 + 110.0)), 900)["car"]) is None
    assert _first(_live(OpenEvse(), [CAR], _at((0, 1380 + 100 + 120.0)), 900)["car"]) is not None


def test_pv_excess_control_looks_at_five_minutes():
    course = _live(PvExcess(), [HEATER], _at((0, 0.0), (600, 2100.0), (1200, 1900.0)), 2400)["heater"]
    begun = _first(course)
    assert begun is not None
    assert 840 <= begun <= 970
    ended = _first(course, on=False, after=1200)
    assert ended is not None
    assert ended - begun >= 290
    assert _first(_live(PvExcess(), [HEATER], _at((0, 1980.0)), 1200)["heater"]) is None


def test_the_timer_knows_noon_only():
    course = _live(NoonTimer(), [HEATER], _at((0, 0.0)), 7 * 3600)["heater"]
    assert _first(course) == pytest.approx(2 * 3600, abs=61)
    assert _first(course, on=False, after=2 * 3600 + 90) == pytest.approx(6 * 3600, abs=61)


@pytest.mark.parametrize("name", BASELINES)
def test_one_watt_has_one_taker(name: str):
    """Power for one of two heaters: the more important one gets it, the other stays off."""
    other = Load("other", 2000.0, 2000.0, 60.0, 100.0, 120.0, settle_s=0.0)
    if name == "noon timer":
        pytest.skip("a time switch knows no sun")
    course = _live(BASELINES[name](), [HEATER, other], _at((0, 2600.0)), 1800)
    assert course["heater"][-1] == 2000.0
    assert not any(course["other"])


@pytest.mark.parametrize("name", BASELINES)
def test_what_has_had_enough_is_switched_off(name: str):
    load = Load("heater", 2000.0, 2000.0, 60.0, 100.0, 120.0, settle_s=0.0, needs=(Need(Clock(), energy_wh=500.0),))
    begin = MORNING.replace(hour=11)
    course = _live(BASELINES[name](), [load], _at((0, 5000.0)), 3000, begin)["heater"]
    assert sum(course) / 3600 == pytest.approx(500.0, abs=5)


@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 900), st.integers(-3000, 6000)), min_size=3, max_size=12))
def test_minimum_times_are_kept_for_them(name: str, rows: list[tuple[int, int]]):
    edges, at = [], 0
    for for_s, watts in rows:
        edges.append((at, float(watts)))
        at += for_s
    course = _live(BASELINES[name](), [CAR, PUMP], _at(*edges), at + 300, MORNING.replace(hour=10, minute=55))
    on = [watts > 0 for watts in course["pump"]]
    switched = [second for second in range(1, len(on)) if on[second] is not on[second - 1]]
    for here, there in itertools.pairwise(switched):
        assert there - here >= (PUMP.min_on_s if on[here] else PUMP.min_off_s)
    assert all(watts == 0 or 1380.0 <= watts <= 3680.0 for watts in course["car"])
