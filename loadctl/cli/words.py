"""Quantities on the command line, spelt as in the rule file."""

from __future__ import annotations

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
