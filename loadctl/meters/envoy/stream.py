"""`/stream/meter`: about one frame a second as server-sent events, on some firmware in bursts. The last one counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loadctl.drivers import Clock
from loadctl.errors import DeviceError, Refused, Unreachable
from loadctl.meters.envoy.link import Link
from loadctl.meters.envoy.pages import STREAM
from loadctl.meters.envoy.wire import decode

_PATIENCE_S = 5.0  # without a new frame for so long, the old one is shown again and ages
_BURST_AFTER_S = 8.0  # D7.0.88 holds 21-23 frames back for as many seconds

INSTALLER = "the stream needs installer rights on most firmware; use `source: readings`"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, the time it came on our clock, and whether it came after a long silence."""

    value: Any
    at: float
    late: bool


class Stream:
    """Reads on in the background, so that frames never pile up; `next` gives the last one."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._frame: Frame | None = None
        self._error: DeviceError | None = None

    async def next(self) -> Frame:
        """Return a frame that was not given yet, or the last one if none comes. Raises DeviceError."""
        if self._task is None:
            self._frame = self._error = None
            self._news.clear()
            self._task = asyncio.create_task(self._follow(), name="envoy stream")
        with suppress(TimeoutError):
            # The first frame waits for the connection, which has its own, longer time-out.
            async with asyncio.timeout(_PATIENCE_S if self._frame else None):
                await self._news.wait()
        self._news.clear()
        if self._error:
            error = self._error
            await self.close()
            raise error
        if self._frame is None:
            await self.close()
            raise Refused(f"{STREAM}: the stream ended without a single frame", hint=INSTALLER)
        if self._task.done():
            await self.close()
            raise Unreachable(f"{STREAM}: the stream ended")
        return self._frame

    async def close(self) -> None:
        """Stop reading; `next` starts again."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _follow(self) -> None:
        try:
            async with self._link.stream(STREAM) as response:
                async for line in response.aiter_lines():
                    self._take(line)
        except DeviceError as error:
            self._error = error
        finally:
            self._news.set()

    def _take(self, line: str) -> None:
        """Keep a frame. Lines that were cut or glued together are skipped, the connection is kept."""
        if not line.startswith("data:"):
            return
        with suppress(DeviceError):
            value = decode(line.removeprefix("data:"), STREAM)
            at = self._clock.now()
            late = self._frame is not None and at - self._frame.at > _BURST_AFTER_S
            self._frame = Frame(value, at, late)
            self._news.set()
