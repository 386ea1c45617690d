"""The shared Modbus connection against a server written here, byte by byte (Modbus Messaging on TCP/IP V1.0b)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from loadctl.actuators.modbus import borrow
from loadctl.drivers import Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio


@dataclass
class Box:
    """Answers reads with the address of each register; remembers connections, and how many requests it held at once."""

    connections: int = 0
    open: int = 0
    held: int = 0
    most_held: int = 0
    written: list[tuple[int, ...]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    error: int = 0
    silent: bool = False
    slow: asyncio.Event | None = None
    short: bool = False
    drops: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                request = await reader.readexactly(length - 1)
                if self.drops:
                    return
                self.held += 1
                self.most_held = max(self.most_held, self.held)
                if self.slow:
                    await self.slow.wait()
                await asyncio.sleep(0)
                if not self.silent:
                    answer = self._answer(request)
                    writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
                    await writer.drain()
                self.held -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", request[:5])
        self.asked.append(address)
        if self.error:
            return bytes([function | 0x80, self.error])
        if function == 3:
            values = range(address, address + count - self.short)
            return struct.pack(">BB", 3, 2 * len(values)) + b"".join(struct.pack(">H", value) for value in values)
        assert function == 16
        self.written.append(struct.unpack(f">{count}H", request[6:]))
        return request[:5]


@asynccontextmanager
async def served(box: Box) -> AsyncIterator[int]:
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def gone(box: Box) -> None:
    async with asyncio.timeout(5):
        while box.open:  # noqa: ASYNC110 - the server offers no event
            await asyncio.sleep(0.01)


async def test_loads_at_one_address_share_one_connection_and_take_turns() -> None:
    box, shared = Box(), Shared(Clock())
    async with served(box) as port:
        first, second = borrow(shared, "127.0.0.1", port), borrow(shared, " 127.0.0.1", port)
        assert first is second
        answers = await asyncio.gather(*(first.read(1, 1000 + n, 2) for n in range(8)), second.write(1, 7, [1, 65535]))
        assert answers[:-1] == [(1000 + n, 1001 + n) for n in range(8)]
        assert (box.connections, box.most_held, box.written) == (1, 1, [(1, 65535)])
        await first.close()
        assert await second.read(1, 5, 1) == (5,)
        assert box.connections == 1
        await second.close()
        await gone(box)
        again = borrow(shared, "127.0.0.1", port)
        assert await again.read(1, 5, 1) == (5,)
        await again.close()
        await gone(box)


async def test_who_is_in_a_hurry_passes_those_that_wait() -> None:
    box, shared = Box(slow=asyncio.Event()), Shared(Clock())
    async with served(box) as port:
        bus = borrow(shared, "127.0.0.1", port)
        waiting = [asyncio.create_task(bus.read(1, address, 1)) for address in (10, 20, 30, 40)]
        async with asyncio.timeout(5):
            while not box.held:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        off = asyncio.create_task(bus.read(1, 99, 1, hurry=True))
        await asyncio.sleep(0)
        assert box.slow
        box.slow.set()
        await asyncio.gather(off, *waiting)
        assert box.asked.index(99) <= 2, "behind the one in flight and the one next in line"
        await bus.close()
        await gone(box)


@pytest.mark.parametrize(
    ("code", "words"),
    [(2, "no such register"), (6, "busy"), (11, "behind the gateway"), (77, "no reason given")],
)
async def test_a_no_is_refused_and_the_line_stays(code: int, words: str) -> None:
    box, shared = Box(error=code), Shared(Clock())
    async with served(box) as port:
        bus = borrow(shared, "127.0.0.1", port)
        with pytest.raises(Refused, match=words) as caught:
            await bus.read(1, 5, 1)
        assert caught.value.retry_after_s == (10.0 if code == 6 else 0.0)
        with pytest.raises(Refused):
            await bus.write(1, 5, [1])
        box.error = 0
        assert await bus.read(1, 5, 1) == (5,)
        assert box.connections == 1
        await bus.close()
        await gone(box)


@pytest.mark.parametrize(("trouble", "kind"), [("short", Garbled), ("drops", Unreachable), ("silent", Unreachable)])
async def test_trouble_and_the_day_after(trouble: str, kind: type[DeviceError]) -> None:
    box, shared = Box(), Shared(Clock())
    async with served(box) as port:
        bus = borrow(shared, "127.0.0.1", port)
        assert await bus.read(1, 5, 2) == (5, 6)
        setattr(box, trouble, True)
        with pytest.raises(kind):
            await bus.read(1, 5, 2)
        setattr(box, trouble, False)
        assert await bus.read(1, 8, 2) == (8, 9)
        await bus.close()
        await gone(box)


async def test_who_gives_up_leaves_no_answer_for_the_next() -> None:
    box, shared = Box(slow=asyncio.Event()), Shared(Clock())
    async with served(box) as port:
        bus = borrow(shared, "127.0.0.1", port)
        task = asyncio.create_task(bus.read(1, 10, 1))
        async with asyncio.timeout(5):
            while not box.held:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert box.slow
        box.slow.set()
        assert await bus.read(1, 20, 1) == (20,)
        await bus.close()
        await gone(box)


async def test_nobody_there() -> None:
    bus = borrow(Shared(Clock()), "127.0.0.1", 1)
    with pytest.raises(Unreachable, match=r"Modbus 127\.0\.0\.1:1: cannot be reached"):
        await bus.read(1, 5, 1)
    await bus.close()
