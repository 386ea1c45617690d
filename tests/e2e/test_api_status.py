"""`loadctl status` and the other commands beside a running daemon: through its socket, and over the network."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import sys
from asyncio.subprocess import PIPE

import pytest

from loadctl.web.app import SOCKET, door
from loadctl.web.lock import TOKEN_FILE
from tests.e2e.street import loadctl, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio


async def empty(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_house_at_one_look_here_and_from_afar(tmp_path):
    async with open_street(tmp_path) as street, loadctl_run(street):
        await until(lambda: street.said("settling → run"))
        where = "--state-dir", str(street.state_dir)
        code, out, err = await loadctl("status", *where)
        assert (code, err) == (0, "")
        assert "sun 2 500 W" in out
        assert "boiler" in out
        code, out, _ = await loadctl("status", "--json", *where)
        told = json.loads(out)
        assert (code, told["loads"][0]["name"], told["loads"][0]["state"]) == (0, "boiler", "on")
        token = (street.state_dir / TOKEN_FILE).read_text(encoding="ascii").strip()
        assert stat.S_IMODE((street.state_dir / TOKEN_FILE).stat().st_mode) == 0o600
        assert not street.said(token)
        assert street.said(str(street.state_dir / TOKEN_FILE))
        afar = "--url", f"http://127.0.0.1:{street.port}"
        assert "boiler" in (await loadctl("explain", *afar))[1]
        code, _, err = await loadctl("override", "boiler", "off", *afar)
        assert (code, "log in, or show the token" in err) == (2, True)
        code, out, _ = await loadctl("override", "boiler", "off", "--for", "2h", *afar, "--token", token)
        assert (code, out.startswith("boiler: held off until ")) == (0, True)
        await until(lambda: not street.boiler.on)
        code, out, err = await loadctl("override", "boiler", "auto", "--json", *where)
        assert (code, err, "said" in json.loads(out)) == (0, "", True)
        code, out, err = await loadctl("mode", "nobody", "fast", "--json", *where)
        assert (code, err, "nobody" in json.loads(out)["detail"]) == (2, "", True)


async def test_watching_tells_changes_until_it_ends(tmp_path):
    async with open_street(tmp_path) as street, loadctl_run(street):
        await until(lambda: street.said("→ run"))
        code = "from loadctl.cli import main; main()"
        words = ("status", "--watch", "--json", "--state-dir", str(street.state_dir))
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *words, stdout=PIPE, limit=2**20)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            first = json.loads(await process.stdout.readline())
            second = json.loads(await process.stdout.readline())
        assert second["seq"] > first["seq"]
        process.terminate()
        await process.wait()
        await process.stdout.read()


async def test_nobody_there(tmp_path):
    code, _, err = await loadctl("status", "--state-dir", str(tmp_path))
    assert (code, err.startswith("loadctl: no loadctl runs with")) == (2, True)
    code, _, err = await loadctl("status", "--url", "http://127.0.0.1:1")
    assert (code, "no loadctl answers at" in err) == (2, True)
    code, _, err = await loadctl("status", "--url", "nonsense")
    assert (code, "--url nonsense" in err or "no loadctl answers at nonsense" in err) == (2, True)


async def test_the_socket_is_its_owners_alone(tmp_path):
    tmp_path.chmod(0o755)
    async with door(tmp_path, empty):
        mode = (tmp_path / SOCKET).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        (tmp_path / "later").touch()
    assert stat.S_IMODE((tmp_path / "later").stat().st_mode) != 0o600
    assert not (tmp_path / SOCKET).exists()


async def test_a_socket_left_by_one_that_was_killed_is_no_obstacle(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    async with door(tmp_path, empty):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 204 " in await reader.read()
        writer.close()


async def test_without_a_place_for_it_things_go_on_and_that_is_told(tmp_path, caplog):
    async with door(tmp_path / "missing", empty):
        pass
    assert "no commands are taken there" in caplog.text


async def test_a_token_that_cannot_be_kept_means_that_nothing_can_be_changed_from_afar(tmp_path):
    async with open_street(tmp_path) as street:
        (street.state_dir / TOKEN_FILE).mkdir(parents=True)
        street.state_dir.chmod(0o700)
        async with loadctl_run(street):
            await until(lambda: street.boiler.on)
            assert street.said("nothing can be changed over the network")
            code, _, err = await loadctl("away", "on", "--url", f"http://127.0.0.1:{street.port}")
            assert (code, "nothing can be changed over the network" in err) == (2, True)
            assert (await loadctl("away", "on", "--state-dir", str(street.state_dir)))[0] == 0
