"""The emulated Shelly dimmers against aioshelly, the client of Home Assistant."""

from __future__ import annotations

import httpx
import pytest
from aioshelly.exceptions import RpcCallError

from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from tests.emulators.test_shelly_emulator import OLD_FIRMWARE, Clock, Updates, home_assistant, home_assistant_gen1

pytestmark = pytest.mark.anyio


async def test_gen2_dims_under_a_timer_and_tells_of_it() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(lambda: 2000.0, clock=clock, dimmer=True)
    async with home_assistant(device) as client:
        await client.initialize()
        assert client.model == "S3DM-0010WW"
        assert {"Light.Set", "Light.GetStatus", "Light.GetConfig"} <= set(await client.methods_list())
        light = client.status["light:0"]
        assert (light["output"], light["brightness"]) == (False, 50.0)
        updates = Updates(client)
        told = {"id": 0, "on": True, "brightness": 30, "toggle_after": 60}
        await client.call_rpc("Light.Set", told)
        await updates.wait_for(lambda: client.status["light:0"]["output"])
        light = client.status["light:0"]
        assert (light["brightness"], light["apower"], light["timer_duration"]) == (30, 600.0, 60)
        clock.at += 50
        await client.call_rpc("Light.Set", {"id": 0, "brightness": 60})
        await updates.wait_for(lambda: client.status["light:0"]["apower"] == 1200.0)
        assert device.lights[0].relay.timer is None, "each Set replaces the timer, one without a timer ends it"


async def test_gen2_ramps() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(lambda: 1000.0, clock=clock, dimmer=True)
    async with home_assistant(device) as client:
        await client.initialize()
        await client.call_rpc("Light.SetConfig", {"id": 0, "config": {"transition_duration": 10}})
        await client.call_rpc("Light.Set", {"id": 0, "on": True, "brightness": 100})
        clock.at += 5
        await client.update_status()
        light = client.status["light:0"]
        assert (light["brightness"], light["apower"]) == (75.0, 750.0)
        assert light["transition"]["target"] == {"output": True, "brightness": 100}
        clock.at += 5
        status = await client.call_rpc("Light.GetStatus", {"id": 0})
        assert (status["brightness"], "transition" in status) == (100, False)


async def test_gen2_refuses_as_the_real_ones_do() -> None:
    async with home_assistant(EmulatedShellyGen2(dimmer=True)) as client:
        await client.initialize()
        for method, params, code in (
            ("Light.Set", {"id": 0}, -103),
            ("Light.Set", {"id": 0, "brightness": 101}, -103),
            ("Light.Set", {"id": 3, "on": True}, -105),
            ("Switch.Set", {"id": 0, "on": True}, 404),
        ):
            with pytest.raises(RpcCallError) as caught:
                await client.call_rpc(method, params)
            assert caught.value.code == code


async def test_gen1_dims_under_a_timer() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(lambda: 200.0, clock=clock, firmware=OLD_FIRMWARE, dimmer=True)
    async with home_assistant_gen1(device) as client:
        await client.initialize()
        assert client.model == "SHDM-2"
        answer = await client.http_request("get", "light/0", {"turn": "on", "brightness": 25, "timer": 120})
        assert (answer["ison"], answer["brightness"], answer["timer_remaining"]) == (True, 25, 120)
        clock.at += 60
        await client.http_request("get", "light/0", {"brightness": 75})
        await client.update_status()
        light = client.status["lights"][0]
        assert (light["brightness"], light["timer_remaining"]) == (75, 60)
        assert client.status["meters"][0]["power"] == 150.0
        clock.at += 60
        await client.update_status()
        assert client.status["lights"][0]["ison"] is False
        await client.update_settings()
        assert client.settings["night_mode"]["enabled"] is False


async def test_energy_is_counted_at_the_brightness_that_was() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(lambda: 1000.0, clock=clock, dimmer=True)
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        await client.get("/light/0?turn=on&brightness=50")
        clock.at += 3600
        await client.get("/light/0?brightness=100")
        clock.at += 3600
        assert (await client.get("/status")).json()["meters"][0]["total"] == 1500 * 60
        for path, status in (("/light/0?turn=on&brightness=much", 400), ("/light/1", 404), ("/relay/0?turn=on", 404)):
            assert (await client.get(path)).status_code == status, path
