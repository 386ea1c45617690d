"""The whole control loop on virtual time, from the meter's answer to what happened at the relays."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest

from loadctl.config import House
from loadctl.core.rules import Follow, Range
from loadctl.core.values import FAULT, OFF, ON, Outcome, Tick, Verdict
from loadctl.drivers import Shared
from loadctl.errors import ConfigError, Fault, Unreachable
from loadctl.service.daemon import Daemon
from loadctl.service.journal import Journal
from loadctl.service.memory import Inline
from tests.charger import Box
from tests.e2e.until import until
from tests.home import HomeMeter, Known, Relay, house, rule
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@asynccontextmanager
async def controlling(home: House, **more: Any) -> AsyncIterator[Daemon]:
    """Run a daemon; on leaving it is stopped as by a signal."""
    daemon = Daemon(home, Shared(VirtualClock()), **{"executor": Inline()} | more)
    daemon.observers.append(Journal(daemon))
    running = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop("SIGTERM")
        await running


def verdicts(daemon: Daemon) -> tuple[Verdict, ...]:
    assert daemon.last is not None
    return daemon.last[1].verdicts


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_load_follows_the_sun():
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=300)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(60)
        assert not boiler.said("on")
        meter.sun_w = 2500
        await asyncio.sleep(20)
        assert boiler.runs()
        assert daemon.state.standings[0].phase is ON
        await asyncio.sleep(600)
        assert not boiler.said("off")
        meter.sun_w = 0
        await asyncio.sleep(20)
        assert not boiler.runs()
        assert daemon.state.standings[0].phase is OFF
    assert [word for _, word in boiler.said("off")][:1] == ["off"]


async def test_a_fresh_reading_is_decided_on_at_once():
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500, takes_s=0.4)
    async with controlling(house(meter, (rule("boiler"), boiler))):
        await asyncio.sleep(20)
    assert boiler.said("on")[0][0] in meter.answered


async def test_ticks_come_every_second_whatever_the_meter_does():
    ticks: list[float] = []
    late: list[float] = []
    meter = HomeMeter(takes_s=7.0)
    async with controlling(house(meter, (rule("boiler"), Relay()))) as daemon:
        daemon.observers.append(lambda tick, _: ticks.append(tick.at))
        daemon.observers.append(lambda *_: late.append(daemon.late_s) if daemon.late_s is not None else None)
        await asyncio.sleep(30.5)
    assert {round(at) for at in ticks} >= set(range(1, 30))
    assert len(late) >= 30
    assert max(late) < 0.01


async def test_a_dead_meter_turns_everything_off_in_time():
    boiler, pump = Relay(), Relay()
    meter = HomeMeter([boiler, pump], sun_w=6000)
    async with controlling(house(meter, (rule("boiler"), boiler), (rule("pump"), pump))):
        await asyncio.sleep(60)
        assert boiler.runs()
        assert pump.runs()
        meter.error = Unreachable("no answer from the meter")
        died_at = _now()
        await asyncio.sleep(60)
        assert not boiler.runs()
        assert not pump.runs()
        for relay in (boiler, pump):
            assert died_at + 30 < relay.said("off")[0][0] <= died_at + 10 + 30 + 1


async def test_an_unreachable_meter_is_asked_ever_more_rarely_and_its_return_is_noticed(caplog):
    caplog.set_level(logging.INFO)
    meter = HomeMeter(error=Unreachable("no answer from the meter"))
    async with controlling(house(meter, (rule("boiler"), Relay()))) as daemon:
        await asyncio.sleep(3600)
        pauses = [after - before for before, after in pairwise(meter.wire)]
        assert 5 <= pauses[0] <= 6.1
        assert all(after > before for before, after in pairwise(pauses[:5]))
        assert max(pauses) <= 361
        assert daemon.reader.errors == {"unreachable": len(meter.wire)}
        meter.error = None
        await asyncio.sleep(361)
        meter.error = Unreachable("gone again")
        asked = len(meter.wire)
        await asyncio.sleep(8)
        assert len(meter.wire) > asked
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("meter:")]
    assert [line.split(";")[0].split(" after")[0] for line in said] == [
        "meter: no answer from the meter",
        "meter: answers again",
        "meter: gone again",
    ]


async def test_a_slow_actuator_delays_no_other():
    slow, quick = Relay(takes_s=20.0), Relay()
    meter = HomeMeter([slow, quick], sun_w=6000)
    async with controlling(house(meter, (rule("slow"), slow), (rule("quick"), quick))):
        await asyncio.sleep(15)
        assert quick.runs()
        meter.sun_w = 0
        await asyncio.sleep(15)
        assert not quick.runs()
        assert not slow.said("off")


async def test_leases_are_renewed_while_nothing_changes():
    boiler = Relay(lease_s=60.0)
    meter = HomeMeter([boiler], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(620)
        assert boiler.runs()
        assert 28 <= len(boiler.said("on")) <= 33
        assert daemon.state.standings[0].tally.starts == 1


async def test_stopping_turns_everything_off_and_says_so(caplog):
    caplog.set_level(logging.INFO)
    boiler, pump, lost = Relay(takes_s=2.0), Relay(takes_s=2.0), Relay(lease_s=None)
    meter = HomeMeter([boiler, pump, lost], sun_w=9000)
    home = house(meter, (rule("boiler"), boiler), (rule("pump"), pump), (rule("lost"), lost))
    daemon = Daemon(home, Shared(VirtualClock()))
    daemon.observers.append(Journal(daemon))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(60)
    assert boiler.runs()
    assert pump.runs()
    lost.error = Unreachable("no route to the pool")
    stopped_at = _now()
    daemon.stop("SIGTERM")
    assert await running == {"lost": "no route to the pool"}
    assert not boiler.runs()
    assert not pump.runs()
    assert boiler.said("off")[-1][0] - stopped_at < 0.1
    assert _now() - stopped_at <= 11
    assert all(device.closed for device in (meter, boiler, pump, lost))
    lines = caplog.text
    assert "boiler: off, confirmed" in lines
    assert "lost: not confirmed off: no route to the pool; it cannot go off by itself: please look" in lines
    assert "shutdown" in lines


async def test_a_bug_ends_the_loop_after_all_loads_were_made_safe():
    @dataclass
    class Broken(HomeMeter):
        broken: bool = False

        async def read(self) -> Any:
            if self.broken:
                raise ZeroDivisionError("a bug")
            return await super().read()

    boiler = Relay()
    meter = Broken([boiler], sun_w=2500)
    daemon = Daemon(house(meter, (rule("boiler"), boiler)), Shared(VirtualClock()))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(20)
    assert boiler.runs()
    meter.broken = True
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)
    assert not boiler.runs()


async def test_being_cancelled_is_a_way_out_too():
    boiler = Relay()
    daemon = Daemon(house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler)), Shared(VirtualClock()))
    running = asyncio.create_task(daemon.run())
    await asyncio.sleep(20)
    assert boiler.runs()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not boiler.runs()


async def test_all_devices_may_be_away_at_the_start():
    boiler = Relay(error=Unreachable("no route"))
    meter = HomeMeter([boiler], sun_w=2500, error=Unreachable("no route"))
    async with controlling(house(meter, (rule("boiler"), boiler))):
        await asyncio.sleep(60)
        meter.error = boiler.error = None
        await asyncio.sleep(300)
        assert boiler.runs()


async def test_new_rules_keep_what_stays_and_make_safe_what_goes(caplog):
    caplog.set_level(logging.INFO)
    boiler, pump, heater = Relay(), Relay(), Relay()
    meter = Known(HomeMeter([boiler, pump, heater], sun_w=9000))
    at_boiler = Known(boiler)
    now = house(meter, (rule("boiler"), at_boiler), (rule("pump"), pump))
    then = house(meter, (rule("heater"), heater), (rule("boiler", start_w=1000.0), at_boiler))
    async with controlling(now, reread=lambda: then) as daemon:
        await asyncio.sleep(60)
        assert boiler.runs()
        assert pump.runs()
        before = daemon.state.standings[0]
        daemon.reload()
        await asyncio.sleep(2)
        assert not pump.runs()
        assert pump.closed
        assert boiler.runs()
        after = daemon.state.standings[1]
        assert (after.phase, after.since, after.tally) == (ON, before.since, before.tally)
        assert (at_boiler.built, meter.built) == (1, 1)
        await asyncio.sleep(20)
        assert heater.runs()
    assert not heater.runs()
    assert "pump: off, confirmed" in caplog.text


async def test_a_device_exchanged_under_a_name_goes_safe_first_and_keeps_its_minimum_time():
    old, new = Relay(), Relay()
    meter = Known(HomeMeter([old, new], sun_w=2500))
    then = house(meter, (rule("boiler", min_off_s=120.0), new))
    async with controlling(house(meter, (rule("boiler"), old)), reread=lambda: then) as daemon:
        await asyncio.sleep(60)
        assert old.runs()
        daemon.reload()
        reloaded_at = _now()
        await asyncio.sleep(100)
        assert not old.runs()
        assert old.closed
        assert not new.said("on")
        await asyncio.sleep(60)
        assert new.said("on")[0][0] >= reloaded_at + 120
        assert new.said("read")[0][0] >= old.said("off")[0][0]
        assert daemon.state.standings[0].tally.starts == 2


async def test_another_meter_takes_over_without_a_break():
    boiler = Relay()
    old, new = HomeMeter([boiler], sun_w=2500), HomeMeter([boiler], sun_w=2500)
    at_boiler = Known(boiler)
    then = house(new, (rule("boiler"), at_boiler))
    async with controlling(house(old, (rule("boiler"), at_boiler)), reread=lambda: then) as daemon:
        await asyncio.sleep(60)
        daemon.reload()
        await asyncio.sleep(60)
        assert old.closed
        assert len(new.answered) > 50
        assert daemon.reader.readings >= len(old.answered) + len(new.answered) - 1
    assert [word for _, word in boiler.said("off")] == ["off"]


@pytest.mark.parametrize(("fuse_w", "waits"), [(6000.0, True), (700.0, False)])
async def test_a_car_is_throttled_at_once_only_where_the_fuse_is_near(fuse_w, waits):
    class Flash(Box):
        spare_s = 60.0

    box: Any = Flash(lease_s=None, amps=16.0)
    meter = HomeMeter([box], sun_w=4500)
    car = rule("car", power_w=3680.0, lease_s=None, follow=Follow((Range(1380.0, 3680.0, 230.0, 1, 230.0),)))
    async with controlling(house(meter, (car, box), max_import_w=fuse_w)):
        await until(lambda: box.draws_w == 3680, 600.0)
        await asyncio.sleep(70)
        set_at = box.wire[-1][0]
        for more_w in (1000.0, 900.0):  # the first of two falls leaves, the second has its pace to keep
            meter.house_w += more_w
            await asyncio.sleep(10)
        falls = [(at, word) for at, word in box.wire if at > set_at]
        assert (len(falls) == 1) is waits, falls
        assert box.draws_w > 0.75 * 2990
        await asyncio.sleep(60)
        assert box.draws_w < 2600


async def test_ticks_go_on_while_rules_are_read():
    boiler = Relay()
    home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))
    ticked, asked = threading.Event(), threading.Event()

    def reread() -> House:
        asked.set()
        assert ticked.wait(20.0), "nobody decided anything while the rules were read"
        return home

    with ThreadPoolExecutor(1) as executor:
        async with controlling(home, reread=reread, executor=executor) as daemon:
            await asyncio.sleep(10)
            daemon.reload()
            await asyncio.sleep(0.5)
            before = daemon.ticked_at or 0.0
            assert asked.wait(20.0)
            await until(lambda: (daemon.ticked_at or 0.0) >= before + 3)
            ticked.set()


async def test_a_bad_file_keeps_the_old_rules_and_says_why(caplog):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)

    def reread() -> House:
        raise ConfigError([Fault("home.yaml", 12, 5, "loads.boiler.power", "`2` has no unit: write `2 kW`")])

    async with controlling(house(meter, (rule("boiler"), boiler)), reread=reread) as daemon:
        await asyncio.sleep(30)
        daemon.reload()
        await asyncio.sleep(30)
        assert boiler.runs()
        assert daemon.reload_success is False
        assert not boiler.said("off")
    assert "home.yaml:12:5: loads.boiler.power: `2` has no unit" in caplog.text


async def test_a_dry_run_switches_nothing_and_decides_as_if(caplog):
    caplog.set_level(logging.INFO)
    boiler, pump = Relay(), Relay(measures=False)
    meter = HomeMeter([boiler, pump], sun_w=2500)
    decided: list[tuple[Tick, Outcome]] = []
    async with controlling(house(meter, (rule("boiler"), boiler), (rule("pump"), pump)), dry_run=True) as daemon:
        daemon.observers.append(lambda tick, outcome: decided.append((tick, outcome)))
        await asyncio.sleep(120)
        assert [standing.phase for standing in daemon.state.standings] == [ON, OFF]
        assert decided[-1][1].surplus_w == pytest.approx(2200)
        assert decided[-1][0].sample is not None
        assert decided[-1][0].sample.grid_w == pytest.approx(-200)
        meter.sun_w = 0
        await asyncio.sleep(60)
        assert [standing.phase for standing in daemon.state.standings] == [OFF, OFF]
    assert not boiler.said("on", "off")
    assert not pump.said("on", "off")
    assert "dry run: nothing is switched" in caplog.text


async def test_a_load_whose_safe_state_is_on_is_left_on():
    freezer = Relay(lease_s=None, on=True, leased_until=1e9)
    home = house(HomeMeter([freezer], sun_w=0), (replace(rule("freezer"), safe_on=True, min_on_s=1e6), freezer))
    async with controlling(home):
        await asyncio.sleep(5)
    assert freezer.runs()


async def test_a_compressor_that_rests_is_left_to_rest():
    freezer = Relay(lease_s=None)
    resting = rule("freezer", safe_on=True, compressor=True, min_off_s=600.0)
    async with controlling(house(HomeMeter([freezer], sun_w=0), (resting, freezer))):
        await asyncio.sleep(5)
    assert not freezer.said("on")


async def test_an_answer_wakes_the_loop():
    ticks: list[float] = []
    boiler = Relay(takes_s=0.3)
    meter = HomeMeter([boiler], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon:
        daemon.observers.append(lambda tick, _: ticks.append(tick.at))
        await asyncio.sleep(20)
    assert any(at == pytest.approx(boiler.said("on")[0][0] + 0.3, abs=0.01) for at in ticks)


async def test_a_contact_that_is_welded_is_an_alarm_and_its_power_nobody_elses(caplog):
    boiler = Relay()
    meter = HomeMeter([boiler], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(60)
        boiler.welded = True
        meter.sun_w = 0
        await asyncio.sleep(60)
        assert boiler.said("off")
        assert verdicts(daemon) == (Verdict.WELDED,)
        meter.sun_w = 9000
        await asyncio.sleep(60)
        assert len(boiler.said("on")) <= 3
        boiler.welded = False
        await asyncio.sleep(60)
        assert daemon.state.standings[0].phase is ON
    assert [record for record in caplog.records if "→ welded" in record.message and record.levelname == "WARNING"]


async def test_a_load_that_draws_nothing_is_told_and_its_power_goes_to_the_next():
    boiler, pump = Relay(idle=True), Relay()
    meter = HomeMeter([boiler, pump], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler), (rule("pump"), pump))) as daemon:
        await asyncio.sleep(120)
        assert verdicts(daemon)[0] is Verdict.IDLE
        assert pump.runs()
        boiler.idle = False
        await asyncio.sleep(120)
        assert verdicts(daemon)[0] is Verdict.RUN
        assert not pump.runs()


async def test_a_relay_that_went_dark_goes_off_by_its_lease_and_is_a_fault_until_it_is_seen():
    boiler = Relay(lease_s=60.0)
    meter = HomeMeter([boiler], sun_w=2500)
    async with controlling(house(meter, (rule("boiler"), boiler))) as daemon:
        await asyncio.sleep(60)
        boiler.error = Unreachable("no route")
        dark_at = _now()
        await until(lambda: not boiler.runs())
        assert _now() - dark_at <= 60
        assert daemon.state.standings[0].phase is FAULT
        assert daemon.switchboard.counts.unrenewed["boiler"] > 0
        boiler.error = None
        await asyncio.sleep(120)
        assert boiler.runs()
