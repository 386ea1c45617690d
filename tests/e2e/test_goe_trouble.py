"""The go-e driver when something is wrong: faults, refusals, half answers, strangers at the address."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from loadctl.actuators.goe import GoE, GoEOptions
from loadctl.actuators.goe.answers import KEYS_V2, v1_box, v2_box
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import Fault
from tests.e2e.goe_garage import BOTH, charge, driving, garage, off, sets
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio

FAULTS = [
    (Fault.HANG, Unreachable, "no answer"),
    (Fault.RESET, Unreachable, "broke off"),
    (Fault.GARBAGE, Garbled, "does not answer like a go-e"),
]


@BOTH
@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_trouble_at_the_wire_is_named_and_passes(api: str, fault: Fault, kind: Any, words: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    async with driving(box, clock, patience_s=0.5) as driver:
        await driver.apply(charge(8))
        box.fault = fault
        for attempt in (driver.read(), driver.apply(off())):
            with pytest.raises(kind, match=words):
                await attempt
        assert box.allowed
        box.fault = None
        assert (await driver.apply(off())).on is False


@BOTH
@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.LIE])
async def test_a_yes_that_changes_nothing_is_a_refusal(api: str, fault: Fault) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    async with driving(box, clock) as driver:
        await driver.apply(charge(8))
        box.fault = fault
        refused = api == "v2" and fault is Fault.REFUSE
        with pytest.raises(Refused, match="refused: amp: not now" if refused else "said yes and stayed at 8 A"):
            await driver.apply(charge(9))
        with pytest.raises(Refused, match="refused: frc: not now" if refused else "stayed at 8 A.*, forced to charge"):
            await driver.apply(off())
        assert (await driver.read()).on is True


@BOTH
async def test_another_box_at_the_address_is_left_alone(api: str) -> None:
    clock = Clock()
    box = garage(clock, api=api)
    async with driving(box, clock) as driver:
        await driver.read()
        box.serial = "999999"
        for attempt in (driver.read(), driver.apply(charge(8)), driver.apply(off()), driver.wake()):
            with pytest.raises(Refused, match="another box answers there: 999999 instead of 063421"):
                await attempt
    async with driving(box, clock, serial="063421") as driver:
        with pytest.raises(Refused, match="999999 instead of 063421"):
            await driver.apply(charge(8))
    assert sets(box) == []


async def test_an_api_that_is_switched_off_is_told_with_the_way_to_it() -> None:
    clock = Clock()
    box = garage(clock)
    async with driving(box, clock, api="v1") as driver:
        with pytest.raises(Refused, match=r"HTTP API v1 is switched off \(switch it on in the go-e app"):
            await driver.read()
    async with driving(box, clock) as driver:
        await driver.read()
        box.apis = ("v1",)
        with pytest.raises(Refused, match="HTTP API v2 is switched off"):
            await driver.read()
        assert (await driver.read()).connected
        box.apis = ()
        for _ in range(2):
            with pytest.raises(Refused, match="HTTP API"):
                await driver.read()


async def test_nobody_at_home() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    driver = GoE(GoEOptions(host=f"127.0.0.1:{port}"), Shared(Clock()))
    with pytest.raises(Unreachable, match="cannot be reached"):
        await driver.read()
    await driver.close()


BODIES = [
    (JSONResponse({"sse": "063421", "frc": 0, "amp": 16}, 400), Garbled, "status cannot be read"),
    (JSONResponse(["sse"]), Garbled, "does not answer like a go-e"),
    (PlainTextResponse("couldn't take api lock in 3s, please try again later", 500), Refused, "too busy"),
    (PlainTextResponse("who are you", 401), Refused, "answers 401"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), BODIES, ids=["half", "list", "busy", "login"])
async def test_odd_answers_are_told_in_a_line(answer: Any, kind: Any, words: str) -> None:
    async def status(_request: Any) -> Any:
        return answer

    async with serve(Starlette(routes=[Route("/api/status", status)])) as url:
        driver = GoE(GoEOptions(host=url), Shared(Clock()))
        with pytest.raises(kind, match=words) as caught:
            await driver.read()
        assert "\n" not in str(caught.value)
        await driver.close()


def test_options_are_checked() -> None:
    options = TypeAdapter(GoEOptions).validate_python({"host": "192.168.1.50", "failsafe": "none", "every": "10 s"})
    assert (options.api, options.every, options.failsafe) == ("auto", 10.0, "none")
    for wrong in (
        {"host": "a b"},
        {"host": "x", "api": "v3"},
        {"host": "x", "failsafe": "lease"},
        {"host": "x", "a": 1},
    ):
        with pytest.raises(ValidationError):
            TypeAdapter(GoEOptions).validate_python(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*KEYS_V2, "rbt"]), JSON))
def test_whatever_a_box_answers_is_a_box_or_garbled(body: dict[str, Any]) -> None:
    for parse in (v1_box, v2_box):
        try:
            box = parse({"sse": "1", "frc": 2, "amp": 9, "alw": True, "car": "2"} | body, "go-e")
        except Garbled:
            continue
        assert box.fed in {1, 2, 3}
        assert box.offers in {1, 2, 3}
        assert box.using in {None, 1, 2, 3}
