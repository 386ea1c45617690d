"""The line to one OpenEVSE's gateway: its login, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from loadctl.actuators.openevse.answers import Json
from loadctl.actuators.openevse.options import OpenEvseOptions
from loadctl.actuators.shelly.options import base_url
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused, Unreachable

_PATIENCE_S = 10.0  # a whole request; httpx's own time-outs start anew with each byte


class Link:
    """Asks one box, one request at a time. `hurry`: the next requests pass those of others that wait for the box."""

    def __init__(self, options: OpenEvseOptions, shared: Shared) -> None:
        self.where = f"OpenEVSE {options.host}"
        self.hurry = False
        self._password = options.password
        login = None if options.password is None else (options.username, options.password.get_secret_value())
        # No idle connections: the gateway serves only a few. No proxies for the home.
        self._client = shared.client(
            base_url=base_url(options.host),
            auth=login,
            timeout=httpx.Timeout(5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )
        self._line = shared.line(str(base_url(options.host)))

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Json:
        """Ask for one page. Raises DeviceError."""
        return self._object(await self._ask("GET", path))

    async def post(self, path: str, told: Json) -> Json:
        """Tell it something. Raises DeviceError."""
        return self._object(await self._ask("POST", path, json=told))

    async def post_form(self, path: str, told: dict[str, str]) -> None:
        """Tell an older page something; it answers a sentence. Raises DeviceError."""
        await self._ask("POST", path, data=told)

    async def delete(self, path: str) -> None:
        """Take something back. Raises DeviceError."""
        await self._ask("DELETE", path)

    async def _ask(self, verb: str, path: str, **content: Any) -> httpx.Response:
        try:
            async with self._line.turn(hurry=self.hurry), asyncio.timeout(_PATIENCE_S):
                response = await self._client.request(verb, path, **content)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{self.where}: no answer", hint="is it powered, and in reach of the Wi-Fi?") from error
        except httpx.ConnectError as error:
            raise Unreachable(f"{self.where}: cannot be reached", hint="check power, Wi-Fi and `host`") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self.where}: broke off the connection") from error
        except httpx.DecodingError as error:
            raise Garbled(f"{self.where}: its answer cannot be read") from error
        self._refused(response, path)
        return response

    def _refused(self, response: httpx.Response, path: str) -> None:
        """Raise Refused where the box says no."""
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            wrong = self._password is not None
            raise Refused(
                f"{self.where}: {'wrong user name or password' if wrong else 'asks for a password'}",
                hint="`username` and `password` are those of its web page",
            )
        if status == httpx.codes.TOO_MANY_REQUESTS:  # it answers so to wrong passwords only
            raise Refused(
                f"{self.where}: too many wrong passwords", hint="it takes the right one at once", retry_after_s=30.0
            )
        if response.is_redirect:
            raise Refused(f"{self.where}: wants to be asked by https", hint="write `host: https://…`")
        if not response.is_success:
            raise Refused(f"{self.where}: answers {status} to {path}{_reason(response)}")

    def _object(self, response: httpx.Response) -> Json:
        try:
            body = response.json()
        except (ValueError, RecursionError) as error:
            raise Garbled(f"{self.where}: does not answer like an OpenEVSE", hint="check `host`") from error
        if not isinstance(body, dict):
            raise Garbled(f"{self.where}: does not answer like an OpenEVSE", hint="check `host`")
        return body


def _reason(response: httpx.Response) -> str:
    """What the gateway says of an error: `{"msg": …}`."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return ""
    return f": {str(body['msg'])[:80]}" if isinstance(body, dict) and "msg" in body else ""
