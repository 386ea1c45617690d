"""What may stand in a `when:`, read without running any of it.

    test       = both ("or" both)*
    both       = single ("and" single)*
    single     = "not" single | sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*
    sum        = product (("+" | "-") product)*
    product    = signed (("*" | "/") signed)*
    signed     = "-" signed | "(" test ")" | quantity | name | "true" | "false"
    quantity   = number unit?                      60 °C, 1.5 kW, 50 %, 0.12/kWh, 800 ppm

A name stands for a value with a unit, a sum has one unit throughout, and a comparison is made between equals: 60 % of a
temperature is a fault with a hint. What has no unit is a plain number or, standing alone, yes or no. One side of a `*`
is a plain number, and so is what follows a `/`. `a < b < c` means both.

Each inequality has a hysteresis: its limit ends it, and to begin, the value must be that much within it: `soc > 50 %`
begins above 53 % and ends at 50 %. It is 1 °C, 3 %, 100 W, 0.5 A or 2 V unless given, less where that left too little
to begin with, and nothing for prices, energies, durations, plain numbers and other units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf, isfinite

from loadctl import units
from loadctl.config.bands import FLIPPED, added, banded
from loadctl.config.tokens import Misread, Token, tokens
from loadctl.core.conditions import TRUTH, Compare, Condition, Every, Op, Term, Test
from loadctl.telling.conditions import spell_value

__all__ = ["Misread", "negated", "parse_condition"]

LONGEST = 1000  # characters
DEEPEST = 20  # brackets within brackets

_OPS: dict[str, Op] = {
    "<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "!=": "!=", "≤": "<=", "≥": ">=", "≠": "!=",
}  # fmt: skip
_NEGATED: dict[Op, Op] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_NEVER_EXACT = {"W", "Wh", "°C", "A", "V"}


def parse_condition(
    text: str, units: Mapping[str, str], hysteresis: str | None = None, unknown: bool | None = False
) -> Condition:
    """Read a condition over the names in `units`, each with its base unit ("": a plain number, or yes or no).

    Raises Misread (a ValueError) with a sentence that says where and what to write instead.
    """
    return Condition(text, banded(_Parser(text, units).whole(), hysteresis), unknown)


def negated(test: Test) -> Test:
    """Turn a test around: `not (a < b and c)` is `a >= b or not c`."""
    if isinstance(test, Every):
        return Every(tuple(negated(part) for part in test.parts), any_of=not test.any_of)
    return replace(test, op=_NEGATED[test.op])


@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum, its unit and where it is written. `truth`: it is the word true or false."""

    term: Term
    unit: str
    at: int
    end: int
    truth: bool = False

    @property
    def plain(self) -> float | None:
        """The number, if it has neither unit nor inputs."""
        return None if self.unit or self.term.inputs or self.truth else self.term.constant


@dataclass(frozen=True, slots=True)
class _Answer:
    """A test and where it is written."""

    test: Test
    at: int
    end: int


_Found = _Sum | _Answer


class _Parser:
    """Recursive descent, a method for each line of the grammar."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        if len(text) > LONGEST:
            raise Misread(f"too long for a condition ({len(text)} characters)", LONGEST)
        self._text = text
        self._names = names
        self._tokens = tuple(tokens(text, names))
        self._next = 0
        self._depth = 0

    def whole(self) -> Test:
        found = self._test()
        if self._token.kind != "end":
            raise self._unexpected()
        return self._asked(found)

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _took(self, *texts: str) -> Token | None:
        token = self._token
        if token.kind not in {"sign", "word"} or token.text not in texts:
            return None
        self._next += 1
        return token

    def _test(self) -> _Found:
        return self._joined("or", self._both)

    def _both(self) -> _Found:
        return self._joined("and", self._single)

    def _joined(self, word: str, inner: Callable[[], _Found]) -> _Found:
        first = inner()
        parts = [first]
        while self._took(word):
            parts.append(inner())
        if len(parts) == 1:
            return first
        tests = [self._asked(part) for part in parts]
        return _Answer(_every(tests, any_of=word == "or"), first.at, parts[-1].end)

    def _single(self) -> _Found:
        if word := self._took("not"):
            with self._deeper(word):
                found = self._single()
            return _Answer(negated(self._asked(found)), word.at, found.end)
        first = left = self._sum()
        tests: list[Test] = []
        while sign := self._took(*_OPS):
            right = self._sum()
            tests.append(self._compared(left, _OPS[sign.text], right))
            left = right
        return _Answer(_every(tests, any_of=False), first.at, left.end) if tests else first

    def _sum(self) -> _Found:
        left = self._product()
        while sign := self._took("+", "-"):
            one, other = self._counted(left), self._counted(self._product())
            unit = self._common_unit(one, other)
            left = _Sum(added(one.term, other.term, 1.0 if sign.text == "+" else -1.0), unit, one.at, other.end)
        return left

    def _product(self) -> _Found:
        left = self._signed()
        while sign := self._took("*", "/"):
            one, other = self._counted(left), self._counted(self._signed())
            at, end = one.at, other.end
            if sign.text == "*" and other.plain is None:
                one, other = other, one
            if other.plain is None:
                sides = "one side of a `*` must be" if sign.text == "*" else "what follows a `/` must be"
                raise Misread(f"{sides} a plain number, such as `2`", sign.at)
            factor = other.plain if sign.text == "*" else 1 / other.plain if other.plain else inf
            term = added(Term(), one.term, factor)
            if not all(isfinite(number) for number in (term.constant, *(times for _, times in term.inputs))):
                raise Misread("this is beyond all measure", sign.at)
            left = _Sum(term, one.unit, at, end)
        return left

    def _signed(self) -> _Found:
        token = self._token
        if self._took("-"):
            with self._deeper(token):
                found = self._counted(self._signed())
            return replace(found, term=added(Term(), found.term, -1.0), at=token.at)
        if self._took("("):
            with self._deeper(token):
                inner = self._test()
            if not (closing := self._took(")")):
                missing = self._token.kind == "end"
                raise Misread("this bracket is never closed", token.at) if missing else self._unexpected()
            return replace(inner, at=token.at, end=closing.end)
        if self._took("true", "false"):
            return _Sum(Term(float(token.text == "true")), "", token.at, token.end, truth=True)
        if token.kind not in {"number", "name"}:
            raise self._unexpected()
        self._next += 1
        if token.kind == "number":
            return _Sum(Term(token.number), token.unit, token.at, token.end)
        return _Sum(Term(inputs=((token.text, 1.0),)), self._names[token.text], token.at, token.end)

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Misread("brackets within brackets, too deep to follow", token.at)
        yield
        self._depth -= 1

    def _unexpected(self) -> Misread:
        token = self._token
        if token.kind == "end":
            what = "the condition ends too early" if self._next else "nothing stands here; write `tank_temp < 60 °C`"
            return Misread(what, token.at)
        if token.kind in {"name", "number"} or token.text in {"not", "true", "false", "("}:
            return Misread(f"before `{token.text}` a sign such as `<` or a word such as `and` is missing", token.at)
        if token.text == ")":
            return Misread("this bracket closes nothing, or too early", token.at)
        return Misread(f"a value is missing before `{token.text}`", token.at)

    def _shown(self, found: _Found) -> str:
        return f"`{self._text[found.at : found.end]}`"

    def _counted(self, found: _Found) -> _Sum:
        if isinstance(found, _Sum):
            return found
        raise Misread(f"{self._shown(found)} is yes or no; nothing can be counted or compared with it", found.at)

    def _asked(self, found: _Found) -> Test:
        """Make a test of what stands alone: `guests_here` asks for yes."""
        if isinstance(found, _Answer):
            return found.test
        if not found.unit and not found.truth and len(found.term.inputs) == 1 and not found.term.constant:
            return Compare(-1, found.term, "!=", Term(), unit=TRUTH)
        if not found.term.inputs:
            raise Misread(f"{self._shown(found)} alone decides nothing; compare it with something", found.at)
        example = f"{self._shown(found)[:-1]} > {spell_value(50, found.unit)}`"
        raise Misread(f"{self._shown(found)} is {units.measured(found.unit)}; compare it, such as {example}", found.at)

    def _compared(self, left: _Found, op: Op, right: _Found) -> Test:
        one, other = self._counted(left), self._counted(right)
        if one.truth or other.truth:
            word, asked = (one, other) if one.truth else (other, one)
            if op not in {"==", "!="} or not asked.term.inputs:
                raise Misread(f"nothing is more or less than {self._shown(word)}; write a name alone", word.at)
            test = self._asked(asked)
            return test if (op == "==") is bool(word.term.constant) else negated(test)
        unit = self._common_unit(one, other)
        if op in {"==", "!="} and unit in _NEVER_EXACT:
            limit = self._shown(other)
            raise Misread(f"{units.measured(unit)} is never exactly {limit}; use `<=` or `>=`", other.at)
        if other.term.inputs and not one.term.inputs:
            one, other, op = other, one, FLIPPED[op]
        return Compare(-1, one.term, op, other.term, unit=unit)

    def _common_unit(self, one: _Sum, other: _Sum) -> str:
        """Return the unit of both; nothing is nothing in every unit. Raises Misread with the unit that is meant."""
        for odd in (one, other):
            if odd.truth:
                raise Misread(f"{self._shown(odd)} is yes or no; nothing can be counted with it", odd.at)
        if one.unit == other.unit or other.plain == 0:
            return one.unit
        if one.plain == 0:
            return other.unit
        odd, unit = (one, other.unit) if not one.term.inputs and other.term.inputs else (other, one.unit)
        if not odd.term.inputs and units.base(unit):
            try:
                units.read(self._text[odd.at : odd.end], unit)
            except ValueError as fault:
                raise Misread(str(fault), odd.at) from None
        said = f"{self._shown(one)} is {units.measured(one.unit)}, {self._shown(other)} is {units.measured(other.unit)}"
        raise Misread(f"{said}; only what has the same unit can be compared or added", odd.at)


def _every(tests: Sequence[Test], *, any_of: bool) -> Test:
    parts: list[Test] = []
    for test in tests:
        parts += test.parts if isinstance(test, Every) and test.any_of is any_of else [test]
    return parts[0] if len(parts) == 1 else Every(tuple(parts), any_of)
