"""Money and bounds: worth and prices, shares of a load's power, `when`, hours by the sun, daily maxima."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.conditions import Compare, Condition, Term
from loadctl.core.rules import Clock, Level, Load, Need, Site, Window
from loadctl.core.terms import terms
from loadctl.core.values import OFF, ON, Daylight, Input, Outlook, Plan, Verdict
from tests.house import NOON
from tests.scenarios.bench import BOILER, WALLBOX, Bench

PLAIN = replace(BOILER, start_w=2000.0, stop_import_w=200.0, min_on_s=0.0, min_off_s=0.0)
COLD = Condition("tank < 60 °C", Compare(0, Term(0.0, (("tank", 1.0),)), "<", Term(60.0), 2.0, "°C"))


def worth(price: float, load: Load = PLAIN) -> Bench:
    return Bench(Site((replace(load, worth=price),)))


@pytest.mark.parametrize(
    ("free_w", "price", "phase"),
    [
        (999.0, 0.19, OFF),
        (1001.0, 0.19, ON),  # half of it is sun for 0.08, half bought for 0.30
        (499.0, 0.245, OFF),
        (501.0, 0.245, ON),
        (0.0, 0.30, ON),
        (1999.0, 0.08, OFF),
        (2000.0, 0.08, ON),
    ],
)
def test_it_runs_when_a_kilowatt_hour_costs_no_more_than_it_is_worth(free_w, price, phase):
    bench = worth(price)
    bench.free(free_w, 200)
    assert bench.phase("boiler") is phase


def test_sun_that_sells_for_more_than_it_is_worth_is_sold():
    bench = worth(0.05)
    bench.free(9000.0, 200)
    assert bench.phase("boiler") is OFF
    bench.outlook = Outlook(0.30, 0.03)
    bench.free(9000.0, 200)
    assert bench.phase("boiler") is ON
    bench.outlook = Outlook(0.30, 0.08)
    bench.free(9000.0, 200)
    assert bench.phase("boiler") is OFF


@pytest.mark.parametrize(("import_price", "phase"), [(-0.01, ON), (0.0, ON), (0.01, OFF)])
def test_negative_prices(import_price, phase):
    """Worth nothing, it runs when it costs nothing."""
    bench = worth(0.0)
    bench.outlook = Outlook(import_price, -0.05)
    bench.free(0.0, 200)
    assert bench.phase("boiler") is phase


@pytest.mark.parametrize(("import_price", "phase"), [(0.11, ON), (0.13, OFF)])
def test_a_price_that_moves_within_the_day(import_price, phase):
    bench = worth(0.12)
    bench.outlook = Outlook(0.10, 0.08)
    bench.free(0.0, 200)
    assert bench.phase("boiler") is ON
    bench.outlook = Outlook(import_price, 0.08)
    bench.free(0.0, 200)
    assert bench.phase("boiler") is phase


def test_a_car_buys_all_it_can_while_that_is_cheap():
    bench = worth(0.12, WALLBOX)
    bench.outlook = Outlook(0.10, 0.08)
    bench.free(0.0, 90)
    assert bench.draws_w("wallbox") == 3680.0
    bench.outlook = Outlook(0.30, 0.08)
    bench.free(2000.0, 60)
    assert bench.draws_w("wallbox") == 1840.0


prices = st.one_of(st.floats(-0.5, 1.0), st.sampled_from((0.0, 0.08, 0.30)))


@given(
    prices,
    prices,
    st.one_of(st.none(), prices),
    st.sampled_from((PLAIN, BOILER, WALLBOX, replace(PLAIN, start_w=2600.0, stop_import_w=-500.0))),
)
def test_a_plan_never_makes_a_load_harder_to_please_than_its_rule(import_price, export_price, price, load):
    asks = terms(load, Plan(price), Outlook(import_price, export_price))
    assert asks.start_w <= load.start_w
    assert asks.stop_import_w >= load.stop_import_w


@given(prices, prices, st.one_of(st.none(), prices), prices, st.sampled_from((PLAIN, BOILER, WALLBOX)))
def test_what_starts_on_its_terms_does_not_stop_by_them(import_price, export_price, price, worth_price, load):
    """Start surplus and stop import are further apart than the load's power, whatever the prices."""
    asks = terms(replace(load, worth=worth_price), Plan(price), Outlook(import_price, export_price))
    least_w = load.power_w if load.follow is None else load.follow.ranges[0].least_w
    assert asks.all_in or asks.start_w == inf or asks.start_w + asks.stop_import_w >= least_w - 1e-6


@given(prices, prices, prices, prices)
def test_who_would_pay_more_asks_for_less(import_price, export_price, one, other):
    low, high = sorted((one, other))
    outlook = Outlook(import_price, export_price)
    assert terms(PLAIN, Plan(high), outlook).start_w <= terms(PLAIN, Plan(low), outlook).start_w


# --- when -----------------------------------------------------------------------------------------------------------


def cold(bench: Bench, value: float, free_w: float = 3000.0, seconds: int = 90) -> Bench:
    bench.inputs = {"tank": Input(value, bench.at, 1e9)}
    bench.free(free_w, seconds)
    return bench


@pytest.mark.parametrize(("value", "verdict"), [(57.9, Verdict.RUN), (58.0, Verdict.UNMET)])
def test_when(value, verdict):
    """The written limit ends it; to begin takes the hysteresis more."""
    bench = cold(Bench(Site((replace(PLAIN, when=COLD),))), value)
    assert bench.free(3000.0).verdicts == (verdict,)


@pytest.mark.parametrize(("value", "phase"), [(59.9, ON), (60.0, OFF)])
def test_when_has_a_hysteresis(value, phase):
    bench = cold(Bench(Site((replace(PLAIN, when=COLD),))), 50.0)
    assert cold(bench, value).phase("boiler") is phase


@pytest.mark.parametrize(("unknown", "phase"), [(False, OFF), (True, ON), (None, OFF)])
def test_when_nobody_knows(unknown, phase):
    bench = Bench(Site((replace(PLAIN, when=replace(COLD, unknown=unknown)),)))
    bench.free(3000.0, 90)
    assert bench.phase("boiler") is phase


def test_what_was_last_heard_counts_where_the_owner_says_so():
    bench = cold(Bench(Site((replace(PLAIN, when=replace(COLD, unknown=None)),))), 50.0)
    bench.inputs = {"tank": Input(50.0, 0.0, 10.0)}
    bench.free(3000.0, 300)
    assert bench.phase("boiler") is ON


def test_when_respects_the_minimum_time_on():
    bench = cold(Bench(Site((replace(PLAIN, when=COLD, min_on_s=600.0),))), 50.0)
    assert cold(bench, 70.0, seconds=60).free(3000.0).verdicts == (Verdict.HELD_ON,)
    assert cold(bench, 70.0, seconds=600).phase("boiler") is OFF


@pytest.mark.parametrize(
    ("need", "phase"),
    [
        (Need(Clock(time(12)), runtime_s=1800.0), OFF),
        (Need(Clock(time(12)), level=Level("tank", 65.0), takes_s=1800.0), ON),
    ],
    ids=["of time", "of a level, which ends by itself"],
)
def test_when_stands_above_a_need(need, phase):
    bench = Bench(Site((replace(PLAIN, when=COLD, needs=(need,)),)))
    cold(bench, 62.0, free_w=0.0, seconds=7000)
    assert bench.phase("boiler") is phase


# --- hours and maxima -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset_s", "verdict"), [(-60.0, Verdict.RUN), (120.0, Verdict.WINDOW)])
def test_hours_by_the_sun(offset_s, verdict):
    """The sun rises two minutes after the row begins."""
    window = Window(Clock(sun="sunrise", offset_s=offset_s), Clock(sun="sunset"))
    bench = Bench(Site((replace(PLAIN, windows=(window,)),)))
    rise = NOON.timestamp() + 120.0
    bench.outlook = Outlook(daylight={NOON.toordinal(): Daylight(rise, rise + 36000.0)})
    assert bench.free(3000.0, 180).verdicts == (verdict,)
    bench.free(3000.0, 180)
    assert bench.phase("boiler") is ON


def test_outside_its_hours_a_need_may_run():
    window = Window(Clock(time(14)), Clock(time(18)))
    bench = Bench(Site((replace(PLAIN, windows=(window,), needs=(Need(Clock(time(12)), runtime_s=600.0),)),)))
    assert bench.free(3000.0, 300).verdicts == (Verdict.WINDOW,)
    bench.free(0.0, 6300)
    assert bench.phase("boiler") is ON


@pytest.mark.parametrize(
    "most", [{"daily_runtime_s": 1000.0}, {"daily_energy_wh": 2000.0 * 1000.0 / 3600.0}], ids=["runtime", "energy"]
)
@pytest.mark.parametrize(("seconds", "verdict"), [(999, Verdict.RUN), (1001, Verdict.ENOUGH)])
def test_the_daily_maximum(most, seconds, verdict):
    bench = Bench(Site((replace(PLAIN, **most),)))
    bench.free(3000.0, 61)
    bench.free(3000.0)  # seen on
    assert bench.free(3000.0, seconds).verdicts == (verdict,)


def test_a_new_day_has_a_new_maximum():
    begins = NOON.replace(hour=23, minute=30)
    bench = Bench(Site((replace(PLAIN, daily_runtime_s=600.0),)), begins=begins)
    assert bench.free(3000.0, 1700).verdicts == (Verdict.ENOUGH,)
    bench.free(3000.0, 300)
    assert bench.phase("boiler") is ON
