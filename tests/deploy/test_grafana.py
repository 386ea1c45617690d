"""The dashboard is what its script builds, and each of its queries asks for what loadctl shows."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
import yaml

from loadctl.core.values import Phase, Verdict
from tests.deploy.conftest import DEPLOY
from tests.deploy.test_prometheus import shown, unknown

GRAFANA = DEPLOY / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "loadctl.json").read_text())
PANELS = DASHBOARD["panels"]
COLUMNS = 24


def queries() -> list[Any]:
    return [
        pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in PANELS
        for target in panel["targets"]
    ]


def test_it_is_what_its_script_builds():
    built = runpy.run_path(str(GRAFANA / "build.py"))["text"]()
    assert (GRAFANA / "dashboards" / "loadctl.json").read_text() == built, "run: python deploy/grafana/build.py"


@pytest.mark.parametrize("expr", queries())
def test_a_panel_asks_for_what_loadctl_shows(expr):
    assert unknown(expr, shown()) == []
    assert '$instance"' in expr


def test_variables_ask_for_what_loadctl_shows():
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables.keys() == {"datasource", "instance", "appliance"}
    for name in ("instance", "appliance"):
        assert unknown(variables[name]["query"]["query"], shown()) == []


def test_panels_lie_side_by_side():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(COLUMNS))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize(("title", "words"), [("On and off", list(Phase)), ("Why", list(Verdict))])
def test_a_timeline_has_a_word_for_each_number(title, words):
    panel = next(panel for panel in PANELS if panel["title"] == title)
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert [mapping["options"][str(n)]["text"] for n in range(len(words))] == words
    expr = panel["targets"][0]["expr"]
    assert [f'="{word}"}} * {n}' in expr for n, word in enumerate(words)] == [True] * len(words)


def test_grafana_finds_its_dashboard_and_its_source():
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/loadctl.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
