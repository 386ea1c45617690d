"""YAML as the rule file needs it: words stay words, every key has a place, nothing is lost in silence.

Only `true` and `false` are booleans (`on`, `off`, `yes` stay words), whole numbers are decimal, `10:30` stays text, a
key written twice is a fault. `${NAME}` comes from the environment, `!secret name` from `secrets.yaml` beside the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from loadctl.config.findings import Findings, Path, nearest

LONGEST = 1_000_000  # characters
_MOST_NODES = 20_000  # aliases written out; a rule file of a hundred loads has about 3000
_TAG = "tag:yaml.org,2002:"
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")

_SENTENCES = (  # part of PyYAML's problem, what a person should look for
    (r"'\t'", "a tab stands here; indent with spaces only"),
    (
        "mapping values are not allowed",
        "a `:` where none can be: indented too far, or text with `: ` that needs quotes?",
    ),
    ("could not find expected ':'", "`key: value` is meant; the colon is missing here or on the line above"),
    ("expected <block end>", "this line is not indented like the lines around it"),
    ("expected ',' or '}'", "a comma or a closing `}` is missing"),
    ("expected ',' or ']'", "a comma or a closing `]` is missing"),
    ("end of stream", "a quote is opened here and never closed"),
    ("undefined alias", "text that begins with `*` must stand in quotes (a reference needs its `&name` further up)"),
    ("escape", "in double quotes a backslash has a special meaning; use single quotes"),
    ("cannot start any token", "text that begins with this character must stand in quotes"),
    ("but found another document", "a second `---`: a rule file is one document"),
    ("special characters are not allowed", "an unprintable character stands here; delete it"),
    ("duplicate anchor", "the same `&name` twice"),
    ("sequence entries are not allowed", "a list item `- ` must stand on a line of its own"),
)


class _Loader(yaml.SafeLoader):
    """Finds words, numbers, true, false and nothing; no more."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]{0,14})", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9]{1,15}\.[0-9]{0,15}|\.[0-9]{1,15}|[0-9]{1,15}(?=[eE]))([eE][-+]?[0-9]{1,2})?",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))


@dataclass(slots=True)
class Secrets:
    """Where `${NAME}` and `!secret name` come from. `lenient`: one that is not set is a note instead of a fault."""

    env: Mapping[str, str]
    beside: FilePath
    lenient: bool = False
    _stored: dict[str, Any] | None = None

    def stored(self, findings: Findings) -> dict[str, Any]:
        """Return what `secrets.yaml` holds; its own faults are told once."""
        if self._stored is not None:
            return self._stored
        self._stored = {}
        file = self.beside / "secrets.yaml"
        if not file.is_file():
            return self._stored
        inner = Findings(str(file))
        text = read_file(file, inner)
        data = None if inner.faults else read(text, inner, None)
        if isinstance(data, dict):
            self._stored = data
        elif not inner.faults:
            inner.fault((), 'write one `name: "secret"` a line')
        findings.faults += inner.faults
        return self._stored


def read_file(file: FilePath, findings: Findings) -> str:
    """Return the text of a file; what stops it from being read becomes a fault."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        findings.fault((), "there is no such file")
    except IsADirectoryError:
        findings.fault((), "this is a directory; name the file in it")
    except OSError as error:
        findings.fault((), f"cannot be read: {error.strerror or error}")
    except ValueError:
        findings.fault((), "this is not a file name")
    else:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            findings.last_line = raw.count(b"\n") + 1
            line = raw.count(b"\n", 0, error.start) + 1
            findings.fault_at(line, 1, (), "not UTF-8 text; save the file as UTF-8")
    return ""


def read(text: str, findings: Findings, secrets: Secrets | None) -> Any:
    """Return the file as dicts, lists and scalars; None when it is not YAML. Fills in `findings`."""
    findings.last_line = max(1, len(text.splitlines()))
    if len(text) > LONGEST:
        findings.fault((), f"too long for a rule file ({len(text)} characters)")
        return None
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
        return None if root is None else _Builder(findings, secrets).value(root, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        findings.fault_at(line, error.position - text.rfind("\n", 0, error.position), (), _sentence(error.reason))
        return None
    except yaml.MarkedYAMLError as error:
        opened = "end of stream" in (error.problem or "") or "<stream end>" in (error.problem or "")
        mark = (error.context_mark if opened else None) or error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        sentence = _sentence(error.problem or error.context or "")
        if "}" in sentence and "${" in "".join(text.splitlines()[line - 1 : line]):
            sentence += "; between braces `${NAME}` must stand in quotes"
        findings.fault_at(line, column, (), sentence)
        return None
    except _EndlessError as error:
        findings.fault_at(*_place(error.node), (), "an alias repeats itself without end, or far too often")
        return None
    except RecursionError:
        findings.fault((), "groups within groups, too deep to follow")
        return None
    except (ValueError, OverflowError):  # PyYAML's answer to `%YAML 99999…` and to escapes like "\\UFFFFFFFF"
        findings.fault((), "a number in this file is beyond all measure")
        return None


def _sentence(problem: str) -> str:
    for part, sentence in _SENTENCES:
        if part in problem:
            return sentence
    return "this is not YAML: check the indentation, colons and quotes around here"


class _EndlessError(Exception):
    """An alias within itself, or one of aliases of aliases."""

    def __init__(self, node: yaml.Node) -> None:
        super().__init__()
        self.node = node


@dataclass(slots=True)
class _Builder:
    """Turns YAML nodes into plain data, writes down places and fills in secrets."""

    findings: Findings
    secrets: Secrets | None
    nodes: int = 0
    open: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.nodes += 1
        self.findings.places.setdefault(path, _place(node))
        if self.nodes > _MOST_NODES or id(node) in self.open:
            raise _EndlessError(node)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.mapping(node, path)
        finally:
            self.open.remove(id(node))

    def mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.findings.fault_at(*_place(key), path, "a key must be a plain word")
                continue
            if key.tag == f"{_TAG}merge":
                merged += item.value if isinstance(item, yaml.SequenceNode) else [item]
                continue
            name = key.value
            if name in first:
                message = f"`{name[:40]}` stands here twice; the first is on line {first[name]}"
                self.findings.fault_at(*_place(key), (*path, name), message)
                continue
            first[name] = key.start_mark.line + 1
            self.findings.places[(*path, name)] = _place(key)
            found[name] = self.value(item, (*path, name))
        for other in merged:
            if not isinstance(other, yaml.MappingNode):
                self.findings.fault_at(*_place(other), path, "`<<:` takes a group of keys, such as `*name`")
                continue
            for name, item in (self.value(other, (*path, "<<")) or {}).items():
                if name not in found:
                    found[name] = item
                    self._adopt((*path, "<<", name), (*path, name))
        return found

    def _adopt(self, source: Path, target: Path) -> None:
        """What was merged in keeps the places (and secrets) of where it is written."""
        size = len(source)
        for known in (self.findings.places, self.findings.hidden):
            for path in [path for path in known if path[:size] == source]:
                known[(*target, *path[size:])] = known[path]  # type: ignore[assignment]

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        tag, text = node.tag, str(node.value)
        if tag == "!secret":
            return self.secret(text, path)
        kind = tag.removeprefix(_TAG)
        try:
            match kind:
                case "str":
                    return self.text(text, path)
                case "int":
                    return int(text)
                case "float":
                    return float(text)
                case "bool" if text.lower() in ("true", "false"):
                    return text.lower() == "true"
                case "null":
                    return None
                case "merge":
                    return text
        except ValueError:
            pass
        self.findings.fault(
            path, "`!` begins a tag and this one means nothing here; put text that begins with ! in quotes"
        )
        return None

    def text(self, text: str, path: Path) -> str:
        """Fill in `${NAME}`; `$${` stands for the characters themselves."""
        if self.secrets is None or "${" not in text:
            return text
        parts, end, missing = [], 0, False
        for match in _VARIABLE.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            if match[0] == "$${":
                parts.append("${")
            elif match[1] is None:
                self.findings.fault(
                    path, "`${` begins a variable such as `${ENVOY_TOKEN}`; for the characters write `$${`"
                )
                return ""
            elif match[1] in self.secrets.env:
                parts.append(self.secrets.env[match[1]])
            else:
                missing = True
                self.missing(path, f"the environment variable {match[1]} is not set")
        value = "".join([*parts, text[end:]])
        names = [match[0] for match in _VARIABLE.finditer(text) if match[1]]
        if names:
            self.findings.hidden[path] = (" ".join(f"`{name}`" for name in names), None if missing else value)
        return text if missing else value

    def secret(self, name: str, path: Path) -> str:
        """Fill in `!secret name`."""
        if self.secrets is None:
            self.findings.fault(path, "a secret cannot refer to a secret")
            return ""
        stored = self.secrets.stored(self.findings)
        value = stored.get(name)
        self.findings.hidden[path] = (f"`!secret {name}`", None if value is None else str(value))
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        file = self.secrets.beside / "secrets.yaml"
        if name in stored:
            self.findings.fault_at(*self.findings.places[path], path, f"`{name}` in {file} must be text in quotes")
        else:
            hint = nearest(name, stored) if stored else "it does not exist or is empty"
            self.missing(path, f"`{name}` is not in {file}; {hint}")
        return f"!secret {name}"

    def missing(self, path: Path, message: str) -> None:
        if self.secrets is not None and self.secrets.lenient:
            self.findings.note(path, message)
        else:
            self.findings.fault_at(*self.findings.places[path], path, message)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
