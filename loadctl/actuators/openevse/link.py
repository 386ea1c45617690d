"""The line to one OpenEVSE's gateway: its login, and what can go wrong on the way."""

from __future__ import annotations

from typing import Any

import httpx

from loadctl.actuators.http import Answer, Http
from loadctl.actuators.openevse.answers import Json
from loadctl.actuators.openevse.options import OpenEvseOptions
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused


class Link:
    """Asks one box, one request at a time. `hurry`: the next requests pass those of others that wait for the box."""

    def __init__(self, options: OpenEvseOptions, shared: Shared) -> None:
        self.where = f"OpenEVSE {options.host}"
        self.hurry = False
        self._password = options.password
        login = None if options.password is None else (options.username, options.password.get_secret_value())
        auth = None if login is None else httpx.BasicAuth(*login)
        self._http = Http(options.host, shared, where=self.where, like="an OpenEVSE", login=auth)

    async def close(self) -> None:
        await self._http.close()

    async def get(self, path: str) -> Json:
        """Ask for one page. Raises DeviceError."""
        return self._http.read(await self._ask("GET", path))

    async def post(self, path: str, told: Json) -> Json:
        """Tell it something. Raises DeviceError."""
        return self._http.read(await self._ask("POST", path, json=told))

    async def post_form(self, path: str, told: dict[str, str]) -> None:
        """Tell an older page something; it answers a sentence. Raises DeviceError."""
        await self._ask("POST", path, data=told)

    async def delete(self, path: str) -> None:
        """Take something back. Raises DeviceError."""
        await self._ask("DELETE", path)

    async def _ask(self, verb: str, path: str, **content: Any) -> Answer:
        response = await self._http.ask(verb, path, hurry=self.hurry, **content)
        self._refused(response, path)
        return response

    def _refused(self, response: Answer, path: str) -> None:
        """Raise Refused where the box says no."""
        status = response.status
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
        if response.redirects:
            raise Refused(f"{self.where}: wants to be asked by https", hint="write `host: https://…`")
        if not response.is_success:
            raise Refused(f"{self.where}: answers {status} to {path}{self._reason(response)}")

    def _reason(self, response: Answer) -> str:
        """What the gateway says of an error: `{"msg": …}`."""
        try:
            body = self._http.read(response)
        except Garbled:
            return ""
        return f": {str(body['msg'])[:80]}" if "msg" in body else ""
