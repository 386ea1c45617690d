"""Asking the past: totals, minutes, decisions, and tables that leave the house as files."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import io
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loadctl.cli import main as loadctl
from loadctl.cli.history import history
from loadctl.errors import LoadctlError
from loadctl.service.history import History
from loadctl.service.memory import FILE, Inline, Memory
from tests.unit.memory_days import MORNING, SITE, ZONE, Clock, Day

TODAY = date(2025, 6, 18)


async def record(path: Path, clock: Clock, suns: list[tuple[int, float]]) -> Memory:
    """Live for so many seconds under so much sun each; the memory stays open, with all of it written."""
    day = Day(clock=clock)
    memory = await Memory.open(
        path,
        clock,
        SITE,
        boot_id="b",
        trusted=lambda: True,
        executor=Inline(),
        explain=lambda site, outcome, tick, index: (
            f"{site.loads[index].name}: “{outcome.verdicts[index]}”, says the sun"
        ),
    )
    for seconds, sun_w in suns:
        for _ in range(seconds):
            memory.note(*day.tick(sun_w))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    await memory.on_is_safe()
    return memory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of a morning and ten around midnight."""
    place = tmp_path_factory.mktemp("state")

    async def live() -> None:
        clock = Clock()
        memory = await record(place / FILE, clock, [(300, 0.0), (300, 2600.0)])
        await memory.close()
        clock.at += (MORNING.replace(hour=23, minute=55) - clock.wall()).total_seconds()
        memory = await record(place / FILE, clock, [(600, 0.0)])
        await memory.close()

    asyncio.run(live())
    return place


def test_a_history_of_an_older_loadctl_knows_of_no_money(folder, tmp_path):
    with History(folder / FILE) as history:
        assert [row[:2] for row in history.money(TODAY, TODAY, 10)] == [("2025-06-18", "paid"), ("2025-06-18", "used")]
    shutil.copy(folder / FILE, tmp_path / FILE)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DROP TABLE money")
        connection.execute("PRAGMA user_version = 2")
    with History(tmp_path / FILE) as history:
        assert list(history.money(TODAY, TODAY, 10)) == []
        assert history.totals(TODAY).house["import"].seconds > 0


def export(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(history, ["export", "--state-dir", str(folder), *arguments])


def table(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_totals_of_a_day_and_baselines_at_midnight(folder):
    with History(folder / FILE) as past:
        assert past.zone == ZONE
        today, tomorrow = past.totals(TODAY), past.totals(TODAY + timedelta(days=1))
        assert today.house["production"].wh == pytest.approx(2600.0 * 299.5 / 3600)
        assert today.house["production"].seconds == pytest.approx(599.0 + 298.0)
        assert today.loads["boiler"].starts == 1
        assert today.loads["boiler"].wh == pytest.approx(2000.0 * today.loads["boiler"].seconds / 3600)
        assert tomorrow.house["import"].wh == pytest.approx(300.0 * 301.0 / 3600)
        assert tomorrow.loads == {}
        assert past.baseline(TODAY).house == {}
        assert past.baseline(TODAY + timedelta(days=1)).house == today.house
        assert past.baseline(TODAY + timedelta(days=2)).house["import"].wh == pytest.approx(
            today.house["import"].wh + tomorrow.house["import"].wh
        )


def test_minutes_begin_in_the_span_and_gaps_are_missing(folder):
    begin = MORNING
    with History(folder / FILE) as past:
        minutes = list(past.minutes(begin + timedelta(minutes=1), begin + timedelta(minutes=7)))
        assert [minute.begin for minute in minutes] == [begin + timedelta(minutes=n) for n in range(1, 7)]
        assert (minutes[0].seconds, minutes[0].pv_w, minutes[0].loads) == (60.0, 0.0, {})
        watts, on_s = minutes[-1].loads["boiler"]
        assert [watts, on_s] == pytest.approx([2000.0, 60.0])
        assert len(list(past.minutes(begin, begin + timedelta(hours=12)))) == 11
        assert list(past.minutes(begin - timedelta(days=1), begin)) == []


def test_decisions_of_all_loads_and_of_one(folder):
    with History(folder / FILE) as past:
        span = (MORNING, MORNING + timedelta(hours=1))
        boiler = list(past.decisions(*span, "boiler"))
        assert [(found.row.phase, found.row.command_w) for found in boiler] == [
            ("off", None),
            ("starting", 2000.0),
            ("on", None),
            ("on", None),
        ]
        assert boiler[1].row.sentence == "boiler: “start”, says the sun"
        assert boiler[0].time.tzinfo == ZONE
        assert len(list(past.decisions(*span))) >= len(boiler)
        assert list(past.decisions(*span, "sauna")) == []


def test_minutes_leave_as_replay_reads_them(folder):
    rows = table(export(folder, "--from", "2025-06-18", "--to", "2025-06-18 11:00"))
    assert list(rows[0])[:5] == ["time", "pv_w", "load_w", "grid_w", "battery_w"]
    assert [row["time"] for row in rows[:2]] == ["2025-06-18T10:00:00+02:00", "2025-06-18T10:01:00+02:00"]
    assert rows[1] | {"time": ""} == {
        "time": "",
        "pv_w": "0.0",
        "load_w": "300.0",
        "grid_w": "300.0",
        "battery_w": "",
        "soc_pct": "",
        "surplus_w": "-300.0",
        "seconds": "60.0",
        "boiler.power_w": "0.0",
        "boiler.on_s": "0.0",
    }
    assert rows[8]["boiler.power_w"] == "2000.0"


def test_samples_leave_with_what_each_load_drew(folder):
    rows = table(export(folder, "--what", "samples", "--from", "2025-06-18T10:09:00", "--to", "2025-06-18T10:10:00"))
    assert len(rows) == 60
    assert rows[0]["time"] == "2025-06-18T10:09:00+02:00"
    assert (rows[0]["pv_w"], rows[0]["boiler.power_w"], rows[0]["load_w"]) == ("2600.0", "2000.0", "2300.0")


def test_a_day_is_included_as_a_whole(folder):
    days = {row["day"] for row in table(export(folder, "--what", "energy", "--to", "2025-06-18"))}
    assert days == {"2025-06-18"}
    days = {row["day"] for row in table(export(folder, "--what", "energy", "--from", "2025-06-19"))}
    assert days == {"2025-06-19"}
    assert len(table(export(folder, "--what", "energy"))) > len(days)


def test_json_is_an_array_also_of_nothing(folder):
    found = json.loads(export(folder, "--what", "decisions", "--format", "json").stdout)
    assert found[0]["sentence"].endswith("says the sun")
    assert found[0]["command_w"] in {None, 2000.0}
    assert json.loads(export(folder, "--to", "2001-01-01", "--format", "json").stdout) == []


def test_a_file_is_there_as_a_whole_or_not_at_all(folder, tmp_path):
    out = tmp_path / "out.csv"
    assert export(folder, "-o", str(out)).exit_code == 0
    assert out.read_text() == export(folder).stdout
    assert list(tmp_path.iterdir()) == [out]
    nowhere = export(folder, "-o", str(tmp_path / "no" / "folder.csv"))
    assert nowhere.exit_code == 1
    assert "No such file" in nowhere.output


def test_it_works_while_the_daemon_writes(tmp_path):
    async def live() -> None:
        memory = await record(tmp_path / FILE, Clock(), [(130, 900.0)])
        with closing(sqlite3.connect(tmp_path / FILE)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        rows = table(await asyncio.to_thread(export, tmp_path, "--what", "samples"))
        assert len(rows) == 130
        with History(tmp_path / FILE) as past:
            minutes = past.minutes(MORNING, MORNING + timedelta(hours=1))
            next(minutes)
            assert memory.up
            assert await memory.on_is_safe() is True
            assert len(list(minutes)) == 1
        await memory.close()

    asyncio.run(live())


def test_it_never_writes(folder):
    with History(folder / FILE) as past, pytest.raises(LoadctlError, match="readonly"):
        past._read("DELETE FROM samples")  # noqa: SLF001


def test_the_hour_that_comes_twice_is_told_apart(tmp_path):
    async def live() -> None:
        clock = Clock(wall=datetime(2025, 10, 26, 2, 58, 30, tzinfo=ZONE))
        memory = await record(tmp_path / FILE, clock, [(180, 0.0)])
        await memory.close()

    asyncio.run(live())
    times = [row["time"] for row in table(export(tmp_path))]
    assert times[1:3] == ["2025-10-26T02:59:00+02:00", "2025-10-26T02:00:00+01:00"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--from", "soon"], "write 2025-06-01"),
        (["--from", "2025-06-02", "--to", "2025-06-01"], "--from must be before --to"),
        (["--format", "parquet"], "-o FILE"),
        (["--what", "gossip"], "gossip"),
    ],
)
def test_what_cannot_be_meant_is_said(folder, arguments, word):
    result = export(folder, *arguments)
    assert result.exit_code == 2
    assert word in result.output


def test_today_and_yesterday_are_words(folder):
    assert table(export(folder, "--from", "yesterday", "--to", "today")) == []


def test_where_nothing_was_ever_written(tmp_path):
    with pytest.raises(LoadctlError, match="no history here"):
        History(tmp_path / FILE)
    (tmp_path / FILE).write_text("this is not a database, but long enough to look at" * 10)
    with pytest.raises(LoadctlError, match="cannot be read"):
        History(tmp_path / FILE)


def test_parquet(folder, tmp_path):
    out = tmp_path / "out.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        result = export(folder, "--format", "parquet", "-o", str(out))
        assert isinstance(result.exception, LoadctlError)
        assert "pip install 'loadctl[parquet]'" in str(result.exception)
        assert not out.exists()
        return
    assert export(folder, "--format", "parquet", "-o", str(out)).exit_code == 0
    parquet: Any = importlib.import_module("pyarrow.parquet")
    read = parquet.read_table(out).to_pylist()
    rows = table(export(folder))
    assert [row["time"].isoformat() for row in read] == [row["time"] for row in rows]
    assert [row["pv_w"] for row in read] == [float(row["pv_w"]) for row in rows]
    assert read[0]["battery_w"] is None


@pytest.mark.skipif("history" not in loadctl.list_commands(None), reason="not in the list of commands yet")  # type: ignore[arg-type]
def test_it_is_a_command_of_loadctl(tmp_path):
    result = CliRunner().invoke(loadctl, ["history", "export", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert result.output.startswith(f"loadctl: {tmp_path / FILE}: there is no history here")
