"""The perfect-foresight plan on days whose best plan is plain to see, and in the closed loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadctl.errors import LoadctlError
from loadctl.lab.baselines import NoDiversion
from loadctl.lab.foresight import Followed, Plan, kept_plan, plan
from loadctl.lab.score import score_home
from loadctl.lab.trace import Trace
from tests.lab_days import holed, home, trace

HOUR = 3600.0
HEATER = {"power": "2 kW", "min_on": "5 min", "min_off": "5 min"}
# Six hours: dark, an hour of sun, dark.
SUNNY = trace([(2 * HOUR, 0.0, 500.0), (HOUR, 3000.0, 500.0), (3 * HOUR, 0.0, 500.0)])
SECONDS = 20.0


def _on_s(found: Plan, load: str, day: Trace) -> list[int]:
    return [step * found.step_s for step, on in enumerate(found.on[load]) if on]


def test_the_heater_takes_the_sun():
    lived = home({"heater": {**HEATER, "need": "2 kWh by 06:00"}}, SUNNY)
    found = plan(lived, limit_s=SECONDS)
    assert found.money == pytest.approx(0.30 * 2.5 - 0.08 * 0.5 + 0.005)
    assert found.bound == pytest.approx(found.money, abs=0.002)
    on_s = _on_s(found, "heater", SUNNY)
    assert (on_s[0], on_s[-1]) == (7200, 10800 - found.step_s)
    assert found.starts == {"heater": 1}


def test_what_the_sun_does_not_give_is_bought_in_one_run():
    lived = home({"heater": {**HEATER, "need": "3 kWh by 06:00"}}, SUNNY)
    found = plan(lived, limit_s=SECONDS)
    assert found.money == pytest.approx(0.30 * (2.5 + 1) - 0.08 * 0.5 + 0.005)
    assert found.starts == {"heater": 1}


def test_a_deadline_before_the_sun_must_be_bought():
    lived = home({"heater": {**HEATER, "need": "1 kWh by 01:30"}}, SUNNY)
    found = plan(lived, limit_s=SECONDS)
    assert found.money == pytest.approx(0.30 * (2.5 + 1) - 0.08 * 2.5 + 0.005)


def test_minimum_times_are_kept():
    """Two bursts of ten minutes: with half an hour of rest between runs the plan takes one and the dark before it."""
    rows = [(HOUR, 0.0, 0.0), (600.0, 2000.0, 0.0), (600.0, 0.0, 0.0), (600.0, 2000.0, 0.0), (HOUR, 0.0, 0.0)]
    loads = {"heater": {**HEATER, "need": "0.6666 kWh by 02:30", "min_on": "5 min"}}
    freely = plan(home(loads, trace(rows)), limit_s=SECONDS)
    assert freely.money == pytest.approx(0.01, abs=0.002)
    assert freely.starts == {"heater": 2}
    loads["heater"]["min_off"] = "30 min"
    slowly = plan(home(loads, trace(rows)), limit_s=SECONDS)
    assert slowly.starts == {"heater": 1}
    assert slowly.money == pytest.approx(0.30 * 0.333 - 0.08 * 0.333 + 0.005, abs=0.002)


def test_the_shape_within_a_step_is_paid_for():
    """Sun and a house that take turns every six seconds come to nothing in the mean, and cost all the same."""
    rows = [(6.0, 4000.0, 0.0), (6.0, 0.0, 0.0)] * 300
    lived = home({"heater": {**HEATER, "need": "2 kWh by 01:00"}}, trace(rows))
    assert plan(lived, limit_s=SECONDS).money == pytest.approx(0.30 * 1 - 0.08 * 1 + 0.005, abs=0.001)


def test_a_tank_is_heated_when_it_is_cheapest_and_not_before_it_must():
    tank = {"is": "tank", "holds": "4 kWh", "begins": "1 kWh", "loss": "0 W", "draws": {"05:00": "2 kWh"}}
    found = plan(home({"heater": HEATER}, SUNNY, {"heater": tank}), limit_s=SECONDS)
    assert found.unmet_wh == pytest.approx(0.0, abs=40)
    assert found.money == pytest.approx(0.30 * 2.5 - 0.08 * (2.5 - 1) + 0.005, abs=0.005)


@pytest.mark.parametrize(
    ("need", "draws"),
    [("2 kWh by 00:30", None), ("90 min by 01:00", None), ("2 kWh by 00:30", "00:30"), ("1.2 kWh by 00:30", "00:05")],
)
def test_what_cannot_be_served_is_billed_as_a_score_bills_it(tmp_path: Path, need: str, draws: str | None):
    """What a need and a tank lack is the same water; the program's fine for a lack is no price."""
    tank = {"is": "tank", "begins": "0 kWh", "loss": "0 W", "draws": {draws: "1.5 kWh"}}
    lived = home({"heater": {**HEATER, "need": need}}, trace([(HOUR, 0.0, 0.0)]), {"heater": tank} if draws else {})
    found = kept_plan(lived, limit_s=SECONDS, folder=tmp_path)
    replayed = score_home(lived, Followed(found, lived.loads), "plan")
    assert found.unmet_wh == pytest.approx(1000, abs=30)
    assert replayed.unmet_wh == pytest.approx(found.unmet_wh, abs=30)
    assert found.money == pytest.approx(replayed.money, abs=0.01)
    assert kept_plan(lived, limit_s=SECONDS, folder=tmp_path) == found


def test_what_is_left_of_a_run_counts_for_a_guessed_appliance_as_in_a_score():
    loads = {"heater": {**HEATER, "min_on": "1 h", "need": "1 kWh by 06:00"}}
    lived = home(loads, SUNNY)
    found = plan(lived, limit_s=SECONDS)
    assert found.kept_wh == pytest.approx(1000.0, abs=1)
    assert found.money == pytest.approx(score_home(lived, Followed(found, lived.loads)).money, abs=0.005)
    described = plan(home(loads, SUNNY, {"heater": {"is": "plain"}}), limit_s=SECONDS)
    assert described.money == pytest.approx(found.money + 0.08, abs=0.001)


def test_an_empty_tank_loses_nothing():
    tank = {"is": "tank", "holds": "4 kWh", "begins": "0 kWh", "loss": "60 W", "draws": {"05:00": "1 kWh"}}
    dark = trace([(6 * HOUR, 0.0, 0.0)])
    assert plan(home({"heater": HEATER}, dark, {"heater": tank}), limit_s=SECONDS).money == pytest.approx(
        0.30, abs=0.02
    )


def test_a_car_takes_what_is_there_minute_by_minute():
    rows = [(600.0, 1840.0, 0.0), (600.0, 2760.0, 0.0), (600.0, 2300.0, 0.0)] * 4
    loads = {"car": {"current": "6..16 A", "need": "4.2 kWh by 02:00", "min_on": "3 min", "min_off": "1 min"}}
    lived = home(loads, trace(rows), {"car": {"is": "car", "wants": "4.2 kWh", "delay": ["30 s", "30 s"]}})
    found = plan(lived, limit_s=SECONDS)
    assert found.money == pytest.approx(-0.08 * (4.6 - 4.2) + 0.005, abs=0.003)


@pytest.mark.parametrize("pump", ["pool", "heat pump"])
def test_in_the_closed_loop_the_plan_costs_what_it_says(pump: str):
    loads = {
        "heater": {**HEATER, "need": "2 kWh by 06:00"},
        "pump": {"power": "1 kW", "min_on": "15 min", "min_off": "10 min", "need": "1.5 kWh by 05:00"},
        "car": {"current": "6..16 A", "need": "2 kWh by 06:00", "min_on": "3 min", "min_off": "1 min"},
    }
    house = {"car": {"is": "car", "wants": "2 kWh"}}
    if pump == "heat pump":
        house["pump"] = {"is": "heat pump"}
    day = trace([(2 * HOUR, 0.0, 500.0), (2 * HOUR, 4000.0, 500.0), (2 * HOUR, 1500.0, 500.0)])
    lived = home(loads, day, house)
    found = plan(lived, steps_s=(300,), limit_s=SECONDS)
    replayed = score_home(lived, Followed(found, lived.loads), "plan")
    assert not replayed.broken
    assert not replayed.missed
    assert replayed.money == pytest.approx(found.money, abs=0.02)
    assert replayed.starts == found.starts
    assert found.money < score_home(lived, NoDiversion()).money


def test_hours_and_starts_that_the_rules_allow_are_kept():
    loads = {"heater": {**HEATER, "need": "2 kWh by 05:00", "between": "03:30-05:00"}}
    found = plan(home(loads, SUNNY), limit_s=SECONDS)
    assert _on_s(found, "heater", SUNNY)[0] >= 3.5 * HOUR
    assert found.money == pytest.approx(0.30 * (2.5 + 2) - 0.08 * 2.5 + 0.005)


def test_a_plan_is_made_once(tmp_path: Path):
    lived = home({"heater": {**HEATER, "need": "2 kWh by 06:00"}}, SUNNY)
    first = kept_plan(lived, limit_s=SECONDS, folder=tmp_path)
    [file] = tmp_path.iterdir()
    changed = file.stat().st_mtime_ns
    assert kept_plan(lived, limit_s=SECONDS, folder=tmp_path) == first
    assert file.stat().st_mtime_ns == changed
    other = home({"heater": {**HEATER, "need": "1 kWh by 06:00"}}, SUNNY)
    assert kept_plan(other, limit_s=SECONDS, folder=tmp_path) != first


def test_a_plan_is_made_around_a_gap():
    """Of two sunny half-hours one is not known, but for its last minute; a tank is drawn from all the same."""
    rows = [(HOUR, 0.0, 500.0), (1740.0, 3000.0, 500.0), (60.0, 3000.0, 500.0), (1800.0, 3000.0, 500.0)]
    day = holed(trace([*rows, (2 * HOUR, 0.0, 500.0)]), 1)
    tank = {"is": "tank", "begins": "0.5 kWh", "loss": "0 W", "draws": {"01:15": "0.5 kWh", "03:00": "1 kWh"}}
    lived = home({"heater": HEATER}, day, {"heater": tank})
    found = plan(lived, steps_s=(600,), limit_s=SECONDS)
    assert _on_s(found, "heater", day) == [5400, 6000, 6600]
    assert found.money == pytest.approx(0.30 * 1.5 - 0.08 * (2.5 * 31 / 60 - 1) + 0.005, abs=0.002)
    replayed = score_home(lived, Followed(found, lived.loads), "plan")
    assert replayed.money == pytest.approx(found.money, abs=0.002)


def test_there_is_no_plan_for_what_nobody_knows():
    day = trace([(HOUR, 0.0, 0.0), (HOUR, 0.0, 0.0), (1.0, 0.0, 0.0)])
    assert plan(home({"heater": HEATER}, holed(day, 1))).money == 0.0
    with pytest.raises(LoadctlError, match="it has gaps of half the time or more"):
        plan(home({"heater": HEATER}, holed(day, 1, 2)))
