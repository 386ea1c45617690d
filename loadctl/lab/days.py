"""Traces cut into the days of the site: each is scored by itself, from midnight to midnight."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from loadctl.lab.trace import Moment, Trace, read_csv

SHORTEST_S = 6 * 3600.0  # a stub at either end of a trace is no day


def clock_of(path: Path) -> tzinfo:
    """Return the clock that a trace is written in: a zone without summer time, UTC if it does not say."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = next(csv.DictReader(file), None) or {}
        offset = datetime.fromisoformat(first.get("time") or "").utcoffset()
    except (OSError, UnicodeDecodeError, ValueError):
        return UTC  # whoever reads it says what is wrong with it
    hours = round(offset.total_seconds() / 3600) if offset else 0
    return ZoneInfo(f"Etc/GMT{-hours:+d}" if hours else "UTC")


def days(path: Path, zone: tzinfo | None = None) -> list[Trace]:
    """Read a trace and cut it at local midnight; `zone` None: by the clock of its first row.

    Raises LoadctlError that says where and what is wrong with it.
    """
    trace = read_csv(path, zone or clock_of(path))
    cut = groupby(
        (piece for moment in trace.moments for piece in _pieces(moment, trace.zone)),
        key=lambda moment: datetime.fromtimestamp(moment.time, trace.zone).date(),
    )
    found = [(date, tuple(moments)) for date, moments in cut]
    whole = [(date, moments) for date, moments in found if sum(moment.for_s for moment in moments) >= SHORTEST_S]
    if len(whole) <= 1:
        return [Trace(trace.name, trace.zone, moments) for _, moments in whole or found[:1]]
    return [Trace(f"{trace.name} {date}", trace.zone, moments) for date, moments in whole]


def _pieces(moment: Moment, zone: tzinfo) -> Iterator[Moment]:
    """Yield a row in pieces that end at midnight, without what a battery did: a plan can do nothing about it."""
    end = moment.time + moment.for_s
    moment = replace(moment, battery_w=None)
    while moment.time < end:
        tomorrow = datetime.fromtimestamp(moment.time, zone).date() + timedelta(days=1)
        until = min(end, datetime.combine(tomorrow, time(0), zone).timestamp())
        yield replace(moment, for_s=until - moment.time)
        moment = replace(moment, time=until, for_s=end - until)
