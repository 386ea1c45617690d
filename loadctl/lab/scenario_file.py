"""A scenario file: a home to try rules in. What an owner would write under `rules:`, what is true under `house:`.

`when:` says what is different in a season (`winter`, `spring`, `summer`, `autumn`) or on a `weekday` or `weekend`; the
first day of the trace counts. A rule file alone is a scenario whose house is guessed from the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as keys_dataclass

from loadctl.config import text as yaml_text
from loadctl.config.findings import Findings, nearest, spell_path
from loadctl.config.findings import Path as KeyPath
from loadctl.config.keys_common import STRICT
from loadctl.config.validate import checked
from loadctl.controller import Controller
from loadctl.core.rules import Load
from loadctl.errors import ConfigError, Fault
from loadctl.lab.appliances import Boiler, DailyCar, HeatPump, Plain
from loadctl.lab.days import zone_at
from loadctl.lab.house import Draw
from loadctl.lab.replay import Machine
from loadctl.lab.trace import Trace
from loadctl.units import Unit, read

SEASONS = {12: "winter", 1: "winter", 2: "winter", 3: "spring", 4: "spring", 5: "spring"} | {
    6: "summer",
    7: "summer",
    8: "summer",
    9: "autumn",
    10: "autumn",
    11: "autumn",
}
KEYS = ("rules", "house", "when")
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


def _clock(value: object) -> float:
    found = _CLOCK.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"`{str(value)[:20]}`: a time of day is written `06:45`")
    return float(found[1]) * 3600 + float(found[2]) * 60


def _draws(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('write what is drawn at which time: `{"06:45": 1.6 kWh}`')  # noqa: TRY004 - pydantic's way
    return [(_clock(at), read(str(energy), "Wh")) for at, energy in value.items()]


Power = Annotated[float, Unit("W", least=1)]
Energy = Annotated[float, Unit("Wh")]
Seconds = Annotated[float, Unit("s")]
Share = Annotated[float, Unit("%")]
TimeOfDay = Annotated[float, BeforeValidator(_clock)]


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PlainKeys:
    """Draws its power whenever it may: a pump, a heater without a thermostat."""

    power: Power | None = None
    """What it really draws; default: what the rules say."""

    def machine(self, load: Load, midnight: float, dice: Random) -> Machine:  # noqa: ARG002
        return Plain(self.power or load.power_w)


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TankKeys:
    """A boiler with a thermostat, from which hot water is drawn."""

    power: Power | None = None
    """What it really draws; default: what the rules say."""
    holds: Energy = 7000.0
    """The heat in it when its thermostat opens, above water that is of no use."""
    begins: Energy = 3000.0
    """The heat in it when the trace begins."""
    hysteresis: Energy = 350.0
    """What must leave it before the thermostat closes again."""
    loss: Annotated[float, Unit("W")] = 60.0
    """What leaves it through its walls."""
    draws: Annotated[list[tuple[float, float]], BeforeValidator(_draws)] = field(default_factory=list)
    """What is drawn from it each day, and when."""
    draws_by: Share = 100.0
    """Draw so much more or less than `draws` says."""
    draw: Seconds = 600.0
    """For how long each draw lasts."""

    def machine(self, load: Load, midnight: float, dice: Random) -> Machine:  # noqa: ARG002
        draws = tuple(Draw(at, energy * self.draws_by / 100, self.draw) for at, energy in self.draws)
        power = self.power or load.power_w
        return Boiler(power, self.holds, self.begins, self.hysteresis, self.loss, draws, midnight)


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class HeatPumpKeys:
    """A compressor that is slow to come to its power."""

    power: Power | None = None
    """What it really draws; default: what the rules say."""
    begins_at: Share = 33.33
    """It begins with this share of its power…"""
    hold: Annotated[Seconds, Field(alias="for")] = 60.0
    """…for so long…"""
    ramp: Seconds = 120.0
    """…and takes so long from there to all of it."""

    def machine(self, load: Load, midnight: float, dice: Random) -> Machine:  # noqa: ARG002
        return HeatPump(self.power or load.power_w, self.begins_at / 100, self.hold, self.ramp)


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class CarKeys:
    """A car that comes home each day and lacks something."""

    comes: TimeOfDay = 0.0
    leaves: TimeOfDay = 86400.0
    wants: Energy = 10_000.0
    """What it lacks to be full when it comes."""
    delay: Annotated[list[Seconds], Field(min_length=2, max_length=2)] = field(default_factory=lambda: [20.0, 40.0])
    """It begins to charge so long after it may: at least, at most."""
    ramp: Annotated[float, Field(gt=0)] = 2.0
    """Its current rises by so many amps a second."""
    phases: Literal[1, 3] = 1

    def machine(self, load: Load, midnight: float, dice: Random) -> Machine:
        volts = load.follow.ranges[0].volts if load.follow is not None else None
        delay_s: Callable[[], float] = lambda: dice.uniform(*self.delay)  # noqa: E731
        return DailyCar(self.comes, self.leaves, self.wants, midnight, delay_s, self.phases, volts or 230.0, self.ramp)


ApplianceKeys = PlainKeys | TankKeys | HeatPumpKeys | CarKeys
KINDS: dict[str, type[ApplianceKeys]] = {
    "plain": PlainKeys,
    "tank": TankKeys,
    "heat pump": HeatPumpKeys,
    "car": CarKeys,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A home as its file has it; `on` makes it live through a trace."""

    name: str
    file: Path
    data: Mapping[str, Any]
    places: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)

    @property
    def zone(self) -> tzinfo | None:
        """Return the site's time zone if its rules name one; None: that of the trace."""
        rules = self.data.get("rules")
        if isinstance(rules, str):
            path = self.file.with_name(rules)
            zone = Controller.from_file(path).house.zone
            return zone if _names_zone(_keys(path)) else None
        if not _names_zone(rules or {}):
            return None
        try:
            return Controller.from_dict(rules or {}).house.zone
        except ConfigError as error:
            raise self._placed(error) from error

    @property
    def guessed(self) -> list[str]:
        """Return the loads of which nobody says what they really are."""
        rules = self.data.get("rules")
        if isinstance(rules, str):
            names = [load.name for load in Controller.from_file(self.file.with_name(rules)).house.site.loads]
        else:
            names = list((rules or {}).get("loads", {}))
        return [name for name in names if name not in (self.data.get("house") or {})]

    def on(self, trace: Trace, seed: int = 1) -> Home:
        """Return the home on the days of a trace. Raises ConfigError with all that is wrong with it."""
        first = datetime.fromtimestamp(trace.moments[0].time, trace.zone)
        zone = str(zone_at(first) or "UTC")
        data = self.data
        for name, other in (data.get("when") or {}).items():
            if name in (SEASONS[first.month], "weekend" if first.weekday() >= 5 else "weekday"):
                data = _merged(data, other)
        rules = data.get("rules")
        if isinstance(rules, str):
            path = self.file.with_name(rules)
            make: Callable[[], Controller] = lambda: _of_file(path, zone)  # noqa: E731
        else:
            whole = _in_zone(rules or {}, zone)
            make = lambda: Controller.from_dict(whole)  # noqa: E731
        try:
            controller = make()
        except ConfigError as error:
            raise error if isinstance(rules, str) else self._placed(error) from error
        loads = controller.house.site.loads
        house = data.get("house") or {}
        keys = self._appliances(house, loads)
        guessed = frozenset(load.name for load in loads if load.name not in house)
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        return Home(self.name, trace, seed, controller, make, loads, keys, midnight, guessed)

    def _appliances(self, data: Mapping[str, Any], loads: tuple[Load, ...]) -> dict[str, ApplianceKeys]:
        last_line = max((line for line, _ in self.places.values()), default=1)
        findings = Findings(str(self.file), last_line, dict(self.places))
        for name in data:
            if name not in {load.name for load in loads}:
                hint = nearest(name, [load.name for load in loads])
                findings.fault(("house", name), f"there is no appliance `{name}` in the rules; {hint}")
        found = {load.name: self._appliance(load, data.get(load.name), findings) for load in loads}
        findings.raise_if_any()
        return {name: keys for name, keys in found.items() if keys is not None}

    def _placed(self, error: ConfigError) -> ConfigError:
        """Return the faults of the rules with their places in this file."""
        lines = {spell_path(path): place for path, place in self.places.items()}
        faults = []
        for fault in error.faults:
            path = f"rules.{fault.path}".rstrip(".")
            near = max((known for known in lines if path.startswith(known)), key=len, default="")
            line, column = lines.get(near, (1, 1))
            faults.append(Fault(str(self.file), line, column, path, fault.message))
        return ConfigError(faults)

    def _appliance(self, load: Load, data: Any, findings: Findings) -> ApplianceKeys | None:
        if data is None:
            return _guessed(load)
        place = ("house", load.name)
        kind = data.get("is") if isinstance(data, dict) else None
        if kind not in KINDS:
            findings.fault(place, f"say what it is: `is: {'`, `is: '.join(KINDS)}`")
            return None
        return checked(KINDS[kind], {key: value for key, value in data.items() if key != "is"}, place, findings)


@dataclass(slots=True)
class Home:
    """A home on the days of a trace. `machines` are new ones each time, and the same for the same seed.

    `guessed`: the loads of which nobody says what they really are.
    """

    name: str
    trace: Trace
    seed: int
    controller: Controller
    make_controller: Callable[[], Controller]
    loads: tuple[Load, ...]
    appliances: Mapping[str, ApplianceKeys]
    midnight: float
    guessed: frozenset[str] = frozenset()

    @property
    def first_day(self) -> int:
        """Return the ordinal of the trace's first day, by the site's clock."""
        return datetime.fromtimestamp(self.trace.moments[0].time, self.controller.house.zone).toordinal()

    def machines(self) -> dict[str, Machine]:
        dice = Random(self.seed)
        return {load.name: self.appliances[load.name].machine(load, self.midnight, dice) for load in self.loads}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file, or a rule file as one. Raises ConfigError with all that is wrong with it."""
    findings = Findings(str(path))
    content = yaml_text.read_file(path, findings)
    findings.raise_if_any()
    data = yaml_text.read(content, findings, yaml_text.Secrets({}, path.parent, lenient=True))
    findings.raise_if_any()
    if not isinstance(data, dict) or not ("rules" in data or "house" in data):
        return Scenario(path.stem, path, {"rules": path.name})
    for key in data:
        if key not in KEYS:
            findings.fault((key,), f"`{key[:40]}` is not a key here; {nearest(key[:40], KEYS)}")
    findings.raise_if_any()
    return Scenario(path.stem, path, data, findings.places)


def _guessed(load: Load) -> ApplianceKeys:
    """Return what an appliance may be when only its rule is known."""
    if load.follow is not None and load.follow.ranges[0].phases is not None:
        energies = [need.energy_wh for need in load.needs if need.energy_wh is not None]
        return CarKeys(wants=max(energies, default=10_000.0))
    return HeatPumpKeys() if load.compressor else PlainKeys()


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return `one` with what `other` says, group by group."""
    merged = dict(one)
    for key, value in other.items():
        mine = merged.get(key)
        merged[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def _of_file(path: Path, zone: str) -> Controller:
    """Take the rules of a file; if they name no time zone they are followed in `zone`. Raises ConfigError."""
    controller = Controller.from_file(path)
    keys = _keys(path)
    return controller if _names_zone(keys) else Controller.from_dict(_in_zone(keys, zone))


def _keys(path: Path) -> dict[str, Any]:
    """Return what stands in a rule file that was found to be one."""
    findings = Findings(str(path))
    content = yaml_text.read_file(path, findings)
    return dict(yaml_text.read(content, findings, yaml_text.Secrets({}, path.parent, lenient=True)))


def _names_zone(rules: Mapping[str, Any]) -> bool:
    return "timezone" in (rules.get("site") or {})


def _in_zone(rules: Mapping[str, Any], zone: str) -> dict[str, Any]:
    return {**rules, "site": {"timezone": zone, **(rules.get("site") or {})}}
