"""The Shelly driver when something is wrong: faults, refusals, logins, strangers at the address."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from loadctl.actuators.shelly import Shelly, ShellyOptions
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2, Fault
from tests.e2e.shelly_home import BOTH, SECRET, Clock, Device, driving, off, on

pytestmark = pytest.mark.anyio


FAULTS = [
    (Fault.HANG, Unreachable, "no answer"),
    (Fault.RESET, Unreachable, "broke off"),
    (Fault.GARBAGE, Garbled, "does not answer like a Shelly"),
]


@BOTH
@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_trouble_at_the_wire_is_named_and_passes(make: Any, fault: Fault, kind: Any, words: str) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock, patience_s=0.5) as driver:
        await driver.apply(on())
        device.fault = fault
        for attempt in (driver.read(), driver.apply(off())):
            with pytest.raises(kind, match=words):
                await attempt
        assert device.on
        device.fault = None
        assert (await driver.apply(off())).on is False


@BOTH
async def test_a_refusal_of_the_device_is_told(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    device.fault = Fault.REFUSE
    async with driving(device, clock) as driver:
        assert (await driver.read()).on is False
        with pytest.raises(Refused, match=r"refused Switch\.Set: Failed precondition|answers 400"):
            await driver.apply(on())


async def test_nobody_at_home() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    driver = Shelly(ShellyOptions(host=f"127.0.0.1:{port}"), Shared(Clock()))
    with pytest.raises(Unreachable, match=rf"127.0.0.1:{port}: cannot be reached") as caught:
        await driver.read()
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    await driver.close()


@BOTH
async def test_a_channel_that_does_not_exist_is_told_with_those_that_do(make: Any) -> None:
    clock = Clock()
    for channels, known in ((1, "only channel 0"), (4, "channels 0 to 3")):
        async with driving(make(clock=clock.now, channels=channels), clock, channel=4) as driver:
            for attempt in (driver.read(), driver.apply(on())):
                with pytest.raises(Refused, match=f"has no channel 4 \\(it has {known}; counting starts at 0"):
                    await attempt


@BOTH
@pytest.mark.parametrize("tells_mode", [True, False])
async def test_a_shutter_is_left_alone(make: Any, tells_mode: bool) -> None:
    clock = Clock()
    device = make(clock=clock.now, channels=2)
    if isinstance(device, EmulatedShellyGen1):
        device.mode, device.tells_mode = "roller", tells_mode
    else:
        device.profile = "cover"
    async with driving(device, clock) as driver:
        for attempt in (driver.read(), driver.apply(on()), driver.apply(off())):
            with pytest.raises(Refused, match="works a roller shutter"):
                await attempt


@BOTH
async def test_a_device_with_a_password(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now, password=SECRET)
    async with driving(device, clock, password=SECRET) as driver:
        assert (await driver.apply(on())).on is True
    for password, words in (("guess-of-mine", "wrong password"), (None, "asks for a password")):
        async with driving(device, clock, password=password) as driver:
            for attempt in (driver.read(), driver.apply(off())):
                with pytest.raises(Refused, match=words) as caught:
                    await attempt
                assert SECRET not in str(caught.value)
                assert "guess-of-mine" not in str(caught.value)
    assert device.on


async def test_a_nonce_that_may_be_reused_saves_the_second_round_trip() -> None:
    clock = Clock()
    trips = {}
    for reusable in (True, False):
        device = EmulatedShellyGen2(clock=clock.now, password=SECRET, reusable_nonces=reusable)
        async with driving(device, clock, password=SECRET) as driver:
            await driver.read()
            before = len(device.requests)
            for _ in range(5):
                await driver.read()
            trips[reusable] = len(device.requests) - before
    assert trips == {True: 5, False: 10}


@BOTH
async def test_another_device_at_the_address_is_not_switched(make: Any) -> None:
    clock = Clock()
    mine, other = make(clock=clock.now), make(clock=clock.now, mac="AABBCCDDEEFF")
    now = {"device": mine}

    async def router(scope: Any, receive: Any, send: Any) -> None:
        await now["device"].app(scope, receive, send)

    async with serve(router) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        await driver.read()
        now["device"] = other
        for attempt in (driver.read(), driver.apply(on()), driver.apply(off())):
            with pytest.raises(Refused, match=f"another device answers there: AABBCCDDEEFF instead of {mine.mac}"):
                await attempt
        assert other.switchings == []
        now["device"] = mine
        assert (await driver.apply(on())).identity == mine.mac
        await driver.close()


@BOTH
async def test_an_on_that_reached_a_stranger_is_taken_back(make: Any) -> None:
    """The address changed hands after the last look: only the look behind the ON can tell."""
    clock = Clock()
    mine, other = make(clock=clock.now), make(clock=clock.now, mac="AABBCCDDEEFF")
    answering = [mine]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering[0].app(scope, receive, send)

    async with serve(app) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        await driver.read()
        answering[0] = other
        with pytest.raises(Refused, match="another device"):
            await driver.apply(on())
        assert [switching.on for switching in other.relays[0].switchings] == [True, False]
        assert not other.on
        await driver.close()


@BOTH
async def test_a_stranger_that_is_on_of_its_own_stays_on(make: Any) -> None:
    """The address changed hands between our ON and the look behind it."""
    clock = Clock()
    mine, other = make(clock=clock.now), make(clock=clock.now, mac="AABBCCDDEEFF")
    other.press(True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (other if mine.on else mine).app(scope, receive, send)

    async with serve(app) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        await driver.read()
        with pytest.raises(Refused, match="another device"):
            await driver.apply(on())
        assert mine.on
        assert other.on
        await driver.close()


@BOTH
async def test_the_address_on_the_label_is_minded_from_the_start(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now, mac="A0B1C2D3E4F5")
    async with driving(device, clock, mac="a0:b1:c2:d3:e4:f5") as driver:
        assert (await driver.apply(on())).identity == "A0B1C2D3E4F5"
    async with driving(device, clock, mac="000000000000") as driver:
        with pytest.raises(Refused, match="another device"):
            await driver.apply(off())
        assert device.on


async def test_a_relay_replaced_by_a_newer_generation_is_found_out_after_the_trouble() -> None:
    clock = Clock()
    first, second = EmulatedShellyGen1(clock=clock.now, mac="A8032AAA0002"), EmulatedShellyGen2(clock=clock.now)
    now: dict[str, Device] = {"device": first}

    async def router(scope: Any, receive: Any, send: Any) -> None:
        await now["device"].app(scope, receive, send)

    async with serve(router) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        await driver.apply(on())
        now["device"] = second
        with pytest.raises(Refused, match="answers 404"):
            await driver.read()
        assert (await driver.apply(on())).on is True
        assert second.on
        await driver.close()


STRANGERS: list[tuple[Any, Any, str]] = [
    (JSONResponse({"hello": "I am a printer"}), Garbled, "something else answers there"),
    (JSONResponse(["AABBCCDDEEFF"]), Garbled, "does not answer like a Shelly"),
    (JSONResponse({"gen": 1, "mac": "AABBCCDDEEFF"}), Garbled, "no generation that is known"),
    (PlainTextResponse("not found", 404), Garbled, "does not answer like a Shelly"),
    (PlainTextResponse("[" * 100_000), Garbled, "does not answer like a Shelly"),
    (PlainTextResponse("slow down", 429), Refused, "too busy"),
    (PlainTextResponse("", 401, {"WWW-Authenticate": "Digest"}), Refused, "asks for a password"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), STRANGERS)
async def test_a_stranger_at_the_address(answer: Any, kind: Any, words: str) -> None:
    async with serve(answer) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(Clock()))
        with pytest.raises(kind, match=words):
            await driver.apply(on())
        await driver.close()


CHALLENGES = [
    'Digest qop="auth", realm="x", nonce="1", algorithm=ROT13',
    'Digest qop="never", realm="x", nonce="1", algorithm=SHA-256',
    'Digest realm="x"',
]


@pytest.mark.parametrize("challenge", CHALLENGES)
async def test_a_login_in_a_dialect_nobody_knows(challenge: str) -> None:
    async def rpc(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("", 401, {"WWW-Authenticate": challenge})

    async def shelly(_request: Request) -> JSONResponse:
        return JSONResponse({"gen": 3, "mac": "AABBCCDDEEFF"})

    async with serve(Starlette(routes=[Route("/rpc", rpc, methods=["POST"]), Route("/shelly", shelly)])) as url:
        driver = Shelly(ShellyOptions(host=url, password=SecretStr(SECRET)), Shared(Clock()))
        with pytest.raises((Garbled, Unreachable)) as caught:
            await driver.read()
        assert SECRET not in str(caught.value)
        await driver.close()
