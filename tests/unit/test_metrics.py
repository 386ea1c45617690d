"""What Prometheus sees of a house on virtual time, and that the README's table is what is served."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from loadctl.config import House
from loadctl.core.rules import Clock, Need
from loadctl.drivers import Shared
from loadctl.errors import Refused, Unreachable
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.metrics import METRICS, OUTCOMES, Metrics, markdown
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock, VirtualLoop

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@asynccontextmanager
async def measuring(home: House, memory: Memory | None = None) -> AsyncIterator[Metrics]:
    daemon = Daemon(home, Shared(VirtualClock()), memory=memory)
    metrics = Metrics(daemon)
    daemon.observers.append(metrics)
    running = asyncio.create_task(daemon.run())
    try:
        yield metrics
    finally:
        daemon.stop("SIGTERM")
        await running


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"loadctl_{name}", labels)


@pytest.mark.anyio
async def test_a_running_load_in_numbers():
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    async with measuring(house(meter, (rule("boiler"), boiler))) as metrics:
        await asyncio.sleep(305)

        def of(name: str, **labels: str) -> float | None:
            return value(metrics, name, appliance="boiler", **labels)

        assert value(metrics, "grid_power_watts") == pytest.approx(-200)
        assert value(metrics, "pv_power_watts") == 2500
        assert value(metrics, "house_power_watts") == 2300
        assert value(metrics, "surplus_power_watts") == pytest.approx(2200)
        assert value(metrics, "blind") == 0
        assert 0 <= (value(metrics, "reading_age_seconds") or 9) <= 1.1
        assert value(metrics, "meter_readings_total") == pytest.approx(300, abs=10)
        assert value(metrics, "ticks_total") == pytest.approx(600, abs=50)
        assert of("appliance_phase", phase="on") == 1
        assert of("appliance_phase", phase="off") == 0
        assert of("appliance_verdict", verdict="run") == 1
        assert of("appliance_power_watts") == 2000
        assert of("appliance_starts_total") == of("appliance_starts_today") == 1
        on_s = of("appliance_on_seconds_total") or 0.0
        assert 285 <= on_s <= 305
        assert of("appliance_energy_joules_total") == pytest.approx(2000 * on_s, rel=0.02)
        assert of("appliance_lease_seconds") == 60
        assert 35 <= (of("appliance_lease_left_seconds") or 0) <= 60
        assert of("decisions_total", verdict="start") == 1
        assert of("commands_total", outcome="confirmed") == 1
        assert of("command_duration_seconds_count") == 1
        assert of("command_duration_seconds_sum") == pytest.approx(0.2, abs=0.15)
        assert value(metrics, "tick_lateness_seconds_count") == pytest.approx(305, abs=2)
        assert value(metrics, "tick_lateness_seconds_bucket", le="0.001") == pytest.approx(305, abs=2)
        assert value(metrics, "rules_reload_success") == 1


@pytest.mark.anyio
async def test_what_the_memory_knows(tmp_path):
    boiler = Relay(lease_s=30.0)
    home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))
    memory = await Memory.open(tmp_path / FILE, VirtualClock(), home.site, executor=Inline())
    async with measuring(home, memory) as metrics:
        await asyncio.sleep(3600)
        assert value(metrics, "memory_up") == 1
        assert value(metrics, "energy_joules_total", flow="production") == pytest.approx(2500 * 3600, rel=0.01)
        assert value(metrics, "energy_joules_total", flow="export") == pytest.approx(200 * 3600, rel=0.1)
        assert value(metrics, "energy_joules_total", flow="import") == 0
        assert value(metrics, "lease_renewals_failed_total", appliance="boiler") == 0
        assert value(metrics, "appliance_needs_missed_total", appliance="boiler") == 0
        left_s = value(metrics, "appliance_lease_left_seconds", appliance="boiler") or 0.0
        boiler.error = Unreachable("no route")
        await asyncio.sleep(12)
        assert (value(metrics, "lease_renewals_failed_total", appliance="boiler") or 0) >= 1
        assert (value(metrics, "appliance_lease_left_seconds", appliance="boiler") or 0) < left_s
    await memory.close()


@pytest.mark.anyio
async def test_a_need_that_was_missed_is_counted():
    pump = Relay()
    need = Need(by=Clock(time(15, 0)), runtime_s=1800.0)
    home = house(HomeMeter(error=Unreachable("no answer")), (rule("pump", needs=(need,)), pump))
    async with measuring(home) as metrics:
        await asyncio.sleep(2 * 3600)
        assert value(metrics, "appliance_needs_missed_total", appliance="pump") == 1
        assert value(metrics, "memory_up") is None


@pytest.mark.anyio
async def test_what_is_not_known_is_not_served():
    boiler = Relay(lease_s=None, error=Unreachable("no route"))
    async with measuring(house(HomeMeter(error=Refused("wrong login")), (rule("boiler"), boiler))) as metrics:
        await asyncio.sleep(60)
        assert value(metrics, "blind") == 1
        for name in ("grid_power_watts", "surplus_power_watts", "reading_age_seconds", "grid_up"):
            assert value(metrics, name) is None
        assert (value(metrics, "meter_errors_total", kind="refused") or 0) >= 3
        assert value(metrics, "appliance_lease_seconds", appliance="boiler") == 0
        assert value(metrics, "appliance_lease_left_seconds", appliance="boiler") is None
        assert (value(metrics, "commands_total", appliance="boiler", outcome="unreachable") or 0) >= 1


@pytest.mark.anyio
async def test_every_metric_of_the_table_is_served_and_no_other():
    boiler = Relay()
    async with measuring(house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))) as metrics:
        await asyncio.sleep(60)
        page = generate_latest(metrics.registry).decode()
    served = {family.name: (family.type, family.documentation) for family in text_string_to_metric_families(page)}
    assert served == {
        f"loadctl_{row.name}".removesuffix("_total" if row.type == "counter" else ""): (row.type, row.help)
        for row in METRICS
    }
    labels = {
        (sample.name, label)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        for label in sample.labels
        if label != "le"
    }
    promised = {(f"loadctl_{row.name}", label) for row in METRICS for label in row.labels}
    assert {(re.sub("_(bucket|sum|count)$", "", name), label) for name, label in labels} <= promised
    assert "_created" not in page


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say():
    async def page() -> bytes:
        boiler = Relay()
        async with measuring(house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))) as metrics:
            await asyncio.sleep(60)
            return generate_latest(metrics.registry)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        served = runner.run(page())
    result = subprocess.run(["promtool", "check", "metrics"], input=served, capture_output=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_outcomes_are_the_words_of_the_errors():
    assert {Refused.kind, Unreachable.kind} < set(OUTCOMES)


def test_the_readme_shows_what_is_served():
    table = re.search(r"<!-- metrics -->\n(.*?)\n?<!-- /metrics -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    assert table.group(1).strip() == markdown()
