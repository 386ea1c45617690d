"""A person's word on a load, and what the page at the door tells of the house; on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadctl.config import House
from loadctl.core.values import OFF, ON, Holder, Report, Source, Verdict
from loadctl.drivers import Shared
from loadctl.service.daemon import Daemon
from tests.api import owners_api
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@asynccontextmanager
async def controlling(home: House) -> AsyncIterator[Daemon]:
    daemon = Daemon(home, Shared(VirtualClock()))
    running = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop("SIGTERM")
        await running


async def test_on_off_and_back_to_the_rules_at_once():
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=0)
    async with controlling(house(meter, (rule("boiler", min_on_s=0.0), boiler))) as daemon:
        await asyncio.sleep(5)
        assert daemon.override("boiler", on=True, for_s=7200) == (
            "boiler: held on until Mon 16:00, then its rules decide again"
        )
        await asyncio.sleep(1)
        assert boiler.runs()
        await asyncio.sleep(600)
        assert boiler.runs()
        assert daemon.last is not None
        assert daemon.last[1].verdicts == (Verdict.HAND,)
        assert daemon.override("boiler", on=None) == "boiler: back to its rules"
        await asyncio.sleep(10)
        assert not boiler.runs()
        meter.sun_w = 5000
        await asyncio.sleep(10)
        assert boiler.runs()
        daemon.override("boiler", on=False, for_s=60)
        await asyncio.sleep(1)
        assert not boiler.runs()
        await asyncio.sleep(50)
        assert not boiler.runs()
        await asyncio.sleep(30)
        assert boiler.runs()
        assert daemon.wishes == ()


async def test_a_word_is_done_at_once_and_the_latest_counts():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5.5)
        daemon.override("boiler", on=True)
        said_at = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        assert boiler.said("on") == [(said_at, "on")]
        daemon.override("boiler", on=False)
        assert len(daemon.wishes) == 1
        await asyncio.sleep(3)
        assert not boiler.runs()


async def test_auto_also_ends_what_a_hand_at_the_device_began():
    class Pressed(Relay):
        def _report(self, command_id: int | None) -> Report:
            source = Source.HAND if self.said("press") else Source.US
            return Report("", asyncio.get_running_loop().time(), command_id, on=self.on, source=source)

    boiler = Pressed(every_s=2.0)
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        boiler.wire.append((5.0, "press"))
        boiler.on, boiler.leased_until = True, 1e9
        await asyncio.sleep(60)
        assert daemon.state.standings[0].holder is Holder.HAND
        assert boiler.runs()
        daemon.override("boiler", on=None)
        await asyncio.sleep(10)
        assert not boiler.runs()
        assert daemon.state.standings[0].phase is OFF


async def test_a_hand_breaks_no_fuse():
    boiler, oven = Relay(), Relay(on=True, leased_until=1e9)
    home = house(HomeMeter([boiler, oven], house_w=3000), (rule("boiler"), boiler), max_import_w=4000.0)
    async with controlling(home) as daemon:
        await asyncio.sleep(5)
        daemon.override("boiler", on=True)
        await asyncio.sleep(60)
        assert not boiler.said("on")
        assert daemon.last is not None
        assert daemon.last[1].verdicts == (Verdict.CROWDED,)


async def test_on_the_way_out_a_load_held_on_goes_off_too():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        daemon.override("boiler", on=True)
        await asyncio.sleep(5)
        assert boiler.runs()
    assert not boiler.runs()


@pytest.mark.parametrize(
    ("path", "wish", "status", "said"),
    [
        ("loads/bioler/override", {"state": "on"}, 404, "no load is named bioler: did you mean boiler?"),
        ("loads/car/override", {"state": "on"}, 404, "no load is named car: there are boiler, pool_pump"),
        ("loads/boiler/override", {"state": "hot"}, 422, "state: "),
        ("loads/boiler/override", {"state": "on", "for_s": "2h"}, 422, "for_s: "),
        ("loads/boiler/override", {"state": "on", "for_s": True}, 422, "for_s: "),
        ("loads/boiler/override", {"state": "on", "for": 5}, 422, "for: "),
        ("loads/boiler/override", {"state": "on", "for_s": -5}, 422, "boiler: it can be held for a second to"),
        ("loads/boiler/override", ["on"], 422, ""),
        ("loads/boiler/override", {}, 422, "state: "),
        ("loads/boiler/mode", {"mode": "warp"}, 422, "mode: "),
        ("loads/boyler/mode", {"mode": "fast"}, 404, "no load is named boyler"),
        ("loads/boiler/boost", {}, 422, "what: "),
        ("loads/boiler/boost", {"what": "1 h", "by": 17}, 422, "by: "),
        ("loads/boiler/adopt", None, 422, "boiler: its device answers and is the one known"),
        ("loads/boilr/adopt", None, 404, "no load is named boilr: did you mean boiler?"),
        ("away", {}, 422, "until: "),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(path, wish, status, said):
    relays = Relay(), Relay()
    home = house(HomeMeter(relays), (rule("boiler"), relays[0]), (rule("pool_pump"), relays[1]))
    async with controlling(home) as daemon, owners_api(daemon) as api:
        await asyncio.sleep(5)
        answer = await api.post(path, json=wish)
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert (answer.status_code, told["status"], said in told["detail"]) == (status, status, True), told
        assert daemon.wishes == ()


async def test_what_is_told_of_the_house():
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon, owners_api(daemon) as api:
        told = (await api.get("state")).json()
        assert (told["meter"]["state"], told["loads"]) == ("waiting", [])
        await asyncio.sleep(60)
        told = (await api.get("state")).json()
        power = told["power"]
        assert (power["grid_w"], power["pv_w"], power["surplus_w"], told["meter"]["state"]) == (-200, 2500, 2200, "ok")
        assert told["at"].startswith("2026-06-01T14:00:59")
        (load,) = told["loads"]
        assert (load["name"], load["state"], load["verdict"], load["power_w"]) == ("boiler", ON, "run", 2000)
        assert load["sentence"]
