"""Recorded Envoys of three eras in, two emulated Shellys out, over real HTTP: the daemon does what the rules say."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadctl.config import parse
from loadctl.drivers import Shared
from loadctl.lab.emulators.envoy import RecordedEnvoy, make_token
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.home import ScaledClock
from loadctl.service.daemon import Daemon
from tests.conftest import SHARED
from tests.e2e.until import until
from tests.envoys import make_certificate

RECORDINGS = SHARED / "fixtures" / "envoy"
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not here"),
]
RULES = """\
version: 1
site: {{timezone: UTC, hold: 5 min}}
meter: {{driver: envoy, host: "{envoy}", source: {source}{token}}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{gen1}", lease: 10 min}}
    power: 2 kW
    start: 2 kW for 10 s
    stop: import 200 W for 10 s
    min_on: 0 s
  pump:
    actuator: {{driver: shelly, host: "{gen2}", password: pond, lease: 10 min}}
    power: 1 kW
    start: 1 kW for 10 s
    stop: import 200 W for 10 s
    min_on: 0 s
"""


@pytest.mark.parametrize(
    ("case", "source", "were_on", "ends_on"),
    [
        pytest.param("three_phase_export", "auto", False, True, id="digest era, 5.9 kW to give"),
        pytest.param("r4.10.35_split_net", "auto", True, False, id="digest era, imports 0.6 kW"),
        pytest.param("d8.3.5169_split_generator_idle", "readings", True, True, id="token era, imports 160 W"),
        pytest.param("d7.0.88_stream_livedata_reports", "stream", True, False, id="stream, imports 0.4 kW"),
    ],
)
async def test_it_switches_as_the_rules_say(case: str, source: str, were_on: bool, ends_on: bool, tmp_path: Path):
    clock = ScaledClock(datetime(2025, 6, 15, 12, 0, tzinfo=UTC), 8.0)
    box = RecordedEnvoy(RECORDINGS / case, clock=clock.now)
    plug, plus = EmulatedShellyGen1(clock=clock.now), EmulatedShellyGen2(clock=clock.now, password="pond")
    relays = [plug.relays[0], plus.relays[0]]
    for relay in relays:
        relay.set(were_on, "http", 600.0 if were_on else None)
    token = f', token: "{make_token(box.serial, time.time() + 1e7)}"' if box.with_token else ""
    async with AsyncExitStack() as stack:
        certificate = make_certificate(tmp_path) if box.with_token else None
        envoy, gen1, gen2 = [
            await stack.enter_async_context(serve(app, paper))
            for app, paper in ((box.app, certificate), (plug.app, None), (plus.app, None))
        ]
        rules = RULES.format(envoy=envoy, gen1=gen1, gen2=gen2, source=source, token=token)
        daemon = Daemon(parse(rules, "home.yaml"), Shared(clock))
        stack.push_async_callback(_ended, daemon, asyncio.create_task(daemon.run()))
        if were_on is ends_on:
            await until(lambda: daemon.reader.readings >= 4)
        else:
            await until(lambda: all(relay.on is ends_on for relay in relays))
        assert [relay.on for relay in relays] == [ends_on, ends_on]
        assert daemon.reader.sample is not None
        assert daemon.reader.sample.grid_w is not None


async def _ended(daemon: Daemon, task: asyncio.Task[dict[str, str]]) -> None:
    daemon.stop("the test is over")
    assert await task == {}
