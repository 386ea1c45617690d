"""Where money was lost: the causes add up, and a loss of one kind is called by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadctl.cli.score import told
from loadctl.lab.contest import Day, contest, contests, share
from loadctl.lab.losses import AFTER, BEFORE, CAUSES, HELD, PARTIAL, REST, SWITCHING, called
from loadctl.lab.scenario_file import Scenario
from loadctl.lab.trace import Trace
from tests.lab_days import holed, trace

HOUR = 3600.0
QUICK = {"power": "2 kW", "min_on": "1 min", "min_off": "1 min"}


def _lived(load: dict[str, str], day: Trace, folder: Path) -> Day:
    return contest(_scenario(load), day, others=False, limit_s=20.0, folder=folder)


def _scenario(load: dict[str, str]) -> Scenario:
    return Scenario("test", Path("test.yaml"), {"rules": {"loads": {"heater": load}}})


def _worst(day: Day) -> str:
    return max(day.losses, key=lambda cause: day.losses[cause])


def _adds_up(day: Day) -> None:
    assert day.plan is not None
    assert sum(day.losses.values()) == pytest.approx(day.ours.money - day.plan.money)
    assert set(day.losses) == set(CAUSES)
    # What is left over is no place to hide something: here no heat can be lost.
    assert day.losses[REST] == pytest.approx(0.0, abs=0.01)


def test_waiting_to_start_has_a_name(tmp_path: Path):
    """Three short gaps in the clouds: by the time we believe in one it is half over."""
    rows = [(900.0, 0.0, 0.0), (240.0, 3000.0, 0.0)] * 4 + [(HOUR, 0.0, 0.0)]
    day = _lived(
        {**QUICK, "need": "0.4 kWh by 02:10", "start": "2 kW for 3 min", "stop": "import 50 W for 5 s"},
        trace(rows),
        tmp_path,
    )
    _adds_up(day)
    assert _worst(day) == BEFORE


def test_a_cloud_in_the_minimum_time_has_a_name(tmp_path: Path):
    rows = [(HOUR, 0.0, 0.0), (300.0, 3000.0, 0.0), (1500.0, 0.0, 0.0), (HOUR, 2500.0, 0.0), (HOUR, 0.0, 0.0)]
    day = _lived(
        {**QUICK, "min_on": "20 min", "need": "1.5 kWh by 03:25", "daily_max": "1.5 kWh"}, trace(rows), tmp_path
    )
    _adds_up(day)
    assert _worst(day) == HELD


def test_waiting_to_stop_has_a_name(tmp_path: Path):
    rows = [(HOUR, 0.0, 0.0), (600.0, 3000.0, 0.0), (1800.0, 0.0, 0.0), (HOUR, 2500.0, 0.0), (HOUR, 0.0, 0.0)]
    load = {**QUICK, "need": "1.5 kWh by 03:25", "daily_max": "1.5 kWh", "stop": "import 100 W for 10 min"}
    day = _lived(load, trace(rows), tmp_path)
    _adds_up(day)
    assert _worst(day) == AFTER


def test_a_threshold_that_is_too_high_has_a_name(tmp_path: Path):
    rows = [(HOUR, 0.0, 0.0), (HOUR, 1800.0, 0.0), (HOUR, 0.0, 0.0)]
    day = _lived({**QUICK, "need": "1 kWh by 03:00", "start": "1.95 kW for 1 min"}, trace(rows), tmp_path)
    _adds_up(day)
    assert _worst(day) in (PARTIAL, REST) or sum(day.losses.values()) < 0.02  # or needs made it easier to please


def test_more_starts_have_a_name(tmp_path: Path):
    rows = [(HOUR, 0.0, 0.0), *([(240.0, 3000.0, 0.0), (240.0, 0.0, 0.0)] * 6), (2 * HOUR, 3000.0, 0.0)]
    load = {
        **QUICK,
        "need": "2 kWh by 03:48",
        "daily_max": "2 kWh",
        "start": "2 kW for 10 s",
        "stop": "import 50 W for 5 s",
    }
    day = _lived(load, trace(rows), tmp_path)
    _adds_up(day)
    assert _worst(day) == SWITCHING


def test_over_a_gap_the_causes_add_up(tmp_path: Path):
    rows = [(HOUR, 0.0, 0.0), (1200.0, 3000.0, 0.0), (1200.0, 3000.0, 0.0), (HOUR, 2500.0, 0.0), (HOUR, 0.0, 0.0)]
    load = {**QUICK, "need": "1.5 kWh by 02:40", "daily_max": "1.5 kWh", "min_on": "15 min"}
    day = _lived(load, holed(trace(rows), 2), tmp_path)
    _adds_up(day)
    assert day.losses[AFTER] > 0.0  # it ran on blindly


def test_days_are_lived_in_order_by_several_processes(tmp_path: Path):
    load = {**QUICK, "need": "1 kWh by 01:30"}
    sunny = [trace([(2 * HOUR, watts, 0.0)], name=f"{watts:.0f} W") for watts in (2500.0, 0.0)]
    found = list(contests([(_scenario(load), one) for one in sunny], 2, limit_s=20.0, folder=tmp_path))
    assert [day.trace for day in found] == ["2500 W", "0 W"]
    alone = list(contests([(_scenario(load), one) for one in sunny], 1, limit_s=20.0, folder=tmp_path))
    assert [day.ours.money for day in found] == [day.ours.money for day in alone]


def test_who_beats_the_plan_shows_that_more_was_possible(tmp_path: Path):
    day = _lived({**QUICK, "need": "1 kWh by 01:30"}, trace([(2 * HOUR, 2500.0, 0.0)]), tmp_path)
    assert day.plan is not None
    assert day.beaten_by is None
    assert day.possible == day.planned
    poor = replace(day, plan=replace(day.plan, money=day.ours.money + 0.1))
    assert poor.beaten_by == poor.ours
    assert poor.possible == poor.saved(poor.ours)
    assert share([poor.saved(poor.ours)], [poor.possible]) == 1.0
    lines = list(told(poor))
    assert next(line for line in lines if line.startswith("  loadctl")).split()[3] == "1.00"
    plan = next(line for line in lines if line.startswith("  perfect foresight"))
    assert plan.endswith("loadctl saved more, so more was possible; look longer with --search")
    assert float(plan.split()[4]) < 1


def test_what_is_left_over_is_heat_only_if_it_is_a_loss():
    assert called(REST, 0.31) == "heat lost or too much"
    assert called(REST, -0.31) == "the rest"
    assert called(AFTER, -0.31) == AFTER


def test_a_share_is_the_ratio_of_sums_over_the_days_that_have_a_plan():
    assert share([1.0, 0.0, 9.0], [1.0, 3.0, None]) == pytest.approx(0.25)
    assert share([0.0], [0.0]) is None
    assert share([-0.01], [0.004]) is None
