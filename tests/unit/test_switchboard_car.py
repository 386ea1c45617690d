"""The mailbox of a charger on virtual time: set anew often, off before all else, and cars that sleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadctl.core.rules import Load, Site
from loadctl.core.values import ON, Command, Phase, Report, Standing, State
from loadctl.errors import Unreachable
from loadctl.service.mailbox import OVERTAKEN_S, BeforeOn
from loadctl.service.switchboard import Switchboard
from tests.charger import Box
from tests.virtual import VIRTUAL, VirtualClock

pytestmark = pytest.mark.anyio

CAR = Load("car", 3680.0, 1400.0, 60.0, 100.0, 60.0, lease_s=60.0)


@pytest.fixture
def anyio_backend():
    return VIRTUAL


def amps(number: int, current_a: float, phases: int = 1) -> Command:
    return Command(number, "car", current_a * phases * 230.0, phases, 60.0, current_a)


OFF_NOW = Command(99, "car", 0.0)


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def garage(box: Box, before_on: BeforeOn | None = None) -> AsyncIterator[Switchboard]:
    more = {} if before_on is None else {"before_on": before_on}
    board = Switchboard(VirtualClock(), lambda: None, **more)
    task = asyncio.create_task(board.open("car", box).run())
    try:
        yield board
    finally:
        task.cancel()
        await asyncio.wait([task])


async def ticking(board: Switchboard, seconds: float, phase: Phase = ON) -> list[Report]:
    site, state = Site((CAR,)), State((Standing(phase=phase),))
    reports: list[Report] = []
    end = _now() + seconds
    while _now() < end:
        board.renew(site, state)
        await asyncio.sleep(1.0)
        reports += board.take()
    return reports


class Flash(Box):
    """A box that keeps each setting in its flash memory."""

    spare_s = 10.0


async def test_a_box_is_set_anew_in_its_pace_and_to_the_latest_of_what_was_wished():
    box = Flash(lease_s=None)
    async with garage(box) as board:
        board.send([amps(1, 16)])
        reports = await ticking(board, 2)
        for number in range(2, 10):  # a cloud, slowly
            board.send([amps(number, 17 - number / 2)])
            reports += await ticking(board, 1)
        reports += await ticking(board, 10)
        times = [at for at, _ in box.wire]
        assert [word for _, word in box.wire] == ["16 A x 1", "12.5 A x 1"]
        assert 10 <= times[1] - times[0] <= 11
        assert [report.command_id for report in reports if report.command_id] == [1, 9]
        board.send([amps(10, 13)])
        await ticking(board, 12)
        assert [word for _, word in box.wire][2:] == ["13 A x 1"]


@pytest.mark.parametrize("matters", ["off", "much less", "the fuse", "another number of phases"])
async def test_what_matters_waits_for_no_pace(matters):
    box = Flash(lease_s=None, pause_s=0.1)
    async with garage(box) as board:
        board.send([amps(1, 16)])
        await ticking(board, 2)
        board.send([amps(2, 15)])
        await ticking(board, 1)
        assert len(box.wire) == 1
        at = _now()
        if matters == "off":
            board.send([OFF_NOW])
        if matters == "much less":
            board.send([amps(3, 11)])
        if matters == "the fuse":
            board.hurry()
        if matters == "another number of phases":
            board.send([amps(3, 6, 3)])
        await ticking(board, 1)
        assert [when for when, _ in box.wire][1:] == [at]


async def test_a_lease_is_renewed_although_a_new_setting_is_wished_each_second():
    box = Flash(lease_s=60.0)
    async with garage(box) as board:
        board.send([amps(1, 16)])
        await ticking(board, 2)
        for number in range(2, 300):
            board.send([amps(number, 16 - number % 3)])
            await ticking(board, 1)
            assert box.runs()
    assert 25 <= len(box.wire) <= 31


async def test_only_the_first_on_waits_for_the_disk():
    waited: list[float] = []

    async def disk() -> None:
        waited.append(_now())
        await asyncio.sleep(0.5)

    box = Box()
    async with garage(box, disk) as board:
        await ticking(board, 2)
        for number, current_a in enumerate((6, 9, 12, 8), 1):
            board.send([amps(number, current_a)])
            await ticking(board, 10)
        assert len(waited) == 1
        board.send([OFF_NOW])
        await ticking(board, 2)
        board.send([amps(10, 6)])
        await ticking(board, 2)
    assert len(waited) == 2
    assert [word for _, word in box.wire if word != "12 A x 1"][:3] == ["6 A x 1", "9 A x 1", "8 A x 1"]


async def test_a_car_that_was_found_charging_is_set_anew_without_the_disk():
    async def never() -> None:
        await asyncio.Event().wait()

    box = Box(on=True, leased_until=1e9)
    async with garage(box, never) as board:
        await ticking(board, 2)
        board.send([amps(1, 10)])
        await ticking(board, 2)
    assert box.amps == 10


async def test_the_lease_is_renewed_with_what_the_box_took_last():
    box = Box()
    async with garage(box) as board:
        board.send([amps(1, 6)])
        await ticking(board, 30)
        board.send([amps(2, 13)])
        await ticking(board, 1)
        box.error = Unreachable("no route")
        board.send([amps(3, 16)])
        reports = await ticking(board, 2)
        assert [(report.command_id, report.error) for report in reports] == [(3, "unreachable")]
        box.error = None
        box.wire.clear()
        await ticking(board, 60)
        assert {word for _, word in box.wire} == {"13 A x 1"}
        assert box.runs()


async def test_an_off_does_not_wait_for_a_change_of_phases():
    box = Box(pause_s=35.0)
    async with garage(box) as board:
        board.send([amps(1, 16)])
        await ticking(board, 5)
        board.send([amps(2, 6, phases=3)])
        await ticking(board, 3)
        board.send([OFF_NOW])
        asked_at = _now()
        reports = await ticking(board, 20)
        assert box.said("off") == [pytest.approx(asked_at + OVERTAKEN_S, abs=0.1)]
        assert not box.on
        assert [report.command_id for report in reports if report.command_id] == [99]
        assert board.counts.superseded == {"car": 1}


async def test_a_change_of_phases_is_waited_for_otherwise():
    box = Box(pause_s=35.0)
    async with garage(box) as board:
        board.send([amps(1, 16)])
        await ticking(board, 5)
        board.send([amps(2, 6, phases=3)])
        await ticking(board, 3)
        board.send([amps(3, 7, phases=3)])
        reports = await ticking(board, 40)
    assert [report.command_id for report in reports if report.command_id] == [2, 3]
    assert (box.phases, box.amps) == (3, 7)


async def test_a_car_that_sleeps_is_woken_twice_and_then_left_alone():
    box = Box(asleep=9)
    async with garage(box) as board:
        board.send([amps(1, 6)])
        await ticking(board, 3000)
        woken = box.said("wake")
        assert woken == [pytest.approx(120, abs=15), pytest.approx(600, abs=25)]
        box.plugged = False
        await ticking(board, 60)
        box.plugged = True
        board.send([amps(2, 6)])
        await ticking(board, 3000)
        assert len(box.said("wake")) == 4


async def test_it_charges_once_it_is_awake():
    box = Box(asleep=1)
    async with garage(box) as board:
        board.send([amps(1, 6)])
        await ticking(board, 200)
        assert box.runs()
        box.full, box.tells = True, False
        await ticking(board, 3000)
    assert len(box.said("wake")) == 1


@pytest.mark.parametrize("more", [{"full": True}, {"plugged": False}, {"on": False}])
async def test_nobody_is_woken_in_vain(more):
    box = Box(**{"on": True, "leased_until": 1e9, "asleep": 0} | more)
    async with garage(box) as board:
        await ticking(board, 2000)
    assert box.said("wake") == []


async def test_a_charger_that_cannot_wake_is_no_trouble(caplog):
    box = Box(asleep=1, wakes=Unreachable("no route"))
    async with garage(box) as board:
        board.send([amps(1, 6)])
        await ticking(board, 200)
        assert board.mailboxes["car"].trouble is None
    assert caplog.text.count("could not be woken: no route") == 1


class Clinging(Box):
    """Its driver has something to do on its way out, and fails in it."""

    async def wake(self) -> None:
        self._note("wake")
        try:
            await asyncio.Event().wait()
        finally:
            raise Unreachable("no route")


async def test_a_driver_that_fails_on_its_way_out_keeps_no_mailbox_going():
    box = Clinging(asleep=9)
    board = Switchboard(VirtualClock(), lambda: None)
    task = asyncio.create_task(board.open("car", box).run())
    board.send([amps(1, 6)])
    while not box.said("wake"):
        await ticking(board, 1)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=60)
    assert ended
    assert task.cancelled()


class Deaf(Box):
    """A library it uses takes the answer that comes in the same moment for more than the word to end."""

    async def read(self) -> Report:
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            self._note("deaf")
        return await super().read()


async def test_a_driver_that_swallows_the_word_to_end_keeps_no_mailbox_going():
    box = Deaf()
    board = Switchboard(VirtualClock(), lambda: None)
    task = asyncio.create_task(board.open("car", box).run())
    await asyncio.sleep(0.5)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=60)
    assert box.said("deaf")
    assert ended
    assert task.cancelled()
