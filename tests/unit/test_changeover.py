"""Which devices nobody looks after any more when the rules change."""

from __future__ import annotations

import pytest

from loadctl.config import House, parse
from loadctl.service.changeover import gone

SHELLY = "{power: 2 kW, actuator: {driver: shelly, host: 192.168.1.40}}"
PIN = "{power: 1 kW, actuator: {driver: gpio, pin: 17, failsafe: none}}"
OTHER_WAY = PIN.replace("pin: 17", "pin: 17, active_high: false")


def house(**loads: str) -> House:
    lines = "".join(f"  {name}: {keys}\n" for name, keys in loads.items())
    head = "version: 1\nsite: {timezone: UTC}\nmeter: {driver: envoy, host: 192.168.1.9}\nloads:\n"
    return parse(head + lines, "home.yaml", lenient=True)


@pytest.mark.parametrize(
    ("new", "names"),
    [
        ({"boiler": SHELLY, "pump": PIN}, []),
        ({"pump": PIN}, ["boiler"]),
        ({"boiler": SHELLY}, ["pump"]),
        ({"tank": SHELLY, "pump": PIN}, []),
        ({"boiler": SHELLY, "filter": OTHER_WAY}, []),
        ({"boiler": SHELLY, "filter": PIN.replace("17", "22")}, ["pump"]),
    ],
    ids=["nothing", "a relay", "a pin", "only its name", "a pin is another load's, and the other way round", "a pin"],
)
def test_what_the_new_rules_no_longer_have(new, names):
    assert [rule.name for rule, _ in gone(house(boiler=SHELLY, pump=PIN), house(**new))] == names
