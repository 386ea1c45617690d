"""What `loadctl run` does, with a clock that runs SPEED times as fast; a process to be killed.

Its time is the machine's monotonic clock, so that it goes on over the end of a process as the real one does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loadctl.config import load
from loadctl.drivers import Shared
from loadctl.service.daemon import Daemon
from loadctl.service.journal import Journal
from loadctl.service.memory import FILE, Memory

SPEED = 6.0


def now() -> float:
    """Seconds of the quick clock."""
    return time.monotonic() * SPEED


@dataclass(frozen=True, slots=True)
class QuickClock:
    """A day that goes by in hours."""

    def now(self) -> float:
        return now()

    def wall(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=now() % 86400)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / SPEED)


async def control(file: Path, folder: Path) -> None:
    """Until killed."""
    house, clock = load(file), QuickClock()
    memory = await Memory.open(folder / FILE, clock, house.site)
    daemon = Daemon(house, Shared(clock), memory=memory)
    daemon.observers.append(Journal(daemon))
    await daemon.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("loadctl").setLevel(logging.INFO)
    asyncio.run(control(Path(sys.argv[1]), Path(sys.argv[2])))
