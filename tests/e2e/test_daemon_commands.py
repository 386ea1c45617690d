"""loadctl's commands beside a running daemon, each a process of its own, and what outlives the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from loadctl.cli import main
from loadctl.service.rules import COPY, keep, recall
from tests.e2e.shelly_home import SECRET
from tests.e2e.street import loadctl, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def street(tmp_path):
    async with open_street(tmp_path) as street:
        yield street


async def test_a_person_moves_the_relay_and_gives_it_back(street):
    street.sun_w = 0.0
    where = "--state-dir", str(street.state_dir)
    async with loadctl_run(street) as process:
        await until(lambda: street.said("blind → rest"))
        code, out, err = await loadctl("override", "boiler", "on", "--for", "2h", *where)
        assert (code, err) == (0, "")
        assert out.startswith("boiler: held on until ")
        await until(lambda: street.boiler.on)
        street.sun_w = 5000.0
        code, out, _ = await loadctl("override", "boiler", "off", *where)
        assert (code, out.startswith("boiler: held off until ")) == (0, True)
        await until(lambda: not street.boiler.on)
        assert (await loadctl("override", "boiler", "auto", *where))[:2] == (0, "boiler: back to its rules\n")
        await until(lambda: street.boiler.on)
        assert await loadctl("override", "bioler", "on", *where) == (
            2,
            "",
            "no load is named bioler: did you mean boiler?\n",
        )
        code, _, err = await loadctl("adopt", "boiler", *where)
        assert (code, "there is nothing to adopt" in err) == (2, True)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    code, _, err = await loadctl("override", "boiler", "on", *where)
    assert (code, err.startswith("loadctl: no loadctl runs with")) == (2, True)
    assert not street.boiler.on


async def test_one_daemon_to_a_state_directory(street):
    async with loadctl_run(street):
        await until(lambda: street.boiler.on)
        where = "--state-dir", str(street.state_dir)
        code, out, err = await loadctl("run", str(street.file), "--port", "0", *where)
        assert (code, out) == (2, "")
        assert (
            err
            == f"loadctl: another loadctl runs with {street.state_dir}: stop it, or give this one its own --state-dir\n"
        )
        assert street.boiler.on
        assert (await loadctl("override", "boiler", "off", *where))[0] == 0


async def test_after_kill_9_the_next_run_goes_on(street):
    good = street.file.read_text(encoding="utf-8")
    street.file.write_text(
        good.replace("min_on: 0 s", "min_on: 10 min").replace("hold: 2 s", "hold: 30 s"), encoding="utf-8"
    )
    async with loadctl_run(street) as process:
        await until(lambda: street.boiler.on and street.said("settling → run"))
        process.kill()
        await process.wait()
    street.sun_w = 0.0
    street.lines.clear()
    async with loadctl_run(street) as process:
        await until(lambda: street.said("goes on from the last run: boiler on"))
        await until(lambda: street.said("→ wait_off") or street.said("→ held_on"))
        assert [switching.on for switching in street.boiler.switchings] == [True]
        await street.shows('loadctl_appliance_starts_total{appliance="boiler"} 1.0')
        await street.shows("loadctl_memory_up 1.0")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert not street.boiler.on
    code, out, _ = await loadctl("history", "export", "--what", "decisions", "--state-dir", str(street.state_dir))
    assert code == 0
    assert "boiler" in out


async def test_what_is_kept_is_its_owners_alone(street):
    async with loadctl_run(street):
        await until(lambda: street.boiler.on)
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(street.state_dir)}
    assert {"memory.sqlite", "loadctl.sock"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(street.state_dir.stat().st_mode) == 0o700


async def test_a_state_directory_that_cannot_be_stops_no_control(street):
    street.state_dir.mkdir(mode=0o700)
    (street.state_dir / "memory.sqlite").mkdir()
    (street.state_dir / "loadctl.sock").mkdir()
    async with loadctl_run(street):
        await until(lambda: street.boiler.on)
    assert street.said("nothing is written down, control goes on")
    assert street.said("no commands are taken there")


async def test_a_dry_run_writes_nothing_and_needs_no_directory_of_its_own(street):
    async with loadctl_run(street, "--dry-run"):
        await until(lambda: street.said("→ run"))
    assert not street.state_dir.exists()


async def test_safe_without_a_daemon_leaves_a_stranger_alone(street):
    where = "--state-dir", str(street.state_dir)
    async with loadctl_run(street):
        await until(lambda: street.boiler.on and street.said("settling → run"))
    assert street.boiler.on
    mac, street.boiler.mac = street.boiler.mac, "A8032ABBBBBB"
    code, _, err = await loadctl("safe", str(street.file), *where)
    assert code == 2
    assert "boiler: not made safe: another device answers" in err
    assert street.boiler.on
    street.boiler.mac = mac
    assert await loadctl("safe", str(street.file), *where) == (0, "", "")
    assert not street.boiler.on


async def test_safe_goes_by_the_rules_that_ran_last_when_the_file_is_broken(street, tmp_path):
    async def make_safe(file: Path, **secrets: str) -> tuple[int, str]:
        arguments = [str(file), "--state-dir", str(street.state_dir)]
        result = await asyncio.to_thread(CliRunner().invoke, main, ["safe", *arguments], env=secrets)
        return result.exit_code, result.stderr

    good = street.file.read_text(encoding="utf-8").replace("lease: 15 s", 'lease: 15 s, password: "${BOILER}"')
    street.state_dir.mkdir()
    keep(street.state_dir, street.file, good)
    street.boiler.password = SECRET
    street.boiler.relays[0].press(on=True)
    street.file.write_text(good.replace("power: 2 kW", "power: 2"), encoding="utf-8")
    copy = street.state_dir / COPY
    assert SECRET not in copy.read_text(encoding="utf-8")
    assert list(street.state_dir.iterdir()) == [copy]

    assert recall(street.state_dir, street.file) is not None, "what needs no secret can be made safe without"
    code, err = await make_safe(street.file, BOILER=SECRET)
    assert code == 0
    assert "home.yaml:8:5: loads.boiler.power: `2` has no unit" in err
    assert f"cannot be used: loads go by the rules that ran last ({copy})" in err
    assert SECRET not in err
    assert not street.boiler.on

    street.file.rename(tmp_path / "other.yaml")  # of another file nothing is known
    assert (await make_safe(tmp_path / "other.yaml", BOILER=SECRET))[0] == 1
    assert (await make_safe(street.file, BOILER=SECRET))[0] == 0
    copy.write_text("nonsense", encoding="utf-8")
    assert (await make_safe(street.file, BOILER=SECRET))[0] == 1


async def test_safe_reaches_a_load_that_was_taken_out_of_the_file_before_loadctl_read_it_again(street):
    text = street.file.read_text(encoding="utf-8")
    street.state_dir.mkdir()
    keep(street.state_dir, street.file, text)
    street.boiler.relays[0].press(on=True)
    pump = "loads:\n  pump: {power: 1 kW, actuator: {driver: gpio, pin: 17, factory: mock, failsafe: none}}\n"
    street.file.write_text(text[: text.index("loads:")] + pump, encoding="utf-8")
    assert await loadctl("safe", str(street.file), "--state-dir", str(street.state_dir)) == (0, "", "")
    assert not street.boiler.on


def test_rules_that_cannot_be_copied_are_told(tmp_path, caplog):
    (tmp_path / COPY).mkdir()
    keep(tmp_path, tmp_path / "home.yaml", "version: 1")
    assert "no copy of the rules is kept in " in caplog.text
    assert list(tmp_path.iterdir()) == [tmp_path / COPY]


async def test_the_network_side_is_for_this_machine_alone_unless_told_otherwise(street):
    async with loadctl_run(street):
        await until(lambda: street.said(f"page: http://127.0.0.1:{street.port}"))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{street.port}/healthz")).status_code == 200
            with pytest.raises(httpx.ConnectError):  # what listens on all addresses would answer here, too
                await client.get(f"http://127.0.0.2:{street.port}/healthz")
