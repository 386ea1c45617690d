"""What the sun will leave: learned from the house's own meter, useful from the first hour of the first day.

Two habits are learned by the quarter of an hour: how much of a clear sky's light becomes power (the roof, its shadows
and the usual clouds, by the sun's time), and what the house draws (by the clock's time). What today has shown so far
corrects the first: the last hours count most, and the further ahead, the more a day becomes one like the others.

No clock, no chance, no I/O: the same notes give the same expectation, live and in replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from math import exp
from typing import Any, NamedTuple, Protocol

from loadctl.outlook.habit import FADE, SLOT_S, SLOTS, Habit, clock_slot, numbers
from loadctl.outlook.sun import Location, clear_sky, noon_of

LONGEST_GAP_S = 120.0  # a reading stands for no longer than this, or twice the time between two
LEAST_SEEN_S = 90.0  # with less of a quarter of an hour seen, nothing is learned from it
TODAY_S = 2 * 3600.0  # so long ago counts a third of now
RETURN_S = 6 * 3600.0  # so far ahead a third is left of what is unusual about today
# Until something is known: a house that draws 300 W, panels that give 2 kW of the light of a clear sky.
BASE_W, SUN_W = 300.0, 2000.0
KEPT_HOURS = 1024  # some days of quarters of an hour
NEVER_SET_YEAR = 2001  # a computer whose clock was never set begins in 1970


class Forecast(Protocol):
    """Anything that knows what the house will leave: our own expectation, or a service that sees the clouds."""

    def surplus_w(self, now: float, starts: Sequence[float]) -> list[float | None]:
        """Return the mean power for each quarter of an hour that begins at one of `starts`; None: nobody knows.

        `now` and `starts` are POSIX timestamps. Loads that loadctl switches are no part of it.
        """
        ...


class Hour(NamedTuple):
    """A quarter of an hour: the light of a clear sky in its middle, and its place in the sun's day and the clock's."""

    light: float
    sun_slot: int
    clock_slot: int


@dataclass(slots=True)
class Expectation:
    """The learner. `note` it each reading; it is a `Forecast`."""

    zone: tzinfo
    place: Location
    _sun: Habit = field(default_factory=lambda: Habit(SUN_W, 1.0))
    _base: Habit = field(default_factory=lambda: Habit(BASE_W, 4.0))
    _days: float = 0.0  # seen in full, faded like the habits
    _today: list[tuple[float, float, float]] = field(
        default_factory=list
    )  # when, light and power, both times the weight
    _day: int = 0
    # the quarter of an hour that is under way
    _start: float = 0.0
    _at: float = 0.0
    _seen_s: float = 0.0
    _base_ws: float = 0.0
    _pv_seen_s: float = 0.0
    _pv_ws: float = 0.0
    _hours: dict[float, Hour] = field(default_factory=dict)
    # what was asked for last: how far ahead, and how much of that is a day like the others
    _ahead_s: list[float] = field(default_factory=list)
    _usual: list[float] = field(default_factory=list)

    def note(
        self, wall: datetime, pv_w: float | None, base_w: float, now: float | None = None, every_s: float = 1.0
    ) -> None:
        """Take in a reading: what the panels give and what the house draws without our loads. `now`: POSIX of `wall`;
        `every_s`: the usual time between two readings.

        Where nobody measures the panels `pv_w` is None and `base_w` is what the house would take from the grid without
        our loads: negative while it would export.
        """
        if wall.year < NEVER_SET_YEAR:
            return
        at = wall.timestamp() if now is None else now
        if not self._start <= at < self._start + SLOT_S:
            self._close()
            self._begin(at, wall.toordinal())
        passed_s, self._at = at - self._at, at
        if not 0 < passed_s <= max(LONGEST_GAP_S, 2 * every_s):
            return
        passed_s = min(passed_s, SLOT_S)
        self._seen_s += passed_s
        self._base_ws += base_w * passed_s
        if pv_w is not None:
            self._pv_seen_s += passed_s
            self._pv_ws += pv_w * passed_s

    def surplus_w(self, now: float, starts: Sequence[float]) -> list[float | None]:
        suns, bases = self._sun.means(), self._base.means()
        today = self._against_habit(now, suns)
        if today is None:
            return [None] * len(starts)
        ahead_s = [start - now for start in starts]
        if ahead_s != self._ahead_s:
            self._ahead_s, self._usual = ahead_s, [1 - exp(-max(0.0, each) / RETURN_S) for each in ahead_s]
        unusual = 1 - today if self._days else 0.0
        known = self._hours
        found: list[float | None] = []
        for start, usual in zip(starts, self._usual, strict=True):
            light, sun_slot, slot = known.get(start) or self._hour(start)
            left_w = (light * suns[sun_slot] * (today + unusual * usual) if light else 0.0) - bases[slot]
            found.append(left_w if left_w > 0.0 else 0.0)  # noqa: FURB136 - calling max takes longer than all of it
        return found

    def dump(self) -> dict[str, Any]:
        """Return all that was learned as plain JSON values; the quarter of an hour under way is left out."""
        return {
            "sun": self._sun.dump(),
            "base": self._base.dump(),
            "days": round(self._days, 3),
            "day": self._day,
            "today": [[start, round(light, 4), round(power, 2)] for start, light, power in self._today],
        }

    def load(self, kept: object) -> None:
        """Take up what was dumped; what cannot be understood is forgotten, for all of it can be learned again."""
        sun, base = Habit(SUN_W, 1.0), Habit(BASE_W, 4.0)
        match kept:
            case {"sun": s, "base": b, "days": float() | int() as days, "day": int(day), "today": list(today)}:
                rows = all(isinstance(each, list) and len(each) == 3 and numbers(each) for each in today)
                if not (sun.load(s) and base.load(b) and numbers([days]) and rows):
                    return
            case _:
                return
        self._sun, self._base, self._days, self._day = sun, base, max(0.0, float(days)), day
        self._today = [(float(start), float(light), float(power)) for start, light, power in today][:SLOTS]

    def _begin(self, at: float, day: int) -> None:
        if day != self._day:
            self._end_day()
            self._day = day
        self._start = at // SLOT_S * SLOT_S
        self._seen_s = self._base_ws = self._pv_seen_s = self._pv_ws = 0.0

    def _close(self) -> None:
        """Learn from the quarter of an hour that is over."""
        if self._seen_s < LEAST_SEEN_S:
            return
        weight = self._seen_s / SLOT_S
        base_w = self._base_ws / self._seen_s
        light, _, slot = self._hour(self._start)
        if self._pv_seen_s * 2 >= self._seen_s:
            pv_w = self._pv_ws / self._pv_seen_s
            self._base.add(slot, base_w * weight, weight)
        elif light:  # what is missing from the usual draw must have come from the roof
            pv_w = max(0.0, self._base.means()[slot] - base_w)
        else:
            pv_w = 0.0
            self._base.add(slot, base_w * weight, weight)
        if light:
            self._today.append((self._start, light * weight, pv_w * weight))

    def _end_day(self) -> None:
        if not self._today:
            return
        self._sun.fade()
        self._base.fade()
        for start, light, power in self._today:
            self._sun.add(self._hour(start).sun_slot, power, light)
        self._days = self._days * FADE + 1
        self._today = []

    def _against_habit(self, now: float, suns: Sequence[float]) -> float | None:
        """Return how today's sun compares with the habit, the last hours before all; None: nothing is known at all."""
        if not self._days and not self._today:
            return None
        lean = 2.0 * (self._days + 0.3) / (self._days + 1) * self._sun.overall()
        seen, expected = lean, lean
        for start, light, power in self._today:
            share = exp(-max(0.0, now - start) / TODAY_S)
            seen += share * power
            expected += share * light * suns[self._hour(start).sun_slot]
        return seen / expected

    def _hour(self, start: float) -> Hour:
        """Return what is known of the quarter of an hour that begins at `start`: it is asked for again and again."""
        known = self._hours.get(start)
        if known is None:
            if len(self._hours) >= KEPT_HOURS:
                self._hours.clear()
            clock = datetime.fromtimestamp(start, self.zone)
            after_noon_s = start + SLOT_S / 2 - noon_of(clock.toordinal(), self.zone, self.place)
            known = self._hours[start] = Hour(
                clear_sky(start + SLOT_S / 2, self.place),
                (int(after_noon_s // SLOT_S) + SLOTS // 2) % SLOTS,
                clock_slot(clock.hour, clock.minute),
            )
        return known
