"""What an owner may write after `when:`, what it is understood as, and what he is told otherwise."""

from __future__ import annotations

import re

import pytest

from loadctl.config.expression import Misread, parse_condition
from loadctl.config.reach import unreachable
from loadctl.core.conditions import comparisons, names
from loadctl.core.values import NO_OUTLOOK, Report, Sample
from loadctl.inputs.known import of_load, of_meter, of_prices
from loadctl.inputs.names import BUILT_IN, OF_A_LOAD, load_names
from loadctl.telling.conditions import spell_test

UNITS = {
    **BUILT_IN,
    **load_names(["boiler", "heat-pump", "2nd"]),
    "tank": "°C",
    "room": "°C",
    "guests_here": "",
    "mode": "",
    "co2": "ppm",
    "wind": "m/s",
    "humidity": "%",
    "washer": "W",
}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tank < 60 °C", "tank < 60 °C"),
        ("tank<60°C", "tank < 60 °C"),
        ("60 °C > tank", "tank < 60 °C"),
        ("tank ≤ 60 C", "tank <= 60 °C"),
        ("tank < 60 °C and (soc > 50 % or not guests_here)", "tank < 60 °C and (soc > 50 % or not guests_here)"),
        ("tank < 60 °C AND soc > 50 % and mode == 3", "tank < 60 °C and soc > 50 % and mode == 3"),
        ("guests_here or tank < 60 °C and soc > 50 %", "guests_here or (tank < 60 °C and soc > 50 %)"),
        # not turns each comparison around
        ("not tank < 60 °C", "tank >= 60 °C"),
        ("not (tank < 60 °C and guests_here)", "tank >= 60 °C or not guests_here"),
        ("not not guests_here", "guests_here"),
        ("guests_here == true", "guests_here"),
        ("guests_here != true", "not guests_here"),
        ("false == guests_here", "not guests_here"),
        # sums
        ("tank - room > 5 K", "tank - room > 5 °C"),
        ("2 * tank - room / 2 >= 80 °C", "2 * tank - 0.5 * room >= 80 °C"),
        ("-grid_w > 1.5 kW + load_w", "-grid_w > load_w + 1.5 kW"),
        ("-(grid_w - 500 W) * 2 > 0", "-2 * grid_w + 1 kW > 0 W"),
        ("pv_w + battery_w - pv_w > 1 kW", "battery_w > 1 kW"),
        ("tank + 5 °C < room", "tank + 5 °C < room"),
        # both
        ("20 °C < room <= 24 °C", "room > 20 °C and room <= 24 °C"),
        # names
        ("heat-pump.power > 500 W", "heat-pump.power > 500 W"),
        ("2nd.on and not boiler.connected", "2nd.on and not boiler.connected"),
        ("grid_w-pv_w < 0", "grid_w - pv_w < 0 W"),
        # units
        ("import_price < 12 ct/kWh", "import_price < 0.12/kWh"),
        ("export_price <= -0.01 €/kWh", "export_price <= -0.01/kWh"),
        ("import_price > 100 €/MWh", "import_price > 0.1/kWh"),
        ("grid_w < 0", "grid_w < 0 W"),
        ("co2 > 800 ppm", "co2 > 800 ppm"),
        ("wind < 8 m/s", "wind < 8 m/s"),
        ("soc == 100 %", "soc == 100 %"),
        ("mode >= 2", "mode >= 2"),
    ],
)
def test_understood(text, meant):
    found = parse_condition(text, UNITS)
    assert spell_test(found.test) == meant
    assert found.text == text
    assert names(found) <= UNITS.keys()


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("tank < 60 %", 8, "`60 %` is a share; here a temperature is meant, such as `60 °C`"),
        ("tank < 60", 8, "`60` has no unit: write `60 °C`"),
        ("tank < 140 °F", 8, "write it in °C: `60 °C`"),
        ("tank < 60 celsius", 8, "the unit `celsius` is not known here; write it like `60 °C`"),
        ("import_price < 0.1", 16, "`0.1` has no unit: write `0.1/kWh`"),
        ("60 % > tank", 1, "`60 %` is a share; here a temperature is meant"),
        ("tank < soc", 8, "`tank` is a temperature, `soc` is a share; only what has the same unit can be compared"),
        ("tank + soc > 60 °C", 8, "`tank` is a temperature, `soc` is a share"),
        ("co2 > 800 pmm", 7, "`co2` is in ppm, `800 pmm` is in pmm"),
        ("mode == 3 W", 9, "`mode` is a plain number, `3 W` is a power"),
        ("tnak < 60 °C", 1, "`tnak` is no input; did you mean `tank`?"),
        ("tank < 60 °C and gests_here", 18, "did you mean `guests_here`?"),
        ("xyz > 3", 1, "`xyz` is no input; known here: battery_w, co2,"),
        ("boiler.heat > 3 °C", 1, "of `boiler` there are `boiler.connected`, `boiler.on`, `boiler.power`,"),
        ("soc > 50 % und mode", 12, "`und` is no input"),
        ("tank == 60 °C", 9, "a temperature is never exactly `60 °C`; use `<=` or `>=`"),
        ("tank = 60 °C", 6, "instead of `=` write `==`"),
        ("soc > 50 % && mode", 12, "instead of `&&` write `and`"),
        ("!mode", 1, "instead of `!` write `not`"),
        ("tank => 60 °C", 6, "instead of `=>` write `>=`"),
        ("soc > 1,5 %", 7, "`1,5`: write a decimal point: `1.5`"),
        ("grid_w > 1.500.000 W", 10, "`1.500.000`: write it like `1500` or `1.5`"),
        ("soc ; 3", 5, "`;` means nothing here"),
        ("", 1, "nothing stands here; write `tank_temp < 60 °C`"),
        ("tank < 60 °C and", 17, "the condition ends too early"),
        ("tank <", 7, "the condition ends too early"),
        ("(soc > 5 %", 1, "this bracket is never closed"),
        ("soc > 5 %)", 10, "this bracket closes nothing"),
        ("soc 5 %", 5, "before `5 %` a sign such as `<` or a word such as `and` is missing"),
        ("tank < 60 °C guests_here", 14, "before `guests_here` a sign"),
        ("2 tank > 5 °C", 3, "before `tank` a sign"),
        ("soc > < 3 %", 7, "a value is missing before `<`"),
        ("and soc > 3 %", 1, "a value is missing before `and`"),
        ("tank", 1, "`tank` is a temperature; compare it, such as `tank > 50 °C`"),
        ("guests_here or grid_w", 16, "`grid_w` is a power; compare it"),
        ("true", 1, "`true` alone decides nothing"),
        ("5 %", 1, "`5 %` alone decides nothing"),
        ("guests_here > true", 15, "nothing is more or less than `true`; write a name alone"),
        ("guests_here + true > 1", 15, "`true` is yes or no; nothing can be counted with it"),
        ("(soc > 5 %) + 2 > 3", 1, "`(soc > 5 %)` is yes or no; nothing can be counted or compared with it"),
        ("soc * tank > 3 %", 5, "one side of a `*` must be a plain number"),
        ("3 % / soc > 3", 5, "what follows a `/` must be a plain number"),
        ("1/0 * soc > 5 %", 2, "this is beyond all measure"),
        ("(" * 21 + "mode", 21, "too deep to follow"),
        ("not " * 21 + "mode", 81, "too deep to follow"),
        ("soc > 5 %" + " " * 1000, 1001, "too long for a condition"),
    ],
)
def test_refused_with_place_and_better_spelling(text, at, said):
    with pytest.raises(Misread, match=re.escape(said)) as refused:
        parse_condition(text, UNITS)
    assert str(refused.value).startswith(f"character {at}: ")
    assert refused.value.at == at - 1


@pytest.mark.parametrize(
    ("text", "hysteresis", "bands"),
    [
        ("tank < 60 °C and soc > 50 % and grid_w < 0", None, [1, 3, 100]),
        ("import_price < 0.1/kWh or guests_here or co2 > 800 ppm", None, [0, 0, 0]),
        ("tank < 60 °C and soc > 50 %", "3 °C", [3, 3]),
        ("tank < 60 °C and soc > 50 %", "3 K, 5 %", [3, 5]),
        ("tank < 60 °C and soc > 50 %", "0", [0, 0]),
        ("tank < 60 °C and soc > 50 %", "0, 2 °C", [2, 0]),
        ("grid_w > 1 kW", "0.2 kW", [200]),
        ("mode > 3", "1", [1]),
        ("co2 > 800 ppm", "50 ppm", [50]),
        # what cannot go below 0 % or above 100 % must still be able to begin it, and half of what is left should
        ("soc >= 98 %", None, [1]),
        ("soc < 1 %", None, [0.5]),
        ("soc >= 100 %", None, [0]),
        ("soc <= 98 %", None, [3]),
        ("humidity > 99 %", None, [0.5]),
        ("humidity > 120 %", None, [3]),
        ("soc >= 98 %", "2 %", [2]),
        ("heat-pump.power < 50 W", None, [25]),
        ("grid_w < 50 W and washer < -50 W", None, [100, 100]),
        # between two limits, too
        ("20 °C < room < 21 °C", None, [0.25, 0.25]),
        ("20 °C < room < 30 °C and (room < 22 °C or guests_here)", None, [1, 1, 0.5, 0]),
        ("2 * room > 40 °C and -room > -21 °C", None, [0.5, 0.25]),
        ("room < 20 °C or room > 21 °C", None, [1, 1]),
        ("20 °C < room < 21 °C", "0.9 °C", [0.9, 0.9]),
        ("soc == 50 % or guests_here", None, [0, 0]),
    ],
)
def test_hysteresis(text, hysteresis, bands):
    found = parse_condition(text, UNITS, hysteresis)
    assert [compare.band for compare in comparisons(found.test)] == bands


@pytest.mark.parametrize(
    ("text", "hysteresis", "said"),
    [
        ("soc > 50 %", "50 %", "nothing could begin `soc > 50 %`; write less than 50 %"),
        ("soc >= 98 %", "3 %", "with 3 % of hysteresis nothing could begin `soc >= 98 %`; write less than 2 %"),
        ("guests_here or soc >= 100 %", "3 %", "nothing could begin `soc >= 100 %`; write `0 %`"),
        ("heat-pump.power < 50 W", "100 W", "nothing could begin `heat-pump.power < 50 W`; write less than 50 W"),
        ("20 °C < room < 22 °C", "2 °C", "could begin `room > 20 °C and room < 22 °C`; write less than 2 °C"),
    ],
)
def test_hysteresis_with_which_nothing_could_begin(text, hysteresis, said):
    with pytest.raises(Misread, match=re.escape(said)) as refused:
        parse_condition(text, UNITS, hysteresis)
    assert refused.value.at is None


@pytest.mark.parametrize(
    ("hysteresis", "said"),
    [
        ("3 W", "3 W is a power, and nothing here compares that"),
        ("3", "3 is a plain number, and nothing here compares that"),
        ("-3 °C", "`-3 °C`: a hysteresis is written `3 °C`"),
        ("some", "`some`: a hysteresis is written `3 °C`"),
        ("3 °C, 2 K", "`2 K`: there is one for this unit already"),
    ],
)
def test_hysteresis_refused(hysteresis, said):
    with pytest.raises(Misread, match=re.escape(said)) as refused:
        parse_condition("tank < 60 °C and soc > 50 %", UNITS, hysteresis)
    assert refused.value.at is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tank > 60 °C and tank < 50 °C", ["`tank > 60 °C and tank < 50 °C` can never hold"]),
        ("tank > 60 °C and tank <= 60 °C", ["`tank > 60 °C and tank <= 60 °C` can never hold"]),
        ("tank >= 60 °C and tank <= 60 °C", []),
        ("tank > 50 °C and tank < 60 °C", []),
        ("tank > 50 °C or tank < 60 °C", ["`tank > 50 °C or tank < 60 °C` always holds"]),
        ("tank > 60 °C or tank < 50 °C", []),
        ("tank < room and 2 * room < 2 * tank", ["`tank < room and 2 * room < 2 * tank` can never hold"]),
        ("soc > 110 %", ["`soc > 110 %` can never hold"]),
        ("soc >= 0", ["`soc >= 0 %` always holds"]),
        ("grid_w < 500 W or boiler.soc > 200 %", ["`boiler.soc > 200 %` can never hold"]),
        ("tank < tank", ["`tank < tank` can never hold"]),
        ("5 % > 3 %", ["`5 % > 3 %` always holds"]),
        ("mode == 3 and mode == 4", ["`mode == 3 and mode == 4` can never hold"]),
        ("mode == 3 and mode != 3", ["`mode == 3 and mode != 3` can never hold"]),
        ("mode == 3 or mode == 4", []),
        ("guests_here or not guests_here", ["`guests_here or not guests_here` always holds"]),
        ("guests_here and (soc > 50 % and soc < 40 %)", ["`guests_here and soc > 50 % and soc < 40 %` can never hold"]),
        (" and ".join(["(soc > 5 % or guests_here)"] * 30), []),  # too many ways to look at
    ],
)
def test_what_cannot_be_meant(text, said):
    assert list(unreachable(parse_condition(text, UNITS))) == said


def test_each_name_has_a_value_and_each_value_a_name():
    sample = Sample(0.0, grid_w=1, pv_w=2, load_w=3, battery_w=4, soc_pct=5)
    assert {**of_meter(sample), **of_prices(NO_OUTLOOK, 0.0)}.keys() == BUILT_IN.keys()
    report = Report("boiler", 0.0, on=True, watts=10.0, connected=False, inputs=(("temperature", 50.0), ("soc", 5.0)))
    assert dict(of_load(report)).keys() == OF_A_LOAD.keys()
    assert not of_meter(None)
    assert not dict(of_load(Report("boiler", 0.0)))
