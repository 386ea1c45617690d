"""Checks plain data against the keys of a dataclass and says every fault in the owner's words."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from loadctl.config.findings import Findings, Path, nearest

T = TypeVar("T")

_QUOTE = "'"
_LITERAL = re.compile(r"'[^']*'|\b\d+\b|\bTrue\b|\bFalse\b")  # in pydantic's list of what may stand there

_SENTENCES = {
    "string_type": "text is meant here; put it in quotes",
    "int_type": "a whole number is meant here",
    "int_parsing": "a whole number is meant here",
    "int_from_float": "a whole number is meant here",
    "float_type": "a number is meant here",
    "float_parsing": "a number is meant here",
    "bool_type": "write `true` or `false`",
    "bool_parsing": "write `true` or `false`",
    "list_type": "a list is meant here, such as `[a, b]`",
    "path_type": "a file name is meant here",
}
_GROUP = {"dataclass_type", "dict_type", "mapping_type", "dataclass_exact_type"}
_TOLD_ELSEWHERE = {"unexpected_keyword_argument", "extra_forbidden"}


def checked(cls: type[T], value: object, path: Path, findings: Findings) -> T | None:
    """Return `value` as an instance of the dataclass `cls`; None when it is not one, and why goes to `findings`."""
    before = len(findings.faults)
    empty = set(_empty(value, path))
    for place in empty:
        findings.fault(place, "nothing stands here; give it a value or delete the line")
    for place, message in _misfits(cls, value, path):
        findings.fault(place, message)
    try:
        found: T = _adapter(typing.cast("Any", cls)).validate_python(value, context={"file": True})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = (*path, *detail["loc"])
            if detail["type"] not in _TOLD_ELSEWHERE and place not in empty:
                findings.fault(place, sentence(detail))
        return None
    return found if len(findings.faults) == before else None


def keys(cls: type) -> dict[str, Any]:
    """Return the keys that stand for the fields of a dataclass, with the type of each."""
    fields = getattr(cls, "__pydantic_fields__", None)
    if fields is not None:
        return {info.alias or name: info.annotation for name, info in fields.items()}
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def sentence(detail: ErrorDetails) -> str:
    """Say a pydantic error in words that need no pydantic."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"`{detail['loc'][-1]}` is missing"
    if kind in _GROUP:
        return "a group of keys is meant here"
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind == "literal_error":
        return "write " + _LITERAL.sub(_as_written, str(context["expected"]))
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind == "greater_than_equal":
        return f"at least {context['ge']} is meant here"
    if kind == "less_than_equal":
        return f"at most {context['le']} is meant here"
    return detail["msg"].removeprefix("Input ").replace("should be", "this should be", 1)


def _as_written(word: re.Match[str]) -> str:
    return f"`{word[0].lower() if word[0] in {'True', 'False'} else word[0].strip(_QUOTE)}`"


def _misfits(hint: Any, value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Find keys that the dataclasses in `hint` do not have, and true/false where a number is meant."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misfits(hint, item, (*path, index))
        return
    if isinstance(value, bool):
        if int in _parts(hint) and bool not in _parts(hint):
            yield path, "a whole number is meant here"
        return
    cls = next((part for part in _parts(hint) if dataclasses.is_dataclass(part)), None)
    if not isinstance(value, dict) or not isinstance(cls, type):
        return
    known = keys(cls)
    for key, item in value.items():
        if key in known:
            yield from _misfits(known[key], item, (*path, key))
        else:
            yield (*path, key), f"`{key[:40]}` is not a key here; {nearest(key[:40], known)}"


def _parts(hint: Any) -> list[Any]:
    """Return the plain types in a type hint: `Annotated[int, …] | None` has int and NoneType."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _parts(typing.get_args(hint)[0])
    if origin in {typing.Union, UnionType, list}:
        return [part for inner in typing.get_args(hint) for part in _parts(inner)]
    return [hint]


def _empty(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, item in value.items():
            if item is None:
                yield (*path, key)
            else:
                yield from _empty(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if item is None:
                yield (*path, index)
            else:
                yield from _empty(item, (*path, index))


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)
