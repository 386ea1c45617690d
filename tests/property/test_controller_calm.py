"""The short cuts of the controller change nothing: it decides what a plain loop over the core does that thinks through
every tick, whatever the house, the hours and the people in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.controller import Controller, LoadState, Sample
from loadctl.core import values
from loadctl.core.appliance import drawn_w
from loadctl.core.rules import Mode
from loadctl.core.step import start
from loadctl.core.step import step as think
from loadctl.core.values import AnyWish, Input, ModeWish, Outcome, Report, Source, State, Tick, Wish
from loadctl.inputs.known import of_load, of_meter, of_prices
from loadctl.outlook.maker import OutlookMaker
from loadctl.telling.explain import explain
from tests.property.test_calm import course

BERLIN = ZoneInfo("Europe/Berlin")
BEGINS = (
    datetime(2025, 6, 21, 9, 30, tzinfo=UTC),
    datetime(2025, 6, 21, 21, 50, tzinfo=UTC),  # ten minutes before midnight
    datetime(2025, 10, 26, 0, 52, tzinfo=UTC),  # before the hour that comes twice
    datetime(2025, 3, 30, 0, 52, tzinfo=UTC),  # before the hour that does not come
)
LOADS: dict[str, dict[str, Any]] = {
    "boiler": {"power": "2 kW", "min_on": "1 min", "min_off": "30 s"},
    "pump": {"power": "700 W", "start": "500 W for 20 s", "daily_max": "12 min", "need": "8 min by 12:00"},
    "car": {"current": "6..16 A", "min_on": "1 min", "need": "3 kWh by 14:00"},
    "rod": {"power": "100 W..3 kW", "worth": "0.2/kWh"},
    "floor": {"power": "1.2 kW", "when": "room < 22 °C and soc > 30 %", "min_off": "1 min"},
    "freezer": {"power": "300 W", "when": "import_price < 0.25/kWh or pv_w > 2 kW", "between": "11:35-23:58"},
}
TARIFF = {
    "import": {
        "default": "0.30/kWh",
        "prices": [
            {"price": "0.20/kWh", "from": "00:00", "to": "01:57"},
            {"price": "0.22/kWh", "from": "11:40", "to": "12:00"},
        ],
    },
    "export": "0.08/kWh",
}
WISHES: tuple[tuple[AnyWish, ...], ...] = (
    (),
    (Wish("boiler", on=True, until=500.0),),
    (ModeWish("car", Mode.FAST), Wish("pump", on=False, until=700.0)),
)


class Plain:
    """What the controller does, without any short cut."""

    def __init__(self, controller: Controller) -> None:
        house = controller.house
        self.site, self.zone = house.site, house.zone
        self.outlook = OutlookMaker(house.zone, house.location, house.tariff)
        self.state: State | None = None
        self.pending: dict[str, values.Command] = {}
        self.told: dict[str, LoadState] = {}
        self.known: dict[str, Input] = {}
        self.at, self.every_s = -inf, 1.0
        self.ticks: deque[Tick] = deque(maxlen=1)

    def step(self, sample: Sample, states: Mapping[str, LoadState], wishes: tuple[AnyWish, ...]) -> Outcome:
        at, wall = sample.at, sample.wall
        if self.state is None:
            self.state = start(self.site, at, wall.toordinal())
        elif at > self.at:
            self.every_s = at - self.at
        self.at = at
        seen = values.Sample(
            at,
            sample.grid_w,
            sample.pv_w,
            sample.load_w,
            sample.battery_w,
            sample.soc_pct,
            every_s=self.every_s,
            max_age_s=max(10.0, 2 * self.every_s),
        )
        self.outlook.note(wall, seen, drawn_w(self.site, self.state))
        reports = tuple(
            self.report(load.name, states[load.name], at) for load in self.site.loads if self.news(load.name, states)
        )
        for report in reports:
            self.known |= {f"{report.load}.{key}": Input(value, at, inf) for key, value in of_load(report)}
        given = {name: Input(value, at) for name, value in sample.inputs.items()}
        outlook = self.outlook.outlook(wall, given, at)
        inputs = {**of_meter(seen), **of_prices(outlook, at), **self.known, **given}
        self.ticks.append(Tick(at, wall, seen, reports, wishes, inputs=inputs, outlook=outlook))
        outcome = think(self.site, self.state, self.ticks[-1])
        self.state = replace(outcome.state, calm=None)
        self.pending |= {command.load: command for command in outcome.commands}
        return outcome

    def news(self, name: str, states: Mapping[str, LoadState]) -> bool:
        return name in self.pending or states[name] != self.told.get(name)

    def report(self, name: str, state: LoadState, at: float) -> Report:
        answered = self.pending.get(name)
        if answered is not None and state.on == (answered.watts > 0):
            del self.pending[name]
        else:
            answered = None
        self.told[name] = state
        return Report(
            name,
            at,
            None if answered is None else answered.id,
            state.on,
            state.power_w,
            source=Source.US,
            available=state.available is not False,
            satisfied=state.satisfied,
            phases=state.phases,
        )


def house(names: list[str]) -> dict[str, Any]:
    return {
        "site": {"timezone": "Europe/Berlin", "max_import": "9 kW", "tariff": TARIFF},
        "inputs": {"room": {"driver": "http-json", "url": "http://room", "unit": "°C"}},
        "loads": {name: LOADS[name] for name in names},
    }


@given(
    st.lists(st.sampled_from(sorted(LOADS)), min_size=1, max_size=4, unique=True),
    st.sampled_from(BEGINS),
    st.sampled_from((1.0, 1.0, 2.5, 60.0)),
    st.integers(0, 10**6),
    st.dictionaries(st.integers(0, 600), st.sampled_from(WISHES), max_size=2),
    st.booleans(),
)
def test_the_short_cuts_of_the_controller_change_nothing(names, begin, every_s, seed, wishes, battery):
    controller = Controller.from_dict(house(names))
    plain = Plain(controller)
    draws_w = dict.fromkeys(names, 0.0)
    states = {name: LoadState(on=False, power_w=0.0) for name in names}
    asked: tuple[AnyWish, ...] = ()
    for second, base_w in enumerate(course(seed, 600)):
        if second in wishes:
            asked = tuple(wish for wish in wishes[second] if wish.load in names)
            controller.ask(*asked)
        at = second * every_s - (every_s if second % 97 == 96 else 0.0)  # now and then a reading comes twice
        pv_w = max(0.0, -base_w)
        sample = Sample(
            at,
            datetime.fromtimestamp(begin.timestamp() + at, BERLIN),
            base_w + sum(draws_w.values()),
            pv_w,
            base_w + pv_w + sum(draws_w.values()),
            battery_w=0.0 if battery else None,
            soc_pct=40.0 + second // 300 if battery else None,
            inputs={"room": 21.0 + second // 250},
        )
        decision = controller.step(sample, states)
        outcome = plain.step(sample, states, asked)
        assert (decision.commands, decision.words) == (outcome.commands, outcome.verdicts), second
        assert decision.surplus_w == (None if outcome.surplus_w is None else pytest.approx(outcome.surplus_w, abs=1e-6))
        assert controller.state == plain.state, second
        for command in decision.commands:
            draws_w[command.load] = command.watts
            states[command.load] = LoadState(on=command.watts > 0, power_w=command.watts)


def test_a_quiet_step_says_what_a_thought_one_would():
    controller = Controller.from_dict(house(["boiler", "car"]))
    plain = Plain(controller)
    states = {name: LoadState(on=False, power_w=0.0) for name in ("boiler", "car")}
    words = []
    for second in range(40):
        wall = datetime.fromtimestamp(BEGINS[0].timestamp() + second, BERLIN)
        sample = Sample(float(second), wall, -300.0 - second, 900.0 + second, 600.0)
        decision, outcome = controller.step(sample, states), plain.step(sample, states, ())
        words.append(decision.words)
        for index, said in enumerate(decision.verdicts.values()):
            explained = explain(plain.site, outcome, plain.ticks[-1], index)
            assert said.sentence == explained.sentence, second
            left_s = explained.next_change_s
            assert said.next_change_at == (None if left_s is None else pytest.approx(second + left_s))
    assert words[-1] is words[-2], "it was a quiet one"
