"""What a policy costs, on days so small that the money can be counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from loadctl.controller import LoadState, Sample
from loadctl.core.values import Command
from loadctl.lab.baselines import NoDiversion, Wishes
from loadctl.lab.score import score_home
from tests.lab_days import holed, home, trace

HOUR = 3600.0
HEATER = {"power": "2 kW", "min_on": "5 min", "min_off": "5 min"}
PLAIN = {"heater": {"is": "plain"}}
TANK = {"is": "tank", "holds": "2 kWh", "begins": "1 kWh", "loss": "0 W", "draws": {"01:00": "1.5 kWh"}}


@dataclass
class Told:
    """Does what it was told to do, when it was told."""

    when: Mapping[int, float]
    load: str = "heater"
    seen: list[Sample] = field(default_factory=list)

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> Wishes:
        self.seen.append(sample)
        watts = self.when.get(round(sample.at))
        return Wishes(() if watts is None else (Command(0, self.load, watts),))


def test_import_is_paid_and_export_is_earned():
    lived = home({"heater": HEATER}, trace([(HOUR, 0.0, 1000.0), (HOUR, 2500.0, 500.0)]))
    score = score_home(lived, NoDiversion(), "none")
    assert score.money == pytest.approx(0.30 - 0.08 * 2)
    assert (score.import_wh, score.export_wh) == pytest.approx((1000.0, 2000.0))


def test_in_a_gap_only_what_a_load_draws_is_paid():
    day = holed(trace([(HOUR, 0.0, 1000.0), (HOUR, 5000.0, 1000.0), (HOUR, 0.0, 1000.0)]), 1)
    lived = home({"heater": HEATER}, day, PLAIN)
    none = score_home(lived, NoDiversion())
    assert none.money == pytest.approx(0.60)
    assert (none.import_wh, none.export_wh) == pytest.approx((2000.0, 0.0))
    blindly = score_home(lived, Told({3700: 2000.0, 3700 + 1800: 0.0}))
    assert blindly.money == pytest.approx(0.60 + 0.30 + 0.005)
    assert blindly.import_wh == pytest.approx(2000.0)


def test_a_start_costs_wear_and_the_relay_a_second():
    lived = home({"heater": HEATER}, trace([(2 * HOUR, 0.0, 0.0)]), PLAIN)
    score = score_home(lived, Told({99: 2000.0, 99 + 1800: 0.0}))
    assert score.money == pytest.approx(0.30 + 0.005)
    assert score.starts == {"heater": 1}
    assert score.energy_wh == {"heater": pytest.approx(1000.0)}
    assert not score.broken


def test_what_a_need_lacks_is_bought_and_listed():
    loads = {"heater": {**HEATER, "need": "2 kWh by 01:30"}}
    lived = home(loads, trace([(2 * HOUR, 3000.0, 0.0)]))
    score = score_home(lived, Told({0: 2000.0, 1800: 0.0}))
    lack = score.unmet[0]
    assert score.missed == (lack,)
    assert (lack.load, lack.due) == ("heater", lived.trace.moments[0].time + 1.5 * HOUR)
    assert lack.energy_wh == pytest.approx(1000.0, abs=2)
    assert score.money == pytest.approx(-0.08 * 5 + 0.30 * 1 + 0.005, abs=0.001)


def test_a_need_counts_from_the_deadline_before():
    day = trace([(HOUR, 0.0, 0.0)] * 30)
    lived = home({"pump": {"power": "1 kW", "need": "1 h by 12:00"}}, day)
    score = score_home(lived, Told({0: 1000.0, 3600: 0.0}, "pump"))
    assert not score.unmet
    assert len(score_home(lived, NoDiversion()).unmet) == 1  # the second deadline lies behind the trace's end


def test_an_empty_tank_is_helped_by_the_house_and_heat_that_is_left_is_worth_the_sun_it_saves():
    lived = home({"heater": HEATER}, trace([(2 * HOUR, 0.0, 0.0)]), {"heater": TANK})
    dry = score_home(lived, NoDiversion())
    assert dry.unmet_wh == pytest.approx(500.0)
    assert not dry.missed  # nobody had asked for it
    assert dry.money == pytest.approx(0.15)
    warm = score_home(lived, Told({0: 2000.0, 1800: 0.0}))
    assert warm.unmet_wh == 0.0
    assert warm.kept_wh == pytest.approx(500.0)
    assert warm.money == pytest.approx(0.30 - 0.04 + 0.005, abs=0.0005)


def test_water_that_its_need_and_the_tank_both_lack_is_bought_once():
    loads = {"heater": {**HEATER, "need": "1 kWh by 01:00"}}
    lived = home(loads, trace([(2 * HOUR, 0.0, 0.0)]), {"heater": TANK})
    dry = score_home(lived, NoDiversion())
    assert [(lack.due is None, lack.energy_wh) for lack in dry.unmet] == [(False, 1000.0), (True, pytest.approx(500.0))]
    assert dry.unmet_wh == pytest.approx(1000.0)
    assert dry.money == pytest.approx(0.30)


@pytest.mark.parametrize(
    ("needs", "kept_wh"), [({"need": "1 kWh by 02:00"}, 2000), ({"need": "15 min by 02:00"}, 2500), ({}, 3000)]
)
def test_what_a_guessed_appliance_takes_beyond_its_needs_is_worth_what_it_would_be_sold_for(
    needs: dict[str, str], kept_wh: float
):
    """A boiler without a house looks like a bottomless resistor; nobody said that more than its need is in vain."""
    day = trace([(2 * HOUR, 2000.0, 0.0)])
    policy = {0: 2000.0, 5399: 0.0}
    guessed = score_home(home({"heater": {**HEATER, **needs}}, day), Told(policy))
    assert guessed.kept_wh == pytest.approx(kept_wh, abs=2)
    described = score_home(home({"heater": {**HEATER, **needs}}, day, PLAIN), Told(policy))
    assert described.kept_wh == 0.0
    assert guessed.money == pytest.approx(described.money - 0.08 * kept_wh / 1000, abs=0.001)


def test_a_minimum_time_that_is_broken_is_told():
    lived = home({"heater": HEATER}, trace([(HOUR, 0.0, 0.0)]))
    score = score_home(lived, Told({600: 2000.0, 700: 0.0, 1200: 2000.0, 1500: 0.0}))
    assert [(broken.load, broken.on, broken.lasted_s) for broken in score.broken] == [("heater", True, 100.0)]


def test_the_hours_of_a_tariff_count():
    night = {"price": "0.10/kWh", "from": "00:00", "to": "01:00"}
    tariff = {"import": {"default": "0.40/kWh", "prices": [night]}}
    rules = {"loads": {"heater": HEATER}, "site": {"tariff": tariff}}
    lived = home({}, trace([(2 * HOUR, 0.0, 1000.0)]), rules=rules)
    assert score_home(lived, NoDiversion()).money == pytest.approx(0.50)


def test_the_meter_shows_what_was_two_seconds_ago():
    lived = home({"heater": HEATER}, trace([(HOUR, 0.0, 500.0)]))
    policy = Told({100: 2000.0})
    score_home(lived, policy)
    grid_w = [sample.grid_w or 0.0 for sample in policy.seen]
    assert grid_w[102] == pytest.approx(500.0, abs=30)  # told at 100, on at 101, seen at 103
    assert grid_w[103] == pytest.approx(2500.0, abs=30)
    assert grid_w[50:53] != [500.0] * 3  # the meter is a little noisy


def test_the_same_day_twice_is_the_same():
    loads = {"heater": HEATER, "car": {"current": "6..16 A", "need": "1 kWh by 02:00"}}
    lived = home(loads, trace([(HOUR, 4000.0, 300.0), (HOUR, 2000.0, 300.0)]))
    assert score_home(lived, lived.make_controller()) == score_home(lived, lived.make_controller())
