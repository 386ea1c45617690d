"""Those who are told what each tick decided: the log, the metrics, the page. They come after the commands.

Each is called in a task of its own, so that a bug in one is no reason to stop controlling: it is told, the one who has
it is left out for a while, longer each time, and then called again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loadctl.core.values import Outcome, Tick

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

Observer = Callable[[Tick, Outcome], None]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Fault:
    """What is known of an observer with a bug."""

    pause_s: float
    back_at: float


class Audience:
    """`observers` are told in their order; they must be quick."""

    def __init__(self) -> None:
        self.observers: list[Observer] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._faults: dict[int, _Fault] = {}

    def tell(self, tick: Tick, outcome: Outcome) -> None:
        """Tell all observers as soon as those who await had their turn; nothing is waited for."""
        for observe in self.observers:
            fault = self._faults.get(id(observe))
            if fault is not None and tick.at < fault.back_at:
                continue
            task = asyncio.create_task(_tell(observe, tick, outcome))
            self._telling.add(task)
            task.add_done_callback(partial(self._told, observe, tick.at))

    async def settled(self) -> None:
        """Wait until everybody has heard everything; does not let go of the loop if that is so."""
        while self._telling:
            await asyncio.wait(self._telling)

    def _told(self, observe: Observer, at: float, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._faults.pop(id(observe), None)
            return
        before = self._faults.get(id(observe))
        pause_s = FIRST_PAUSE_S if before is None else min(before.pause_s * 2, LONGEST_PAUSE_S)
        self._faults[id(observe)] = _Fault(pause_s, at + pause_s)
        name = type(observe).__name__
        _log.error("%s: a bug; loads are controlled all the same, tried again in %.0f s", name, pause_s, exc_info=error)


async def _tell(observe: Observer, tick: Tick, outcome: Outcome) -> None:
    observe(tick, outcome)
