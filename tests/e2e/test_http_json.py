"""Numbers from JSON over real HTTP on loopback, from sources that behave and from all others."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadctl.config.findings import Findings
from loadctl.config.validate import checked
from loadctl.drivers import LoopClock, Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable
from loadctl.inputs.http_json import HttpJson, HttpJsonOptions
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly.digest import Digest

pytestmark = pytest.mark.anyio

Answer = Callable[[Request], Awaitable[Response]]


def shared(patience_s: float | None = None) -> Shared:
    def client(**options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**options | ({} if patience_s is None else {"timeout": patience_s}))

    return Shared(LoopClock(ZoneInfo("UTC")), client)


@asynccontextmanager
async def source(answer: Answer) -> AsyncIterator[str]:
    async with serve(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        yield url


async def read(url: str, patience_s: float | None = None, **options: Any) -> float:
    driver = HttpJson(HttpJsonOptions(url=url, **options), shared(patience_s))
    try:
        return await driver.read()
    finally:
        await driver.close()


async def served(body: Any, **options: Any) -> float:
    """Read once from a source that answers `body`; without sockets, there are many of these."""
    response = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **response))
    offline = Shared(LoopClock(ZoneInfo("UTC")), lambda **kept: httpx.AsyncClient(**kept | {"transport": transport}))
    driver = HttpJson(HttpJsonOptions(url="http://source/status?key=secret", **options), offline)
    try:
        return await driver.read()
    finally:
        await driver.close()


HOUSE = {"sensors": [{"temperature": 54.2}, {"temperature": "61,5 °C"}], "temp.C": 20, "power": "1.2", "a/b": 4, "": 5}


@pytest.mark.parametrize(
    ("body", "options", "value"),
    [
        (HOUSE, {"path": "sensors[0].temperature", "unit": "°C"}, 54.2),
        (HOUSE, {"path": "$.sensors[0].temperature", "unit": "°C"}, 54.2),
        (HOUSE, {"path": "/sensors/0/temperature", "unit": "°C"}, 54.2),
        (HOUSE, {"path": "sensors[-1].temperature", "unit": "°C"}, 61.5),
        (HOUSE, {"path": "/temp.C", "unit": "°C"}, 20),
        (HOUSE, {"path": "/a~1b"}, 4),
        (HOUSE, {"path": "power", "unit": "kW"}, 1200),
        ("21.5", {"unit": "°C"}, 21.5),
        ('"21.5 °C"', {"unit": "°C"}, 21.5),
        ("\ufeff 3 ", {}, 3),
        ([215], {"path": "[0]", "unit": "°C", "scale": 0.1}, 21.5),
        (140, {"unit": "°F"}, 60),
        (293.15, {"unit": "K"}, 20),
        (85, {"unit": "€/MWh"}, 0.085),
        ("-1.5e1", {"unit": "W"}, -15),
        (812, {"unit": "ppm"}, 812),
        (True, {}, 1),
        ("on", {}, None),  # bare words are no JSON
        ({"present": "Yes"}, {"path": "present"}, 1),
        ({"present": "off"}, {"path": "present"}, 0),
        ({"present": "1"}, {"path": "present"}, 1),
    ],
)
async def test_a_number_is_found(body, options, value):
    if value is None:
        with pytest.raises(Garbled, match="not JSON"):
            await served(body, **options)
        return
    assert await served(body, **options) == pytest.approx(value)


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        (HOUSE, {"path": "sensors[2].temperature"}, r"has no `sensors\[2\]`; there is a list of 2"),
        (HOUSE, {"path": "sensors[0].temp"}, r"has no `sensors\[0\]\.temp`; there is `temperature`"),
        (HOUSE, {"path": "sensors.temp"}, r"has no `sensors\.temp`; there is a list of 2"),
        (HOUSE, {"path": "power.now"}, r"has no `power\.now`; there is `1\.2`"),
        (HOUSE, {"path": "sensors"}, "a list of 2 stands where a plain number is meant"),
        (HOUSE, {}, "a group of keys stands where a plain number"),
        ({f"k{i}": i for i in range(9)}, {"path": "x"}, "there is `k0`, `k1`, `k2`, `k3`, `k4`, `k5`, …"),
        ({}, {"path": "x"}, "there is nothing"),
        ({"t": None}, {"path": "t", "unit": "°C"}, "`null` stands where a temperature is meant"),
        ({"t": True}, {"path": "t", "unit": "°C"}, "`true` stands where"),
        ({"t": "unavailable"}, {"path": "t", "unit": "°C"}, "`unavailable` stands where"),
        ({"t": "20 °F"}, {"path": "t", "unit": "°C"}, "stands where a temperature"),
        ({"t": "1,500"}, {"path": "t", "unit": "W"}, "`1,500` stands where a power"),
        ({"t": "a\nb" + "x" * 99}, {"path": "t"}, r"`a\\nbx{35,36}` stands where"),
        ('{"t": NaN}', {"path": "t"}, "stands where"),
        ('{"t": 1e999}', {"path": "t"}, "stands where"),
        ('{"t": 1' + "0" * 400 + "}", {"path": "t"}, "stands where"),
        ("1" * 5000, {}, "not JSON"),
        ("", {}, r"not JSON \(0 bytes\)"),
        ('{"t": 1', {"path": "t"}, "not JSON"),
        ("[" * 30000, {}, "not JSON"),
        (b"\xff\xfe\x00", {}, "not JSON"),
        (" <html>hello</html>", {}, "shows a web page instead of data"),
        ("x" * 70_000, {}, "longer than 64 kB"),
    ],
)
async def test_what_is_no_number_is_no_value(body, options, said):
    with pytest.raises(Garbled, match=said) as garbled:
        await served(body, **options)
    assert "secret" not in str(garbled.value)
    assert "\n" not in str(garbled.value)


@pytest.mark.parametrize(
    ("status", "headers", "said", "rest_s"),
    [
        (401, {}, "asks for a login", 0),
        (403, {}, "asks for a login", 0),
        (404, {}, "there is no such page", 0),
        (429, {"retry-after": "120"}, "too busy", 120),
        (429, {"retry-after": "99999999"}, "too busy", 3600),
        (503, {"retry-after": "Wed, 21 Oct 2026"}, "too busy", 10),
        (500, {}, "answers 500", 0),
        (304, {}, "answers 304", 0),
    ],
)
async def test_a_refusal_is_told(status, headers, said, rest_s):
    async def answer(_: Request) -> Response:
        return Response(status_code=status, headers=headers)

    async with source(answer) as url:
        with pytest.raises(Refused, match=said) as refused:
            await read(url)
    assert refused.value.retry_after_s == rest_s


async def test_what_is_sent():
    seen: list[Request] = []

    async def answer(request: Request) -> Response:
        seen.append(request)
        return JSONResponse(1)

    async with source(answer) as url:
        await read(f"{url}/a?b=c#d", token=SecretStr("t0k"), headers={"X-Api-Key": SecretStr("k3y")})
        await read(f"{url}/a", username="anna", password=SecretStr("pässword"))
    first, second = seen
    assert (first.method, first.url.path, first.url.query) == ("GET", "/a", "b=c")
    assert first.headers["authorization"] == "Bearer t0k"
    assert first.headers["x-api-key"] == "k3y"
    assert first.headers["accept-encoding"] == "identity"
    kind, _, login = second.headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(login).decode()) == ("Basic", "anna:pässword")


async def test_digest_login():
    digest = Digest("sensor", reusable=True)

    async def answer(request: Request) -> Response:
        if not digest.knows(request.headers.get("authorization", ""), "GET", request.url.path, "right"):
            return PlainTextResponse("x" * 200_000, 401, {"www-authenticate": digest.header()})
        return JSONResponse({"t": 7})

    async with source(answer) as url:
        login: dict[str, Any] = {"username": "admin", "login": "digest", "path": "t"}
        assert await read(f"{url}/t", password=SecretStr("right"), **login) == 7
        with pytest.raises(Refused, match="does not take our login") as refused:
            await read(f"{url}/t", password=SecretStr("wr0ng"), **login)
    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="x", nonce="y", algorithm=ROT13',
        'Digest realm="x"',
        'Digest realm="x", nonce="y", qop="auth-int"',
        "Digest",
    ],
)
async def test_a_login_nobody_knows(challenge):
    async def answer(_: Request) -> Response:
        return Response(status_code=401, headers={"www-authenticate": challenge})

    async with source(answer) as url:
        with pytest.raises(Refused, match=r"login"):
            await read(url, username="anna", password=SecretStr("p"), login="digest")


async def test_redirections_on_its_own_host_are_followed():
    async def answer(request: Request) -> Response:
        if request.url.path == "/new/status":
            return JSONResponse({"t": 3, "token": request.headers["authorization"]})
        return Response(status_code=307, headers={"location": "/new/status"})

    async with source(answer) as url:
        assert await read(f"{url}/old", path="t", token=SecretStr("t0k")) == 3


async def test_redirections_elsewhere_are_not():
    asked: list[str] = []

    async def elsewhere(request: Request) -> Response:
        asked.append(request.url.path)
        return JSONResponse(1)

    async with source(elsewhere) as other:

        async def answer(request: Request) -> Response:
            return Response(status_code=302, headers={"location": request.query_params.get("to", "/again")})

        async with source(answer) as url:
            for to in (other, other.replace("127.0.0.1", "localhost"), "//evil.example/x", "https://127.0.0.1:1/"):
                with pytest.raises(Refused, match="sends us to"):
                    await read(f"{url}/?to={to}", token=SecretStr("t0k"))
            for to in ("http://u:p@127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd"):
                with pytest.raises(Refused, match="sends us to"):
                    await read(f"{url}/?to={to}")
            with pytest.raises(Refused, match="in circles"):
                await read(f"{url}/?to=/again")
            with pytest.raises(DeviceError):
                await read(f"{url}/?to=http://[::")
    assert not asked


@asynccontextmanager
async def raw(behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A source that is no web server: it does with the connection what `behave` says."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await behave(reader, writer)
        except ConnectionError:
            pass  # the driver had enough
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b"", Unreachable, "broke off"),
        (b"\x00\x01\x02\r\n\r\n", Unreachable, "broke off"),
        (HEAD + b"content-length: 100\r\n\r\n{", Unreachable, "broke off"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", Unreachable, "broke off"),
        (HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"1" * 10_000_000), Garbled, "compressed"),
        (HEAD + b"\r\n" + b" " * 70_000 + b"1", Garbled, "longer than 64 kB"),
        (HEAD + b"\r\n42", None, ""),
        (b"HTTP/1.0 200 OK\r\n\r\n42", None, ""),
        (b"HTTP/1.1 302 Found\r\nlocation: \xff\xfe\r\ncontent-length: 0\r\n\r\n", DeviceError, "sends us"),
    ],
)
async def test_garbage_at_the_wire(answer, kind, said):
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw(behave) as url:
        if kind is None:
            assert await read(url) == 42
            return
        with pytest.raises(kind, match=said):
            await read(url)


async def test_silence_and_nobody_at_home():
    quiet = asyncio.Event()

    async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await quiet.wait()

    async with raw(hang) as url:
        with pytest.raises(Unreachable, match="no answer"):
            await read(url, patience_s=0.2)
        quiet.set()
    with pytest.raises(Unreachable, match="cannot be reached"):
        await read(url)


async def test_an_endless_answer_is_left():
    """A source that drips for ever is left at 64 kB, not at the end."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(b"[1,2,3]" * 1000)
            await writer.drain()

    async with raw(drip) as url:
        with pytest.raises(Garbled, match="longer than 64 kB"):
            await read(url)


async def test_one_request_at_a_time_to_one_host():
    under_way, most = 0, 0

    async def answer(_: Request) -> Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return JSONResponse({"a": 1, "b": 2})

    async with source(answer) as url:
        lent = shared()
        drivers = [HttpJson(HttpJsonOptions(url=f"{url}/{key}", path=key), lent) for key in "abab"]
        assert await asyncio.gather(*(driver.read() for driver in drivers)) == [1, 2, 1, 2]
        for driver in drivers:
            await driver.close()
    assert most == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "192.168.1.60/status"}, "`url` is no address"),
        ({"url": "ftp://host/x"}, "`url` is no address"),
        ({"url": "http://ho st/x"}, "`url` is no address"),
        ({"url": "http://anna:s3cret@host/x"}, "`url` holds a login"),
        ({"path": "a..b"}, r"`a\.\.b` is no path; write it like"),
        ({"path": "a[x]"}, "is no path"),
        ({"unit": "24"}, "`24` is no unit"),
        ({"scale": 0}, "`scale` is a number such as"),
        ({"scale": float("nan")}, "`scale` is a number such as"),
        ({"max_age": 20.0}, "`max_age` must be longer than `every`"),
        ({"token": SecretStr("s3cret"), "password": SecretStr("s3cret")}, "either `token` or"),
        ({"token": SecretStr("s3cret\n")}, "`token` is empty or holds characters"),
        ({"headers": {"Host": SecretStr("s3cret")}}, "`Host` is no header field that can be set"),
        ({"headers": {"X-Key": SecretStr("s3crèt")}}, "the header field `X-Key` is empty or holds"),
    ],
)
def test_options_that_cannot_be_meant(options, said):
    with pytest.raises(ValueError, match=said) as refused:
        HttpJsonOptions(**{"url": "http://host/status"} | options)
    assert "s3cr" not in "".join(line for line in str(refused.value).splitlines() if "input_value" not in line)


def test_as_a_rule_file_says_it():
    findings = Findings("home.yaml")
    said = {"url": "http://192.168.1.60/status", "path": "t", "unit": "°F", "every": "1 min", "token": "t0k"}
    options = checked(HttpJsonOptions, said, (), findings)
    assert not findings.faults
    assert isinstance(options, HttpJsonOptions)
    assert options.base == "°C"
    assert "t0k" not in repr(options)
    assert checked(HttpJsonOptions, {"url": "http://h", "max_age": "10 s", "pth": "x"}, (), findings) is None
    assert [fault.message for fault in findings.faults] == ["`pth` is not a key here; did you mean `path`?"]
    assert checked(HttpJsonOptions, {"url": "http://h", "max_age": "10 s"}, (), findings) is None
    assert [fault.message for fault in findings.faults[1:]] == [
        "`max_age` must be longer than `every`, or the value is forgotten between two readings",
    ]


@pytest.mark.parametrize(
    ("options", "every_s", "max_age_s"),
    [({}, 30, 300), ({"every": 3600.0}, 3600, 10800), ({"max_age": 45.0}, 30, 45)],
)
async def test_how_often_and_how_long(options, every_s, max_age_s):
    driver = HttpJson(HttpJsonOptions(url="http://host", **options), shared())
    assert (driver.every_s, driver.max_age_s) == (every_s, max_age_s)
    await driver.close()
