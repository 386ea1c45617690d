"""Rule files of a few lines, for tests."""

from __future__ import annotations

import pytest

from loadctl.config import House, parse
from loadctl.core.rules import Load
from loadctl.errors import ConfigError
from tests.unit.tiny_drivers import TINY

PLACE = "location: {latitude: 52.1, longitude: 5.1}"
RELAY = "actuator: {driver: shelly, host: 192.168.1.40}"
WALLBOX = "actuator: {driver: go-e, host: 192.168.1.41}"
DIMMER = "actuator: {driver: shelly-dimmer, host: 192.168.1.42}"
TELLING = "actuator: {driver: my-pv, host: 192.168.1.44}"
INPUTS = """\
inputs:
  tank: {driver: http-json, unit: °C}
  charge: {driver: http-json, unit: "%"}
  price_now: {driver: http-json, unit: ct/kWh}
"""


def house(loads: str, site: str = PLACE, inputs: str = INPUTS) -> House:
    """Read a home; `loads`: one `name: keys; keys` a line."""
    text = f"version: 1\nsite: {{timezone: Europe/Amsterdam, {site}}}\nmeter: {{driver: envoy, host: envoy.local}}\n"
    text += f"{inputs}loads:\n"
    for line in loads.strip().splitlines():
        name, _, keys = line.strip().partition(": ")
        text += f"  {name}:\n" + "".join(f"    {key.strip()}\n" for key in keys.split("; "))
    return parse(text, "home.yaml", {}, drivers=TINY)


def load(keys: str, actuator: str = RELAY, site: str = PLACE) -> Load:
    return house(f"it: {actuator}; {keys}", site).site.loads[0]


def refused(loads: str, site: str = PLACE, inputs: str = INPUTS) -> str:
    with pytest.raises(ConfigError) as caught:
        house(loads, site, inputs)
    return str(caught.value)


def notes(loads: str, site: str = PLACE, inputs: str = "") -> str:
    return "\n".join(str(note) for note in house(loads, site, inputs).notes)
