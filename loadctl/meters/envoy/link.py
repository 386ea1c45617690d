"""The one line to the box: requests with a rest of a second between them, and what its answers mean.

The Envoy works on a request even after the client gave up on it, so requests are never cut short: 60 s to answer. Asked
more than once a second it gives wrong numbers. Whoever holds the line asks one thing at a time (see `driver`).
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable
from loadctl.meters.envoy.options import EnvoyOptions, plain_fingerprint
from loadctl.meters.envoy.wire import Forbidden, NoSuchPage

REST_S = 1.0

_PATIENCE = httpx.Timeout(60.0, connect=10.0)


class NoConnection(Unreachable):
    """Nobody there, or not on this port."""


class Moved(NoSuchPage):
    """The box sends us elsewhere: to HTTPS, to a login or an error page. Never followed."""


class Link:
    """HTTP to one Envoy. `base` is its URL, `bearer` the token (7+), `digest` user and password (below 7)."""

    def __init__(self, options: EnvoyOptions, shared: Shared) -> None:
        self._shared = shared
        self._plain_is_meant = options.host.startswith("http:")  # else no token goes over plain HTTP
        self._pin = plain_fingerprint(options.fingerprint) if options.fingerprint else None
        self._context = _TlsContext(self._pin)
        self._client: httpx.AsyncClient | None = None
        self._rested_at = float("-inf")
        self.base = options.addresses()[0]
        self.bearer: str | None = None
        self.digest: httpx.DigestAuth | None = None

    @property
    def certificate(self) -> str:
        """SHA-256 of the certificate the box showed last, empty over plain HTTP."""
        return self._context.shown

    async def get(self, path: str) -> str:
        """Return the text of a page. Raises NoSuchPage, Forbidden, Refused, Unreachable, Garbled."""
        return await self._ask("GET", path)

    async def post(self, path: str, body: dict[str, Any]) -> str:
        """Send JSON, return the text of the answer; raises as `get`."""
        return await self._ask("POST", path, json=body)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[httpx.Response]:
        """Open a page that never ends; raises as `get`, also while it is read."""
        response = await self._send(self._request("GET", path), stream=True)
        try:
            self._judge(response, path, empty_is_fine=True)
            yield response
        except httpx.HTTPError as error:
            raise self._foreign(error, path) from error
        finally:
            await response.aclose()
            self._rested_at = self._shared.clock.now()

    def forget_session(self) -> None:
        """Drop the session cookie, so that the next answer sets a new one."""
        if self._client:
            self._client.cookies.clear()

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, path: str, **content: Any) -> str:
        response = await self._send(self._request(method, path, **content))
        return self._judge(response, path)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Request:
        if self._client is None:
            self._client = self._shared.client(
                timeout=_PATIENCE, verify=self._context, follow_redirects=False, trust_env=False
            )
        request = self._client.build_request(method, self.base + path, **content)
        if self.bearer and (self.base.startswith("https:") or self._plain_is_meant):
            request.headers["Authorization"] = f"Bearer {self.bearer}"
        return request

    async def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """Send, and answer a digest challenge once; later requests carry the old nonce, which the box accepts."""
        if self.digest is None or "Authorization" in request.headers:
            return await self._once(request, stream=stream)
        steps = self.digest.auth_flow(request)
        response = await self._once(next(steps), stream=stream)
        while True:
            try:
                request = steps.send(response)
            except StopIteration:
                return response
            await response.aclose()
            response = await self._once(request, stream=stream)

    async def _once(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        clock = self._shared.clock
        if (wait_s := self._rested_at + REST_S - clock.now()) > 0:
            await clock.sleep(wait_s)
        assert self._client is not None  # noqa: S101 - _request made it
        try:
            return await self._client.send(request, stream=stream)
        except httpx.HTTPError as error:
            raise self._foreign(error, request.url.path) from error
        finally:
            self._rested_at = clock.now()

    def _foreign(self, error: httpx.HTTPError, path: str) -> Exception:
        where = urlsplit(self.base).netloc
        if self._pin and self._context.shown and self._context.shown != self._pin:
            return Refused(
                f"{where} shows another certificate than the pinned one: {self._context.shown}",
                hint="an Envoy makes itself a new one each year; if that is what happened, put it under `fingerprint`",
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return NoConnection(f"no connection to {self.base}", hint="is `host` right, and the Envoy on the network?")
        if isinstance(error, httpx.ReadTimeout):
            return Unreachable(
                f"{where}{path}: no answer within {_PATIENCE.read:.0f} s", hint="the Envoy is overloaded"
            )
        if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
            return Garbled(f"{where}{path}: the answer broke off or is not HTTP")
        return Unreachable(f"{where}{path}: the connection was lost ({type(error).__name__})")

    def _judge(self, response: httpx.Response, path: str, *, empty_is_fine: bool = False) -> str:
        where, status = f"{urlsplit(self.base).netloc}{path}", response.status_code
        if status == 200:
            if empty_is_fine:
                return ""
            text = response.content.decode("utf-8", "replace")
            if not text.strip():
                raise Garbled(f"{where}: empty answer")
            return text
        if status in {401, 403}:
            raise Forbidden(f"{where}: not allowed (HTTP {status})")
        if 300 <= status < 400:
            raise Moved(f"{where}: the Envoy sends us elsewhere (HTTP {status})")
        if status in {429, 503}:
            raise Unreachable(f"{where}: the Envoy is busy (HTTP {status})", retry_after_s=_retry_after_s(response))
        if status >= 500:
            raise Unreachable(f"{where}: the Envoy is overloaded or starting (HTTP {status})")
        raise NoSuchPage(f"{where}: not known to this Envoy (HTTP {status})")


class _TlsContext(ssl.SSLContext):
    """Accepts the Envoy's self-signed certificate, remembers it, and refuses any but the pinned one.

    The certificate is looked at before anything, above all the token, is sent.
    """

    shown: str

    def __new__(cls, _pin: str | None) -> _TlsContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, pin: str | None) -> None:
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        self.set_ciphers("DEFAULT")  # old firmware knows only what Python leaves out of its own list
        self.shown = ""
        context = self

        class Handshake(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                context.shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
                if pin and context.shown != pin:
                    raise ssl.SSLCertVerificationError("not the pinned certificate")

        self.sslobject_class = Handshake


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds of rest that a 503 asks for, at least 30 ("Resource busy, please retry after 30 seconds")."""
    asked = response.headers.get("Retry-After", "")
    return max(30.0, min(float(asked), 600.0)) if asked.isdecimal() and len(asked) < 6 else 30.0
