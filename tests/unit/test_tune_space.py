"""What may be changed, and how it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadctl.lab.tune.space import AS_WRITTEN, Space
from tests.tune_homes import TOO_SHY, space

PLAIN = """\
rules:
  site: {timezone: UTC}
  loads:
    pump: {power: 1 kW, need: 1 h by 12:00}
    heater: {power: 2 kW, start: 1.5 kW for 2 min, stop: import 800 W for 3 min, need: 1 kWh by 12:00}
    fan: {power: 500 W}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return space(tmp_path_factory.mktemp("home"), PLAIN)


def _written(of: Space, **chosen: object) -> dict[str, str | int]:
    """Return what is written for options given by their value; `_` in a knob's name stands for `.`."""
    names = {name.replace(".", "_"): knob for name, knob in of.knobs.items()}
    settings = of.settings({names[name].name: names[name].options.index(value) for name, value in chosen.items()})
    return {".".join(map(str, edit.path)): edit.value for edit in of.edits(settings)}


def test_as_written_changes_nothing(found: Space):
    assert found.edits(AS_WRITTEN) == ()
    assert found.settings({knob.name: knob.base for knob in found.knobs.values()}) == AS_WRITTEN


def test_a_threshold_keeps_the_owners_form_and_takes_the_stop_along(found: Space):
    assert _written(found, heater_start=0.5) == {
        "loads.heater.start": "1 kW for 2 min",
        "loads.heater.stop": "import 1.3 kW for 3 min",
    }
    assert _written(found, pump_start=0.5) == {"loads.pump.start": "50 %"}
    assert _written(found, pump_start=0.5, pump_start_for=300.0) == {"loads.pump.start": "50 % for 5 min"}


def test_a_hold_time_goes_alone_where_there_is_a_threshold(found: Space):
    assert _written(found, heater_start_for=30.0) == {"loads.heater.start": "1.5 kW for 30 s"}
    assert _written(found, heater_stop_for=600.0) == {"loads.heater.stop": "import 800 W for 10 min"}
    assert _written(found, pump_start_for=30.0) == {}


def test_a_stop_says_what_it_may_cost_more_than_the_start(found: Space):
    assert _written(found, heater_stop=0.35) == {"loads.heater.stop": "import 1.2 kW for 3 min"}


def test_an_order_takes_as_few_priorities_as_can_be(found: Space):
    assert _written(found, order=("heater", "pump", "fan")) == {"loads.heater.priority": 1}
    assert _written(found, order=("pump", "fan", "heater")) == {"loads.pump.priority": 1, "loads.fan.priority": 2}
    loads = found.subject.changed(found.edits(found.settings({"order": 1}))).data["rules"]["loads"]
    assert list(loads) == ["pump", "heater", "fan"]


def test_priorities_that_are_there_are_changed(tmp_path: Path):
    text = PLAIN.replace("power: 1 kW", "power: 1 kW, priority: 2").replace("power: 2 kW", "power: 2 kW, priority: 1")
    found = space(tmp_path, text)
    assert found.knobs["order"].options[0] == ("heater", "pump", "fan")
    assert _written(found, order=("pump", "heater", "fan")) == {
        "loads.pump.priority": 1,
        "loads.heater.priority": 2,
    }


def test_a_load_whose_worth_nobody_sees_is_left_alone(found: Space):
    assert not [name for name in found.knobs if name.startswith("fan")]
    assert found.unseen == {"fan"}
    assert "fan is left alone" in found.left_alone[0]


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ("need: 1 h by 12:00", "need: 1 h by 12:00, worth: 0.12/kWh", ("pump.start", "pump.stop")),
        ("need: 1 h by 12:00", "need: 1 h by 12:00, priority: {1: apr-sep, 3: oct-mar}", ("order",)),
        ("need: 1 h by 12:00", "need: 1 h by 12:00, min_on: 1 h", ("pump.min_on",)),
    ],
)
def test_what_the_owner_has_settled_is_left_alone(tmp_path: Path, old: str, new: str, gone: tuple[str, ...]):
    assert not set(gone) & set(space(tmp_path, PLAIN.replace(old, new)).knobs)


def test_what_changes_with_the_season_is_left_alone(tmp_path: Path):
    when = "when: {spring: {rules: {loads: {pump: {min_on: 20 min}}}}}\n"
    found = space(tmp_path, PLAIN + when)
    assert "pump.min_on" not in found.knobs
    assert "pump.min_off" in found.knobs


def test_a_compressor_keeps_its_rest(tmp_path: Path):
    found = space(tmp_path, PLAIN.replace("power: 1 kW", "power: 1 kW, compressor: true"))
    assert found.knobs["pump.min_off"].options[0] == 600.0
    assert all(option >= 600.0 for option in found.knobs["pump.min_off"].options)


def test_cars_have_a_pace_and_may_share(tmp_path: Path):
    text = """\
rules:
  site: {timezone: UTC}
  loads:
    car: {current: 6..16 A, phases: auto, need: 5 kWh by 12:00}
    van: {current: 6..16 A, need: 5 kWh by 12:00}
"""
    found = space(tmp_path, text)
    assert {"car.rise_every", "car.phase_up", "car.phase_pause", "van.rise_every"} <= set(found.knobs)
    assert _written(found, share=("car", "van")) == {"loads.car.share": "equal", "loads.van.share": "equal"}
    assert "van.phase_up" not in found.knobs


def test_the_same_home_has_the_same_print_anywhere(tmp_path: Path):
    one, other = space(tmp_path), space(tmp_path, TOO_SHY.replace("# never pay", "# no comment counts"))
    assert one.subject.print_of([]) == other.subject.print_of([])
    assert one.subject.print_of([]) != space(tmp_path, TOO_SHY.replace("2 min", "3 min")).subject.print_of([])
