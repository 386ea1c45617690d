"""`loadctl explain --at`: what was at a moment of the past, and clear words where nobody knows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadctl.cli import main as loadctl
from loadctl.service.history import History
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.past import look_back
from loadctl.telling.explain import explain
from tests.unit.memory_days import MORNING, SITE, Clock, Day


async def live(path: Path, clock: Clock, *turns: tuple[int, float | None]) -> None:
    """Live for so many seconds under so much sun each, or without a meter (None), and stop."""
    day = Day(clock=clock)
    memory = await Memory.open(
        path,
        clock,
        SITE,
        boot_id="b",
        trusted=lambda: True,
        executor=Inline(),
        explain=lambda site, outcome, tick, index: explain(site, outcome, tick, index).text,
    )
    for seconds, sun_w in turns:
        for _ in range(seconds):
            memory.note(*(day.blind() if sun_w is None else day.tick(sun_w)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    await memory.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 10:00 five minutes without sun, ten with, three without a meter; a gap; from 11:00 on five without sun."""
    place = tmp_path_factory.mktemp("state")
    clock = Clock()
    asyncio.run(live(place / FILE, clock, (300, 0.0), (600, 2600.0), (180, None), (180, 0.0)))
    clock.at += (MORNING.replace(hour=11) - clock.wall()).total_seconds()
    asyncio.run(live(place / FILE, clock, (300, 0.0)))
    return place


def ask(folder: Path, at: str, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(loadctl, ["explain", "--at", at, "--state-dir", str(folder), *arguments])
    return result.exit_code, result.output


def test_what_it_did_since_when_and_why(folder):
    code, said = ask(folder, "2025-06-18 10:08")
    assert code == 0
    assert said == (
        "Wed 18 Jun 2025 10:08: sun 2 600 W, house 2 300 W, grid -300 W, surplus 2 300 W (means of the minute)\n"
        "boiler: on since 10:05, 2 000 W\n"
        "  10:05  starts: 2 300 W free for 5 s\n"
        "  10:05  runs: 2 300 W for it\n"
        "pump: off since 10:00\n"
        "  10:00  rests: 0 W free, needs 1 000 W for 5 s\n"
    )


def test_one_load_for_programs(folder):
    code, said = ask(folder, "2025-06-18T10:08", "boiler", "--json")
    found = json.loads(said)
    assert (code, found["surplus_w"], found["gap"]) == (0, pytest.approx(2300.0), None)
    assert [load["name"] for load in found["loads"]] == ["boiler"]
    load = found["loads"][0]
    assert (load["state"], load["because"], load["draws_w"]) == (
        "on",
        "starts: 2 300 W free for 5 s",
        pytest.approx(2000.0),
    )
    assert load["since"] == "2025-06-18T10:05:06+02:00"


@pytest.mark.parametrize(
    ("at", "word"),
    [
        ("2025-06-18 09:00", "nothing is written down before Wed 18 Jun 2025 10:00"),
        ("2025-06-18 10:17", "there was no reading to trust since Wed 10:15"),
        ("2025-06-18 10:40", "nothing is written down from Wed 18 Jun 10:22 until Wed 11:00: loadctl did not run"),
        ("2025-06-18 12:00", "nothing is written down from Wed 18 Jun 11:06: loadctl did not run"),
    ],
)
def test_gaps_are_said_to_be_gaps(folder, at, word):
    code, said = ask(folder, at)
    assert code == 0
    assert word in said


def test_what_came_last_before_a_gap_is_called_so(folder):
    assert "pump: last known off since 10:00" in ask(folder, "2025-06-18 10:17")[1]


@pytest.mark.parametrize(
    ("at", "word"),
    [
        ("soon", "write 14:00, 'yesterday 14:00' or '2025-06-01 14:30'"),
        ("2999-01-01 10:00", "that is yet to come"),
        ("25:00", "write 14:00"),
    ],
)
def test_a_time_that_cannot_be_meant(folder, at, word):
    code, said = ask(folder, at)
    assert code == 2
    assert word in said


def test_a_load_that_there_is_not(folder):
    code, said = ask(folder, "2025-06-18 10:08", "bioler")
    assert (code, said) == (2, "loadctl: no load is named bioler: did you mean boiler?\n")


def test_yesterday_and_today_are_days(folder):
    assert "nothing is written down from Wed 18 Jun 11:06: loadctl did not run" in ask(folder, "yesterday 14:00")[1]


def test_what_is_not_yet_on_the_disk(folder):
    at = MORNING + timedelta(hours=1, minutes=6)
    with History(folder / FILE) as history:
        assert "not written down yet" in str(look_back(history, at, at + timedelta(seconds=30)).gap)


def test_where_nothing_was_ever_written(tmp_path):
    code, said = ask(tmp_path, "12:00")
    assert (code, "there is no history here" in said) == (2, True)


def test_a_stop_is_known_as_one(folder, tmp_path):
    with closing(sqlite3.connect(folder / FILE)) as one, closing(sqlite3.connect(tmp_path / FILE)) as other:
        one.backup(other)
        with other:
            other.execute(
                "INSERT INTO decisions (wall_ms, load, verdict, phase, sentence)"
                " VALUES (?, 'pump', 'shutdown', 'off', '')",
                ((MORNING + timedelta(hours=1, minutes=5, seconds=10)).timestamp() * 1000,),
            )
    assert "loadctl was stopped on Wed 18 Jun at 11:0" in ask(tmp_path, "2025-06-18 12:00")[1]
