"""The line to one Shelly: which one it is, its two protocols, its login, and the rest it needs between requests."""

from __future__ import annotations

from typing import Any

import httpx

from loadctl.actuators.address import plain_mac
from loadctl.actuators.http import Answer, Http
from loadctl.actuators.shelly import answers
from loadctl.actuators.shelly.answers import About, Json, Output
from loadctl.actuators.shelly.options import ShellyOptions
from loadctl.drivers import Shared
from loadctl.errors import Garbled, Refused

_SPACING_GEN1_S, _SPACING_S = 1.0, 0.5  # rest between requests: the ESP8266 of Gen1 chokes on less


class Stranger(Refused):
    """Another device has the address; `output` as it was seen there, if that was asked."""

    output: Output | None = None

    def runs_for(self, lease_s: float | None) -> bool:
        """Tell whether its output is on under a timer of just our lease."""
        return self.output is not None and self.output.on and lease_s is not None and self.output.timer_s == lease_s


class Link:
    """Asks one device. `hurry`: the requests from now on pass those of others that wait for the same device."""

    def __init__(self, options: ShellyOptions, shared: Shared) -> None:
        self.where = f"Shelly {options.host}"
        self.hurry = False
        self._options = options
        self._clock = shared.clock
        self._http = Http(options.host, shared, where=self.where, like="a Shelly")
        self._identity = plain_mac(options.mac)
        self._logins: dict[int, httpx.Auth] = {}
        self._asked_at: float | None = None
        self._frame = 0
        self._about: About | None = None  # None: ask it again before anything else

    def doubt(self) -> None:
        """Something went wrong: look who is there before the next request."""
        self._about = None

    async def close(self) -> None:
        await self._http.close()

    async def meet(self) -> About:
        """Ask what it is; remembered until something goes wrong. Raises DeviceError."""
        if self._about:
            return self._about
        device = answers.about(await self.about(), self.where)
        self.recognise(device.mac)
        if device.roller is None:  # older firmware of two-relay devices tells its mode in the settings only
            settings = await self.http("/settings", device)
            device = About(device.gen, device.mac, device.model, device.metered, settings.get("mode") == "roller")
        if device.roller:
            raise answers.roller(self.where)
        self._about = device
        return device

    async def about(self) -> Json:
        """Ask `/shelly`, which needs no login. Raises DeviceError."""
        return self._http.read(await self._ask("GET", "/shelly", None))

    def recognise(self, mac: str) -> None:
        """Make sure that it is still the device we know. Raises Stranger."""
        if self._identity and mac != self._identity:
            raise Stranger(
                f"{self.where}: another device answers there: {mac} instead of {self._identity}",
                hint="give both fixed addresses in the router; if you replaced it, restart loadctl and check `mac`",
            )
        self._identity = mac

    async def rest(self) -> None:
        """Leave the device alone for as long as it needs since the last request."""
        if self._asked_at is None:
            return
        spacing_s = _SPACING_GEN1_S if self._about and self._about.gen == 1 else _SPACING_S
        if (wait_s := self._asked_at + spacing_s - self._clock.now()) > 0:
            await self._clock.sleep(wait_s)

    async def http(self, path: str, device: About, query: dict[str, str] | None = None) -> Json:
        """Ask a Gen1 device. Raises DeviceError."""
        answer = await self._ask("GET", path, self._login(device), params=query)
        if not answer.is_success:
            raise Refused(f"{self.where}: answers {answer.status} to {path}")
        return self._http.read(answer)

    async def rpc(self, method: str, params: Json, device: About) -> Json:
        """Call a Gen2+ device by POST /rpc; a `null` result is an empty one. Raises DeviceError.

        The HTTP status of an error differs between firmwares: what counts is the `error` in the frame.
        """
        self._frame += 1
        frame = {"id": self._frame, "src": "loadctl", "method": method, "params": params}
        response = await self._ask("POST", "/rpc", self._login(device), json=frame)
        answer = self._http.read(response)
        error = answer if "code" in answer else answer.get("error")
        if isinstance(error, dict):
            code, message = error.get("code"), str(error.get("message") or "no reason given")
            busy = code in {-108, 429}
            raise Refused(
                f"{self.where}: refused {method}: {message[:120]} [{code}]", retry_after_s=10.0 if busy else 0.0
            )
        if not response.is_success:
            raise Refused(f"{self.where}: answers {response.status} to {method}")
        result = answer.get("result", False)
        if answer.get("id") != self._frame or not isinstance(result, dict | None):
            raise Garbled(f"{self.where}: its answer to {method} cannot be read")
        return dict(result or {})

    async def perhaps(self, method: str, device: About) -> Json:
        """Call what not every firmware knows; nothing where it refuses. Raises Unreachable, Garbled."""
        await self.rest()
        try:
            return await self.rpc(method, {}, device)
        except Refused:
            return {}

    async def _ask(self, verb: str, path: str, login: httpx.Auth | None, **content: Any) -> Answer:
        """Send one request. Raises Unreachable, Refused for a wrong login or a device too busy, Garbled."""
        try:
            response = await self._http.ask(verb, path, hurry=self.hurry, auth=login, **content)
        finally:
            self._asked_at = self._clock.now()
        if response.status == httpx.codes.UNAUTHORIZED:
            wrong = self._options.password is not None
            raise Refused(
                f"{self.where}: {'wrong password' if wrong else 'asks for a password'}",
                hint="`password` is the one set in its web page, not the one of the cloud account",
            )
        if response.status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
            raise Refused(f"{self.where}: too busy", hint="something else asks it too often", retry_after_s=10.0)
        return response

    def _login(self, device: About) -> httpx.Auth | None:
        """Basic for Gen1, digest for later ones; kept, because a nonce that may be reused saves a round trip."""
        if self._options.password is None:
            return None
        if device.gen not in self._logins:
            user, password = self._options.username, self._options.password.get_secret_value()
            basic = device.gen == 1
            self._logins[device.gen] = httpx.BasicAuth(user, password) if basic else httpx.DigestAuth("admin", password)
        return self._logins[device.gen]
