"""A rule file of a few lines and tests beside it, for tests of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadctl.errors import ConfigError
from loadctl.lab.rehearsal import Rehearsal
from loadctl.lab.rehearsal.reading import parse

RULES = """\
version: 1
site: {timezone: Europe/Amsterdam, location: {latitude: 52.1, longitude: 5.1}}
meter: {driver: envoy, host: envoy.local}
inputs:
  tank: {driver: http-json, url: "http://192.168.1.30/tank", unit: °C}
  car_soc: {driver: http-json, url: "http://192.168.1.30/car", unit: "%"}
  holiday: {driver: http-json, url: "http://192.168.1.30/holiday"}
loads:
  boiler: {actuator: {driver: shelly, host: 192.168.1.40}, power: 2 kW, start: 2 kW for 1 min, stop: import 200 W}
  car: {actuator: {driver: go-e, host: 192.168.1.41, failsafe: none}, current: 6..16 A}
"""


def written(folder: Path, tests: str, rules: str = RULES) -> Path:
    """Write both files; return the one with the tests."""
    (folder / "home.yaml").write_text(rules, "utf-8")
    file = folder / "home.test.yaml"
    file.write_text(tests, "utf-8")
    return file


def rehearsal(folder: Path, given: str, expect: str = "", **keys: str) -> Rehearsal:
    """Read one test; `given` and `expect` have one line each line."""
    text = "tests:\n  it:\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())
    for key, lines in (("given", given), ("expect", expect)):
        items = [line.strip() for line in lines.strip().splitlines()]
        text += f"    {key}:\n" + "".join(f"      - '{item}'\n" for item in items) if items else f"    {key}: []\n"
    file = written(folder, text)
    (found,) = parse(text, file)
    return found


def refused(folder: Path, given: str, expect: str = "", **keys: str) -> str:
    """Return what is wrong with a test, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        rehearsal(folder, given, expect, **keys)
    return "\n".join(str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults)
