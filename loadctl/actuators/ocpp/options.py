"""The YAML keys of a charger that speaks OCPP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl.units import Unit

_ID = re.compile(r"[\w.:*=+|@-]{1,48}", re.ASCII)  # what an address can hold and a box may be called
_LISTEN = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([\w.-]+)):(\d{1,5})")
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")
_NEEDED = ("ocpp", "websockets")


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OcppOptions:
    """A charger that speaks OCPP 1.6J. In its settings, enter this computer as its backend (central system)."""

    id: Annotated[
        str,
        Field(description="Its charge point id, as its settings show it; it is the end of the address that it calls"),
    ]
    listen: Annotated[
        str,
        Field(
            description="Where loadctl waits for it: an address of this computer and a port. `0.0.0.0` is any address; "
            "several chargers can share one"
        ),
    ] = "0.0.0.0:8887"
    password: Annotated[
        SecretStr | None,
        Field(
            description="Its password (AuthorizationKey), to be set in its settings, too. Without it, anybody in the "
            "network who calls with its `id` is taken for it"
        ),
    ] = None
    connector: Annotated[int, Field(ge=1, le=16, description="Which of its sockets; the first one is 1")] = 1
    lease: Annotated[
        float,
        Unit("s", least=30, most=3600),
        Field(description="The charger stops charging by itself when it has not heard from us for so long"),
    ] = 120.0
    failsafe: Annotated[
        Literal["lease", "none"],
        Field(description="`none`: the car goes on charging when we die. For chargers that hold only one profile"),
    ] = "lease"
    id_tag: Annotated[
        str, Field(min_length=1, max_length=20, description="The card number that loadctl starts a charge with")
    ] = "loadctl"
    switch_phases: Annotated[
        bool | None,
        Field(description="true: it can change between one and three phases. Left out: what it tells itself"),
    ] = None

    def __post_init__(self) -> None:
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            raise ValueError(f"this driver needs {' and '.join(missing)}: `pip install 'loadctl[ocpp]'`")
        if not _ID.fullmatch(self.id):
            raise ValueError("`id` is one word without spaces or slashes, at most 48 letters, such as `CP001`")
        address(self.listen)

    def notes(self) -> Iterator[tuple[str, str]]:
        if self.password is None and not _LOOPBACK.fullmatch(address(self.listen)[0]):
            said = "without a `password` anybody in your network could pose as this charger"
            yield "password", f"{said}; set one in its settings (AuthorizationKey) and here"


def address(listen: str) -> tuple[str, int]:
    """Split `0.0.0.0:8887` into host and port. Raises ValueError with a sentence for the owner."""
    found = _LISTEN.fullmatch(listen.strip())
    if not found or int(found[3]) > 65535:
        raise ValueError("`listen` reads like `0.0.0.0:8887`: an address of this computer and a port")
    return found[1] or found[2], int(found[3])
