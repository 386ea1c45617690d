"""Prometheus understands the rules, they know only metrics that exist, and each alert is explained to a person."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from loadctl.service.metrics import METRICS
from tests.deploy.conftest import DEPLOY, output_of, program

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules" / "loadctl.yaml"
SUITES = sorted((PROMETHEUS / "tests").glob("*.test.yaml"))
EVERYWHERE = {"job", "instance"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Any]:
    return [pytest.param(rule, id=rule["alert"]) for rule in rules() if "alert" in rule]


def shown() -> dict[str, set[str]]:
    """Return every series that loadctl shows -> its labels."""
    series: dict[str, set[str]] = {}
    for row in METRICS:
        name = f"loadctl_{row.name}"
        if row.type == "histogram":
            series[f"{name}_bucket"] = {*row.labels, "le"}
            series[f"{name}_sum"] = series[f"{name}_count"] = set(row.labels)
        else:
            series[name] = set(row.labels)
    return series


def unknown(expr: str, known: dict[str, set[str]]) -> list[str]:
    """Return what a query names and loadctl does not show, metrics and labels."""
    faults = []
    for name, selector in re.findall(r"(?<![\w:])(loadctl_\w+)(?:\{([^}]*)\})?", expr):
        if name not in known:
            faults.append(name)
            continue
        labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))
        faults += [f"{name}{{{label}}}" for label in sorted(labels - known[name] - EVERYWHERE)]
    return faults


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.get("alert") or rule["record"]) for rule in rules()])
def test_a_rule_knows_what_loadctl_shows(rule):
    assert unknown(rule["expr"], shown()) == []


@pytest.mark.parametrize("rule", alerts())
def test_an_alert_speaks_to_the_householder(rule):
    readme = (DEPLOY / "README.md").read_text()
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook"] == f"deploy/README.md#{rule['alert'].lower()}"
    assert f"### {rule['alert']}\n" in readme


def test_the_handbook_knows_no_other_alerts():
    readme = (DEPLOY / "README.md").read_text()
    explained = re.findall(r"^### (\w+)$", readme.partition("## Alerts\n")[2].partition("\n## ")[0], re.MULTILINE)
    assert set(explained) == {rule["alert"] for rule in rules() if "alert" in rule}


def test_every_alert_is_tested():
    suites = "".join(path.read_text() for path in SUITES)
    assert [rule["alert"] for rule in rules() if "alert" in rule and f"alertname: {rule['alert']}" not in suites
            and f'alertname="{rule["alert"]}"' not in suites] == []  # fmt: skip


def test_promtool_finds_no_fault():
    promtool = program("promtool", "prometheus")
    code, text = output_of([promtool, "check", "config", PROMETHEUS / "prometheus.yml"])
    assert code == 0, text


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_alerts_fire_when_they_should(suite):
    code, text = output_of([program("promtool", "prometheus"), "test", "rules", suite])
    assert code == 0, text
