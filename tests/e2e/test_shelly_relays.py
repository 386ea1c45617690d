"""The Shelly driver against emulated devices of both generations, over real HTTP."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from loadctl.actuators.shelly import Shelly, ShellyOptions
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Shared
from loadctl.errors import Refused
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2, Fault
from tests.e2e.shelly_home import BOTH, Clock, Device, driving, kettle, off, on

pytestmark = pytest.mark.anyio


@BOTH
async def test_on_and_off_are_read_back_with_power_and_identity(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now)
    async with driving(device, clock) as driver:
        report = await driver.apply(on(7))
        assert report.lease_left_s == pytest.approx(120, abs=2)
        assert report == Report(
            "boiler",
            clock.at,
            7,
            on=True,
            watts=1840.0,
            source=Source.US,
            identity=device.mac,
            lease_left_s=report.lease_left_s,
        )
        assert device.on
        assert await driver.apply(off(8)) == Report(
            "boiler", clock.at, 8, on=False, watts=0.0, source=Source.US, identity=device.mac
        )
        assert not device.on


@BOTH
async def test_a_silent_controller_means_a_load_that_is_off(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now)
    async with driving(device, clock, lease=60.0) as driver:
        await driver.apply(on())
    switched_at = device.switchings[0].at
    clock.at = switched_at + 59.9
    assert device.on
    clock.at = switched_at + 1000
    assert not device.on
    assert [(change.at - switched_at, change.on) for change in device.switchings] == [(0, True), (60, False)]


@BOTH
async def test_renewing_extends_the_lease_and_is_no_switching(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now)
    async with driving(device, clock) as driver:
        for number in range(10):
            report = await driver.apply(on(number))
            assert (report.on, report.source, report.command_id) == (True, Source.US, number)
            assert report.lease_left_s == pytest.approx(120, abs=2)
            clock.at += 40
        assert len(device.switchings) == 1
        clock.at += 120
        report = await driver.read()
        assert (report.on, report.source, report.lease_left_s) == (False, Source.TIMER, None)


async def test_an_off_never_carries_a_timer_and_nothing_is_toggled() -> None:
    clock = Clock()
    first, second = EmulatedShellyGen1(clock=clock.now), EmulatedShellyGen2(clock=clock.now)
    for device in (first, second):
        async with driving(device, clock) as driver:
            await driver.apply(on())
            await driver.apply(off())
            await driver.apply(off())
    assert [asked.path for asked in first.requests if "turn" in asked.path] == [
        "/relay/0?turn=on&timer=120",
        "/relay/0?turn=off",
        "/relay/0?turn=off",
    ]
    assert [params for method, params in second.calls if method == "Switch.Set"] == [
        {"id": 0, "on": True, "toggle_after": 120.0},
        {"id": 0, "on": False},
        {"id": 0, "on": False},
    ]


@BOTH
async def test_the_lease_of_the_command_goes_before_that_of_the_options(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock) as driver:
        report = await driver.apply(Command(1, "boiler", 2000.0, lease_s=45.2))
        assert report.lease_left_s == pytest.approx(46, abs=2)
        assert device.relays[0].timer is not None
        assert device.relays[0].timer.lasts_s == 46


@BOTH
async def test_an_owner_may_do_without_the_lease(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock, failsafe="none") as driver:
        assert driver.lease_s is None
        report = await driver.apply(Command(1, "boiler", 2000.0, lease_s=60.0))
        assert (report.on, report.source, report.lease_left_s) == (True, Source.US, None)
        clock.at += 86_400
        assert device.on


@BOTH
async def test_a_relay_that_forgets_its_timer_is_switched_off_again(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    device.relays[0].deaf = True
    async with driving(device, clock) as driver:
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(on())
        assert not device.on
        report = await driver.read()
        assert (report.on, report.source) == (False, Source.US)


async def test_a_long_timer_of_the_device_itself_is_no_lease() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(clock=clock.now)

    async def forgetful(request: Request) -> JSONResponse:
        frame = await request.json()
        if frame["method"] == "Switch.Set" and frame["params"]["on"]:
            device.relays[0].set(on=True, source="HTTP_in", timer_s=43_200)
            return JSONResponse({"id": frame["id"], "src": device.id, "result": {"was_on": False}})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(device.app), base_url="http://device") as inner:
            return JSONResponse((await inner.post("/rpc", json=frame)).json())

    async def shelly(_request: Request) -> JSONResponse:
        return JSONResponse({"gen": 2, "mac": device.mac, "app": "Plus1PM"})

    app = Starlette(routes=[Route("/rpc", forgetful, methods=["POST"]), Route("/shelly", shelly)])
    async with serve(app) as url:
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(on())
        assert not device.on
        await driver.close()


@BOTH
async def test_a_renewal_that_does_not_renew_is_noticed_and_the_old_timer_ends_the_run(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock) as driver:
        await driver.apply(on())
        clock.at += 40
        device.fault = Fault.LIE  # still on, as asked, but under the first timer
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(on())
        assert device.on
        clock.at += 80
        assert not device.on


async def test_a_gen1_that_tells_only_what_is_left_of_its_timer() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(clock=clock.now)
    device.tells_timer_start = False
    async with driving(device, clock) as driver:
        for _ in range(3):
            assert (await driver.apply(on())).on is True
            clock.at += 40
        device.fault = Fault.LIE
        with pytest.raises(Refused, match="failsafe not armed"):
            await driver.apply(on())


@BOTH
async def test_renewing_twice_in_a_breath_is_fine(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock) as driver:
        for _ in range(3):
            assert (await driver.apply(on())).on is True


@BOTH
async def test_a_device_that_lies_is_caught_by_reading_back(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    device.fault = Fault.LIE
    async with driving(device, clock) as driver:
        with pytest.raises(Refused, match="said yes and stayed off"):
            await driver.apply(on())
        device.fault = None
        await driver.apply(on())
        device.fault = Fault.LIE
        with pytest.raises(Refused, match="said yes and stayed on"):
            await driver.apply(off())


@BOTH
async def test_a_hand_at_the_button_is_seen(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now)
    async with driving(device, clock) as driver:
        device.press(on=True)
        report = await driver.read()
        assert (report.on, report.source, report.lease_left_s, report.watts) == (True, Source.HAND, None, 1840.0)
        assert (await driver.apply(on())).source is Source.US
        device.press(on=False)
        assert (await driver.read()).source is Source.HAND


@BOTH
async def test_another_program_that_uses_http_too_is_a_hand(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    http = "http" if isinstance(device, EmulatedShellyGen1) else "HTTP_in"
    async with driving(device, clock) as driver:
        await driver.apply(on())
        device.relays[0].set(on=False, source=http)
        assert (await driver.read()).source is Source.HAND
        await driver.apply(on())
        device.relays[0].set(on=True, source=http)  # the same state, but our lease is gone
        report = await driver.read()
        assert (report.source, report.lease_left_s) == (Source.HAND, None)


@BOTH
async def test_after_a_restart_of_ours_the_lease_tells_that_it_was_us(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with serve(device.app) as url:
        for expected in ("first life", "second life"):
            driver = Shelly(ShellyOptions(host=url), Shared(clock))
            report = await driver.read()
            if expected == "second life":
                assert (report.on, report.source) == (True, Source.US)
                assert report.lease_left_s == pytest.approx(110, abs=3)
                await driver.apply(off())
            else:
                await driver.apply(on())
            await driver.close()
            clock.at += 8
        driver = Shelly(ShellyOptions(host=url), Shared(clock))
        assert (await driver.read()).source is Source.UNKNOWN
        await driver.close()


@BOTH
async def test_a_reboot_loses_the_timer_and_says_so(make: Any) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    device.relays[0].initial = "last"
    async with driving(device, clock) as driver:
        await driver.apply(on())
        device.reboot()
        report = await driver.read()
        assert (report.on, report.source, report.lease_left_s) == (True, Source.REBOOT, None)
        assert (await driver.apply(on())).lease_left_s == pytest.approx(120, abs=2)


@BOTH
async def test_overpower_makes_it_unavailable(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now)
    async with driving(device, clock) as driver:
        await driver.apply(on())
        device.relays[0].limit_w = 1500.0
        report = await driver.read()
        assert (report.on, report.available, report.source, report.detail) == (
            False,
            False,
            Source.PROTECTION,
            "overpower",
        )
        with pytest.raises(Refused, match="its own protection keeps it off: overpower"):
            await driver.apply(on())
        device.relays[0].limit_w = None
        assert (await driver.apply(on())).available is True


async def test_a_hot_gen1_is_unavailable() -> None:
    clock = Clock()
    device = EmulatedShellyGen1(clock=clock.now)
    device.overtemperature = True
    async with driving(device, clock) as driver:
        report = await driver.read()
        assert (report.available, report.detail) == (False, "overtemperature")


@pytest.mark.parametrize(
    "device",
    [
        EmulatedShellyGen1(kettle, meters=0, model="SHSW-1"),
        EmulatedShellyGen1(kettle, channels=2, meters=1, model="SHSW-21"),
        EmulatedShellyGen2(kettle, metered=False),
    ],
    ids=["Shelly 1", "Shelly 2", "Plus 1"],
)
async def test_what_a_device_cannot_measure_is_not_known(device: Device) -> None:
    async with driving(device, Clock()) as driver:
        device.press(on=True)
        report = await driver.read()
        assert (report.on, report.watts) == (True, None)


@BOTH
async def test_each_channel_is_a_load_of_its_own(make: Any) -> None:
    clock = Clock()
    device = make(kettle, clock=clock.now, channels=2)
    device.relays[1].draw = lambda: 300.0
    async with driving(device, clock, channel=1) as driver:
        report = await driver.apply(on())
        assert (report.on, report.watts) == (True, 300.0)
        assert [relay.on for relay in device.relays] == [False, True]


@pytest.mark.parametrize(("make", "spacing_s"), [(EmulatedShellyGen1, 1.0), (EmulatedShellyGen2, 0.5)])
async def test_requests_are_spaced_but_a_switching_goes_at_once(make: Any, spacing_s: float) -> None:
    clock = Clock()
    device = make(clock=clock.now)
    async with driving(device, clock) as driver:
        await driver.read()
        for _ in range(3):
            await driver.read()
        polls = [asked.at for asked in device.requests[1:]]
        assert all(later - sooner >= spacing_s for sooner, later in pairwise(polls))
        asked_at = clock.at
        await driver.apply(on())
        assert device.switchings[-1].at == asked_at
        before = len(device.requests)
        renewed_at = clock.at
        await driver.apply(on())
        assert device.requests[before].at == renewed_at + spacing_s
        asked_at = clock.at
        await driver.apply(off())
        assert device.switchings[-1].at == asked_at


async def test_a_device_that_does_not_know_the_time_can_still_hold_a_lease() -> None:
    clock = Clock()
    device = EmulatedShellyGen2(clock=clock.now)
    device.knows_time = False
    async with driving(device, clock) as driver:
        for _ in range(3):
            report = await driver.apply(on())
            assert (report.on, report.lease_left_s) == (True, None)
            clock.at += 40


async def test_a_client_of_the_tests_may_stand_in_for_the_network() -> None:
    device = EmulatedShellyGen2()
    client = partial(httpx.AsyncClient, transport=httpx.ASGITransport(device.app))
    driver = Shelly(ShellyOptions(host="boiler.local"), Shared(Clock(), client))
    assert (await asyncio.wait_for(driver.read(), 5)).identity == device.mac
    await driver.close()
