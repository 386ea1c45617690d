"""A number out of the JSON that anything in or outside the home gives at an address: a sensor, a home automation, a
price service.

It is asked at its own pace and believed as little as can be: an answer is bounded in size and time, a redirection is
followed only on the host that the owner named, and what is no number is no value.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Literal

import httpx
from pydantic import ConfigDict, Field, SecretStr
from pydantic.dataclasses import dataclass

from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable
from loadctl.inputs import json_value
from loadctl.units import Unit

_PATIENCE_S = 10.0  # a whole answer with its login and redirections; httpx's own time-outs start anew with each byte
_LONGEST = 64 * 1024  # bytes
_MOST_REDIRECTS = 3
_LONGEST_REST_S = 3600.0

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_OURS = {"accept-encoding", "authorization", "connection", "content-length", "host", "transfer-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class HttpJsonOptions:
    """A number in the JSON at an address."""

    url: Annotated[str, Field(examples=["http://192.168.1.60/status"])]
    """The address, such as `http://192.168.1.60/status`."""
    path: Annotated[str, Field(examples=["sensors[0].temperature"])] = ""
    """Where in the answer it stands, such as `sensors[0].temperature` (or, for keys with dots, `/sensors/0/temp.C`);
    default: the answer itself is the number."""
    unit: Annotated[str, Field(examples=["°C", "W", "%", "/kWh", "ppm"])] = ""
    """The unit the source gives it in, such as `°C`, `°F`, `kW`, `%`, `€/MWh` or `ppm`; default: a plain number, or
    true/false, on/off, yes/no."""
    scale: float = 1.0
    """The number is multiplied with this, for sources that give tenths: `0.1`."""
    every: Annotated[float, Unit("s", least=1, most=86400)] = 30.0
    """How often it is asked for."""
    max_age: Annotated[float, Unit("s", least=1, most=7 * 86400)] | None = None
    """After how long without an answer it is no longer known; default: three times `every`, at least 5 min."""
    token: SecretStr | None = None
    """An access token, sent as `Authorization: Bearer`."""
    username: str = ""
    """If the source asks for a login."""
    password: SecretStr | None = None
    """If the source asks for a login."""
    login: Literal["basic", "digest"] = "basic"
    """The kind of login."""
    headers: Annotated[dict[str, SecretStr], Field(examples=[{"X-Api-Key": "${API_KEY}"}])] = Field(
        default_factory=dict
    )
    """Further header fields to send, such as `X-Api-Key: "${API_KEY}"`."""
    verify: bool = True
    """`false`: take any certificate, for a device in the home that signs its own."""

    def __post_init__(self) -> None:
        address(self.url)
        json_value.path(self.path)
        json_value.scale(self.unit)
        if not self.scale or not abs(self.scale) < 1e12:  # also refuses what is no number
            raise ValueError("`scale` is a number such as `0.1`; with this one nothing would be left of the value")
        if self.max_age is not None and self.max_age <= self.every:
            raise ValueError("`max_age` must be longer than `every`, or the value is forgotten between two readings")
        if self.token is not None and self.password is not None:
            raise ValueError("write either `token` or `username` and `password`")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _NOT_OURS:
                raise ValueError(f"`{name[:40]}` is no header field that can be set; for a login there is `token`")
            _sendable(value, f"the header field `{name[:40]}`")
        if self.token is not None:
            _sendable(self.token, "`token`")

    @property
    def base(self) -> str:
        """The base unit in which the value is handed on; "" for a plain number, or yes or no."""
        return json_value.scale(self.unit).base


class HttpJson:
    """Asks with GET; changes nothing at the source."""

    Options = HttpJsonOptions

    def __init__(self, options: HttpJsonOptions, shared: Shared) -> None:
        self._options = options
        self._url = address(options.url)
        self._where = self._url.netloc.decode()  # the rest of an address may hold a key
        self._path = json_value.path(options.path)
        self._scale = json_value.scale(options.unit)
        self._line = shared.line(str(httpx.URL(f"{self._url.scheme}://{self._where}")))
        # No idle connections: small devices have only a few. No proxies for the home. Nothing compressed: a small
        # answer must not become a large one.
        self._client = shared.client(
            timeout=httpx.Timeout(5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            verify=options.verify,
            headers=_headers(options),
        )
        self._login = _login(options)

    @property
    def every_s(self) -> float:
        return self._options.every

    @property
    def max_age_s(self) -> float:
        return self._options.max_age or max(300.0, 3 * self._options.every)

    async def read(self) -> float:
        """Ask once. Raises DeviceError."""
        try:
            async with self._line.turn(hurry=False), asyncio.timeout(_PATIENCE_S):
                body = await self._get()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{self._where}: no answer", hint="is it powered, and in reach?") from error
        except httpx.ConnectError as error:
            raise Unreachable(f"{self._where}: cannot be reached", hint="check power, network and `url`") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self._where}: broke off the connection") from error
        except httpx.InvalidURL as error:
            raise Garbled(f"{self._where}: sends us to an address that is none") from error
        value = json_value.pick(json_value.decode(body, self._where), self._path, self._where)
        return json_value.number(value, self._scale, self._options.scale, self._where)

    async def close(self) -> None:
        await self._client.aclose()

    async def _get(self) -> bytes:
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._ask(url)
            try:
                if not response.has_redirect_location:
                    self._check(response)
                    return await self._body(response)
            finally:
                await response.aclose()
            url = self._follow(url, response.headers["location"])
        raise Refused(f"{self._where}: sends us in circles")

    async def _ask(self, url: httpx.URL) -> httpx.Response:
        """Send one request, and once more where a login is asked for; the body is not read yet."""
        flow = self._login.auth_flow(self._client.build_request("GET", url))
        request = next(flow)
        while True:
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                request = flow.send(response)
            except StopIteration:
                return response
            except (httpx.ProtocolError, KeyError, ValueError, NotImplementedError) as error:  # a digest nobody knows
                await response.aclose()
                raise Refused(f"{self._where}: asks for a kind of login that is not known here") from error
            await response.aclose()

    def _follow(self, url: httpx.URL, location: str) -> httpx.URL:
        """Return where the source sends us: on its own host, and never to a plain connection from a safe one."""
        there = url.join(location).copy_with(fragment=None)
        same = (there.scheme, there.port) == (url.scheme, url.port)
        safer = url.scheme == "http" and there.scheme == "https" and url.port is None and there.port is None
        if there.host != url.host or there.userinfo or not (same or safer):
            place = re.sub(r"[^\w.:-]", "?", there.netloc.decode("ascii", "replace"))[:60]
            raise Refused(f"{self._where}: sends us to {place}", hint="if that is right, write its address as `url`")
        return there

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            given = self._options.token or self._options.password or self._options.headers
            wrong = "does not take our login" if given else "asks for a login"
            raise Refused(f"{self._where}: {wrong} [{status}]", hint="see `token`, or `username`, `password`, `login`")
        if status == httpx.codes.NOT_FOUND:
            raise Refused(f"{self._where}: there is no such page [404]", hint="check what follows the host in `url`")
        if status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
            after = response.headers.get("retry-after", "")
            rest_s = min(float(after), _LONGEST_REST_S) if re.fullmatch(r"[0-9]{1,9}", after) else 10.0
            raise Refused(f"{self._where}: too busy [{status}]", hint="a longer `every` may help", retry_after_s=rest_s)
        if not response.is_success:
            raise Refused(f"{self._where}: answers {status}")

    async def _body(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Garbled(f"{self._where}: its answer is compressed although we asked it not to")
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _LONGEST:
                message = f"{self._where}: its answer is longer than {_LONGEST // 1024} kB"
                raise Garbled(message, hint="ask for less in `url`")
        return body


def address(url: str) -> httpx.URL:
    """Read an address. Raises ValueError with a sentence for the owner, without what may be secret in it."""
    example = "it reads like `http://192.168.1.60/status`"
    try:
        found = httpx.URL(url.strip()).copy_with(fragment=None)
    except httpx.InvalidURL as error:
        raise ValueError(f"`url` is no address; {example}") from error
    if found.userinfo:
        raise ValueError("`url` holds a login; write `username` and `password` as keys of their own")
    if found.scheme not in {"http", "https"} or not found.host or " " in url.strip():
        raise ValueError(f"`url` is no address; {example}")
    return found


def _sendable(secret: SecretStr, what: str) -> None:
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", secret.get_secret_value()):
        raise ValueError(f"{what} is empty or holds characters that cannot be sent (a line end, an umlaut, a space)")


def _headers(options: HttpJsonOptions) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in options.headers.items()}
    if options.token is not None:
        headers["Authorization"] = f"Bearer {options.token.get_secret_value()}"
    return {"Accept": "application/json", "Accept-Encoding": "identity"} | headers


def _login(options: HttpJsonOptions) -> httpx.Auth:
    if options.password is None:
        return httpx.Auth()
    password = options.password.get_secret_value()
    kind = httpx.DigestAuth if options.login == "digest" else httpx.BasicAuth
    return kind(options.username, password)
