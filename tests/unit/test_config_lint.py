"""Rules that are well written and cannot be meant (faults), or surprise their owner (notes)."""

from __future__ import annotations

import pytest

from loadctl.config import parse
from loadctl.errors import ConfigError
from tests.unit.homes import DIMMER, INPUTS, PLACE, RELAY, WALLBOX, house, notes, refused
from tests.unit.tiny_drivers import TINY

TANK = "inputs: {tank: {driver: http-json, unit: °C}}\n"
OTHER = RELAY.replace("40", "43")


def one(keys: str, power: str = "2 kW") -> str:
    return f"it: {RELAY}; power: {power}; {keys}"


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ("between: sunrise to sunrise", "these hours begin and end at sunrise"),
        ("between: sunset to sunset - 1 h; min_on: 24 h", "write at most `min_on: 23 h`"),
        ("between: sunset - 1 h to sunset; min_on: 2 h", "write at most `min_on: 1 h`"),
        ("need: 12 h by sunset; between: sunrise to sunset - 3 h", "lies outside its hours; write `by sunset - 3 h`"),
        ("need: 18 h by sunset; between: sunrise to sunset", "18 h cannot be had by sunset"),
        ("need: {full: true, takes: 5 h, by: 12:00}; between: 09:00-12:00", "write at most `takes: 3 h`"),
        ("need: 8 kWh by 18:00; between: 15:00-18:00; daily_max: 9 kWh", "write at most `6 kWh by 18:00`"),
        ("need: 1 h by 18:00; between: {from: 09:00, to: 18:00, days: [sat], season: may-sep}", "outside its hours"),
        ("need: 1 h by 18:00 on sun; between: 09:00-18:00 on sat", "its hours never fall on sun"),
        ("need: 6 h by 18:00; daily_max: 4 h", "than `daily_max: 4 h` lets it have; write at least `daily_max: 6 h`"),
        ("need: 6 kWh by 18:00; daily_max: 2 h", "write at least `daily_max: 3 h`"),
        ("need: 6 h by 18:00; daily_max: 6 kWh", "write at least `daily_max: 12 kWh`"),
        ("need: {runtime: 20 h, by: 18:00, days: [sat]}; daily_max: 2 h", "write at least `daily_max: 2 h 30 min`"),
        ("battery: {claim_above: 3 %}", "nothing would ever end `claim_above: 3 %`"),
        ("when: tank < 60 °C and tank > 70 °C", "can never hold; correct or delete it"),
        ("when: soc > 110 %", "can never hold"),
        ("when: it.on", "this cannot hold while `it` is off, so it would never start"),
        ("when: it.power > 100 W and tank < 60 °C", "so it would never start"),
        ("worth: 0.05/kWh", "what is fed into the grid earns at least 0.08/kWh; write `worth: 0.08/kWh` or more"),
    ],
)  # fmt: skip
def test_cannot_be_meant(keys, hint):
    assert hint in refused(one(keys))


@pytest.mark.parametrize(
    "keys",
    [
        "need: 2 h by sunset; between: sunrise to sunset",
        "need: 4 h by 19:00; between: {from: 09:00, to: 19:00, season: may-sep}",
        "need: {runtime: 20 h, by: 18:00, days: [sat]}; daily_max: 3 h",
        "need: {runtime: 30 h, every: 7 d, by: 18:00}",
        "need: {full: true, takes: 3 h, by: 12:00}; between: 09:00-12:00",
        "need: [6 kWh by 18:00, 3 kWh by 07:00]; daily_max: 8 kWh",
        "between: 00:00-24:00; min_on: 12 h",
        "between: {from: 22:00, to: 06:00, season: nov-feb}; need: 1 h by 06:00",
        "between: {from: 10:00, to: 14:00, season: 24 dec - 26 dec}; need: 1 h by 14:00",
        "when: not it.on or tank < 60 °C",
        "battery: {claim_above: 80 %, discharge_above: 60 %}",
    ],
)
def test_nothing_to_say(keys):
    assert not [note for note in house(one(keys)).notes if "loads" in note.path]


def test_in_some_months_only():
    said = notes(one("need: 9 h by sunset; between: sunrise to sunset"))
    assert "in jan, nov, dec: 9 h cannot be had by sunset: 7 h" in said
    assert "loads.it.need" in said


def test_the_sun_of_the_main_city_is_told():
    assert "the sunset is that of Amsterdam" in notes(one("need: 1 h by sunset"), "hold: 30 s")


def test_a_sun_that_nobody_knows():
    text = "version: 1\nsite: {timezone: UTC}\nmeter: {driver: envoy, host: a}\nloads:\n  it:\n"
    with pytest.raises(ConfigError, match="where is the house"):
        parse(f"{text}    {RELAY}\n    power: 1 kW\n    between: sunrise to sunset\n", "home.yaml", {}, drivers=TINY)


def test_cold_water_and_empty_batteries():
    said = notes(one("need: {temperature: 60 °C, litres: 300, by: 12:00}; between: 09:00-12:00"), inputs=TANK)
    assert "from 10 °C it takes 8 h 45 min, longer than the 3 h before 12:00" in said
    said = notes(
        f"car: {WALLBOX}; current: 16 A; between: 22:00-06:00; need: {{soc: 80 %, capacity: 60 kWh, by: 06:00}}",
        inputs='inputs: {charge: {driver: http-json, unit: "%"}}\n',
    )
    assert "from empty it takes 13 h 15 min, longer than the 8 h before 06:00" in said


@pytest.mark.parametrize(
    ("powers", "fuse", "needs", "hint"),
    [
        (("3 kW", "3 kW"), "4 kW", ("9 h by 07:00", "16 h by 07:00"), "cannot run at the same time"),
        (("3 kW", "3 kW"), "4 kW", ("4 h by 07:00", "4 h by 07:00"), ""),
        (("2 kW", "2 kW"), "5 kW", ("20 h by 07:00", "20 h by 07:00"), ""),
        (("1 kW", "3 kW"), "3.5 kW", ("24 h by 07:00", "24 h by 07:00"), "the needs of `a`, `b` are 96 kWh by 07:00"),
    ],
)
def test_needs_together_under_the_fuse(powers, fuse, needs, hint):
    loads = f"a: {RELAY}; power: {powers[0]}; need: {needs[0]}\nb: {OTHER}; power: {powers[1]}; need: {needs[1]}"
    said = notes(loads, f"{PLACE}, max_import: {fuse}")
    assert hint in said if hint else not said


def test_needs_in_different_hours_do_not_meet():
    a = f"a: {RELAY}; power: 3 kW; between: 00:00-12:00; need: 11 h by 12:00"
    b = f"b: {OTHER}; power: 3 kW; between: 12:00-24:00; need: 11 h by 23:30"
    assert not notes(f"{a}\n{b}", f"{PLACE}, max_import: 4 kW")


def test_who_starves_behind_a_heater_without_end():
    heater = f"heater: {DIMMER}; power: 3 kW"
    pump, boiler = f"pump: {RELAY}; power: 1 kW", f"boiler: {OTHER}; power: 2 kW; need: 6 kWh by 18:00"
    assert "takes all power up to 3 kW as long as it can; `pump` after it" in notes(f"{heater}\n{pump}\n{boiler}")
    assert not notes(f"{pump}\n{boiler}\n{heater}")
    assert not notes(f"{heater}\n{boiler}")
    for end in ("daily_max: 10 kWh", "need: full by 18:00", "when: boiler.on"):
        assert not notes(f"{heater}; {end}\n{pump}\n{boiler}")
    assert "`pump` after it" in notes(f"{pump}; priority: {{1: apr-sep, 3: oct-mar}}\n{heater}; priority: 2")


def test_a_car_is_full_some_day():
    car = f"car: {WALLBOX}; current: 16 A; phases: auto"
    assert not notes(f"{car}\npump: {RELAY}; power: 1 kW")


def test_powers_between_one_phase_and_three():
    said = notes(f"car: {WALLBOX}; current: 6..10 A; phases: auto")
    assert "between 2.3 kW on one phase and 4.14 kW on three the rest flows into the grid" in said
    assert not notes(f"car: {WALLBOX}; current: 6..16 A; phases: auto")


def test_a_season_is_looked_at_when_it_is():
    assert not notes(one("need: 7 h by sunset in may-sep; between: sunrise to sunset"))
    assert "in jan, nov, dec" in notes(one("need: 9 h by sunset in sep-mar; between: sunrise to sunset"))
    assert "9 h cannot be had by sunset" in refused(one("need: 9 h by sunset in dec; between: sunrise to sunset"))
    assert "lies outside its hours" in refused(one("need: 1 h by 22:00 in jul; between: 09:00-19:00"))
    both = "need: [{runtime: 5 h, by: 20:00, season: may-sep}, {runtime: 1 h, by: 20:00, season: oct-apr}]"
    assert not notes(one(f"{both}; between: 08:00-20:00; daily_max: 9 h"))


def test_needs_of_a_summer_under_the_fuse():
    needs = f"a: {RELAY}; power: 3 kW; need: 20 h by 07:00 in may-sep\nb: {OTHER}; power: 3 kW; need: 9 h by 07:00"
    assert "cannot run at the same time" in notes(needs, f"{PLACE}, max_import: 4 kW")
    assert not notes(needs.replace("20 h", "14 h"), f"{PLACE}, max_import: 4 kW")


def test_a_floor_knows_no_hours():
    assert not notes(one("need: {temperature: 8 °C, of: tank, always: true}; between: 09:00-19:00"), inputs=TANK)


def test_needs_of_what_is_off():
    assert "its needs are not met" in notes(one("mode: off; need: 2 h by 18:00"))


def test_hours_without_sun():
    assert "no sun ever shines in these hours" in notes(one("between: 23:00-03:00"))
    assert not notes(one("between: 23:00-03:00; need: 2 h by 03:00"))
    assert not notes(one("between: 22:00-06:00"))  # in June it does


def test_prices():
    tariff = (
        "tariff: {import: {default: 0.30/kWh, prices: [{price: 0.10/kWh, from: 01:00, to: 05:00}]}, export: 0.08/kWh}"
    )
    assert not notes(one("worth: 0.12/kWh"), tariff)
    assert "it will always run: power never costs more than 0.3/kWh" in notes(one("worth: 0.30/kWh"), tariff)
    assert not notes(one("worth: 0.30/kWh; between: 22:00-06:00"), tariff)
    assert "belongs to `site.tariff`" in notes(one("worth: 0.12/kWh"))
    cheap = tariff.replace("0.10/kWh", "0.02/kWh")
    assert not notes(one("worth: 0.05/kWh"), cheap)
    feed = "tariff: {import: {default: 0.30/kWh, input: price_now}, export: {default: 0.08/kWh, input: price_now}}"
    assert not [note for note in house(one("worth: 0.01/kWh"), feed).notes if "loads" in note.path]
    assert "did you mean `price_now`?" in refused(one("priority: 1"), feed.replace("price_now", "price_no"))
    assert "`tank` is a temperature" in refused(one("priority: 1"), feed.replace("price_now", "tank"))
    empty = "tariff: {import: {default: 0.30/kWh, prices: [{price: 0.10/kWh, from: 05:00, to: 05:00}]}}"
    assert "for all day use `default`" in refused(one("priority: 1"), empty)


def test_finer_than_can_be_seen():
    assert "finer than the meter's noise" in notes(one("when: {if: grid_w < 1 kW, hysteresis: 5 W}"))
    assert "finer" not in notes(one("when: it.power < 30 W"))
    assert "it is switched by chance" in notes(one("priority: 1", "15 W"))
    assert "finer than batteries tell" in notes(one("battery: {claim_above: 80 %, band: 0.5 %}"))


def test_conditions_that_decide_nothing_are_told():
    assert "always holds" in notes(one("when: soc >= 0 % and tank < 60 °C"), inputs=INPUTS)


def test_an_input_that_nobody_asks_for():
    said = notes(one("when: tank < 60 °C"), inputs=INPUTS)
    assert "inputs.charge: no rule asks for it" in said
    assert "inputs.tank" not in said
