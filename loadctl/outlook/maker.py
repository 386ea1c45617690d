"""Makes the outlook that each tick carries: the same in the daemon, in replay and in a program that embeds the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from math import exp, inf
from typing import Any

from loadctl.core.values import Daylight, Input, Outlook, Sample, Slot
from loadctl.each_tick import replace
from loadctl.outlook.expect import Expectation, Forecast
from loadctl.outlook.habit import SLOT_S, Habit, clock_slot
from loadctl.outlook.lately import Lately
from loadctl.outlook.sun import Location, daylight
from loadctl.outlook.tariff import Price, Tariff

AHEAD_S = 36 * 3600.0
MINUTE_S = 60.0
# A price that an input tells: so far ahead a third is left of what is unusual about it now.
PRICE_RETURN_S = 6 * 3600.0
# Where nobody knows the place: a latitude at which many houses with panels stand, and the longitude of the clock.
SOME_LATITUDE = 45.0


@dataclass(slots=True)
class _Told:
    """A price that an input tells: its value now, and what is usual at a time of the day."""

    price: Price
    habit: Habit
    now: float | None = None
    day: int = 0
    noted: float = 0.0

    def note(self, now: float | None, wall: datetime, start: float) -> bool:
        """Take in the price of now, once for each quarter of an hour; tell whether it is another than before."""
        if now is not None and start != self.noted:
            if wall.toordinal() != self.day:
                self.habit.fade()
            self.day, self.noted = wall.toordinal(), start
            self.habit.add(clock_slot(wall.hour, wall.minute), now, 1.0)
        changed, self.now = now != self.now, now
        return changed


@dataclass(slots=True)
class OutlookMaker:
    """Learns from what it is noted and makes the outlook. `forecast` goes before what was learned where it knows more.

    Without a `place` the daylight of the clock's longitude is assumed.
    """

    zone: tzinfo
    place: Location | None = None
    tariff: Tariff = field(default_factory=Tariff)
    forecast: Forecast | None = None
    span: tuple[float, float] = (inf, -inf)  # POSIX: prices and daylight are the same from when to when
    _expectation: Expectation = field(init=False)
    _lately: Lately = field(default_factory=Lately)
    _buy: _Told = field(init=False)
    _sell: _Told = field(init=False)
    _told: tuple[_Told, ...] = field(init=False)
    _daylight: dict[int, Daylight] = field(default_factory=dict)
    _slots: tuple[Slot, ...] = ()  # from that of now on, cut in the quarter of an hour `_start`
    _start: float = -inf
    _made: Outlook | None = None
    _from: float = 0.0
    _until: float = -inf

    def __post_init__(self) -> None:
        self._expectation = Expectation(self.zone, self._somewhere())
        self._buy = _Told(self.tariff.buy, Habit(self.tariff.buy.usual, 1.0))
        self._sell = _Told(self.tariff.sell, Habit(self.tariff.sell.usual, 1.0))
        self._told = tuple(each for each in (self._buy, self._sell) if each.price.input is not None)

    def note(self, wall: datetime, sample: Sample, own_w: float) -> None:
        """Learn from a fresh reading; `own_w` is what our own loads draw of it. Outages teach nothing."""
        if sample.grid_up is False or sample.generator:
            return
        seen = sample.grid_w, sample.pv_w, sample.load_w, sample.battery_w
        self.learn(wall, wall.timestamp(), *seen, own_w, sample.every_s)

    def learn(
        self,
        wall: datetime,
        now: float,
        grid_w: float | None,
        pv_w: float | None,
        load_w: float | None,
        battery_w: float | None,
        own_w: float,
        every_s: float,
    ) -> None:
        """Learn from the values of a reading at `wall`, which is the POSIX time `now`; they come each `every_s`."""
        base_w = None
        if pv_w is not None and load_w is not None:
            base_w = load_w - own_w
        elif grid_w is not None:
            base_w = grid_w + (pv_w or 0.0) + (battery_w or 0.0) - own_w
        if base_w is None:
            return
        self._expectation.note(wall, pv_w, base_w, now, every_s)
        self._lately.note(now, (pv_w or 0.0) - base_w)

    def outlook(self, wall: datetime, inputs: Mapping[str, Input], at: float) -> Outlook:
        """Return what is expected at `wall`; the same object until a minute or a price is over.

        `at` is the monotonic time by which the age of `inputs` counts.
        """
        now = wall.timestamp()
        start = now // SLOT_S * SLOT_S
        told = [each.note(_known(each.price, inputs, at), wall, start) for each in self._told]
        if self._made is not None and self._from <= now < self._until and not any(told):
            return self._made
        if start != self._start or now < self._slots[0].start or any(told):
            self._daylight = self._suns(wall)
            self._slots = tuple(self._cut(now, start))
            self._start = start
        while self._slots[0].start + self._slots[0].length_s <= now:
            self._slots = self._slots[1:]
        slot = self._slots[0]
        end = slot.start + slot.length_s
        here = now // MINUTE_S * MINUTE_S
        self._from, self._until = max(here, slot.start), min(here + MINUTE_S, end)
        self.span = slot.start, end
        first = replace(slot, start=self._from, length_s=end - self._from)
        self._made = Outlook(
            slot.import_price,
            slot.export_price,
            (first, *self._slots[1:]),
            self._daylight,
            self._lately.best_w(now),
        )
        return self._made

    def dump(self) -> dict[str, Any]:
        """Return all that was learned as plain JSON values."""
        return {"sun": self._expectation.dump(), "buy": self._buy.habit.dump(), "sell": self._sell.habit.dump()}

    def load(self, kept: object) -> None:
        """Take up what was dumped; what cannot be understood is forgotten."""
        if not isinstance(kept, dict):
            return
        self._expectation.load(kept.get("sun"))
        for told, name in ((self._buy, "buy"), (self._sell, "sell")):
            told.habit.load(kept.get(name))
        self._start = self._until = -inf

    def _cut(self, now: float, start: float) -> Iterator[Slot]:
        """Yield what is expected of each quarter of an hour, cut where a price changes."""
        starts = [start + SLOT_S * index for index in range(int(AHEAD_S / SLOT_S))]
        surplus = self._expectation.surplus_w(now, starts)
        if self.forecast is not None:
            seen = self.forecast.surplus_w(now, starts)
            surplus = [mine if other is None else other for mine, other in zip(surplus, seen, strict=True)]
        buy, sell = (self._expected(told, now, starts) for told in (self._buy, self._sell))
        pieces = iter(self.tariff.prices(start, start + AHEAD_S, self.zone, self._daylight))
        piece = next(pieces)
        for begin, surplus_w, import_price, export_price in zip(starts, surplus, buy, sell, strict=True):
            here, end = begin, begin + SLOT_S
            while here < end:
                if piece.end <= here:
                    piece = next(pieces)
                    continue
                there = min(end, piece.end)
                yield Slot(
                    here,
                    there - here,
                    surplus_w,
                    piece.import_price if import_price is None else import_price,
                    piece.export_price if export_price is None else export_price,
                )
                here = there

    def _expected(self, told: _Told, now: float, starts: list[float]) -> list[float | None]:
        """Return the price of each quarter of an hour as an input lets expect it; None: as the rates have it."""
        if told.now is None:
            return [None] * len(starts)
        means = told.habit.means()
        clocks = [datetime.fromtimestamp(start, self.zone) for start in starts]
        slots = [clock_slot(clock.hour, clock.minute) for clock in clocks]
        unusual = told.now - means[slots[0]]
        later: list[float | None] = [
            means[slot] + unusual * exp((now - start) / PRICE_RETURN_S)
            for slot, start in zip(slots[1:], starts[1:], strict=True)
        ]
        return [told.now, *later]

    def _suns(self, wall: datetime) -> dict[int, Daylight]:
        today, place = wall.toordinal(), self._somewhere()
        days = range(today - 1, today + 4)
        if self._daylight and list(self._daylight) == list(days):
            return self._daylight
        return {day: daylight(day, self.zone, place) for day in days}

    def _somewhere(self) -> Location:
        if self.place is not None:
            return self.place
        offset = datetime(2025, 1, 1, tzinfo=self.zone).utcoffset()
        return Location(SOME_LATITUDE, offset.total_seconds() / 240 if offset else 0.0)


def _known(price: Price, inputs: Mapping[str, Input], at: float) -> float | None:
    found = inputs.get(price.input) if price.input is not None else None
    return found.value if found is not None and at - found.read_at <= found.max_age_s else None
