"""Who goes first where there is not enough for all: who had what it usually uses waits for those that must have more,
and who will have to buy in any case gives nobody its place.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.learn import new_day_of
from loadctl.core.row import in_order, in_row, row_of
from loadctl.core.rules import Clock, Need, Site
from loadctl.core.step import start, step
from loadctl.core.values import OFF, ON, Plan, Sample, Tally, Tick, Verdict
from loadctl.telling.explain import explain
from tests.house import NOON
from tests.scenarios.bench import BOILER, CAR, Bench
from tests.scenarios.test_needs import expects, until

AT_SIX = Clock(time(18))
TANK = replace(
    BOILER, name="tank", start_w=2000.0, stop_import_w=0.0, stop_for_s=60.0, min_on_s=120.0, min_off_s=120.0,
    thrifty=True,
)  # fmt: skip
PUMP = replace(
    CAR, name="pump", stop_import_w=100.0, min_on_s=300.0, needs=(Need(AT_SIX, runtime_s=2 * 3600.0),),
    daily_runtime_s=2 * 3600.0,
)  # fmt: skip


def switched(bench: Bench) -> list[tuple[str, bool]]:
    return [(command.load, command.watts > 0) for command in bench.sent]


def test_who_had_its_usual_lets_those_go_first_that_must_have_more():
    bench = expects(Bench(Site((TANK, PUMP))), [2300.0] * 10)
    until(bench, 11, 15, 2300.0)
    assert switched(bench) == [("tank", True)], "first comes who stands first"
    outcome = until(bench, 13, 0, 2300.0).free(2300.0, 10)
    assert switched(bench)[1:] == [("tank", False), ("pump", True)], "after an hour and a half at full power"
    assert bench.verdict(outcome, "tank") is Verdict.BEHIND
    until(bench, 15, 0, 2300.0)
    assert switched(bench)[3:] == [("pump", False), ("tank", True)], "the pump had its two hours"


def test_the_waiting_tank_says_who_goes_first():
    bench = expects(Bench(Site((TANK, PUMP))), [2300.0] * 10)
    until(bench, 13, 0, 2300.0)
    outcome = bench.free(2300.0, 10)
    said = explain(bench.site, outcome, bench.tick, 0).sentence
    assert said.startswith("waits: had 3"), said
    assert said.endswith("what it usually uses; pump must have more today and goes first"), said


def test_where_there_is_enough_for_both_nobody_is_stopped():
    bench = expects(Bench(Site((TANK, PUMP))), [3600.0] * 10)
    until(bench, 13, 0, 3600.0)
    assert ("tank", False) not in switched(bench)


def test_without_sun_nobody_is_said_to_take_it():
    bench = expects(Bench(Site((TANK, PUMP))), [2300.0] * 10)
    until(bench, 12, 30, 2300.0)
    assert bench.verdict(until(bench, 12, 50, 100.0).free(100.0, 10), "tank") is Verdict.REST


@pytest.mark.parametrize(
    ("expected_w", "first_w", "free_w", "stays"),
    [(300.0, 200.0, 700.0, True), (3500.0, 1100.0, 1900.0, False)],
    ids=["too little", "plenty"],
)
def test_who_will_have_to_buy_gives_nobody_its_place(expected_w, first_w, free_w, stays):
    pump = replace(PUMP, needs=(Need(AT_SIX, runtime_s=5 * 3600.0),), daily_runtime_s=None)
    heat_pump = replace(pump, name="heat_pump", power_w=1800.0, start_w=1800.0)
    bench = expects(Bench(Site((heat_pump, pump))), [0.0, *[expected_w] * 9])
    bench.free(first_w, 900)
    assert switched(bench) == [("pump", True)]
    bench.free(free_w, 900)
    assert (("pump", False) not in switched(bench)) is stays


def test_a_full_sun_is_theirs_that_stand_above_whoever_must_buy():
    pump = replace(PUMP, needs=(Need(AT_SIX, runtime_s=6 * 3600.0),), daily_runtime_s=None)
    bench = expects(Bench(Site((TANK, pump))), [300.0] * 9)
    bench.free(1300.0, 600)
    assert switched(bench) == [("pump", True)]
    bench.free(1900.0, 600)
    assert switched(bench) == [("pump", True)], "the tank would take a partial sun as well, but not this one"
    bench.free(2100.0, 600)
    assert switched(bench) == [("pump", True), ("pump", False), ("tank", True)]


def test_a_pressing_need_makes_itself_room_under_the_fuse():
    pump = replace(PUMP, needs=(Need(AT_SIX, runtime_s=5 * 3600.0),), daily_runtime_s=None)
    above = replace(BOILER, needs=(Need(Clock(time(12)), runtime_s=3000.0),))
    bench = expects(Bench(Site((above, pump), max_import_w=2500.0)), [300.0] * 8)
    bench.plugs["boiler"].connected = False
    bench.free(400.0, 900)
    assert switched(bench) == [("pump", True)]
    bench.plugs["boiler"].connected = True
    until(bench, 12, 1, 400.0)
    assert switched(bench)[1:3] == [("pump", False), ("boiler", True)]
    assert bench.state.standings[0].needs_missed == 0


def test_who_had_its_usual_is_in_no_hurry_to_start_again():
    bench = expects(Bench(Site((TANK,))), [2300.0] * 10)
    until(bench, 12, 0, 2300.0)
    bench.free(0.0, 600)
    assert switched(bench) == [("tank", True), ("tank", False)]
    assert bench.verdict(bench.free(2300.0, 120), "tank") is Verdict.WAIT_ON
    bench.free(2300.0, 120)
    assert switched(bench)[2:] == [("tank", True)]


def test_who_had_its_usual_starts_under_broken_clouds_too():
    bench = expects(Bench(Site((TANK,))), [2300.0] * 10)
    until(bench, 12, 0, 2300.0)
    bench.free(0.0, 600)
    for _ in range(45):
        bench.free(2300.0, 40)
        bench.free(900.0, 20)
    assert switched(bench)[2:3] == [("tank", True)]


def test_the_fuse_sheds_by_priority_whoever_goes_first():
    pump = replace(PUMP, needs=(Need(AT_SIX, runtime_s=7 * 3600.0),), daily_runtime_s=None)
    bench = expects(Bench(Site((TANK, pump), max_import_w=3500.0)), [3300.0] * 9)
    until(bench, 12, 0, 3300.0)
    assert switched(bench) == [("tank", True), ("pump", True)]
    bench.free(-1200.0, 10)
    assert [command.load for command in bench.sent if not command.watts] == ["pump"]


def test_nobody_else_is_overtaken():
    middle = replace(CAR, name="middle", power_w=2000.0, start_w=2000.0, stop_import_w=100.0)
    bench = expects(Bench(Site((TANK, middle, PUMP))), [2300.0] * 9)
    until(bench, 13, 0, 2300.0)
    assert bench.on == {"tank": False, "middle": True, "pump": False}
    outcome = bench.free(2300.0, 10)
    assert bench.verdict(outcome, "pump") is Verdict.REST


def test_a_load_that_had_its_usual_waits_for_nobody_where_nobody_needs():
    other = replace(CAR, name="other", power_w=2000.0, start_w=2000.0, stop_import_w=100.0)
    bench = expects(Bench(Site((other, TANK))), [2300.0] * 10)
    bench.state = replace(
        bench.state, standings=(bench.state.standings[0], replace(bench.state.standings[1], usual_wh=0.0))
    )
    assert bench.verdict(bench.free(2300.0, 900), "tank") is Verdict.REST


def test_what_is_usual_falls_slowly_for_a_dull_day_gives_less_than_could_be_used():
    standing = replace(start(Site((TANK,)), 0.0, 1).standings[0], today=Tally(1), usual_wh=3000.0)
    dull = new_day_of(TANK, replace(standing, tally=Tally(2, 0.0, 0.0)), 0.0).usual_wh
    more = new_day_of(TANK, replace(standing, tally=Tally(2, 0.0, 6000.0)), 0.0).usual_wh
    assert dull == pytest.approx(2850.0)
    assert more == pytest.approx(3900.0)


def test_what_it_still_needs_is_done_in_one_run():
    need = Need(AT_SIX, runtime_s=1500.0)
    bench = Bench(Site((replace(BOILER, min_on_s=600.0, needs=(need,)),)))
    bench.free(3000.0, 1100)
    outcome = bench.free(0.0, 300)
    assert bench.verdict(outcome, "boiler") is Verdict.HELD_ON
    said = explain(bench.site, outcome, bench.tick, 0).sentence
    assert "less than it must run at a time" in said, said
    bench.free(0.0, 400)
    assert bench.phase("boiler") is OFF
    assert switched(bench) == [("boiler", True), ("boiler", False)]


def test_with_more_to_do_it_waits_for_the_sun():
    need = Need(AT_SIX, runtime_s=2400.0)
    bench = Bench(Site((replace(BOILER, min_on_s=600.0, needs=(need,)),)))
    bench.free(3000.0, 1100)
    assert bench.phase("boiler") is ON
    bench.free(0.0, 300)
    assert bench.phase("boiler") is OFF


PLANS = st.lists(
    st.sampled_from([Plan(), Plan(0.1), Plan(0.1, needs=True), Plan(0.2, needs=True, firm=True), Plan(sated=True)]),
    max_size=6,
)


@given(PLANS)
def test_in_a_row_only_who_is_sated_steps_back_behind_who_needs(plans):
    row = row_of(plans)
    if row is None:
        assert not any(plan.sated and any(other.needs for other in plans[index:]) for index, plan in enumerate(plans))
        return
    assert sorted(row) == list(range(len(plans)))
    for sated in (True, False):
        same = [index for index in row if plans[index].sated is sated]
        assert same == sorted(same), "nobody overtakes his like"
    for place, index in enumerate(row):
        if plans[index].sated:
            assert not any(plans[other].needs for other in row[place:])


@given(PLANS)
def test_out_of_the_row_all_is_as_before(plans):
    site = Site(tuple(replace(BOILER, name=f"load{index}") for index in range(len(plans))))
    state = replace(start(site, 0.0, 1), plans=tuple(plans))
    row = row_of(plans)
    if row is None:
        return
    placed, standing = in_row(row, site, state)
    outcome = step(placed, replace(standing, plans=()), Tick(1.0, NOON, Sample(1.0, 0.0)))
    back = in_order(row, outcome._replace(state=standing), standing.plans, state)
    assert back.state == state
    assert back.state.plans is state.plans, "the same plans are no change"
    assert [case.load.name for case in back.cases] == [load.name for load in site.loads]
    assert [load.name for load in placed.loads] == [f"load{index}" for index in row]
