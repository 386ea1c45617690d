"""Charging with a go-e: set, read back, compare; only what differs is written.

The charge is paused with `frc` (v1: `alw`), never with a current. `amp` is kept in the box's flash, so it is written
only when it changes; v1 has the volatile `amx` instead.

What a go-e does when nobody speaks to it any more, and why there is no lease:

- `amp`, `frc` and `psm` stay as they are: the car charges on as it was told last, until it is full.
- `tcl`, the limit that lapses after ten minutes, is one limit of several of which the lowest counts: when it lapses the
  current *rises* to `amp`. So it is not used.
- `ocppf` (fallback current) needs an OCPP backend, `lof` a group of boxes; `fse`/`fsi` (failsafe limit, since firmware
  60.4) can be read over HTTP but not set.
- When the car is unplugged `frc` goes back to neutral, and the next car charges at once unless the box is in Eco mode.
"""

from __future__ import annotations

import logging
from math import floor

import httpx

from loadctl.actuators.goe import answers, care
from loadctl.actuators.goe.answers import FORCED_OFF, FORCED_ON, KEYS_V2, STALE, Box, Json
from loadctl.actuators.goe.options import GoEOptions
from loadctl.actuators.http import Answer, Http
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Garbled, Refused

logger = logging.getLogger(__name__)

_SPACING_S = {"v1": 5.0, "v2": 0.5}  # rest between requests; five seconds are the vendor's word for v1
_THINKS_S = 1.2  # the box decides once a second what follows from what was set
_SETTLES_S = 6.0  # what does not show by then was not done
_STOPS_S = 20.0  # a car stops within some seconds after its pilot fell silent
_VOLTS = 230.0
_SWITCH_IT_ON = "switch it on in the go-e app: Internet, advanced settings"

_Wish = dict[str, int]


class GoE:
    """A go-e wallbox. On `close` the car is left as it is: it goes on charging if it does."""

    Options = GoEOptions
    lease_s = None
    settle_s = 15.0  # a car stops within seconds and takes its time to begin
    step_a = 1.0
    rise_s = spare_s = 10.0  # cars take some seconds to follow, and the box's flash lives longer

    def __init__(self, options: GoEOptions, shared: Shared) -> None:
        self._options = options
        self._clock = shared.clock
        self._hurry = False
        self._where = f"go-e {options.host}"
        self._http = Http(options.host, shared, where=self._where, like="a go-e")
        self._serial = options.serial or ""
        self._api = None if options.api == "auto" else options.api
        self._asked_at: float | None = None
        self._box: Box | None = None  # as last seen; None: not known
        self._wanted: int | None = None  # which `frc` was asked for last; None: nothing since we started
        self._source = Source.UNKNOWN
        self._full: bool | None = None
        self._volts = _VOLTS

    @property
    def every_s(self) -> float:
        return self._options.every

    @property
    def switches_phases(self) -> bool:
        """True until it is known to be a box that speaks v1 only."""
        return self._api != "v1"

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        try:
            return self._report(await self._look())
        except DeviceError as error:
            self._doubt(error)
            raise

    async def apply(self, command: Command) -> Report:
        """Set, read back, compare; a switch of phases pauses the car first. Raises DeviceError."""
        self._hurry = command.watts <= 0
        self._wanted = FORCED_OFF if command.watts <= 0 else FORCED_ON
        try:
            box = await self._look()
            if command.watts <= 0:
                box = await self._pause(box)
            elif box.connected is not False:
                box = await self._charge(box, command)
            return self._report(box, command)
        except DeviceError as error:
            self._doubt(error)
            raise
        finally:
            self._hurry = False

    async def wake(self) -> None:
        """Pause and resume; a box with v2 pulls the plug for show in between (`su`, which stays set).

        Nothing happens where no car may charge just now. Raises DeviceError.
        """
        try:
            box = await self._look()
            if not box.on:
                return
            await self._pause(box)
            if self._api == "v2" and (await self._status(("su",))).get("su") is False:
                logger.info("%s: `simulate unplugging` is switched on to wake the car", self._where)
                await self._send_v2({"su": True})
            await self._set({"frc": FORCED_ON})
        except DeviceError as error:
            self._doubt(error)
            raise

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the box and its settings; changes nothing. Raises DeviceError."""
        box = await self._look()
        settings = await self._status(care.KEYS_V2) if self._api == "v2" else await self._status(())
        return care.judge(box, settings, load, v2=self._api == "v2")

    async def close(self) -> None:
        await self._http.close()

    async def _pause(self, box: Box) -> Box:
        # without a car there is nothing to pause, and the box would not remember
        return box if box.is_off() or box.connected is False else await self._set({"frc": FORCED_OFF})

    async def _charge(self, box: Box, command: Command) -> Box:
        """Bring current and phases to what is commanded, then let the car charge."""
        wish = self._wish(box, command)
        self._volts = _volts(command, box)
        if "psm" in wish:
            box = await self._stop(box)
            await self._set({key: value for key, value in wish.items() if key != "frc"})
            wish = {"frc": FORCED_ON}
        return await self._set(wish) if wish else box

    def _wish(self, box: Box, command: Command) -> _Wish:
        """Return what is to be written: only what differs. Raises Refused for phases that it cannot switch."""
        wish: _Wish = {}
        if command.phases is not None and self._api == "v2":
            wish["psm"] = 1 if command.phases == 1 else 2
        elif command.phases is not None and command.phases != box.fed:
            raise Refused(
                f"{self._where}: offers {box.fed} phases and cannot switch them (HTTP API v1)",
                hint=f"write `phases: {box.fed}`",
            )
        if command.amps is not None:
            wish["amp"] = min(floor(command.amps + 1e-6), box.most_a)
        wish["frc"] = FORCED_ON
        return {key: value for key, value in wish.items() if value != _shown(box, key)}

    async def _stop(self, box: Box) -> Box:
        """Pause the car and wait until no current flows: phases are switched without load. Raises Refused."""
        if not box.on and not box.drawing:
            return box
        box = await self._pause(box)
        until = self._clock.now() + _STOPS_S
        while box.drawing:
            if self._clock.now() >= until:
                raise Refused(f"{self._where}: the car draws on after it was paused: its phases are left as they are")
            await self._clock.sleep(_THINKS_S)
            box = await self._look()
        return box

    async def _set(self, wish: _Wish) -> Box:
        """Write, read back until it shows and the box has thought about it. Raises DeviceError."""
        self._wanted = wish.get("frc", self._wanted)
        if self._api == "v1":
            box = await self._set_v1(wish)
        else:
            await self._send_v2(wish)
            box = await self._settled(wish)
        if any(_shown(box, key) != value for key, value in wish.items()):
            raise Refused(
                f"{self._where}: said yes and stayed at {_told(box)}", hint="see in its app what else sets it"
            )
        if wish.get("frc") == FORCED_OFF and box.on:
            raise Refused(
                f"{self._where}: was told to pause and lets the car go on (reason {box.reason})",
                hint="allow charging pauses in the car settings of its app",
            )
        return box

    async def _settled(self, wish: _Wish) -> Box:
        until = self._clock.now() + _SETTLES_S
        while True:
            await self._clock.sleep(_THINKS_S)
            box = await self._look()
            if _is_done(box, wish) or self._clock.now() >= until:
                return box

    async def _set_v1(self, wish: _Wish) -> Box:
        """Each answer is the whole status with the new value; a refusal shows by the old one."""
        box = None
        for key, value in wish.items():
            payload = f"amx={value}" if key == "amp" else f"alw={int(value == FORCED_ON)}"
            box = self._seen(await self._ask(f"/mqtt?payload={payload}"))
        return box or await self._look()

    async def _send_v2(self, keys: dict[str, int | bool] | _Wish) -> None:
        query = "&".join(f"{key}={_json_word(value)}" for key, value in keys.items())
        answer = await self._ask(f"/api/set?{query}")
        if refused := answers.refusals(answer, keys):
            raise Refused(f"{self._where}: refused: {'; '.join(refused)}", hint="see the limits set in its app")

    async def _look(self) -> Box:
        """Read the state and make sure that it is still the box we know."""
        if self._api is None:
            return await self._meet()
        return self._seen(await self._status(KEYS_V2))

    async def _meet(self) -> Box:
        """Find out which API it speaks: v2 where both are switched on."""
        for api in ("v2", "v1"):
            self._api = api
            try:
                return self._seen(await self._status(KEYS_V2))
            except _NotThere:
                self._api = None
        raise Refused(f"{self._where}: its HTTP API is switched off", hint=_SWITCH_IT_ON)

    async def _status(self, keys: tuple[str, ...]) -> Json:
        return await self._ask("/status" if self._api == "v1" else f"/api/status?filter={','.join(keys)}")

    def _seen(self, body: Json) -> Box:
        box = (answers.v1_box if self._api == "v1" else answers.v2_box)(body, self._where)
        if self._serial and box.serial != self._serial:
            raise Refused(
                f"{self._where}: another box answers there: {box.serial} instead of {self._serial}",
                hint="give both fixed addresses in the router; if you replaced it, restart loadctl and check `serial`",
            )
        self._serial = box.serial
        self._source = _source(self._source, self._box, box, self._wanted)
        self._full = _is_full(self._full, self._box, box)
        self._box = box
        return box

    def _doubt(self, error: DeviceError) -> None:
        self._box = None
        if isinstance(error, _NotThere) and self._options.api == "auto":
            self._api = None

    async def _ask(self, path: str) -> Json:
        """GET one object. Raises DeviceError; _NotThere where the path is not known."""
        await self._rest()
        try:
            answer = await self._http.ask("GET", path, hurry=self._hurry)
        finally:
            self._asked_at = self._clock.now()
        return self._read_answer(answer)

    def _read_answer(self, answer: Answer) -> Json:
        if answer.status == httpx.codes.NOT_FOUND:
            raise _NotThere(f"{self._where}: its HTTP API {self._api} is switched off", hint=_SWITCH_IT_ON)
        try:
            return self._http.read(answer)  # whatever the status: refused keys come with 500, unknown ones with 400
        except Garbled as error:
            if b"api lock" in answer.body:
                raise Refused(f"{self._where}: too busy", retry_after_s=10.0) from error
            if answer.is_success:
                raise
            raise Refused(f"{self._where}: answers {answer.status}") from error

    async def _rest(self) -> None:
        if self._asked_at is None or self._hurry:
            return
        if (wait_s := self._asked_at + _SPACING_S[self._api or "v2"] - self._clock.now()) > 0:
            await self._clock.sleep(wait_s)

    def _report(self, box: Box, command: Command | None = None) -> Report:
        limit_a = box.amps if box.allowed_a is None else min(box.amps, box.allowed_a)
        no_car = "no car is plugged in" if box.connected is False else ""
        detail = no_car or box.error or (f"may not charge: {box.blocked}" if box.blocked else "")
        return Report(
            load=command.load if command else "",
            read_at=self._clock.now(),
            command_id=command.id if command else None,
            on=box.on,
            watts=box.watts,
            limit_w=limit_a * box.offers * self._volts if box.on else 0.0,
            source=self._source,
            identity=box.serial,
            connected=box.connected,
            available=not detail,
            satisfied=self._full,
            detail=detail,
            phases=box.using,
        )


class _NotThere(Refused):
    """The box does not know the path: that API is switched off."""


def _shown(box: Box, key: str) -> int:
    """What `box` shows for a key of v2; v1's `alw` in the words of `frc`."""
    if key == "amp":
        return box.amps
    if key == "psm":
        return box.psm()
    if box.forced is not None:
        return box.forced
    return FORCED_ON if box.on else FORCED_OFF


def _told(box: Box) -> str:
    force = {FORCED_OFF: ", paused", FORCED_ON: ", forced to charge"}.get(_shown(box, "frc"), ", not forced")
    phases = "" if box.phases_set is None else f" on {box.phases_set} phase{'s' if box.phases_set > 1 else ''}"
    return f"{box.amps} A{phases}{force}"


def _is_done(box: Box, wish: _Wish) -> bool:
    if any(_shown(box, key) != value for key, value in wish.items()):
        return False
    if wish.get("frc") == FORCED_OFF:
        return not box.on
    return wish.get("frc") != FORCED_ON or box.reason != STALE


def _source(known: Source, before: Box | None, box: Box, wanted: int | None) -> Source:
    """Who brought the box into its state. `known`: what was found at the last look, `before`.

    It was us if it shows what we set. Otherwise a new start of the box, or its own habit: it forgets what it was told
    when the car is unplugged, and lets the next one charge. What is left is a hand in the app or another program.
    """
    forced = _shown(box, "frc")
    if wanted is not None and forced == wanted:
        return Source.US
    if before and None not in {before.uptime_ms, box.uptime_ms} and (box.uptime_ms or 0) < (before.uptime_ms or 0):
        return Source.REBOOT
    if box.connected is False or (before and before.connected is False):
        return Source.TIMER
    if wanted is None:
        return Source.UNKNOWN
    same = before is not None and _shown(before, "frc") == forced
    return known if same and known not in {Source.US, Source.UNKNOWN} else Source.HAND


def _is_full(known: bool | None, before: Box | None, box: Box) -> bool | None:
    """Whether the car is full: it stopped by itself while it was allowed to charge.

    A pause of ours, too, shows as `complete`, so the state alone tells nothing. None: not known.
    """
    if not box.connected:
        return None
    if not box.complete:
        return False if box.charging else None
    ended_itself = before is not None and before.charging and before.allowed and box.allowed and not box.error
    return True if ended_itself else known or None


def _volts(command: Command, box: Box) -> float:
    """The nominal voltage that the core reckons with."""
    phases = command.phases or box.offers
    volts = command.watts / (command.amps * phases) if command.amps else _VOLTS
    return volts if 100 <= volts <= 260 else _VOLTS


def _json_word(value: int | bool) -> str:
    return str(value).lower()
