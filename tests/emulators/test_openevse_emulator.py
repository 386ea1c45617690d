"""The emulated OpenEVSE against python-openevse-http, the client of Home Assistant, which nobody of us wrote.

Its 1.x wants Python 3.13; on older ones pip finds 0.2.5, which lacks the load shaper.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.openevse import Claim, EmulatedOpenEvse
from loadctl.lab.emulators.openevse.claims import Claims, as_the_chip_reads
from loadctl.lab.emulators.serve import serve
from tests.e2e.shelly_home import Clock

aiohttp = pytest.importorskip("aiohttp", reason="PROOF SKIPPED: aiohttp, which python-openevse-http needs, is missing")
openevsehttp = pytest.importorskip(
    "openevsehttp.__main__", reason="PROOF SKIPPED: python-openevse-http, which judges the emulated box, is missing"
)

exceptions = pytest.importorskip("openevsehttp.exceptions")

pytestmark = pytest.mark.anyio


def box(clock: Clock, **keys: Any) -> EmulatedOpenEvse:
    car = Car(clock.now, phases=1, volts=240.0, most_a=40.0, plugged=True)
    return EmulatedOpenEvse(car, clock=clock.now, **keys)


@asynccontextmanager
async def asking(device: EmulatedOpenEvse, **login: str) -> AsyncIterator[Any]:
    async with serve(device.app) as url, aiohttp.ClientSession() as session:
        client = openevsehttp.OpenEVSE(url.removeprefix("http://"), session=session, **login)
        await client.update()
        yield client
        await client.ws_disconnect()


async def test_status_and_settings_are_read() -> None:
    clock = Clock()
    device = box(clock)
    async with asking(device) as client:
        clock.at += 60
        await client.update()
        assert await client.test_and_get() == {"serial": device.serial, "model": "openevse_wifi_v1"}
        assert (client.state, client.vehicle, client.wifi_firmware) == ("charging", True, "5.1.5")
        assert (client.charging_current, client.charging_voltage) == (32_000, 240)
        assert (client.current_capacity, client.max_current_soft, client.max_amps) == (32, 32, 48)
        assert client.ambient_temperature == 41.5
        assert client.usage_session == pytest.approx(device.car.session_wh, abs=0.01)
        assert (client.wifi_signal, int(client.service_level)) == (-58, 2)
        for state, word in ((6, "gfci fault"), (10, "over temperature")):
            device.trip(state)
            await client.update()
            assert client.state == word


async def test_an_override_is_set_read_and_cleared() -> None:
    clock = Clock()
    device = box(clock)
    async with asking(device) as client:
        assert await client.get_override() == {}
        assert (await client.set_override(state="disabled"))["msg"] == "Created"
        assert await client.get_override() == {"state": "disabled", "auto_release": True}
        clock.at += 1
        await client.update()
        assert (client.state, client.status, client.manual_override) == ("sleeping", "disabled", 1)
        assert device.car.watts == 0.0
        await client.clear_override()
        assert await client.get_override() == {}
        await client.set_current(10)
        clock.at += 60
        await client.update()
        assert (client.current_capacity, client.charging_current, device.car.watts) == (10, 10_000, 2400.0)
        await client.toggle_override()
        assert await client.get_override() == {}
        await client.toggle_override()
        clock.at += 1
        assert not device.on


async def test_claims_are_made_listed_and_released() -> None:
    clock = Clock()
    device = box(clock)
    async with asking(device) as client:
        assert await client.list_claims() == []
        assert await client.make_claim(state="active", charge_current=16, auto_release=False) == {"msg": "done"}
        wants = {"state": "active", "charge_current": 16, "auto_release": False}
        assert await client.list_claims() == [{"client": 20, "priority": 500} | wants]
        await client.set_override(charge_current=10)
        target = await client.list_claims(target=True)
        assert target["properties"]["charge_current"] == 10
        assert target["claims"] == {"state": 20, "charge_current": 0x10001}
        clock.at += 1
        assert device.pilot_a == 10
        assert await client.release_claim() == {"msg": "done"}
        await client.clear_override()
        assert (await client.list_claims(target=True))["claims"] == {}
        clock.at += 1
        assert device.pilot_a == 32


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # python-openevse-http uses it
@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
async def test_a_login_is_asked_for() -> None:
    device = box(Clock(), password="s3cret")
    async with asking(device, user="openevseadmin", pwd="s3cret") as client:
        assert client.vehicle
    with pytest.raises(exceptions.AuthenticationError):
        async with asking(device, user="openevseadmin", pwd="guess"):
            pass


async def test_the_load_shaper_is_fed_switched_and_read() -> None:
    clock = Clock()
    device = box(clock, shaper=True)

    def after(seconds: float) -> bool:
        clock.at += seconds
        return device.on

    assert not after(5)
    async with asking(device) as client:
        if not hasattr(client, "set_shaper"):
            pytest.skip("PROOF SKIPPED: this python-openevse-http does not know the load shaper yet (1.x: Python 3.13)")
        assert (client.shaper_active, client.shaper_updated, client.shaper_max_power) == (True, False, None)
        await client.set_shaper_live_pwr(1000)
        clock.at += 5
        await client.update()
        assert (client.shaper_updated, client.shaper_live_power, client.state) == (True, 1000, "connected")
        assert after(1)
        assert not after(113)
        await client.set_shaper(False)
        assert after(1)
        await client.restart_wifi()
        assert not after(5)


async def test_a_restart_forgets_all_claims() -> None:
    clock = Clock()
    device = box(clock)
    async with asking(device) as client:
        await client.make_claim(state="disabled", auto_release=False)
        clock.at += 1
        assert not device.on
        device.reboot()
        clock.at += 1
        assert await client.list_claims() == []
        assert device.on


async def test_what_ends_with_the_session() -> None:
    clock = Clock()
    device = box(clock)
    async with asking(device) as client:
        await client.make_claim(state="disabled", auto_release=True, client=21)
        await client.make_claim(charge_current=8, auto_release=False, client=22)
        device.car.unplug()
        clock.at += 1
        assert [claim["client"] for claim in await client.list_claims()] == [22]
        clock.at += 1
        assert device.on


async def test_ten_clients_and_no_more() -> None:
    device = box(Clock())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(device.app), base_url="http://box") as http:
        answers = [await http.post(f"/claims/{client}", json={"state": "active"}) for client in range(30, 41)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [400]
        assert (await http.post("/claims/35", json={"state": "disabled"})).status_code == 200
        assert (await http.delete("/claims/99")).status_code == 404
        for path in ("/claims/30", "/override", "/status", "/config"):
            assert (await http.post(path, content=b"{nonsense")).status_code == 400


async def test_what_happened_between_two_looks_happened_at_its_second() -> None:
    clock = Clock()
    device = box(clock, shaper=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(device.app), base_url="http://box") as http:
        await http.post("/status", json={"shaper_live_pwr": 0})
    clock.at += 7 * 86_400
    assert device.car.session_wh == pytest.approx(32 * 240 * 115 / 3600, rel=0.25)
    assert [amps for _, amps in device.pilots] == [32, 0]


@pytest.mark.parametrize(
    ("digits", "number"),
    [("20", 20), ("65537", 0x10001), ("-111549", 0xFFFE4C43), ("4294855747", 0x7FFFFFFF), ("x", 0), ("", 0)],
)
def test_numbers_of_clients_are_read_as_the_chip_reads_them(digits: str, number: int) -> None:
    assert as_the_chip_reads(digits) == number


CLAIM = st.builds(
    Claim,
    st.integers(1, 9),
    st.sampled_from([None, "active", "disabled"]),
    st.none() | st.integers(6, 40),
    st.none() | st.integers(6, 40),
    st.booleans(),
)


@given(held=st.dictionaries(st.integers(1, 50), CLAIM, max_size=10))
def test_the_strongest_decides_and_each_property_by_itself(held: dict[int, Claim]) -> None:
    claims = Claims()
    for client, claim in held.items():
        claims.put(client, claim)
    for wanted in ("state", "charge_current", "max_current"):
        best, value = claims.best(wanted)
        caring = [claim for claim in held.values() if getattr(claim, wanted) is not None]
        assert (best is None) is (not caring)
        if best is not None:
            assert held[best].priority == max(claim.priority for claim in caring)
            assert value == getattr(held[best], wanted)
    claims.unplugged()
    assert not any(claim.auto_release for claim in claims.held.values())
