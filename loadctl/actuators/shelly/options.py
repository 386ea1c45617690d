"""The YAML keys of a Shelly relay and of a Shelly dimmer."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl.actuators.address import base_url, plain_mac
from loadctl.actuators.shelly.scale import Scale
from loadctl.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ShellyOptions:
    """A Shelly relay or plug of any generation; which one it is, it tells itself."""

    host: Annotated[str, Field(description="Name or IP address in the house's network, such as `192.168.1.40`")]
    channel: Annotated[int, Field(ge=0, le=15, description="Which output of the device; the first one is 0")] = 0
    mac: Annotated[
        str | None,
        Field(description="Its hardware address (on the label, in the app): another Shelly there is left alone"),
    ] = None
    username: Annotated[str, Field(description="Gen1 only, if changed; Gen2 and later always say `admin`")] = "admin"
    password: Annotated[SecretStr | None, Field(description="If the device asks for one")] = None
    lease: Annotated[
        float,
        Unit("s", least=15, most=3600),
        Field(description="The device goes off by itself when it has not heard from us for so long"),
    ] = 120.0
    failsafe: Annotated[
        Literal["lease", "none"],
        Field(description="`none`: it stays on when we die. Write it only if that can do no harm"),
    ] = "lease"
    every: Annotated[
        float, Unit("s", least=1, most=300), Field(description="How often its real state is read back")
    ] = 10.0

    def __post_init__(self) -> None:
        base_url(self.host)
        if self.mac is not None and not plain_mac(self.mac):
            raise ValueError("`mac` reads like `AABBCCDDEEFF` or `AA:BB:CC:DD:EE:FF`")
        if self.failsafe == "lease" and self.lease < 3 * self.every:
            raise ValueError("`lease` must be at least three times `every`, or one lost answer would switch the load")


_Percent = Annotated[float, Unit("%", most=99)]
_Watts = Annotated[float, Unit("W")]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ShellyDimmerOptions(ShellyOptions):
    """A Shelly dimmer or 0-10 V controller of any generation with a heater behind it."""

    rated: Annotated[float, Unit("W", least=1), Field(description="What the heater draws at 100 %")]
    curve: Annotated[
        tuple[tuple[_Percent, _Watts], ...],
        Field(
            description="Where watts do not rise evenly with per cent, as behind most 0-10 V power controllers: what "
            "the heater draws in between, such as `[[20 %, 0 W], [50 %, 900 W]]`; 0 % and 100 % go without saying"
        ),
    ] = ()

    def __post_init__(self) -> None:
        ShellyOptions.__post_init__(self)
        points = self.scale.points
        if any(low >= high or below_w > above_w for (low, below_w), (high, above_w) in pairwise(points)):
            raise ValueError("`curve` must rise: per cent and watts one after the other, below 100 % and `rated`")

    @property
    def scale(self) -> Scale:
        return Scale(((0.0, 0.0), *self.curve, (100.0, self.rated)))
