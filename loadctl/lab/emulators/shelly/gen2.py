"""An emulated Gen2+ Shelly: JSON-RPC by GET, POST and WebSocket, digest login.

Facts: shelly-api-docs.shelly.cloud/gen2 (RPCProtocol, Authentication, Switch, Light, Shelly); its shapes are proved
against aioshelly, the client of Home Assistant, in the tests. The WebSocket's upgrade asks for no login, its frames do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from loadctl.lab.emulators.shelly.digest import Digest
from loadctl.lab.emulators.shelly.light import EmulatedLight
from loadctl.lab.emulators.shelly.relay import EPOCH, EmulatedRelay, Told, first_on, first_switchings, press, requests
from loadctl.lab.emulators.shelly.wire import Fault, Wire

_NOTIFY_EVERY_S = 0.05
_OPEN = {"Shelly.GetDeviceInfo"}
_INITIAL = {"off": "off", "on": "on", "restore_last": "last", "match_input": "off"}
Json = dict[str, Any]


class RpcError(Exception):
    """An error frame: `code` and sentence."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body: Json = {"code": code, "message": message}


class EmulatedShellyGen2:
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
        metered: bool = True,
        password: str | None = None,
        reusable_nonces: bool = True,
        mac: str = "A8032AAA0002",
        gen: int = 2,
        dimmer: bool = False,
    ) -> None:
        self.clock = clock
        draws = [draw if n == 0 else lambda: 0.0 for n in range(channels)]
        self.lights = [EmulatedLight(clock, full) for full in draws] if dimmer else []
        self.relays = [light.relay for light in self.lights] or [EmulatedRelay(clock, each) for each in draws]
        self.metered = metered
        self.password = password
        self.mac, self.gen = mac, gen
        self.id = f"{'shelly0110dimg3' if dimmer else 'shellyplus1pm'}-{mac.lower()}"
        self._component = "Light" if dimmer else "Switch"
        self.profile: str | None = None  # "switch" or "cover" on a device that can be both
        self.knows_time = True
        self.rssi = -58
        self.firmware = "20241011-114455/1.4.4-g6d2a586"
        self.update: str | None = None  # a newer firmware that is ready
        self.cloud = False
        self.input_mode = "follow"
        self.jobs: list[Json] = []  # of its schedule
        self.scripts: list[Json] = []
        self.deaf_settings = False  # says yes to new settings and keeps the old ones
        self.fault: Fault | None = None
        self.calls: list[tuple[str, Json]] = []  # every method with its arguments, however it came in
        self._digest = Digest(self.id, reusable=reusable_nonces)
        self._booted_at = clock()
        self._boots = 0
        self._full = 0
        self._methods: dict[str, Callable[[Json], Json | None]] = {
            "Shelly.GetDeviceInfo": lambda _: self._info(),
            "Shelly.GetStatus": lambda _: self._status(),
            "Shelly.GetConfig": lambda _: self._config(),
            "Shelly.ListMethods": lambda _: {"methods": sorted(self._methods)},
            "Shelly.GetComponents": lambda _: {"components": [], "cfg_rev": 1, "offset": 0, "total": 0},
            "Shelly.Reboot": self._reboot,
            "Schedule.List": lambda _: {"jobs": self.jobs, "rev": 1},
            "Script.List": lambda _: {"scripts": self.scripts},
            "Sys.GetStatus": lambda _: self._sys(),
            "Wifi.GetStatus": lambda _: self._wifi(),
            f"{self._component}.GetStatus": lambda params: self._channel(*self._found(params)),
            f"{self._component}.GetConfig": lambda params: self._channel_config(*self._found(params)),
            f"{self._component}.SetConfig": self._set_config,
            f"{self._component}.Set": self._set_light if dimmer else self._set,
            f"{self._component}.Toggle": lambda params: self._set(params | {"on": not self._found(params)[1].on}),
        }
        routes = [
            Route("/shelly", self._shelly),
            Route("/rpc", self._post_frame, methods=["POST"]),
            Route("/rpc/{method}", self._call_by_path, methods=["GET", "POST"]),
            WebSocketRoute("/rpc", self._socket),
        ]
        self.app = Wire(Starlette(routes=routes), clock, lambda: self.fault)

    def reboot(self) -> None:
        """A power cut: sockets close, timers are gone."""
        self._booted_at = self.clock()
        self._boots += 1
        for relay in self.relays:
            relay.reboot()

    def notify_full(self) -> None:
        """Push the whole status to every open socket, as a device does that has just woken up."""
        self._full += 1

    # --- HTTP ---

    async def _shelly(self, _request: Request) -> Response:
        return JSONResponse(self._info())

    async def _call_by_path(self, request: Request) -> Response:
        """GET with the arguments in the query or POST with them as body; a bare result or a bare error comes back."""
        method = request.path_params["method"]
        if (challenge := self._challenge(request, method)) is not None:
            return challenge
        params = {name: _literal(value) for name, value in request.query_params.items()}
        try:
            if request.method == "POST":
                params = json.loads(await request.body() or b"{}")
            return JSONResponse(self._call(method, params, "HTTP_in"))
        except ValueError:
            return JSONResponse({"code": -103, "message": "Invalid JSON!"}, 400)
        except RpcError as error:
            return JSONResponse(error.body, 404 if error.body["code"] in {404, -105} else 500)

    async def _post_frame(self, request: Request) -> Response:
        try:
            frame = json.loads(await request.body())
        except ValueError:
            return JSONResponse({"code": -103, "message": "Invalid JSON!"}, 400)
        if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
            return JSONResponse({"code": -103, "message": "Missing required argument 'method'!"}, 400)
        if (challenge := self._challenge(request, frame["method"])) is not None:
            return challenge
        return JSONResponse(self._answer(frame, "HTTP_in"))

    def _challenge(self, request: Request, method: str) -> Response | None:
        if self.password is None or method in _OPEN:
            return None
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        header = request.headers.get("authorization", "")
        if self._digest.knows(header, request.method, target, self.password):
            return None
        return Response(status_code=401, headers={"WWW-Authenticate": self._digest.header()})

    # --- WebSocket ---

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept()
        peer = asyncio.get_running_loop().create_future()
        pushing = asyncio.create_task(self._push(socket, peer))
        try:
            while True:
                frame = json.loads(await socket.receive_text())
                await socket.send_json(self._answer_in_socket(frame))
                if frame.get("src") and not peer.done():
                    peer.set_result(frame["src"])
        except (WebSocketDisconnect, RuntimeError, ValueError):
            pass  # gone, closed by a reboot, or no JSON
        finally:
            pushing.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await pushing

    def _answer_in_socket(self, frame: Json) -> Json:
        allowed = self.password is None or frame.get("method") in _OPEN
        if allowed or self._digest.knows_frame(frame.get("auth"), str(self.password)):
            return self._answer(frame, "WS_in")
        return self._envelope(frame) | {"error": {"code": 401, "message": self._digest.message()}}

    async def _push(self, socket: WebSocket, peer: asyncio.Future[str]) -> None:
        """Tell the peer what changes, once it has said who it is."""
        dst, boots, full = await peer, self._boots, self._full
        told = self._notable()
        while self._boots == boots:
            await asyncio.sleep(_NOTIFY_EVERY_S)
            now = self._notable()
            frame: Json = {"src": self.id, "dst": dst}
            if self._full != full:
                full = self._full
                await socket.send_json(frame | {"method": "NotifyFullStatus", "params": self._status()})
            elif changes := {key: now[key] for key in now if now[key] != told[key]}:
                params = {"ts": EPOCH + self.clock()} | changes
                await socket.send_json(frame | {"method": "NotifyStatus", "params": params})
            told = now
        await socket.close()

    def _notable(self) -> Json:
        keys = {"id", "output", "source", "apower", "errors", "timer_started_at", "timer_duration", "brightness"}
        return {
            key: {name: value for name, value in part.items() if name in keys} for key, part in self._channels().items()
        }

    # --- RPC ---

    def _answer(self, frame: Json, source: str) -> Json:
        envelope = self._envelope(frame)
        try:
            return envelope | {"result": self._call(str(frame.get("method")), frame.get("params") or {}, source)}
        except RpcError as error:
            return envelope | {"error": error.body}

    def _envelope(self, frame: Json) -> Json:
        return {"id": frame.get("id"), "src": self.id} | ({"dst": frame["src"]} if "src" in frame else {})

    def _call(self, method: str, params: Json, source: str) -> Json | None:
        if method not in self._methods or (self.profile == "cover" and method.startswith("Switch.")):
            raise RpcError(404, f"No handler for {method}")
        if not isinstance(params, dict):
            raise RpcError(-103, "Invalid argument 'params'!")
        self.calls.append((method, params))
        switches = method in {f"{self._component}.Set", f"{self._component}.Toggle"}
        return self._methods[method](params | {"source": source} if switches else params)

    def _reboot(self, _params: Json) -> Json:
        self.reboot()
        return {}

    def _found(self, params: Json) -> tuple[int, EmulatedRelay]:
        if "id" not in params:
            raise RpcError(-103, "Missing required argument 'id'!")
        channel = params["id"]
        if not isinstance(channel, int) or not 0 <= channel < len(self.relays):
            raise RpcError(-105, f"Argument 'id', value {channel} not found!")
        return channel, self.relays[channel]

    def _set(self, params: Json) -> Json:
        _, relay = self._found(params)
        on, timer_s = params.get("on"), params.get("toggle_after")
        if not isinstance(on, bool):
            raise RpcError(-103, "Missing required argument 'on'!" if on is None else "Invalid argument 'on'!")
        if timer_s is not None and (isinstance(timer_s, bool) or not isinstance(timer_s, int | float) or timer_s < 0):
            raise RpcError(-103, "Invalid argument 'toggle_after'!")
        if self.fault is Fault.REFUSE:
            raise RpcError(-109, "Failed precondition: not allowed now!")
        was_on = relay.on
        if self.fault is not Fault.LIE:
            relay.set(on, str(params["source"]), timer_s)
        return {"was_on": was_on}

    def _set_light(self, params: Json) -> None:
        channel, relay = self._found(params)
        on, percent = params.get("on"), params.get("brightness")
        if on is None and percent is None:
            raise RpcError(-103, "Missing required argument 'on' or 'brightness'!")
        if percent is not None and (not isinstance(percent, int | float) or not 0 <= percent <= 100):
            raise RpcError(-103, "Invalid argument 'brightness'!")
        self._set(params | {"on": relay.on if on is None else on})
        if percent is not None and self.fault is not Fault.LIE:
            self.lights[channel].dim(percent)

    def _set_config(self, params: Json) -> Json:
        channel, relay = self._found(params)
        config = params.get("config")
        if not isinstance(config, dict):
            raise RpcError(-103, "Missing required argument 'config'!")
        if config.get("initial_state", "off") not in _INITIAL:
            raise RpcError(-103, "Invalid argument 'initial_state'!")
        if self.deaf_settings:
            return {"restart_required": False}
        if "initial_state" in config:
            relay.initial = _INITIAL[config["initial_state"]]
        if "auto_off" in config:
            relay.auto_off_s = float(config.get("auto_off_delay", 60.0)) if config["auto_off"] else None
        if "power_limit" in config:
            relay.limit_w = config["power_limit"]
        if self.lights and "transition_duration" in config:
            self.lights[channel].ramp_s = config["transition_duration"]
        return {"restart_required": False}

    # --- what it shows ---

    def _info(self) -> Json:
        model, app = ("SNSW-001P16EU", "Plus1PM") if self.metered else ("SNSW-001X16EU", "Plus1")
        if self.lights:
            model, app = "S3DM-0010WW", "Dimmer0110VPMG3"
        body: Json = {
            "name": None,
            "id": self.id,
            "mac": self.mac,
            "slot": 0,
            "model": model,
            "gen": self.gen,
            "fw_id": self.firmware,
            "ver": self.firmware.partition("/")[2].partition("-")[0],
            "app": app,
            "auth_en": self.password is not None,
            "auth_domain": self.id if self.password is not None else None,
        }
        return body | ({"profile": self.profile} if self.profile else {})

    def _status(self) -> Json:
        return {
            "ble": {},
            "cloud": {"connected": self.cloud},
            "mqtt": {"connected": False},
            "sys": self._sys(),
            "wifi": self._wifi(),
            "ws": {"connected": False},
        } | self._channels()

    def _sys(self) -> Json:
        now = self.clock()
        return {
            "mac": self.mac,
            "restart_required": False,
            "time": None,
            "unixtime": int(EPOCH + now) if self.knows_time else None,
            "uptime": int(now - self._booted_at),
            "cfg_rev": 1,
            "available_updates": {"stable": {"version": self.update}} if self.update else {},
        }

    def _wifi(self) -> Json:
        return {"sta_ip": "192.168.1.41", "status": "got ip", "ssid": "home", "rssi": self.rssi}

    def _channels(self) -> Json:
        if self.profile == "cover":
            return {"cover:0": {"id": 0, "source": "init", "state": "stopped", "apower": 0.0}}
        return {f"{self._component.lower()}:{n}": self._channel(n, relay) for n, relay in enumerate(self.relays)}

    def _channel(self, channel: int, relay: EmulatedRelay) -> Json:
        body: Json = {"id": channel, "source": relay.source, "output": relay.on}
        if self.metered:
            watts = relay.watts
            body |= {"apower": round(watts, 1), "voltage": 230.0, "current": round(watts / 230, 3)}
            body["aenergy"] = {
                "total": round(relay.energy_wh, 3),
                "by_minute": [0.0, 0.0, 0.0],
                "minute_ts": int(EPOCH),
            }
        if relay.timer:
            started_at = round(EPOCH + relay.timer.started_at, 2)
            body |= {"timer_started_at": started_at, "timer_duration": relay.timer.lasts_s}
        if relay.errors:
            body["errors"] = list(relay.errors)
        if self.lights:
            light = self.lights[channel]
            body["brightness"] = round(light.level, 1)
            if light.moving_since is not None:
                target = {"output": relay.on, "brightness": light.brightness}
                started_at = round(EPOCH + light.moving_since, 2)
                body["transition"] = {"target": target, "started_at": started_at, "duration": light.ramp_s}
        return body | {"temperature": {"tC": 41.3, "tF": 106.3}}

    def _config(self) -> Json:
        channels = {
            f"{self._component.lower()}:{n}": self._channel_config(n, relay) for n, relay in enumerate(self.relays)
        }
        device = {"name": None, "mac": self.mac, "fw_id": self._info()["fw_id"]}
        return {"sys": {"device": device, "cfg_rev": 1}, "wifi": {"sta": {"ssid": "home", "enable": True}}} | channels

    def _channel_config(self, channel: int, relay: EmulatedRelay) -> Json:
        shown = {ours: theirs for theirs, ours in reversed(_INITIAL.items())}
        body = {
            "id": channel,
            "name": None,
            "in_mode": self.input_mode,
            "initial_state": shown[relay.initial],
            "auto_on": relay.auto_on_s is not None,
            "auto_on_delay": relay.auto_on_s or 60.0,
            "auto_off": relay.auto_off_s is not None,
            "auto_off_delay": relay.auto_off_s or 60.0,
        } | ({"power_limit": relay.limit_w or 4480} if self.metered else {})
        if not self.lights:
            return body
        light = self.lights[channel]
        night = {"brightness": light.night_percent or 50, "active_between": ["00:00", "23:59"]}
        return body | {
            "transition_duration": light.ramp_s,
            "min_brightness_on_toggle": 3,
            "night_mode": {"enable": light.night_percent is not None} | night,
            "range_map": list(light.span),
            "op_mode": int(light.one_to_ten),
        }


def _literal(text: str) -> Any:
    """A query argument: JSON where it is JSON, text where not."""
    try:
        return json.loads(text)
    except ValueError:
        return text
