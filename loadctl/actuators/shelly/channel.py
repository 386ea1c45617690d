"""One output of a Shelly: set, read back, compare; every ON carries a timer that switches off again unless renewed.

A command the device accepts is not a load that is switched, and a timer it accepts is not one that runs: both are read
back. The state is set absolutely, never toggled; an OFF never carries a timer, because that one would switch *on*. A
dimmer's brightness alone does not switch it on: it always goes with its `on`.
"""

from __future__ import annotations

from contextlib import suppress
from math import ceil

from loadctl.actuators.shelly import answers, care
from loadctl.actuators.shelly.answers import About, Json, Kind, Output
from loadctl.actuators.shelly.link import Link, Stranger
from loadctl.actuators.shelly.options import ShellyOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Refused


class Channel:
    """What relays and dimmers have in common. `percent` is None for a relay."""

    def __init__(self, options: ShellyOptions, shared: Shared, kind: Kind) -> None:
        self._options = options
        self._kind = kind
        self._clock = shared.clock
        self._link = Link(options, shared)
        self._output: Output | None = None  # None: not known, look before switching
        self._wanted: bool | None = None

    @property
    def lease_s(self) -> float | None:
        return self._options.lease if self._options.failsafe == "lease" else None

    async def read(self) -> Output:
        """Read the real state. Raises DeviceError."""
        try:
            return await self._look()
        except DeviceError:
            self._doubt()
            raise

    async def set(self, command: Command, percent: int | None = None) -> Output:
        """Switch and read back. Raises DeviceError; an ON whose timer does not run is taken back first."""
        self._link.hurry = command.watts <= 0
        try:
            return await self._switch(command, percent)
        except DeviceError:
            self._doubt()
            raise
        finally:
            self._link.hurry = False

    async def settings(self) -> tuple[care.Settings, Json]:
        """Return how the channel is set up, and all the device tells of that (Gen1: of itself, too)."""
        device, channel = await self._link.meet(), self._options.channel
        await self._link.rest()
        if device.gen == 1:
            body = await self._link.http(f"/settings/{self._kind.gen1}/{channel}", device)
            return care.gen1_settings(body), body
        body = await self._link.rpc(f"{self._kind.gen2}.GetConfig", {"id": channel}, device)
        jobs = await self._link.perhaps("Schedule.List", device)
        return care.gen2_settings(body, jobs, channel, self._kind), body

    async def device_settings(self) -> Json:
        """Return what a Gen1 device keeps for all its channels; nothing for later ones. Raises DeviceError."""
        device = await self._link.meet()
        if device.gen > 1:
            return {}
        await self._link.rest()
        return await self._link.http("/settings", device)

    async def judge_device(self) -> tuple[Finding, ...]:
        """Judge the device around the channel. Raises DeviceError."""
        device = await self._link.meet()
        return care.judge_vitals(await self._vitals(device), self._options, device.gen, self._clock.wall())

    async def mend(self, load: Load) -> tuple[Finding, ...]:
        """Set its auto-off timer and its state at power-up where they are wrong. Raises DeviceError."""
        device, channel = await self._link.meet(), self._options.channel
        before, _ = await self.settings()
        wish = care.wish(before, self._options, load)
        if wish == care.Wish():
            return ()
        await self._link.rest()
        if device.gen == 1:
            await self._link.http(f"/settings/{self._kind.gen1}/{channel}", device, wish.gen1())
        else:
            await self._link.rpc(f"{self._kind.gen2}.SetConfig", {"id": channel, "config": wish.gen2()}, device)
        return care.mended(wish, before, (await self.settings())[0])

    def report(self, output: Output, command: Command | None = None) -> Report:
        return Report(
            load=command.load if command else "",
            read_at=self._clock.now(),
            command_id=command.id if command else None,
            on=output.on,
            watts=output.watts,
            source=answers.source(output, self._wanted, self.lease_s is not None),
            identity=output.mac,
            lease_left_s=output.timer_left_s if output.on else None,
            available=not output.errors,
            detail=", ".join(output.errors),
        )

    async def close(self) -> None:
        await self._link.close()

    async def _switch(self, command: Command, percent: int | None) -> Output:
        on = command.watts > 0
        lease_s = self._lease_s(command) if on else None
        before = self._output
        if on:
            before = before or await self._look()
            if before.on:
                await self._link.rest()  # a renewal can wait; a switching goes at once
        self._output = None  # whatever happens from here on, it is not known until read back
        await self._set(on, lease_s, percent)
        try:
            after = await self._look()
        except Stranger as stranger:
            if on and stranger.runs_for(lease_s):  # it got the ON that was meant for ours: take it back
                with suppress(DeviceError):
                    await self._set(False, None)
            raise
        if after.on is not on:
            raise self._stayed(after)
        if lease_s is not None and not _is_armed(before, after, lease_s):
            await self._take_back(after, lease_s)
            raise Refused(
                f"{self._link.where}: failsafe not armed: its timer does not run",
                hint="update its firmware; until then only `failsafe: none` would switch it on",
            )
        if on and percent is not None and after.percent is not None and after.percent > percent + 1:
            raise Refused(
                f"{self._link.where}: said yes to {percent} % and stands at {after.percent:.0f} %",
                hint="see in its app what else sets it, and its lowest brightness",
            )
        return after

    def _lease_s(self, command: Command) -> float | None:
        if self._options.failsafe == "none":
            return None
        return float(ceil(command.lease_s or self._options.lease))  # Gen1 counts whole seconds

    def _stayed(self, output: Output) -> Refused:
        if output.errors:
            return Refused(f"{self._link.where}: its own protection keeps it off: {', '.join(output.errors)}")
        state = "on" if output.on else "off"
        return Refused(f"{self._link.where}: said yes and stayed {state}", hint="see in its app what else switches it")

    async def _take_back(self, output: Output, lease_s: float) -> None:
        """Do not leave a load on that would not go off by itself; one under our last timer will."""
        if output.timer_left_s is None or output.timer_left_s > lease_s:
            await self._set(False, None)

    async def _set(self, on: bool, lease_s: float | None, percent: int | None = None) -> None:
        self._wanted = on
        device, channel = await self._link.meet(), self._options.channel
        if device.gen == 1:
            query = {"turn": "on" if on else "off"} | ({} if lease_s is None else {"timer": f"{lease_s:.0f}"})
            if on and percent is not None:
                query["brightness"] = str(percent)
            await self._link.http(f"/{self._kind.gen1}/{channel}", device, query)
            return
        params: Json = {"id": channel, "on": on} | ({} if lease_s is None else {"toggle_after": lease_s})
        if on and percent is not None:
            params["brightness"] = percent
        await self._link.rpc(f"{self._kind.gen2}.Set", params, device)

    async def _look(self) -> Output:
        """Read the channel and make sure that it is still the device we know."""
        device = await self._link.meet()
        await self._link.rest()
        ours = (device, self._kind, self._options.channel, self._link.where)
        if device.gen == 1:
            output = answers.gen1_output(await self._link.http("/status", device), *ours)
        else:
            output = answers.gen2_output(await self._link.rpc("Shelly.GetStatus", {}, device), *ours)
        try:
            self._link.recognise(output.mac)
        except Stranger as stranger:
            stranger.output = output
            raise
        self._output = output
        return output

    async def _vitals(self, device: About) -> care.Vitals:
        await self._link.rest()
        about = await self._link.about()
        await self._link.rest()
        if device.gen == 1:
            return care.gen1_vitals(about, await self._link.http("/status", device))
        status = await self._link.rpc("Shelly.GetStatus", {}, device)
        return care.gen2_vitals(about, status, await self._link.perhaps("Script.List", device))

    def _doubt(self) -> None:
        self._link.doubt()
        self._output = None


def _is_armed(before: Output | None, after: Output, lease_s: float) -> bool:
    """Whether the timer we asked for runs: of our length, and started anew since `before` or still nearly whole.

    Starts are only compared with each other: they are on the device's own clock. Old Gen1 firmware tells none, some
    devices keep whole seconds; a timer that was not renewed in time shows two thirds of the lease.
    """
    if after.timer_s is not None and abs(after.timer_s - lease_s) > 0.5:
        return False
    if after.timer_started_at is not None and before and after.timer_started_at != before.timer_started_at:
        return True
    return after.timer_left_s is not None and lease_s * 5 / 6 <= after.timer_left_s <= lease_s + 1
