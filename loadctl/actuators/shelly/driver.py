"""Switching a Shelly: set, read back, compare; every ON carries a timer that switches off again unless renewed.

A command the device accepts is not a load that is switched, and a timer it accepts is not one that runs: both are read
back. The state is set absolutely, never toggled; an OFF never carries a timer, because that one would switch *on*.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import ceil
from typing import Any

import httpx

from loadctl.actuators.draw import judge_draw
from loadctl.actuators.shelly import answers, care
from loadctl.actuators.shelly.answers import About, Json, Relay
from loadctl.actuators.shelly.options import ShellyOptions, base_url
from loadctl.core.values import Command, Load, Report
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable

_PATIENCE_S = 10.0  # a whole request with its login; httpx's own time-outs start anew with each byte
_SPACING_GEN1_S, _SPACING_S = 1.0, 0.5  # rest between requests: the ESP8266 of Gen1 chokes on less


class _Stranger(Refused):
    """Another device has the address; `relay` as it was seen there, if that was asked."""

    relay: Relay | None = None

    def runs_for(self, lease_s: float | None) -> bool:
        """Tell whether its relay is on under a timer of just our lease."""
        return self.relay is not None and self.relay.on and lease_s is not None and self.relay.timer_s == lease_s


class Shelly:
    """One relay of a Shelly. On `close` the load is left as it is: with a lease it goes off by itself."""

    Options = ShellyOptions

    def __init__(self, options: ShellyOptions, shared: Shared) -> None:
        self._options = options
        self._clock = shared.clock
        # No idle connections: these devices have only a few and drop them without a word. No proxies for the home.
        self._client = shared.client(
            base_url=base_url(options.host),
            timeout=httpx.Timeout(5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )
        self._line = shared.line(str(base_url(options.host)))
        self._hurry = False
        self._where = f"Shelly {options.host}"
        self._identity = answers.plain_mac(options.mac)
        self._logins: dict[int, httpx.Auth] = {}
        self._asked_at: float | None = None
        self._frame = 0
        self._about: About | None = None  # None: ask it again before anything else
        self._relay: Relay | None = None  # None: not known, look before switching
        self._wanted: bool | None = None

    @property
    def lease_s(self) -> float | None:
        return self._options.lease if self._options.failsafe == "lease" else None

    @property
    def settle_s(self) -> float:
        return 8.0  # a heater draws at once; meters show it a few seconds late

    @property
    def every_s(self) -> float:
        return self._options.every

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        try:
            return self._report(await self._look())
        except DeviceError:
            self._doubt()
            raise

    async def apply(self, command: Command) -> Report:
        """Set, read back, compare. Raises DeviceError; an ON whose timer does not run is taken back first."""
        self._hurry = command.watts <= 0
        try:
            return self._report(await self._switch(command), command)
        except DeviceError:
            self._doubt()
            raise
        finally:
            self._hurry = False

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the channel's settings and at the device around it; changes nothing. Raises DeviceError."""
        relay = await self._look()
        device = await self._meet()
        settings, vitals = await self._settings(device), await self._vitals(device)
        return (
            *care.judge_relay(relay),
            *care.judge_settings(settings, self._options, load),
            judge_draw(load, on=relay.on, watts=relay.watts),
            *care.judge_vitals(vitals, self._options, device.gen, self._clock.wall()),
        )

    async def mend(self, load: Load) -> tuple[Finding, ...]:
        """Set its auto-off timer and its state at power-up where they are wrong. Raises DeviceError."""
        device = await self._meet()
        before = await self._settings(device)
        wish = care.wish(before, self._options, load)
        if wish == care.Wish():
            return ()
        channel = self._options.channel
        await self._rest()
        if device.gen == 1:
            await self._http(f"/settings/relay/{channel}", device, wish.gen1())
        else:
            await self._rpc("Switch.SetConfig", {"id": channel, "config": wish.gen2()}, device)
        return care.mended(wish, before, await self._settings(device))

    async def close(self) -> None:
        await self._client.aclose()

    async def _switch(self, command: Command) -> Relay:
        on = command.watts > 0
        lease_s = self._lease_s(command) if on else None
        before = self._relay
        if on:
            before = before or await self._look()
            if before.on:
                await self._rest()  # a renewal can wait; a switching goes at once
        self._relay = None  # whatever happens from here on, it is not known until read back
        await self._set(on, lease_s)
        try:
            after = await self._look()
        except _Stranger as stranger:
            if on and stranger.runs_for(lease_s):  # it got the ON that was meant for ours: take it back
                with suppress(DeviceError):
                    await self._set(False, None)
            raise
        if after.on is not on:
            raise self._stayed(after)
        if lease_s is not None and not _is_armed(before, after, lease_s):
            await self._take_back(after, lease_s)
            raise Refused(
                f"{self._where}: failsafe not armed: its timer does not run",
                hint="update its firmware; until then only `failsafe: none` would switch it on",
            )
        return after

    def _lease_s(self, command: Command) -> float | None:
        if self._options.failsafe == "none":
            return None
        return float(ceil(command.lease_s or self._options.lease))  # Gen1 counts whole seconds

    def _stayed(self, relay: Relay) -> Refused:
        if relay.errors:
            return Refused(f"{self._where}: its own protection keeps it off: {', '.join(relay.errors)}")
        state = "on" if relay.on else "off"
        return Refused(f"{self._where}: said yes and stayed {state}", hint="see in its app what else switches it")

    async def _take_back(self, relay: Relay, lease_s: float) -> None:
        """Do not leave a load on that would not go off by itself; one under our last timer will."""
        if relay.timer_left_s is None or relay.timer_left_s > lease_s:
            await self._set(False, None)

    async def _set(self, on: bool, lease_s: float | None) -> None:
        self._wanted = on
        device = await self._meet()
        if device.gen == 1:
            query = {"turn": "on" if on else "off"} | ({} if lease_s is None else {"timer": f"{lease_s:.0f}"})
            await self._http(f"/relay/{self._options.channel}", device, query)
            return
        timer = {} if lease_s is None else {"toggle_after": lease_s}
        await self._rpc("Switch.Set", {"id": self._options.channel, "on": on} | timer, device)

    async def _look(self) -> Relay:
        """Read the channel and make sure that it is still the device we know."""
        device = await self._meet()
        await self._rest()
        if device.gen == 1:
            status = await self._http("/status", device)
            relay = answers.gen1_relay(status, device, self._options.channel, self._where)
        else:
            status = await self._rpc("Shelly.GetStatus", {}, device)
            relay = answers.gen2_relay(status, device, self._options.channel, self._where)
        try:
            self._recognise(relay.mac)
        except _Stranger as stranger:
            stranger.relay = relay
            raise
        self._relay = relay
        return relay

    async def _meet(self) -> About:
        """Ask what it is; remembered until something goes wrong."""
        if self._about:
            return self._about
        device = answers.about(_json(await self._ask("GET", "/shelly", None), self._where), self._where)
        self._recognise(device.mac)
        if device.roller is None:  # older firmware of two-relay devices tells its mode in the settings only
            settings = await self._http("/settings", device)
            device = About(device.gen, device.mac, device.model, device.metered, settings.get("mode") == "roller")
        if device.roller:
            raise answers.roller(self._where)
        self._about = device
        return device

    async def _settings(self, device: About) -> care.Settings:
        channel = self._options.channel
        await self._rest()
        if device.gen == 1:
            return care.gen1_settings(await self._http(f"/settings/relay/{channel}", device))
        settings = await self._rpc("Switch.GetConfig", {"id": channel}, device)
        return care.gen2_settings(settings, await self._perhaps("Schedule.List", device), channel)

    async def _vitals(self, device: About) -> care.Vitals:
        await self._rest()
        about = _json(await self._ask("GET", "/shelly", None), self._where)
        await self._rest()
        if device.gen == 1:
            return care.gen1_vitals(about, await self._http("/status", device))
        status = await self._rpc("Shelly.GetStatus", {}, device)
        return care.gen2_vitals(about, status, await self._perhaps("Script.List", device))

    async def _perhaps(self, method: str, device: About) -> Json:
        """Call what not every firmware knows; nothing where it refuses. Raises Unreachable, Garbled."""
        await self._rest()
        try:
            return await self._rpc(method, {}, device)
        except Refused:
            return {}

    def _recognise(self, mac: str) -> None:
        if self._identity and mac != self._identity:
            raise _Stranger(
                f"{self._where}: another device answers there: {mac} instead of {self._identity}",
                hint="give both fixed addresses in the router; if you replaced it, restart loadctl and check `mac`",
            )
        self._identity = mac

    def _doubt(self) -> None:
        self._about = self._relay = None

    async def _rest(self) -> None:
        if self._asked_at is None:
            return
        spacing_s = _SPACING_GEN1_S if self._about and self._about.gen == 1 else _SPACING_S
        if (wait_s := self._asked_at + spacing_s - self._clock.now()) > 0:
            await self._clock.sleep(wait_s)

    async def _http(self, path: str, device: About, query: dict[str, str] | None = None) -> Json:
        """Ask a Gen1 device. Raises DeviceError."""
        response = await self._ask("GET", path, self._login(device), params=query)
        if not response.is_success:
            raise Refused(f"{self._where}: answers {response.status_code} to {path}")
        return _json(response, self._where)

    async def _rpc(self, method: str, params: Json, device: About) -> Json:
        """Call a Gen2+ device by POST /rpc. Raises DeviceError.

        The HTTP status of an error differs between firmwares: what counts is the `error` in the frame.
        """
        self._frame += 1
        frame = {"id": self._frame, "src": "loadctl", "method": method, "params": params}
        response = await self._ask("POST", "/rpc", self._login(device), json=frame)
        answer = _json(response, self._where)
        error = answer if "code" in answer else answer.get("error")
        if isinstance(error, dict):
            code, message = error.get("code"), str(error.get("message") or "no reason given")
            busy = code in {-108, 429}
            raise Refused(
                f"{self._where}: refused {method}: {message[:120]} [{code}]", retry_after_s=10.0 if busy else 0.0
            )
        if not response.is_success:
            raise Refused(f"{self._where}: answers {response.status_code} to {method}")
        if answer.get("id") != self._frame or not isinstance(answer.get("result"), dict):
            raise Garbled(f"{self._where}: its answer to {method} cannot be read")
        return dict(answer["result"])

    async def _ask(self, verb: str, path: str, login: httpx.Auth | None, **content: Any) -> httpx.Response:
        """Send one request. Raises Unreachable, Refused for a wrong login or a device too busy, Garbled."""
        try:
            async with self._line.turn(hurry=self._hurry), asyncio.timeout(_PATIENCE_S):
                response = await self._client.request(verb, path, auth=login, **content)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{self._where}: no answer", hint="is it powered, and in reach of the Wi-Fi?") from error
        except httpx.ConnectError as error:
            raise Unreachable(f"{self._where}: cannot be reached", hint="check power, Wi-Fi and `host`") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self._where}: broke off the connection") from error
        except (httpx.DecodingError, KeyError) as error:  # KeyError: httpx looks up a digest algorithm nobody knows
            raise Garbled(f"{self._where}: its answer cannot be read") from error
        finally:
            self._asked_at = self._clock.now()
        if response.status_code == httpx.codes.UNAUTHORIZED:
            wrong = self._options.password is not None
            raise Refused(
                f"{self._where}: {'wrong password' if wrong else 'asks for a password'}",
                hint="`password` is the one set in its web page, not the one of the cloud account",
            )
        if response.status_code in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
            raise Refused(f"{self._where}: too busy", hint="something else asks it too often", retry_after_s=10.0)
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

    def _report(self, relay: Relay, command: Command | None = None) -> Report:
        return Report(
            load=command.load if command else "",
            read_at=self._clock.now(),
            command_id=command.id if command else None,
            on=relay.on,
            watts=relay.watts,
            source=answers.source(relay, self._wanted, self.lease_s is not None),
            identity=relay.mac,
            lease_left_s=relay.timer_left_s if relay.on else None,
            available=not relay.errors,
            detail=", ".join(relay.errors),
        )


def _is_armed(before: Relay | None, after: Relay, lease_s: float) -> bool:
    """Whether the timer we asked for runs: of our length, and started anew since `before` or still nearly whole.

    Starts are only compared with each other: they are on the device's own clock. Old Gen1 firmware tells none, some
    devices keep whole seconds; a timer that was not renewed in time shows two thirds of the lease.
    """
    if after.timer_s is not None and abs(after.timer_s - lease_s) > 0.5:
        return False
    if after.timer_started_at is not None and before and after.timer_started_at != before.timer_started_at:
        return True
    return after.timer_left_s is not None and lease_s * 5 / 6 <= after.timer_left_s <= lease_s + 1


def _json(response: httpx.Response, where: str) -> Json:
    try:
        body = response.json()
    except (ValueError, RecursionError) as error:
        raise Garbled(f"{where}: does not answer like a Shelly", hint="check `host`") from error
    if not isinstance(body, dict):
        raise Garbled(f"{where}: does not answer like a Shelly", hint="check `host`")
    return body
