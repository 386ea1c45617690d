"""From the last byte of the meter's answer to the first byte of the command at the relay, both on loopback sockets.

Both emulated devices run in the daemon's own thread, so its CPU time between the two moments is what a machine with
nothing else to do would take; that is asserted. Time on the wall is printed beside it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from zoneinfo import ZoneInfo

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from loadctl.config import parse
from loadctl.drivers import LoopClock, Shared
from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen2
from loadctl.service.daemon import Daemon
from loadctl.service.journal import Journal
from loadctl.service.metrics import Metrics

SWITCHINGS = 15
RULES = """\
version: 1
site: {{timezone: UTC}}
meter: {{driver: envoy, host: "{envoy}", every: 1 s}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}"}}
    power: 2 kW
    start: 1.5 kW for 2 s
    stop: import 800 W for 2 s
    settle: 0 s
    min_on: 0 s
    min_off: 0 s
"""


@dataclass
class Watch:
    """Stands at both wires: when the meter had answered last, and how long after that a relay was told to switch."""

    boiler: EmulatedShellyGen2
    answered_at: tuple[float, float] = (0.0, 0.0)
    taken_s: list[tuple[float, float]] = field(default_factory=list)

    def meter(self, app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)
            self.answered_at = time.perf_counter(), time.thread_time()

        return noted

    def relay(self, app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            wall, cpu = self.answered_at
            taken_s = time.perf_counter() - wall, time.thread_time() - cpu
            await app(scope, receive, send)
            if self.boiler.calls and self.boiler.calls[-1][0] == "Switch.Set":
                self.taken_s.append(taken_s)

        return noted


@pytest.mark.anyio
@pytest.mark.bench
async def test_a_reading_becomes_a_command_in_less_than_10_ms(capsys, figure):
    envoy = EmulatedEnvoy(era="5", clock=time.monotonic)
    boiler = EmulatedShellyGen2(lambda: 2000.0)
    watch = Watch(boiler)
    async with serve(watch.meter(envoy.app)) as envoy_url, serve(watch.relay(boiler.app)) as boiler_url:
        house = parse(RULES.format(envoy=envoy_url, boiler=boiler_url), "bench.yaml")
        daemon = Daemon(house, Shared(LoopClock(ZoneInfo("UTC"))))
        daemon.observers += [Journal(daemon), Metrics(daemon)]
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(180):
            while len(watch.taken_s) < SWITCHINGS:
                envoy.pv_w = 2500.0
                envoy.grid_w = -2200.0 if not boiler.on else 2300.0  # each reading says the contrary
                await asyncio.sleep(0.05)
        taken_s = watch.taken_s[:SWITCHINGS]
        daemon.stop("enough measured")
        await running
    wall_s, cpu_s = (list(column) for column in zip(*taken_s, strict=True))
    with capsys.disabled():
        for name, values in (("wall", wall_s), ("CPU", cpu_s)):
            slow_ms = quantiles(values, n=10)[-1] * 1e3
            print(f"\nreading to command, {name}: median {median(values) * 1e3:.1f} ms, 90 % in {slow_ms:.1f} ms")  # noqa: T201
    figure("a reading becomes a command on the wire", f"{median(cpu_s) * 1e3:.1f} ms of CPU (median)")
    assert median(cpu_s) < 0.010
