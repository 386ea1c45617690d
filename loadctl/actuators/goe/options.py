"""The YAML keys of a go-e wallbox."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from loadctl.actuators.address import base_url
from loadctl.units import Unit

ACKNOWLEDGE = (
    "a go-e goes on charging when loadctl dies, until the car is full: its HTTP API knows no limit that runs out "
    "downwards. Write `failsafe: none` to say that you know; over OCPP (`driver: ocpp`) it has a fallback current"
)


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class GoEOptions:
    """A go-e Charger of any generation; switch on its local HTTP API in the app (Internet, advanced settings)."""

    host: Annotated[str, Field(description="Name or IP address in the house's network, such as `192.168.1.50`")]
    api: Annotated[
        Literal["auto", "v1", "v2"],
        Field(description="Which HTTP API it speaks. `auto` finds out; only v2 can switch phases"),
    ] = "auto"
    serial: Annotated[
        str | None,
        Field(description="Its serial number (on the reset card, in the app): another box there is left alone"),
    ] = None
    failsafe: Annotated[
        Literal["none"] | None,
        Field(description="Must be `none`: " + ACKNOWLEDGE + "."),
    ] = None
    every: Annotated[
        float, Unit("s", least=2, most=300), Field(description="How often its real state and the car's draw are read")
    ] = 5.0

    def __post_init__(self) -> None:
        base_url(self.host)
