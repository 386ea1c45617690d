"""Who comes first: by the file, by priority, by the season; and what changes over at midnight."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.controller import Controller, LoadState, Sample
from loadctl.core.rules import Site
from loadctl.core.step import reordered, start
from loadctl.core.values import Standing
from tests.unit.homes import DIMMER, PLACE, RELAY, house, refused

BOILER = f"boiler: {RELAY}; power: 2 kW; priority: {{1: apr-sep, 3: oct-mar}}"
CAR = f"car: {DIMMER}; power: 3 kW; daily_max: 9 kWh; priority: 2"
LAST_OF_MARCH, LAST_OF_SEPTEMBER = date(2025, 3, 31), date(2025, 9, 30)


def names(site: Site) -> list[str]:
    return [load.name for load in site.loads]


@pytest.mark.parametrize(
    ("day", "order"),
    [
        (LAST_OF_MARCH, ["car", "boiler"]),
        (LAST_OF_MARCH + timedelta(days=1), ["boiler", "car"]),
        (LAST_OF_SEPTEMBER, ["boiler", "car"]),
        (LAST_OF_SEPTEMBER + timedelta(days=1), ["car", "boiler"]),
        (date(2028, 2, 29), ["car", "boiler"]),
    ],
)
def test_the_order_goes_with_the_season(day, order):
    assert names(house(f"{BOILER}\n{CAR}").site_on(day.toordinal())) == order


def test_the_site_is_the_same_as_long_as_the_order_is():
    home = house(f"{BOILER}\n{CAR}")
    assert len({id(home.site_on(day)) for day in range(738000, 738000 + 1500)}) == 2
    assert home.site is home.site_on(date.today().toordinal())  # noqa: DTZ011 - a test at midnight is rare enough


def test_without_seasons_there_is_one_site():
    home = house(f"boiler: {RELAY}; power: 2 kW; priority: 2\n{CAR}")
    assert {id(home.site_on(day)) for day in range(738000, 738000 + 400)} == {id(home.site)}


def test_out_of_its_seasons_an_appliance_has_no_priority():
    home = house(f"boiler: {RELAY}; power: 2 kW; priority: {{1: [apr, jul-aug]}}\n{CAR}")
    first = {month: names(home.site_on(date(2025, month, 15).toordinal()))[0] for month in range(1, 13)}
    assert [month for month, name in first.items() if name == "boiler"] == [4, 7, 8]


def test_the_battery_and_who_shares_go_with_the_order():
    other = f"b: {DIMMER.replace('42', '45')}; power: 1 kW; share: equal; priority: 2"
    home = house(f"{BOILER}\n{CAR}; share: equal\n{other}", f"{PLACE}, battery: {{after: car}}")
    summer, winter = (home.site_on(date(2025, month, 1).toordinal()) for month in (7, 1))
    assert [(load.name, load.battery.claim_above_pct) for load in summer.loads] == [
        ("boiler", 0),
        ("car", 0),
        ("b", None),
    ]
    assert [(load.name, load.battery.claim_above_pct) for load in winter.loads] == [
        ("car", 0),
        ("b", None),
        ("boiler", None),
    ]
    assert [load.share for load in summer.loads] == [None, 1, 1]
    assert [load.share for load in winter.loads] == [1, 1, None]


def test_each_order_is_looked_at_and_each_fault_told_once():
    said = refused(f"{BOILER}; need: 25 h by 18:00\n{CAR}")
    assert said.count("cannot be had") == 1
    home = house(f"{BOILER}; start: 1.5 kW for 1 s\n{CAR}")
    assert len(home.notes) == len(set(home.notes))
    assert sum("two readings in a row" in str(note) for note in home.notes) == 1


@settings(deadline=None)
@given(st.permutations("abcde"))
def test_what_is_known_of_a_load_goes_with_it(order):
    old = house("\n".join(f"{name}: {RELAY.replace('40', str(50 + index))}; power: 1 kW"
                          for index, name in enumerate("abcde"))).site  # fmt: skip
    new = Site(tuple(old.loads["abcde".index(name)] for name in order))
    state = start(old, 0.0, 1)
    state = state.__class__(tuple(Standing(detail=name) for name in "abcde"), next_id=7, planned_until=3.0)
    moved = reordered(state, old, new)
    assert [standing.detail for standing in moved.standings] == list(order)
    assert (moved.next_id, moved.plans, moved.planned_until, moved.calm) == (7, (), None, None)
    assert reordered(moved, new, old).standings == state.standings


RULES = {
    "site": {"timezone": "Europe/Berlin"},
    "loads": {
        "boiler": {"power": "2 kW", "priority": {1: "apr-sep", 3: "oct-mar"}},
        "heater": {"power": "2 kW", "priority": 2},
    },
}


@pytest.mark.parametrize(
    ("last", "before", "after"), [(LAST_OF_MARCH, "heater", "boiler"), (LAST_OF_SEPTEMBER, "boiler", "heater")]
)
def test_at_midnight_the_more_important_one_gets_the_power(last, before, after):
    controller = Controller.from_dict(RULES)
    zone = controller.house.zone
    at, wall = 0.0, datetime.combine(last, datetime.min.time(), zone) + timedelta(hours=23, minutes=30)
    begin, told = wall.timestamp(), {"boiler": 0.0, "heater": 0.0}
    runs: dict[float, list[str]] = {}
    while at <= 3600:
        grid_w = sum(told.values()) - 2200
        states = {name: LoadState(on=watts > 0, power_w=watts) for name, watts in told.items()}
        wall = datetime.fromtimestamp(begin + at, zone)
        told |= controller.step(Sample(at, wall, grid_w=grid_w), states).watts
        runs[at] = [name for name, watts in told.items() if watts]
        at += 5.0
    assert runs[1795.0] == [before]
    assert runs[3600.0] == [after]
    assert not any(len(now) > 1 for now in runs.values())
    state = controller.state
    assert state is not None
    starts = [standing.tally.starts for standing in state.standings]
    assert dict(zip(names(controller.house.site), starts, strict=True)) == {before: 1, after: 1}
