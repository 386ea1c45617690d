"""What a line of `expect:` asks for, and whether the day that was lived had it.

`11:12 boiler off`, `11:45-12:00 boiler on`, `12:30 car 6..9 A`, `18:00 boiler had at least 6 kWh`,
`boiler had at most 3 starts`, `12:10 boiler says wait_on`, `house imported nothing`, `18:00 tank at least 55 °C`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from loadctl.config.findings import nearest
from loadctl.core.values import Verdict
from loadctl.lab.rehearsal import measure
from loadctl.lab.rehearsal.given import Names, amount, subject_of
from loadctl.lab.rehearsal.living import Record
from loadctl.lab.rehearsal.measure import Measure
from loadctl.units import spell, watts

_HAD = re.compile(r"(had|bought|imported|exported)\b\s*(.*)", re.IGNORECASE)
_STARTS = re.compile(r"(.*?)\s*\bstarts?", re.IGNORECASE)
_COUNT = re.compile(r"(at least|at most|>=|<=|)\s*(\d{1,6}(?:\.\.\d{1,6})?|no)", re.IGNORECASE)
_PHASES = re.compile(r"on\s+([13])\s+phases?", re.IGNORECASE)
_SUBJECTS = ("house", "grid", "solar", "battery")
_OF_A_LOAD = (
    "`on`, `off`, `2 kW`, `6..9 A`, `on 3 phases`, `says wait_on`, `had at least 6 kWh`, `had 2 h`, "
    "`had at most 3 starts`, `bought nothing`"
)


@dataclass(frozen=True, slots=True)
class Missed:
    """What was not as expected: when it was seen (POSIX), and what was instead."""

    at: float
    was: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One expectation. `aspect`: what of `subject`; of `had…` how much in all between the two moments, of everything
    else at each moment. One of `on`, `words`, `measure` says what is right.
    """

    subject: str
    aspect: str
    unit: str = ""
    on: bool | None = None
    words: tuple[Verdict, ...] = ()
    measure: Measure | None = None

    @property
    def in_all(self) -> bool:
        """Tell whether it is about what there was in all."""
        return self.aspect in _SUMS

    def missed(self, record: Record, start: float, end: float | None) -> Missed | None:
        """Judge the time from `start` until `end`, or the one moment; None: all is well."""
        if self.in_all:
            return self._sum(record, start, start if end is None else end)
        first = record.index(start)
        last = first if end is None else max(first, record.index(end) - (record.times[record.index(end)] >= end))
        for index in range(first, last + 1):
            if not self._right(record, index):
                at = start if index == first else record.times[index]
                return Missed(at, self._was(record, index))
        return None

    def _sum(self, record: Record, start: float, end: float) -> Missed | None:
        column = _SUMS[self.aspect](record, self.subject)
        had = column[record.index(end)] - column[record.index(start)]
        if self.measure is None or self.measure.met(had):
            return None
        return Missed(end, spell_amount(had, self.unit))

    def _right(self, record: Record, index: int) -> bool:
        if self.on is not None:
            return record.loads[self.subject].on[index] is self.on
        if self.words:
            return record.loads[self.subject].said[index] in self.words
        return self.measure is not None and self.measure.met(self._value(record, index))

    def _value(self, record: Record, index: int) -> float | None:
        load = record.loads.get(self.subject)
        if load is None:
            return record.values[self.subject][index]
        match self.aspect:
            case "amps":
                return load.amps[index]
            case "phases":
                return float(load.phases[index])
        return load.watts[index]

    def _was(self, record: Record, index: int) -> str:
        load = record.loads.get(self.subject)
        if load is None or self.measure is not None:
            value = self._value(record, index)
            return "not known" if value is None else spell_amount(value, self.unit)
        if self.words:
            return load.said[index]
        return f"on, {watts(load.watts[index])}" if load.on[index] else "off"


_SUMS: Mapping[str, Callable[[Record, str], list[float]]] = {
    "had Wh": lambda record, name: record.loads[name].had_wh,
    "had s": lambda record, name: record.loads[name].had_s,
    "had starts": lambda record, name: record.loads[name].had_starts,
    "bought": lambda record, name: record.loads[name].bought_wh,
    "imported": lambda record, _: record.imported_wh,
    "exported": lambda record, _: record.exported_wh,
}


def read(text: str, names: Names) -> Claim:
    """Read what stands behind the time. Raises ValueError with the right spelling."""
    if not text:
        raise ValueError("what is expected then? write it like `11:12 boiler off`")
    subject, rest = subject_of(text, (*_SUBJECTS, *names.loads, *names.inputs))
    if not rest:
        raise ValueError(f"what is expected of `{subject}`? write it like `11:12 boiler off`")
    if subject in names.loads:
        return _of_a_load(subject, rest)
    had = _HAD.fullmatch(rest)
    if subject == "house":
        if had is None or had[1].lower() not in ("imported", "exported"):
            raise ValueError("of the house one can expect `imported at most 0.5 kWh` and `exported nothing`")
        return Claim(subject, had[1].lower(), "Wh", measure=measure.read(had[2], "Wh"))
    if subject in ("grid", "solar"):
        return Claim(subject, "value", "W", measure=measure.read(rest, "W"))
    if subject == "battery":
        return Claim(subject, "value", "%", measure=measure.read(rest, "%"))
    unit = names.inputs[subject]
    return Claim(subject, "value", unit, measure=measure.read(rest, unit, partial(amount, unit=unit)))


def _of_a_load(name: str, rest: str) -> Claim:
    said = rest.lower()
    if said in ("on", "off"):
        return Claim(name, "on", on=said == "on")
    if phases := _PHASES.fullmatch(rest):
        return Claim(name, "phases", measure=Measure(float(phases[1]), float(phases[1])))
    if said.startswith("says "):
        return Claim(name, "said", words=tuple(_verdict(word) for word in re.split(r"\s+or\s+|\s*,\s*", said[5:])))
    if had := _HAD.fullmatch(rest):
        return _had(name, had[1].lower(), had[2].strip())
    what = said.removeprefix("draws ")
    unit = "A" if what.rstrip().endswith("a") else "W"
    try:
        return Claim(name, "amps" if unit == "A" else "watts", unit, measure=measure.read(rest[-len(what) :], unit))
    except ValueError as error:
        if re.search(r"\d", what):
            raise
        raise ValueError(f"`{rest[:40]}`: of `{name}` one can expect {_OF_A_LOAD}") from error


def _had(name: str, verb: str, what: str) -> Claim:
    if verb in ("imported", "exported"):
        raise ValueError(f"the house imports and exports: write `house {verb} …`, or `{name} bought …`")
    if verb == "bought":
        return Claim(name, "bought", "Wh", measure=measure.read(what, "Wh"))
    if starts := _STARTS.fullmatch(what):
        if not _COUNT.fullmatch(starts[1]):
            raise ValueError(f"`{what[:40]}`: write it like `had 3 starts` or `had at most 3 starts`")
        return Claim(name, "had starts", "starts", measure=measure.read(starts[1], "starts", float))
    try:
        return Claim(name, "had s", "s", measure=measure.read(what, "s"))
    except ValueError:
        return Claim(name, "had Wh", "Wh", measure=measure.read(what, "Wh"))


def _verdict(word: str) -> Verdict:
    known = tuple(verdict.value for verdict in Verdict)
    if word not in known:
        raise ValueError(f"`{word[:20]}` is none of its words; {nearest(word[:20], known)}")
    return Verdict(word)


def spell_amount(value: float, unit: str) -> str:
    """Spell an amount as the file would."""
    if unit == "starts":
        return "1 start" if value == 1 else f"{value:g} starts"
    if unit in ("W", "Wh", "s", "A", "%", "°C", "/kWh"):
        digits = 0 if unit in ("W", "Wh", "s") else 4 if unit == "/kWh" else 1
        rounded = round(value, digits)
        return spell(60.0 * round(rounded / 60), unit) if unit == "s" and rounded >= 120 else spell(rounded, unit)
    return f"{value:g} {unit}".rstrip()


def turns(record: Record, name: str, at: float, before: int = 5, after: int = 2) -> list[tuple[float, Verdict]]:
    """Return the words that were said of a load around `at`, each with the moment from which it was."""
    said = record.loads[name].said
    changes = [0, *(index for index, (one, other) in enumerate(pairwise(said), 1) if one is not other)]
    here = sum(record.times[index] <= at for index in changes)
    return [(record.times[index], said[index]) for index in changes[max(0, here - before) : here + after]]
