"""What a go-e answers, as one value for both of its APIs. No I/O.

Facts: github.com/goecharger go-eCharger-API-v2 (http-en, API_KEYS_FIRMWARE) and go-eCharger-API-v1; what the vendor's
engineers say in its issues (135: a key without a setter may be accepted and ignored; 188: the lowest limit counts;
312: firmware 60 answers 400 with the right body where it does not know one of the keys; 321: `nrg` all 0 in 60.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadctl.actuators.numbers import number
from loadctl.errors import Garbled

Json = dict[str, Any]

NEUTRAL, FORCED_OFF, FORCED_ON = 0, 1, 2  # `frc`
KEYS_V2 = ("sse", "car", "frc", "amp", "psm", "alw", "acu", "ama", "err", "modelStatus", "nrg", "pha", "rbt")

_NO_CAR, _CHARGING, _WAITING, _COMPLETE = 1, 2, 3, 4  # `car`
_DRAWS_A = 1.0  # a car that charges takes far more; a sleeping charger's filter far less

# Codes above 9 moved between firmwares: the number is all that can be told of them.
_ERRORS = {
    1: "residual current (AC)",
    2: "residual current (DC)",
    3: "phase fault",
    4: "overvoltage",
    5: "overcurrent",
    6: "diode in the car's pilot",
    7: "cable coding",
    8: "no earth",
    9: "contactor stuck",
}
STALE = 4  # still what the last `frc=1` said: the box thinks once a second
_PASSING = frozenset({22, 23, 24, 29, 40})  # unplugs for show, switches phases, rests: it goes on by itself
_REASONS = {
    1: "too hot",
    2: "waits for a card or the app to unlock it",
    4: "it is switched off in its app",
    5: "its scheduler",
    6: "its energy limit is reached",
    26: "an error of its own",
    27: "its load management",
    28: "its OCPP backend",
    30: "the adapter blocks it",
    31: "the grid's frequency is too low",
    32: "too uneven a load on the phases",
    35: "its OCPP backend is away",
    38: "the grid's voltage is too low",
    41: "its own failsafe limit",
}


@dataclass(frozen=True, slots=True)
class Box:
    """The box and the car as last seen.

    `on`: the car is let charge, if perhaps not at this moment; `allowed`: at this moment. `forced`: v2's `frc`.

    `phases_set`: 1 or 3, None: left to the box, or not told. `fed`: how many phases reach the box. `allowed_a`: what
    the lowest of all its limits leaves, None while nothing is allowed. `error`, `blocked`: why it cannot charge.
    """

    serial: str
    on: bool
    allowed: bool
    forced: int | None
    amps: int
    phases_set: int | None
    fed: int
    allowed_a: float | None
    most_a: int
    connected: bool | None
    charging: bool
    complete: bool
    watts: float | None
    currents: tuple[float, float, float] | None
    error: str
    blocked: str
    reason: int | None
    uptime_ms: float | None

    @property
    def drawing(self) -> bool:
        """Whether current flows, as far as can be known."""
        return self.charging or self.using is not None

    @property
    def using(self) -> int | None:
        """On how many phases the car draws; None: on none, or not measured."""
        return sum(amps >= _DRAWS_A for amps in self.currents) or None if self.currents else None

    @property
    def offers(self) -> int:
        """How many phases the car is offered."""
        return min(self.phases_set or self.fed, self.fed)

    def is_off(self) -> bool:
        """Whether it is told not to charge, and does not."""
        return not self.on and self.forced in {None, FORCED_OFF}

    def psm(self) -> int:
        """`phases_set` in v2's words."""
        return {None: 0, 1: 1}.get(self.phases_set, 2)


def v2_box(body: Json, where: str) -> Box:
    """Read `/api/status`, filtered by KEYS_V2. Raises Garbled."""
    serial, allowed, forced = body.get("sse"), body.get("alw"), _whole(body.get("frc"))
    amps, car = _whole(body.get("amp")), _whole(body.get("car"))
    if not isinstance(serial, str) or not isinstance(allowed, bool) or forced is None or amps is None:
        raise _unreadable(where)
    if "car" not in body:
        raise _unreadable(where)
    reason = _whole(body.get("modelStatus"))
    measured = _numbers(body.get("nrg"))
    told = forced == FORCED_ON and not allowed and reason not in _PASSING and reason is not None
    return _box(
        car=car,
        err=_whole(body.get("err")) or 0,
        serial=serial,
        on=allowed or forced == FORCED_ON,
        allowed=allowed,
        forced=forced,
        amps=amps,
        phases_set={1: 1, 2: 3}.get(_whole(body.get("psm")) or 0),
        fed=_fed([value is True for value in _list(body.get("pha"))][3:]),
        allowed_a=number(body.get("acu"), 1e15) if allowed else None,
        most_a=_whole(body.get("ama")) or 32,
        watts=measured[11] if measured else None,
        currents=(measured[4], measured[5], measured[6]) if measured else None,
        blocked=_REASONS.get(reason or 0, f"reason {reason}") if told else "",
        reason=reason,
        uptime_ms=number(body.get("rbt"), 1e15),
    )


def v1_box(body: Json, where: str) -> Box:
    """Read `/status`, in which all but `nrg` are numbers in strings. Raises Garbled."""
    serial, allowed, amps, car = body.get("sse"), _digits(body, "alw"), _digits(body, "amp"), _digits(body, "car")
    if not isinstance(serial, str) or allowed is None or amps is None or car is None:
        raise _unreadable(where)
    measured = _numbers(body.get("nrg"))
    pha = _digits(body, "pha") or 0
    return _box(
        car=car,
        err=_digits(body, "err") or 0,
        serial=serial,
        on=allowed == 1,
        allowed=allowed == 1,
        forced=None,
        amps=amps,
        phases_set=None,
        fed=_fed([bool(pha & bit) for bit in (8, 16, 32)]),
        allowed_a=float(amps) if allowed == 1 else None,
        most_a=_digits(body, "ama") or 32,
        watts=measured[11] * 10 if measured else None,  # in 0.01 kW
        currents=(measured[4] / 10, measured[5] / 10, measured[6] / 10) if measured else None,
        blocked="",
        reason=None,
        uptime_ms=_digits(body, "rbt"),
    )


def refusals(answer: Mapping[str, object], keys: Mapping[str, int | bool]) -> tuple[str, ...]:
    """What `/api/set` says of keys that it did not take: true for each it took, else a sentence."""
    told = {key: answer.get(key) for key in keys}
    return tuple(
        str(value)[:120] if value else f"{key} is not known" for key, value in told.items() if value is not True
    )


def _box(*, car: int | None, err: int, on: bool, **fields: Any) -> Box:
    """Both APIs number the car's states alike; without a car nothing is on."""
    connected = {_NO_CAR: False, _CHARGING: True, _WAITING: True, _COMPLETE: True}.get(car or 0)
    charging = car == _CHARGING
    error = "" if charging else f"error: {_ERRORS.get(err, f'code {err}')}" if err else ""
    if not error and connected is None:
        error = "it starts up" if car == 6 else "it cannot tell about the car: an error of its own"
    return Box(
        on=on and connected is not False,
        connected=connected,
        charging=charging,
        complete=car == _COMPLETE,
        error=error,
        **fields,
    )


def _fed(lines: list[bool]) -> int:
    return sum(lines) or 3


def _numbers(value: object) -> list[float] | None:
    """`nrg`, or None where its meter is silent: a box that answers has a mains voltage."""
    numbers = [number(item, 1e15) for item in _list(value)]
    known = [item for item in numbers if item is not None]
    return known if len(known) == len(numbers) >= 12 and any(known[:4]) else None


def _digits(body: Json, key: str) -> int | None:
    value = body.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        return int(value)
    return _whole(value)


def _whole(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e15
    return value if known else None  # type: ignore[return-value]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _unreadable(where: str) -> Garbled:
    return Garbled(f"{where}: its status cannot be read", hint="is it a go-e? update its firmware, check `host`")
