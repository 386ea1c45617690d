"""Mailboxes on virtual time: the latest wish wins, nobody waits for a slow one, leases are renewed by ticks alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.core.rules import Load, Site
from loadctl.core.values import OFF, ON, Command, Phase, Report, Standing, State
from loadctl.errors import Refused, Unreachable
from loadctl.service.mailbox import BeforeOn, Mailbox
from loadctl.service.switchboard import Switchboard, make_safe
from tests.home import Relay
from tests.virtual import VIRTUAL, VirtualClock, VirtualLoop


@pytest.fixture
def anyio_backend():
    return VIRTUAL


def _now() -> float:
    return asyncio.get_running_loop().time()


def _load(name: str) -> Load:
    return Load(name, 2000.0, 1500.0, 60.0, 500.0, 60.0)


@asynccontextmanager
async def running(
    *, before_on: BeforeOn | None = None, identity: str | None = None, **relays: Relay
) -> AsyncIterator[Switchboard]:
    more = {} if before_on is None else {"before_on": before_on}
    board = Switchboard(VirtualClock(), lambda: None, **more)
    tasks = [asyncio.create_task(board.open(name, relay, identity).run()) for name, relay in relays.items()]
    try:
        yield board
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def ticking(board: Switchboard, seconds: float, **phases: Phase) -> list[Report]:
    """Tick each second, as the daemon would, with each load in the given phase; return the reports."""
    site = Site(tuple(_load(name) for name in phases))
    state = State(tuple(Standing(phase=phase) for phase in phases.values()))
    reports: list[Report] = []
    end = _now() + seconds
    while _now() < end:
        board.renew(site, state)
        await asyncio.sleep(1.0)
        reports += board.take()
    return reports


@pytest.mark.anyio
async def test_the_real_state_is_read_before_anything_is_switched():
    relay = Relay()
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        reports = await ticking(board, 3, boiler=OFF)
    assert [word for _, word in relay.wire] == ["read", "on"]
    assert [(report.command_id, report.on) for report in reports] == [(None, False), (1, True)]
    assert {report.load for report in reports} == {"boiler"}


@pytest.mark.anyio
async def test_what_has_never_been_read_is_not_switched_on_but_may_be_switched_off():
    relay = Relay(error=Unreachable("no route"))
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        reports = await ticking(board, 3, boiler=OFF)
        assert relay.said("on", "off") == []
        assert [(report.command_id, report.error) for report in reports] == [(None, "unreachable"), (1, "unreachable")]
        board.send([Command(2, "boiler", 0.0)])
        await ticking(board, 3, boiler=OFF)
    assert [word for _, word in relay.said("on", "off")] == ["off"]


@pytest.mark.anyio
async def test_the_latest_wish_wins_and_the_overtaken_are_counted():
    relay = Relay(takes_s=2.5)
    async with running(boiler=relay) as board:
        await ticking(board, 6, boiler=OFF)
        board.send([Command(1, "boiler", 2000.0)])
        await asyncio.sleep(2)
        board.send([Command(2, "boiler", 1000.0)])
        board.send([Command(3, "boiler", 0.0)])
        reports = await ticking(board, 12, boiler=OFF)
    assert [word for _, word in relay.said("on", "off")] == ["on", "off"]
    assert [report.command_id for report in reports if report.command_id] == [1, 3]
    assert board.counts.superseded == {"boiler": 1}
    assert relay.most_busy == 1


@pytest.mark.anyio
async def test_a_slow_actuator_delays_nobody():
    slow, quick = Relay(takes_s=25.0), Relay()
    async with running(slow=slow, quick=quick) as board:
        await asyncio.sleep(1)
        board.send([Command(1, "slow", 2000.0), Command(2, "quick", 2000.0)])
        reports = await ticking(board, 2, slow=OFF, quick=OFF)
    assert [report.command_id for report in reports if report.load == "quick"][-1] == 2


@pytest.mark.anyio
async def test_a_lease_is_renewed_at_a_third_and_is_an_observation():
    relay = Relay(lease_s=60.0)
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        reports = await ticking(board, 600, boiler=ON)
        left_s = board.mailboxes["boiler"].lease_left_s()
    ons = [at for at, _ in relay.said("on")]
    assert len(ons) == pytest.approx(30, abs=2)
    assert max(after - before for before, after in pairwise(ons)) <= 22
    assert [report.command_id for report in reports if report.command_id is not None] == [1]
    assert all(report.on for report in reports[1:])
    assert left_s is not None
    assert left_s >= 60 - 22


@pytest.mark.anyio
async def test_a_loop_that_hangs_renews_nothing():
    relay = Relay(lease_s=30.0)
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        await ticking(board, 60, boiler=ON)
        hung_at = _now()
        await asyncio.sleep(300)
        assert [at for at, _ in relay.wire if at > hung_at + 1] == []
        assert relay.leased_until <= hung_at + 31


@pytest.mark.anyio
async def test_a_load_found_on_gets_our_lease():
    relay = Relay(on=True, leased_until=1e9)
    async with running(boiler=relay) as board:
        await ticking(board, 30, boiler=ON)
    assert relay.said("on")
    assert relay.leased_until < 100


@pytest.mark.anyio
async def test_a_renewal_does_not_undo_a_hand_at_the_switch():
    relay = Relay(lease_s=30.0, every_s=1000.0)
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        await ticking(board, 5, boiler=ON)
        relay.on = False
        reports = await ticking(board, 20, boiler=ON)
    assert len(relay.said("on")) == 1
    assert reports[-1].on is False


@pytest.mark.anyio
async def test_what_is_not_on_or_cannot_hold_a_lease_gets_none_renewed():
    without, stopping = Relay(lease_s=None, on=True, leased_until=1e9), Relay(on=True, leased_until=1e9)
    async with running(without=without, stopping=stopping) as board:
        await ticking(board, 120, without=ON, stopping=Phase.STOPPING)
    assert not without.said("on")
    assert not stopping.said("on")


@pytest.mark.anyio
async def test_an_unreachable_actuator_is_looked_at_ever_more_rarely_and_commands_go_out_at_once():
    relay = Relay(error=Unreachable("no route"))
    async with running(boiler=relay) as board:
        reports = await ticking(board, 600, boiler=OFF)
        assert 10 <= len(relay.said("read")) <= 15
        assert {report.error for report in reports} == {"unreachable"}
        assert {report.detail for report in reports} == {"no route"}
        relay.error = None
        at = _now()
        board.send([Command(7, "boiler", 0.0)])
        await ticking(board, 2, boiler=OFF)
        assert relay.said("off") == [(at, "off")]
        await ticking(board, 100, boiler=OFF)
    assert len([at for at, _ in relay.said("read")[-9:]]) == 9


@pytest.mark.anyio
async def test_an_actuator_that_never_answers_is_given_up_after_a_while():
    relay = Relay(takes_s=1e6)
    async with running(boiler=relay) as board:
        reports = await ticking(board, 40, boiler=OFF)
    assert [report.error for report in reports] == ["unreachable"]
    assert "30 s" in reports[0].detail


@pytest.mark.anyio
async def test_a_refusal_answers_its_command():
    relay = Relay()
    async with running(boiler=relay) as board:
        await asyncio.sleep(1)
        relay.error = Refused("wrong login", hint="give the password")
        board.send([Command(4, "boiler", 2000.0)])
        reports = await ticking(board, 2, boiler=OFF)
    assert (reports[-1].command_id, reports[-1].error) == (4, "refused")
    assert reports[-1].detail == "wrong login (give the password)"


@pytest.mark.anyio
async def test_all_loads_go_to_their_safe_state_at_once_and_the_unconfirmed_are_told():
    board = Switchboard(VirtualClock(), lambda: None)
    relays = {"a": Relay(takes_s=4.0), "b": Relay(takes_s=4.0), "c": Relay(error=Unreachable("no route"))}
    boxes = [board.open(name, relay) for name, relay in relays.items()]
    begin = _now()
    results = await make_safe([(box, Command(0, box.load, 0.0)) for box in boxes], limit_s=10.0)
    assert [report.error and report.detail for report in results] == [None, None, "no route"]
    assert _now() - begin == pytest.approx(10.0)
    assert len(relays["c"].said("off")) > 3


@pytest.mark.anyio
async def test_a_bug_in_one_driver_keeps_no_other_load_on():
    @dataclass
    class Broken(Relay):
        async def apply(self, command: Command) -> Report:
            raise KeyError("output")

    board = Switchboard(VirtualClock(), lambda: None)
    fine = Relay(on=True, leased_until=1e9)
    boxes: list[Mailbox] = [board.open("broken", Broken()), board.open("fine", fine)]
    results = await make_safe([(box, Command(0, box.load, 0.0)) for box in boxes])
    assert [report.error and report.detail for report in results] == ["KeyError('output')", None]
    assert fine.on is False


@pytest.mark.anyio
async def test_who_else_answers_at_the_address_is_switched_neither_on_nor_off(caplog):
    relay = Relay(identity="theirs")
    async with running(identity="ours", boiler=relay) as board:
        for number, watts in enumerate((2000.0, 0.0), start=1):
            board.send([Command(number, "boiler", watts)])
            reports = await ticking(board, 30, boiler=OFF)
            assert [report.error for report in reports if report.command_id == number] == ["refused"]
        assert "another device answers at its address: theirs instead of ours" in reports[-1].detail
        assert "loadctl adopt boiler" in reports[-1].detail
        assert not relay.said("on", "off")
        assert board.mailboxes["boiler"].trouble == "refused"
        relay.identity = "ours"
        await ticking(board, 60, boiler=OFF)
        board.send([Command(3, "boiler", 2000.0)])
        await ticking(board, 3, boiler=OFF)
        assert relay.runs()
        relay.identity = "theirs"
        board.send([Command(4, "boiler", 0.0)])
        assert (await ticking(board, 3, boiler=OFF))[-1].error == "refused"
    assert caplog.text.count("another device answers") == 2


@pytest.mark.anyio
async def test_on_the_way_out_a_stranger_is_left_alone_and_not_waited_for():
    relay = Relay(identity="theirs", on=True, leased_until=1e9)
    board = Switchboard(VirtualClock(), lambda: None)
    box = board.open("boiler", relay, "ours")
    begin = _now()
    (report,) = await make_safe([(box, Command(0, "boiler", 0.0))])
    assert report.error == "refused"
    assert relay.runs()
    assert _now() - begin < 1


@pytest.mark.anyio
async def test_a_device_that_is_not_heard_is_told_to_go_off_all_the_same():
    relay = Relay(error=Unreachable("no route"))
    async with running(identity="ours", boiler=relay) as board:
        board.send([Command(1, "boiler", 0.0)])
        await ticking(board, 3, boiler=OFF)
    assert [word for _, word in relay.wire] == ["read", "off", "read"]


@pytest.mark.anyio
async def test_an_on_waits_for_what_comes_before_it_a_renewal_and_an_off_do_not():
    asked: list[float] = []

    async def slow_disk() -> None:
        asked.append(_now())
        await asyncio.sleep(0.8)

    relay = Relay(lease_s=60.0)
    async with running(before_on=slow_disk, boiler=relay) as board:
        await ticking(board, 1, boiler=OFF)
        sent_at = _now()
        board.send([Command(1, "boiler", 2000.0)])
        await ticking(board, 100, boiler=ON)
        assert relay.said("on")[0][0] == pytest.approx(sent_at + 0.8)
        assert len(relay.said("on")) > 3
        assert asked == [sent_at]
        off_at = _now()
        board.send([Command(2, "boiler", 0.0)])
        await ticking(board, 1, boiler=OFF)
        assert relay.said("off") == [(off_at, "off")]


@pytest.mark.anyio
async def test_an_off_overtakes_an_on_that_waits_for_the_disk():
    async def hung_disk() -> None:
        await asyncio.sleep(1e6)

    relay = Relay()
    async with running(before_on=hung_disk, boiler=relay) as board:
        await ticking(board, 1, boiler=OFF)
        board.send([Command(1, "boiler", 2000.0)])
        await asyncio.sleep(0.3)
        off_at = _now()
        board.send([Command(2, "boiler", 0.0)])
        await ticking(board, 2, boiler=OFF)
    assert relay.said("on", "off") == [(off_at, "off")]
    assert board.counts.superseded == {"boiler": 1}


@pytest.mark.anyio
async def test_an_off_waits_for_no_read_and_no_renewal_of_a_device_that_hangs():
    relay = Relay(lease_s=60.0, every_s=5.0)
    async with running(boiler=relay) as board:
        for number in range(1, 30, 2):  # whatever is under way just then
            relay.takes_s = 0.1
            board.send([Command(number, "boiler", 2000.0)])
            await ticking(board, 12, boiler=ON)
            relay.takes_s = 1e6
            await asyncio.sleep(number)
            board.renew(Site((_load("boiler"),)), State((Standing(phase=ON),)))
            await asyncio.sleep(0.5)
            relay.takes_s = 0.1
            off_at = _now()
            board.send([Command(number + 1, "boiler", 0.0)])
            reports = await ticking(board, 3, boiler=ON)
            assert relay.said("off")[-1][0] <= off_at + 1
            assert (number + 1, False) in {(report.command_id, report.on) for report in reports}
    assert relay.most_busy == 1


@pytest.mark.anyio
async def test_an_on_that_was_cut_short_and_arrives_late_is_taken_back(caplog):
    relay = Relay(lease_s=None, every_s=1000.0)
    async with running(boiler=relay) as board:
        await ticking(board, 1, boiler=OFF)
        relay.takes_s = 1e6
        board.send([Command(1, "boiler", 2000.0)])
        await ticking(board, 2, boiler=OFF)
        relay.takes_s = 0.1
        board.send([Command(2, "boiler", 0.0)])
        await ticking(board, 2, boiler=OFF)
        relay.on = True
        relay.leased_until = 1e9
        reports = await ticking(board, 8, boiler=OFF)
        assert not relay.runs()
        assert [report.on for report in reports] == [False]
        assert "an ON that was overtaken came after the OFF" in caplog.text
        await ticking(board, 60, boiler=OFF)
        relay.on = True  # somebody's hand
        await ticking(board, 1000, boiler=OFF)
        assert relay.runs()


@pytest.mark.anyio
async def test_on_the_way_out_a_device_that_tells_nothing_is_switched_off_all_the_same():
    class Dumb(Relay):
        async def read(self) -> Report:
            await asyncio.sleep(1e6)
            raise AssertionError

    relay = Dumb(on=True, leased_until=1e9)
    board = Switchboard(VirtualClock(), lambda: None)
    (report,) = await make_safe([(board.open("boiler", relay, "ours"), Command(0, "boiler", 0.0))])
    assert report.on is False
    assert not relay.runs()


@pytest.mark.anyio
async def test_a_lease_that_cannot_be_renewed_is_told_once_before_it_ends(caplog):
    relay = Relay(lease_s=60.0, every_s=1000.0)
    async with running(boiler=relay) as board:
        board.send([Command(1, "boiler", 2000.0)])
        await ticking(board, 5, boiler=ON)
        relay.error = Unreachable("no route")
        await ticking(board, 45, boiler=ON)
        assert relay.draws_w > 0
        assert (
            caplog.text.count("boiler: its lease cannot be renewed: no route; the load goes off by itself in 39 s") == 1
        )
        failed = board.counts.unrenewed["boiler"]
        assert failed >= 5
        assert 5 < (board.mailboxes["boiler"].lease_left_s() or 0) < 20
        relay.error = None
        await ticking(board, 60, boiler=ON)
        assert board.counts.unrenewed["boiler"] == failed
        relay.error = Unreachable("no route")
        await ticking(board, 60, boiler=ON)
    assert caplog.text.count("its lease cannot be renewed") == 2


@given(
    wishes=st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=8),
    takes_s=st.floats(0.01, 25.0),
    silent=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_wished_the_last_wish_is_done_one_request_at_a_time(wishes, takes_s, silent):
    relay = Relay(lease_s=None, takes_s=takes_s, error=Unreachable("no route") if silent else None)

    async def play() -> list[Report]:
        async with running(boiler=relay) as board:
            reports = []
            for number, (pause_s, on) in enumerate(wishes, start=1):
                reports += await ticking(board, pause_s, boiler=OFF)
                board.send([Command(number, "boiler", 2000.0 if on else 0.0)])
            reports += await ticking(board, 100, boiler=OFF)
            answered = {report.command_id for report in reports} - {None}
            assert len(answered) + board.counts.superseded["boiler"] == len(wishes)
            return reports

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        reports = runner.run(play())
    assert relay.most_busy == 1
    assert relay.wire[0][1] != "on"
    if wishes:
        assert reports[-1].load == "boiler"
        assert len(wishes) in {report.command_id for report in reports}
    if wishes and not silent:
        assert relay.on is wishes[-1][1]
    if silent:
        assert not relay.said("on")
