"""What a householder may write for a quantity, and what he is told otherwise."""

from __future__ import annotations

import re
from math import isclose
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from loadctl.units import Unit, pattern, read, schema, spell

UNITS = ["W", "Wh", "s", "A", "V", "%", "°C", "/kWh", "°"]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1.5 kW", "W", 1500),
        ("2kW", "W", 2000),
        ("2 KW", "W", 2000),
        ("800 watts", "W", 800),
        ("-200 W", "W", -200),
        ("1.500 kW", "W", 1500),
        ("6 kWh", "Wh", 6000),
        ("6kwh", "Wh", 6000),
        ("90 s", "s", 90),
        ("10 min", "s", 600),
        ("10m", "s", 600),
        ("18h", "s", 64800),
        ("1 h 30 min", "s", 5400),
        ("1h30min", "s", 5400),
        ("2 days", "s", 172800),
        ("500 ms", "s", 0.5),
        ("16 A", "A", 16),
        ("6000 mA", "A", 6),
        ("230V", "V", 230),
        ("30 %", "%", 30),
        ("30%", "%", 30),
        ("60 °C", "°C", 60),
        ("-5.5°C", "°C", -5.5),
        ("60 ºC", "°C", 60),
        ("3 K", "°C", 3),
        ("0.12/kWh", "/kWh", 0.12),
        ("0.12 €/kWh", "/kWh", 0.12),
        ("0.12 EUR / kWh", "/kWh", 0.12),
        ("12 ct/kWh", "/kWh", 0.12),
        ("-3.5 ct/kWh", "/kWh", -0.035),
        ("85 €/MWh", "/kWh", 0.085),
        ("-0.02/kWh", "/kWh", -0.02),
        ("52.1", "°", 52.1),
        ("-4.9°", "°", -4.9),
        (" 2\u00a0kW ", "W", 2000),
    ],
)
def test_understood(text, unit, value):
    assert isclose(read(text, unit), value)


@pytest.mark.parametrize(
    ("text", "unit", "hint"),
    [
        ("1,5 kW", "W", "`1.5 kW`"),
        ("1,5", "W", "`1.5 kW`"),
        ("2000", "W", "write `2000 W` or `2 kW`"),
        ("2", "W", "write `2 W` or `2 kW`"),
        ("10", "s", "write `10 s` or `10 min`"),
        ("600", "s", "write `600 s` or `10 min`"),
        ("16", "A", "write `16 A`"),
        ("30", "%", "write `30 %`"),
        ("1.500 W", "W", "write `1500 W` or `1.500 kW`"),
        ("1.5k", "W", "`1.5 kW`"),
        ("2 kWh", "W", "is an energy; here a power is meant"),
        ("10 min", "W", "is a duration; here a power is meant"),
        ("10:30", "s", "a duration reads `10 h 30 min`"),
        ("2 mW", "W", "`mW` is not known"),
        ("1 kW 500 W", "W", "not a power"),
        ("soon", "s", "write it like `10 min`"),
        ("140 °F", "°C", "write it in °C: `60 °C`"),
        ("60", "°C", "write `60 °C`"),
        ("60 %", "°C", "is a share; here a temperature is meant"),
        ("0.12", "/kWh", "write `0.12/kWh`"),
        ("0,12", "/kWh", "write a decimal point: `0.12/kWh`"),
        ("52,1", "°", "write a decimal point: `52.1`"),
        ("52.1 N", "°", "write it like `52.1`"),
        ("60 °C", "°", "is a temperature; here an angle is meant, such as `52.1`"),
        ("0.12 kWh", "/kWh", "is an energy; here a price is meant"),
        ("", "s", "write it like `10 min`"),
        ("2 kW or so", "W", "write it like `1.5 kW`"),
        ("99999999999999999 W", "W", "not a power"),
    ],
)
def test_refused_with_the_right_spelling(text, unit, hint):
    with pytest.raises(ValueError, match=re.escape(hint)):
        read(text, unit)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1500, "W", "1.5 kW"),
        (800, "W", "800 W"),
        (600, "s", "10 min"),
        (90, "s", "90 s"),
        (0, "s", "0 s"),
        (0.5, "s", "0.5 s"),
        (7200, "s", "2 h"),
        (6000, "Wh", "6 kWh"),
        (16, "A", "16 A"),
        (-200, "W", "-200 W"),
        (100, "%", "100 %"),
        (61.25, "°C", "61.25 °C"),
        (0.1234, "/kWh", "0.1234/kWh"),
        (-0.0001, "°C", "0 °C"),
        (-0.02, "/kWh", "-0.02/kWh"),
        (-4.9, "°", "-4.9°"),
    ],
)
def test_spelled(value, unit, text):
    assert spell(value, unit) == text


@given(st.integers(-(10**7), 10**7), st.sampled_from(UNITS))
def test_what_is_spelled_reads_back(thousandths, unit):
    value = thousandths / 1000
    text = spell(value, unit)
    assert abs(read(text, unit) - value) <= max(0.01, abs(value) * 0.001)
    assert re.fullmatch(pattern(unit, signed=True), text)


def refusal(text: str, unit: str) -> str | None:
    try:
        read(text, unit)
    except ValueError as fault:
        return str(fault)
    return None


@given(st.text(), st.sampled_from(UNITS))
def test_any_text_is_read_or_refused_with_a_sentence(text, unit):
    said = refusal(text, unit)
    assert said is None or "`" in said


@given(st.sampled_from(UNITS), st.data())
def test_what_the_editor_accepts_is_understood(unit, data):
    text = data.draw(st.from_regex(re.compile(pattern(unit), re.ASCII), fullmatch=True))
    fault = refusal(text, unit)
    assert fault is None or "two meanings" in fault or "is not a" in fault  # 1.500 W; endless digits


@dataclass(frozen=True, slots=True)
class Options:
    every: Annotated[float, Unit("s", least=0.2, most=60)] = 5.0


def test_the_marker_on_an_option():
    adapter = TypeAdapter(Options)
    assert Options(every=2) == Options(2.0)
    assert adapter.validate_python({"every": "2 s"}, context={"file": True}) == Options(2.0)
    values: list[object] = [2, "100 ms", "2 min", True, None, [], {}]
    for value in values:
        with pytest.raises(ValidationError) as caught:
            adapter.validate_python({"every": value}, context={"file": True})
        assert caught.value.errors()[0]["loc"] == ("every",)
    assert adapter.json_schema(mode="serialization")["properties"]["every"]["default"] == "5 s"


def test_a_place_on_earth_is_written_in_plain_degrees():
    latitude = Unit("°", least=-90, most=90)
    assert latitude.read(52.1) == latitude.read("52.1") == latitude.read("52.1°") == 52.1
    with pytest.raises(ValueError, match=re.escape("95° is too much; at most 90°")):
        latitude.read(95)
    assert {"type": "number"} in schema("°", signed=True)["anyOf"]
