"""The emulated Shellys against aioshelly, the client of Home Assistant, which nobody of us wrote."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aioshelly.block_device import COAP, BlockDevice
from aioshelly.common import ConnectionOptions, get_info
from aioshelly.exceptions import InvalidAuthError, MacAddressMismatchError, RpcCallError
from aioshelly.rpc_device import RpcDevice, RpcUpdateType
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedRelay, EmulatedShellyGen1, EmulatedShellyGen2

pytestmark = pytest.mark.anyio

OLD_FIRMWARE = "20200827-070450/v1.8.3@4a8bc427"  # too old for aioshelly to want CoAP, which would need UDP port 5683


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


class Updates:
    """Listens to an aioshelly device; `wait_for` ends when what it has been told makes the question true."""

    def __init__(self, device: RpcDevice) -> None:
        self.kinds: list[RpcUpdateType] = []
        self._changed = asyncio.Event()
        device.subscribe_updates(self._updated)

    def _updated(self, _device: RpcDevice, kind: RpcUpdateType) -> None:
        self.kinds.append(kind)
        self._changed.set()

    async def wait_for(self, question: Any) -> None:
        async with asyncio.timeout(5):
            while not question():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def home_assistant(device: EmulatedShellyGen2, password: str | None = None) -> AsyncIterator[RpcDevice]:
    async with serve(device.app) as url, aiohttp.ClientSession() as session:
        user = "admin" if password else None
        options = ConnectionOptions("127.0.0.1", user, password, port=URL(url).port or 0)
        client = await RpcDevice.create(session, None, options)
        try:
            yield client
        finally:
            await client.shutdown()


async def test_gen2_is_taken_in_as_a_plus_1pm() -> None:
    async with home_assistant(EmulatedShellyGen2(lambda: 900.0)) as client:
        await client.initialize()
        assert (client.gen, client.model, client.shelly["mac"]) == (2, "SNSW-001P16EU", "A8032AAA0002")
        assert client.firmware_supported
        assert client.status["switch:0"]["output"] is False
        assert client.config["switch:0"]["initial_state"] == "off"
        assert "Switch.Set" in await client.methods_list()
        assert await client.script_list() == []


async def test_gen2_switches_under_a_timer_and_tells_when_it_runs_out() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(lambda: 900.0, clock=clock)
    async with home_assistant(device) as client:
        await client.initialize()
        updates = Updates(client)
        switch = client.status["switch:0"]
        assert await client.call_rpc("Switch.Set", {"id": 0, "on": True, "toggle_after": 120}) == {"was_on": False}
        await updates.wait_for(lambda: switch["output"])
        assert (switch["apower"], switch["timer_duration"], switch["source"]) == (900.0, 120, "WS_in")
        clock.at += 100
        assert await client.call_rpc("Switch.Set", {"id": 0, "on": True, "toggle_after": 120}) == {"was_on": True}
        clock.at += 100
        await client.update_status()
        assert client.status["switch:0"]["output"] is True
        clock.at += 20
        await updates.wait_for(lambda: not client.status["switch:0"]["output"])
        assert client.status["switch:0"]["source"] == "timer"
        assert [change.at for change in device.switchings] == [1000.0, 1220.0]


async def test_gen2_tells_of_a_hand_at_the_button_and_of_all_it_knows() -> None:
    device = EmulatedShellyGen2(clock=Clock())
    async with home_assistant(device) as client:
        await client.initialize()
        updates = Updates(client)
        device.press(on=True)
        await updates.wait_for(lambda: client.status["switch:0"]["output"])
        assert client.status["switch:0"]["source"] == "button"
        device.rssi = -80
        device.notify_full()
        await updates.wait_for(lambda: client.status["wifi"]["rssi"] == -80)


async def test_gen2_closes_its_sockets_when_it_reboots() -> None:
    device = EmulatedShellyGen2(clock=Clock())
    async with home_assistant(device) as client:
        await client.initialize()
        updates = Updates(client)
        await client.trigger_reboot()
        await updates.wait_for(lambda: RpcUpdateType.DISCONNECTED in updates.kinds)
        await client.initialize()
        assert client.status["sys"]["uptime"] == 0


async def test_gen2_errors_have_the_shapes_that_clients_expect() -> None:
    async with home_assistant(EmulatedShellyGen2()) as client:
        await client.initialize()
        for method, params, code, words in (
            ("Switch.Set", {"id": 7, "on": True}, -105, "Argument 'id', value 7 not found!"),
            ("Switch.Set", {"on": True}, -103, "Missing required argument 'id'!"),
            ("Switch.Set", {"id": 0}, -103, "Missing required argument 'on'!"),
            ("Switch.Set", {"id": 0, "on": True, "toggle_after": -1}, -103, "Invalid argument 'toggle_after'!"),
            ("Kettle.Boil", None, 404, "No handler for Kettle.Boil"),
        ):
            with pytest.raises(RpcCallError) as caught:
                await client.call_rpc(method, params)
            assert (caught.value.code, caught.value.message) == (code, words)


@pytest.mark.parametrize("reusable", [True, False])
async def test_gen2_password_in_the_frames(reusable: bool) -> None:
    device = EmulatedShellyGen2(password="correct horse", reusable_nonces=reusable)
    async with home_assistant(device, "correct horse") as client:
        await client.initialize()
        await client.switch_set(0, value=True)
        await client.update_status()
        assert client.status["switch:0"]["output"] is True
    async with home_assistant(device, "battery staple") as client:
        with pytest.raises(InvalidAuthError):
            await client.initialize()
    async with home_assistant(device) as client:
        with pytest.raises(InvalidAuthError):
            await client.initialize()


@pytest.mark.parametrize("reusable", [True, False])
async def test_gen2_password_over_http(reusable: bool) -> None:
    device = EmulatedShellyGen2(password="correct horse", reusable_nonces=reusable)
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/rpc/Shelly.GetDeviceInfo")).json()["auth_en"] is True
        assert (await client.get("/rpc/Switch.GetStatus?id=0")).status_code == 401
        wrong = httpx.DigestAuth("admin", "battery staple")
        assert (await client.get("/rpc/Switch.GetStatus?id=0", auth=wrong)).status_code == 401
        right = httpx.DigestAuth("admin", "correct horse")
        for _ in range(3):
            answer = await client.get("/rpc/Switch.Set", params={"id": 0, "on": "true", "toggle_after": 5}, auth=right)
            assert answer.json().keys() == {"was_on"}
        assert device.on
        replayed = answer.request.headers["authorization"]
        again = await client.get(str(answer.request.url), headers={"authorization": replayed})
        assert again.status_code == 401


async def test_gen2_ways_in_by_http() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(lambda: 500.0, clock=clock, channels=2)
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/rpc/Switch.Set?id=1&on=true")).json() == {"was_on": False}
        assert (await client.post("/rpc/Switch.Toggle", json={"id": 1})).json() == {"was_on": True}
        config = '{"auto_off":true,"auto_off_delay":90,"initial_state":"on"}'
        answer = await client.get("/rpc/Switch.SetConfig", params={"id": 0, "config": config})
        assert answer.json() == {"restart_required": False}
        shown = (await client.get("/rpc/Switch.GetConfig?id=0")).json()
        assert (shown["auto_off"], shown["auto_off_delay"], shown["initial_state"]) == (True, 90, "on")
        frame = {"id": 5, "src": "me", "method": "Switch.Set", "params": {"id": 0, "on": True}}
        assert (await client.post("/rpc", json=frame)).json() == {
            "id": 5,
            "src": device.id,
            "dst": "me",
            "result": {"was_on": False},
        }
        status = (await client.get("/rpc/Shelly.GetStatus")).json()
        assert (status["switch:0"]["timer_duration"], status["switch:0"]["apower"]) == (90, 500.0)
        assert (await client.get("/rpc/Wifi.GetStatus")).json()["rssi"] == device.rssi
        clock.at += 3600
        status = (await client.get("/rpc/Switch.GetStatus?id=0")).json()
        assert (status["output"], status["aenergy"]["total"], "timer_duration" in status) == (False, 12.5, False)
        bad = await client.get("/rpc/Switch.GetStatus?id=9")
        assert (bad.status_code, bad.json()["code"]) == (404, -105)
        bad = await client.post("/rpc", json={**frame, "params": {}})
        assert bad.json()["error"]["code"] == -103
        assert (await client.post("/rpc", content="{")).json()["code"] == -103
        await client.get("/rpc/Shelly.Reboot")
        assert device.on, "initial_state is on"


class Doorman(AbstractResolver):
    """Sends whoever asks for port 80 of a name to the port where the emulator is: aioshelly knows no other for Gen1."""

    def __init__(self, url: str) -> None:
        self._port = URL(url).port or 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def home_assistant_gen1(device: EmulatedShellyGen1, password: str | None = None) -> AsyncIterator[BlockDevice]:
    async with (
        serve(device.app) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Doorman(url))) as session,
    ):
        options = ConnectionOptions("plug.home", "admin" if password else None, password)
        client = BlockDevice(COAP(), session, options)
        yield client
        await client.shutdown()


async def test_gen1_is_taken_in_and_switched_under_a_timer() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(lambda: 700.0, clock=clock, firmware=OLD_FIRMWARE)
    async with home_assistant_gen1(device) as client:
        await client.initialize()
        assert (client.gen, client.model, client.hostname) == (1, "SHPLG-S", "shellyplug-s-AA0001")
        answer = await client.http_request("get", "relay/0", {"turn": "on", "timer": 120})
        assert (answer["ison"], answer["has_timer"], answer["timer_remaining"]) == (True, True, 120)
        clock.at += 100
        await client.update_status()
        assert client.status["meters"][0]["power"] == 700.0
        assert client.status["relays"][0]["timer_remaining"] == 20
        await client.http_request("get", "relay/0", {"turn": "on", "timer": 120})
        clock.at += 119
        assert device.on
        clock.at += 1
        await client.update_status()
        assert client.status["relays"][0]["ison"] is False
        assert client.status["relays"][0]["source"] == "timer"
        await client.http_request("get", "settings/relay/0", {"auto_off": 30, "default_state": "on"})
        await client.update_settings()
        assert client.settings["relays"][0]["auto_off"] == 30
        await client.trigger_reboot()
        assert device.on


async def test_gen1_login() -> None:
    device = EmulatedShellyGen1(firmware=OLD_FIRMWARE, password="correct horse")
    async with home_assistant_gen1(device, "correct horse") as client:
        await client.initialize()
        assert client.requires_auth
    for password in ("battery staple", None):
        async with home_assistant_gen1(device, password) as client:
            with pytest.raises(InvalidAuthError):
                await client.initialize()


@pytest.mark.parametrize("make", [EmulatedShellyGen1, EmulatedShellyGen2])
async def test_anybody_may_ask_what_it_is(make: Any) -> None:
    device = make(password="correct horse")
    async with serve(device.app) as url, aiohttp.ClientSession() as session:
        port = URL(url).port or 0
        info = await get_info(session, "127.0.0.1", port=port)
        assert info["mac"] == device.mac
        with pytest.raises(MacAddressMismatchError):
            await get_info(session, "127.0.0.1", "AABBCCDDEEFF", port=port)


async def test_gen1_says_no_to_what_it_does_not_have() -> None:
    device = EmulatedShellyGen1()
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        for path, status in (
            ("/relay/1?turn=on", 404),
            ("/relay/0?turn=maybe", 400),
            ("/relay/0?turn=on&timer=soon", 400),
            ("/settings/relay/3", 404),
            ("/settings/relay/0?default_state=perhaps", 400),
            ("/nothing", 404),
        ):
            assert (await client.get(path)).status_code == status, path
        assert device.switchings == []
        assert (await client.get("/relay/0?turn=toggle")).json()["ison"] is True


async def test_an_off_with_a_timer_comes_back_on_as_the_real_ones_do() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(clock=clock)
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        await client.get("/relay/0?turn=off&timer=60")
    clock.at += 60
    assert device.on


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 100)),
        st.tuples(st.just("on"), st.floats(1, 100)),
        st.tuples(st.just("off"), st.none()),
        st.tuples(st.just("press"), st.booleans()),
        st.tuples(st.just("reboot"), st.none()),
    )
)


@given(ACTS)
def test_a_relay_seen_late_has_done_the_same_as_one_watched(acts: list[tuple[str, Any]]) -> None:
    clock, other = Clock(), Clock()
    seen, late = EmulatedRelay(clock, lambda: 60.0), EmulatedRelay(other, lambda: 60.0)
    for act, value in acts:
        if act == "wait":
            until = clock.at + value
            while clock.at < until:
                clock.at = min(until, clock.at + 0.7)
                seen.on  # noqa: B018 - looking is what is tried here
            other.at = until
            continue
        for relay in (seen, late):
            if act == "reboot":
                relay.reboot()
            elif act == "press":
                relay.press(value)
            else:
                relay.set(act == "on", "http", value)
    assert (seen.on, seen.source, seen.timer, seen.switchings) == (late.on, late.source, late.timer, late.switchings)
    assert seen.energy_wh == pytest.approx(late.energy_wh)
    assert all(first.on is not second.on for first, second in pairwise(late.switchings))
