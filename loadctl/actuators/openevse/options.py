"""The YAML keys of an OpenEVSE."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl.actuators.address import base_url, plain_mac
from loadctl.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OpenEvseOptions:
    """An OpenEVSE wallbox with Wi-Fi (ESP32, firmware 4.2 or newer)."""

    host: Annotated[str, Field(description="Name or IP address in the house's network, such as `openevse.local`")]
    mac: Annotated[
        str | None,
        Field(description="Its hardware address: another box there is left alone (firmware 5 and newer tell it)"),
    ] = None
    username: Annotated[str, Field(description="As set in its web page; left blank there it is `openevseadmin`")] = (
        "openevseadmin"
    )
    password: Annotated[SecretStr | None, Field(description="If its web page asks for one")] = None
    lease: Annotated[
        float,
        Unit("s", least=30, most=3600),
        Field(
            description="The box pauses the car when it has not heard from us for so long. Its own load shaper does "
            "that; `loadctl doctor FILE --fix` sets it up (firmware 5 and newer)"
        ),
    ] = 120.0
    failsafe: Annotated[
        Literal["lease", "none"],
        Field(description="`none`: the car charges on as it does when we die. For a box whose load shaper is in use"),
    ] = "lease"
    every: Annotated[
        float, Unit("s", least=1, most=300), Field(description="How often its real state is read back")
    ] = 5.0

    def __post_init__(self) -> None:
        base_url(self.host)
        if self.mac is not None and not plain_mac(self.mac):
            raise ValueError("`mac` reads like `AABBCCDDEEFF` or `AA:BB:CC:DD:EE:FF`")
        if self.failsafe == "lease" and self.lease < 3 * self.every:
            raise ValueError("`lease` must be at least three times `every`, or one lost answer would pause the car")
