"""The words, numbers and signs of a condition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadctl import units
from loadctl.config.findings import nearest
from loadctl.inputs.names import WORDS

NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?(?![\d.,])")
UNIT = re.compile(rf"\s*({units.NAME})(?!\w)")

_WORD = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_ODD_NUMBER = re.compile(r"\d[\w.,]*")
_SIGN = re.compile(r"<=|>=|==|!=|=<|=>|<>|&&|\|\||[<>=!&|≤≥≠()*/+-]")
_MEANT = {"=": "==", "=<": "<=", "=>": ">=", "<>": "!=", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}


class Misread(ValueError):  # noqa: N818 - reads as what it is
    """A text that cannot be meant; `at` is the character (from 0), None where it is about the hysteresis."""

    def __init__(self, message: str, at: int | None) -> None:
        super().__init__(message if at is None else f"character {at + 1}: {message}")
        self.at = at


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: `sign`, `word`, `name`, `number` or `end`; a number has its value in the base `unit`."""

    kind: str
    text: str
    at: int
    end: int
    number: float = 0.0
    unit: str = ""


def tokens(text: str, names: Mapping[str, str]) -> Iterator[Token]:
    """Cut `text` up; the last token is of the kind `end`. Raises Misread."""
    longest_first = sorted(names, key=len, reverse=True)
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _name(text, at, longest_first) or _word(text, at, names) or _number(text, at, longest_first)
        token = token or _sign(text, at)
        yield token
        at = token.end
    yield Token("end", "", len(text), len(text))


def _name(text: str, at: int, longest_first: Sequence[str]) -> Token | None:
    for name in longest_first:
        end = at + len(name)
        if text.startswith(name, at) and not re.match(r"[\w.]", text[end : end + 1]):
            return Token("name", name, at, end)
    return None


def _word(text: str, at: int, names: Mapping[str, str]) -> Token | None:
    found = _WORD.match(text, at)
    if not found:
        return None
    word = found[0]
    if word.lower() in WORDS:
        return Token("word", word.lower(), at, found.end())
    raise Misread(f"`{word[:40]}` is no input; {_hint(word[:40], names)}", at)


def _hint(word: str, names: Mapping[str, str]) -> str:
    owner, dot, _ = word.rpartition(".")
    keys = [name for name in names if dot and name.startswith(owner + dot)]
    if keys:
        return f"of `{owner}` there are " + ", ".join(f"`{key}`" for key in sorted(keys))
    hint = nearest(word, names)
    return hint if hint.startswith("did") else nearest(word, (name for name in names if "." not in name))


def _number(text: str, at: int, longest_first: Sequence[str]) -> Token | None:
    found = NUMBER.match(text, at)
    if not found:
        if odd := _ODD_NUMBER.match(text, at):
            comma = re.fullmatch(r"(\d+),(\d+)", odd[0])
            better = f"write a decimal point: `{comma[1]}.{comma[2]}`" if comma else "write it like `1500` or `1.5`"
            raise Misread(f"`{odd[0][:40]}`: {better}", at)
        return None
    value, end = float(found[0]), found.end()
    if not (follows := UNIT.match(text, end)) or follows[1].lower() in WORDS:
        return Token("number", found[0], at, end, value)
    if _name(text, follows.start(1), longest_first):  # the sign between them is missing
        return Token("number", found[0], at, end, value)
    unit, factor = base(follows[1])
    return Token("number", text[at : follows.end()], at, follows.end(), value * factor, unit)


def _sign(text: str, at: int) -> Token:
    found = _SIGN.match(text, at)
    if not found:
        raise Misread(f"`{text[at]}` means nothing here", at)
    if found[0] in _MEANT:
        raise Misread(f"instead of `{found[0]}` write `{_MEANT[found[0]]}`", at)
    return Token("sign", found[0], at, found.end())


def base(name: str) -> tuple[str, float]:
    """Return the base unit of a unit, and how many of it; one that is not known here is its own."""
    return units.base(name) or ("".join(name.split()), 1.0)
