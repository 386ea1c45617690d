"""Heating with a my-PV device: a set-point in watts that dies by itself.

Its own *power timeout* is the lease: not told again within it, the device falls to 0 W. The timeout is a setting of the
device, in flash, and not ours to write every day: it must be what the rule file says, or nothing is switched on.

What was set cannot be read back, only what is drawn; so an ON is confirmed by power that flows, or by the device saying
that it heats or that the water is hot. While it runs its own programme (hot water by the clock, legionella) set-points
do nothing: that is reported as a hand's doing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from loadctl.actuators.mypv import care
from loadctl.actuators.mypv.answers import Heater, State
from loadctl.actuators.mypv.options import MyPvOptions
from loadctl.actuators.mypv.ways import way
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Refused
from loadctl.units import spell

_LOOKS, _PAUSE_S = 6, 1.0  # it takes a second or two to follow
_DRAWS_W = 15.0  # standby of the electronics stays below
_OBEYS = {State.STANDBY, State.HEATING, State.FULL}


@dataclass(frozen=True, slots=True)
class _Told:
    """Our last set-point that arrived."""

    watts: float
    at: float


class MyPv:
    """One my-PV heater. On `close` it is left as it is: it goes off by itself."""

    Options = MyPvOptions
    settle_s = 8.0
    tells = ("temperature",)
    step_share = 0.01
    least_share = 0.02  # below, its own regulation trembles more than it heats
    rise_s = 3.0

    def __init__(self, options: MyPvOptions, shared: Shared) -> None:
        self._options = options
        self._clock = shared.clock
        self._way = way(options, shared)
        self._where = f"my-PV {options.host}"
        self._serial = ""
        self._told: _Told | None = None  # None: nothing since we started, or not known
        self.lease_s = options.lease
        self.every_s = options.every

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        return self._report(await self._look(hurry=False))

    async def apply(self, command: Command) -> Report:
        """Set, look whether it follows. Raises DeviceError; nothing is set where the timeout is not as written."""
        seen = await (self._turn_on(command) if command.watts > 0 else self._turn_off())
        return self._report(seen, command)

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at its state and its settings; changes nothing. Raises DeviceError."""
        return care.judge(await self._look(hurry=False), self._options, load)

    async def mend(self, load: Load) -> tuple[Finding, ...]:  # noqa: ARG002
        """Set its power timeout to the lease of the rule file. Raises DeviceError."""
        before = await self._look(hurry=False)
        if before.timeout_s == self._options.lease:
            return ()
        await self._way.set_timeout(round(self._options.lease))
        return (care.mended(before, await self._look(hurry=False), self._options),)

    async def close(self) -> None:
        await self._way.close()

    async def _turn_on(self, command: Command) -> Heater:
        if self._left_s() <= 0:  # while it obeys us the look that follows is enough
            self._make_sure(await self._look(hurry=False))
        watts = min(command.watts, self._options.rated)
        self._told = None
        await self._way.set_power(int(watts * self._scale + 1e-6))
        self._told = _Told(watts, self._clock.now())
        for _ in range(_LOOKS):
            seen = await self._look(hurry=False)
            self._make_sure(seen)
            if seen.watts > _DRAWS_W or seen.state in {State.HEATING, State.FULL, State.BOOST}:
                return seen
            await self._clock.sleep(_PAUSE_S)
        with suppress(DeviceError):
            await self._way.set_power(0)
        self._told = None
        if seen.state is State.DEAF:
            wanted = "Modbus TCP" if self._options.via == "modbus" else "HTTP"
            raise Refused(
                f"{self._where}: ignores what it is told", hint=f"set its control type to `{wanted}` in its web page"
            )
        raise Refused(f"{self._where}: said yes and draws nothing", hint="is its heater connected and its breaker on?")

    async def _turn_off(self) -> Heater:
        self._told = None
        await self._way.set_power(0, hurry=True)
        self._told = _Told(0.0, self._clock.now())
        for _ in range(_LOOKS):
            seen = await self._look(hurry=True)
            if seen.state is not State.HEATING and seen.watts <= _DRAWS_W:
                return seen
            if seen.state is State.BOOST:
                hint = "change its hot-water times or its legionella programme in its web page"
                raise Refused(f"{self._where}: heats by its own programme", hint=hint)
            await self._clock.sleep(_PAUSE_S)
        raise Refused(f"{self._where}: said yes and heats on", hint="does something else control it, too?")

    async def _look(self, *, hurry: bool) -> Heater:
        seen = await self._way.read(hurry=hurry)
        if self._serial and seen.serial and seen.serial != self._serial:
            raise Refused(
                f"{self._where}: another device answers there: {seen.serial} instead of {self._serial}",
                hint="give both fixed addresses in the router; if you replaced it, restart loadctl",
            )
        self._serial = seen.serial or self._serial
        return seen

    def _left_s(self) -> float:
        """Return for how long our last set-point still holds; 0 if it was none."""
        if self._told is None or not self._told.watts:
            return 0.0
        return max(0.0, self._told.at + self._options.lease - self._clock.now())

    def _make_sure(self, seen: Heater) -> None:
        """Refuse to heat where it cannot, or where nothing would end it in time."""
        if seen.trouble:
            raise Refused(f"{self._where}: {seen.trouble}")
        if seen.timeout_s is not None and seen.timeout_s != self._options.lease:
            timeout, lease = spell(seen.timeout_s, "s"), spell(self._options.lease, "s")
            raise Refused(
                f"{self._where}: failsafe not armed: its power timeout is {timeout}, `lease` is {lease}",
                hint="make them the same; `loadctl doctor FILE --fix` sets the device",
            )

    @property
    def _scale(self) -> float:
        """What an AC•THOR takes for one watt."""
        return 1.0 if self._options.full_scale is None else self._options.full_scale / self._options.rated

    def _report(self, seen: Heater, command: Command | None = None) -> Report:
        now = self._clock.now()
        left_s = self._left_s()
        on = seen.watts > _DRAWS_W or (left_s > 0 and seen.state in _OBEYS)
        own = seen.state is State.BOOST
        if not on:
            limit_w: float | None = 0.0
        else:
            limit_w = self._told.watts if self._told and left_s > 0 and not own else None
        names = ("temperature", "temperature_2", "temperature_3")
        return Report(
            load=command.load if command else "",
            read_at=now,
            command_id=command.id if command else None,
            on=on,
            watts=seen.watts,
            limit_w=limit_w,
            source=self._source(seen, on=on, ours=left_s > 0),
            identity=seen.serial or None,
            lease_left_s=left_s if on and left_s > 0 else None,
            available=not seen.trouble,
            satisfied={State.FULL: True, State.HEATING: False}.get(seen.state),
            detail="heats by its own programme" if own else seen.trouble,
            inputs=tuple((name, value) for name, value in zip(names, seen.celsius, strict=False) if value is not None),
        )

    def _source(self, seen: Heater, *, on: bool, ours: bool) -> Source:
        if seen.trouble:
            return Source.PROTECTION
        if seen.state is State.BOOST:
            return Source.HAND
        if self._told is None:
            return Source.UNKNOWN
        if on:
            return Source.US if ours else Source.HAND
        return Source.TIMER if self._told.watts else Source.US
