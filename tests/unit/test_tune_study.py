"""The search: what it finds, that nothing of it gets lost, and who may join."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from loadctl.errors import LoadctlError
from loadctl.lab.tune.days import Days, split
from loadctl.lab.tune.propose import Proposal, propose
from loadctl.lab.tune.space import AS_WRITTEN, Space
from loadctl.lab.tune.study import Plan, first_looks, front, open_study, search, stored
from tests.tune_homes import Formula, day, days, space

TWO = """\
rules:
  site: {timezone: UTC}
  loads:
    pump: {power: 1 kW, need: 1 h by 12:00}
    heater: {power: 2 kW, start: 1.5 kW for 2 min, stop: import 800 W for 3 min, need: 1 kWh by 12:00}
"""
ALL = [day(number) for number in range(16)]


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return space(tmp_path_factory.mktemp("home"), TWO)


def _helps(loads: dict[str, Any], number: int) -> float:
    """A lower start of the heater saves 20 ct a day, longer runs of the pump cost a little."""
    saved = 0.2 if "1 kW" in str(loads["heater"].get("start")) else 0.0
    return 2.0 + number % 3 - saved + 0.05 * ("min_on" in loads["pump"])


@contextmanager
def _study(of: Space, plan: Plan, url: str | None = None, fingerprint: str = "x") -> Iterator[optuna.Study]:
    with stored(url) as storage:
        yield open_study(storage, "home", fingerprint, of, plan)


def _propose(of: Space, pool: Formula, plan: Plan, count: int = 16) -> Proposal:
    parts = split(ALL[:count])
    with _study(of, plan) as study:
        return propose(study, of, days(of, pool), parts, plan)


def test_what_helps_is_found_and_proposed_alone(of: Space):
    proposal = _propose(of, Formula(_helps), Plan(30, 2))
    assert [name for name, _ in proposal.settings] == ["heater.start"]
    assert {edit.value for edit in of.edits(proposal.settings)} == {"1 kW for 2 min", "import 1.3 kW for 3 min"}
    change = next(change for change in proposal.changes if change.kept)
    assert change.gain.mean == pytest.approx(0.2)
    assert proposal.whole is not None
    assert proposal.whole.chance == pytest.approx(1 / 256)


def test_what_helps_on_the_days_searched_only_is_not_proposed(of: Space):
    def lucky(loads: dict[str, Any], number: int) -> float:
        return 2.0 - 0.2 * (number % 2 == 0) * ("min_on" in loads["pump"])

    proposal = _propose(of, Formula(lucky), Plan(20, 2))
    assert proposal.settings == AS_WRITTEN
    assert "did not prove itself" in proposal.why


def test_what_helps_half_of_the_held_back_days_is_not_proposed(of: Space):
    def mixed(loads: dict[str, Any], number: int) -> float:
        better = number % 2 == 0 or number % 4 == 1
        return 2.0 - (0.2 if better else -0.15) * ("min_on" in loads["pump"])

    assert _propose(of, Formula(mixed), Plan(20, 2)).settings == AS_WRITTEN


def test_rules_that_cannot_be_bettered_stay(of: Space):
    proposal = _propose(of, Formula(lambda _loads, number: 1.0 + number), Plan(10, 2))
    assert proposal.settings == AS_WRITTEN
    assert "none of the rules" in proposal.why
    assert [row.settings for row in proposal.trade] == [AS_WRITTEN]


def test_too_few_days_propose_nothing_and_say_so(of: Space):
    proposal = _propose(of, Formula(_helps), Plan(30, 2), count=8)
    assert proposal.settings == AS_WRITTEN
    assert proposal.why.startswith("4 days held back are too few")


def test_the_trade_has_the_cheapest_and_the_calmest(of: Space):
    def starts(loads: dict[str, Any]) -> int:
        return 5 - 2 * ("min_on" in loads["pump"])

    proposal = _propose(of, Formula(_helps, starts), Plan(40, 2))
    money = [row.searched.money for row in proposal.trade]
    assert money == sorted(money)
    assert [row.searched.starts for row in proposal.trade] == [5.0, 3.0]


def test_the_same_seed_finds_the_same(of: Space):
    assert _propose(of, Formula(_helps), Plan(25, 2, seed=4)) == _propose(of, Formula(_helps), Plan(25, 2, seed=4))


def test_no_day_is_lived_twice_under_the_same_rules(of: Space):
    pool = Formula(lambda _loads, _number: 1.0)
    lived = days(of, pool)
    for _ in range(2):
        lived.measures(AS_WRITTEN, ALL[:3])
    assert sorted(pool.asked) == ["day 0", "day 1", "day 2"]


def test_every_second_day_is_held_back_by_date_whatever_the_order_of_the_files():
    parts = split(reversed(ALL[:5]))
    assert [one.name for one in parts.searched] == ["day 0", "day 2", "day 4"]
    assert [one.name for one in parts.held] == ["day 1", "day 3"]
    assert "every second one is held back" in parts.sentence


def test_a_day_given_twice_is_on_one_side_only():
    parts = split([*ALL[:2], *ALL[:2], day(0)])
    assert [one.name for one in (*parts.searched, *parts.held)] == ["day 0", "day 1"]


def test_of_a_year_some_days_are_taken_evenly():
    parts = split(day(number, minutes=2) for number in range(300))
    assert (len(parts.searched), len(parts.held), parts.left_out) == (24, 60, 216)
    assert "216 more were left out" in parts.sentence
    assert parts.searched[-1].moments[0].time > day(280).moments[0].time


def test_the_first_looks_are_single_changes_of_every_knob(of: Space):
    looks = first_looks(of, 200, seed=1)
    assert looks[0] == AS_WRITTEN
    assert {look[0][0] for look in looks[1:]} >= {"pump.start", "heater.start", "heater.stop", "order", "pump.min_on"}
    assert all(len(look) == 1 for look in looks[1:])


def test_energy_taken_from_a_load_that_the_score_does_not_see_is_paid_for(tmp_path: Path):
    text = TWO + "    fan: {power: 500 W}\n"
    of = space(tmp_path, text)
    pool = Formula(lambda _loads, _number: 1.0)
    pool.energy_wh = lambda loads: {"fan": 500.0 if "min_on" in loads["pump"] else 2000.0}
    measures = Days(of, pool, 0.30).measures(of.settings({"pump.min_on": 1}), ALL[:1])
    assert measures[0].money == pytest.approx(1.0 + 1.5 * 0.30)


@pytest.mark.parametrize("kind", ["sqlite:///{}/study.db", "journal://{}/study.log", "{}/study.log"])
def test_who_comes_later_goes_on_where_the_study_is(of: Space, tmp_path: Path, kind: str):
    url, plan = kind.format(tmp_path), Plan(12, 2, alone=False)
    first = Formula(_helps)
    with _study(of, plan, url) as study:
        found = search(study, of, days(of, first), ALL[:3], plan)
    second = Formula(_helps)
    with _study(of, plan, url) as study:
        again = search(study, of, days(of, second), ALL[:3], plan)
    assert {one.settings for one in again} == {one.settings for one in found}
    assert second.asked == []
    assert front(again) == front(found)


def test_a_study_about_other_rules_is_not_joined(of: Space, tmp_path: Path):
    url, plan = f"sqlite:///{tmp_path}/study.db", Plan(4, 1, alone=False)
    with _study(of, plan, url, "these"):
        pass
    with pytest.raises(LoadctlError, match=r"other rules, other days .* --study"), _study(of, plan, url, "those"):
        pass


def test_a_trial_whose_process_is_gone_is_begun_again(of: Space, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/study.db"
    plan = Plan(8, 2, alone=False, patience_s=1.0)
    with _study(of, plan, url) as study:
        gone = study.ask()
        gone.suggest_int("pump.min_on", 0, len(of.knobs["pump.min_on"].options) - 1)
        search(study, of, days(of, Formula(_helps)), ALL[:3], plan)
        trials = study.get_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    assert trials[gone.number].state == TrialState.FAIL
    again = next(trial for trial in trials if trial.user_attrs.get("begun_again") == gone.number)
    assert again.state == TrialState.COMPLETE
    assert again.params["pump.min_on"] == gone.params["pump.min_on"]
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 8


@pytest.mark.parametrize("url", ["nodb://x", "sqlite:////no/such/folder/study.db", "/no/such/folder/study.log"])
def test_a_storage_that_cannot_be_is_told_in_one_line(url: str):
    with pytest.raises(LoadctlError) as raised, stored(url):
        pass
    assert "\n" not in str(raised.value)
