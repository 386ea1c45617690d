"""A charger that speaks OCPP 1.6J: loadctl is its central system, the charger calls.

Two charging profiles hold it. A permanent one at the lowest level says pause; above it lies the one that lets the car
charge, and that one lasts only as long as the lease. If loadctl dies, the charger falls back to the pause by itself.
Both stay in the charger: without loadctl it does not charge until they are cleared (or its backend is changed).

`close` leaves the charger as it is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from loadctl.actuators.ocpp import care, profiles
from loadctl.actuators.ocpp.options import OcppOptions
from loadctl.actuators.ocpp.profiles import Limit
from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Source
from loadctl.drivers import Finding, Shared
from loadctl.errors import Refused, Unreachable

if TYPE_CHECKING:
    from loadctl.actuators.ocpp.box import Box, Connector
    from loadctl.actuators.ocpp.charge_point import Dialogue
    from loadctl.actuators.ocpp.server import Server

ARRIVAL_S, DOCTOR_S = 2.0, 20.0  # real seconds for a box to call when we have just begun to listen
READY_S = 12.0  # real seconds for a box that has called to be asked for what it can do
OBEYS_S = 5.0  # so long a car may go on drawing after its limit was lowered (IEC 61851-1)
PAUSE_S = 8.0  # so long we look for the current to go; on its way out the daemon has 10 s in all
STOP_S = 8.0  # and then again, after the charge was ended
SWITCH_S = 20.0  # before phases are switched
WAKE_S = 5.0
PATIENCE_S = 3.0  # for a box that begins a charge without our leave
STALE_S = 12.0  # a little more than the interval at which boxes measure
RISES_S, RISING_STALE_S = 30.0, 4.0  # and so long after a change the current is on its way: look more often
FRESH_S = 30.0
FULL_S = 60.0  # a car that has drawn and takes nothing for so long is full
_LOOK_S, _TRIGGER_S = 0.25, 2.0


@dataclass(frozen=True, slots=True)
class _Set:
    """What we last set and the box took. `ends_at`: when it is over without another word (inf: never)."""

    limit: Limit
    at: float
    ends_at: float
    boots: int


class Ocpp:
    """One connector of a box. Raises Unreachable while the box is not connected, Refused where it says no."""

    Options = OcppOptions
    settle_s = 15.0  # cars follow within seconds and begin within a minute
    every_s = 5.0  # what is read was told before: it costs nothing
    step_a = 1.0  # tenths can be said, but not all boxes hear them
    tells = ("soc",)
    rise_s = spare_s = 10.0  # some boxes keep each profile in their flash memory

    def __init__(self, options: OcppOptions, shared: Shared) -> None:
        self.switches_phases = options.switch_phases is True
        self._options = options
        self._shared = shared
        self._clock = shared.clock
        self._password = options.password.get_secret_value() if options.password else None
        self._where = f"charger {options.id}"
        self._gate = asyncio.Lock()
        self._server: Server | None = None
        self._box: Box | None = None
        self._greeted = False  # it was waited for once
        self._set: _Set | None = None  # None: not known what the box allows
        self._changed_at = -math.inf  # when a limit was set that was not a renewal
        self._phases: int | None = None  # as they were set last
        self._asked_to_start_at = -math.inf
        self._needs_replug = False
        self._on_since: float | None = None
        self._drew = False  # since it may charge

    @property
    def lease_s(self) -> float | None:
        return self._options.lease if self._options.failsafe == "lease" else None

    async def read(self) -> Report:
        """Tell what the box has told, asking for a measurement if that is old. Raises DeviceError."""
        box, dialogue = await self._reach(ARRIVAL_S)
        await self._refresh(box, dialogue)
        return self._report(box)

    async def apply(self, command: Command) -> Report:
        """Set the limit, see that the current follows where that matters. Raises DeviceError."""
        box, dialogue = await self._reach(ARRIVAL_S)
        phases = command.phases or self._phases if self.switches_phases else None
        wanted = profiles.limit(command, self._connector(box).meter.phases, phases)
        if wanted.watts <= 0:
            await self._pause(box, dialogue, wanted)
        else:
            await self._allow(box, dialogue, wanted, command.lease_s)
        return self._report(box, command)

    async def wake(self) -> None:
        """Interrupt what the car is offered for some seconds. Raises DeviceError."""
        box, dialogue = await self._reach(ARRIVAL_S)
        before = self._set
        if before is None or before.limit.watts <= 0 or (left_s := before.ends_at - self._clock.now()) <= WAKE_S:
            return
        await self._say(box, dialogue, Limit(0.0, 0.0, before.limit.phases))
        await self._clock.sleep(WAKE_S)
        await self._say(box, dialogue, before.limit, None if math.isinf(left_s) else left_s - WAKE_S)
        self._asked_to_start_at = -math.inf
        await self._start(dialogue, self._connector(box))

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Tell what could hurt later; nothing is set. Raises DeviceError."""
        box, dialogue = await self._reach(DOCTOR_S)
        await self._refresh(box, dialogue)
        return care.inspect(box, self._connector(box), self._options, load)

    async def close(self) -> None:
        async with self._gate:
            server, box = self._server, self._box
            self._server = self._box = None
            if server is not None and box is not None:
                await server.leave(box, self._password)

    async def _reach(self, patience_s: float) -> tuple[Box, Dialogue]:
        """Return the box and the line to it. Raises Unreachable, at once if it was waited for before."""
        server, box = await self._join()
        server.raise_bug()
        if not self._greeted:
            self._greeted = True
            await _within(patience_s, box.arrived)
        if (dialogue := box.dialogue) is None:
            raise Unreachable(f"{self._where}: is not connected", hint=_missing(server, box))
        await _within(READY_S, dialogue.ready)
        if dialogue.closed:
            raise Unreachable(f"{self._where}: the connection was lost", hint="it calls again by itself after a while")
        if self._options.switch_phases is None:
            self.switches_phases = box.abilities.switches_phases is True
        return box, dialogue

    async def _join(self) -> tuple[Server, Box]:
        async with self._gate:
            if self._server is None or self._box is None:
                # 30 MB for who has such a charger only; on a small computer seconds, which must hold nobody up
                module = await asyncio.to_thread(import_module, "loadctl.actuators.ocpp.server")
                listen = self._options.listen
                server: Server = self._shared.common(f"ocpp {listen}", lambda: module.Server(listen, self._clock))
                self._box = await server.join(self._options.id, self._password)
                self._box.connector(self._options.connector)
                self._server = server
            return self._server, self._box

    async def _allow(self, box: Box, dialogue: Dialogue, wanted: Limit, lease_s: float | None) -> None:
        connector, held = self._connector(box), self._held(box)
        if wanted.phases != (self._phases or connector.meter.phases) and wanted.phases is not None:
            await self._make_way(box, dialogue, connector)
        lasts_s = None if self.lease_s is None else lease_s or self.lease_s
        if lasts_s is None and held is not None and held.limit == wanted:
            await self._start(dialogue, connector)  # it holds for good
            return
        if lasts_s is not None and box.abilities.stack_level == profiles.SAFE_LEVEL:
            raise self._no_lease()
        safe = profiles.safe_profile(box.abilities, self._options.connector)
        if lasts_s is not None and connector.permanent != safe:
            # First: were the line lost in between, the lease would run out onto nothing, and that is full current.
            await self._arm(box, dialogue, safe)
        await self._say(box, dialogue, wanted, lasts_s)
        await self._start(dialogue, connector)

    async def _make_way(self, box: Box, dialogue: Dialogue, connector: Connector) -> None:
        """Stop the current before phases are switched: under load that breaks cars."""
        if connector.status != "Charging" and not connector.draws:
            return
        await self._say(box, dialogue, Limit(0.0, 0.0, self._phases))
        if not await self._gone(dialogue, connector, SWITCH_S):
            raise Refused(f"{self._where}: the car goes on drawing, so its phases were not switched")

    async def _arm(self, box: Box, dialogue: Dialogue, safe: profiles.Json) -> None:
        """Put the pause below the working profile; where it is not taken, the car is not let charge either."""
        try:
            await dialogue.install(self._options.connector, safe)
        except Refused as error:
            await self._say(box, dialogue, Limit(0.0, 0.0, self._phases))
            raise self._no_lease() from error
        self._connector(box).permanent = safe

    async def _pause(self, box: Box, dialogue: Dialogue, wanted: Limit) -> None:
        """Allow nothing, and see the current go: some boxes take a limit of 0 A for 6 A. Then the charge is ended."""
        connector = self._connector(box)
        held = self._held(box)
        refusal = Refused(
            f"{self._where}: said yes to a pause and the car goes on drawing",
            hint="some chargers pause only when their smart charging is switched on: see its settings",
        )
        try:
            if held is None or held.limit.watts > 0 or connector.draws:
                await self._say(box, dialogue, wanted, hurry=True)
            if await self._gone(dialogue, connector, PAUSE_S):
                return
        except Refused as error:
            refusal = error
        if connector.transaction is not None:
            said = await dialogue.end(connector.transaction)
            if said == "Accepted" and await self._gone(dialogue, connector, STOP_S):
                return
        raise refusal

    async def _say(
        self, box: Box, dialogue: Dialogue, wanted: Limit, lease_s: float | None = None, *, hurry: bool = False
    ) -> None:
        """Install `wanted` for a lease, or for good: a pause lasts. Until the answer nothing is known."""
        number, connector = self._options.connector, self._connector(box)
        now, before = self._clock.now(), self._set
        start = profiles.on_its_clock(self._clock.wall(), box.skew_s)
        lease = None if lease_s is None else profiles.Lease(start, lease_s)
        level = profiles.SAFE_LEVEL if self.lease_s is None else profiles.working_level(box.abilities)
        profile = profiles.working_profile(wanted, box.abilities, number, level=level, lease=lease)
        self._set = None
        await dialogue.install(number, profile, hurry=hurry)
        if lease is None and (self.lease_s is None or connector.permanent is None):
            connector.permanent = profile
        ends_at = math.inf if lease_s is None else now + lease_s
        self._set = _Set(wanted, self._clock.now(), ends_at, box.boots)
        self._phases = wanted.phases
        if before is None or before.limit != wanted:
            self._changed_at = now
        if wanted.watts <= 0:
            self._on_since, self._drew = None, False
            self._asked_to_start_at = -math.inf
        elif self._on_since is None:
            self._on_since = now

    async def _start(self, dialogue: Dialogue, connector: Connector) -> None:
        """Begin a charge where the box waits for somebody's leave; once for each time that it begins to wait."""
        waits = connector.status == "Preparing" or (connector.status == "Finishing" and not connector.stopped_by_hand)
        if not waits or connector.transaction is not None or self._asked_to_start_at >= connector.status_at:
            return
        self._asked_to_start_at = self._clock.now()
        said = await dialogue.begin(self._options.connector, self._options.id_tag)
        if said != "Accepted":  # it may be about to begin by itself
            await self._until(lambda: connector.transaction is not None or connector.status == "Charging", PATIENCE_S)
        if said == "Accepted" or connector.transaction is not None or connector.status == "Charging":
            return
        if connector.status == "Finishing":
            self._needs_replug = True
            return
        self._asked_to_start_at = -math.inf
        raise Refused(
            f"{self._where}: does not begin the charge ({said})",
            hint="allow remote start, or charging without a card, in its settings",
        )

    async def _gone(self, dialogue: Dialogue, connector: Connector, limit_s: float) -> bool:
        """Wait until the car draws nothing; False if it still does. Without any word of the box it is believed."""
        began = self._clock.now()
        asked_at = -math.inf
        while (now := self._clock.now()) < began + limit_s:
            if (connector.measured_at > began or profiles.rests(connector.status)) and not connector.draws:
                return True
            if now - asked_at >= _TRIGGER_S and now < began + limit_s - 1:
                asked_at = now
                await dialogue.trigger("MeterValues", self._options.connector)
            await self._clock.sleep(_LOOK_S)
        return not (connector.measured_at >= began + OBEYS_S and connector.draws)

    async def _refresh(self, box: Box, dialogue: Dialogue) -> None:
        """Have the box measure if its last word is old, or from before the car followed the last change."""
        connector, now = self._connector(box), self._clock.now()
        if not connector.status:
            await dialogue.trigger("StatusNotification", self._options.connector)
        stale_s = RISING_STALE_S if now - self._changed_at < RISES_S else STALE_S
        old = connector.measured_at < max(self._changed_at, now - stale_s)
        if (
            not old
            or connector.status != "Charging"
            or not await dialogue.trigger("MeterValues", self._options.connector)
        ):
            return
        await self._until(lambda: connector.measured_at >= now, _TRIGGER_S)

    async def _until(self, comes_true: Callable[[], bool], limit_s: float) -> None:
        end = self._clock.now() + limit_s
        while not comes_true() and self._clock.now() < end:
            await self._clock.sleep(_LOOK_S / 5)

    def _connector(self, box: Box) -> Connector:
        return box.connector(self._options.connector)

    def _held(self, box: Box) -> _Set | None:
        """What is in force; None: nobody knows. A box that has booted may have forgotten it."""
        if self._set is not None and self._set.boots == box.boots and self._clock.now() < self._set.ends_at:
            return self._set
        return None

    def _no_lease(self) -> Refused:
        return Refused(
            f"{self._where}: holds only one charging profile, so it would go on charging when loadctl dies",
            hint="`failsafe: none` says that this can do no harm",
        )

    def _report(self, box: Box, command: Command | None = None) -> Report:
        connector, now = self._connector(box), self._clock.now()
        told = profiles.plug(connector.status, connector.error, connector.info)
        if connector.status in {"Available", "Preparing"}:
            self._needs_replug = False
        on, source = self._on(box, connector)
        held = self._held(box)
        meter, watts = connector.meter, None
        if now - connector.measured_at < FRESH_S and connector.measured_at >= connector.status_at:
            watts = meter.watts
        elif profiles.rests(connector.status) and connector.measured_at > -math.inf:
            watts = 0.0  # it can measure and says that nothing flows
        self._drew = self._drew or (on and self._on_since is not None and (watts or 0.0) > profiles.DRAWS_A * 230)
        ended = on is False and connector.status == "Finishing" and (self._needs_replug or connector.stopped_by_hand)
        satisfied = self._satisfied(connector, on=on)
        return Report(
            load=command.load if command else "",
            read_at=now,
            command_id=command.id if command else None,
            on=on,
            watts=watts,
            limit_w=(held.limit.watts or None) if held and on else meter.offered_w if on else 0.0,
            source=source,
            identity=box.serial,
            lease_left_s=held.ends_at - now if held and on and not math.isinf(held.ends_at) else None,
            connected=told.connected,
            available=told.available and not ended,
            satisfied=satisfied,
            detail="the charge was ended; it begins anew when the plug is pulled and put in again"
            if ended
            else told.detail,
            phases=meter.phases if watts else None,
            inputs=tuple(
                (name, value)
                for name, value in (("soc", meter.soc), ("temperature", meter.temperature))
                if value is not None
            ),
        )

    def _on(self, box: Box, connector: Connector) -> tuple[bool, Source]:
        """Whether the car may charge, and by whose doing."""
        known, now = self._set, self._clock.now()
        if connector.status == "Finishing" and connector.transaction is None:
            return False, Source.HAND if connector.stopped_by_hand else Source.US if known else Source.UNKNOWN
        if known is None or known.boots != box.boots:
            charging = connector.status in {"Charging", "SuspendedEV"}
            return charging, Source.REBOOT if known is not None else Source.UNKNOWN
        ended = now >= known.ends_at
        since = known.ends_at if ended else known.at
        allowed = known.limit.watts > 0 and not ended
        disobeys = connector.draws and connector.measured_at >= max(since + PAUSE_S, now - FRESH_S)
        return allowed or disobeys, Source.TIMER if ended else Source.US

    def _satisfied(self, connector: Connector, *, on: bool) -> bool | None:
        if connector.meter.soc is not None and connector.meter.soc >= 100 and connector.status != "Available":
            return True
        if not on or connector.status not in {"Charging", "SuspendedEV"}:
            return None
        waits_s = self._clock.now() - connector.status_at
        return connector.status == "SuspendedEV" and self._drew and waits_s >= FULL_S


async def _within(limit_s: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        pass


def _missing(server: Server, box: Box) -> str:
    if box.turned_away:
        return f"it calls and {box.turned_away}"
    others = [name for name in server.strangers if name not in server.boxes]
    also = f"; one called `{others[-1]}` calls: is that its `id`?" if others else ""
    return f"enter {server.url(box.id)} in its settings as the OCPP backend; it may take minutes to call{also}"
