"""Is the emulated Envoy like a real one? pyenphase, the client behind Home Assistant, has to understand it as we do."""

from __future__ import annotations

import httpx
import pytest

from loadctl.lab.emulators.envoy import EmulatedEnvoy, Fault
from loadctl.lab.emulators.serve import Certificate, serve
from tests.envoys import QuickClock, emulated, make_certificate, reading

pyenphase = pytest.importorskip("pyenphase")
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("envoy"))


async def as_pyenphase_sees(box: EmulatedEnvoy, certificate: Certificate | None):
    async with serve(box.app, certificate) as url:
        client = pyenphase.Envoy(url.partition("://")[2])
        try:
            await client.setup()
            if box.with_token:
                await client.authenticate(token=box.token)
            else:
                await client.authenticate("envoy")
            return await client.update()
        finally:
            await client.close()


@pytest.mark.parametrize("era", ["5", "7", "8"])
@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("kind", ["net-consumption", "total-consumption"])
async def test_pyenphase_and_the_meter_agree(certificate, era, phases, kind):
    clock = QuickClock()
    box = emulated(clock, era, phases=phases, consumption_ct=kind)
    if box.with_token:
        box.house.batteries, box.battery_w, box.soc_pct = 2, -600.0, 55.0
    secured = certificate if box.with_token else None
    seen = await as_pyenphase_sees(box, secured)
    async with reading(box.app, clock, secured, token=box.token) as meter:
        for _ in range(4):
            sample = await meter.read()
            await clock.sleep(5)
    assert sample.pv_w == pytest.approx(seen.system_production.watts_now, abs=1)
    assert sample.grid_w == pytest.approx(seen.system_net_consumption.watts_now, abs=1)
    assert sample.load_w is not None
    house_w = sample.load_w - (sample.battery_w or 0.0)  # theirs contains a charging battery
    assert house_w == pytest.approx(seen.system_consumption.watts_now, abs=1)
    assert len(seen.inverters) == box.house.panels
    if phases == 3:
        theirs = [phase.watts_now for phase in seen.system_net_consumption_phases.values()]
        assert [phase.grid_w for phase in sample.phases] == pytest.approx(theirs, abs=1)
    if box.with_token:
        battery_w = -sum(unit.real_power_mw for unit in seen.encharge_power.values()) / -1000
        assert sample.battery_w == pytest.approx(battery_w, abs=1)
        assert sample.soc_pct == seen.encharge_aggregate.state_of_charge == 55


async def test_pyenphase_on_a_house_without_cts(certificate):
    clock = QuickClock()
    box = emulated(clock, "8", production_ct=False, consumption_ct=None)
    seen = await as_pyenphase_sees(box, certificate)
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        sample = await meter.read()
    assert sample.pv_w == seen.system_production.watts_now == 3000
    assert sample.grid_w is seen.system_net_consumption is None


async def test_the_wire_remembers_and_digest_wants_the_right_password():
    box = emulated(QuickClock(), "5")
    async with serve(box.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/api/v1/production/inverters")).status_code == 401
        for password, status in (("wrong", 401), (box.serial[-6:], 200)):
            answer = await client.get("/api/v1/production/inverters", auth=httpx.DigestAuth("envoy", password))
            assert answer.status_code == status
        assert (await client.get("/ivp/livedata/status")).status_code == 404
    assert [asked.status for asked in box.requests] == [401, 401, 401, 401, 200, 404]


async def test_sessions_last_ten_minutes_after_their_last_use(certificate):
    clock = QuickClock()
    box = emulated(clock, "7")
    async with serve(box.app, certificate) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        bearer = {"Authorization": f"Bearer {box.token}"}
        assert (await client.get("/auth/check_jwt", headers=bearer)).status_code == 200
        for wait_s, status in ((590, 200), (590, 200), (610, 401)):
            clock.leap(wait_s)
            assert (await client.get("/ivp/meters")).status_code == status


async def test_hanging_requests_end_when_the_fault_does():
    box = emulated(QuickClock(), "5")
    box.fault = Fault.HANG
    async with serve(box.app) as url, httpx.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/info", timeout=0.1)
        box.fault = None
        assert (await client.get("/info")).status_code == 200
