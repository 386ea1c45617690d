"""Traces cut into the days of the site: each is scored by itself, from midnight to midnight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta, tzinfo
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from loadctl.config.findings import Findings
from loadctl.config.zones import find
from loadctl.errors import LoadctlError
from loadctl.lab.formats.table import cell, column, head, lines
from loadctl.lab.trace import Moment, Trace, read_csv

HALF_A_YEAR = timedelta(days=182)
SHORTEST_S = 6 * 3600.0  # a stub at either end of a trace is no day


def clock_of(path: Path) -> ZoneInfo:
    """Return the clock that a trace is written in, or this computer's if it does not say. Raises LoadctlError."""
    with lines(path) as reader:
        time_at = column(head(next(reader, [])), "time")
        text = cell(next(reader, []), time_at)
    try:
        first = datetime.fromisoformat(text)
    except ValueError:
        first = None  # whoever reads it says what is wrong with it
    if first is None or first.tzinfo is None:
        return find(None, (), Findings(str(path)))
    zone = zone_at(first)
    if zone is None:
        raise LoadctlError(f"{path}: no place has the clock of {text}: write `site: {{timezone: …}}` in the rules")
    return zone


def zone_at(moment: datetime) -> ZoneInfo | None:
    """Return the zone that a time is told in: if it has an offset only, one without summer time where there is any."""
    if isinstance(moment.tzinfo, ZoneInfo):
        return moment.tzinfo
    offset = moment.utcoffset() or timedelta()
    hours, rest = divmod(offset, timedelta(hours=1))
    if not rest and -12 <= hours <= 14:
        return ZoneInfo(f"Etc/GMT{-hours:+d}" if hours else "UTC")
    zones = [zone for zone in map(ZoneInfo, sorted(available_timezones())) if _offset(zone, moment) == offset]
    return next((zone for zone in zones if _offset(zone, moment + HALF_A_YEAR) == offset), next(iter(zones), None))


def _offset(zone: tzinfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


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
