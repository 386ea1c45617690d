"""How good the controller is: three homes, eight recorded days, as a share of perfect foresight."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from loadctl.lab.contest import Day, contests, share
from loadctl.lab.days import days
from loadctl.lab.homes import HOMES
from loadctl.lab.losses import called
from loadctl.lab.scenario_file import read_scenario
from tests.bench.conftest import Figure
from tests.conftest import SHARED

pytestmark = pytest.mark.bench
TRACES = sorted((SHARED / "traces").glob("*.csv"))


@pytest.fixture(scope="module")
def lived() -> list[Day]:
    """Live the days; the first time it takes about half an hour to find the perfect plans, which are then kept."""
    if not TRACES:
        pytest.skip("the recorded days are not here")
    jobs = [(read_scenario(path), day) for path in HOMES.values() for trace in TRACES for day in days(trace)]
    return list(contests(jobs, os.cpu_count() or 1))


def _best(home: Sequence[Day]) -> str:
    """Return the baseline that saves most in a home over all days."""
    return max(home[0].others, key=lambda name: sum(day.saved(day.others[name]) for day in home))


def _of(lived: list[Day], name: str) -> list[Day]:
    return [day for day in lived if day.home == name]


HEAD = f"{'':32}{'share':>7}{'best':>7}{'possible':>14}{'starts':>8}{'plan':>6}{'unmet':>7}{'broken':>8}  lost to"


def _row(what: str, best: str, days: Sequence[Day]) -> str:
    """Say what came of some days together. `unmet`, `broken`: our needs and minimum times."""
    possible = [day.possible or 0.0 for day in days]
    ours = share([day.saved(day.ours) for day in days], possible)
    other = share([day.saved(day.others[best]) for day in days], possible)
    plans = [day.plan for day in days if day.plan is not None]
    lost: Counter[str] = Counter()
    for day in days:
        lost.update(day.losses)
    counts = (
        sum(day.ours.all_starts for day in days),
        sum(sum(plan.starts.values()) for plan in plans),
        sum(len(day.ours.missed) for day in days),
        sum(len(day.ours.broken) for day in days),
    )
    money = f"{ours or 0:7.3f}{other or 0:7.3f}{sum(possible):8.2f} ±{sum(plan.gap for plan in plans):4.2f}"
    worst = ", ".join(f"{called(cause, money)} {money:.2f}" for cause, money in lost.most_common(3))
    return f"{what[:31]:32}{money}{counts[0]:8}{counts[1]:6}{counts[2]:7}{counts[3]:8}  {worst}"


def test_the_table(lived: list[Day], capsys: pytest.CaptureFixture[str], figure: Figure):
    lines = [HEAD]
    for name in HOMES:
        home = _of(lived, name)
        best = _best(home)
        lines += [_row(f"{name.upper()} {day.trace}", best, [day]) for day in home]
        lines.append(_row(f"{name.upper()} (best: {best})", best, home))
        possible = [day.possible for day in home]
        ours = share([day.saved(day.ours) for day in home], possible)
        other = share([day.saved(day.others[best]) for day in home], possible)
        starts = sum(day.ours.all_starts for day in home)
        figure(
            f"part of what home {name.upper()} could save (best of {len(home[0].others)} others)",
            f"{ours or 0:.2f} ({other or 0:.2f}, {best}), {starts} starts, all needs met",
        )
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", HOMES)
def test_minimum_times_are_never_violated(lived: list[Day], name: str):
    assert [(day.trace, day.ours.broken) for day in _of(lived, name) if day.ours.broken] == []


@pytest.mark.parametrize("name", HOMES)
def test_every_need_is_met(lived: list[Day], name: str):
    assert [(day.trace, day.ours.missed) for day in _of(lived, name) if day.ours.missed] == []


@pytest.mark.parametrize("name", HOMES)
def test_no_baseline_saves_more(lived: list[Day], name: str):
    home = _of(lived, name)
    best = _best(home)
    assert sum(day.saved(day.ours) for day in home) > sum(day.saved(day.others[best]) for day in home), best


@pytest.mark.parametrize("name", HOMES)
def test_the_plans_are_good_enough_to_measure_by(lived: list[Day], name: str):
    for day in _of(lived, name):
        assert day.plan is not None, day.why
        assert day.possible is not None
        assert day.plan.gap < 0.03 * day.possible
