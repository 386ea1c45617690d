"""The log of decisions: one line for each verdict that changes, with the reason and the numbers."""

from __future__ import annotations

import logging

from loadctl.core.values import Outcome, Tick, Verdict
from loadctl.service.daemon import Daemon
from loadctl.service.ledger import PASSING
from loadctl.telling.explain import explain
from loadctl.units import watts

_LOUD = {Verdict.SHED, Verdict.BLIND, Verdict.OUTAGE, Verdict.FAULT, Verdict.NEED_AT_RISK, Verdict.WELDED, Verdict.IDLE}

_log = logging.getLogger("loadctl")


class Journal:
    """An observer that remembers only the last verdict of each load."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._last: dict[str, Verdict] = {}

    def __call__(self, tick: Tick, outcome: Outcome) -> None:
        site = self._daemon.house.site
        for index, (load, verdict) in enumerate(zip(site.loads, outcome.verdicts, strict=True)):
            old = self._last.get(load.name)
            if verdict is old:
                continue
            self._last[load.name] = verdict
            said = explain(site, outcome, tick, index).text
            level = logging.WARNING if verdict in _LOUD else logging.DEBUG if verdict in PASSING else logging.INFO
            change = f"{old} → {verdict}" if old else str(verdict)
            _log.log(level, "%s: %s: %s (%s)", load.name, change, said, _numbers(tick, outcome, index))


def _numbers(tick: Tick, outcome: Outcome, index: int) -> str:
    spare_w = outcome.spare_w[index] if index < len(outcome.spare_w) else None
    known = {
        "grid": tick.sample.grid_w if tick.sample else None,
        "surplus": outcome.surplus_w,
        "spare": spare_w,
    }
    return ", ".join(f"{name} {'?' if power_w is None else watts(power_w)}" for name, power_w in known.items())
