"""The dry run: devices are read and nothing is switched, yet what is decided goes on as if it were.

A load that was told to run is reported as running, and its power is added to what the meter says; without that the
controller would see its power free a second time and give it to the next load.
"""

from __future__ import annotations

from dataclasses import replace

from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Sample, Source
from loadctl.drivers import Actuator, Meter

Pretence = dict[str, float]  # load -> W that the house would draw more (or less, negative) had we really switched


class DryActuator:
    """Reads the real device and says of `on` and `watts` what it was told instead."""

    def __init__(self, load: Load, actuator: Actuator, pretence: Pretence) -> None:
        self._load = load
        self._actuator = actuator
        self._pretence = pretence
        self._told: Command | None = None

    @property
    def lease_s(self) -> float | None:
        return self._actuator.lease_s

    @property
    def settle_s(self) -> float:
        return self._actuator.settle_s

    @property
    def every_s(self) -> float:
        return self._actuator.every_s

    async def apply(self, command: Command) -> Report:
        """Remember what was wished; the device is only read. Raises DeviceError as the device would."""
        self._told = command
        return replace(await self.read(), command_id=command.id)

    async def read(self) -> Report:
        real = await self._actuator.read()
        if self._told is None:
            return real
        on = self._told.watts > 0
        if on is real.on:
            self._pretence[self._load.name] = 0.0
            return replace(real, source=Source.US)
        drawn_w = real.watts if real.watts is not None else self._load.power_w
        watts = self._told.watts if on else 0.0
        self._pretence[self._load.name] = watts if on else -drawn_w
        return replace(real, on=on, watts=watts, source=Source.US, lease_left_s=None)

    async def close(self) -> None:
        await self._actuator.close()


class DryMeter:
    """The real meter, with the power of the loads that are only said to run."""

    def __init__(self, meter: Meter, pretence: Pretence) -> None:
        self._meter = meter
        self._pretence = pretence

    @property
    def every_s(self) -> float:
        return self._meter.every_s

    async def read(self) -> Sample:
        sample = await self._meter.read()
        more_w = sum(self._pretence.values())
        return replace(
            sample,
            grid_w=None if sample.grid_w is None else sample.grid_w + more_w,
            load_w=None if sample.load_w is None else sample.load_w + more_w,
        )

    async def close(self) -> None:
        await self._meter.close()
