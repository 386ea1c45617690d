"""From a file `home.test.yaml` to the days in it. Faults are told like those of the rule file: all of them,
each with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from math import inf
from pathlib import Path as FilePath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass as keys_dataclass

from loadctl.config import House, words
from loadctl.config import text as yaml_text
from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.keys_common import STRICT
from loadctl.config.schema import ForEditors
from loadctl.config.validate import checked
from loadctl.controller import Controller
from loadctl.lab.rehearsal import expect, given, moments
from loadctl.lab.rehearsal.course import LONGEST_S, Day
from loadctl.lab.rehearsal.expect import Claim
from loadctl.lab.rehearsal.given import Fact, Names
from loadctl.lab.rehearsal.moments import DAILY, MIDNIGHT, Calendar, When

SUFFIX = ".test.yaml"
A_SATURDAY = date(2025, 6, 21)
_SMALLEST = (
    "the smallest has under `tests:` one name, and under it `given: [11:00 solar 4 kW]` and `expect: [11:05 boiler on]`"
)


def _day(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"`{str(value)[:20]}`: a day is written `2025-06-21`") from None


Lines = Annotated[list[str], BeforeValidator(words.listed, json_schema_input_type=str | list[str])]
_GIVEN = [["11:00 solar 500 W, house 300 W", "11:10-11:40 solar 500 W to 4 kW"]]
_EXPECT = [["11:12 boiler off", "11:45-12:00 boiler on", "12:00 boiler had at least 0.5 kWh"]]


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DayKeys:
    """A made-up day and what must be on when."""

    day: Annotated[
        Annotated[date, BeforeValidator(_day, json_schema_input_type=str)], Field(examples=["2025-06-21"])
    ] = A_SATURDAY
    """On which day it begins; it matters for weekdays, seasons and the sun (default: 2025-06-21, a Saturday)."""
    until: Annotated[str | None, Field(examples=["18:00"])] = None
    """When it ends; default: the last moment that is given or expected."""
    given: Annotated[Lines, Field(examples=_GIVEN)]
    """What happens, one time a line: what the panels give and the house draws without the appliances, inputs, hands.
    The first line with a time is the beginning."""
    expect: Annotated[Lines, Field(examples=_EXPECT)]
    """What must be so: at a moment, at each moment between two, or in all."""


@keys_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FileKeys:
    """Tests of a rule file."""

    rules: Annotated[str | None, Field(examples=["home.yaml"])] = None
    """The rule file; default: the one beside it, `home.yaml` for `home.test.yaml`."""
    given: Annotated[Lines, Field(examples=[["house 300 W", "boiler lacks 6 kWh"]])] = Field(default_factory=list)
    """What is so in each of the tests."""
    tests: Annotated[dict[str, Any], Field(examples=[{"sun heats the boiler": {"given": [], "expect": []}}])]
    """The tests by name: a sentence about the rules that is true."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A line of `expect:` with its place in the file and the times (POSIX) that it is about."""

    text: str
    line: int
    column: int
    start: float
    end: float | None
    claim: Claim


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A made-up day under the rules of a house."""

    file: str
    line: int
    name: str
    house: House
    day: Day
    expected: tuple[Expected, ...]


def read(path: FilePath) -> tuple[Rehearsal, ...]:
    """Read the tests in a file. Raises ConfigError with all that is wrong with it, or with the rule file."""
    findings = Findings(str(path))
    content = yaml_text.read_file(path, findings)
    findings.raise_if_any()
    return parse(content, path)


def parse(content: str, path: FilePath) -> tuple[Rehearsal, ...]:
    """Read the text of a test file; `path` names it in faults, and the rule file is looked for beside it."""
    findings = Findings(str(path))
    data = yaml_text.read(content, findings, None)
    findings.raise_if_any()
    if not isinstance(data, dict):
        findings.fault((), f"{'the file is empty' if data is None else 'these are no tests'}; {_SMALLEST}")
        findings.raise_if_any()
    keys = checked(FileKeys, data, (), findings)
    tests = {name: checked(DayKeys, value, ("tests", name), findings) for name, value in _tests(data).items()}
    if keys is not None and not tests:
        findings.fault(("tests",), f"no test stands here; {_SMALLEST}")
    findings.raise_if_any()
    if keys is None:
        raise AssertionError("a file without faults has keys")
    house = Controller.from_file(_rules(path, keys.rules, findings)).house
    reader = _Reader(house, Names.of(house), findings)
    found = [reader.rehearsal(name, test, keys.given) for name, test in tests.items() if test is not None]
    findings.raise_if_any()
    return tuple(rehearsal for rehearsal in found if rehearsal is not None)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of test files, for editors."""
    found, test = (_for_editors(cls) for cls in (FileKeys, DayKeys))
    found["properties"]["tests"] |= {"additionalProperties": test, "minProperties": 1}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "loadctl tests of a rule file"}
    return head | found


def _for_editors(cls: type) -> dict[str, Any]:
    found = TypeAdapter(cls).json_schema(schema_generator=ForEditors)
    for keys in (found, *found["properties"].values()):
        keys.pop("title", None)
        if "description" in keys:
            keys["description"] = " ".join(keys["description"].split())
    return found


def _tests(data: Mapping[str, Any]) -> Mapping[str, Any]:
    tests = data.get("tests")
    return tests if isinstance(tests, dict) else {}


def _rules(path: FilePath, named: str | None, findings: Findings) -> FilePath:
    rules = path.with_name(named) if named else path.with_name(path.name.removesuffix(SUFFIX) + ".yaml")
    if rules == path or not rules.is_file():
        place: Path = ("rules",) if named else ()
        beside = (file.name for file in path.parent.glob("*.yaml") if not file.name.endswith(SUFFIX))
        hint = nearest(rules.name, beside)
        findings.fault(place, f"there is no rule file `{rules.name}` beside it; {hint}")
        findings.raise_if_any()
    return rules


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file: its place, when, what."""

    place: Path
    text: str
    when: When | None
    said: tuple[Fact, ...] | Claim


@dataclass(frozen=True, slots=True)
class _Reader:
    house: House
    names: Names
    findings: Findings

    def rehearsal(self, name: str, keys: DayKeys, shared: list[str]) -> Rehearsal | None:
        path: Path = ("tests", name)
        before = len(self.findings.faults)
        lines = [*self._lines(shared, ("given",), self._facts), *self._lines(keys.given, (*path, "given"), self._facts)]
        claims = list(self._lines(keys.expect, (*path, "expect"), lambda text: expect.read(text, self.names)))
        until = list(self._lines([keys.until] if keys.until else [], (*path, "until"), lambda _: ()))
        if len(self.findings.faults) > before:
            return None
        timed = [line.when.start for line in lines if line.when is not None]
        if not timed:
            self.findings.fault(path, "when does it begin? give a line of `given` a time, such as `11:00 solar 4 kW`")
            return None
        first = next((moment for moment in timed if moment.day != DAILY), MIDNIGHT)
        calendar = Calendar(self.house.zone, self.house.location, keys.day.toordinal())
        calendar = replace(calendar, begin=calendar.at(first))
        day = Day(calendar.at(first), self._end([*lines, *claims], until, calendar))
        if not 0 < day.end - day.start <= LONGEST_S:
            self.findings.fault(path, "a test ends after it begins, and within a month: write `until`")
            return None
        for line in lines:
            self._take_in(line, day, calendar)
        expected = [made for line in claims for made in self._expected(line, day, calendar)]
        if len(self.findings.faults) > before:
            return None
        line_of = self.findings.places[path][0]
        return Rehearsal(self.findings.file, line_of, name, self.house, day, tuple(expected))

    def _facts(self, text: str) -> tuple[Fact, ...]:
        return tuple(given.read(text, self.names))

    def _lines(self, texts: list[str], path: Path, read_: Callable[[str], tuple[Fact, ...] | Claim]) -> Iterator[_Line]:
        for index, text in enumerate(texts):
            place = (*path, index)
            try:
                when, rest = moments.split(text.strip())
                yield _Line(place, text.strip(), when, read_(rest))
            except ValueError as error:
                self.findings.fault(place, str(error))

    def _end(self, lines: list[_Line], until: list[_Line], calendar: Calendar) -> float:
        if until and until[0].when is not None:
            return calendar.at(until[0].when.start)
        last = calendar.begin or 0.0
        for line in lines:
            if line.when is not None and line.when.start.day != DAILY:
                try:
                    last = max(last, *(at for at in next(calendar.each(line.when, inf)) if at is not None))
                except ValueError as error:
                    self.findings.fault(line.place, str(error))
        return last

    def _take_in(self, line: _Line, day: Day, calendar: Calendar) -> None:
        if isinstance(line.said, Claim):
            raise TypeError("nothing is expected of what is given")
        try:
            day.add(line.when, line.said, calendar)
        except ValueError as error:
            self.findings.fault(line.place, str(error))

    def _expected(self, line: _Line, day: Day, calendar: Calendar) -> Iterator[Expected]:
        if not isinstance(line.said, Claim):
            raise TypeError("nothing is given by what is expected")
        at = self.findings.places[self.findings.known(line.place)]
        if line.when is None:
            yield Expected(line.text, *at, day.start, day.end, line.said)
            return
        for start, end in calendar.each(line.when, day.end):
            if start < day.start or (end or start) > day.end:
                self.findings.fault(line.place, "that is not between the beginning and the end of this test")
                return
            if end is None and line.said.in_all:
                yield Expected(line.text, *at, day.start, start, line.said)
            else:
                yield Expected(line.text, *at, start, end, line.said)
