"""Modes, boosts and away: what a person says is done, survives a power cut, and ends in its time; on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest

from loadctl.config import House
from loadctl.core.appliance import tallied
from loadctl.core.rules import Clock, Follow, Level, Mode, Need, Range
from loadctl.core.values import Away, Boost, ModeWish, Tally, Verdict
from loadctl.drivers import Shared
from loadctl.errors import LoadctlError
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, Inline, Memory
from tests.api import owners_api
from tests.charger import Box
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio

CAR = Follow((Range(1380.0, 3680.0, 230.0, 1, 230.0),))


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@asynccontextmanager
async def controlling(home: House, folder: Path | None = None, *, dies: bool = False) -> AsyncIterator[Daemon]:
    """Run a daemon, from Monday 14:00 in the house on; one that `dies` leaves only what was on its disk by then."""
    clock, memory = VirtualClock(datetime(2026, 6, 1, 12, 0, tzinfo=UTC), home.zone), None
    if folder is not None:
        more: dict[str, Any] = {"boot_id": "boot", "trusted": lambda: True, "executor": Inline()}
        memory = await Memory.open(folder / FILE, clock, home.site, **more)
    daemon = Daemon(home, Shared(clock), memory=memory)
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
        if dies and memory is not None:
            await memory.close(write=False)
            memory.note = lambda *_, **__: None  # type: ignore[method-assign]
    finally:
        daemon.stop("SIGTERM")
        await task
        if memory is not None and not dies:
            await memory.close()


def garage(box: Box, meter: HomeMeter, **more: Any) -> House:
    car = rule("car", **{"power_w": 3680.0, "start_w": 1380.0, "stop_import_w": 100.0, "follow": CAR, **more})
    return house(meter, (car, box))  # type: ignore[arg-type]


def had(daemon: Daemon) -> Tally:
    return tallied(daemon.house.site.loads[0], daemon.state.standings[0], asyncio.get_running_loop().time())


def wished(daemon: Daemon) -> list[type]:
    return [type(wish) for wish in daemon.wishes]


async def test_a_car_at_its_least_and_at_its_most_whatever_the_sun_does():
    box = Box()
    meter = HomeMeter([box], sun_w=0)  # type: ignore[list-item]
    async with controlling(garage(box, meter)) as daemon:
        await asyncio.sleep(30)
        assert not box.runs()
        assert daemon.choose("car", Mode.SOLAR_MIN) == "car: solar+min, until another mode is chosen"
        await asyncio.sleep(60)
        assert (box.on, box.amps) == (True, 6)
        meter.sun_w = 300 + 10 * 230 + 100
        await asyncio.sleep(60)
        assert box.amps == 10
        daemon.choose("car", Mode.FAST)
        await asyncio.sleep(60)
        assert box.amps == 16
        daemon.choose("car", Mode.OFF)
        await asyncio.sleep(5)
        assert not box.on
        assert [wish for wish in daemon.wishes if isinstance(wish, ModeWish)] == [ModeWish("car", Mode.OFF)]
        assert daemon.choose("car", None) == "car: solar, as its rules say"
        assert daemon.wishes == ()
        await asyncio.sleep(60)
        assert box.amps == 10


async def test_a_load_that_is_only_on_or_off_has_no_least_power():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        with pytest.raises(LoadctlError, match=r"boiler: it is only on or off, .*choose one of off, solar, fast"):
            daemon.choose("boiler", Mode.SOLAR_MIN)
        daemon.override("boiler", on=False)
        daemon.choose("boiler", Mode.FAST)
        await asyncio.sleep(5)
        assert boiler.runs()


async def test_a_mode_comes_back_after_a_kill(tmp_path):
    boiler = Relay()
    home = house(HomeMeter([boiler]), (rule("boiler"), boiler))
    async with controlling(home, tmp_path, dies=True) as daemon:
        await asyncio.sleep(30)
        daemon.choose("boiler", Mode.FAST)
        daemon.away("2026-06-20")
        await asyncio.sleep(2)
    async with controlling(home, tmp_path) as daemon:
        await asyncio.sleep(10)
        assert boiler.runs()
        assert daemon.wishes[0] == ModeWish("boiler", Mode.FAST)
        assert isinstance(daemon.wishes[1], Away)


async def test_a_boost_waits_for_the_sun_and_is_done_in_time_without_it():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        assert daemon.boost("boiler", "3 kWh", "17:00") == "boiler: 3 kWh by Mon 17:00, sun or no sun"
        await asyncio.sleep(3600)
        assert not boiler.runs()
        await asyncio.sleep(2 * 3600 - 5)
        assert had(daemon).energy_wh == pytest.approx(3000, rel=0.02)
        assert not boiler.runs()
        assert wished(daemon) == [Boost]
        await asyncio.sleep(120)
        assert wished(daemon) == []
        assert daemon.state.standings[0].needs_missed == 0


async def test_a_boost_without_a_time_begins_at_once():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        assert daemon.boost("boiler", "30 min") == "boiler: 30 min from now on, by Mon 14:31, sun or no sun"
        await asyncio.sleep(5)
        assert boiler.runs()
        await asyncio.sleep(1900)
        assert not boiler.runs()
        assert had(daemon).runtime_s == pytest.approx(1800, abs=10)


async def test_a_boost_comes_back_after_a_kill(tmp_path):
    boiler = Relay()
    home = house(HomeMeter([boiler]), (rule("boiler"), boiler))
    async with controlling(home, tmp_path, dies=True) as daemon:
        await asyncio.sleep(5)
        daemon.boost("boiler", "2 h", "+4 h")
        await asyncio.sleep(20)
        asked = daemon.wishes
    async with controlling(home, tmp_path) as daemon:
        await asyncio.sleep(15)
        assert isinstance(daemon.wishes[0], Boost)
        assert replace(daemon.wishes[0], until=None) == replace(asked[0], until=None)
        await asyncio.sleep(4 * 3600 + 120)
        assert had(daemon).runtime_s == pytest.approx(7200, abs=60)
        assert daemon.wishes == ()


@pytest.mark.parametrize(
    ("what", "by", "said"),
    [
        ("99999999999 kWh", "14:30", "a boost is over within 7 days"),
        ("3 kWh", "14:30", r"3 kWh takes 1 h 30 min at 2 kW, and 2\d min are left: `--by 15:3\d`, or 0?\.?9"),
        ("3 h", "16:00", r"3 h takes 3 h, and 1 h 5\d min are left: `--by 17:0\d`, or 1 h 5\d min"),
        ("lots", None, "`lots` is nothing that can be given: write `3 kWh`, `2 h` or `full`"),
        ("0 kWh", None, "nothing to give"),
        ("2 h", "5 pm", "`5 pm`: a time of day is written `17:00`"),
        ("2 h", "+2", "`"),
        ("2 h", "+9 d", "between a minute and 7 days"),
        ("60 °C", None, "no need in its rules says where to measure that"),
        ("off", None, "it has no boost"),
    ],
)
async def test_a_boost_that_cannot_be_meant(what, by, said):
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        with pytest.raises(LoadctlError, match=said) as told:
            daemon.boost("boiler", what, by)
        assert str(told.value).startswith("boiler: ")
        assert "\n" not in str(told.value)
        assert daemon.wishes == ()


async def test_a_boost_of_what_a_need_measures_and_its_end():
    boiler = Relay()
    need = Need(Clock(time(7)), level=Level("tank", 50.0), takes_s=3600.0)
    home = house(HomeMeter([boiler]), (rule("boiler", needs=(need,)), boiler))
    async with controlling(replace(home, units={"tank": "°C"})) as daemon:
        await asyncio.sleep(5)
        assert "boiler: 60 °C by Mon 2" in daemon.boost("boiler", "60 °C", "sunset")
        wish = daemon.wishes[0]
        assert isinstance(wish, Boost)
        assert wish.need.level == Level("tank", 60.0)
        assert daemon.boost("boiler", "full") == "boiler: full from now on, by Mon 16:03, sun or no sun"
        assert len(daemon.wishes) == 1
        assert daemon.boost("boiler", "off") == "boiler: no boost any more"
        daemon.choose("boiler", Mode.OFF)
        with pytest.raises(LoadctlError, match="its mode is off, then it gets no boost: `loadctl mode boiler solar`"):
            daemon.boost("boiler", "full")


async def test_a_time_that_is_over_is_tomorrows_and_a_hand_gives_way():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(5)
        daemon.override("boiler", on=False)
        assert "by Tue 13:00" in daemon.boost("boiler", "1 h", "13:00")
        assert [type(wish) for wish in daemon.wishes] == [Boost]


async def test_away_needs_wait_and_the_sun_is_used_all_the_same():
    boiler = Relay()
    meter = HomeMeter([boiler])
    needs = tuple(Need(Clock(time(hour)), runtime_s=900.0) for hour in (15, 17))
    async with controlling(house(meter, (rule("boiler", needs=needs), boiler))) as daemon:
        await asyncio.sleep(5)
        assert daemon.away("2026-06-03") == "away: needs wait until Wed 2026-06-03 00:00"
        await asyncio.sleep(4200)
        assert not boiler.said("on")
        assert daemon.state.standings[0].needs_missed == 0
        meter.sun_w = 2500
        await asyncio.sleep(60)
        assert boiler.runs()
        meter.sun_w = 0
        await asyncio.sleep(60)
        assert not boiler.runs()
        assert daemon.away("off") == "at home: needs are met again"
        await asyncio.sleep(2 * 3600)
        assert had(daemon).runtime_s == pytest.approx(900, abs=60)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2026-05-30", "is over: name a moment that is yet to come"),
        ("+3 y", "3 y"),
        ("next week", "`next week` is no day: write `2026-06-11`, or `for 10 d`"),
        ("2030-01-01", "`loadctl away on` has no end"),
    ],
)
async def test_an_absence_that_cannot_be_meant(until, said):
    async with controlling(house(HomeMeter())) as daemon:
        await asyncio.sleep(5)
        with pytest.raises(LoadctlError, match=said):
            daemon.away(until)
        assert daemon.wishes == ()


async def test_all_of_it_can_be_asked_for():
    boiler = Relay()
    async with controlling(house(HomeMeter([boiler]), (rule("boiler"), boiler))) as daemon, owners_api(daemon) as api:
        await asyncio.sleep(5)

        async def said(path: str, **wish: str) -> str:
            return str((await api.post(path, json=wish)).json()["said"])

        assert (await said("loads/boiler/mode", mode="fast")).startswith("boiler: fast")
        assert (await said("loads/boiler/mode", mode="auto")).startswith("boiler: solar")
        assert (await said("loads/boiler/boost", what="1 kWh")).startswith("boiler: 1 kWh from now on")
        assert await said("away", until="+10 d") == "away: needs wait until Thu 2026-06-11 14:00"
        await asyncio.sleep(5)
        assert daemon.last is not None
        assert daemon.last[1].verdicts == (Verdict.NEED,)
        told = (await api.get("state")).json()
        assert told["away"] == {"on": True, "until": "2026-06-11T14:00:05+02:00"}
        assert told["loads"][0]["boosts"][0]["text"] == "1 kWh"
