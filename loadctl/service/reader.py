"""Reads what tells something, the meter or an input: one question at a time, and who gives no answer is asked ever more
rarely.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from loadctl.drivers import Clock
from loadctl.errors import DeviceError, Unreachable

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
ANSWER_LIMIT_S = 60.0  # real seconds; a driver's own time-outs are shorter, this is for the device that drips bytes

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_log = logging.getLogger(__name__)


class Readable(Protocol[T_co]):
    """A meter, or an input that is read like one."""

    @property
    def every_s(self) -> float: ...
    async def read(self) -> T_co: ...
    async def close(self) -> None: ...


class Reader(Generic[T]):
    """The task that owns a source. `sample` is the latest reading; `wake` is called for each new one."""

    def __init__(self, source: Readable[T], clock: Clock, wake: Callable[[], None], name: str = "meter") -> None:
        self.sample: T | None = None
        self.readings = 0
        self.errors: Counter[str] = Counter()
        self.name = name
        self._source = source
        self._clock = clock
        self._wake = wake
        self._trouble: str | None = None
        self._silent_since = 0.0
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        while True:
            end_if_told()
            asked_at = self._clock.now()
            try:
                sample = await ask(self._source, self.name)
            except DeviceError as error:
                await self._clock.sleep(self._after(error))
            else:
                self._publish(sample)
                await self._clock.sleep(self._source.every_s - (self._clock.now() - asked_at))

    async def close(self) -> None:
        await self._source.close()

    def _publish(self, sample: T) -> None:
        self.sample = sample
        self.readings += 1
        if self._trouble is not None:
            _log.info("%s: answers again after %.0f s", self.name, self._clock.now() - self._silent_since)
        self._trouble = None
        self._pause_s = FIRST_PAUSE_S
        self._wake()

    def _after(self, error: DeviceError) -> float:
        """Return how long to leave it alone. Each kind of trouble is said once, not at each attempt."""
        self.errors[error.kind] += 1
        # Jitter: several programs that lost the same box must not come back to it in step.
        pause_s = max(error.retry_after_s, self._pause_s * random.uniform(1.0, 1.2))  # noqa: S311
        if self._trouble is None:
            self._silent_since = self._clock.now()
        if self._trouble != error.kind:
            _log.warning("%s: %s; asking again in %.0f s, then ever more rarely", self.name, error, pause_s)
        self._trouble = error.kind
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return pause_s


def end_if_told() -> None:
    """Raise CancelledError in a task that was told to end, and to which somebody on the way did not pass it on.

    `asyncio.wait_for` in a driver's library does so before Python 3.12, if the answer comes in the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def ask(source: Readable[T], name: str = "meter", limit_s: float = ANSWER_LIMIT_S) -> T:
    """Read once, within `limit_s`. Raises DeviceError."""
    try:
        async with asyncio.timeout(limit_s):
            return await source.read()
    except TimeoutError as error:
        raise Unreachable(f"the {name} gave no whole answer in {limit_s:.0f} s") from error
