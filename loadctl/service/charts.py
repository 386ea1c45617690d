"""What charts and tables of the past are made of: columns of means, energy by day or month, and what it cost.

SQLite does the sums, so that years of minutes cost a thread little of the interpreter, which the tick needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from loadctl.errors import LoadctlError
from loadctl.outlook.tariff import Price, Tariff
from loadctl.service.history import HOUSE, History
from loadctl.service.ledger import Money, Portion

Resolution = Literal["minute", "quarter", "hour", "day"]
Period = Literal["day", "month"]

MINUTES: Mapping[Resolution, int] = {"minute": 1, "quarter": 15, "hour": 60, "day": 1440}
MOST_POINTS: Mapping[Resolution, int] = {"minute": 2 * 1440 + 120, "quarter": 3000, "hour": 9000, "day": 1500}
COLUMNS = ("pv_w", "load_w", "grid_w", "battery_w", "soc_pct")
MOST_PERIODS = 1500
COMPLETE = 0.999  # of the time for which energy is known: sums of many small numbers differ a little

_MEANS = ", ".join(
    f"total({name} * seconds) / nullif(total(CASE WHEN {name} IS NULL THEN 0 ELSE seconds END), 0)" for name in COLUMNS
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Means in W (and %) from `time` (POSIX) on, as long as the resolution says; None: not known. A gap is a row of
    them. `loads`: by name.
    """

    resolution: Resolution
    time: list[int]
    house: Mapping[str, list[float | None]]
    loads: Mapping[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class Sums:
    """What a day or a month came to: energy of the house by the kinds of HOUSE, and by load; `sun`: what of a load's
    was not bought. `paid`: for import less export; `saved`: against buying all that was used. None: nobody knows.
    """

    period: str
    house: Mapping[str, Portion] = field(default_factory=dict)
    loads: Mapping[str, Portion] = field(default_factory=dict)
    sun: Mapping[str, Portion] = field(default_factory=dict)
    paid: float | None = None
    saved: float | None = None


def finest(begin: datetime, end: datetime) -> Resolution:
    """Return the resolution that draws a span well: about a screen's width of points."""
    days = (end - begin).total_seconds() / 86400
    return "minute" if days <= 1.1 else "quarter" if days <= 16 else "hour" if days <= 62 else "day"


def columns(history: History, begin: datetime, end: datetime, resolution: Resolution, loads: Iterable[str]) -> Columns:
    """Return the means of a span, also of `loads` that never ran. Raises LoadctlError for too many points."""
    length_s = MINUTES[resolution] * 60
    most = MOST_POINTS[resolution]
    if (end - begin).total_seconds() / length_s > most:
        days = most * length_s // 86400
        raise LoadctlError(f"too long for `{resolution}`: at most {days} days, or take a coarser resolution")
    known: list[tuple[int, tuple[Any, ...], Mapping[str, float]]] = []
    for first, until in _spans(history, begin, end, resolution):
        known += _means(history, first, until, resolution)
    names = sorted({*loads, *(name for _, _, drawn in known for name in drawn)})
    found = Columns(resolution, [], {name: [] for name in COLUMNS}, {name: [] for name in names})
    expected: int | None = None
    for at, means, drawn in known:
        while expected is not None and resolution != "day" and expected < at:
            _add(found, expected, (None,) * len(COLUMNS), None)
            expected += length_s
        _add(found, at, means, drawn if means[2] is not None or means[0] is not None or drawn else None)
        expected = at + length_s
    return found


def totals(history: History, by: Period, first: date, last: date, tariff: Tariff) -> list[Sums]:
    """Return the sums of each day or month from `first` to `last`; those of which nothing is known are missing.

    Raises LoadctlError for more of them than are shown.
    """
    if (last - first).days > MOST_PERIODS * (1 if by == "day" else 30):
        raise LoadctlError(f"too long: at most {MOST_PERIODS} {by}s at once")
    found: dict[str, Sums] = {}
    letters = 10 if by == "day" else 7
    for period, kind, load, wh, seconds, starts in history.energy(first, last, letters):
        sums = found.setdefault(period, Sums(period, {}, {}, {}))
        part: Any = sums.loads if kind == "load" else sums.sun if kind == "sun" else sums.house
        if kind in ("load", "sun") or kind in HOUSE:
            part[load or kind] = Portion(wh, seconds, starts)
    kept: dict[str, dict[str, Money]] = {}
    for period, kind, amount, seconds in history.money(first, last, letters):
        kept.setdefault(period, {})[kind] = Money(amount, seconds)
    return [_paid(sums, kept.get(sums.period, {})) or _priced(history, sums, tariff) for sums in found.values()]


def _paid(sums: Sums, kept: Mapping[str, Money]) -> Sums | None:
    """Return the sums with the money as it was written down; None: it was not, or not for all of the time."""
    paid, used = (
        kept[kind].amount if kind in kept and kept[kind].seconds >= sums.house[flow].seconds * COMPLETE else None
        for kind, flow in (("paid", "import"), ("used", "consumption"))
    )
    if paid is None or (used is None and "consumption" in sums.house):
        return None
    return replace(sums, paid=round(paid, 4), saved=None if used is None else round(used - paid, 4))


def _priced(history: History, sums: Sums, tariff: Tariff) -> Sums:
    """Return the sums with the money by today's tariff. What an input told then, nobody knows any more."""
    bought, sold, used = (sums.house.get(kind, Portion()).wh / 1000 for kind in ("import", "export", "consumption"))
    if tariff.buy.input is not None or tariff.sell.input is not None or "import" not in sums.house:
        return sums
    buys, would_buy, sells = (price.usual for price in (tariff.buy, tariff.buy, tariff.sell))
    if tariff.buy.rates or tariff.sell.rates:
        buys, would_buy, sells = _by_the_hour(history, sums.period, tariff)
    paid = bought * buys - sold * sells
    saved = used * would_buy - paid if "consumption" in sums.house else None
    return replace(sums, paid=round(paid, 4), saved=None if saved is None else round(saved, 4))


def _by_the_hour(history: History, period: str, tariff: Tariff) -> tuple[float, float, float]:
    """Return the mean prices of what was bought, of what was used, and of what was sold, by when it was."""
    begin, end = _bounds(history, period)
    kwh, money = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    for piece in tariff.prices(begin.timestamp(), end.timestamp(), history.zone, {}):
        prices = (piece.import_price, piece.import_price, piece.export_price)
        for index, wh in enumerate(history.flows(piece.start, piece.end)):
            kwh[index] += wh / 1000
            money[index] += wh / 1000 * prices[index]
    usual: tuple[Price, ...] = (tariff.buy, tariff.buy, tariff.sell)
    buys, would_buy, sells = (money[index] / kwh[index] if kwh[index] > 0 else usual[index].usual for index in range(3))
    return buys, would_buy, sells


def _bounds(history: History, period: str) -> tuple[datetime, datetime]:
    """Return the midnights that a day (`2025-06-21`) or a month (`2025-06`) begins and ends with."""
    if len(period) > 7:
        first = date.fromisoformat(period)
        after = first + timedelta(days=1)
    else:
        first = date.fromisoformat(f"{period}-01")
        after = (first + timedelta(days=31)).replace(day=1)
    return datetime.combine(first, time(), history.zone), datetime.combine(after, time(), history.zone)


def _spans(
    history: History, begin: datetime, end: datetime, resolution: Resolution
) -> Iterator[tuple[datetime, datetime]]:
    """Yield what is asked for at once: the whole, or each day of the site, since days differ in length."""
    if resolution != "day":
        yield begin, end
        return
    day = begin.astimezone(history.zone).date()
    while (first := datetime.combine(day, time(), history.zone)) < end:
        day += timedelta(days=1)
        yield max(first, begin.astimezone(history.zone)), min(datetime.combine(day, time(), history.zone), end)


def _means(
    history: History, begin: datetime, end: datetime, resolution: Resolution
) -> list[tuple[int, tuple[Any, ...], Mapping[str, float]]]:
    """Return (POSIX, means of the house, W by load) of each stretch in which anything is known."""
    length = MINUTES[resolution]
    if resolution == "day":
        length = 10**9  # one stretch, as long as the day is
    offset = begin.astimezone(history.zone).utcoffset() or timedelta()
    shift = int(offset.total_seconds() // 60) % length if resolution != "day" else 0
    house, drawn = history.stretches(begin, end, length, shift, _MEANS)
    by_load: dict[int, dict[str, float]] = {}
    seconds = {index: (measured or stretch) for index, measured, stretch, *_ in house}
    for index, load, wh in drawn:
        by_load.setdefault(index, {})[load] = wh * 3600 / seconds.get(index, length * 60.0)
    at = {index: (index * length - shift) * 60 if resolution != "day" else int(begin.timestamp()) for index in seconds}
    return [(at[index], tuple(means), by_load.get(index, {})) for index, _, _, *means in house]


def _add(found: Columns, at: int, means: tuple[Any, ...], drawn: Mapping[str, float] | None) -> None:
    found.time.append(at)
    for name, value in zip(COLUMNS, means, strict=True):
        found.house[name].append(None if value is None else round(value, 1))
    for name, values in found.loads.items():
        values.append(None if drawn is None else round(drawn.get(name, 0.0), 1))
