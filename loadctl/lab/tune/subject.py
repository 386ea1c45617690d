"""The file that is tuned: its text, and the same as a scenario of which changed copies are made."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loadctl
from loadctl.config import text as yaml_text
from loadctl.config.findings import Findings
from loadctl.config.findings import Path as KeyPath
from loadctl.controller import Controller
from loadctl.lab.scenario_file import Scenario
from loadctl.lab.side_by_side import homes_of
from loadctl.lab.trace import Trace


@dataclass(frozen=True, slots=True)
class Edit:
    """A value to be written at a path of the rules, such as `70 %` at `("loads", "boiler", "start")`."""

    path: KeyPath
    value: str | int


@dataclass(frozen=True, slots=True)
class Subject:
    """`prefix`: where in the file the rules stand; `scenario` holds them as plain values, secrets left out."""

    file: Path
    text: str
    prefix: KeyPath
    scenario: Scenario

    def changed(self, edits: Iterable[Edit]) -> Scenario:
        """Return the home under changed rules."""
        data = copy.deepcopy(dict(self.scenario.data))
        for edit in edits:
            put(data, ("rules", *edit.path), edit.value)
        return Scenario(self.scenario.name, self.scenario.file, data)

    def print_of(self, traces: Iterable[Trace]) -> str:
        """Return a fingerprint of what is tuned and on which days: the same on any machine, other for other values."""
        digest = hashlib.sha256(json.dumps([loadctl.__version__, self.scenario.data], default=str).encode())
        for trace in traces:
            digest.update(repr((trace.name, str(trace.zone))).encode())
            for moment in trace.moments:
                digest.update(repr((moment, moment.soc_pct, sorted(moment.inputs.items()))).encode())
        return digest.hexdigest()[:16]


def read_subject(name: str, house: str | None = None) -> Subject:
    """Read a rule file, a scenario file or a built-in home; `house`: the scenario file that tells what is really there.

    Raises ConfigError with all that is wrong with it.
    """
    (scenario,) = homes_of([name], house).values()
    rules = scenario.data.get("rules")
    if not isinstance(rules, str):
        bare = Scenario(scenario.name, scenario.file, scenario.data)
        return Subject(bare.file, _text(bare.file), ("rules",), bare)
    file = scenario.file.with_name(rules)
    zone = getattr(Controller.from_file(file).house.zone, "key", None)
    text = _text(file)
    findings = Findings(str(file))
    data = _literal(yaml_text.read(text, findings, yaml_text.Secrets({}, file, lenient=True)))  # no secrets beside it
    findings.raise_if_any()
    if zone:
        data["site"] = {"timezone": zone, **(data.get("site") or {})}
    return Subject(file, text, (), Scenario(scenario.name, file, {**scenario.data, "rules": data}))


def put(data: dict[str, Any], path: KeyPath, value: str | int) -> None:
    """Write a value into nested groups."""
    for step in path[:-1]:
        data = data.setdefault(str(step), {})
    data[str(path[-1])] = value


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig")


def _literal(value: Any) -> Any:
    """Return plain values whose `${NAME}` stays as it stands there."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
