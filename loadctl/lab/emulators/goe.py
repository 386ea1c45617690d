"""An emulated go-e wallbox with a car at its cable: HTTP API v2 and v1.

Facts: github.com/goecharger go-eCharger-API-v2 (http-en, introduction-en, API_KEYS_FIRMWARE) and go-eCharger-API-v1;
what its vendor's engineers and owners say in the issues: a key that cannot be set is answered with a sentence and 500
(4), one that the firmware does not know makes a status a 400 with the right body (312), the lowest limit counts (188).
Another program's client, goecharger-api-lite, judges the shapes of v2 in the tests.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from math import floor
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loadctl.lab.emulators.car import Car
from loadctl.lab.emulators.shelly.wire import Asked, Fault, Wire

_ECO = 4  # `lmo`
_TCL_LASTS_S = 600.0
_OK, _NO_CAR, _CHARGING, _WAITING, _COMPLETE, _ERROR = 0, 1, 2, 3, 4, 5
_NOT_FOUND = PlainTextResponse("This URI does not exist", 404)

Json = dict[str, Any]


class EmulatedGoE:
    """The box decides once a second, as the real one. `apis`: which are switched on in its app.

    Settings are attributes, named like the API's keys; `set(frc=1)` is a hand in its app. `writes` counts what was
    written to the flash, by key. The box keeps the car's time: whoever looks at one lets both catch up.
    """

    def __init__(
        self,
        car: Car | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        apis: tuple[str, ...] = ("v1", "v2"),
        serial: str = "063421",
        fed: int = 3,
    ) -> None:
        self.clock = clock
        self.car = car or Car(clock)
        self.apis, self.serial, self.fed = apis, serial, fed
        self.firmware = "60.5"
        self.frc, self.amp, self.psm = 0, 16, 2
        self.ama, self.cbl, self.amt = 16, 32, 32
        self.lmo, self.acs, self.acp = 3, 0, True
        self.dwo: float | None = None
        self.tcl: int | None = None
        self.trx: int | None = None
        self.su, self.sumd = False, 10_000
        self.mcpd, self.mptwt = 0, 10_000
        self.err, self.rssi = 0, -61
        self.mute = False  # its meter says nothing but zeros, as in firmware 60.4
        self.fault: Fault | None = None
        self.writes: Counter[str] = Counter()
        self.boots = 1
        self._amx: int | None = None
        now = self._thought_at = self._booted_at = clock()
        self._stepping: float | None = None
        self._allowed, self._reason, self._acu = True, 15, self.amp
        self._relays = fed  # phases behind the contactor
        self._switching_until = self._tcl_until = now
        self._unplugged_until: float | None = None  # shows the car no pilot until then
        self._paused_at = now - 1e9
        self._plugged, self._has_charged = self.car.plugged, False
        self.car.clock = self._time
        self._think(now)
        routes = [
            Route("/api/status", self._v2(self._status)),
            Route("/api/set", self._v2(self._set)),
            Route("/status", self._v1(lambda _: self._v1_status())),
            Route("/mqtt", self._v1(self._v1_set)),
        ]
        self.app = Wire(Starlette(routes=routes), clock, lambda: self.fault)

    @property
    def requests(self) -> list[Asked]:
        return self.app.asked

    @property
    def allowed(self) -> bool:
        """Whether the car may charge at this moment."""
        self._run()
        return self._allowed

    @property
    def watts(self) -> float:
        return self.car.watts

    @property
    def session_wh(self) -> float:
        return self.car.session_wh

    def set(self, **settings: Any) -> None:
        """Change settings from this moment on."""
        self._run()
        for key, value in settings.items():
            if key == "tcl":
                self._tcl_until = self.clock() + _TCL_LASTS_S
            elif getattr(self, key) != value:
                self.writes[key] += 1
            if key == "amp":
                self._amx = None
            setattr(self, key, value)

    def reboot(self) -> None:
        """Power off and on: the volatile current is forgotten, settings stay."""
        self._run()
        self.boots += 1
        self._booted_at = self.clock()
        self._amx = self.tcl = None
        self._think(self.clock())

    def _time(self) -> float:
        """The car's clock: whoever looks at the car makes the box catch up first."""
        if self._stepping is not None:
            return self._stepping
        self._run()
        return self.clock()

    def _run(self) -> None:
        """Think at every full second since the last look."""
        now = self.clock()
        while (at := floor(self._thought_at) + 1.0) <= now:
            self._think(at)

    def _think(self, at: float) -> None:
        self._stepping = self._thought_at = at
        if self.car.plugged != self._plugged:
            self._plugged, self._has_charged = not self._plugged, False
            if not self.car.plugged:
                self.frc, self.trx = 0, None  # what was forced ends with the session
        self._has_charged = self._has_charged or self.car.charging
        if at >= self._tcl_until:
            self.tcl = None
        self._switch_phases(at)
        self._allow(at)
        limits = [self._amx or self.amp, self.ama, self.cbl, self.amt] + ([self.tcl] if self.tcl else [])
        self._acu = min(limits)
        self.car.offer(float(self._acu) if self._allowed else 0.0, self._relays)
        self._stepping = None

    def _allow(self, at: float) -> None:
        before, shown_off = self._allowed, self._unplugged_until
        if shown_off is not None and at >= shown_off:
            self._unplugged_until = None
            self.car.wake()
        allowed, reason = self._decide(at)
        if allowed and not before and self.su and self._has_charged and shown_off is None:
            self._unplugged_until = at + self.sumd / 1000
            allowed, reason = False, 22
        if before and not allowed:
            self._paused_at = at
        self._allowed, self._reason = allowed, reason

    def _switch_phases(self, at: float) -> None:
        """Switch between one phase and all: without load, and only some time after it began to flow no more."""
        wanted = 1 if self.psm == 1 else self.fed
        if wanted == self._relays:
            self._switching_until = at
            return
        if self._switching_until <= at and self.car.charging:
            self._switching_until = at + self.mptwt / 1000
        elif self._switching_until <= at:
            self._relays = wanted

    def _decide(self, at: float) -> tuple[bool, int]:
        """Whether the car may charge, and why: `modelStatus`."""
        if self._unplugged_until is not None:
            return False, 22
        if self.err:
            return False, 26
        if self.acs == 1 and self.trx is None:
            return False, 2
        if self.frc == 1:
            return (False, 4) if self.acp else (True, 20)
        if self._switching_until > at:
            return False, 23
        if at - self._paused_at < self.mcpd / 1000:
            return False, 24
        if self.dwo is not None and self.car.session_wh >= self.dwo:
            return False, 6
        if self.frc == 2:
            return True, 3
        return (False, 17) if self.lmo == _ECO else (True, 15)

    def _v2(self, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        return self._guarded("v2", answer)

    def _v1(self, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        return self._guarded("v1", answer)

    def _guarded(self, api: str, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            self._run()
            return answer(request) if api in self.apis else _NOT_FOUND

        return endpoint

    def _status(self, request: Request) -> Response:
        values, asked = self._values(), request.query_params.get("filter")
        if asked is None:
            return JSONResponse(values)
        keys = [key for key in asked.split(",") if key]
        known = {key: values[key] for key in keys if key in values}
        return JSONResponse(known, 200 if len(known) == len(set(keys)) else 400)

    def _values(self) -> Json:
        return {
            "sse": self.serial,
            "fna": "garage",
            "oem": "go-e",
            "typ": "go-eCharger_V4",
            "var": 22 if self.ama > 16 else 11,
            "fwv": self.firmware,
            "car": self._car_state(),
            "err": self.err,
            "frc": self.frc,
            "amp": self._amx or self.amp,
            "psm": self.psm,
            "alw": self._allowed,
            "acu": self._acu if self._allowed else None,
            "acp": self.acp,
            "acs": self.acs,
            "ama": self.ama,
            "amt": self.amt,
            "cbl": self.cbl if self.car.plugged else None,
            "dwo": self.dwo,
            "eto": round(self.car.drawn_wh),
            "fup": False,
            "lmo": self.lmo,
            "loe": False,
            "mca": 6,
            "mcpd": self.mcpd,
            "modelStatus": self._reason,
            "mptwt": self.mptwt,
            "nrg": self._measured(),
            "ocppe": False,
            "ocppf": None,
            "pha": [n < self._relays and self._allowed and self.car.charging for n in range(3)]
            + [n < self.fed for n in range(3)],
            "pnp": sum(amps > 0 for amps in self.car.currents),
            "rbc": self.boots,
            "rbt": round((self.clock() - self._booted_at) * 1000),
            "rssi": self.rssi,
            "su": self.su,
            "sua": False,
            "sumd": self.sumd,
            "tcl": self.tcl,
            "tma": [31.5, 33.25],
            "trx": self.trx,
            "ust": 0,
            "wh": round(self.car.session_wh, 3),
        }

    def _measured(self) -> list[float]:
        if self.mute:
            return [0.0] * 16
        amps, volts = self.car.currents, self.car.volts
        mains = [volts if n < self.fed else 0.0 for n in range(3)]
        powers = [round(a * volts, 1) for a in amps]
        factors = [100.0 if a else 0.0 for a in amps]
        return [*mains, 0.0, *(round(a, 2) for a in amps), *powers, 0.0, round(sum(powers), 1), *factors, 0.0]

    def _car_state(self) -> int:
        if self.err:
            return _ERROR
        if not self.car.plugged:
            return _NO_CAR
        if self.car.charging:
            return _CHARGING
        return _COMPLETE if self._has_charged else _WAITING

    def _set(self, request: Request) -> Response:
        answers = {key: self._take(key, text) for key, text in request.query_params.items()}
        return JSONResponse(answers, 200 if all(answer is True for answer in answers.values()) else 500)

    def _take(self, key: str, text: str) -> bool | str:
        """Take one key; true, or a sentence why not."""
        if self.fault is Fault.REFUSE:
            return f"{key}: not now"
        if key not in _SETTERS:
            return f"{key}: tried to set api key without setter ({text})"
        try:
            value = json.loads(text)
        except ValueError:
            return f"{key}: could not parse json"
        if not _SETTERS[key](value) or (key == "amp" and value > self.ama):
            return f"{key}: value out of range ({text})"
        if self.fault is Fault.LIE:
            return True
        if key == "rst":
            self.reboot()
        else:
            self.set(**{key: value})
        return True

    def _v1_status(self) -> Response:
        """Everything is a number in a string but the meter, in the units of v1."""
        volts, amps, watts = self._measured()[:4], self._measured()[4:7], self._measured()[7:12]
        plain = {
            "rbc": self.boots,
            "rbt": round((self.clock() - self._booted_at) * 1000),
            "car": min(self._car_state(), _COMPLETE),
            "amp": self._amx or self.amp,
            "err": self.err,
            "ast": self.acs,
            "alw": int(self._allowed),
            "stp": 0,
            "cbl": self.cbl if self.car.plugged else 0,
            "pha": sum(8 << n for n in range(self.fed)) + sum(1 << n for n in range(3) if self.car.currents[n]),
            "tmp": 31,
            "dws": round(self.car.session_wh * 360),
            "adi": 0,
            "eto": round(self.car.drawn_wh / 100),
            "wst": 3,
            "fwv": "041.0",
            "sse": self.serial,
            "ama": self.ama,
        }
        meter = [
            *(round(v) for v in volts),
            *(round(a * 10) for a in amps),
            *(round(w / 100) for w in watts[:4]),
            round(watts[4] / 10),
        ]
        body: Json = {"version": "B"} | {key: str(value) for key, value in plain.items()}
        return JSONResponse(body | {"nrg": [*meter, 0, 0, 0, 0]})

    def _v1_set(self, request: Request) -> Response:
        """Take `payload=key=value` if it fits; the answer is the status, with the new value or the old."""
        key, _, text = request.query_params.get("payload", "").partition("=")
        taken = text.isdigit() and self.fault not in {Fault.REFUSE, Fault.LIE}
        if taken and key == "amp" and 6 <= int(text) <= self.ama:
            self.set(amp=int(text))
        if taken and key == "amx" and 6 <= int(text) <= self.ama:
            self._amx = int(text)
        if taken and key == "alw" and text in {"0", "1"}:
            self.set(frc=1 + int(text))
        self._think(self.clock())
        return self._v1_status()


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(*known: object) -> Callable[[object], bool]:
    return lambda value: any(value is item or (_is_whole(value) and value == item) for item in known)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _some(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0)


_SETTERS: dict[str, Callable[[Any], bool]] = {
    "amp": lambda value: _is_whole(value) and value >= 6,
    "frc": _one_of(0, 1, 2),
    "psm": _one_of(0, 1, 2),
    "tcl": lambda value: value is None or (_is_whole(value) and 6 <= value <= 32),
    "ama": lambda value: _is_whole(value) and 6 <= value <= 32,
    "lmo": _one_of(3, 4, 5),
    "acs": _one_of(0, 1),
    "acp": _flag,
    "su": _flag,
    "sumd": _some,
    "mcpd": _some,
    "mptwt": _some,
    "dwo": _some,
    "trx": _some,
    "rst": lambda _: True,
}
