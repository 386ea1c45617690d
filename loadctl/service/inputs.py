"""What conditions are about, by name: the inputs of the rule file, and what meter, appliances and prices say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from loadctl.core.values import Input, Outlook, Report, Sample
from loadctl.drivers import Clock, InputSource
from loadctl.inputs.known import of_load, of_meter, of_prices
from loadctl.service.reader import Reader

LOAD_MAX_AGE_S = 660.0  # no driver reads back more rarely than every 5 min; one answer may be lost


@dataclass(frozen=True, slots=True)
class _Timed:
    """An input source that says when its value was read."""

    source: InputSource
    clock: Clock

    @property
    def every_s(self) -> float:
        return self.source.every_s

    async def read(self) -> Input:
        value = await self.source.read()
        return Input(value, self.clock.now(), self.source.max_age_s)

    async def close(self) -> None:
        await self.source.close()


class Inputs:
    """All inputs. The daemon runs each reader as a task of its own; `wake` is called for each new value.

    `snapshot` gives the same mapping again while nothing in it has changed.
    """

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self.readers: dict[str, Reader[Input]] = {}
        self._clock = clock
        self._wake = wake
        self._loads: dict[str, Input] = {}
        self._loads_seen = 0
        self._seen: tuple[object, ...] = ()
        self._snapshot: Mapping[str, Input] = {}

    def open(self, name: str, source: InputSource) -> Reader[Input]:
        """Take a source in; whoever opened it runs the reader and, at the end, closes it."""
        reader = self.readers[name] = Reader(_Timed(source, self._clock), self._clock, self._wake, f"input {name}")
        return reader

    def close(self, name: str) -> Reader[Input]:
        """Let go of a source and of its value."""
        return self.readers.pop(name)

    @property
    def latest(self) -> dict[str, Input]:
        """The last value of each input of the rule file that has one, however old."""
        return {name: reader.sample for name, reader in self.readers.items() if reader.sample is not None}

    def snapshot(self, sample: Sample | None, reports: Iterable[Report], outlook: Outlook) -> Mapping[str, Input]:
        """Return what is known by name; `reports` are those that came since the last call."""
        for report in reports:
            self._take(report)
        latest = self.latest
        seen = (sample, outlook.import_price, outlook.export_price, self._loads_seen, latest)
        if seen != self._seen:
            self._seen = seen
            prices = of_prices(outlook, self._clock.now())
            self._snapshot = {**of_meter(sample), **prices, **self._loads, **latest}
        return self._snapshot

    def _take(self, report: Report) -> None:
        for key, value in of_load(report):
            self._loads[f"{report.load}.{key}"] = Input(value, report.read_at, LOAD_MAX_AGE_S)
            self._loads_seen += 1
