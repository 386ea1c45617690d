"""What a kWh costs: always the same, by the hours of the day, or as an input tells from one hour to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise

from loadctl.core.calendar import openings
from loadctl.core.rules import Window
from loadctl.core.values import Daylight

Hours = tuple[float, float]  # POSIX, from when to when


@dataclass(frozen=True, slots=True)
class Rate:
    """A price per kWh in some hours."""

    price: float
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """A price per kWh: that of the first of `rates` whose hours these are, else the `usual` one. It may be negative.

    `input` names a value that tells the price of now. While it is not known, and for the hours to come as long as
    nothing was learned about them, the rates count.
    """

    usual: float
    rates: tuple[Rate, ...] = ()
    input: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time (POSIX) in which no price changes."""

    start: float
    end: float
    import_price: float
    export_price: float


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the house pays for a kWh and what it is paid."""

    buy: Price = Price(0.30)
    sell: Price = Price(0.08)

    def prices(self, start: float, end: float, zone: tzinfo, daylight: Mapping[int, Daylight]) -> tuple[Piece, ...]:
        """Return the course of the prices from `start` to `end` as the rates have it, in order and without gaps."""
        buy = [_hours(rate, start, end, zone, daylight) for rate in self.buy.rates]
        sell = [_hours(rate, start, end, zone, daylight) for rate in self.sell.rates]
        edges = {edge for hours in buy + sell for each in hours for edge in each if start < edge < end}
        cuts = [start, *sorted(edges), end]
        return tuple(
            Piece(here, there, _at(self.buy, buy, here), _at(self.sell, sell, here)) for here, there in pairwise(cuts)
        )


def _hours(rate: Rate, start: float, end: float, zone: tzinfo, daylight: Mapping[int, Daylight]) -> list[Hours]:
    first, last = (datetime.fromtimestamp(at, zone).toordinal() for at in (start, end))
    return openings(rate.windows, range(first - 1, last + 2), zone, daylight)


def _at(price: Price, hours: list[list[Hours]], at: float) -> float:
    for rate, times in zip(price.rates, hours, strict=True):
        if any(start <= at < end for start, end in times):
            return rate.price
    return price.usual
