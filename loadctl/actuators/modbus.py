"""Modbus TCP for drivers: one connection to an address, however many loads hang on it, and one request at a time.

Many devices serve one or two connections only and lose track when requests overlap. The wire is pymodbus' (the extra
`loadctl[modbus]`), whose interface moves with each 3.x: nothing else in loadctl imports it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusTcpClient

_PATIENCE_S = 3.0

# Modbus Application Protocol V1.1b3, section 7
_SAYS_NO = {
    1: "it does not know this kind of request",
    2: "it has no such register",
    3: "the value is out of its range",
    4: "it failed to do it",
    6: "it is busy",
    10: "the gateway cannot pass it on",
    11: "the device behind the gateway does not answer",
}
_BUSY = 6


def borrow(shared: Shared, host: str, port: int) -> Modbus:
    """Return the connection to `host`, the same for all its loads; each `close`s what it borrowed. Does no I/O."""
    address = f"modbus://{host.strip().lower()}:{port}"
    bus = shared.common(address, lambda: Modbus(shared, host, port, address))
    bus.users += 1
    return bus


class Modbus:
    """`users` have borrowed it; the last one to close it hangs up, and the next request connects anew."""

    def __init__(self, shared: Shared, host: str, port: int, address: str) -> None:
        self.users = 0
        self._host, self._port = host.strip(), port
        self._line = shared.line(address)
        self._client: AsyncModbusTcpClient | None = None

    async def read(self, unit: int, address: int, count: int, *, hurry: bool = False) -> tuple[int, ...]:
        """Read `count` holding registers (function 3). Raises Unreachable, Refused, Garbled."""
        answer = await self._ask(
            lambda client: client.read_holding_registers(address, count=count, device_id=unit), hurry=hurry
        )
        registers = tuple(answer.registers)
        if len(registers) != count:
            raise Garbled(f"{self._where}: answers {len(registers)} registers instead of {count}")
        return registers

    async def write(self, unit: int, address: int, values: Sequence[int], *, hurry: bool = False) -> None:
        """Write holding registers (function 16, which every device knows). Raises Unreachable, Refused, Garbled."""
        await self._ask(lambda client: client.write_registers(address, list(values), device_id=unit), hurry=hurry)

    async def close(self) -> None:
        self.users -= 1
        if self.users <= 0:
            self._hang_up()

    @property
    def _where(self) -> str:
        return f"Modbus {self._host}" + ("" if self._port == 502 else f":{self._port}")

    async def _ask(self, question: Callable[[AsyncModbusTcpClient], Awaitable[Any]], *, hurry: bool) -> Any:
        async with self._line.turn(hurry=hurry):
            client = await self._connected()
            answer = None
            try:
                answer = await _asked(client, question, self._where)
            finally:
                if answer is None:  # lost, late or given up: what may still come belongs to nobody
                    self._hang_up()
        if answer.isError():
            code = answer.exception_code
            reason = _SAYS_NO.get(code, "no reason given")
            raise Refused(f"{self._where}: refused: {reason} [{code}]", retry_after_s=10.0 if code == _BUSY else 0.0)
        return answer

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._hang_up()
        client = self._client = await _client(self._host, self._port)
        if not await client.connect():
            self._hang_up()
            raise Unreachable(f"{self._where}: cannot be reached", hint="check power, network and `host`")
        return client

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


async def _client(host: str, port: int) -> AsyncModbusTcpClient:
    try:
        # An extra that few houses need; on a small computer seconds, which must hold nobody up.
        module = await asyncio.to_thread(import_module, "pymodbus.client")
    except ImportError as error:
        raise Refused(f"Modbus {host}: needs pymodbus", hint="pip install 'loadctl[modbus]'") from error
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it logs each lost answer with a dump; we tell it once
    client: AsyncModbusTcpClient = module.AsyncModbusTcpClient(
        host, port=port, timeout=_PATIENCE_S, retries=0, reconnect_delay=0
    )
    return client


async def _asked(
    client: AsyncModbusTcpClient, question: Callable[[AsyncModbusTcpClient], Awaitable[Any]], where: str
) -> Any:
    from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException  # noqa: PLC0415

    try:
        return await question(client)
    except (ConnectionException, ModbusIOException, OSError) as error:
        raise Unreachable(f"{where}: no answer", hint="is it powered, and is Modbus TCP switched on in it?") from error
    except ModbusException as error:
        raise Garbled(f"{where}: its answer cannot be read") from error
