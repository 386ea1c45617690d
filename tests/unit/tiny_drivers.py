"""Devices of two lines, so that the rule file is tested without the real ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl.config import Drivers
from loadctl.core.units import Unit
from loadctl.drivers import Shared


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


TINY = Drivers(
    meters={"envoy": "tests.unit.tiny_drivers:Meter"},
    actuators={"shelly": "tests.unit.tiny_drivers:Plug", "gpio": "tests.unit.tiny_drivers:Relay"},
)
