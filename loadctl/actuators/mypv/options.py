"""The YAML keys of a my-PV heater."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from loadctl.actuators.address import base_url
from loadctl.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MyPvOptions:
    """A my-PV AC ELWA 2, AC ELWA-E, AC•THOR or AC•THOR 9s. Its control type must be that of `via`."""

    host: Annotated[
        str,
        Field(
            description="Name or IP address in the house's network, such as `192.168.1.60`; with `via: http` and a "
            "firmware that encrypts `https://192.168.1.60`"
        ),
    ]
    rated: Annotated[float, Unit("W", least=1, most=60_000), Field(description="What the heater draws at full power")]
    via: Annotated[
        Literal["modbus", "http"],
        Field(description="How to talk to it: as its control type says, `Modbus TCP` or `HTTP`"),
    ] = "modbus"
    full_scale: Annotated[
        float | None,
        Unit("W", least=1, most=60_000),
        Field(
            description="An AC•THOR takes set-points as shares of its own full power: write `9 kW` for an AC•THOR 9s "
            "with heaters of less than that, and their sum as `rated`. Not needed where watts are watts"
        ),
    ] = None
    lease: Annotated[
        float,
        Unit("s", least=10, most=600),
        Field(
            description="Its own `power timeout`: the heater goes off by itself when it has not heard from us for so "
            "long. `loadctl doctor FILE --fix` sets the device to what is written here"
        ),
    ] = 60.0
    unit: Annotated[int, Field(ge=0, le=255, description="Its Modbus address")] = 1
    port: Annotated[int, Field(ge=1, le=65535, description="Its Modbus TCP port")] = 502
    every: Annotated[
        float, Unit("s", least=1, most=300), Field(description="How often its real state is read back")
    ] = 5.0

    def __post_init__(self) -> None:
        url = base_url(self.host)
        if self.via == "modbus" and "://" in self.host:
            raise ValueError(f"`host` with `via: modbus` is a name or an address: write `{url.host}`")
        if self.lease < 3 * self.every:
            raise ValueError("`lease` must be at least three times `every`, or one lost answer would stop the heater")
