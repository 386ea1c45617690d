"""What my-PV heaters tell, as values. No I/O.

Facts: my-PV "Documentation of Controls" for AC ELWA 2, AC ELWA-E and AC•THOR (Modbus register lists, HTTP) and pages of
real devices in public issue threads. What a device draws stands where the set-point is written: register 1000 and
`power_…` are never an echo of what was set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from loadctl.actuators.numbers import written
from loadctl.errors import Garbled

Json = dict[str, Any]

POWER = 1000
TIMEOUT = 1004
FIRST = 1000
LONG, SHORT = 78, 26  # registers 1000 to 1077; an AC ELWA-E has only the first ones
_TEMPERATURES = (1001, 1030, 1031)
_STATUS, _MOST, _SERIAL, _CONTROL, _OPERATION = 1003, 1014, 1018, 1070, 1077
_SERIAL_WORDS = 8


class State(StrEnum):
    """What the heater does."""

    STANDBY = "standby"
    HEATING = "heating"
    BOOST = "boost"  # its own programme: hot water by the clock, legionella
    FULL = "full"  # the water is as hot as its owner wants it
    DEAF = "deaf"  # no set-point reaches it
    DISABLED = "disabled"
    BLOCKED = "blocked"
    FAULT = "fault"


CONTROLS = {1: "HTTP", 2: "Modbus TCP"}

# `operation`: register 1077, `screen_mode_flag`; `status`: register 1003, `status`, where an AC•THOR only tells that
# it runs (9). From 200 on it is an error of the power stage.
_BY_OPERATION = {0: State.STANDBY, 1: State.HEATING, 2: State.BOOST, 3: State.FULL, 4: State.DEAF}
_BY_STATUS = {1: State.DEAF, 2: State.HEATING, 3: State.STANDBY, 4: State.BOOST, 5: State.FULL}
_ALWAYS = {20: State.BOOST, 21: State.DISABLED, 22: State.BLOCKED}
_ERRORS = {
    201: "its safety thermostat has tripped",
    202: "its power stage is too hot",
    203: "its power stage's temperature probe fails",
    204: "its hardware fails",
    205: "its temperature sensor fails",
    209: "its mainboard fails",
}


@dataclass(frozen=True, slots=True)
class Heater:
    """One look at it. `code`: its number of a fault. `celsius`: its sensors in their order, None where there is none.

    `timeout_s`: its power timeout, `control`: its control type as a number, `most_w`: the most it can set; None: it
    does not tell.
    """

    state: State
    watts: float
    celsius: tuple[float | None, ...] = ()
    code: int = 0
    timeout_s: float | None = None
    control: int | None = None
    most_w: float | None = None
    serial: str = ""

    @property
    def trouble(self) -> str:
        """Why it cannot heat at all; empty if it can."""
        if self.state is State.FAULT:
            return _ERRORS.get(self.code, f"it reports error {self.code}")
        return {State.DISABLED: "it is switched off in its own settings", State.BLOCKED: "it is blocked"}.get(
            self.state, ""
        )


def from_registers(registers: Sequence[int]) -> Heater:
    """Read the holding registers from 1000 on, LONG or SHORT of them."""

    def at(address: int) -> int | None:
        index = address - FIRST
        return registers[index] if index < len(registers) else None

    status = at(_STATUS) or 0
    operation = at(_OPERATION)
    letters = b"".join(word.to_bytes(2, "big") for word in registers[_SERIAL - FIRST :][:_SERIAL_WORDS])
    return Heater(
        state=_state(status, operation, registers[0], blocked=False),
        watts=float(registers[0]),
        celsius=tuple(_celsius(at(address)) for address in _TEMPERATURES),
        code=status,
        timeout_s=_timeout(at(TIMEOUT)),
        control=at(_CONTROL) or None,
        most_w=float(at(_MOST) or 0) or None,
        serial=letters.decode("ascii", "ignore").strip("\0 "),
    )


def from_pages(data: Json, setup: Json, serial: str, where: str) -> Heater:
    """Read `/data.jsn`, with what `/setup.jsn` told (nothing where it did not). Raises Garbled."""
    powers = [written(data.get(key)) for key in ("power_elwa2", "power_ac9s", "power_ac9", "power_act", "power")]
    watts = next((power for power in powers if power is not None), None)
    if watts is None:
        raise Garbled(f"{where}: does not tell what it draws", hint="no my-PV heater; check `host`")
    status, operation = written(data.get("status")), written(data.get("screen_mode_flag"))
    error = int(written(data.get("error_state")) or 0)
    most = (written(data.get(key)) for key in ("power_max", "power_nominal", "load_nom"))
    control = written(setup.get("ctrl"))
    blocked = data.get("blockactive") == 1
    state = _state(int(status or 0), None if operation is None else int(operation), watts, blocked=blocked)
    return Heater(
        state=State.FAULT if error else state,
        watts=watts + (written(data.get("boostpower")) or 0.0),
        celsius=tuple(_celsius(data.get(key)) for key in ("temp1", "temp2", "temp3")),
        code=error or int(status or 0),
        timeout_s=_timeout(setup.get("tout")),
        control=None if control is None else int(control),
        most_w=next((power for power in most if power), None),
        serial=serial,
    )


def _state(status: int, operation: int | None, watts: float, *, blocked: bool) -> State:
    if status >= 200:
        return State.FAULT
    if status in _ALWAYS:
        return _ALWAYS[status]
    if blocked:
        return State.BLOCKED
    known = _BY_STATUS.get(status) if operation is None else _BY_OPERATION.get(operation)
    return known or (State.HEATING if watts > 0 else State.STANDBY)


def _celsius(tenths: object) -> float | None:
    """A temperature in 0.1 °C; 0 and what water cannot be is a sensor that is not there."""
    value = written(tenths)
    if value is None:
        return None
    celsius = (value - 65536 if value >= 32768 else value) / 10
    return celsius if celsius != 0 and -40 < celsius < 150 else None


def _timeout(seconds: object) -> float | None:
    """None: it is not told. A number that cannot be a time-out is told: nothing may be switched on under it."""
    return written(seconds)
