"""The published JSON Schema, the example homes, and the two commands about rule files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from loadctl.cli import main
from loadctl.config import load
from loadctl.config.findings import Findings
from loadctl.config.schema import schema
from loadctl.config.text import read

jsonschema = pytest.importorskip("jsonschema")

RULES = Path(__file__).parents[2] / "rules"
HOMES = sorted(file for file in RULES.glob("*.yaml") if not file.name.endswith(".test.yaml"))
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
PUBLISHED = RULES / "loadctl.schema.json"
HOME = yaml.safe_load("""
version: 1
meter: {driver: envoy, host: envoy.local}
loads:
  boiler: {actuator: {driver: shelly, host: 192.168.1.40}, power: 2 kW}
""")


def accepts(document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(document))


def with_keys(**keys: Any) -> Any:
    return {**HOME, "loads": {"boiler": {**HOME["loads"]["boiler"], **keys}}}


def test_the_published_schema_is_the_true_one():
    assert json.loads(PUBLISHED.read_text("utf-8")) == schema(), "run: loadctl schema > rules/loadctl.schema.json"


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("file", HOMES, ids=lambda file: file.stem)
def test_each_example_home_is_fine_for_the_loader_and_for_editors(file):
    assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=./loadctl.schema.json\n")
    assert load(file, {}, lenient=True).site.loads
    document = read(file.read_text("utf-8"), Findings(str(file)), None)
    assert [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(document)] == []


@pytest.mark.parametrize(
    "keys",
    [
        {"start": "1.5 kW for 1 min"},
        {"start": {"surplus": "1.5 kW", "for": "1 min"}, "stop": {"import": "1 kW"}},
        {"stop": "export 200 W for 2 min"},
        {"need": ["6 kWh by 18:00", {"runtime": "4 h", "by": "19:00", "days": ["sat"]}]},
        {"between": "22:00-24:00", "min_on": "1 h 30 min", "min_off": 0, "safe": "on"},
        {
            "between": [
                "sunrise + 1 h to sunset",
                {"from": "09:00", "to": "sunset - 30 min", "season": "15 oct - 31 mar"},
            ]
        },
        {"need": ["4 h by sunset on sat, sun", "full by 07:00", "55 °C by 18:00", "80 % by 07:00 on mon-fri"]},
        {"need": {"temperature": "60 °C", "of": "tank", "litres": 300, "by": "15:00", "every": "7 d"}},
        {"need": ["5 h by 20:00 in may-sep", "1 h by sunset on sat in 15 oct - 31 mar", "8 °C always", "30 % always"]},
        {
            "need": {"temperature": "8 °C", "of": "room", "always": True, "band": "2 °C"},
            "between": "09:00-19:00 in may",
        },
        {"priority": 2},
        {"priority": {"1": "apr-sep", "3": ["oct-nov", "dec - mar"]}},
        {"start": "70 % for 1 min", "worth": "0.12/kWh", "daily_max": ["4 h", "6 kWh"], "mode": "solar+min"},
        {"start": {"share": "70 %"}, "grid_limit": "500 W", "power": "0.3..3 kW", "share": "equal"},
        {"current": "6..16 A", "phases": "auto", "phase_up": "5 min"},
        {"battery": {"claim_above": "80 %", "never_discharge": True}, "when": "tank < 60 °C"},
        {"when": {"if": "soc > 50 %", "hysteresis": "5 %", "unknown": "keep"}},
    ],
)
def test_editors_accept_what_is_right(keys):
    assert accepts(with_keys(**keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"power": 2000},
        {"power": "1,5 kW"},
        {"powre": "2 kW"},
        {"start": "1.5 kW for 18:00"},
        {"stop": "800 W"},
        {"need": "6 kWh"},
        {"between": "9-18"},
        {"safe": False},
        {"min_on": "-5 min"},
        {"max_starts": 0},
        {"actuator": {"driver": "shelly"}},
        {"actuator": {"driver": "shelly", "hots": "a"}},
        {"actuator": {"driver": "none"}},
        {"need": "6 kWh by dusk"},
        {"need": "6 kWh always"},
        {"need": "6 kWh by 18:00 in summer"},
        {"need": {"temperature": "8 °C", "always": False}},
        {"priority": {"first": "apr-sep"}},
        {"priority": {"1": "summer"}},
        {"between": {"from": "09:00", "to": "19:00", "season": "summer"}},
        {"worth": "0.12"},
        {"current": "6..16"},
        {"phases": 2},
        {"battery": {"claim": "80 %"}},
        {"when": {"if": "soc > 50 %", "unknown": "maybe"}},
        {"daily_max": "4"},
    ],
)
def test_editors_refuse_what_is_wrong(keys):
    assert not accepts(with_keys(**keys))


def test_every_key_has_hover_help():
    def without_help(found: Any, path: str) -> Iterator[str]:
        for name, option in found.get("properties", {}).items():
            if "description" not in option:
                yield f"{path}.{name}"
            yield from without_help(option, f"{path}.{name}")

    made = schema()
    assert [*without_help(made, "")] == []
    assert [line for name, found in made["$defs"].items() for line in without_help(found, name)] == []


def run(*arguments: object, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner(env=env).invoke(main, [*map(str, arguments)])


def test_check_says_fine_in_one_line_a_file():
    result = run("check", *HOMES, env={"ENVOY_TOKEN": "abc"})
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert f"{RULES / 'boiler-shelly.yaml'}: fine, 1 load" in lines
    assert all(": fine, " in line for line in lines)


def test_check_notes_what_is_not_set_here_and_insists_when_asked():
    file = RULES / "boiler-shelly.yaml"
    env: dict[str, str | None] = {name: None for name in os.environ if name == "ENVOY_TOKEN"}
    result = run("check", file, env=env)
    assert result.exit_code == 0
    assert "ENVOY_TOKEN is not set (a note, no fault)" in result.output
    result = run("check", "--secrets", file, env=env)
    assert result.exit_code == 1
    assert "meter.token: the environment variable ENVOY_TOKEN is not set" in result.output


def test_check_goes_on_after_a_bad_file(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nmeter: {driver: envoi}\n", "utf-8")
    result = run("check", bad, tmp_path / "none.yaml", RULES / "pool-and-heater-gpio.yaml")
    assert result.exit_code == 1
    assert f"{bad}:2:9: meter.driver: there is no such meter driver; did you mean `envoy`?" in result.output
    assert f"{tmp_path / 'none.yaml'}:1:1: there is no such file" in result.output
    assert "pool-and-heater-gpio.yaml: fine, 2 loads" in result.output
    assert "3 faults" in result.output


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_check_tells_faults_with_the_real_drivers_too(file):
    result = run("check", "--secrets", file)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert all(line.startswith(f"{file}:") for line in result.output.splitlines()[:-1])


def test_schema_prints_json():
    assert json.loads(run("schema").output) == schema()


def test_a_reading_that_is_too_old_before_the_next_one_comes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "home.yaml"
    file.write_text(
        "version: 1\nsite: {timezone: UTC}\nmeter: {driver: envoy, every: 20 s, max_age: 5 s}\n"
        "loads:\n  boiler: {actuator: {driver: shelly, host: 192.168.1.40}, power: 2 kW}\n"
    )
    answer = CliRunner().invoke(main, ["check", str(file)])
    assert answer.exit_code == 1
    assert f"{file}:3:" in answer.output
    assert "write at least `max_age: 40 s`" in answer.output


def test_switching_on_two_readings_is_allowed_and_noted(tmp_path: Path) -> None:
    file = tmp_path / "home.yaml"
    file.write_text(
        "version: 1\nsite: {timezone: UTC}\nmeter: {driver: envoy, every: 5 s}\nloads:\n  boiler:\n"
        "    actuator: {driver: shelly, host: 192.168.1.40}\n    power: 2 kW\n    start: 2 kW for 1 s\n"
    )
    answer = CliRunner().invoke(main, ["check", str(file)])
    assert answer.exit_code == 0
    assert "two readings in a row would switch it" in answer.output
