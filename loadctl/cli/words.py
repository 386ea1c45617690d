"""Quantities on the command line, spelt as in the rule file."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

import click

from loadctl.core.units import read


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
