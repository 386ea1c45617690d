"""A TCP proxy on loopback that does to a connection what a home network does: cuts it, goes silent, drips, mumbles."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

DRIP_S = 1.0
_NOT_HTTP = b"\x00\xff\xfe\x13garbage\r\n\r\n\x7f" * 3


class Mode(StrEnum):
    """What happens to the next bytes, on connections that are open already, too."""

    PASS = "pass"
    SILENT = "silent"  # half-open: taken, and nothing ever comes of it
    RESET = "reset"  # RST instead of an answer
    CUT = "cut"  # half of an answer, then the end
    DRIP = "drip"  # a byte of the answer a second
    GARBAGE = "garbage"  # bytes that are no HTTP


class Proxy:
    """Stands at an address; `target` is who answers there and may change, as after a new DHCP lease.

    `swallowed`: how often something came of which nothing ever comes.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.mode = Mode.PASS
        self.port = 0
        self.swallowed = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        place = urlsplit(self.target)
        try:
            there_reader, there_writer = await asyncio.open_connection(place.hostname, place.port)
        except OSError:
            writer.close()
            return
        both = {writer, there_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._pump(reader, there_writer, answers=False), self._pump(there_reader, writer, answers=True)
            )
        finally:
            self._open -= both
            self.hang_up(both)

    def hang_up(self, writers: Iterable[asyncio.StreamWriter] | None = None) -> None:
        """End connections, all of them if none are named."""
        for writer in tuple(self._open if writers is None else writers):
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if answers or self.mode is Mode.SILENT:
                    data = await self._spoil(data, sink)
                sink.write(data)
                await sink.drain()
        sink.close()

    async def _spoil(self, data: bytes, sink: asyncio.StreamWriter) -> bytes:
        match self.mode:
            case Mode.SILENT:
                self.swallowed += 1
                return b""
            case Mode.RESET:
                # Closed with unsent data and no patience: the kernel sends RST.
                sink.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sink.transport.abort()
                raise ConnectionResetError
            case Mode.CUT:
                sink.write(data[: len(data) // 2])
                raise ConnectionAbortedError
            case Mode.GARBAGE:
                sink.write(_NOT_HTTP)
                raise ConnectionAbortedError
            case Mode.DRIP:
                for index in range(len(data)):
                    sink.write(data[index : index + 1])
                    await sink.drain()
                    await asyncio.sleep(DRIP_S)
                return b""
        return data


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """Put a proxy before the URL `target`."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.hang_up()
        await server.wait_closed()
