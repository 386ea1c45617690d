"""What must hold for every heater: watts and per cent of a Shelly dimmer, and whatever a my-PV heater tells."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.actuators.mypv.answers import LONG, SHORT, Heater, State, from_pages, from_registers
from loadctl.actuators.shelly.scale import Scale
from loadctl.errors import Garbled


@st.composite
def scales(draw: st.DrawFn) -> Scale:
    inner = sorted(draw(st.sets(st.integers(1, 99), max_size=5)))
    watts = sorted(draw(st.lists(st.floats(0, 3000), min_size=len(inner), max_size=len(inner))))
    points = zip(map(float, inner), watts, strict=True)
    return Scale(((0.0, 0.0), *points, (100.0, draw(st.floats(3001, 9000)))))


@given(scales(), st.floats(0.1, 12_000))
def test_a_dimmer_draws_no_more_than_asked_and_no_step_less(scale: Scale, watts: float) -> None:
    percent = scale.percent(watts)
    assert 1 <= percent <= 100
    drawn_w = scale.watts(percent)
    assert 0 < drawn_w <= max(watts, scale.least_w) + 1e-3
    assert drawn_w >= min(watts, scale.watts(100)) - scale.step_w - 1e-3


@given(scales(), st.floats(0.1, 9000), st.floats(0.1, 9000))
def test_more_watts_are_never_fewer_per_cent(scale: Scale, one: float, other: float) -> None:
    assert scale.percent(min(one, other)) <= scale.percent(max(one, other))


@given(st.sampled_from([SHORT, LONG]).flatmap(lambda n: st.lists(st.integers(0, 65535), min_size=n, max_size=n)))
def test_any_registers_are_a_heater(registers: list[int]) -> None:
    seen = from_registers(registers)
    assert seen.watts == registers[0]
    assert all(celsius is None or -40 < celsius < 150 for celsius in seen.celsius)
    assert (seen.trouble != "") == (seen.state in {State.FAULT, State.DISABLED, State.BLOCKED})


KEYS = ["power", "power_elwa2", "power_act", "status", "screen_mode_flag", "error_state", "temp1", "load_nom", "tout"]
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers()))
PAGES = st.dictionaries(st.sampled_from(KEYS), ANYTHING)


@given(PAGES, PAGES)
def test_any_pages_are_a_heater_or_garbled(data: dict[str, object], setup: dict[str, object]) -> None:
    with suppress(Garbled):
        assert isinstance(from_pages(data, setup, "", "x"), Heater)


@pytest.mark.parametrize(
    ("data", "state", "watts"),
    [
        ({"device": "AC ELWA-E", "power": 0, "boostpower": 0, "status": 5}, State.FULL, 0),
        ({"device": "AC ELWA-E", "power": 0, "boostpower": 2900, "status": 4}, State.BOOST, 2900),
        (
            {"device": "ACTHOR", "power_act": 0, "power_ac9": None, "load_nom": 3256, "screen_mode_flag": 3},
            State.FULL,
            0,
        ),
        ({"device": "ACTHOR", "power_act": 900, "screen_mode_flag": 1, "error_state": 202}, State.FAULT, 900),
        ({"device": "AC ELWA 2", "power_elwa2": 2986, "screen_mode_flag": 1, "temp1": 595}, State.HEATING, 2986),
        ({"device": "AC ELWA 2", "power_elwa2": 0, "status": 21}, State.DISABLED, 0),
        ({"device": "AC•THOR", "power_act": 700}, State.HEATING, 700),
        ({"device": "AC•THOR", "power_act": "null", "power": "12", "screen_mode_flag": "0"}, State.STANDBY, 12),
    ],
)
def test_what_the_models_tell(data: dict[str, object], state: State, watts: float) -> None:
    seen = from_pages(data, {}, "", "x")
    assert (seen.state, seen.watts) == (state, watts)
