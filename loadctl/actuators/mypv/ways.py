"""The two ways to a my-PV heater: Modbus TCP and HTTP. Each reads a `Heater`, writes a set-point and its power timeout.

Facts: set-points go to register 1000 by function 16, or to `/control.html?power=`; both may be written as often as one
likes. Other registers and `/setup.jsn` are flash and hardly ever to be written. The web server serves one request at a
time. Firmware of 2026 can encrypt its pages, with a certificate that nobody signed.
"""

from __future__ import annotations

from typing import Protocol

from loadctl.actuators.http import Answer, Http
from loadctl.actuators.modbus import borrow
from loadctl.actuators.mypv import answers
from loadctl.actuators.mypv.answers import Heater, Json
from loadctl.actuators.mypv.options import MyPvOptions
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable

_NO_SUCH_REGISTER = "no such register"


class Way(Protocol):
    """How a heater is asked and told. `hurry` passes others that wait for the same device. All raise DeviceError."""

    async def read(self, *, hurry: bool = False) -> Heater: ...
    async def set_power(self, watts: int, *, hurry: bool = False) -> None: ...
    async def set_timeout(self, seconds: int) -> None: ...
    async def close(self) -> None: ...


def way(options: MyPvOptions, shared: Shared) -> Way:
    """Return the way that the owner chose."""
    return ByModbus(options, shared) if options.via == "modbus" else ByHttp(options, shared)


class ByModbus:
    """One request tells all: the registers from 1000 on."""

    def __init__(self, options: MyPvOptions, shared: Shared) -> None:
        self._bus = borrow(shared, options.host, options.port)
        self._unit = options.unit
        self._count = answers.LONG

    async def read(self, *, hurry: bool = False) -> Heater:
        try:
            return await self._read(hurry=hurry)
        except Refused as refused:
            if self._count == answers.SHORT or _NO_SUCH_REGISTER not in str(refused):
                raise
        self._count = answers.SHORT  # an AC ELWA-E
        return await self._read(hurry=hurry)

    async def _read(self, *, hurry: bool) -> Heater:
        return answers.from_registers(await self._bus.read(self._unit, answers.FIRST, self._count, hurry=hurry))

    async def set_power(self, watts: int, *, hurry: bool = False) -> None:
        await self._bus.write(self._unit, answers.POWER, [watts], hurry=hurry)

    async def set_timeout(self, seconds: int) -> None:
        await self._bus.write(self._unit, answers.TIMEOUT, [seconds])

    async def close(self) -> None:
        await self._bus.close()


class ByHttp:
    """Serial number and settings are asked once, and again after something went wrong."""

    def __init__(self, options: MyPvOptions, shared: Shared) -> None:
        self._where = f"my-PV {options.host}"
        self._http = Http(
            options.host,
            shared,
            where=self._where,
            like="a my-PV heater",
            verify=False,
            away="check power, network and `host`; a firmware that encrypts wants `https://` before the address",
            silent="is it powered?",
        )
        self._known: tuple[str, Json] | None = None  # serial number, settings

    async def read(self, *, hurry: bool = False) -> Heater:
        try:
            if self._known is None:
                about = await self._perhaps("/mypv_dev.jsn", hurry=hurry)
                setup = await self._perhaps("/setup.jsn", hurry=hurry)
                self._known = (str(about.get("sn") or ""), setup)
            data = self._http.read(await self._ask("/data.jsn", hurry=hurry))
        except (Unreachable, Refused, Garbled):
            self._known = None
            raise
        serial, setup = self._known
        return answers.from_pages(data, setup, serial, self._where)

    async def set_power(self, watts: int, *, hurry: bool = False) -> None:
        await self._ask("/control.html", {"power": str(watts)}, hurry=hurry)

    async def set_timeout(self, seconds: int) -> None:
        self._known = None
        await self._ask("/setup.jsn", {"tout": str(seconds)})

    async def close(self) -> None:
        await self._http.close()

    async def _perhaps(self, path: str, *, hurry: bool) -> Json:
        """Read a page that not every firmware shows to everybody; nothing where it refuses."""
        try:
            return self._http.read(await self._ask(path, hurry=hurry))
        except Refused:
            return {}

    async def _ask(self, path: str, query: dict[str, str] | None = None, *, hurry: bool = False) -> Answer:
        response = await self._http.ask("GET", path, hurry=hurry, params=query)
        if not response.is_success:
            hint = (
                "a firmware that encrypts wants `https://` before the address; one that asks for a login `via: modbus`"
            )
            raise Refused(f"{self._where}: answers {response.status} to {path}", hint=hint)
        return response
