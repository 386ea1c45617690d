"""Virtual time: an event loop that jumps ahead instead of sleeping, and a clock on it. Nothing is patched."""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any


class _Jump(selectors.DefaultSelector):
    """Looks for input without waiting; where a real selector would have waited, time has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio.Runner(loop_factory=VirtualLoop)`: `sleep`, `timeout` and `loop.time()` are virtual at once."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


VIRTUAL: Any = ("asyncio", {"loop_factory": VirtualLoop})  # what a module's `anyio_backend` fixture returns


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """The loop's time; its wall clock began at `begin`."""

    begin: datetime = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    zone: tzinfo = UTC

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> datetime:
        return (self.begin + timedelta(seconds=self.now())).astimezone(self.zone)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
