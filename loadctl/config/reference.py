"""The key tables of the reference page, made from the JSON Schema.

A table stands between two marks, and so do the tables of all drivers of a kind:

    <!-- keys of load: power start stop -->    some keys of `$defs/load`, in this order; all of them without names
    <!-- drivers: actuator -->
    <!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from loadctl import units
from loadctl.config import words

_UNITS = ("W", "Wh", "s", "A", "V", "%", "°C", "/kWh")
_OF_UNITS = [units.schema(unit)["examples"] for unit in _UNITS]
_MARK = re.compile(r"(<!-- (keys of|drivers:) ([\w.-]+)(?:: ([\w ]+))? -->\n).*?(<!-- end -->)", re.DOTALL)
_DEFAULT = (
    re.compile(r"(?:;|\.) [Dd]efault: (.+?)\.?$"),
    re.compile(r" \(default ([^()]*(?:\([^()]*\)[^()]*)?)\)"),
)
_SUCH_AS = re.compile(r"such as `([^`]+)`")


def filled(page: str, schema: Mapping[str, Any]) -> str:
    """Return the page with its tables as the schema has them. Raises KeyError for keys that there are not."""

    def table(mark: re.Match[str]) -> str:
        opened, kind, name, chosen, closed = mark.groups()
        made = _drivers(name, schema) if kind == "drivers:" else _table(name, (chosen or "").split(), schema)
        return f"{opened}\n{made}\n{closed}"

    return _MARK.sub(table, page)


def documented(page: str, schema: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the keys that have a place on the page, each with the group it belongs to."""
    found: set[tuple[str, str]] = set()
    for mark in _MARK.finditer(page):
        _, kind, name, chosen, _ = mark.groups()
        if kind == "keys of":
            found |= {(name, key) for key in (chosen or "").split() or _group(name, schema)["properties"]}
    return found


def _drivers(kind: str, schema: Mapping[str, Any]) -> str:
    names = sorted(name for name in schema["$defs"] if name.startswith(f"{kind}-") and "." not in name)
    parts = []
    for name in names:
        group = schema["$defs"][name]
        keys = [key for key in group["properties"] if key != "driver"]
        about = group.get("description", "").split("\n\n")[0]
        parts.append(f"#### `{name.removeprefix(f'{kind}-')}`\n\n{about}\n\n{_table(name, keys, schema)}")
    return "\n".join(parts)


def _table(name: str, chosen: Iterable[str], schema: Mapping[str, Any]) -> str:
    group = _group(name, schema)
    rows = ["| key | what it says | written as | default | example |", "| --- | --- | --- | --- | --- |"]
    for key in chosen or group["properties"]:
        option = group["properties"][key]
        about, default = _default(option, required=key in group.get("required", ()))
        cells = (f"`{key}`", about, _written(option), default, _example(key, option))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _group(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema["properties"].get(name) or schema["$defs"][name]
    return found


def _default(option: Mapping[str, Any], *, required: bool) -> tuple[str, str]:
    """Split what is said of a key into its meaning and its default."""
    about = option.get("description", "")
    for pattern in _DEFAULT:
        if found := pattern.search(about):
            rest = (about[: found.start()] + about[found.end() :]).rstrip(".")
            return rest + ".", found[1]
    if required:
        return about, "must be given"
    return about, f"`{_spelled(option['default'])}`" if option.get("default", "") != "" else "none"


def _written(option: Mapping[str, Any]) -> str:
    """Say in a few words what may stand there."""
    if "enum" in option or "const" in option:
        values = option.get("enum", [option.get("const")])
        return " or ".join(f"`{_spelled(value)}`" for value in values)
    if "$ref" in option or "oneOf" in option or option.get("type") == "object":
        return "a group"
    for unit in _UNITS:
        if option.get("pattern") == words.span_pattern(unit):
            return f"{units.measured(unit)}, or from..to"
        if option.get("pattern") in {f"^{units.pattern(unit)}$", f"^{units.pattern(unit, signed=True)}$"}:
            return units.measured(unit)
    if "anyOf" in option:
        parts = [_written(part) for part in option["anyOf"] if part.get("const") != 0]
        return " or ".join(dict.fromkeys(parts))
    plain = {"boolean": "`true` or `false`", "integer": "a whole number", "number": "a number", "array": "a list"}
    return plain.get(option.get("type", ""), "text")


def _example(key: str, option: Mapping[str, Any]) -> str:
    examples = option.get("examples", [])
    own = [] if examples in _OF_UNITS else examples
    for found in (*own, *option.get("enum", ()), option.get("const"), option.get("default"), *examples):
        if found is not None and found not in ("", []):
            return f"`{key}: {_spelled(found)}`"
    for part in option.get("anyOf", ()):
        if "examples" in part:
            return f"`{key}: {_spelled(part['examples'][0])}`"
    said = _SUCH_AS.search(option.get("description", ""))
    if said:
        return f"`{key}: {said[1]}`"
    return f"`{key}: true`" if option.get("type") == "boolean" else ""


def _spelled(value: object) -> str:
    """Write a value as in the file."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_spelled(item) for item in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)
