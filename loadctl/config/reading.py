"""From a rule file to a `House`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from loadctl.actuators import ACTUATORS
from loadctl.config import text as yaml_text
from loadctl.config import zones
from loadctl.config.devices import device, no_network
from loadctl.config.drawing import draw
from loadctl.config.expression import Misread, parse_condition
from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.house import Device, House, Web
from loadctl.config.keys import PricesKeys, SiteKeys, TariffKeys, WebKeys
from loadctl.config.keys_load import LoadKeys, WhenKeys
from loadctl.config.loads import load_of
from loadctl.config.order import Order, orders
from loadctl.config.scene import Rule, Scene
from loadctl.config.sense import sense
from loadctl.config.validate import checked
from loadctl.config.year import Year
from loadctl.core.conditions import Condition
from loadctl.core.rules import Site, Window
from loadctl.drivers import LoopClock, Shared, Telling
from loadctl.inputs import INPUTS
from loadctl.inputs import names as input_names
from loadctl.meters import METERS
from loadctl.outlook.sun import Location, location_of
from loadctl.outlook.tariff import Price, Rate, Tariff

VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
KEYS = ("version", "site", "meter", "inputs", "loads", "web")
_SMALLEST = "the smallest rule file has `version: 1`, a `meter:` and under `loads:` one appliance"


@dataclass(frozen=True, slots=True)
class Drivers:
    """The names of all drivers, `package.module:Class` by name."""

    meters: Mapping[str, str] = field(default_factory=lambda: METERS)
    actuators: Mapping[str, str] = field(default_factory=lambda: ACTUATORS)
    inputs: Mapping[str, str] = field(default_factory=lambda: INPUTS)


def load(
    path: FilePath, env: Mapping[str, str] | None = None, *, lenient: bool = False, drivers: Drivers | None = None
) -> House:
    """Read a rule file. Raises ConfigError with all that is wrong with it.

    `lenient`: a secret that is not set here is told in `House.notes`, not as a fault.
    """
    findings = Findings(str(path))
    content = yaml_text.read_file(path, findings)
    findings.raise_if_any()
    return parse(content, str(path), env, lenient=lenient, drivers=drivers)


def parse(
    text: str,
    file: str,
    env: Mapping[str, str] | None = None,
    *,
    lenient: bool = False,
    drivers: Drivers | None = None,
) -> House:
    """Read the text of a rule file; `file` names it in faults and `secrets.yaml` is looked for beside it."""
    findings = Findings(file)
    secrets = yaml_text.Secrets(os.environ if env is None else env, FilePath(file).parent, lenient)
    data = yaml_text.read(text, findings, secrets)
    if not isinstance(data, dict):
        findings.raise_if_any()
        findings.fault((), f"{'the file is empty' if data is None else 'this is no rule file'}; {_SMALLEST}")
        findings.raise_if_any()
    house = _house(data, file, findings, drivers or Drivers())
    findings.raise_if_any()
    if house is None:
        raise AssertionError("a rule file without faults makes a house")
    return house


def _house(data: dict[str, Any], file: str, findings: Findings, drivers: Drivers) -> House | None:
    for key in data:
        if key not in KEYS:
            findings.fault((key,), f"`{key[:40]}` is not a key here; {nearest(key[:40], KEYS)}")
    _version(data, findings)
    site = checked(SiteKeys, data.get("site", {}), ("site",), findings)
    web = checked(WebKeys, data.get("web", {}), ("web",), findings)
    zone = zones.find(site.timezone if site else "UTC", ("site", "timezone"), findings)
    shared = Shared(LoopClock(zone), no_network)
    meter, every_s = None, None
    if "meter" not in data:
        findings.fault((), "`meter` is missing, such as `meter: {driver: envoy, host: envoy.local}`")
    else:
        meter = device(data["meter"], ("meter",), drivers.meters, "meter", findings)
        every_s = float(meter.build(shared).every_s) if meter else None
    inputs = _inputs(data, drivers, findings)
    units = _units(data, inputs)
    rules = _rules(data, inputs, units, shared, drivers, every_s, findings)
    found = orders(rules, site.battery if site else None)
    given = site.location if site else None
    location = Location(given.latitude, given.longitude) if given else location_of(zone)
    tariff = _tariff(site.tariff if site else None)
    if site:
        _battery_after(site, data, findings)
        scene = Scene(site, zone, location, tariff, units, every_s, Year(zone, location))
        for order in {id(order): order for order in found.values()}.values():
            sense(scene, order, findings)
    if site is None or web is None or meter is None or findings.faults:
        return None
    sites = {id(order): _site(site, order) for order in found.values()}
    by_day = {day: sites[id(order)] for day, order in found.items()}
    today = shared.clock.wall()
    return House(
        path=FilePath(file),
        site=by_day.get((today.month, today.day), by_day[1, 1]),
        zone=zone,
        meter=meter,
        actuators={rule.load.name: rule.device for rule in rules},
        web=Web(web.host, web.port, web.password, web.token, web.private, tuple(web.hosts), web.prefix),
        was={rule.load.name: rule.keys.was for rule in rules if rule.keys.was},
        notes=tuple(dict.fromkeys(findings.notes)),
        location=location,
        tariff=tariff,
        inputs=inputs,
        units=units,
        orders=by_day if len(by_day) > 1 else {},
    )


def _site(keys: SiteKeys, order: Order) -> Site:
    return Site(tuple(rule.load for rule in order), keys.reserve, keys.max_import, keys.hold, steady_s=keys.steady)


def _version(data: dict[str, Any], findings: Findings) -> None:
    version = data.get("version")
    if "version" not in data:
        findings.fault((), f"`version: {VERSION}` is missing; it is the first line of a rule file")
    elif str(version) != str(VERSION):
        findings.fault(("version",), f"this loadctl reads rule files with `version: {VERSION}`")


def _inputs(data: dict[str, Any], drivers: Drivers, findings: Findings) -> dict[str, Device]:
    value = data.get("inputs", {})
    if not isinstance(value, dict):
        findings.fault(("inputs",), "under `inputs:` each input has a name, such as `tank: {driver: …, …}`")
        return {}
    found = {}
    for name, item in value.items():
        path = ("inputs", name)
        if name in input_names.RESERVED:
            findings.fault(path, f"`{name}` means something else in a condition; call it `my_{name}`")
        elif not input_names.NAME.fullmatch(name):
            better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_0123456789")[:40] or "tank"
            findings.fault(path, f"a name has letters, digits and `_` only and begins with a letter: write `{better}`")
        if made := device(item, path, drivers.inputs, "input", findings):
            found[name] = made
    return found


def _units(data: dict[str, Any], inputs: Mapping[str, Device]) -> dict[str, str]:
    """Return the units of all that a condition or a need may ask for."""
    loads = data.get("loads")
    return {
        **input_names.BUILT_IN,
        **input_names.load_names(loads if isinstance(loads, dict) else ()),
        **{name: made.options.base for name, made in inputs.items()},
    }


def _rules(
    data: dict[str, Any],
    inputs: Mapping[str, Device],
    units: Mapping[str, str],
    shared: Shared,
    drivers: Drivers,
    every_s: float | None,
    findings: Findings,
) -> list[Rule]:
    """Return the appliances in the order of the file."""
    loads = data.get("loads")
    if not isinstance(loads, dict) or not loads:
        example = "such as `boiler: {actuator: {driver: shelly, host: 192.168.1.40}, power: 2 kW}`"
        findings.fault(("loads",), f"under `loads:` at least one appliance is meant, {example}")
        return []
    rules = []
    for name, value in loads.items():
        path = ("loads", name)
        if not NAME.fullmatch(name):
            better = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:40] or "boiler"
            findings.fault(path, f"a name has letters, digits, `_` and `-` only: write `{better}`")
        keys = checked(LoadKeys, {} if value is None else value, path, findings)
        made, written = None, value if isinstance(value, dict) else {}
        if "actuator" not in written and not {"power", "current"} & written.keys():
            findings.fault(path, "`power` is missing")
        if "actuator" in written:
            made = device(written["actuator"], (*path, "actuator"), drivers.actuators, "actuator", findings)
        if keys is None or made is None:
            continue
        built = made.build(shared)
        drawn = draw(keys, built, made.options, every_s, path, findings)
        when = _when(keys.when, units, (*path, "when"), findings) if keys.when else None
        if drawn is not None:
            rules.append(
                Rule(
                    load_of(name, keys, drawn, when, _sources(built, inputs), built.lease_s, built.settle_s), keys, made
                )
            )
    return rules


def _sources(built: Any, inputs: Mapping[str, Device]) -> dict[str, str]:
    """Return the inputs that needs go by which name none, where the device measures nothing itself: the only one that
    there is; "" where that is not one.
    """
    tells = built.tells if isinstance(built, Telling) else ()
    found = {}
    for key, unit in input_names.OF_A_LOAD.items():
        if key in {"temperature", "soc"} and key not in tells:
            named = [name for name, made in inputs.items() if made.options.base == unit]
            found[key] = named[0] if len(named) == 1 else ""
    return found


def _battery_after(site: SiteKeys, data: Mapping[str, Any], findings: Findings) -> None:
    last, loads = site.battery.after if site.battery else None, data.get("loads")
    if last is not None and isinstance(loads, dict) and last not in loads:
        findings.fault(
            ("site", "battery", "after"), f"there is no appliance `{last[:40]}`; {nearest(last[:40], loads)}"
        )


def _when(keys: WhenKeys, units: Mapping[str, str], path: Path, findings: Findings) -> Condition | None:
    hysteresis = None if keys.hysteresis is None else str(keys.hysteresis)
    unknown = None if keys.unknown == "keep" else keys.unknown
    try:
        return parse_condition(keys.test, units, hysteresis, unknown)
    except Misread as error:
        findings.fault((*path, "if" if error.at is not None else "hysteresis"), str(error))
    return None


def _tariff(keys: TariffKeys | None) -> Tariff:
    return Tariff(_price(keys.imports), _price(keys.exports)) if keys else Tariff()


def _price(keys: PricesKeys) -> Price:
    rates = tuple(Rate(at.price, (Window(at.start, at.to, at.days, at.season),)) for at in keys.prices)
    return Price(keys.default, rates, keys.input)
