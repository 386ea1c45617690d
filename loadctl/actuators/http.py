"""HTTP to a device in the house: one bounded request at a time, and what can go wrong on the way in plain words.

A device is believed as little as can be: whatever it sends, the caller gets an `Answer` or a DeviceError.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

from loadctl.actuators.address import base_url
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Unreachable

Json = dict[str, Any]

_PATIENCE_S = 10.0  # a whole request with its login; httpx's own time-outs start anew with each byte
_LONGEST = 512 * 1024  # bytes; the longest status known is a tenth of that

# What httpx raises, beside its own errors, over headers that cannot be meant: a redirection to nowhere, a digest login
# that nobody knows (KeyError, NotImplementedError) or that is cut off (ValueError).
_SENSELESS = (httpx.DecodingError, httpx.InvalidURL, ValueError, KeyError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Answer:
    """`redirects`: it wants to be asked elsewhere; that is never followed."""

    status: int
    body: bytes
    redirects: bool = False

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


class Http:
    """The line to one device. `where` names it in errors, `like` is what it should be, such as `a Shelly`.

    `away`, `silent`: what to try when it cannot be reached, or gives no answer.
    """

    def __init__(
        self,
        host: str,
        shared: Shared,
        *,
        where: str,
        like: str,
        login: httpx.Auth | None = None,
        verify: bool = True,
        away: str = "check power, Wi-Fi and `host`",
        silent: str = "is it powered, and in reach of the Wi-Fi?",
    ) -> None:
        url = base_url(host)
        self._where, self._like, self._away, self._silent = where, like, away, silent
        # No idle connections: these devices have only a few and drop them without a word. No proxies for the home.
        # Nothing compressed: a small answer must not become a large one. And no certificates where none is shown: to
        # read those of the whole world takes a Pi Zero a second.
        self._client = shared.client(
            base_url=url,
            auth=login,
            timeout=httpx.Timeout(5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            verify=verify and url.scheme == "https",
            headers={"Accept-Encoding": "identity"},
        )
        self._line = shared.line(str(url))

    async def ask(self, verb: str, path: str, *, hurry: bool = False, **content: Any) -> Answer:
        """Send one request; who is in a `hurry` passes others that wait for the device. Raises Unreachable, Garbled."""
        try:
            async with self._line.turn(hurry=hurry), asyncio.timeout(_PATIENCE_S):
                return await self._send(verb, path, **content)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{self._where}: no answer", hint=self._silent) from error
        except httpx.ConnectError as error:
            raise Unreachable(f"{self._where}: cannot be reached", hint=self._away) from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self._where}: broke off the connection") from error
        except _SENSELESS as error:
            raise Garbled(f"{self._where}: its answer cannot be read") from error

    def read(self, answer: Answer) -> Json:
        """Return the JSON object in an answer, whatever its status. Raises Garbled."""
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._stranger() from error
        if not isinstance(body, dict):
            raise self._stranger()
        return body

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, verb: str, path: str, **content: Any) -> Answer:
        async with self._client.stream(verb, path, **content) as response:
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _LONGEST:
                    raise Garbled(f"{self._where}: its answer does not end", hint="check `host`")
        return Answer(response.status_code, body, response.is_redirect)

    def _stranger(self) -> Garbled:
        return Garbled(f"{self._where}: does not answer like {self._like}", hint="check `host`")
