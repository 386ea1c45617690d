"""A replayed day: energy is neither made nor lost, whatever is switched, and the meter and the relays are late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.controller import Controller, LoadState, Sample
from loadctl.core.values import Command
from loadctl.lab.machines import Motor, Tank
from loadctl.lab.replay import Account, Result, replay
from loadctl.lab.trace import Moment, Trace

NOON = datetime(2025, 6, 21, 12, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Orders:
    commands: tuple[Command, ...] = ()


@dataclass
class Script:
    """A policy that says at its n-th step what stands in its script, and notes what it saw."""

    orders: Mapping[int, Mapping[str, float]]
    saw: list[Sample] = field(default_factory=list)

    def step(self, sample: Sample, _states: Mapping[str, LoadState]) -> Orders:
        told = self.orders.get(len(self.saw), {})
        self.saw.append(sample)
        return Orders(tuple(Command(1, load, watts) for load, watts in told.items()))


def course(*watts: tuple[float, float], row_s: float = 60.0, unknown: tuple[int, ...] = ()) -> Trace:
    """A row for each pair of what the panels give and the house draws."""
    moments = (
        Moment(NOON + row * row_s, pv_w, base_w, row_s, known=row not in unknown)
        for row, (pv_w, base_w) in enumerate(watts)
    )
    return Trace("made up", UTC, tuple(moments))


def balanced(result: Result, trace: Trace) -> None:
    """Energy is neither made nor lost: import - export = base + loads - pv; what a load draws is sun or grid."""
    base_wh = sum(moment.base_w * moment.for_s for moment in trace.moments) / 3600
    pv_wh = sum(moment.pv_w * moment.for_s for moment in trace.moments) / 3600
    drawn_wh = sum(account.energy_wh for account in result.loads.values())
    assert result.pv_wh == pytest.approx(pv_wh)
    assert result.import_wh - result.export_wh == pytest.approx(base_wh + drawn_wh - pv_wh, abs=1e-6)
    assert sum(account.grid_wh for account in result.loads.values()) <= result.import_wh + 1e-6
    assert all(0 <= account.grid_wh <= account.energy_wh + 1e-9 for account in result.loads.values())
    assert result.seconds == sum(moment.for_s for moment in trace.moments)


WATTS = st.floats(0, 6000)
ORDER = st.fixed_dictionaries({}, optional={"pump": st.sampled_from([0.0, 900.0]), "rod": st.floats(0, 2500)})


@given(st.lists(st.tuples(WATTS, WATTS), min_size=1, max_size=6), st.dictionaries(st.integers(0, 50), ORDER))
def test_energy_is_neither_made_nor_lost(watts, orders):
    trace = course(*watts, row_s=10.0)
    rod = Tank(2500.0, 20.0, 59.0)
    sun_wh = {"pump": 0.0, "rod": 0.0}

    def watch(_now: float, surplus_w: float, states: Mapping[str, LoadState], _decided: Orders) -> None:
        for name in sun_wh:  # the most important takes the sun first
            draws_w = states[name].power_w or 0.0
            sun_wh[name] += min(draws_w, max(0.0, surplus_w)) / 3600
            surplus_w -= draws_w

    result = replay(Script(orders), trace, {"pump": Motor(900.0), "rod": rod}, watch=watch)
    balanced(result, trace)
    for name, account in result.loads.items():
        assert account.grid_wh + sun_wh[name] == pytest.approx(account.energy_wh, abs=1e-6)


def test_energy_is_neither_made_nor_lost_under_the_controller():
    loads = {"rod": {"power": "2 kW"}, "pump": {"power": "900 W", "start": "600 W"}}
    trace = course(*[(pv_w, 300.0 + pv_w / 20) for pv_w in (0, 2500, 4000, 900, 3300, 1200, 5000) for _ in range(5)])
    controller = Controller.from_dict({"site": {"timezone": "UTC"}, "loads": loads})
    result = replay(controller, trace, {"rod": Tank(2000.0, 100.0, 50.0), "pump": Motor(900.0)})
    balanced(result, trace)
    assert all(account.energy_wh > 0 for account in result.loads.values())


def test_what_is_bought_is_bought_for_the_least_important():
    orders = {0: {"first": 1.0, "second": 1.0}}
    trace = course((1800.0, 300.0), row_s=3601.0)
    result = replay(Script(orders), trace, {"first": Motor(1000.0), "second": Motor(1000.0)})
    assert result.loads["first"].grid_wh == 0
    assert result.loads["second"].grid_wh == pytest.approx(500.0)
    assert result.import_wh == pytest.approx(500.0)
    assert result.export_wh == pytest.approx(1500.0 / 3600), "the first second, before the relays followed"


def test_what_the_house_itself_lacks_is_no_loads_doing():
    result = replay(Script({0: {"pump": 1.0}}), course((0.0, 2000.0), row_s=3601.0), {"pump": Motor(500.0)})
    assert result.loads["pump"].grid_wh == pytest.approx(500.0)
    assert result.import_wh == pytest.approx(2000.0 * 3601 / 3600 + 500.0)


def test_starts_and_time_on_are_counted():
    script = Script({0: {"pump": 1.0}, 20: {"pump": 0.0}, 40: {"pump": 1.0}, 41: {"pump": 1.0}})
    result = replay(script, course((0.0, 0.0)), {"pump": Motor(3600.0)})
    assert result.loads["pump"] == Account(energy_wh=39.0, grid_wh=39.0, starts=2, on_s=39)


def test_a_relay_follows_after_a_second_and_the_meter_shows_it_two_seconds_later():
    script = Script({10: {"pump": 1.0}})
    replay(script, course((0.0, 200.0)), {"pump": Motor(1000.0)})
    seen_w = [sample.grid_w or 0.0 for sample in script.saw]
    assert all(100 < watts < 300 for watts in seen_w[:13])
    assert all(1100 < watts < 1300 for watts in seen_w[13:])


def test_the_policy_is_told_the_time_and_nothing_that_is_not_known():
    script = Script({})
    replay(script, course((500.0, 300.0), (500.0, 300.0), (500.0, 300.0), unknown=(1,)), {})
    assert [sample.at for sample in script.saw] == list(range(180))
    assert script.saw[90].wall == datetime(2025, 6, 21, 12, 1, 30, tzinfo=UTC)
    blind = [sample.grid_w is None and sample.pv_w is None and sample.load_w is None for sample in script.saw]
    assert blind == [False] * 60 + [True] * 60 + [False] * 60


def test_of_a_sun_that_nobody_saw_the_policy_is_told_the_grid_alone():
    script, day = Script({}), course((0.0, -700.0))
    unseen = tuple(replace(moment, sees_sun=False) for moment in day.moments)
    replay(script, replace(day, moments=unseen), {})
    assert {(sample.pv_w, sample.load_w) for sample in script.saw} == {(None, None)}
    assert all(-750 < (sample.grid_w or 0.0) < -650 for sample in script.saw)


def test_the_same_seed_gives_the_same_day():
    def lived(seed: int) -> list[Sample]:
        script = Script({5: {"pump": 1.0}})
        replay(script, course((700.0, 300.0)), {"pump": Motor(900.0)}, seed=seed)
        return script.saw

    assert lived(3) == lived(3)
    assert lived(3) != lived(4)
