"""The course of a made-up day: what holds at each moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from loadctl.core.rules import Need
from loadctl.lab.rehearsal.given import Course, Fact, Key, Link, Once, Value
from loadctl.lab.rehearsal.moments import Calendar, When
from loadctl.outlook.sun import Location, clear_sky

LONGEST_S = 31 * 86400.0
MOST_PIECES = 3000


@dataclass(frozen=True, slots=True)
class Piece:
    """A value from `start` on until `end` (POSIX); one that changes on the way is `to` from `reached` on."""

    start: float
    end: float
    value: Value
    to: float | None = None
    reached: float = 0.0
    clear: Location | None = None

    def at(self, now: float) -> Value:
        if self.clear is not None and isinstance(self.value, float):
            return round(self.value * clear_sky(now // 60 * 60, self.clear), 1)
        if self.to is None or not isinstance(self.value, float):
            return self.value
        share = min((now - self.start) / (self.reached - self.start), 1.0)
        return self.value + share * (self.to - self.value)

    def moves(self, now: float) -> bool:
        """Tell whether the value of now is on its way to another."""
        return self.clear is not None or (self.to is not None and now < self.reached)


@dataclass(slots=True)
class Line:
    """The course of one thing. What began last counts, of two that begin together the later one in the file."""

    pieces: list[Piece] = field(default_factory=list)
    _edges: list[float] = field(default_factory=list)
    _holds: list[Piece | None] = field(default_factory=list)

    def at(self, now: float, default: Value) -> Value:
        piece = self.holding(now)
        return default if piece is None else piece.at(now)

    def first(self) -> Value:
        """Return the first value of all."""
        return min(self.pieces, key=lambda piece: piece.start).value

    def edges(self) -> Iterable[float]:
        for piece in self.pieces:
            yield piece.start
            yield piece.end if piece.to is None else piece.reached

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self._edges = []
        if len(self.pieces) > MOST_PIECES:
            raise ValueError("that is repeated too often; write longer turns")

    def holding(self, now: float) -> Piece | None:
        """Return what holds at `now`, if anything does."""
        if not self._edges:
            self._cut()
        place = bisect_right(self._edges, now) - 1
        return self._holds[place] if place >= 0 else None

    def _cut(self) -> None:
        self._edges = sorted({edge for piece in self.pieces for edge in (piece.start, piece.end)})
        backwards = list(reversed(self.pieces))
        later_first = sorted(backwards, key=lambda piece: -piece.start)  # keeps their order where two begin together
        self._holds = [
            next((piece for piece in later_first if piece.start <= edge < piece.end), None) for edge in self._edges
        ]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is given between two edges of a day: only what is `moving` is another at each moment of it."""

    steady: dict[Key, Value]
    moving: dict[Key, Piece]

    def at(self, key: Key, now: float, default: Value = None) -> Value:
        """Return what holds at `now` (POSIX)."""
        piece = self.moving.get(key)
        return self.steady.get(key, default) if piece is None else piece.at(now)

    def watts(self, what: str, now: float) -> float:
        """Return a power; nothing where nothing was said."""
        found = self.at((what, ""), now)
        return found if isinstance(found, float) else 0.0


@dataclass(slots=True)
class Day:
    """All that is given: courses by key, what is so at one moment in order of time, what warms what."""

    start: float
    end: float
    lines: dict[Key, Line] = field(default_factory=dict)
    once: list[tuple[float, Once]] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)

    def stretch(self, now: float) -> Stretch:
        """Return what is given from `now` on, until the next edge."""
        held = [(key, piece) for key, line in self.lines.items() if (piece := line.holding(now)) is not None]
        return Stretch(
            {key: piece.at(now) for key, piece in held if not piece.moves(now)},
            {key: piece for key, piece in held if piece.moves(now)},
        )

    def edges(self) -> list[float]:
        """Return the moments at which something changes at once, in order."""
        found = {edge for line in self.lines.values() for edge in line.edges()}
        found |= {at for at, _ in self.once}
        return sorted(edge for edge in found if self.start < edge < self.end)

    def add(self, when: When | None, facts: Sequence[Fact], calendar: Calendar) -> None:
        """Take in a line of the file. Raises ValueError if it cannot be meant."""
        times = [(self.start, None)] if when is None else list(calendar.each(when, self.end))
        for start, end in times:
            for fact in facts:
                self._add(fact, start, end, calendar)
        self.once.sort(key=lambda entry: entry[0])

    def _add(self, fact: Fact, start: float, end: float | None, calendar: Calendar) -> None:
        match fact:
            case Link():
                self.links[fact.load] = fact
            case Once():
                if end is not None:
                    raise ValueError("this is said of one moment: write one time, such as `11:00`")
                self.once.append((start, fact))
            case Course():
                self._course(fact, start, end, calendar)

    def _course(self, fact: Course, start: float, end: float | None, calendar: Calendar) -> None:
        line = self.lines.setdefault(fact.key, Line())
        if fact.for_s is not None:
            if end is not None:
                raise ValueError("`for` and a time that has an end say the same; keep one of them")
            end = start + fact.for_s
        if (fact.cycle or fact.to is not None) and end is None:
            raise ValueError("until when? write it like `11:00-11:40 …`")
        if fact.cycle and end is not None:
            at, turn = start, 0
            while at < end:
                value, for_s = fact.cycle[turn % len(fact.cycle)]
                line.add(Piece(at, min(at + for_s, end), value))
                at, turn = at + for_s, turn + 1
        elif fact.to is not None and end is not None:
            before = line.at(start, 0.0) if fact.value is None else fact.value
            line.add(Piece(start, inf, before if isinstance(before, float) else 0.0, fact.to, end))
        else:
            clear = calendar.place if fact.clear else None
            if fact.clear and clear is None:
                raise ValueError("a clear sky needs a place: give the rule file `site: {location: …}`")
            line.add(Piece(start, inf if end is None else end, fact.value, clear=clear))


def boosts(day: Day, now: float) -> list[tuple[float, str, Need]]:
    """Return the boosts that were asked for up to now: when, for which load, what."""
    return [
        (at, once.key[1], once.value)
        for at, once in day.once
        if at <= now and once.key[0] == "boost" and isinstance(once.value, Need)
    ]
