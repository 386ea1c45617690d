"""An emulated Gen1 Shelly: plain HTTP GET, Basic login. Facts: shelly-api-docs.shelly.cloud/gen1."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadctl.lab.emulators.shelly.light import EmulatedLight
from loadctl.lab.emulators.shelly.relay import EPOCH, EmulatedRelay, Told, first_on, first_switchings, press, requests
from loadctl.lab.emulators.shelly.wire import Fault, Wire

_DEFAULT_STATES = {"off": "off", "on": "on", "last": "last", "switch": "off"}


class EmulatedShellyGen1:
    """`draw` hangs on channel 0; the others' are `relays[n].draw`. Attributes may be changed at any time.

    With `dimmer` its channels are `lights`, each with its relay among `relays`; `draw` is then the power at 100 %.
    """

    on = Told(first_on)
    switchings = Told(first_switchings)
    requests = Told(requests)
    press = press

    def __init__(
        self,
        draw: Callable[[], float] = lambda: 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        channels: int = 1,
        meters: int | None = None,
        password: str | None = None,
        mac: str = "E868E7AA0001",
        model: str | None = None,
        firmware: str = "20230913-113421/v1.14.0-gcb84623",
        dimmer: bool = False,
    ) -> None:
        self.clock = clock
        draws = [draw if n == 0 else lambda: 0.0 for n in range(channels)]
        self.lights = [EmulatedLight(clock, full) for full in draws] if dimmer else []
        self.relays = [light.relay for light in self.lights] or [EmulatedRelay(clock, each) for each in draws]
        self.meters = channels if meters is None else meters
        self.username, self.password = "admin", password
        self.mac, self.firmware = mac, firmware
        self.model = model or ("SHDM-2" if dimmer else "SHPLG-S")
        self.mode: str | None = None  # "relay" or "roller" on a device that can be both
        self.tells_mode = True  # in /shelly too, as firmware from 1.12 on does
        self.tells_timer_start = True  # the first firmware tells only what is left
        self.overtemperature = False
        self.rssi = -61
        self.update: str | None = None  # a newer firmware that is ready
        self.cloud = False
        self.scheduled = False
        self.deaf_settings = False  # says yes to new settings and keeps the old ones
        self.fault: Fault | None = None
        self._booted_at = clock()
        routes = [
            Route("/shelly", self._shelly),
            Route("/status", self._guarded(self._status)),
            Route("/settings", self._guarded(self._settings)),
            Route(f"/settings/{'light' if dimmer else 'relay'}/{{channel:int}}", self._guarded(self._channel_settings)),
            Route(f"/{'light' if dimmer else 'relay'}/{{channel:int}}", self._guarded(self._channel)),
            Route("/reboot", self._guarded(self._reboot)),
        ]
        self.app = Wire(Starlette(routes=routes), clock, lambda: self.fault)

    def reboot(self) -> None:
        self._booted_at = self.clock()
        for relay in self.relays:
            relay.reboot()

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not self._knows(request.headers.get("authorization", "")):
                headers = {"WWW-Authenticate": f'Basic realm="{self._id()}"'}
                return PlainTextResponse("401 Unauthorized", 401, headers)
            return answer(request)

        return endpoint

    def _knows(self, header: str) -> bool:
        if self.password is None:
            return True
        try:
            login = base64.b64decode(header.removeprefix("Basic "), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(login, f"{self.username}:{self.password}".encode())

    async def _shelly(self, _request: Request) -> Response:
        body = {
            "type": self.model,
            "mac": self.mac,
            "auth": self.password is not None,
            "fw": self.firmware,
            "discoverable": True,
            "num_outputs": len(self.relays),
            "num_meters": self.meters,
        }
        if self.mode:
            body |= {"num_rollers": 1} | ({"mode": self.mode} if self.tells_mode else {})
        return JSONResponse(body)

    def _status(self, _request: Request) -> Response:
        now = self.clock()
        shown = max(1, self.meters)  # one without a meter shows a meter all the same
        return JSONResponse(
            {
                "wifi_sta": {"connected": True, "ssid": "home", "ip": "192.168.1.40", "rssi": self.rssi},
                "cloud": {"enabled": self.cloud, "connected": self.cloud},
                "mqtt": {"connected": False},
                "unixtime": int(EPOCH + now),
                "has_update": self.update is not None,
                "mac": self.mac,
                **self._channels(self._shown),
                "meters": [self._meter(relay) for relay in self.relays[:shown]],
                "temperature": 96.5 if self.overtemperature else 41.5,
                "overtemperature": self.overtemperature,
                "update": {
                    "status": "pending" if self.update else "idle",
                    "has_update": self.update is not None,
                    "new_version": self.update or self.firmware,
                    "old_version": self.firmware,
                },
                "uptime": int(now - self._booted_at),
            }
        )

    def _meter(self, relay: EmulatedRelay) -> dict[str, Any]:
        total = int(relay.energy_wh * 60)  # watt-minutes
        return {"power": round(relay.watts, 2), "is_valid": True, "overpower": 0.0, "total": total, "counters": [0.0]}

    def _settings(self, _request: Request) -> Response:
        device = {"type": self.model, "mac": self.mac, "hostname": self._id(), "num_outputs": len(self.relays)}
        body = {
            "device": device,
            "login": {"enabled": self.password is not None, "unprotected": False, "username": self.username},
            "name": None,
            "fw": self.firmware,
            "max_power": self.relays[0].limit_w or 0,
            **self._channels(self._shown_settings),
        }
        if self.lights:
            light = self.lights[0]
            night = {"start_time": "00:00", "end_time": "00:00", "brightness": light.night_percent or 10}
            body["night_mode"] = {"enabled": light.night_percent is not None} | night
            body |= {"transition": round(light.ramp_s * 1000), "min_brightness": round(light.least_percent)}
        return JSONResponse(body | ({"mode": self.mode} if self.mode else {}))

    def _channels(self, shown: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        return {"lights" if self.lights else "relays": [shown(n) for n in range(len(self.relays))]}

    def _channel_settings(self, request: Request) -> Response:
        channel = request.path_params["channel"]
        if channel >= len(self.relays):
            return PlainTextResponse("Not found", 404)
        relay = self.relays[channel]
        if self.deaf_settings:
            return JSONResponse(self._shown_settings(channel))
        try:
            if "auto_off" in request.query_params:
                relay.auto_off_s = float(request.query_params["auto_off"]) or None
            if "default_state" in request.query_params:
                relay.initial = _DEFAULT_STATES[request.query_params["default_state"]]
        except (KeyError, ValueError):
            return PlainTextResponse("Bad value", 400)
        return JSONResponse(self._shown_settings(channel))

    def _channel(self, request: Request) -> Response:
        channel = request.path_params["channel"]
        if channel >= len(self.relays):
            return PlainTextResponse("Not found", 404)
        relay = self.relays[channel]
        turn, brightness = request.query_params.get("turn"), request.query_params.get("brightness")
        if turn is None and (brightness is None or not self.lights):
            return JSONResponse(self._shown(channel))
        if self.fault is Fault.REFUSE or self.mode == "roller":
            return PlainTextResponse("Not allowed now", 400)
        try:
            timer_s = int(request.query_params.get("timer", "0"))
            on = {"on": True, "off": False, "toggle": not relay.on, None: relay.on}[turn]
            percent = None if brightness is None else min(100, max(1, int(brightness)))
        except (KeyError, ValueError):
            return PlainTextResponse("Bad turn", 400)
        if self.fault is not Fault.LIE:
            if self.lights and percent is not None:
                self.lights[channel].dim(percent)
            if turn is not None:
                relay.set(on, "http", timer_s or None)
        return JSONResponse(self._shown(channel))

    def _reboot(self, _request: Request) -> Response:
        self.reboot()
        return JSONResponse({"ok": True})

    def _shown(self, channel: int) -> dict[str, Any]:
        relay = self.relays[channel]
        timer = relay.timer
        left = 0.0 if timer is None else max(0.0, timer.ends_at - self.clock())
        began = {
            "timer_started": int(EPOCH + timer.started_at) if timer else 0,
            "timer_duration": round(timer.lasts_s) if timer else 0,
        }
        return {
            "ison": relay.on,
            "has_timer": timer is not None,
            **(began if self.tells_timer_start else {}),
            "timer_remaining": round(left),
            "source": relay.source,
            **(self._dimmed(channel) if self.lights else {"overpower": "overpower" in relay.errors}),
        }

    def _dimmed(self, channel: int) -> dict[str, Any]:
        light = self.lights[channel]
        return {"mode": "white", "brightness": round(light.brightness), "transition": round(light.ramp_s * 1000)}

    def _shown_settings(self, channel: int) -> dict[str, Any]:
        relay = self.relays[channel]
        return {
            "ison": relay.on,
            "has_timer": relay.timer is not None,
            "default_state": relay.initial,
            "btn_type": "toggle",
            "auto_on": relay.auto_on_s or 0.0,
            "auto_off": relay.auto_off_s or 0.0,
            "max_power": relay.limit_w or 0,
            "schedule": self.scheduled,
        }

    def _id(self) -> str:
        return f"{'shellydimmer2' if self.lights else 'shellyplug-s'}-{self.mac[-6:]}"
