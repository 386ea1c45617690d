"""Devices of two lines, so that the rule file is tested without the real ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl import units
from loadctl.config import Drivers
from loadctl.drivers import Shared
from loadctl.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    email: str
    password: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterOptions:
    """A meter."""

    host: str
    token: SecretStr | None = None
    login: Login | None = None
    every: Annotated[float, Unit("s", least=0.5, most=60), Field(description="How often it is asked")] = 1.0


class Meter:
    Options = MeterOptions

    def __init__(self, options: MeterOptions, shared: Shared) -> None:
        self.every_s = options.every


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugOptions:
    """A plug."""

    host: str
    channel: Annotated[int, Field(ge=0, le=3)] = 0
    password: SecretStr | None = None
    lease: Annotated[float, Unit("s", least=5, most=3600)] = 120.0
    failsafe: Literal["lease", "none"] = "lease"


class Plug:
    Options = PlugOptions
    settle_s = 12.0

    def __init__(self, options: PlugOptions, shared: Shared) -> None:
        self.lease_s = options.lease


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """A relay that forgets nothing."""

    pin: int
    failsafe: Literal["none"] | None = None


class Relay:
    Options = RelayOptions
    lease_s = None
    settle_s = 3.0

    def __init__(self, options: RelayOptions, shared: Shared) -> None:
        self.pin = options.pin


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxOptions:
    """A wallbox."""

    host: str
    switches: bool = True


class Box:
    Options = BoxOptions
    lease_s = 60.0
    settle_s = 15.0
    step_a = 1.0
    rise_s = 10.0

    def __init__(self, options: BoxOptions, shared: Shared) -> None:
        self.switches_phases = options.switches


@dataclass(frozen=True, slots=True, kw_only=True)
class DimmerOptions:
    """A dimmer that is set in per cent."""

    host: str
    rated: Annotated[float, Unit("W", least=1)] | None = None


class Dimmer:
    Options = DimmerOptions
    lease_s = 60.0
    settle_s = 5.0
    step_share = 0.01
    least_share = 0.1
    rise_s = 3.0

    def __init__(self, options: DimmerOptions, shared: Shared) -> None:
        self.options = options


class Heater(Dimmer):
    tells = ("temperature",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueOptions:
    """A value from elsewhere."""

    url: str = "http://192.168.1.60/status"
    path: str = ""
    unit: str = ""

    @property
    def base(self) -> str:
        return (units.base(self.unit) or (self.unit, 1.0))[0]


class Value:
    Options = ValueOptions

    def __init__(self, options: ValueOptions, shared: Shared) -> None:
        self.options = options


TINY = Drivers(
    meters={"envoy": "tests.unit.tiny_drivers:Meter"},
    actuators={
        "shelly": "tests.unit.tiny_drivers:Plug",
        "gpio": "tests.unit.tiny_drivers:Relay",
        "go-e": "tests.unit.tiny_drivers:Box",
        "shelly-dimmer": "tests.unit.tiny_drivers:Dimmer",
        "my-pv": "tests.unit.tiny_drivers:Heater",
    },
    inputs={"http-json": "tests.unit.tiny_drivers:Value"},
)
