"""Charging a car with an OpenEVSE: a claim of our own, read back, and a failsafe that pauses the car without us.

A claim leaves a person's override in the box's page on top (1000 against our 500), goes before its timer and divert,
and does not end when the car is unplugged (`auto_release` false): the next car would charge at full current. The box
raises a current below its least one, so a pause is a claim to be disabled, never 0 A. Pause and rise are the same
request; the same claim again changes nothing. A gateway that restarts forgets all claims: `care` tells of the rest.
"""

from __future__ import annotations

from contextlib import suppress

from loadctl.actuators.address import plain_mac
from loadctl.actuators.openevse import answers, care
from loadctl.actuators.openevse.answers import OUR_PATH, OURS, Box, Json, Settings, Target
from loadctl.actuators.openevse.link import Link
from loadctl.actuators.openevse.options import OpenEvseOptions
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Refused

_ANSWER_S, _LOOK_S = 8.0, 0.5  # the controller does what the gateway says within a second or two
_NUDGE_S = 5.0  # without a pilot for so long, a car takes its plug for pulled
_DRAWS_A = 0.5
_PAUSE: Json = {"state": "disabled", "auto_release": False}


class _Stranger(Refused):
    """Another box has the address."""


class OpenEvse:
    """A wallbox of one phase, or of three that it cannot switch. On `close` the car is left as it is.

    With a lease the car is then paused by the box. Raises DeviceError.
    """

    Options = OpenEvseOptions
    step_a = 1.0
    switches_phases = False
    rise_s = 5.0  # a car follows within 5 s (IEC 61851-1)
    settle_s = 15.0
    tells = ("soc",)

    def __init__(self, options: OpenEvseOptions, shared: Shared) -> None:
        self._options = options
        self._clock = shared.clock
        self._link = Link(options, shared)
        self._where = self._link.where
        self._identity = plain_mac(options.mac)
        self._settings: Settings | None = None  # None: ask before anything else
        self._version: float | None = None  # of those settings
        self._box: Box | None = None  # None: not known, look before switching
        self._claim: Json | None = None  # the last one made; None: none since we started
        self._volts: float | None = None  # of the last command
        self._fed_at: float | None = None

    @property
    def lease_s(self) -> float | None:
        return self._options.lease if self._options.failsafe == "lease" else None

    @property
    def every_s(self) -> float:
        return self._options.every

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError.

        While we pause the car the load shaper is kept fed, so that a person's override in the box works.
        """
        try:
            seen, wanted, settings = await self._look()
            await self._keep_open(seen, wanted, settings)
            return self._report(seen, wanted, settings)
        except DeviceError:
            self._doubt()
            raise

    async def apply(self, command: Command) -> Report:
        """Claim, read back, compare. Raises DeviceError."""
        self._link.hurry = command.watts <= 0
        try:
            return self._report(*await self._switch(command), command)
        except DeviceError:
            self._doubt()
            raise
        finally:
            self._link.hurry = False

    async def wake(self) -> None:
        """Take the pilot from a car that may draw and does not, for some seconds. Raises DeviceError."""
        seen, wanted, _ = await self._look()
        if wanted.by != OURS or not seen.on or not seen.plugged or seen.charging:
            return
        claim = self._claim or _active(wanted.amps or seen.pilot_a)
        self._box, trouble = None, None
        try:
            await self._link.post(OUR_PATH, _PAUSE)
            await self._until(on=False, amps=None)
            await self._clock.sleep(_NUDGE_S)
        except DeviceError as error:
            trouble = error
        # Not where it is cut short: then the car must not charge.
        await self._link.post(OUR_PATH, claim)
        self._box = None
        if trouble is not None:
            raise trouble

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the box, its failsafe and its settings; changes nothing. Raises DeviceError."""
        seen, wanted, settings = await self._look()
        return care.judge(seen, wanted, settings, self._options, load)

    async def mend(self, load: Load) -> tuple[Finding, ...]:  # noqa: ARG002 - what it needs is the same for all
        """Set the load shaper up as our failsafe where it is free for that. Raises DeviceError."""
        seen, _, before = await self._look()
        wish = care.wish(before, seen, self.lease_s)
        if not wish or self.lease_s is None:
            return ()
        await self._link.post("/config", wish)
        self._settings = None
        seen, _, after = await self._look()
        return care.mended(before, after, seen, self.lease_s)

    async def close(self) -> None:
        await self._link.close()

    async def _switch(self, command: Command) -> tuple[Box, Target, Settings]:
        on = command.watts > 0
        before = self._box or (await self._look())[0]
        amps = None
        if on:
            amps = float(int((command.amps or before.pilot_a) + 1e-6))
            await self._arm(before, amps)
            if command.amps:
                three = self._settings is not None and self._settings.three_phase
                self._volts = command.watts / command.amps / (command.phases or (3 if three else 1))
        claim = _PAUSE if amps is None else _active(amps)
        self._box = None  # whatever happens from here on, it is not known until read back
        self._claim = claim
        await self._link.post(OUR_PATH, claim)
        try:
            seen, wanted, settings = await self._until(on=on, amps=amps)
        except _Stranger:  # it got the claim that was meant for ours: take it back
            with suppress(DeviceError):
                await self._link.delete(OUR_PATH)
            raise
        if seen.on is not on:
            raise self._stayed(seen, wanted, on=on)
        if on and self.lease_s is not None and not (seen.shaping and seen.fed):
            with suppress(DeviceError):
                await self._link.post(OUR_PATH, _PAUSE)
            raise Refused(f"{self._where}: failsafe not armed: its load shaper does not take our data")
        if amps is not None and wanted.amps_by == OURS and seen.pilot_a > amps:
            raise Refused(f"{self._where}: said yes to {amps:.0f} A and stayed at {seen.pilot_a:.0f} A")
        return seen, wanted, settings

    async def _arm(self, before: Box, amps: float) -> None:
        """Make sure that the box would pause the car without us, and that it can do `amps`."""
        settings = self._settings or (await self._look())[2]
        least_a = settings.least_a or 6.0
        if amps < least_a:
            raise Refused(f"{self._where}: cannot go below {least_a:.0f} A", hint="raise `current` in the rule")
        if self.lease_s is None:
            return
        why, advice = care.unarmed(settings, before, self.lease_s)
        if why:
            raise Refused(f"{self._where}: failsafe not armed: {why}", hint=advice)
        if not before.shaping:  # switched off for the moment, in its page or by another program
            await self._link.post_form("/shaper", {"shaper": "1"})
        await self._feed()

    async def _feed(self) -> None:
        await self._link.post("/status", {"shaper_live_pwr": 0})
        self._fed_at = self._clock.now()

    async def _keep_open(self, seen: Box, wanted: Target, settings: Settings) -> None:
        """Feed the load shaper while we pause the car; our claim goes first, should the gateway have forgotten it."""
        if self._claim != _PAUSE or self.lease_s is None or care.unarmed(settings, seen, self.lease_s)[0]:
            return
        if self._fed_at is not None and self._clock.now() - self._fed_at < self.lease_s / 3:
            return
        if seen.on and wanted.by in {None, OURS}:
            return  # not paused at all: the core will see to it
        if not seen.on:
            await self._link.post(OUR_PATH, _PAUSE)
        await self._feed()

    async def _until(self, *, on: bool, amps: float | None) -> tuple[Box, Target, Settings]:
        """Look until the box does what we claimed, or will not: somebody stronger decides, or its time is over."""
        began_at = self._clock.now()
        while True:
            seen, wanted, settings = await self._look()
            decided = wanted.by == OURS and wanted.active is on
            if decided and seen.on is on and (amps is None or seen.pilot_a == _pilot_a(seen, wanted, settings, amps)):
                return seen, wanted, settings
            waited_s = self._clock.now() - began_at
            stronger = wanted.by not in {None, OURS, answers.SHAPER} and seen.on is not on and waited_s > _LOOK_S
            if waited_s >= _ANSWER_S or stronger or (seen.fault and on):
                return seen, wanted, settings
            await self._clock.sleep(_LOOK_S)

    async def _look(self) -> tuple[Box, Target, Settings]:
        """Read the box and make sure that it is still the one we know."""
        seen = answers.box(await self._link.get("/status"), self._where)
        settings = self._settings
        if settings is None or self._version != seen.config_version:
            settings = answers.settings(await self._link.get("/config"), self._where)
        self._recognise(seen.mac or settings.serial)
        self._settings, self._version = settings, seen.config_version
        wanted = answers.target(await self._link.get("/claims/target"), self._where)
        self._box = seen
        return seen, wanted, settings

    def _recognise(self, identity: str) -> None:
        if self._identity and identity != self._identity:
            raise _Stranger(
                f"{self._where}: another box answers there: {identity} instead of {self._identity}",
                hint="give both fixed addresses in the router; if you replaced it, restart loadctl and check `mac`",
            )
        self._identity = identity

    def _doubt(self) -> None:
        self._box = self._settings = None

    def _stayed(self, seen: Box, wanted: Target, *, on: bool) -> Refused:
        if seen.fault:
            return Refused(f"{self._where}: its own protection keeps it off: {seen.fault}")
        if wanted.by not in {None, OURS}:
            does = "keeps it off" if on else "lets the car charge"
            return Refused(f"{self._where}: {answers.holder(wanted.by)} {does}", hint="clear it in the box's web page")
        return Refused(f"{self._where}: said yes and {'stayed off' if on else 'lets the car charge on'}")

    def _report(self, seen: Box, wanted: Target, settings: Settings, command: Command | None = None) -> Report:
        phases = 3 if settings.three_phase else 1
        unavailable = seen.fault or ("" if seen.plugged else "no car is plugged in")
        limited = wanted.by == answers.LIMIT and not seen.on
        inputs = {"temperature": seen.temperature_c, "soc": seen.soc_pct}
        return Report(
            load=command.load if command else "",
            read_at=self._clock.now(),
            command_id=command.id if command else None,
            on=seen.on,
            watts=seen.watts,
            limit_w=seen.pilot_a * phases * (self._volts or seen.volts) if seen.on else 0.0,
            source=answers.source(seen, wanted, self._claim is not None),
            identity=self._identity,
            connected=seen.plugged,
            available=not unavailable,
            satisfied=True if limited else None,
            detail=unavailable or ("" if wanted.by in {None, OURS} else f"{answers.holder(wanted.by)} decides"),
            # It measures one wire: of three phases it cannot tell how many the car uses.
            phases=1 if phases == 1 and seen.amps >= _DRAWS_A else None,
            inputs=tuple((name, value) for name, value in inputs.items() if value is not None),
        )


def _active(amps: float) -> Json:
    return {"state": "active", "charge_current": int(amps), "auto_release": False}


def _pilot_a(seen: Box, wanted: Target, settings: Settings, amps: float) -> float:
    """What the pilot must come to with our claim: others, the temperature and the owner's limit may ask for less."""
    theirs = amps if wanted.amps_by == OURS else wanted.amps
    limits = [limit for limit in (theirs, wanted.most_a, seen.most_a) if limit is not None]
    return max(settings.least_a or 6.0, min(limits, default=amps))
