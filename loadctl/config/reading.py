"""From a rule file to a `House`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import httpx

from loadctl.actuators import ACTUATORS
from loadctl.config import text as yaml_text
from loadctl.config import zones
from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.house import Device, House, Web
from loadctl.config.keys import BetweenKeys, LoadKeys, SiteKeys, WebKeys
from loadctl.config.sense import Rule, sense
from loadctl.config.validate import checked
from loadctl.core.values import Clock, Load, Need, Site, Window
from loadctl.drivers import LoopClock, Shared, driver_class
from loadctl.meters import METERS

VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SMALLEST = "the smallest rule file has `version: 1`, a `meter:` and under `loads:` one appliance"


@dataclass(frozen=True, slots=True)
class Drivers:
    """The names of all drivers, `package.module:Class` by name."""

    meters: Mapping[str, str] = field(default_factory=lambda: METERS)
    actuators: Mapping[str, str] = field(default_factory=lambda: ACTUATORS)


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
    known = ("version", "site", "meter", "loads", "web")
    for key in data:
        if key not in known:
            findings.fault((key,), f"`{key[:40]}` is not a key here; {nearest(key[:40], known)}")
    _version(data, findings)
    site = checked(SiteKeys, data.get("site", {}), ("site",), findings)
    web = checked(WebKeys, data.get("web", {}), ("web",), findings)
    zone = zones.find(site.timezone if site else "UTC", ("site", "timezone"), findings)
    shared = Shared(LoopClock(zone), _no_network)
    meter, every_s = None, None
    if "meter" not in data:
        findings.fault((), "`meter` is missing, such as `meter: {driver: envoy, host: envoy.local}`")
    else:
        meter = _device(data["meter"], ("meter",), drivers.meters, "meter", findings)
        every_s = float(meter.build(shared).every_s) if meter else None
    rules = _rules(data, shared, drivers, findings)
    if site:
        sense(site, rules, every_s, findings)
    if site is None or web is None or meter is None or findings.faults:
        return None
    ranked = sorted(rules, key=lambda rule: rule.keys.priority or 1_000_000)  # sorted() keeps the order of the file
    core_site = Site(
        loads=tuple(rule.load for rule in ranked),
        reserve_w=site.reserve,
        max_import_w=site.max_import,
        hold_s=site.hold,
        steady_s=site.steady,
    )
    actuators = {rule.load.name: rule.device for rule in ranked}
    was = {rule.load.name: rule.keys.was for rule in ranked if rule.keys.was}
    return House(FilePath(file), core_site, zone, meter, actuators, Web(web.host, web.port), was, tuple(findings.notes))


def _version(data: dict[str, Any], findings: Findings) -> None:
    version = data.get("version")
    if "version" not in data:
        findings.fault((), f"`version: {VERSION}` is missing; it is the first line of a rule file")
    elif str(version) != str(VERSION):
        findings.fault(("version",), f"this loadctl reads rule files with `version: {VERSION}`")


def _rules(data: dict[str, Any], shared: Shared, drivers: Drivers, findings: Findings) -> list[Rule]:
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
        device = None
        if isinstance(value, dict) and "actuator" in value:
            device = _device(value["actuator"], (*path, "actuator"), drivers.actuators, "actuator", findings)
        if keys and device:
            built = device.build(shared)
            rules.append(Rule(_load(name, keys, built.lease_s, built.settle_s), keys, device))
    return rules


def _device(value: object, path: Path, registry: Mapping[str, str], kind: str, findings: Findings) -> Device | None:
    if not isinstance(value, dict):
        findings.fault(path, f"a group of keys is meant here, such as `{{driver: {min(registry)}, …}}`")
        return None
    name = value.get("driver")
    if not isinstance(name, str) or name not in registry:
        place = (*path, "driver") if "driver" in value else path
        hint = nearest(name[:40], registry) if isinstance(name, str) else "known here: " + ", ".join(sorted(registry))
        findings.fault(place, f"there is no such {kind} driver; {hint}" if name else f"`driver` is missing; {hint}")
        return None
    host = value.get("host")
    if isinstance(host, str) and "@" in host:
        findings.fault((*path, "host"), "a login stands in the address; give user and password as keys of their own")
        return None
    cls = driver_class(registry, name)
    options = checked(cls.Options, {key: item for key, item in value.items() if key != "driver"}, path, findings)
    return Device(name, options, lambda shared: cls(options, shared)) if options is not None else None


def _load(name: str, keys: LoadKeys, lease_s: float | None, settle_s: float) -> Load:
    """Fill in the defaults of one appliance."""
    least_s = 600.0 if keys.compressor else 120.0
    margin_w = max(100.0, keys.power / 10)
    start_w = keys.start.surplus if keys.start else None
    if keys.stop is None:
        stop_w = max(0.0, keys.power - (start_w or keys.power)) + margin_w
    else:
        stop_w = keys.stop.imports if keys.stop.imports is not None else -(keys.stop.exports or 0.0)
    if start_w is None:  # whoever stops early must start late
        start_w = keys.power + max(0.0, margin_w - stop_w)
    return Load(
        name=name,
        power_w=keys.power,
        start_w=start_w,
        start_for_s=_given(keys.start.hold if keys.start else None, 60.0),
        stop_import_w=stop_w,
        stop_for_s=_given(keys.stop.hold if keys.stop else None, 120.0),
        min_on_s=_given(keys.min_on, least_s),
        min_off_s=_given(keys.min_off, least_s),
        max_starts=keys.max_starts,
        compressor=keys.compressor,
        settle_s=_given(keys.settle, settle_s),
        lease_s=lease_s,
        safe_on=keys.safe == "on",
        hand_hold_s=keys.hand_hold,
        shed_below_pct=keys.shed_below,
        windows=tuple(window for between in keys.between for window in _windows(between)),
        needs=tuple(Need(Clock(need.by), need.energy, need.runtime, days=need.days) for need in keys.need),
    )


def _windows(between: BetweenKeys) -> list[Window]:
    """One window; a whole day is two, since begin and end at the same time of day would be none."""
    start, end = Clock(between.start), Clock(between.to)
    if start != end:
        return [Window(start, end, between.days)]
    noon = Clock(between.start.replace(hour=12))
    return [Window(start, noon, between.days), Window(noon, end, between.days)]


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _no_network(**_: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
