"""The door: who may come in, what is said to whom behaves oddly, and that there is one daemon to a directory."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadctl.errors import LoadctlError
from loadctl.service.door import LONGEST_LINE, NAME, claim, door, knock

pytestmark = pytest.mark.anyio


def echo(question: Mapping[str, Any]) -> Mapping[str, Any]:
    if question.get("do") == "nothing":
        raise LoadctlError("nothing is not done here")
    return {"said": question["do"]}


async def ask(folder: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(knock, folder, question)


async def test_a_question_an_answer_and_a_refusal(tmp_path):
    async with door(tmp_path, echo):
        assert await ask(tmp_path, {"do": "hello"}) == {"ok": True, "said": "hello"}
        assert await ask(tmp_path, {"do": "nothing"}) == {"ok": False, "said": "nothing is not done here"}
    assert not (tmp_path / NAME).exists()


async def test_only_its_owner_can_open_it(tmp_path):
    tmp_path.chmod(0o755)
    async with door(tmp_path, echo):
        mode = (tmp_path / NAME).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        (tmp_path / "later").touch()
    assert stat.S_IMODE((tmp_path / "later").stat().st_mode) != 0o600


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"off!\n", "that is not a line of JSON"),
        (b"[1, 2]\n", "that is not a JSON object"),
        (b"[" * 4000 + b"\n", "that is not a line of JSON"),
        (b"\xff\n", "that is not a line of JSON"),
    ],
)
async def test_odd_questions_are_answered(tmp_path, line, said):
    async with door(tmp_path, echo):
        reader, writer = await asyncio.open_unix_connection(tmp_path / NAME)
        writer.write(line)
        assert json.loads(await reader.readline()) == {"ok": False, "said": said}
        writer.close()
        await writer.wait_closed()


async def test_who_talks_too_much_or_leaves_at_once_harms_nobody(tmp_path):
    async with door(tmp_path, echo):
        reader, writer = await asyncio.open_unix_connection(tmp_path / NAME)
        writer.write(b"x" * LONGEST_LINE * 4)
        assert await reader.read() == b""
        writer.close()
        _, writer = await asyncio.open_unix_connection(tmp_path / NAME)
        writer.close()
        assert (await ask(tmp_path, {"do": "hello"}))["ok"]


async def test_a_socket_left_by_one_that_was_killed_is_no_obstacle(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    async with door(tmp_path, echo):
        assert (await ask(tmp_path, {"do": "hello"}))["ok"]


async def test_without_a_place_for_it_things_go_on_and_that_is_told(tmp_path, caplog):
    async with door(tmp_path / "missing", echo):
        pass
    assert "no commands are taken there" in caplog.text


def test_nobody_home(tmp_path):
    with pytest.raises(LoadctlError, match="no loadctl runs with"):
        knock(tmp_path, {"do": "hello"})


def test_one_daemon_to_a_directory(tmp_path):
    folder = tmp_path / "new" / "state"
    with claim(folder), pytest.raises(LoadctlError, match="another loadctl runs with"), claim(folder):
        pass
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with claim(folder):
        pass


def test_a_directory_that_cannot_be_stops_no_control(tmp_path, caplog):
    (tmp_path / "file").touch()
    went_on = False
    with claim(tmp_path / "file"):
        went_on = True
    assert went_on
    assert "loads are controlled all the same" in caplog.text
