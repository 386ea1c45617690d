"""The house's own past as a trace: the minutes that loadctl wrote down, without what its loads drew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from loadctl.errors import LoadctlError
from loadctl.lab.formats import Row, Source
from loadctl.lab.formats.own_history import remembered
from loadctl.lab.trace import Trace, streamed
from loadctl.service.history import History


def history_trace(path: Path, begin: datetime, end: datetime) -> Trace:
    """Take the minutes from `begin` to `end` out of the memory at `path`; they are read as they are lived.

    Raises LoadctlError if there is no history, or none of that time.
    """
    with History(path) as history:
        zone = history.zone
        some = next(history.minutes(begin, end), None)
    if some is None:
        raise LoadctlError(
            f"{path}: nothing is written down from {begin.astimezone(zone):%F %H:%M} to {end.astimezone(zone):%F %H:%M}"
        )
    return streamed("history", zone, Source(partial(_rows, path, begin, end)), str(path))


def _rows(path: Path, begin: datetime, end: datetime) -> Iterator[Row]:
    with History(path) as history:
        for minute in history.minutes(begin, end):
            own_w = sum(watts for watts, _ in minute.loads.values())
            measured = minute.seconds > 0
            powers = (minute.pv_w, minute.load_w, minute.grid_w, minute.battery_w, minute.soc_pct)
            yield remembered(minute.begin.timestamp(), *powers, own_w, measured=measured)
