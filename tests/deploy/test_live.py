"""A real Prometheus scrapes the demo's home: the dashboard has something to draw, and alerts fire when things break."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import Fault as EnvoyFault
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly.wire import Fault as ShellyFault
from loadctl.lab.home import STARTS_AT_S, Home, ScaledClock, open_home
from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web.app import application
from tests.deploy.conftest import DEPLOY, program
from tests.deploy.prometheus import Prometheus, prometheus

SPEED = 60.0
HURRY = 200.0  # an alert that waits five minutes waits a second and a half here
BEGINS = datetime(2026, 6, 21, tzinfo=UTC) + timedelta(seconds=STARTS_AT_S)
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "loadctl.json").read_text())
# The home of the demo has no battery; in the beginning nothing has gone wrong.
NOTHING_TO_DRAW = {"Power D", "Meter errors A"}


def panels() -> dict[str, str]:
    """Return the dashboard's queries by panel."""
    return {
        f"{one['title']} {target['refId']}": target["expr"] for one in DASHBOARD["panels"] for target in one["targets"]
    }


def filled_in(expr: str, instance: str) -> str:
    """Return a query as Grafana would send it."""
    values = {"$instance": instance, "$appliance": ".*", "$__range": "1h", "$__rate_interval": "30s"}
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr
    return expr


@asynccontextmanager
async def controlled() -> AsyncIterator[tuple[Home, AsyncExitStack, str]]:
    """Control the demo's home; yield it, what serves the page, and the page's host:port."""
    clock = ScaledClock(BEGINS, SPEED)
    async with open_home(clock, port=8480) as home:
        daemon = Daemon(parse(home.rules, "demo.yaml"), Shared(clock))
        metrics = Metrics(daemon)
        daemon.observers.append(metrics)
        running = asyncio.create_task(daemon.run())
        try:
            async with AsyncExitStack() as page:
                url = await page.enter_async_context(serve(application(daemon, metrics)))
                yield home, page, url.removeprefix("http://")
        finally:
            daemon.stop("the test is over")
            await running


@pytest.mark.anyio
async def test_what_prometheus_and_the_dashboard_make_of_a_home(tmp_path):
    server = program("prometheus", "prometheus")
    async with controlled() as (home, page, target), prometheus(server, tmp_path, target, HURRY) as prom:
        await a_calm_home_is_drawn(prom, target)
        await a_dead_meter_is_told(prom, home, target)
        await a_dead_switch_is_told(prom, home, target)
        await page.aclose()
        await fires(prom, "LoadctlDown")


async def a_calm_home_is_drawn(prom: Prometheus, target: str) -> None:
    await prom.until('loadctl_appliance_phase{phase="on"} == 1')
    for name, expr in panels().items():
        if name in NOTHING_TO_DRAW:
            continue
        series = await prom.until(filled_in(expr, target))
        assert all(math.isfinite(float(value(one))) for one in series) or "quantile" in expr, name
    for name in NOTHING_TO_DRAW:
        assert await prom.query(filled_in(panels()[name], target)) == []
    chosen = {one["name"]: one.get("query") for one in DASHBOARD["templating"]["list"]}
    assert "loadctl_build_info, instance" in chosen["instance"]["query"]
    names = await prom.query("count by (appliance) (loadctl_appliance_phase)")
    assert {one["metric"]["appliance"] for one in names} == {"boiler", "pool_pump", "car"}
    assert not {name for name, _ in await prom.firing()} & {"LoadctlDown", "MeterBlind", "ActuatorFault", "GridDown"}


async def a_dead_meter_is_told(prom: Prometheus, home: Home, target: str) -> None:
    home.envoy.fault = EnvoyFault.RESET
    await fires(prom, "MeterBlind")
    assert await prom.query(filled_in(panels()["Grid A"], target)) == [], "what is not known is not drawn"
    assert await prom.query("loadctl:grid_import_watts") == []
    await prom.until(filled_in(panels()["Meter errors A"], target))
    await prom.until('loadctl_appliance_phase{phase="off"} == 1', lambda series: len(series) == 3)
    home.envoy.fault = None
    await prom.until('ALERTS{alertname="MeterBlind"}', lambda series: not series)


async def a_dead_switch_is_told(prom: Prometheus, home: Home, target: str) -> None:
    await prom.until('loadctl_appliance_phase{appliance="boiler", phase="on"} == 1')
    home.boiler.fault = ShellyFault.RESET
    await fires(prom, "LeaseLost", "boiler")
    await fires(prom, "ActuatorFault", "boiler")
    assert ("ActuatorFault", "pool_pump") not in await prom.firing()
    home.boiler.fault = None  # or the daemon would take its time over it at the end


async def fires(prom: Prometheus, alert: str, appliance: str = "") -> None:
    which = f'ALERTS{{alertname="{alert}", appliance="{appliance}", alertstate="firing"}}'
    await prom.until(which)


def value(series: dict[str, Any]) -> str:
    found: str = series["value"][1]
    return found
