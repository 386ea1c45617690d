"""A wallbox on a virtual wire, with a car that may be asleep, full or gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from loadctl.core.values import Command, Report, Source
from loadctl.errors import DeviceError


@dataclass
class Box:
    """Lets the car draw `amps` on `phases`; `wire` holds what was asked and when. A change of phases takes `pause_s`.

    `asleep`: the car takes nothing until it is woken so often; `wakes`: why it cannot be. `full`: it takes nothing any
    more, and says so if `tells`.
    """

    lease_s: float | None = 60.0
    settle_s: float = 5.0
    every_s: float = 10.0
    step_a: float = 1.0
    switches_phases: bool = True
    rise_s: float = 5.0
    pause_s: float = 30.0
    plugged: bool = True
    asleep: int = 0
    full: bool = False
    tells: bool = True
    on: bool = False
    amps: float = 6.0
    phases: int = 1
    error: DeviceError | None = None
    wakes: DeviceError | None = None
    wire: list[tuple[float, str]] = field(default_factory=list)
    leased_until: float = 0.0

    async def apply(self, command: Command) -> Report:
        setting = "as it is" if command.amps is None else f"{command.amps:g} A x {command.phases}"
        self._note("off" if command.watts <= 0 else setting)
        await asyncio.sleep(0.1)
        self._check()
        if command.watts <= 0:
            self.on = False
            return self._report(command.id)
        if command.phases is not None and command.phases != self.phases:
            self.on = False
            await asyncio.sleep(self.pause_s)
            self.phases = command.phases
        self.on = self.plugged
        self.amps = command.amps or self.amps
        self.leased_until = _now() + (self.lease_s or 1e9)
        return self._report(command.id)

    async def read(self) -> Report:
        await asyncio.sleep(0.1)
        self._check()
        return self._report(None)

    async def wake(self) -> None:
        self._note("wake")
        await asyncio.sleep(1.0)
        if self.wakes is not None:
            raise self.wakes
        self.asleep = max(0, self.asleep - 1)

    async def close(self) -> None:
        self._note("close")

    @property
    def draws_w(self) -> float:
        self.on = self.on and _now() < self.leased_until
        charges = self.on and self.plugged and not self.asleep and not self.full
        return self.amps * self.phases * 230.0 if charges else 0.0

    def runs(self) -> bool:
        return self.draws_w > 0

    def said(self, word: str) -> list[float]:
        return [at for at, said in self.wire if said == word]

    def _note(self, word: str) -> None:
        self.wire.append((_now(), word))

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def _report(self, command_id: int | None) -> Report:
        watts = self.draws_w
        return Report(
            "",
            _now(),
            command_id,
            on=self.on,
            watts=watts,
            limit_w=self.amps * self.phases * 230.0 if self.on else 0.0,
            source=Source.US,
            connected=self.plugged,
            available=self.plugged,
            satisfied=self.full if self.tells else None,
            phases=self.phases if watts else None,
            detail="" if self.plugged else "no car is plugged in",
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
