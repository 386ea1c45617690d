"""The memory and its file when the disk is well, and in every way in which it is not. Real files, real refusals."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import fields, replace
from datetime import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from loadctl.core.rules import Clock as TimeOfDay
from loadctl.core.rules import Level, Mode, Need
from loadctl.core.values import ON, Away, Boost, ModeWish, Standing, Wish
from loadctl.service.memory import FILE, LEARN_S, Inline, Memory, clock_synchronised, read_boot_id, state_dir
from loadctl.service.resume import MOMENTS
from loadctl.service.store import APPLICATION, SCHEMA, Keep, Store, read_saved
from tests.unit.memory_days import MORNING, SITE, ZONE, Clock, Day

pytestmark = pytest.mark.anyio


async def open_memory(path: Path, clock: Clock, **more) -> Memory:
    chosen: dict[str, Any] = {"boot_id": "boot-1", "trusted": lambda: True, "executor": Inline()} | more
    return await Memory.open(path, clock, SITE, **chosen)


async def live(memory: Memory, day: Day, seconds: int, sun_w: float = 0.0) -> None:
    """Tick on; what a flush answered is taken at the next tick."""
    for _ in range(seconds):
        memory.note(*day.tick(sun_w))
        await yield_to_answers()


async def yield_to_answers() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def up(memory: Memory) -> bool:
    return memory.up


def run(command: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_the_folder_is_as_told_by_systemd_by_xdg_or_in_the_home():
    env = {"HOME": "/home/jo", "XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/var/lib/loadctl:/var/lib/other"}
    assert state_dir(Path("/here"), env) == Path("/here")
    assert state_dir(None, env) == Path("/var/lib/loadctl")
    del env["STATE_DIRECTORY"]
    assert state_dir(None, env) == Path("/x/loadctl")
    del env["XDG_STATE_HOME"]
    assert state_dir(None, env) == Path("/home/jo/.local/state/loadctl")


def test_the_boot_has_a_name_or_none_at_all(tmp_path):
    (tmp_path / "boot_id").write_text("2f0e\n")
    assert read_boot_id(tmp_path / "boot_id") == "2f0e"
    assert read_boot_id(tmp_path / "nothing") == ""
    assert clock_synchronised() in {True, False}


async def test_what_is_written_is_what_comes_back(tmp_path):
    path, day = tmp_path / "new" / FILE, Day()
    memory = await open_memory(path, day.clock)
    assert (memory.up, memory.why, memory.saved) == (True, "", None)
    day.wishes = (Wish("pump", on=False, until=day.clock.at + 900.0), Wish("boiler", on=True))
    await live(memory, day, 100, 2400.0)
    await memory.close()

    again = await open_memory(path, day.clock)
    saved = again.saved
    assert saved is not None
    assert saved.moment.at == day.clock.at
    assert saved.moment.wall == day.clock.wall().timestamp()
    assert (saved.moment.day, saved.moment.boot_id, saved.moment.trusted) == (day.state.day, "boot-1", True)
    assert saved.state.next_id == day.state.next_id
    assert saved.wishes == day.wishes
    assert saved.identities == {"boiler": "relay-of-boiler", "pump": "relay-of-pump"}
    was, boiler = day.state.standings[0], saved.loads["boiler"].standing
    assert boiler.phase is ON
    assert boiler == replace(was, tally=boiler.tally, tallied_at=day.clock.at)
    on_s = day.clock.at - (was.switched_at or 0.0)
    assert boiler.tally.runtime_s == pytest.approx(on_s)
    assert rows(path, "SELECT zone FROM house") == [(ZONE.key,)]
    await again.close()


async def test_nobody_else_may_read_it(tmp_path):
    path, day = tmp_path / "state" / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 1)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    parts = sorted(part.name for part in path.parent.iterdir())
    assert parts == [FILE, f"{FILE}-shm", f"{FILE}-wal"]
    assert {stat.S_IMODE(part.stat().st_mode) for part in path.parent.iterdir()} == {0o600}
    await memory.close()


async def test_a_folder_that_was_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    memory = await open_memory(tmp_path / FILE, Clock())
    await memory.close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_a_damaged_file_is_set_aside_and_never_lost(tmp_path, caplog):
    path, day = tmp_path / FILE, Day()
    damaged = b"SQLite format 3\0" + b"\xa5" * 9000
    path.write_bytes(damaged)
    memory = await open_memory(path, day.clock)
    assert (memory.up, memory.saved) == (True, None)
    assert memory.set_aside is not None
    assert memory.set_aside.name == f"{FILE}.damaged-20250618T100000"
    assert memory.set_aside.read_bytes() == damaged
    assert "was damaged" in caplog.text
    await live(memory, day, 2)
    await memory.close()

    path.write_bytes(b"no database at all")  # and once more within the same second
    again = await open_memory(path, Clock())
    assert again.set_aside is not None
    assert again.set_aside.name.endswith("T100000-2")
    assert memory.set_aside.read_bytes() == damaged
    await again.close()


async def test_damage_that_shows_while_running_is_set_aside_and_the_present_kept(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 30)
    await memory.close()
    with path.open("r+b") as file:  # all behind the first page, so that only reading on finds it
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))
    again = await open_memory(path, day.clock)
    await live(again, day, 30)
    await again.close()
    assert up(again)
    assert again.set_aside is not None
    third = await open_memory(path, day.clock)
    assert third.saved is not None
    assert third.saved.moment.at == day.clock.at
    await third.close()


async def test_a_cut_off_file_is_set_aside_or_read(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 30)
    await memory.close()
    whole = path.read_bytes()
    for size in (0, 1, 50, 100, 4096, 5000, 8192, len(whole) - 1):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / FILE).write_bytes(whole[:size])
        again = await open_memory(folder / FILE, day.clock)
        await live(again, day, 12)
        assert up(again), (size, again.why)
        await again.close()


async def test_a_file_of_a_newer_loadctl_is_read_no_more_and_left_alone(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 2)
    await memory.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    again = await open_memory(path, day.clock)
    assert not up(again)
    assert "newer loadctl (schema 99" in again.why
    assert again.saved is None
    await live(again, day, 30)
    assert await again.on_is_safe() is False
    await again.close()
    assert path.read_bytes() == before
    assert again.set_aside is None


async def test_another_programs_database_is_left_alone(tmp_path):
    path, day = tmp_path / FILE, Day()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
        connection.commit()
    before = path.read_bytes()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 12)
    await memory.close()
    assert "another program's file" in memory.why
    assert path.read_bytes() == before


async def test_a_folder_in_the_place_of_the_file(tmp_path):
    path, day = tmp_path / FILE, Day()
    path.mkdir()
    memory = await open_memory(path, day.clock)
    assert not up(memory)
    assert str(path) in memory.why
    await live(memory, day, 12)
    path.rmdir()  # and when it is gone, all that happened meanwhile is written
    await live(memory, day, 12)
    assert up(memory)
    await memory.close()
    assert len(rows(path, "SELECT * FROM samples")) == 24


async def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "state").write_text("not a folder")
    memory = await open_memory(tmp_path / "state" / FILE, Clock())
    assert not up(memory)
    await memory.close()


async def test_a_second_program_that_holds_the_file(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await live(memory, day, 12)
        assert not up(memory)
        assert "another program holds it" in memory.why
        other.execute("ROLLBACK")
    await live(memory, day, 12)
    assert up(memory)
    await memory.close()


FULL = """
import asyncio, resource, sys
from pathlib import Path
from typing import Any
from loadctl.service.memory import Inline, Memory
from tests.unit.memory_days import SITE, Day

async def main():
    day = Day()
    memory = await Memory.open(Path(sys.argv[1]), day.clock, SITE, boot_id="b", trusted=lambda: True, executor=Inline())
    async def live(seconds):
        for _ in range(seconds):
            memory.note(*day.tick(900.0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    await live(30)
    assert memory.up, memory.why
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    await live(30)
    assert not memory.up
    print(memory.why)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await live(30)
    assert memory.up, memory.why
    await memory.close()

asyncio.run(main())
"""


def test_a_file_that_may_not_grow_and_then_may_again(tmp_path):
    path = tmp_path / FILE
    done = run([sys.executable, "-c", FULL, path])
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert len(rows(path, "SELECT * FROM samples")) == 90
    (seconds,) = rows(path, "SELECT seconds FROM energy WHERE kind = 'production'")
    assert seconds == (pytest.approx(89.0),)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount here")
    if run([mount, "-t", "tmpfs", "-o", "size=512k", "none", place]).returncode:
        pytest.skip("may not mount a tmpfs")
    yield place, mount
    assert run([umount, "--lazy", place]).returncode == 0


async def test_a_full_disk_and_then_room_again(small_disk):
    place, _ = small_disk
    path, day = place / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 12)
    with (place / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError) as full:  # noqa: PT012
        while True:
            ballast.write(b"\0" * 4096)
    assert full.value.errno == errno.ENOSPC
    await live(memory, day, 300)
    assert not up(memory)
    assert "disk is full" in memory.why
    assert await memory.on_is_safe() is False
    (place / "ballast").unlink()
    await live(memory, day, 12)
    assert up(memory)
    await memory.close()
    assert len(rows(path, "SELECT * FROM samples")) == 324


async def test_a_read_only_disk_still_tells_what_was(small_disk):
    place, mount = small_disk
    path, day = place / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 12)
    await memory.close()
    assert run([mount, "-o", "remount,ro", place]).returncode == 0
    again = await open_memory(path, day.clock)
    assert not up(again)
    assert "ead-only" in again.why
    assert again.saved is not None
    assert again.saved.moment.at == day.clock.at
    await live(again, day, 12)
    assert run([mount, "-o", "remount,rw", place]).returncode == 0
    await live(again, day, 12)
    assert up(again)
    await again.close()


async def test_a_row_that_makes_no_sense_costs_only_that_load(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 2)
    await memory.close()
    for nonsense in ("[]", "{", '{"phase": "sideways"}', '{"since": "soon"}', '{"since": NaN}'):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE standings SET standing = ? WHERE load = 'pump'", (nonsense,))
            connection.commit()
        again = await open_memory(path, day.clock)
        assert again.saved is not None
        assert list(again.saved.loads) == ["boiler"]
        await again.close()


async def test_what_a_later_version_adds_is_no_hindrance(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    await live(memory, day, 2)
    await memory.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE standings SET standing = json_set(standing, '$.mood', 'gay')")
        connection.execute("UPDATE standings SET standing = json_remove(standing, '$.missed')")
        connection.commit()
    again = await open_memory(path, day.clock)
    assert again.saved is not None
    assert set(again.saved.loads) == {"boiler", "pump"}
    await again.close()


async def test_old_history_goes_slowly_and_the_rest_stays(tmp_path):
    path, day = tmp_path / FILE, Day()
    hour = 1 / 24
    keep = Keep(samples_days=hour, minutes_days=hour, decisions_days=hour)
    memory = await open_memory(path, day.clock, keep=keep)
    await live(memory, day, 3600, 1400.0)
    day.clock.at += 7200.0  # were it the wall clock that was wrong, this must not cost the whole history
    await live(memory, day, 2, 1400.0)
    assert 3600 - 1200 <= rows(path, "SELECT count(*) FROM samples")[0][0] < 3601
    assert rows(path, "SELECT count(*) FROM minutes")[0][0] >= 60 - 20
    await live(memory, day, 2400, 1400.0)
    await memory.close()
    assert rows(path, "SELECT count(*) FROM samples") == [(2402,)]
    assert rows(path, "SELECT count(*) FROM minutes")[0][0] <= 42
    assert rows(path, "SELECT min(minute) FROM load_minutes") >= rows(path, "SELECT min(minute) FROM minutes")
    seconds = rows(path, "SELECT seconds FROM energy WHERE kind = 'production'")[0][0]
    assert seconds == pytest.approx(3600.0 + 2402.0 - 2)  # energy by the day stays


async def test_a_minute_with_a_restart_in_it_is_one_minute(tmp_path):
    path, day = tmp_path / FILE, Day()
    for sun_w in (1000.0, 0.0):
        memory = await open_memory(path, day.clock)
        await live(memory, day, 20, sun_w)
        await memory.close()
    assert rows(path, "SELECT seconds, pv_w FROM minutes") == [(38.0, pytest.approx(500.0))]
    assert rows(path, "SELECT seconds FROM energy WHERE kind = 'production'") == [(38.0,)]


def test_every_moment_of_a_standing_is_known_to_be_one():
    """Who adds a moment to Standing adds it to `resume`, too, or a restart would read it on another clock."""
    names = {field.name for field in fields(Standing)}
    assert {name for name in names if name.endswith(("_at", "since", "_until"))} == MOMENTS


def test_the_file_says_whose_it_is(tmp_path):
    store = Store(tmp_path / FILE, Keep())
    store.open(MORNING)
    store.close()
    assert rows(tmp_path / FILE, "PRAGMA application_id") == [(APPLICATION,)]
    assert rows(tmp_path / FILE, "PRAGMA user_version") == [(SCHEMA,)]


def _old_file(path: Path) -> None:
    """Write a file as the first loadctl did."""
    script = resources.files("loadctl.service").joinpath("schema", "1.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "INSERT INTO house VALUES (1, 900.0, ?, ?, 'boot-1', 1, 'Europe/Amsterdam', ?, ?)",
            (
                MORNING.timestamp() - 100,
                MORNING.toordinal(),
                json.dumps({"next_id": 7, "day": MORNING.toordinal(), "outage_since": None, "steady_since": None}),
                json.dumps([{"load": "boiler", "on": True, "until": 600.0}]),
            ),
        )
        connection.execute(
            "INSERT INTO standings VALUES ('boiler', 'AA01', 900.0, ?, ?, 'boot-1', 1, ?)",
            (
                MORNING.timestamp() - 100,
                MORNING.toordinal(),
                json.dumps({"phase": "off", "since": 50.0, "tally": {"starts": 3}, "address": "a", "skipped": 1}),
            ),
        )
        connection.execute("INSERT INTO energy VALUES ('2025-06-17', 'load', 'boiler', 6000.0, 10800.0, 3)")
        connection.commit()


async def test_a_file_of_an_older_loadctl_is_taken_along(tmp_path):
    path, day = tmp_path / FILE, Day()
    _old_file(path)
    memory = await open_memory(path, day.clock)
    assert memory.up
    assert memory.saved is not None
    row = memory.saved.loads["boiler"]
    assert (row.identity, row.standing.tally.starts, row.session) == ("AA01", 3, None)
    assert (memory.saved.state.next_id, memory.saved.learned) == (7, {})
    assert memory.saved.wishes == (Wish("boiler", on=True, until=1500.0),)
    assert memory.keep("outlook", lambda: {"sun": [1, 2]}) is None
    await live(memory, day, 30)
    await memory.close()
    assert rows(path, "PRAGMA user_version") == [(SCHEMA,)]
    assert rows(path, "SELECT wh FROM energy WHERE day = '2025-06-17'") == [(6000.0,)]
    assert rows(path, "SELECT day, kind FROM money") == [("2025-06-18", "paid"), ("2025-06-18", "used")]
    again = await open_memory(path, day.clock)
    assert again.keep("outlook", dict) == {"sun": [1, 2]}
    await again.close()


def test_an_old_file_can_be_read_where_it_cannot_be_written(tmp_path):
    path = tmp_path / FILE
    _old_file(path)
    before = path.read_bytes()
    saved = read_saved(path)
    assert saved is not None
    assert saved.identities == {"boiler": "AA01"}
    assert path.read_bytes() == before


async def test_what_was_learned_is_written_rarely_and_at_the_end(tmp_path):
    path, day, asked = tmp_path / FILE, Day(), []
    memory = await open_memory(path, day.clock)

    def dump() -> list[float]:
        asked.append(day.clock.at)
        return [day.clock.at]

    assert memory.keep("outlook", dump) is None
    await live(memory, day, 2000)
    assert [at - asked[0] for at in asked] == pytest.approx([0.0, LEARN_S, 2 * LEARN_S], abs=25)
    assert rows(path, "SELECT kept FROM learned") == [(json.dumps([asked[-1]]),)]
    await memory.close()
    assert rows(path, "SELECT kept FROM learned") == [(json.dumps([day.clock.at]),)]


async def test_whatever_people_asked_for_comes_back(tmp_path):
    path, day = tmp_path / FILE, Day()
    memory = await open_memory(path, day.clock)
    until = day.clock.at + 5000.0
    need = Need(TimeOfDay(time(17, 0)), energy_wh=3000.0, days=frozenset({1, 4}))
    by_the_sun = Need(TimeOfDay(sun="sunset", offset_s=-1800.0), level=Level("tank", 55.0, 230.0), every_days=3)
    day.wishes = (
        Wish("boiler", on=False, until=until),
        ModeWish("boiler", Mode.OFF),
        ModeWish("pump", Mode.SOLAR_MIN),
        Boost("pump", need, MORNING.toordinal(), until),
        Boost("boiler", by_the_sun, MORNING.toordinal() + 1, until),
        Away(until),
        Away(),
    )
    await live(memory, day, 30)
    await memory.close()
    again = await open_memory(path, day.clock)
    assert again.saved is not None
    assert again.saved.wishes == day.wishes
    await again.close()
