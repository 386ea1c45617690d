#!/usr/bin/env python3
"""Builds dashboards/loadctl.json, the Grafana dashboard: python deploy/grafana/build.py.

A dashboard is laid out in lines of panels, 24 columns wide. What is written by hand here is what a person decides; ids,
places and the verdicts' numbers follow from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadctl.core.values import Phase, Verdict

OUTPUT = Path(__file__).with_name("dashboards") / "loadctl.json"
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HOME = '{instance="$instance"}'

Json = dict[str, Any]

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#6b7280"
PHASE_COLOURS = {
    Phase.OFF: GREY,
    Phase.STARTING: YELLOW,
    Phase.ON: GREEN,
    Phase.STOPPING: YELLOW,
    Phase.FAULT: RED,
}
# What a verdict not named here says is calm: idle, with its reason.
VERDICT_COLOURS = {
    Verdict.START: YELLOW,
    Verdict.STOP: YELLOW,
    Verdict.YIELD: YELLOW,
    Verdict.BUSY: YELLOW,
    Verdict.SETTLING: YELLOW,
    Verdict.WAIT_ON: YELLOW,
    Verdict.RUN: GREEN,
    Verdict.CHEAP: GREEN,
    Verdict.WAIT_OFF: GREEN,
    Verdict.HELD_ON: GREEN,
    Verdict.IDLE: GREEN,
    Verdict.NEED: BLUE,
    Verdict.HAND: PURPLE,
    Verdict.MODE: PURPLE,
    Verdict.SHED: ORANGE,
    Verdict.CROWDED: ORANGE,
    Verdict.NEED_AT_RISK: ORANGE,
    Verdict.BLIND: RED,
    Verdict.OUTAGE: RED,
    Verdict.FAULT: RED,
    Verdict.WELDED: RED,
}


def of_appliances(metric: str, labels: str = "") -> str:
    """Return the selector of `metric` for the appliances that are chosen at the top of the page."""
    return f'loadctl_{metric}{{instance="$instance", appliance=~"$appliance"{labels}}}'


def numbered(metric: str, label: str, words: Sequence[str]) -> str:
    """Return a query that is, per appliance, the number of the word that holds: a state timeline draws numbers only."""
    terms = (f"{of_appliances(metric, f', {label}={json.dumps(str(word))}')} * {n}" for n, word in enumerate(words))
    return f"sum by (appliance) ({' or '.join(terms)})"


def query(expr: str, legend: str = "", *, now: bool = False) -> Json:
    """Return one query; `now` asks for the latest value only."""
    kind = {"instant": True, "range": False} if now else {"instant": False, "range": True}
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend or "__auto", **kind}


def panel(
    kind: str, title: str, width: int, queries: Sequence[Json], *, about: str = "", unit: str = "", **more: Any
) -> Json:
    """Return a panel without its place. `more`: `defaults` and `overrides` of its fields, `options`, what is rare."""
    defaults = {"unit": unit} if unit else {}
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": width},
        "targets": [{**one, "refId": chr(ord("A") + n)} for n, one in enumerate(queries)],
        "fieldConfig": {"defaults": defaults | more.pop("defaults", {}), "overrides": more.pop("overrides", [])},
        **more,
    }


def stat(title: str, expr: str, unit: str, steps: Sequence[tuple[float | None, str]], **more: Any) -> Json:
    """Return one big number; `steps`: from which value on it has which colour."""
    thresholds = {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    defaults = {"thresholds": thresholds} | more.pop("defaults", {})
    return panel("stat", title, 4, [query(expr)], unit=unit, options=options, defaults=defaults, **more)


def lines(title: str, width: int, queries: Sequence[Json], *, unit: str, stacked: bool = False, **more: Any) -> Json:
    """Return a panel with a line per series."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never", "spanNulls": False}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    options = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}}
    return panel("timeseries", title, width, queries, unit=unit, options=options, defaults={"custom": custom}, **more)


def timeline(title: str, expr: str, colours: Sequence[tuple[str, str]], about: str) -> Json:
    """Return a bar in time per appliance; `colours`: the words in the order of their numbers."""
    mapping = {str(n): {"text": word, "color": colour, "index": n} for n, (word, colour) in enumerate(colours)}
    return panel(
        "state-timeline",
        title,
        COLUMNS,
        [query(expr, "{{appliance}}")],
        about=about,
        defaults={"custom": {"fillOpacity": 80, "lineWidth": 0}, "mappings": [{"type": "value", "options": mapping}]},
        options={"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "legend": {"showLegend": False}},
    )


def today(title: str, expr: str, unit: str) -> Json:
    """Return a bar per appliance over the day so far; `$__range` in `expr` is the time since midnight."""
    return panel(
        "bargauge",
        title,
        8,
        [query(expr, "{{appliance}}", now=True)],
        unit=unit,
        timeFrom="now/d",
        defaults={"min": 0, "decimals": 1},
        options={"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
    )


def quantile(share: float, metric: str, by: str = "") -> str:
    """Return the query of a quantile of a histogram, per label `by` if one is given."""
    labels = f"{by}, le" if by else "le"
    selector = of_appliances(f"{metric}_bucket") if by else f"loadctl_{metric}_bucket{HOME}"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({selector}[$__rate_interval])))"


def coloured(name: str, colour: str) -> Json:
    """Return an override: the line called `name` has this colour."""
    properties = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def yes_or_no(yes: str, no: str) -> Json:
    """Return the words for 1 and 0."""
    options = {"1": {"text": yes, "index": 0}, "0": {"text": no, "index": 1}}
    return {"mappings": [{"type": "value", "options": options}]}


def page() -> Iterator[tuple[int, list[Json]]]:
    """Yield the lines of the page: height and panels from left to right."""
    calm = ((None, "text"),)
    yield 4, [
        stat("Surplus", f"loadctl_surplus_power_watts{HOME}", "watt", ((None, GREY), (1, GREEN)),
             about="Free for all appliances together, what they draw now included."),
        stat("Grid", f"loadctl_grid_power_watts{HOME}", "watt", ((None, GREEN), (0, ORANGE)),
             about="Import above 0, export below."),
        stat("Sun", f"loadctl_pv_power_watts{HOME}", "watt", calm),
        stat("House", f"loadctl_house_power_watts{HOME}", "watt", calm),
        stat("Meter", f"loadctl_blind{HOME}", "", ((None, GREEN), (1, RED)), defaults=yes_or_no("blind", "read"),
             about="Blind: there is no reading to trust, and all loads are in their safe state."),
        stat("Rules", f"loadctl_rules_reload_success{HOME}", "", ((None, RED), (1, GREEN)),
             defaults=yes_or_no("as in the file", "the file has a fault")),
    ]  # fmt: skip
    yield 9, [
        lines(
            "Power", COLUMNS,
            [
                query(f"loadctl_grid_power_watts{HOME}", "grid"),
                query(f"loadctl_pv_power_watts{HOME}", "sun"),
                query(f"loadctl_house_power_watts{HOME}", "house"),
                query(f"loadctl_battery_power_watts{HOME}", "battery"),
                query(f"loadctl_surplus_power_watts{HOME}", "surplus"),
            ],
            unit="watt",
            overrides=[coloured("grid", RED), coloured("sun", YELLOW), coloured("house", BLUE),
                       coloured("battery", PURPLE), coloured("surplus", GREEN)],
            about="Grid: import above 0, export below. A gap is a time without readings.",
        ),
    ]  # fmt: skip
    yield 7, [
        timeline("On and off", numbered("appliance_phase", "phase", list(Phase)), list(PHASE_COLOURS.items()),
                 "What each appliance's switch did."),
    ]  # fmt: skip
    yield 7, [
        timeline("Why", numbered("appliance_verdict", "verdict", list(Verdict)),
                 [(word, VERDICT_COLOURS.get(word, GREY)) for word in Verdict],
                 "The decision and its reason. Grey idle, yellow about to change, green runs on the sun, "
                 "blue must run, purple held by hand or run in a mode, orange the fuse or a need in danger, "
                 "red something is broken."),
    ]  # fmt: skip
    yield 8, [
        lines("Appliances", 8, [query(of_appliances("appliance_power_watts"), "{{appliance}}")], unit="watt",
              stacked=True),
        lines("Set to draw", 8, [query(of_appliances("appliance_target_power_watts"), "{{appliance}}")], unit="watt",
              about="What cars and heaters with a range of power are told; what they draw is beside it."),
        lines("Left to start on, or to run on", 8,
              [query(of_appliances("appliance_spare_power_watts"), "{{appliance}}")], unit="watt"),
    ]  # fmt: skip
    source = of_appliances("appliance_source_joules_total")
    yield 7, [
        lines("Prices of a kWh", 8,
              [query(f"loadctl_import_price_per_kwh{HOME}", "from the grid"),
               query(f"loadctl_export_price_per_kwh{HOME}", "to the grid"),
               query(of_appliances("appliance_price_limit_per_kwh"), "{{appliance}} pays at most")], unit="short",
              overrides=[coloured("from the grid", RED), coloured("to the grid", YELLOW)]),
        lines("Sun still to come today", 8, [query(f"loadctl_expected_surplus_joules{HOME} / 3.6e6", "expected")],
              unit="kwatth", about="What the sun is expected to leave until midnight, learned from this house."),
        lines("Sun and grid", 8,
              [query(f"sum by (source) (rate({source}[$__rate_interval]))", "{{source}}")], unit="watt", stacked=True,
              overrides=[coloured("sun", YELLOW), coloured("grid", RED)],
              about="Where the power of the appliances comes from; what is imported counts for the least important."),
    ]  # fmt: skip
    used = of_appliances("appliance_energy_joules_total")
    yield 6, [
        today("Energy today", f"sum by (appliance) (increase({used}[$__range])) / 3.6e6", "kwatth"),
        today("Hours on today",
              f"sum by (appliance) (increase({of_appliances('appliance_on_seconds_total')}[$__range]))", "s"),
        today("Starts today", of_appliances("appliance_starts_today"), "short"),
    ]  # fmt: skip
    yield 7, [
        lines("Age of the reading", 8, [query(f"loadctl_reading_age_seconds{HOME}", "age")], unit="s"),
        lines("Meter errors", 8,
              [query(f"sum by (kind) (increase(loadctl_meter_errors_total{HOME}[$__rate_interval]))", "{{kind}}")],
              unit="short"),
        lines("Lateness of the tick", 8, [query(quantile(0.99, "tick_lateness_seconds"), "99 %")], unit="s",
              about="Decisions are due each second."),
    ]  # fmt: skip
    failed = of_appliances("commands_total", ', outcome!~"confirmed|superseded"')
    yield 7, [
        lines("Commands: time to the answer", 8,
              [query(quantile(0.5, "command_duration_seconds", "appliance"), "{{appliance}} half"),
               query(quantile(0.95, "command_duration_seconds", "appliance"), "{{appliance}} 95 %")], unit="s"),
        lines("Commands that failed", 8,
              [query(f"sum by (appliance, outcome) (increase({failed}[$__rate_interval]))",
                     "{{appliance}} {{outcome}}")],
              unit="short"),
        lines("Lease left", 8, [query(of_appliances("appliance_lease_left_seconds"), "{{appliance}}")], unit="s",
              about="How long each appliance stays on if loadctl dies. It is renewed when a third is gone."),
    ]  # fmt: skip


def placed(rows: Iterator[tuple[int, list[Json]]]) -> Iterator[Json]:
    """Yield the panels with their ids and places."""
    number = top = 0
    for height, panels in rows:
        left = 0
        for one in panels:
            number += 1
            width = one["gridPos"]["w"]
            yield {"id": number, **one, "gridPos": {"x": left, "y": top, "w": width, "h": height}}
            left += width
        top += height


def variable(name: str, label: str, expr: str, **more: Any) -> Json:
    """Return a choice at the top of the page."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": expr, "refId": name},
        "refresh": 2,
        "sort": 1,
        **more,
    }


def dashboard() -> Json:
    """Return the whole dashboard in the shape of its JSON file."""
    return {
        "uid": "loadctl",
        "title": "loadctl",
        "tags": ["loadctl", "energy"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now/d", "to": "now"},
        "refresh": "10s",
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
                variable("instance", "Home", "label_values(loadctl_build_info, instance)"),
                variable(
                    "appliance",
                    "Appliance",
                    'label_values(loadctl_appliance_phase{instance="$instance"}, appliance)',
                    multi=True,
                    includeAll=True,
                    allValue=".*",
                    current={"text": ["All"], "value": ["$__all"]},
                ),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "enable": True,
                    "datasource": SOURCE,
                    "iconColor": RED,
                    "expr": 'ALERTS{alertstate="firing", severity!="info"}',
                    "titleFormat": "{{alertname}} {{appliance}}",
                }
            ]
        },
        "panels": list(placed(page())),
    }


def text() -> str:
    """Return the JSON file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text(), encoding="utf-8")
