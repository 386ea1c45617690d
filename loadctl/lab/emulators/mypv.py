"""An emulated my-PV heater with its tank: Modbus TCP registers and the pages of its web server.

Facts: my-PV "Documentation of Controls" (register lists, status codes, `/control.html`), pages of real devices in
public issue threads. What it is told dies after its power timeout; what it shows as power is what it draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadctl.lab.emulators.shelly.wire import Asked, Fault, Wire

Model = Literal["AC ELWA 2", "AC ELWA-E", "AC THOR 9s"]
HTTP, MODBUS = 1, 2  # control types

_COUNTS: dict[Model, int] = {"AC ELWA 2": 82, "AC ELWA-E": 26, "AC THOR 9s": 80}
_STANDBY, _HEATING, _BOOST, _FULL, _NO_CONTROL = range(5)
_ELWA_E_STATUS = {_STANDBY: 3, _HEATING: 2, _BOOST: 4, _FULL: 5, _NO_CONTROL: 1}
_WH_PER_LITRE_KELVIN = 1.163
_STEP_S = 10.0


@dataclass
class Tank:
    """Water that is mixed at all times and loses `loss_w` for each kelvin above the room."""

    litres: float = 200.0
    celsius: float = 40.0
    room_celsius: float = 20.0
    loss_w: float = 1.5

    def pass_time(self, heat_w: float, seconds: float) -> None:
        """Heat it for a while."""
        gain_w = heat_w - self.loss_w * (self.celsius - self.room_celsius)
        self.celsius += gain_w * seconds / 3600 / (self.litres * _WH_PER_LITRE_KELVIN)


class EmulatedMyPv:
    """`heater_w` is what hangs on it; an AC THOR 9s takes set-points as shares of 9 kW. Attributes may be changed.

    `control`: the control type, what comes another way is taken and ignored. `boost`: it runs its own programme.
    `error`: a status from 200 on. It follows a set-point after `lag_s` and heats to `target_celsius`, then rests until
    the water is 3 K colder. `tells_settings`: shows `/setup.jsn` to everybody.
    """

    first = 1000
    unit = 1

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        model: Model = "AC ELWA 2",
        heater_w: float = 3000.0,
        tank: Tank | None = None,
        serial: str = "1601502401180042",
        control: int = MODBUS,
        timeout_s: int = 60,
    ) -> None:
        self.clock = clock
        self.model: Model = model
        self.heater_w = heater_w
        self.tank = tank or Tank()
        self.serial = serial
        self.control = control
        self.timeout_s = timeout_s
        self.target_celsius = 60.0
        self.boost = False
        self.blocked = False
        self.error = 0
        self.lag_s = 1.0
        self.broken = False  # the heater itself: nothing flows
        self.deaf_settings = False  # says yes to new settings and keeps the old ones
        self.tells_settings = True
        self.fault: Fault | None = None
        self.told: list[tuple[float, int]] = []  # each set-point that came, obeyed or not
        self._energy_wh = 0.0
        self._wanted_w, self._wanted_at = 0.0, -1e9
        self._before_w = 0.0
        self._rests = False
        self._counted_at = clock()
        routes = [
            Route("/mypv_dev.jsn", self._about),
            Route("/data.jsn", self._data),
            Route("/setup.jsn", self._setup),
            Route("/control.html", self._control),
        ]
        self.app = Wire(Starlette(routes=routes), clock, lambda: self.fault)

    @property
    def watts(self) -> float:
        """What it draws now."""
        self._catch_up()
        return self._drawn_w(self.clock())

    @property
    def celsius(self) -> float:
        self._catch_up()
        return self.tank.celsius

    @property
    def energy_wh(self) -> float:
        """What it has drawn since it was made."""
        self._catch_up()
        return self._energy_wh

    @property
    def requests(self) -> list[Asked]:
        """What its web server was asked."""
        return self.app.asked

    @property
    def hangs(self) -> bool:
        return self.fault is Fault.HANG

    # --- Modbus ---

    def registers(self) -> list[int]:
        """Return the holding registers from 1000 on."""
        found = [0] * _COUNTS[self.model]

        def put(address: int, value: float) -> None:
            if address - self.first < len(found):
                found[address - self.first] = round(value) & 0xFFFF

        put(1000, self.watts)
        put(1001, self.celsius * 10)
        put(1002, self.target_celsius * 10)
        put(1003, self._status())
        put(1004, self.timeout_s)
        put(1014, self._most_w())
        for n, pair in enumerate(zip(self.serial[0::2], self.serial[1::2], strict=True)):
            put(1018 + n, int.from_bytes("".join(pair).encode("ascii"), "big"))
        put(1060, self.heater_w)
        put(1070, self.control)
        put(1074, self.watts / (3 if self.model == "AC THOR 9s" else 1))
        put(1077, self._operation())
        return found

    def write(self, address: int, value: int) -> bool:
        """Take a new value for a register; False where it is not allowed."""
        if address == 1000:
            self._tell(value, MODBUS)
            return True
        if address == 1004 and 10 <= value <= 600:
            self._set_timeout(value)
            return True
        return False

    # --- HTTP ---

    async def _about(self, _request: Request) -> Response:
        return JSONResponse({"device": self.model, "sn": self.serial, "fwversion": "e0002500", "number": "1"})

    async def _data(self, _request: Request) -> Response:
        if self.fault is Fault.REFUSE:
            return PlainTextResponse("Unauthorized", 401)
        body: dict[str, Any] = {
            "device": self.model,
            "temp1": round(self.celsius * 10),
            "boostactive": int(self.boost),
            "blockactive": int(self.blocked),
            "ctrlstate": "HTTP Control" if self.control == HTTP else "Modbus Read received",
        }
        watts, operation = round(self.watts), self._operation()
        if self.model == "AC ELWA-E":
            powers = {"power": 0 if self.boost else watts, "boostpower": watts if self.boost else 0}
            body |= powers | {"status": self._status()}
        elif self.model == "AC ELWA 2":
            body |= {"power_elwa2": watts, "power_nominal": round(self.heater_w), "power_max": round(self._most_w())}
            body |= {"screen_mode_flag": operation, "temp2": 0} | ({"status": self.error} if self.error else {})
        else:
            body |= {"power_act": None, "power_ac9": watts, "load_nom": round(self.heater_w), "load_state": "1"}
            body |= {"screen_mode_flag": operation, "temp2": None, "error_state": self.error}
        return JSONResponse(body)

    async def _setup(self, request: Request) -> Response:
        if not self.tells_settings:
            return PlainTextResponse("Unauthorized", 401)
        asked = request.query_params.get("tout", "")
        if asked.isdigit() and 10 <= int(asked) <= 600:
            self._set_timeout(int(asked))
        return JSONResponse(
            {"devmode": 1, "tout": self.timeout_s, "ctrl": self.control, "ww1target": round(self.target_celsius * 10)}
        )

    async def _control(self, request: Request) -> Response:
        if (asked := request.query_params.get("power", "")).isdigit():
            self._tell(int(asked), HTTP)
        kind = "HTTP" if self.control == HTTP else "Modbus"
        return PlainTextResponse(f"Power={self.watts:.0f}\r\nState={self._operation()}\r\nControl State={kind}\r\n")

    # --- what it does ---

    def _tell(self, watts: int, way: int) -> None:
        now = self.clock()
        self.told.append((now, watts))
        if way != self.control or self.fault is Fault.LIE:
            return
        self._catch_up()
        if now - self._wanted_at >= self.lag_s:  # one that comes faster than it follows does not begin anew
            self._before_w = self._drawn_w(now)
        self._wanted_w, self._wanted_at = float(watts), now

    def _set_timeout(self, seconds: int) -> None:
        self._catch_up()
        if not self.deaf_settings:
            self.timeout_s = seconds

    def _heard(self, at: float) -> bool:
        return at - self._wanted_at < self.timeout_s

    def _drawn_w(self, at: float) -> float:
        if self.error or self.blocked or self.broken:
            return 0.0
        if self.boost:
            return self.heater_w
        if self._rests or not self._heard(at):
            return 0.0
        if at - self._wanted_at < self.lag_s:
            return self._before_w
        share = self.heater_w / 9000 if self.model == "AC THOR 9s" else 1.0
        return min(self._wanted_w * share, self.heater_w)

    def _operation(self) -> int:
        now = self.clock()
        self._catch_up()
        if self.boost:
            return _BOOST
        if not self._heard(now):
            return _NO_CONTROL
        if self._wanted_w > 0 and self._rests:
            return _FULL
        heats = self._drawn_w(now) > 0 or (self._wanted_w > 0 and now - self._wanted_at >= self.lag_s)
        return _HEATING if heats and not self.broken else _STANDBY

    def _status(self) -> int:
        if self.error:
            return self.error
        if self.blocked:
            return 22
        return _ELWA_E_STATUS[self._operation()] if self.model != "AC THOR 9s" else 9

    def _most_w(self) -> float:
        return 9000.0 if self.model == "AC THOR 9s" else self.heater_w

    def _catch_up(self) -> None:
        now = self.clock()
        ends = (self._wanted_at + self.lag_s, self._wanted_at + self.timeout_s)
        while self._counted_at < now:
            until = min([now, self._counted_at + _STEP_S, *(end for end in ends if end > self._counted_at)])
            watts = self._drawn_w(self._counted_at)
            self.tank.pass_time(watts, until - self._counted_at)
            self._energy_wh += watts * (until - self._counted_at) / 3600
            self._counted_at = until
            if self.tank.celsius >= self.target_celsius:
                self._rests = True
            elif self.tank.celsius < self.target_celsius - 3:
                self._rests = False
