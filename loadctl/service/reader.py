"""Reads the meter, one question at a time, and passes on the answers. Who gives none is asked ever more rarely."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable

from loadctl.core.values import Sample
from loadctl.drivers import Clock, Meter
from loadctl.errors import DeviceError, Unreachable

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
ANSWER_LIMIT_S = 60.0  # real seconds; a driver's own time-outs are shorter, this is for the device that drips bytes

_log = logging.getLogger(__name__)


class Reader:
    """The task that owns the meter. `sample` is the latest reading; `wake` is called for each new one."""

    def __init__(self, meter: Meter, clock: Clock, wake: Callable[[], None]) -> None:
        self.sample: Sample | None = None
        self.readings = 0
        self.errors: Counter[str] = Counter()
        self._meter = meter
        self._clock = clock
        self._wake = wake
        self._trouble: str | None = None
        self._silent_since = 0.0
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        while True:
            asked_at = self._clock.now()
            try:
                sample = await ask_meter(self._meter)
            except DeviceError as error:
                await self._clock.sleep(self._after(error))
            else:
                self._publish(sample)
                await self._clock.sleep(self._meter.every_s - (self._clock.now() - asked_at))

    async def close(self) -> None:
        await self._meter.close()

    def _publish(self, sample: Sample) -> None:
        self.sample = sample
        self.readings += 1
        if self._trouble is not None:
            _log.info("meter: answers again after %.0f s", self._clock.now() - self._silent_since)
        self._trouble = None
        self._pause_s = FIRST_PAUSE_S
        self._wake()

    def _after(self, error: DeviceError) -> float:
        """Return how long to leave the meter alone. Each kind of trouble is said once, not at each attempt."""
        self.errors[error.kind] += 1
        # Jitter: several programs that lost the same box must not come back to it in step.
        pause_s = max(error.retry_after_s, self._pause_s * random.uniform(1.0, 1.2))  # noqa: S311
        if self._trouble is None:
            self._silent_since = self._clock.now()
        if self._trouble != error.kind:
            _log.warning("meter: %s; asking again in %.0f s, then ever more rarely", error, pause_s)
        self._trouble = error.kind
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return pause_s


async def ask_meter(meter: Meter, limit_s: float = ANSWER_LIMIT_S) -> Sample:
    """Read once, within `limit_s`. Raises DeviceError."""
    try:
        async with asyncio.timeout(limit_s):
            return await meter.read()
    except TimeoutError as error:
        raise Unreachable(f"the meter gave no whole answer in {limit_s:.0f} s") from error
