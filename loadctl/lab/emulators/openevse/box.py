"""An emulated OpenEVSE: the HTTP API of its ESP32 gateway, its claims and its current shaper, with a car at the cable.

Facts: OpenEVSE/openevse_esp32_firmware 4.2 to 5.1 (api.yml; src/web_server*.cpp, evse_man.cpp, current_shaper.cpp) and
open_evse/J1772EvseController.h for the states.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.openevse.claims import (
    API,
    LIMIT,
    LIMIT_CLIENT,
    MANUAL,
    MANUAL_CLIENT,
    SHAPER_CLIENT,
    Claim,
    Claims,
    Json,
    as_the_chip_reads,
)
from loadctl.lab.emulators.openevse.shaper import Shaper
from loadctl.lab.emulators.shelly.wire import Asked, Fault, Wire

_NUDGE_S = 60.0  # a pause so short looks to a sleepy car like its plug pulled and put in again


class EmulatedOpenEvse:
    """A single-phase 240 V box as they hang in US garages. Attributes may be changed at any time.

    `lag_s`: how long its controller takes to do what the gateway tells it. `fault_state`: one of the states 4 to 14.
    The car must live on this box's time: its clock is taken over.
    """

    def __init__(
        self,
        car: Car | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        password: str | None = None,
        mac: str = "A8:03:2A:00:00:01",
        serial: str = "01a8032a",
        firmware: str = "5.1.5",
        shaper: bool = False,
        lag_s: float = 0.2,
    ) -> None:
        self.clock = clock
        self.car = car or Car(clock, phases=1, most_a=40.0, volts=240.0)
        self.username, self.password = "openevseadmin", password
        self.mac, self.serial, self.firmware, self.lag_s = mac, serial, firmware, lag_s
        self.phases, self.volts = 1, 240.0
        self.default_state = "active"
        self.min_a, self.soft_a, self.hard_a = 6, 32, 48
        self.fault_state: int | None = None
        self.temperature_c: float | None = 41.5
        self.rssi = -58
        self.tells_power = True
        self.controller_answers = True
        self.deaf_settings = False  # says yes to new settings and keeps the old ones
        self.config: Json = {
            "current_shaper_enabled": shaper,
            "current_shaper_max_pwr": 60_000 if shaper else 0,
            "current_shaper_data_maxinterval": 115 if shaper else 120,
            "current_shaper_min_pause_time": 300,
            "heartbeat_interval": 5,
            "heartbeat_current": 6,
            "divert_enabled": False,
            "mqtt_enabled": False,
            "mqtt_live_pwr": "",
            "ocpp_enabled": False,
            "pause_uses_disabled": False,
        }
        self.fault: Fault | None = None
        self.pilots: list[tuple[float, int]] = []  # (when, amps; 0 A: paused), as the car was shown them
        self._now = clock()
        self._catching = False
        self._on, self._pilot_a = True, self.soft_a
        self._config_version = 1
        self._due_at = math.inf  # when the controller does what the claims come to
        self._boot()
        self.car.clock = self._time
        routes = [
            Route("/status", self._guarded(self._status), methods=["GET", "POST"]),
            Route("/config", self._guarded(self._config), methods=["GET", "POST"]),
            Route("/claims", self._guarded(self._show_claims)),
            Route("/claims/target", self._guarded(self._show_target)),
            Route("/claims/{client}", self._guarded(self._claim), methods=["GET", "POST", "DELETE"]),
            Route("/override", self._guarded(self._override), methods=["GET", "POST", "DELETE", "PATCH"]),
            Route("/shaper", self._guarded(self._set_shaper), methods=["POST"]),
            Route("/restart", self._guarded(self._restart), methods=["POST"]),
        ]
        self.app = Wire(Starlette(routes=routes), clock, lambda: self.fault)

    @property
    def on(self) -> bool:
        """Whether the car may charge."""
        self._catch_up()
        return self._on and self.fault_state is None

    @property
    def pilot_a(self) -> int:
        self._catch_up()
        return self._pilot_a

    @property
    def claims(self) -> dict[int, Claim]:
        self._catch_up()
        return dict(self._claims.held)

    @property
    def requests(self) -> list[Asked]:
        return self.app.asked

    @property
    def state(self) -> int:
        """The controller's state, as `/status` tells it."""
        self._catch_up()
        if self.fault_state is not None:
            return self.fault_state
        if not self._on:
            return 255 if self.config["pause_uses_disabled"] else 254
        if not self.car.plugged:
            return 1
        return 3 if self.car.charging else 2

    def override(self, state: str | None = None, charge_current: int | None = None) -> None:
        """A person at the box's own page; it ends when the car is unplugged."""
        self.hold(MANUAL_CLIENT, Claim(MANUAL, state, charge_current, auto_release=True))

    def reach_limit(self) -> None:
        """The session limit that its owner set has come."""
        self.hold(LIMIT_CLIENT, Claim(LIMIT, "disabled", auto_release=True))

    def hold(self, client: int, claim: Claim | None) -> None:
        """Make or (None) release a claim as one of the box's own parts does."""
        self._catch_up()
        self._hold(client, claim)

    def reboot(self) -> None:
        """Restart the gateway: claims live in its memory only, the controller keeps its last state till told anew."""
        self._catch_up()
        self._boot()

    def trip(self, state: int | None) -> None:
        """A protection of the controller; None: it is well again."""
        self._catch_up()
        self.fault_state = state
        self._offer()

    def _boot(self) -> None:
        self._claims = Claims()
        self._booted_at = self._now
        self._shaper = Shaper(self._now, on=bool(self.config["current_shaper_enabled"]))
        self._paused_at: float | None = None
        self._was_plugged = self.car.plugged
        self._changed()

    # Time: what the box does by itself happens at its second, whenever somebody looks.

    def _time(self) -> float:
        """Time for the car: while the box catches up, the car lives in the box's past."""
        if not self._catching:
            self._catch_up()
        return self._now

    def _catch_up(self) -> None:
        if self._catching:
            return
        self._catching = True
        now = self.clock()
        try:
            while (at := min(self._due_at, self._shaper_at())) <= now:
                self._now = max(self._now, at)
                if at == self._due_at:
                    self._due_at = math.inf
                    self._follow()
                else:
                    self._hold(SHAPER_CLIENT, self._shaper.step(at, self.min_a))
            self._now = now
            if self._was_plugged and not self.car.plugged and self._claims.unplugged():
                self._changed()
            self._was_plugged = self.car.plugged
        finally:
            self._catching = False

    def _shaper_at(self) -> float:
        silence_s = 360.0 if self._is_old else float(self.config["current_shaper_data_maxinterval"])
        return self._shaper.next_at(self._now, silence_s)

    def _hold(self, client: int, claim: Claim | None) -> None:
        if self._claims.put(client, claim):
            self._changed()

    def _changed(self) -> None:
        self._due_at = self._now + self.lag_s

    def _wants_on(self) -> bool:
        return (self._claims.best("state")[1] or self.default_state) == "active"

    def _follow(self) -> None:
        """The controller does what the claims come to. A current below the least is raised to it."""
        limits = [self._claims.best(key)[1] for key in ("max_current", "charge_current")]
        was_on, self._on = self._on, self._wants_on()
        self._pilot_a = max(self.min_a, min([self.soft_a, *(amps for amps in limits if amps is not None)]))
        if was_on and not self._on:
            self._paused_at = self._now
        self._offer()
        short = self._paused_at is not None and self._now - self._paused_at <= _NUDGE_S
        if self._on and not was_on and short and self.car.asleep:
            self.car.wake()

    def _offer(self) -> None:
        amps = self._pilot_a if self._on and self.fault_state is None else 0
        if not self.pilots or self.pilots[-1][1] != amps:
            self.pilots.append((self._now, amps))
        self.car.offer(float(amps), self.phases)

    # The pages

    def _guarded(self, answer: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not self._knows(request.headers.get("authorization", "")):
                return PlainTextResponse("", 401, {"WWW-Authenticate": 'Basic realm="openevse-0001"'})
            body = await request.body()
            self._catch_up()
            response = answer(request, body)
            self._catch_up()
            return response

        return endpoint

    def _knows(self, header: str) -> bool:
        if self.password is None:
            return True
        try:
            login = base64.b64decode(header.removeprefix("Basic "), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(login, f"{self.username}:{self.password}".encode())

    def _status(self, request: Request, body: bytes) -> Response:
        if request.method == "POST":
            told = _parsed(body)
            if told is None:
                return _said("Could not parse JSON", 400)
            if "shaper_live_pwr" in told and self.fault is not Fault.LIE:
                self._feed(float(told["shaper_live_pwr"]))
            return JSONResponse(told)
        state = self.state
        charging = state == 3
        amps = self.car.currents[0] if charging else 0.0
        uptime_s = int(self._now - self._booted_at)
        temperature = False if self.temperature_c is None else self.temperature_c * 10
        page = {
            "mode": "STA",
            "wifi_client_connected": 1,
            "net_connected": 1,
            "ipaddress": "192.168.1.50",
            "macaddress": self.mac,
            "mqtt_connected": 0,
            "ocpp_connected": 0,
            "rapi_connected": int(self.controller_answers),
            "evse_connected": int(self.controller_answers),
            "amp": round(amps * 1000),
            "voltage": self.volts,
            "power": amps * self.volts * self.phases,
            "pilot": self._pilot_a,
            "max_current": self.soft_a,
            "temp": temperature,
            "temp_max": temperature,
            "temp1": temperature,
            "temp2": False,
            "temp3": False,
            "temp4": False,
            "state": state,
            "status": "active" if self._wants_on() else "disabled",
            "flags": 256 if self.car.plugged else 0,
            "vehicle": int(self.car.plugged),
            "manual_override": int(MANUAL_CLIENT in self._claims.held),
            "divertmode": 1,
            "srssi": self.rssi,
            "uptime": uptime_s,
            "session_elapsed": uptime_s,
            "session_energy": round(self.car.session_wh, 2),
            "total_energy": round(self.car.drawn_wh / 1000, 3),
            "elapsed": uptime_s,
            "wattsec": round(self.car.session_wh * 3600),
            "watthour": round(self.car.drawn_wh),
            "gfcicount": 0,
            "nogndcount": 0,
            "stuckcount": 0,
            "grid_ie": 0,
            "divert_active": False,
            "shaper": int(self._shaper.on),
            "shaper_live_pwr": self._shaper.live_w,
            "shaper_cur": self.soft_a,
            "shaper_updated": self._shaper.fed,
            "service_level": 2,
            "limit": LIMIT_CLIENT in self._claims.held,
            "ota_update": 0,
            "vehicle_state_update": 0,
            "config_version": self._config_version,
            "claims_version": self._claims.version,
            "override_version": self._claims.overrides,
        }
        untold = ({"macaddress"} if self._is_old else set()) | (set() if self.tells_power else {"power"})
        return JSONResponse({key: value for key, value in page.items() if key not in untold})

    def _config(self, request: Request, body: bytes) -> Response:
        if request.method == "POST":
            told = _parsed(body)
            if told is None:
                return _said("Could not parse JSON", 400)
            known = {key: value for key, value in told.items() if self._settings().get(key, value) != value}
            if known and not self.deaf_settings:
                starts = known.pop("default_state", self.default_state == "active")
                self.default_state = "active" if starts else "disabled"
                self.config |= known
                self._config_version += 1
                self._switch_shaper(on=bool(self.config["current_shaper_enabled"]))
                self._changed()
            reply = {"config_version": self._config_version, "msg": "done" if known else "no change"}
            return JSONResponse(reply)
        return JSONResponse(self._settings())

    def _settings(self) -> Json:
        page = {
            "firmware": "8.2.3",
            "protocol": "-",
            "buildenv": "openevse_wifi_v1",
            "version": self.firmware,
            "evse_serial": "0000000000",
            "wifi_serial": self.serial,
            "hostname": "openevse-0001",
            "www_username": "",
            "www_password": "_DUMMY_PASSWORD" if self.password else "",
            "diode_check": True,
            "gfci_check": True,
            "ground_check": True,
            "relay_check": True,
            "vent_check": True,
            "temp_check": True,
            "service": 2,
            "scale": 220,
            "offset": 0,
            "max_current_soft": self.soft_a,
            "min_current_hard": self.min_a,
            "max_current_hard": self.hard_a,
            "is_threephase": self.phases == 3,
            "default_state": self.default_state == "active",
        } | self.config
        if self._is_old:
            del page["current_shaper_data_maxinterval"]
        return page

    def _show_claims(self, _request: Request, _body: bytes) -> Response:
        return JSONResponse(self._claims.shown())

    def _show_target(self, _request: Request, _body: bytes) -> Response:
        return JSONResponse(self._claims.target(self.default_state))

    def _claim(self, request: Request, body: bytes) -> Response:
        client = as_the_chip_reads(request.path_params["client"])
        held = self._claims.held.get(client)
        if request.method == "POST":
            wanted = _parsed(body)
            if wanted is None:
                return _said("Could not parse JSON", 400)
            if self.fault is Fault.REFUSE or not self._claims.room_for(client):
                return _said("Could not make claim", 400)
            if self.fault is not Fault.LIE:
                self._hold(client, Claim.told(API, wanted, auto_release=False))
            return _said("done")
        if held is None:
            return _said("Not found", 404)
        if request.method == "DELETE":
            self._hold(client, None)
            return _said("done")
        return JSONResponse({"priority": held.priority} | held.shown())

    def _override(self, request: Request, body: bytes) -> Response:
        held = self._claims.held.get(MANUAL_CLIENT)
        if request.method == "GET":
            return JSONResponse(held.shown() if held else {})
        if request.method == "POST":
            wanted = _parsed(body)
            if wanted is None:
                return _said("Failed to parse JSON", 400)
            self._hold(MANUAL_CLIENT, Claim.told(MANUAL, wanted, auto_release=True))
            return _said("Created", 201)
        if request.method == "PATCH":
            flipped = Claim(MANUAL, "disabled" if self._wants_on() else "active", auto_release=True)
            self._hold(MANUAL_CLIENT, None if held else flipped)
            return _said("Updated")
        if held is None:
            return _said("Failed to release manual override", 500)
        self._hold(MANUAL_CLIENT, None)
        return _said("Deleted")

    def _set_shaper(self, _request: Request, body: bytes) -> Response:
        self._switch_shaper(on=parse_qs(body.decode(errors="replace")).get("shaper") == ["1"])
        return PlainTextResponse("Current Shaper state changed")

    def _switch_shaper(self, *, on: bool) -> None:
        if on:
            self._shaper.on = True
        else:
            self._shaper.stop()
            self._hold(SHAPER_CLIENT, None)

    def _restart(self, _request: Request, body: bytes) -> Response:
        device = (_parsed(body) or {}).get("device")
        if device != "gateway":
            return _said("device not found", 404)
        self._boot()
        return _said("restart gateway")

    def _feed(self, live_w: float) -> None:
        left_w = float(self.config["current_shaper_max_pwr"]) - live_w
        self._shaper.tell(live_w, left_w / self.volts / self.phases + self.car.currents[0])

    @property
    def _is_old(self) -> bool:
        return self.firmware.startswith("4.")


def _parsed(body: bytes) -> Json | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _said(message: str, status: int = 200) -> Response:
    return JSONResponse({"msg": message}, status)
