"""Quantities on the command line, spelt as in the rule file."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

import click

from loadctl.units import read


class Duration(click.ParamType[float]):
    """A duration such as `30s` or `5 min`, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return read(str(value), "s")
        except ValueError as error:
            self.fail(str(error), param, ctx)


def read_day(text: str, zone: tzinfo) -> date | None:
    """Read `2025-06-01`, `today` or `yesterday`; None: it is no day."""
    today = datetime.now(zone).date()
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_moment(text: str, zone: tzinfo, option: str, *, end: bool = False) -> datetime:
    """Read a time as `read_time`, or a whole day: its first moment or, at the `end`, the first after it."""
    day = read_day(text, zone)
    if day is not None:
        return datetime.combine(day + timedelta(days=1) if end else day, time(), zone)
    return read_time(text, zone, option, "2025-06-01, today, ")


def read_time(text: str, zone: tzinfo, option: str, days: str = "") -> datetime:
    """Read a time of the site: `14:00` (today), `yesterday 14:00` or a date with a time.

    Raises click.UsageError that names the `option` and, beside `days`, what it takes.
    """
    day, _, clock = text.strip().replace("T", " ").rpartition(" ")
    found = read_day(day or "today", zone)
    try:
        moment = datetime.fromisoformat(text if found is None else f"{found} {clock}")
    except ValueError as error:
        takes = f"{days}14:00, 'yesterday 14:00' or '2025-06-01 14:30'"
        raise click.UsageError(f"{option} {text}: write {takes}") from error
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(zone)
