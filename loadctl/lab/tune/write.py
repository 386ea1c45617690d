"""Changes put into the owner's file: its own text with its comments, only the changed values are new.

The positions come from the YAML nodes. What comes out is read back and must hold exactly what was tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loadctl.config import text as yaml_text
from loadctl.config.findings import Findings, spell_path
from loadctl.config.findings import Path as KeyPath
from loadctl.errors import LoadctlError
from loadctl.lab.tune.subject import Edit, put

_ALIAS = re.compile(r"\s*:\s+(\*[^\s,\[\]{}]+)")
_FIRST = ("power", "current", "actuator")  # what is added stands behind these


@dataclass(frozen=True, slots=True)
class Line:
    """A change with its comment. `why` may be longer than a line."""

    edit: Edit
    why: str


@dataclass(frozen=True, slots=True)
class _Splice:
    """Text to be put in place of what stands from `begin` to `end`; the comment goes above the line of `above`."""

    begin: int
    end: int
    text: str
    above: int
    comment: str


def written(text: str, prefix: KeyPath, lines: Iterable[Line], file: Path) -> str:
    """Return the text of a file with changes. Raises LoadctlError that names the place that must be done by hand."""
    changes = list(lines)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    splices = [_splice(text, root, (*prefix, *change.edit.path), change, file) for change in changes]
    done = _applied(text, splices)
    _check(text, done, prefix, [change.edit for change in changes], file)
    return done


def old_value(text: str, prefix: KeyPath, edit: Edit) -> str | None:
    """Return what stands in the file where an edit goes; None: nothing does."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in (*prefix, *edit.path):
        found = _entry(node, str(step))
        if found is None:
            return None
        node = found[1]
    return text[node.start_mark.index : node.end_mark.index].strip() if isinstance(node, yaml.ScalarNode) else None


def _splice(text: str, root: Any, path: KeyPath, change: Line, file: Path) -> _Splice:
    node, new = root, str(change.edit.value)
    for step in path[:-1]:
        found = _entry(node, str(step))
        if found is None or _aliased(text, *found) is not None:
            raise _by_hand(file, path, change)
        node = found[1]
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise _by_hand(file, path, change)
    found = _entry(node, str(path[-1]))
    if found is None:
        return _added(text, node, f"{path[-1]}: {new}", change.why)
    key, value = found
    above = key.start_mark.index
    if (alias := _aliased(text, key, value)) is not None:
        return _Splice(*alias, new, above, change.why)
    if not isinstance(value, yaml.ScalarNode) or text[value.start_mark.index] in "&!|>":
        raise _by_hand(file, path, change)
    return _Splice(value.start_mark.index, value.end_mark.index, new, above, change.why)


def _entry(node: Any, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _aliased(text: str, key: yaml.Node, value: yaml.Node) -> tuple[int, int] | None:
    """Return where the alias stands if the value is one; its node is where the anchor is."""
    found = _ALIAS.match(text, key.end_mark.index)
    if found is None or value.start_mark.index == found.start(1):
        return None
    return found.span(1)


def _added(text: str, node: yaml.MappingNode, entry: str, why: str) -> _Splice:
    last = node.value[-1][1]
    if node.flow_style:
        at = max(last.end_mark.index, node.value[-1][0].end_mark.index)
        return _Splice(at, at, f", {entry}", node.value[0][0].start_mark.index, why)
    first = node.value[0][0]
    behind = next((key for name in _FIRST for key, value in node.value if _simple(key, value, name)), None)
    at = _line_end(text, behind.start_mark.index) if behind is not None else _line_begin(text, first.start_mark.index)
    end = "\r\n" if "\r\n" in text else "\n"
    indent = " " * first.start_mark.column
    lines = "".join(f"{indent}{line}{end}" for line in (*_comment(why, len(indent)), entry))
    if behind is not None and not text[:at].endswith("\n"):
        lines = end + lines
    return _Splice(at, at, lines, -1, "")


def _simple(key: yaml.Node, value: yaml.Node, name: str) -> bool:
    return bool(key.value == name) and key.start_mark.line == value.end_mark.line


def _line_begin(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _comment(why: str, indent: int) -> list[str]:
    """Return the lines of a comment, no longer than a file is wide."""
    lines, line = [], "#"
    for word in f"tuned: {why}".split():
        if len(line) + 1 + len(word) + indent > 118 and line != "#":
            lines.append(line)
            line = "#  "
        line = f"{line} {word}"
    return [*lines, line]


def _applied(text: str, splices: Sequence[_Splice]) -> str:
    """Put everything in its place, from the end to the beginning; comments for one line stand together above it."""
    end = "\r\n" if "\r\n" in text else "\n"
    pieces: list[tuple[int, int, int, str]] = []
    comments: dict[int, list[str]] = {}
    for number, splice in enumerate(splices):
        pieces.append((splice.begin, splice.end, number, splice.text))
        if splice.above >= 0:
            comments.setdefault(_line_begin(text, splice.above), []).append(splice.comment)
    for at, whys in comments.items():
        line = text[at:]
        indent = line[: len(line) - len(line.lstrip(" "))]
        said = [one for why in dict.fromkeys(whys) for one in _comment(why, len(indent))]
        pieces.append((at, at, len(splices), "".join(f"{indent}{one}{end}" for one in said)))
    for begin, until, _, new in sorted(pieces, key=lambda piece: piece[:3], reverse=True):
        text = text[:begin] + new + text[until:]
    return text


def _check(old: str, new: str, prefix: KeyPath, edits: Sequence[Edit], file: Path) -> None:
    """Make sure that what was written is what was tried, and that nothing else changed."""
    wanted, held = _data(old, file), _data(new, file)
    for edit in edits:
        put(wanted, (*prefix, *edit.path), edit.value)
    if wanted != held:
        places = ", ".join(spell_path(edit.path) for edit in edits)
        raise LoadctlError(f"{file}: cannot be edited without touching more than {places}; change these by hand")


def _data(text: str, file: Path) -> Any:
    findings = Findings(str(file))
    data = yaml_text.read(text, findings, yaml_text.Secrets({}, file, lenient=True))
    return None if findings.faults else data


def _by_hand(file: Path, path: KeyPath, change: Line) -> LoadctlError:
    return LoadctlError(
        f"{file}: {spell_path(path)} is written in a way that cannot be edited here (a reference, or a group in a "
        f"place of its own); write `{change.edit.path[-1]}: {change.edit.value}` there by hand"
    )
