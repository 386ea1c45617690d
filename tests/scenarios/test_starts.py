"""When a start is worth its wear: loads that weigh what is short, and starts that are kept for what must be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from loadctl.core.rules import Clock, Mode, Need, Site
from loadctl.core.values import OFF, ON, ModeWish, Verdict, Wish
from tests.house import NOON
from tests.scenarios.bench import BOILER, CAR, Bench
from tests.scenarios.test_needs import expects

TANK = replace(BOILER, start_w=2000.0, stop_import_w=200.0, stop_for_s=60.0, thrifty=True)
MUST = Need(Clock(time(18)), runtime_s=600.0)


@pytest.mark.parametrize(("short_w", "at_most_s"), [(200.0, 211.0), (700.0, 61.0), (1400.0, 31.0)])
def test_the_more_is_short_the_sooner_a_keen_load_stops(short_w, at_most_s):
    keen = replace(BOILER, stop_for_s=60.0, min_on_s=0.0, thrifty=True)
    bench = Bench(Site((keen,)))
    bench.free(3000.0, 200)
    free_w = keen.power_w - keen.stop_import_w - short_w
    bench.free(free_w, int(at_most_s * 0.9))
    assert bench.phase("boiler") is ON
    bench.free(free_w, int(at_most_s * 0.15) + 3)
    assert bench.phase("boiler") is OFF


def test_one_dark_reading_stops_no_keen_load():
    bench = Bench(Site((replace(BOILER, stop_for_s=60.0, min_on_s=0.0, thrifty=True),)))
    bench.free(3000.0, 200)
    for _ in range(20):
        bench.free(-9000.0, 1)
        bench.free(3000.0, 5)
    assert bench.phase("boiler") is ON


def test_the_last_start_is_kept_for_the_need():
    need = Need(by=Clock(time(12)), runtime_s=3000.0)
    load = replace(BOILER, max_starts=2, min_on_s=0.0, min_off_s=0.0, needs=(need,))
    bench = Bench(Site((load,)))
    for _ in range(4):
        bench.free(3000.0, 90)
        bench.free(0.0, 200)
    assert bench.state.standings[0].tally.starts == 1
    assert bench.verdict(bench.free(0.0, 1), "boiler") is Verdict.REST
    assert bench.verdict(bench.free(3000.0, 90), "boiler") is Verdict.SPENT
    bench.free(0.0, int((NOON.replace(hour=12) - bench.wall()).total_seconds()) + 2)
    assert bench.state.standings[0].needs_missed == 0
    assert bench.state.standings[0].tally.starts == 2


def test_a_run_that_could_not_be_begun_again_goes_on_until_its_need_is_met():
    need = Need(by=Clock(time(12)), runtime_s=3000.0)
    bench = Bench(Site((replace(BOILER, max_starts=1, min_on_s=0.0, needs=(need,)),)))
    bench.free(3000.0, 90)
    bench.free(0.0, 600)
    assert bench.verdict(bench.free(0.0, 1), "boiler") is Verdict.HELD_ON
    bench.free(0.0, 3000)
    assert bench.phase("boiler") is OFF
    assert bench.state.standings[0].needs_missed == 0


@pytest.mark.parametrize(
    ("lately_w", "asks_w"),
    [(2400.0, 1600.0), (1500.0, 1425.0), (1000.0, 1200.0), (None, 1600.0)],
    ids=["enough now and then", "never so much", "never three fifths", "nothing known"],
)
def test_on_panels_that_never_give_so_much_a_load_asks_for_what_they_reach(lately_w, asks_w):
    bench = expects(Bench(Site((TANK,))), [900.0] * 10, lately_w=lately_w)
    bench.free(asks_w - 20.0, 1800)
    assert bench.phase("boiler") is OFF
    bench.free(asks_w + 20.0, 200)
    assert bench.phase("boiler") is ON


@pytest.mark.parametrize(
    ("car", "starts"),
    [
        (replace(CAR, needs=(MUST,)), False),
        (replace(CAR, needs=(replace(MUST, days=frozenset({(NOON.weekday() + 4) % 7})),)), True),
        (replace(CAR, needs=(MUST,), mode=Mode.OFF), True),
        (CAR, True),
    ],
    ids=["who must run today", "in four days", "switched off", "who need not run"],
)
def test_a_poor_sun_is_left_to_who_must_run(car, starts):
    bench = expects(Bench(Site((TANK, replace(car, power_w=4000.0, start_w=4000.0)))), [900.0] * 40, lately_w=1500.0)
    bench.free(1480.0, 900)
    assert (bench.phase("boiler") is ON) is starts


def test_a_car_that_is_not_there_must_not_run():
    car = replace(CAR, power_w=4000.0, start_w=4000.0, needs=(MUST,))
    bench = expects(Bench(Site((TANK, car))), [900.0] * 40, lately_w=1500.0)
    bench.plugs["car"].connected = False
    bench.free(1480.0, 900)
    assert bench.phase("boiler") is ON


@pytest.mark.parametrize("wish", [ModeWish("car", Mode.OFF), Wish("car", on=False)])
def test_who_was_switched_off_by_a_person_must_not_run(wish):
    car = replace(CAR, power_w=4000.0, start_w=4000.0, needs=(MUST,))
    bench = expects(Bench(Site((TANK, car)), wishes=(wish,)), [900.0] * 40, lately_w=1500.0)
    bench.free(1480.0, 900)
    assert bench.phase("boiler") is ON


def test_while_better_sun_is_expected_nobody_makes_do_with_little():
    bench = expects(Bench(Site((TANK,))), [900.0, 900.0, 2000.0, 900.0], lately_w=1500.0)
    bench.free(1580.0, 3600)
    assert bench.phase("boiler") is OFF
