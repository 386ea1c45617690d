"""The line to a device with several loads: one request at a time, and who is in a hurry waits for one only."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import pytest

from loadctl.drivers import Line, LoopClock, Shared
from tests.virtual import VIRTUAL

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return VIRTUAL


async def ask(line: Line, name: str, done: list[str], *, hurry: bool = False) -> None:
    async with line.turn(hurry=hurry):
        done.append(f"{name} began")
        await asyncio.sleep(1)
        done.append(f"{name} ended")


async def test_one_at_a_time_and_the_hurried_after_the_one_in_flight():
    line = Line()
    done: list[str] = []
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(ask(line, name, done))
        await asyncio.sleep(0.5)
        group.create_task(ask(line, "off", done, hurry=True))
    names = ["a", "off", "b", "c"]
    assert done == [f"{name} {word}" for name in names for word in ("began", "ended")]


async def test_who_gives_up_holds_nobody_up():
    line = Line()
    done: list[str] = []
    first, second = (asyncio.create_task(ask(line, name, done)) for name in "ab")
    await asyncio.sleep(0.5)
    second.cancel()
    first.cancel()
    await asyncio.wait([first, second])
    await ask(line, "c", done)
    assert done == ["a began", "c began", "c ended"]


async def test_one_line_for_each_address():
    shared = Shared(LoopClock(ZoneInfo("UTC")))
    assert shared.line("http://one") is shared.line("http://one")
    assert shared.line("http://one") is not shared.line("http://two")
