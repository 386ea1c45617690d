"""`loadctl run` as a process against emulated devices on loopback, in real time: order and outcome, generous bounds."""

from __future__ import annotations

import asyncio
import signal
import stat
import time

import httpx
import pytest

from tests.e2e.street import LEASE_S, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def street(tmp_path):
    async with open_street(tmp_path) as street:
        yield street


async def test_it_switches_by_the_rules_keeps_them_when_a_new_file_is_bad_and_goes_safe_when_told_to_end(street):
    async with loadctl_run(street) as process:
        await until(lambda: street.boiler.on)
        assert street.said("boiler: wait_on → start")
        street.sun_w = 0.0
        await until(lambda: not street.boiler.on)
        street.sun_w = 2500.0
        await until(lambda: street.boiler.on)

        good = street.file.read_text(encoding="utf-8")
        street.file.write_text(good.replace("power: 2 kW", "power: 2"), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        await until(lambda: street.said("the rules stay as they were"))
        await until(lambda: street.said("home.yaml:8:5: loads.boiler.power: "))
        street.file.write_text(good.replace("for 2 s", "for 3 s"), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        await until(lambda: street.said("new rules: controlling boiler"))
        assert street.boiler.on
        copy = street.state_dir / "last-rules.yaml"
        assert "for 3 s" in copy.read_text(encoding="utf-8")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{street.port}") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
        await street.shows('loadctl_appliance_starts_total{appliance="boiler"} 2.0')
        await street.shows("loadctl_rules_reload_success 1.0")

        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
        assert not street.boiler.on
    assert [switching.on for switching in street.boiler.switchings] == [True, False, True, False]
    assert {switching.source for switching in street.boiler.switchings} == {"HTTP_in"}
    assert street.said("SIGTERM: stopping")
    assert street.said("boiler: off, confirmed")
    assert not street.said("Traceback")


async def test_a_killed_meter_turns_the_load_off_in_time(street):
    async with loadctl_run(street):
        await until(lambda: street.boiler.on)
        await street.kill_meter()
        died_at = time.monotonic()
        await until(lambda: not street.boiler.on)
        assert time.monotonic() - died_at < 6 + 2 + 10  # max_age + hold, and a machine that is busy
        assert street.said("→ blind")
    assert [switching.source for switching in street.boiler.switchings] == ["HTTP_in", "HTTP_in"]


async def test_after_kill_9_the_relay_goes_off_by_its_own_timer_within_the_lease(street):
    async with loadctl_run(street) as process:
        await until(lambda: street.boiler.on)
        process.kill()
        await process.wait()
        killed_at = street.clock()
        street.clock.rate = 10.0
        await until(lambda: not street.boiler.on)
    last = street.boiler.switchings[-1]
    assert (last.on, last.source) == (False, "timer")
    assert last.at - killed_at <= LEASE_S


async def test_a_dry_run_switches_nothing(street):
    async with loadctl_run(street, "--dry-run") as process:
        await until(lambda: street.said("→ run"))
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert street.boiler.switchings == []
    assert not any(method == "Switch.Set" for method, _ in street.boiler.calls)
    assert street.said("dry run: nothing is switched")


async def test_it_starts_with_every_device_away(street):
    good = street.file.read_text(encoding="utf-8")
    street.file.write_text(good.replace("127.0.0.1", "127.0.0.2"), encoding="utf-8")
    async with loadctl_run(street) as process:
        await until(lambda: street.said("meter: ") and street.said("→ fault"))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 2
    assert street.said("boiler: not confirmed off: ")
    assert not street.said("Traceback")
