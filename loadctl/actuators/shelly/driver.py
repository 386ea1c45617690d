"""The two drivers: `shelly` switches, `shelly-dimmer` sets a power. On `close` the load is left as it is: with a lease
it goes off by itself.
"""

from __future__ import annotations

from dataclasses import replace

from loadctl.actuators.draw import judge_draw
from loadctl.actuators.shelly import care, care_dimmer
from loadctl.actuators.shelly.answers import LIGHT, RELAY, Output
from loadctl.actuators.shelly.channel import Channel
from loadctl.actuators.shelly.options import ShellyDimmerOptions, ShellyOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report
from loadctl.drivers import Finding, Shared


class Shelly:
    """One relay of a Shelly."""

    Options = ShellyOptions
    settle_s = 8.0  # a heater draws at once; meters show it a few seconds late

    def __init__(self, options: ShellyOptions, shared: Shared) -> None:
        self._options = options
        self._channel = Channel(options, shared, RELAY)
        self.lease_s = self._channel.lease_s
        self.every_s = options.every

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        return self._channel.report(await self._channel.read())

    async def apply(self, command: Command) -> Report:
        """Set, read back, compare. Raises DeviceError; an ON whose timer does not run is taken back first."""
        return self._channel.report(await self._channel.set(command), command)

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the channel's settings and at the device around it; changes nothing. Raises DeviceError."""
        output = await self._channel.read()
        settings, _ = await self._channel.settings()
        return (
            *care.judge_output(output),
            *care.judge_settings(settings, self._options, load),
            judge_draw(load, on=output.on, watts=output.watts),
            *await self._channel.judge_device(),
        )

    async def mend(self, load: Load) -> tuple[Finding, ...]:
        """Set its auto-off timer and its state at power-up where they are wrong. Raises DeviceError."""
        return await self._channel.mend(load)

    async def close(self) -> None:
        await self._channel.close()


class ShellyDimmer:
    """One light of a Shelly dimmer or 0-10 V controller with a heater behind it, set in steps of 1 %."""

    Options = ShellyDimmerOptions
    settle_s = 10.0  # as a relay, and its ramp
    rise_s = 5.0

    def __init__(self, options: ShellyDimmerOptions, shared: Shared) -> None:
        self._options = options
        self._scale = options.scale
        self._channel = Channel(options, shared, LIGHT)
        self.lease_s = self._channel.lease_s
        self.every_s = options.every
        self.step_share = self._scale.step_w / options.rated
        self.least_share = self._scale.least_w / options.rated

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        return self._report(await self._channel.read())

    async def apply(self, command: Command) -> Report:
        """Set, read back, compare. Raises DeviceError; an ON whose timer does not run is taken back first."""
        return self._report(await self._channel.set(command, self._scale.percent(command.watts)), command)

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the channel's settings and at the device around it; changes nothing. Raises DeviceError."""
        output = await self._channel.read()
        settings, body = await self._channel.settings()
        dimming = care_dimmer.dimming(await self._channel.device_settings() | body)
        return (
            *care.judge_output(output),
            *care.judge_settings(settings, self._options, load),
            *care_dimmer.judge_dimming(dimming),
            care_dimmer.judge_scale(output, self._scale),
            *await self._channel.judge_device(),
        )

    async def mend(self, load: Load) -> tuple[Finding, ...]:
        """Set its auto-off timer and its state at power-up where they are wrong. Raises DeviceError."""
        return await self._channel.mend(load)

    async def close(self) -> None:
        await self._channel.close()

    def _report(self, output: Output, command: Command | None = None) -> Report:
        limit_w = self._scale.watts(output.percent or 0.0) if output.on else 0.0
        return replace(self._channel.report(output, command), limit_w=limit_w)
