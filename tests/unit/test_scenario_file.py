"""Scenario files: what an owner would write, what is true, what is different in winter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadctl.errors import ConfigError, LoadctlError
from loadctl.lab.appliances import Boiler, DailyCar, HeatPump, Plain
from loadctl.lab.days import clock_of, days
from loadctl.lab.homes import HOMES
from loadctl.lab.scenario_file import read_scenario
from tests.lab_days import trace

HOUR = 3600.0


def _day(text: str):
    return trace([(HOUR, 0.0, 300.0)] * 24, begin=datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("date", "drawn", "pump_h", "heat_pump_kwh"),
    [("2025-01-15", 1.15, 4, 8), ("2025-04-15", 1.0, 5, 5), ("2025-10-15", 1.0, 5, 5), ("2025-07-15", 0.9, 6, 2.5)],
)
def test_the_homes_know_the_seasons(date, drawn, pump_h, heat_pump_kwh):
    home = read_scenario(HOMES["c"]).on(_day(date))
    boiler = home.machines()["boiler"]
    assert isinstance(boiler, Boiler)
    assert sum(draw.energy_wh for draw in boiler.draws) == pytest.approx(5200 * drawn)
    assert sorted(HOMES) == ["a", "b", "c"]
    needs = {load.name: load.needs[0] for load in home.loads if load.needs}
    assert needs["pool_pump"].runtime_s == pump_h * HOUR
    assert needs["heat_pump"].energy_wh == heat_pump_kwh * 1000


@pytest.mark.parametrize(("date", "by", "wants_wh"), [("2025-04-15", "00:00", 10_000), ("2025-04-19", "17:30", 8000)])
def test_the_car_of_home_c_is_lent_out_at_the_weekend(date, by, wants_wh):
    home = read_scenario(HOMES["c"]).on(_day(date))
    need = next(load.needs[0] for load in home.loads if load.name == "car")
    assert (f"{need.by.time:%H:%M}", need.energy_wh) == (by, wants_wh)
    car = home.machines()["car"]
    assert isinstance(car, DailyCar)
    assert car.wants_wh == wants_wh


def test_a_rule_file_alone_gets_a_house_that_fits_it(tmp_path: Path):
    rules = tmp_path / "home.yaml"
    rules.write_text(
        """
version: 1
meter: {driver: envoy, host: envoy.local, token: "${TOKEN}"}
loads:
  heater: {actuator: {driver: shelly, host: 10.0.0.2}, power: 2 kW}
  pump: {actuator: {driver: shelly, host: 10.0.0.3}, power: 1 kW, compressor: true}
  car: {actuator: {driver: go-e, host: 10.0.0.4, failsafe: none}, current: 6..16 A, need: 7 kWh by 07:00}
"""
    )
    machines = read_scenario(rules).on(_day("2025-04-15")).machines()
    assert [type(machine) for machine in machines.values()] == [Plain, HeatPump, DailyCar]
    assert list(machines) == ["heater", "pump", "car"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("house:\n  boiler: {is: tnk}\n", "2:3: house.boiler: say what it is: `is: plain`"),
        ("house:\n  bioler: {is: tank}\n", "2:3: house.bioler: there is no appliance `bioler` in the rules; did you"),
        ("house:\n  boiler: {is: tank, holds: 7kW}\n", "2:22: house.boiler.holds: "),
        ("house:\n  boiler: {is: tank, draws: {noon: 1 kWh}}\n", "a time of day is written `06:45`"),
        ("house:\n  boiler: {is: tank, holds: 7 kWh, size: 2}\n", "`size` is not a key here"),
        ("hose:\n  boiler: {is: tank}\n", "1:1: hose: `hose` is not a key here; did you mean `house`?"),
    ],
)
def test_what_is_wrong_has_its_place(tmp_path: Path, text: str, fault: str):
    file = tmp_path / "home.yaml"
    file.write_text(text + "rules: {loads: {boiler: {power: 2 kW}}}\n")
    with pytest.raises(ConfigError) as raised:
        read_scenario(file).on(_day("2025-04-15"))
    assert f"{file}:" in str(raised.value)
    assert fault in str(raised.value)


def test_what_is_wrong_in_its_rules_has_its_place_too(tmp_path: Path):
    file = tmp_path / "home.yaml"
    file.write_text("rules:\n  loads:\n    boiler:\n      power: 2kV\n")
    with pytest.raises(ConfigError, match=r"home\.yaml:4:7: rules\.loads\.boiler\.power: "):
        read_scenario(file).on(_day("2025-04-15"))


def test_a_scenario_may_name_the_rule_file_beside_it(tmp_path: Path):
    (tmp_path / "home.yaml").write_text(
        "version: 1\nmeter: {driver: envoy, host: envoy.local, token: t}\n"
        "site: {timezone: Europe/Rome}\n"
        "loads: {boiler: {actuator: {driver: shelly, host: 10.0.0.2}, power: 2 kW}}\n"
    )
    (tmp_path / "winter.yaml").write_text("rules: home.yaml\nhouse: {boiler: {is: tank, power: 1.9 kW}}\n")
    scenario = read_scenario(tmp_path / "winter.yaml")
    assert str(scenario.zone) == "Europe/Rome"
    boiler = scenario.on(_day("2025-04-15")).machines()["boiler"]
    assert isinstance(boiler, Boiler)
    assert boiler.power_w == 1900


def _csv(path: Path, offset: str, hours: int, begin: str = "2025-01-15") -> Path:
    start = datetime.fromisoformat(f"{begin}T00:00:00{offset}")
    rows = [
        f"{datetime.fromtimestamp(start.timestamp() + 900 * n, start.tzinfo).isoformat()},{n},300"
        for n in range(4 * hours)
    ]
    path.write_text("\n".join(["time,pv_w,load_w", *rows]) + "\n")
    return path


def test_a_trace_is_cut_at_the_midnight_of_its_own_clock(tmp_path: Path):
    found = days(_csv(tmp_path / "two.csv", "-07:00", 50))
    assert [one.name for one in found] == ["two 2025-01-15", "two 2025-01-16"]  # two hours of the third are no day
    begins = [datetime.fromtimestamp(one.moments[0].time, one.zone) for one in found]
    assert [f"{begin:%F %H:%M %z}" for begin in begins] == ["2025-01-15 00:00 -0700", "2025-01-16 00:00 -0700"]
    assert sum(moment.for_s for moment in found[0].moments) == 24 * HOUR


@pytest.mark.parametrize("offset", ["+00:00", "+05:30", "+05:45", "-07:00", "-03:30"])
def test_the_clock_of_a_trace_is_told_by_its_offset(tmp_path: Path, offset: str):
    """Also by half hours; where there is no zone without summer time, one that has it."""
    zone = clock_of(_csv(tmp_path / "day.csv", offset, 24))
    begin = datetime.fromisoformat(f"2025-01-15T00:00:00{offset}")
    assert begin.astimezone(zone).utcoffset() == begin.utcoffset()


def test_an_offset_that_no_place_has_is_told(tmp_path: Path):
    with pytest.raises(LoadctlError, match=r"odd\.csv: no place has the clock of 2025-01-15T00:00:00\+03:07: write"):
        clock_of(_csv(tmp_path / "odd.csv", "+03:07", 24))


def test_a_trace_without_offsets_has_the_clock_of_this_computer(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Rome")
    assert str(clock_of(_csv(tmp_path / "day.csv", "", 24))) == "Europe/Rome"


def test_rules_without_a_time_zone_are_followed_by_the_clock_of_the_trace(tmp_path: Path, monkeypatch):
    """Also those of a rule file, whose clock would be this computer's; with what is secret in it."""
    monkeypatch.setenv("TZ", "Europe/Rome")
    (tmp_path / "secrets.yaml").write_text("pin: a-b\n")
    (tmp_path / "home.yaml").write_text(
        "version: 1\nmeter: {driver: envoy, host: envoy.local, token: !secret pin}\n"
        "loads: {boiler: {actuator: {driver: shelly, host: 10.0.0.2, password: '${PW}'}, power: 2 kW,"
        " between: 06:00-07:00}}\n"
    )
    scenario = read_scenario(tmp_path / "home.yaml")
    assert scenario.zone is None
    (day,) = days(_csv(tmp_path / "west.csv", "-07:00", 24), scenario.zone)
    assert str(scenario.on(day).controller.house.zone) == "Etc/GMT+7"


def test_a_single_day_keeps_its_name(tmp_path: Path):
    assert [one.name for one in days(_csv(tmp_path / "sunny.csv", "+00:00", 24))] == ["sunny"]
    assert [one.name for one in days(_csv(tmp_path / "short.csv", "+00:00", 2))] == ["short"]
