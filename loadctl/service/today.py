"""What flowed since the site's midnight: an observer that adds what the ticks bring to what the memory has of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from loadctl.core.values import Outcome, Tick
from loadctl.errors import LoadctlError
from loadctl.service.charts import totals
from loadctl.service.daemon import Daemon
from loadctl.service.history import History
from loadctl.service.ledger import Portion

Flows = dict[str, float]


@dataclass(slots=True)
class _Day:
    """One day: what there was when we began to look, and the counters of the daemon at that moment.

    `paid`, `saved`: money up to now; None: nobody knows what was paid before we looked.
    """

    ordinal: int
    house_wh: Flows = field(default_factory=dict)
    sun_wh: Flows = field(default_factory=dict)
    house_from: Flows = field(default_factory=dict)
    sun_from: Flows = field(default_factory=dict)
    paid: float | None = 0.0
    saved: float | None = 0.0


class Today:
    """Make it before the daemon runs, so that nothing is counted twice. Without a memory nothing is known."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._day = _from_memory(daemon)
        self._counted: Flows = {}

    def __call__(self, tick: Tick, _outcome: Outcome) -> None:
        if tick.wall.toordinal() != self._day.ordinal:
            self._day = _Day(tick.wall.toordinal(), house_from=dict(self._house), sun_from=self._sun)
        now = dict(self._house)
        bought, sold, used = (
            (now.get(kind, 0.0) - self._counted.get(kind, 0.0)) / 1000 for kind in ("import", "export", "consumption")
        )
        self._counted = now
        paid = bought * tick.outlook.import_price - sold * tick.outlook.export_price
        if self._day.paid is not None:
            self._day.paid += paid
        if self._day.saved is not None:
            self._day.saved += used * tick.outlook.import_price - paid

    @property
    def house_wh(self) -> Mapping[str, float]:
        """Energy of the house by flow: import, export, production, consumption..., as far as it was measured."""
        return _sum(self._day.house_wh, self._house, self._day.house_from)

    def sun_wh(self, load: str) -> float:
        """Return the part of what a load had today that was not bought."""
        return _sum(self._day.sun_wh, self._sun, self._day.sun_from).get(load, 0.0)

    @property
    def paid(self) -> float | None:
        """What was paid for import, less what export earned; None: nobody knows."""
        return self._day.paid if "import" in self.house_wh else None

    @property
    def saved(self) -> float | None:
        """What was saved against buying all that was used; None: nobody knows."""
        return self._day.saved if {"import", "consumption"} <= self.house_wh.keys() else None

    @property
    def _house(self) -> Mapping[str, float]:
        return self._daemon.memory.energy_wh if self._daemon.memory is not None else {}

    @property
    def _sun(self) -> Flows:
        return {name: origin.sun_wh for name, origin in self._daemon.energy.origins.items()}


def _sum(before: Flows, now: Mapping[str, float], since: Flows) -> Flows:
    return {key: before.get(key, 0.0) + now.get(key, 0.0) - since.get(key, 0.0) for key in before.keys() | now.keys()}


def _from_memory(daemon: Daemon) -> _Day:
    """Return what the last run wrote down of today; a file that cannot be read knows nothing of it."""
    today: date = daemon.clock.wall().astimezone(daemon.house.zone).date()
    if daemon.memory is None:
        return _Day(today.toordinal())
    try:
        with History(daemon.memory.path) as history:
            known = next(iter(totals(history, "day", today, today, daemon.house.tariff)), None)
    except LoadctlError:
        return _Day(today.toordinal())
    if known is None:
        return _Day(today.toordinal())
    return _Day(today.toordinal(), _wh(known.house), _wh(known.sun), paid=known.paid, saved=known.saved)


def _wh(portions: Mapping[str, Portion]) -> Flows:
    return {name: portion.wh for name, portion in portions.items()}
