"""The controller for programs that have a house of their own."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as TimeOfDay  # noqa: N812
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loadctl.controller
from loadctl.config import text as yaml_text
from loadctl.config.findings import Findings
from loadctl.controller import Controller, Decision, LoadState, Sample
from loadctl.core.values import Away, Command, Verdict, Wish
from loadctl.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 6, 21, 12, tzinfo=BERLIN)
RULES = Path(__file__).parents[2] / "rules"
EXAMPLES = sorted(file for file in RULES.glob("*.yaml") if not file.name.endswith(".test.yaml"))
BOILER = {"site": {"timezone": "Europe/Berlin"}, "loads": {"boiler": {"power": "2 kW"}}}


class House:
    """A house around a controller: it steps each second and does what it is told."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.controller = Controller.from_dict(rules)
        self.on: dict[str, float] = {}
        self.at = 0.0
        self.commands: list[tuple[float, str, float]] = []

    def step(self, grid_w: float | None, seconds: int = 1, **states: LoadState) -> Decision:
        """Live on; `grid_w` is what the meter would show without the loads."""
        for _ in range(seconds):
            shown_w = None if grid_w is None else grid_w + sum(self.on.values())
            known = {name: LoadState(on=name in self.on, power_w=self.on.get(name, 0.0)) for name in self.loads}
            sample = Sample(self.at, NOON + timedelta(seconds=self.at), shown_w)
            decision = self.controller.step(sample, {**known, **states})
            for command in decision.commands:
                self.commands.append((self.at, command.load, command.watts))
                self.on.pop(command.load, None)
                if command.watts > 0:
                    self.on[command.load] = command.watts
            self.at += 1
        return decision

    @property
    def loads(self) -> list[str]:
        return [load.name for load in self.controller.house.site.loads]


def test_the_example_in_its_docstring_is_true():
    found = doctest.testmod(loadctl.controller)
    assert found.attempted > 5
    assert found.failed == 0


def test_commands_come_only_when_something_changes():
    house = House(BOILER)
    house.step(-2300.0, 300)
    house.step(2000.0, 300)
    assert [(load, watts) for _, load, watts in house.commands] == [("boiler", 2000.0), ("boiler", 0.0)]
    assert house.commands[0][0] == 60.0


def test_a_verdict_tells_its_word_its_sentence_and_when_it_could_change():
    house = House(BOILER)
    said = house.step(-2300.0, 21).verdicts["boiler"]
    assert said.word is Verdict.WAIT_ON
    assert said.sentence.startswith("waits: 2 300 W free")
    assert said.next_change_at == pytest.approx(60.0)


def test_the_surplus_counts_what_our_own_loads_draw():
    house = House(BOILER)
    assert house.step(-2300.0, 200).surplus_w == pytest.approx(2300.0)
    assert house.on == {"boiler": 2000.0}


def test_without_states_a_load_is_taken_to_do_what_it_is_told():
    controller = Controller.from_dict(BOILER)
    shown_w = -2300.0
    words: list[Verdict] = []
    commands: list[Command] = []
    for second in range(200):
        decision = controller.step(Sample(second, NOON + timedelta(seconds=second), shown_w))
        commands += decision.commands
        shown_w = -300.0 if commands else -2300.0
        words.append(decision.verdicts["boiler"].word)
    assert [command.watts for command in commands] == [2000.0]
    assert words[-1] is Verdict.RUN


def test_an_appliance_that_does_not_follow_is_a_fault():
    house = House(BOILER)
    words = {house.step(-2300.0, boiler=LoadState(on=False)).verdicts["boiler"].word for _ in range(200)}
    assert Verdict.FAULT in words


def test_a_hand_is_respected_and_what_switches_itself_is_not_a_hand():
    house = House(BOILER)
    house.step(500.0, 10)
    assert house.step(500.0, boiler=LoadState(on=True, by_hand=True)).verdicts["boiler"].word is Verdict.HAND
    other = House(BOILER)
    other.step(500.0, 10)
    assert other.step(500.0, boiler=LoadState(on=True)).verdicts["boiler"].word is not Verdict.HAND


def test_a_car_that_is_not_there_is_not_started():
    house = House({"site": {"timezone": "Europe/Berlin"}, "loads": {"car": {"current": "6..16 A"}}})
    gone = LoadState(on=False, available=False)
    assert house.step(-5000.0, 120, car=gone).verdicts["car"].word is Verdict.AWAY
    house.step(-5000.0, 120)
    assert [load for _, load, _ in house.commands[:1]] == ["car"]


def test_what_a_need_still_lacks_can_be_told():
    rules = {"site": {"timezone": "Europe/Berlin"}, "loads": {"boiler": {"power": "2 kW", "need": "4 kWh by 14:00"}}}
    house = House(rules)
    assert house.step(0.0, 60).verdicts["boiler"].word is not Verdict.REST
    done = House(rules)
    hot = LoadState(on=False, need_left_kwh=0.0)
    assert done.step(0.0, 60, boiler=hot).verdicts["boiler"].word is Verdict.REST
    assert done.commands == []


def test_a_silent_meter_starts_nothing_and_stops_what_runs():
    house = House(BOILER)
    house.step(-2300.0, 120)
    assert "boiler" in house.on
    assert house.step(None, 60).surplus_w is None
    assert house.on == {}


def test_a_grid_that_is_gone_stops_what_runs():
    house = House(BOILER)
    house.step(-2300.0, 120)
    sample = Sample(house.at, NOON + timedelta(seconds=house.at), -300.0, grid_up=False)
    decision = house.controller.step(sample, {"boiler": LoadState(on=True)})
    assert decision.verdicts["boiler"].word is Verdict.OUTAGE
    assert decision.watts == {"boiler": 0.0}


def test_the_grid_follows_from_the_other_values():
    controller = Controller.from_dict(BOILER)
    sample = Sample(0.0, NOON, pv_w=4000.0, load_w=500.0, battery_w=-1000.0)
    assert controller.step(sample).surplus_w == pytest.approx(2500.0)


def test_inputs_are_asked_for_by_name():
    rules = {
        "site": {"timezone": "Europe/Berlin"},
        "inputs": {"tank": {"driver": "http-json", "url": "http://tank", "unit": "°C"}},
        "loads": {"boiler": {"power": "2 kW", "when": "tank < 60 °C"}},
    }
    controller = Controller.from_dict(rules)
    unknown = controller.step(Sample(0.0, NOON, -3000.0))
    hot = controller.step(Sample(1.0, NOON, -3000.0, inputs={"tank": 65.0}))
    cold = controller.step(Sample(2.0, NOON, -3000.0, inputs={"tank": 40.0}))
    words = [decision.verdicts["boiler"].word for decision in (unknown, hot, cold)]
    assert words == [Verdict.UNMET, Verdict.UNMET, Verdict.WAIT_ON]


def test_people_can_ask_for_something():
    house = House(BOILER)
    house.controller.ask(Wish("boiler", on=True, until=30.0), Away())
    house.step(1000.0, 10)
    assert house.on == {"boiler": 2000.0}
    house.controller.ask()
    assert house.step(1000.0).verdicts["boiler"].word is not Verdict.HAND


def test_time_runs_forward_only():
    controller = Controller.from_dict(BOILER)
    controller.step(Sample(10.0, NOON, 0.0))
    controller.step(Sample(10.0, NOON, 0.0))
    with pytest.raises(ValueError, match=r"time runs forward only: 9\.0 comes before 10\.0"):
        controller.step(Sample(9.0, NOON, 0.0))


@pytest.mark.parametrize(
    "wall", [NOON, NOON.replace(tzinfo=None), NOON.astimezone(UTC), NOON.astimezone(ZoneInfo("Asia/Tokyo"))], ids=str
)
def test_every_way_to_say_the_time_is_the_site_s_time(wall):
    rules = {"site": {"timezone": "Europe/Berlin"}, "loads": {"pump": {"power": "1 kW", "between": "11:55-12:05"}}}
    controller = Controller.from_dict(rules)
    assert controller.step(Sample(0.0, wall, -3000.0)).verdicts["pump"].word is Verdict.WAIT_ON
    later = wall + timedelta(minutes=6)
    assert controller.step(Sample(360.0, later, -3000.0)).verdicts["pump"].word is Verdict.WINDOW


def test_slow_readings_earn_their_hold_time():
    controller = Controller.from_dict(BOILER)
    watts = [controller.step(Sample(at, NOON + timedelta(seconds=at), -2300.0)).watts for at in (0, 30, 60, 90)]
    assert watts == [{}, {}, {"boiler": 2000.0}, {}]


@pytest.mark.parametrize("every_s", [300, 301, 900, 3600])
def test_however_far_readings_lie_apart_a_load_starts_and_stops(every_s):
    controller, boiler = Controller.from_dict(BOILER), LoadState(on=False, power_w=0.0)
    found = []
    for at in range(0, 12 * every_s, every_s):
        grid_w = (-2300.0 if at < 6 * every_s else 2000.0) + (boiler.power_w or 0.0)
        watts = controller.step(Sample(at, NOON + timedelta(seconds=at), grid_w), {"boiler": boiler}).watts
        if watts:
            found.append((at // every_s, watts["boiler"]))
            boiler = LoadState(on=watts["boiler"] > 0, power_w=watts["boiler"])
    (start, on_w), (stop, off_w) = found
    assert (on_w, off_w) == (2000.0, 0.0)
    assert start <= 2, "the second reading, or the third where one could still be a hole"
    assert 6 < stop <= 8


def test_a_hole_is_no_course_of_readings():
    controller = Controller.from_dict(BOILER)
    for at in (0.0, 10.0, 20.0, 1820.0):
        assert not controller.step(Sample(at, NOON + timedelta(seconds=at), -2300.0)).watts
    assert controller.step(Sample(1870.0, NOON + timedelta(seconds=1870), -2300.0)).watts


@pytest.mark.parametrize("gap", [float("nan"), float("inf"), None], ids=str)
def test_what_is_no_number_is_not_known(gap):
    """A table of readings has NaN where it has gaps; taken for a number it would keep a load on for ever."""
    controller = Controller.from_dict({**BOILER, "inputs": {"room": {"driver": "http-json", "url": "http://room"}}})
    boiler, found = LoadState(on=False), []
    for at in range(0, 900, 10):
        watts = -2300.0 if at < 300 else gap
        known = {} if watts is None else {"room": watts}
        sample = Sample(at, NOON + timedelta(seconds=at), watts, watts, watts, watts, watts, inputs=known)
        decision = controller.step(sample, {"boiler": boiler})
        if decision.watts:
            found.append((at, decision.watts["boiler"]))
            boiler = LoadState(on=found[-1][1] > 0, power_w=gap, need_left_kwh=gap)
    assert [watts for _, watts in found] == [2000.0, 0.0]
    assert 300 < found[1][0] <= 350, "it holds what runs for half a minute"
    assert decision.words == (Verdict.BLIND,)
    assert decision.surplus_w is None


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ValueError, match="time runs forward only"):
        Controller.from_dict(BOILER).step(Sample(float("nan"), NOON, 0.0))


def test_an_appliance_that_is_not_in_the_rules_is_refused():
    controller = Controller.from_dict(BOILER)
    with pytest.raises(ValueError, match="no load is named bolier: did you mean boiler"):
        controller.step(Sample(0.0, NOON, 0.0), {"bolier": LoadState(on=True)})
    with pytest.raises(ValueError, match="no load is named pump"):
        controller.ask(Wish("pump", on=True))


def test_what_is_wrong_is_told_as_for_a_file():
    with pytest.raises(ConfigError, match=r"loads\.boiler\.power: `2000` has no unit"):
        Controller.from_dict({"loads": {"boiler": {"power": 2000}}})
    with pytest.raises(ConfigError, match=r"loads\.boiler: `power` is missing"):
        Controller.from_dict({"loads": {"boiler": {}}})
    with pytest.raises(ConfigError, match=r"loads\.boiler: `power` is missing"):
        Controller.from_dict({"loads": {"boiler": None}})
    with pytest.raises(ConfigError, match="there is no such file"):
        Controller.from_file("nowhere.yaml")


def test_plain_values_of_other_kinds_are_written_out():
    rules = {"loads": {"pump": {"power": "1 kW", "between": ({"from": TimeOfDay(9), "to": TimeOfDay(17, 30)},)}}}
    (window,) = Controller.from_dict(rules).house.site.loads[0].windows
    assert (window.start.time, window.end.time) == (TimeOfDay(9), TimeOfDay(17, 30))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_keys_of_a_file_make_the_same_controller_as_the_file(file):
    data = yaml_text.read(file.read_text("utf-8"), Findings("rules"), yaml_text.Secrets({}, RULES, lenient=True))
    same(Controller.from_dict(data), Controller.from_file(file))


POWER = st.integers(100, 9000).map(lambda watts: f"{watts} W")
TIME = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
KEYS = st.fixed_dictionaries(
    {"power": POWER},
    optional={
        "min_on": st.sampled_from(["5 min", "1 h", 0]),
        "max_starts": st.integers(1, 20),
        "compressor": st.booleans(),
        "between": st.lists(st.builds("{}-{}".format, TIME, TIME), min_size=1, max_size=2, unique=True),
        "safe": st.sampled_from(["on", "off"]),
    },
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(["boiler", "pump", "no", "on", "1"]), KEYS, min_size=1))
def test_a_dict_makes_the_same_controller_as_the_file_it_would_be(tmp_path_factory, loads):
    actuator = {"driver": "shelly", "host": "192.168.1.40"}
    placed = {
        name: {"actuator": {**actuator, "channel": index}, **keys} for index, (name, keys) in enumerate(loads.items())
    }
    data = {"version": 1, "meter": {"driver": "envoy"}, "site": {"timezone": "Europe/Berlin"}, "loads": placed}
    file = tmp_path_factory.mktemp("rules") / "home.yaml"
    file.write_text(json.dumps(data), "utf-8")  # JSON is YAML
    written, made = made_of(Controller.from_file, file), made_of(Controller.from_dict, data)
    if isinstance(written, Controller) and isinstance(made, Controller):
        same(made, written)
    else:
        assert made == written


def made_of(make: Callable[[Any], Controller], rules: Any) -> Controller | list[str]:
    """Return the controller, or what is wrong with its rules."""
    try:
        return make(rules)
    except ConfigError as error:
        return [f"{fault.path}: {fault.message}" for fault in error.faults]


def same(one: Controller, other: Controller) -> None:
    """The places in a file aside, and the functions that build its devices."""
    for what in ("site", "zone", "location", "tariff", "units", "was", "web"):
        assert getattr(one.house, what) == getattr(other.house, what)
    for device in ("meter", "actuators", "inputs"):
        assert plain(getattr(one.house, device)) == plain(getattr(other.house, device))


def plain(devices) -> list[Any]:
    found = devices.values() if hasattr(devices, "values") else [devices]
    return [(device.driver, device.options) for device in found]
