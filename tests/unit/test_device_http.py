"""Whatever a device sends, its driver gets an answer or a DeviceError; and which names can be meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

import httpx
import pytest

from loadctl.actuators.address import base_url
from loadctl.actuators.http import Http
from loadctl.drivers import LoopClock, Shared
from loadctl.errors import DeviceError, Garbled

DIGEST = httpx.DigestAuth("admin", "secret")


def line(answer: Callable[[httpx.Request], httpx.Response], login: httpx.Auth | None = None) -> Http:
    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    return Http("192.168.1.40", Shared(LoopClock(ZoneInfo("UTC")), client), where="box", like="a box", login=login)


@pytest.mark.anyio
@pytest.mark.parametrize("there", [b"mailto:x", b"http://[", b"//", b"http://a:99999/", b"\xff", b"http://x\x00y/"])
async def test_a_redirection_to_nowhere_is_no_bug_of_ours(there: bytes) -> None:
    http = line(lambda _: httpx.Response(302, headers=[(b"location", there)]))
    try:
        assert (await http.ask("GET", "/")).redirects
    except DeviceError:
        pass
    finally:
        await http.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "asked",
    ["Digest foo", "Digest", 'Digest realm="a", nonce="b", qop="auth-int"', 'Digest realm="a", nonce="b", algorithm=X'],
)
async def test_a_login_that_nobody_knows_is_no_bug_of_ours(asked: str) -> None:
    http = line(lambda _: httpx.Response(401, headers={"www-authenticate": asked}), login=DIGEST)
    try:
        assert (await http.ask("GET", "/")).status == 401
    except DeviceError:
        pass
    finally:
        await http.close()


@pytest.mark.anyio
async def test_an_answer_without_end_is_cut_off() -> None:
    http = line(lambda _: httpx.Response(200, content=b" " * 600_000))
    with pytest.raises(Garbled, match="does not end"):
        await http.ask("GET", "/")
    await http.close()


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xfe\x00[", b"[" * 100_000, b"<html>"])
async def test_what_is_no_json_object_cannot_be_read(body: bytes) -> None:
    http = line(lambda _: httpx.Response(200, content=body))
    answer = await http.ask("GET", "/")
    with pytest.raises(Garbled, match="does not answer like a box"):
        http.read(answer)
    await http.close()


@pytest.mark.parametrize("host", ["my..pv", "a" * 64, ".local", "x" * 70 + ".local"])
def test_a_name_that_no_resolver_takes_is_said_so_at_once(host: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        base_url(host)


@pytest.mark.parametrize("host", ["boiler.local", "boiler.local.", "fe80::1", "192.168.1.40:8080", "wärme.local"])
def test_a_name_that_can_be_meant_is_taken(host: str) -> None:
    assert base_url(host).host
