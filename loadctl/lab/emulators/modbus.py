"""Serve an emulated device's holding registers by Modbus TCP on a free loopback port of this very event loop.

The server is pymodbus' (the extra `loadctl[modbus]`); which one it is stays in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class Registers(Protocol):
    """A device with the holding registers from `first` on. `hangs`: it takes connections and answers nothing."""

    first: int
    unit: int

    @property
    def hangs(self) -> bool: ...

    def registers(self) -> list[int]:
        """Return all of them as they are now; their number does not change."""
        ...

    def write(self, address: int, value: int) -> bool:
        """Take a new value; False where it is not allowed."""
        ...


@asynccontextmanager
async def serve_modbus(device: Registers, *, port: int = 0) -> AsyncIterator[int]:
    """Serve `device` on 127.0.0.1 and yield the port; `port` 0 takes a free one."""

    async def look(
        _function: int, _start: int, address: int, _count: int, kept: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        while device.hangs:  # noqa: ASYNC110 - whoever asked has long gone when it ends
            await asyncio.sleep(0.02)
        if values and not all(device.write(address + n, int(value)) for n, value in enumerate(values)):
            return ExcCodes.ILLEGAL_VALUE
        kept[:] = device.registers()
        return None

    blank = SimData(device.first, count=len(device.registers()), values=0, datatype=DataType.REGISTERS)
    server: Any = ModbusTcpServer(SimDevice(device.unit, simdata=[blank], action=look), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
