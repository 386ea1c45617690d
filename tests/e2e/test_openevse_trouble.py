"""What goes wrong with an OpenEVSE on the line, and what its owner may write wrong."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from loadctl.actuators.openevse import OpenEvse, OpenEvseOptions
from loadctl.actuators.openevse.answers import OUR_PATH, OURS
from loadctl.drivers import Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import Fault
from tests.e2e.openevse_garage import SECRET, box, charge, driving, pause, rule
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault.HANG, Unreachable, "no answer"),
        (Fault.RESET, Unreachable, "broke off"),
        (Fault.GARBAGE, Garbled, "does not answer like an OpenEVSE"),
    ],
)
async def test_what_goes_wrong_on_the_line(fault: Fault, kind: Any, words: str) -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock, patience_s=0.3) as driver:
        await driver.apply(charge(10))
        device.fault = fault
        for attempt in (driver.read(), driver.apply(charge(12)), driver.apply(pause())):
            with pytest.raises(kind, match=words):
                await attempt
        device.fault = None
        assert (await driver.read()).on is True
        assert (await driver.apply(pause())).on is False


async def test_a_box_that_refuses_or_lies_is_caught() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        device.fault = Fault.REFUSE
        with pytest.raises(Refused, match=f"answers 400 to {OUR_PATH}: Could not make claim"):
            await driver.apply(charge(10))
        device.fault = None
        await driver.apply(charge(10))
        device.fault = Fault.LIE
        with pytest.raises(Refused, match="said yes to 6 A and stayed at 10 A"):
            await driver.apply(charge(6))
        with pytest.raises(Refused, match="said yes and lets the car charge on"):
            await driver.apply(pause())


async def test_a_shaper_that_does_not_take_our_data_is_no_failsafe() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock) as driver:
        await driver.apply(charge(10))
        clock.at += 200
        device.fault = Fault.LIE
        with pytest.raises(Refused, match="its load shaper keeps it off"):
            await driver.apply(charge(10))
        assert not device.on


async def test_nobody_is_there() -> None:
    driver = OpenEvse(OpenEvseOptions(host="127.0.0.1:9"), Shared(Clock()))
    with pytest.raises(Unreachable, match="cannot be reached") as caught:
        await driver.read()
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    await driver.close()


async def test_a_box_with_a_password() -> None:
    clock = Clock()
    device = box(clock, password=SECRET)
    async with driving(device, clock, password=SECRET) as driver:
        assert (await driver.apply(charge(10))).on is True
    for keys, words in (
        ({"password": "guess-of-mine"}, "wrong user name or password"),
        ({"password": SECRET, "username": "somebody"}, "wrong user name or password"),
        ({}, "asks for a password"),
    ):
        async with driving(device, clock, **keys) as driver:
            for attempt in (driver.read(), driver.apply(pause())):
                with pytest.raises(Refused, match=words) as caught:
                    await attempt
                assert SECRET not in str(caught.value)
                assert "guess-of-mine" not in str(caught.value)
    assert device.on


async def test_another_box_at_the_address_is_not_touched() -> None:
    clock = Clock()
    mine, other = box(clock), box(clock, mac="AA:BB:CC:DD:EE:FF")
    now = {"device": mine}

    async def router(scope: Any, receive: Any, send: Any) -> None:
        await now["device"].app(scope, receive, send)

    async with serve(router) as url:
        driver = OpenEvse(OpenEvseOptions(host=url), Shared(clock))
        await driver.read()
        now["device"] = other
        with pytest.raises(Refused, match="another box answers there: AABBCCDDEEFF instead of A8032A000001"):
            await driver.apply(charge(10))
        for attempt in (driver.read(), driver.apply(charge(10)), driver.apply(pause())):
            with pytest.raises(Refused, match="another box answers there"):
                await attempt
        assert OURS not in other.claims
        now["device"] = mine
        assert (await driver.apply(charge(10))).identity == "A8032A000001"
        await driver.close()


async def test_the_address_on_the_label_is_minded_from_the_start() -> None:
    clock = Clock()
    device = box(clock)
    async with driving(device, clock, mac="a8:03:2a:00:00:01") as driver:
        assert (await driver.apply(charge(10))).on is True
    async with driving(device, clock, mac="000000000000") as driver:
        with pytest.raises(Refused, match="another box"):
            await driver.apply(pause())
        assert device.on


STRANGERS: list[tuple[Any, Any, str]] = [
    (JSONResponse({"hello": "I am a printer"}), Garbled, "something else answers there"),
    (JSONResponse({"state": 1, "pilot": 6}), Garbled, "something else answers there"),
    (JSONResponse(["state"]), Garbled, "does not answer like an OpenEVSE"),
    (PlainTextResponse("[" * 100_000), Garbled, "does not answer like an OpenEVSE"),
    (PlainTextResponse("not found", 404), Refused, "answers 404 to /status"),
    (JSONResponse({"msg": "locked"}, 429), Refused, "too many wrong passwords"),
    (RedirectResponse("https://127.0.0.1/status"), Refused, "wants to be asked by https"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), STRANGERS)
async def test_a_stranger_at_the_address(answer: Any, kind: Any, words: str) -> None:
    async with serve(answer) as url:
        driver = OpenEvse(OpenEvseOptions(host=url), Shared(Clock()))
        for attempt in (driver.apply(charge(10)), driver.apply(pause())):
            with pytest.raises(kind, match=words):
                await attempt
        await driver.close()


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
STATUS = ("state", "pilot", "amp", "voltage", "power", "temp", "vehicle", "macaddress", "evse_connected", "shaper")
CONFIG = ("version", "wifi_serial", "min_current_hard", "current_shaper_data_maxinterval", "config_version")
SOUND = {"state": 2, "pilot": 10, "evse_connected": 1, "version": "5.1.5", "properties": {}, "claims": {}}


@given(odd=st.dictionaries(st.sampled_from((*STATUS, *CONFIG, "properties", "claims")), JUNK))
@settings(max_examples=60, deadline=None)
async def test_whatever_it_answers_is_a_report_or_a_device_error(odd: dict[str, Any]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=SOUND | odd))
    shared = Shared(Clock(), lambda **keys: httpx.AsyncClient(**keys, transport=transport))
    driver = OpenEvse(OpenEvseOptions(host="box"), shared)
    whatever = (partial(driver.apply, pause()), partial(driver.apply, charge(10)), partial(driver.inspect, rule()))
    for attempt in (driver.read, *whatever):
        with suppress(DeviceError):
            await attempt()
    await driver.close()


@pytest.mark.parametrize(
    "keys",
    [
        {"host": "not an address"},
        {"host": "http://me:secret@openevse.local"},
        {"mac": "four"},
        {"lease": 30.0, "every": 15.0},
        {"lease": 5.0},
        {"failsafe": "yes"},
        {"watts": 5},
    ],
)
def test_options_that_cannot_be_meant(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenEvseOptions(**({"host": "openevse.local"} | keys))
    assert "secret" not in str(caught.value.errors()[0]["msg"])


def test_a_password_stays_out_of_sight() -> None:
    assert SECRET not in repr(OpenEvseOptions(host="openevse.local", password=SecretStr(SECRET)))
