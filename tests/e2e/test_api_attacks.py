"""What an attacker would try at the side door, over real sockets, and what comes of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from argon2 import PasswordHasher

from loadctl.config import Web
from loadctl.drivers import LoopClock, Shared
from loadctl.service.daemon import Daemon
from loadctl.service.metrics import Metrics
from loadctl.web import gate, lock, server
from loadctl.web.api.live import MOST_FROM_ONE, MOST_STREAMS
from loadctl.web.app import application, serve
from tests.e2e.until import until
from tests.home import HomeMeter, Relay, house, rule

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
PASSWORD = "a password"
ON = {"state": "on"}
OVERRIDE = "/api/v1/loads/boiler/override"


@dataclass
class Door:
    """A daemon that controls, and a client at its page."""

    daemon: Daemon
    relay: Relay
    client: httpx.AsyncClient
    port: int

    async def raw(self, request: bytes, limit_s: float = 30.0) -> bytes:
        """Send bytes as they are and return what comes until the other end hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(limit_s):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def opened(web: Web | None = None) -> AsyncIterator[Door]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    relay = Relay()
    home = replace(house(HomeMeter([relay]), (rule("boiler"), relay)), web=web or Web(token=TOKEN))
    daemon = Daemon(home, Shared(LoopClock(ZoneInfo("UTC"))))
    app = application(daemon, Metrics(daemon))
    tasks = [asyncio.create_task(serve(app, "127.0.0.1", port)), asyncio.create_task(daemon.run())]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20))
        try:
            await until(lambda: daemon.last is not None and daemon.last[1].surplus_w is not None)
            async with asyncio.timeout(15):
                while not await answers(client):  # noqa: ASYNC110 - nobody tells when a port is open
                    await asyncio.sleep(0.02)
            yield Door(daemon, relay, client, port)
        finally:
            daemon.stop("test")
            await tasks[1]
            tasks[0].cancel()
            await asyncio.wait(tasks)


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.ConnectError:
        return False


def refused(answer: httpx.Response, status: int) -> str:
    """Return the detail of a refusal, which is a problem and nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return str(answer.json()["detail"])


async def test_without_a_token_nothing_is_changed_and_no_secret_told():
    async with opened() as door:
        for path, body in (
            ("loads/boiler/override", ON),
            ("loads/boiler/mode", {"mode": "fast"}),
            ("loads/boiler/boost", {"what": "1 h"}),
            ("loads/boiler/adopt", {}),
            ("away", {"until": "on"}),
            ("rules/check", {"text": ""}),
            ("rules/replay", {"text": "", "day": "2025-06-21"}),
            ("logout", {}),
        ):
            assert "log in" in refused(await door.client.post(f"/api/v1/{path}", json=body), 401)
        refused(await door.client.put("/api/v1/rules", json={"text": "", "revision": ""}), 401)
        refused(await door.client.get("/api/v1/rules"), 401)
        assert (await door.client.get("/api/v1/state")).status_code == 200
        assert door.daemon.wishes == ()
        assert (await door.client.post(OVERRIDE, json=ON, headers=BEARER)).status_code == 200
        await until(door.relay.runs)


@pytest.mark.parametrize(
    "shown",
    [f"Bearer {TOKEN}x", "Bearer", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", f"bearer\t{TOKEN}", "Bearer \xff"],
)
async def test_a_wrong_token(shown):
    async with opened() as door:
        refused(await door.client.post(OVERRIDE, json=ON, headers={"authorization": shown.encode("latin-1")}), 401)
        assert door.daemon.wishes == ()


async def test_a_private_page_tells_strangers_nothing():
    async with opened(Web(token=TOKEN, private=True)) as door:
        for path in ("state", "loads", "loads/boiler", "events", "history", "decisions", "totals"):
            refused(await door.client.get(f"/api/v1/{path}"), 401)
        refused(await door.client.get("/metrics"), 401)
        assert (await door.client.get("/metrics", headers=BEARER)).status_code == 200
        assert (await door.client.get("/api/v1/state", headers=BEARER)).status_code == 200
        assert (await door.client.get("/api/v1/session")).json()["may_change"] is False


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "[", "", "loadctl.evil.local.example."]
)
async def test_a_name_that_was_pointed_at_us(host):
    async with opened() as door:
        for path in ("/", "/api/v1/state", "/metrics"):
            refused(await door.client.get(path, headers={"host": host, **BEARER}), 421)
        refused(await door.client.post(OVERRIDE, json=ON, headers={"host": host, **BEARER}), 421)


@pytest.mark.parametrize(
    "host", ["localhost:8480", "127.0.0.1", "[::1]:8480", "192.168.1.7:8480", "pi.local", "loadctl"]
)
async def test_names_of_ours_are_taken(host):
    async with opened() as door:
        assert (await door.client.get("/api/v1/state", headers={"host": host})).status_code == 200


async def test_a_name_of_the_owners():
    async with opened(Web(token=TOKEN, hosts=("solar.example",))) as door:
        theirs = {"host": "solar.example", "origin": "https://solar.example", **BEARER}
        assert (await door.client.post(OVERRIDE, json=ON, headers=theirs)).status_code == 200
        behind = {"host": f"127.0.0.1:{door.port}", "origin": "https://solar.example", **BEARER}
        assert (await door.client.post(OVERRIDE, json=ON, headers=behind)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_may_ask_for_nothing(headers):
    async with opened() as door:
        said = refused(await door.client.post(OVERRIDE, json=ON, headers=headers | BEARER), 403)
        assert said == "this request comes from another site"
        refused(await door.client.post("/api/v1/login", json={"token": TOKEN}, headers=headers), 403)
        assert door.daemon.wishes == ()


async def log_in(door: Door, **what: str) -> dict[str, Any]:
    answer = await door.client.post("/api/v1/login", json=what)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_cookie_alone_is_not_enough():
    async with opened() as door:
        told = await log_in(door, token=TOKEN)
        assert door.client.cookies.get(lock.COOKIE)
        assert (await door.client.get("/api/v1/rules")).status_code != 401  # to look, it is
        for csrf in (b"", b"guess", b"\xff"):
            refused(await door.client.post(OVERRIDE, json=ON, headers={b"x-csrf-token": csrf}), 403)
        refused(await door.client.post(OVERRIDE, json=ON), 403)
        form = {"content-type": "application/x-www-form-urlencoded", "x-csrf-token": told["csrf"]}
        refused(await door.client.post(OVERRIDE, content=b'{"state":"on"}', headers=form), 415)
        assert door.daemon.wishes == ()
        good = {"x-csrf-token": told["csrf"]}
        assert (await door.client.post(OVERRIDE, json=ON, headers=good)).status_code == 200
        assert (await door.client.post("/api/v1/logout", headers=good)).status_code == 200
        refused(await door.client.post(OVERRIDE, json=ON, headers=good), 401)


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites():
    async with opened(Web(token=TOKEN, prefix="/loadctl")) as door:
        answer = await door.client.post("/loadctl/api/v1/login", json={"token": TOKEN})
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/loadctl"} <= {part.strip() for part in cookie.split(";")}
        https = await door.client.post("/api/v1/login", json={"token": TOKEN}, headers={"x-forwarded-proto": "https"})
        assert "Secure" in https.headers["set-cookie"]


async def test_a_cookie_made_up():
    async with opened() as door:
        for value in ("x", "", "a" * 3000, '"; drop'):
            refused(await door.client.post(OVERRIDE, json=ON, headers={"cookie": f"{lock.COOKIE}={value}"}), 401)


async def test_guessing_passwords_is_slow_and_costs_little():
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with opened(Web(password=hashed)) as door:
        assert (await door.client.get("/api/v1/session")).json()["login"] == "password"
        guesses = [door.client.post("/api/v1/login", json={"password": f"guess {n}"}) for n in range(20)]
        found = [answer.status_code for answer in await asyncio.gather(*guesses)]
        assert set(found) == {401, 429}
        assert found.count(401) <= lock.MOST_FROM_ONE
        late = await door.client.post("/api/v1/login", json={"password": PASSWORD})
        assert "wait a minute" in refused(late, 429)
        assert late.headers["retry-after"] == "60"


async def test_a_password_opens():
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with opened(Web(password=hashed)) as door:
        refused(await door.client.post("/api/v1/login", json={"password": ""}), 401)
        refused(await door.client.post("/api/v1/login", json={"password": PASSWORD, "token": "x"}), 422)
        told = await log_in(door, password=PASSWORD)
        good = {"x-csrf-token": told["csrf"]}
        assert (await door.client.post(OVERRIDE, json=ON, headers=good)).status_code == 200


async def test_guessing_tokens_is_slow_too():
    async with opened() as door:
        found = [
            (await door.client.post(OVERRIDE, json=ON, headers={"authorization": f"Bearer guess{n}"})).status_code
            for n in range(8)
        ]
        assert found == [401] * lock.MOST_FROM_ONE + [429] * (8 - lock.MOST_FROM_ONE)
        assert door.daemon.wishes == ()


async def test_giant_bodies():
    async with opened() as door:
        long = b'{"state": "on", "x": "' + b"x" * gate.LONGEST_BODY + b'"}'
        kind = {"content-type": "application/json", **BEARER}
        refused(await door.client.post(OVERRIDE, content=long, headers=kind), 413)

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000

        with suppress(httpx.TransportError):  # it may be cut off while it still sends
            refused(await door.client.post(OVERRIDE, content=endless(), headers=kind), 413)
        rules = b'{"text": "' + b"x" * gate.LONGEST_RULES + b'"}'
        refused(await door.client.post("/api/v1/rules/check", content=rules, headers=kind), 413)
        said = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n"
        assert b" 413 " in (await door.raw(said)).split(b"\r\n")[0]
        deep = b"[" * 4000
        refused(await door.client.post(OVERRIDE, content=deep, headers=kind), 400)
        assert await answers(door.client)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/....//app.py",
        "/static/index.html%00.js",
        "/static/\\..\\app.py",
        "/../../etc/passwd",
        "/api/v1/loads/..%2f..%2fmetrics",
    ],
)
async def test_paths_that_lead_elsewhere(path):
    async with opened() as door:
        answer = await door.raw(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in (b"404", b"400"), answer[:200]
        assert b"root:" not in answer
        assert b"import" not in answer


async def test_what_is_told_is_data_and_never_a_page():
    nasty = "<script>alert(1)</script>"
    async with opened() as door:
        for answer in (
            await door.client.get(f"/api/v1/loads/{nasty}"),
            await door.client.post(f"/api/v1/loads/{nasty}/override", json=ON, headers=BEARER),
            await door.client.get(f"/api/v1/state?{nasty}=1"),
            await door.client.post("/api/v1/away", json={"until": nasty}, headers=BEARER),
            await door.client.get("/api/v1/state"),
            await door.client.get("/nowhere"),
        ):
            assert answer.headers["content-type"].startswith("application/"), answer.request.url
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy


async def test_slowloris_keeps_nobody_out():
    async with opened() as door:
        slow = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(40)]
        for number, (_, writer) in enumerate(slow):
            head = b"" if number % 3 == 0 else b"GET / HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\n"
            body = b"POST /api/v1/away HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
            writer.write(body if number % 3 == 2 else head)
        assert await answers(door.client)

        async def hung_up(reader: asyncio.StreamReader) -> None:
            while await reader.read(1000):
                pass

        async with asyncio.timeout(server.PATIENCE_S + 30):
            await asyncio.gather(*(hung_up(reader) for reader, _ in slow), return_exceptions=True)
        for _, writer in slow:
            writer.close()
        assert await answers(door.client)


async def test_a_flood_of_event_streams_delays_nobody():
    async with opened() as door:
        limits = httpx.Limits(max_connections=None)
        base = f"http://127.0.0.1:{door.port}/api/v1/events"
        async with httpx.AsyncClient(limits=limits, timeout=30) as flood, AsyncExitStack() as stack:
            told = [await stack.enter_async_context(flood.stream("GET", base)) for _ in range(MOST_STREAMS + 20)]
            codes = [answer.status_code for answer in told]
            assert codes.count(200) == MOST_STREAMS
            assert codes.count(503) == 20
            ticked = door.daemon.ticked_at
            await until(lambda: door.daemon.ticked_at != ticked)
            assert await answers(door.client)
            assert (await door.client.post(OVERRIDE, json=ON, headers=BEARER)).status_code == 200
            await until(door.relay.runs)


async def test_one_that_does_not_listen_gets_no_queue():
    async with opened() as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head = await reader.readuntil(b"data: ")
        assert b" 200 " in head
        first = json.loads(await reader.readline())
        await until(lambda: door.daemon.ticked_at is not None)
        await reader.readuntil(b"data: ")
        second = json.loads(await reader.readline())
        assert second["seq"] > first["seq"]
        writer.close()


async def test_who_comes_back_is_told_nothing_twice():
    async with opened() as door:
        async with door.client.stream("GET", "/api/v1/events") as answer:
            lines = answer.aiter_lines()
            last = [line async for line in _until(lines, "data: ")]
        known = next(line for line in last if line.startswith("id: ")).removeprefix("id: ")
        async with door.client.stream("GET", "/api/v1/events", headers={"last-event-id": known}) as answer:
            again = [line async for line in _until(answer.aiter_lines(), "data: ")]
        ids = [line for line in again if line.startswith("id: ")]
        assert ids != [f"id: {known}"]


async def _until(lines: AsyncIterator[str], start: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith(start):
            return


async def test_bytes_that_are_no_http():
    async with opened() as door:
        for raw in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, b"GET\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"):
            assert b" 200 " not in await door.raw(raw)
        upgrade = b"host: localhost\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n"
        assert b" 101 " not in await door.raw(b"GET /healthz HTTP/1.1\r\n" + upgrade)
        assert await answers(door.client)


async def test_behind_a_proxy_with_a_prefix_whether_it_strips_it_or_not():
    async with opened(Web(token=TOKEN, prefix="/loadctl")) as door:
        for path in ("/loadctl/", "/", "/loadctl/sw.js", "/loadctl/manifest.webmanifest", "/loadctl/api/v1/state"):
            assert (await door.client.get(path)).status_code == 200, path
        moved = await door.client.get("/loadctl")
        assert (moved.status_code, moved.headers["location"]) == (307, "/loadctl/")
        refused(await door.client.get("/loadctlx/"), 404)
        refused(await door.client.get("/loadctl/api/v1/state/"), 404)


async def test_the_page_is_packed_and_not_sent_twice():
    async with opened() as door:
        page = await door.client.get("/")
        assert page.headers["content-encoding"] == "gzip"
        assert "<html" in page.text
        again = await door.client.get("/", headers={"if-none-match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        plain = await door.client.get("/", headers={"accept-encoding": "identity"})
        assert (plain.text, "content-encoding" in plain.headers) == (page.text, False)


async def test_a_proxy_that_says_nonsense_of_its_visitors():
    async with opened() as door:
        for said in ("nonsense", "::1%lo", "1.2.3.4, 5.6.7.8", "x" * 2000, ""):
            async with door.client.stream("GET", "/api/v1/events", headers={"x-forwarded-for": said}) as answer:
                assert answer.status_code == 200
            refused(await door.client.post(OVERRIDE, json=ON, headers={"x-forwarded-for": said}), 401)


async def test_one_visitor_from_afar_does_not_take_all_streams():
    async with opened() as door, AsyncExitStack() as stack:
        afar = {"x-forwarded-for": "192.0.2.7"}
        limits = httpx.Limits(max_connections=None)
        many = await stack.enter_async_context(httpx.AsyncClient(base_url=door.client.base_url, limits=limits))
        streams = [many.stream("GET", "/api/v1/events", headers=afar) for _ in range(MOST_FROM_ONE + 2)]
        codes = [(await stack.enter_async_context(stream)).status_code for stream in streams]
        assert codes == [200] * MOST_FROM_ONE + [503] * 2
        async with many.stream("GET", "/api/v1/events") as answer:
            assert answer.status_code == 200
