"""One actuator and what is to be done with it.

A mailbox does one thing at a time, in this order: the latest wish, a lease to renew, a look at the real state, a car
that sleeps. An OFF cuts short whatever is under way: at once what only asks, after a moment what switches on. It has no
clock of its own to wake by: the daemon's tick rings it. So a daemon that hangs renews nothing, and the leases end.

What is on is set anew in the pace that its device bears, unless that matters: the fuse is near, or it is to draw much
less.

Each load has its device: who else answers at the address is not switched, neither on nor off.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from loadctl.core.rules import Load
from loadctl.core.values import Command, Report
from loadctl.drivers import Actuator, Clock, Spared, Wakeable
from loadctl.errors import DeviceError, Refused, Unreachable
from loadctl.service.reader import end_if_told
from loadctl.service.waking import Sleep

ANSWER_LIMIT_S = 30.0  # real seconds; a driver's own time-outs are shorter
CHANGE_LIMIT_S = 50.0  # real seconds for an ON: a charger may change phases on the way, and its car takes its time
OVERTAKEN_S = 1.0  # real seconds for an ON that is on its way to end when the load must go off
LATE_S = 30.0  # for so long an ON that was cut short may still arrive: a packet is sent again and again
WHO_S = 5.0  # real seconds for a device to tell who it is before it is switched off
LONGEST_PAUSE_S = 60.0  # how rarely an actuator that does not answer is still looked at
SAFE_RETRY_S = 0.5
MUCH_LESS = 0.75  # of what it was set to: clouds come so, and kettles

_log = logging.getLogger(__name__)

BeforeOn = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Counts:
    """By load: wishes that a newer one overtook, and renewals of a lease that failed."""

    superseded: Counter[str] = field(default_factory=Counter)
    unrenewed: Counter[str] = field(default_factory=Counter)


async def at_once() -> None:
    """What comes before an ON where nothing need."""


class Mailbox:
    """One actuator and what is to be done with it.

    `identity`: the device that the load is known to have; the first one that answers, if None. `before_on` is awaited
    before a wish to switch on leaves, unless another wish overtakes it; to set anew what is on, nothing is waited for.
    `looked`: the real state was asked for once.
    """

    def __init__(
        self,
        load: str,
        actuator: Actuator,
        clock: Clock,
        *,
        deliver: Callable[[Report], None] = lambda _: None,
        counts: Counts | None = None,
        identity: str | None = None,
        before_on: BeforeOn = at_once,
    ) -> None:
        self.load = load
        self.actuator = actuator
        self.looked = asyncio.Event()
        self._identity = identity
        self._clock = clock
        self._deliver = deliver
        self._counts = counts or Counts()
        self._before_on = before_on
        self._bell = asyncio.Event()
        self._wish: Command | None = None
        self._hurry = False
        self._renewal: Command | None = None
        self._held: Command | None = None  # the last ON that the device took, with what it was set to then
        self._set_at = -math.inf  # when that was
        self._sleep = Sleep()
        self._leased_at: float | None = None  # when it was sent: the lease cannot end before `lease_s` from here
        self._renew_at = -math.inf
        self._look_at = -math.inf
        self._seen: Report | None = None  # the last that is known of the real state
        self._stranger = False  # another device has answered
        self._lease_told = False
        self._pause_s = 0.0
        self._trouble: str | None = None
        self._switching_on = False
        self._late_until = -math.inf  # an ON was cut short and may arrive until then
        self._off: Command | None = None  # the OFF that cut it short

    def put(self, command: Command) -> None:
        """Take a wish. One that still waits is overtaken: only the latest counts."""
        if self._wish is not None:
            self._counts.superseded[self.load] += 1
        self._wish = command
        self._hurry = False
        self._renewal = None
        self._bell.set()

    def hurry(self) -> None:
        """Do not let a new setting wait for its pace."""
        self._hurry = True
        if self._wish is not None:
            self._bell.set()

    def tick(self, load: Load, *, on: bool) -> None:
        """Once a tick: a lease that is a third gone is renewed while the load is `on`, and the real state looked at."""
        now = self._clock.now()
        if not on:
            self._renewal = None
        elif self.actuator.lease_s is not None and now >= self._renew_at and self._wish is None:
            self._renewal = self._as_held(load)
        if self._wish is not None or self._renewal is not None or now >= self._look_at:
            self._bell.set()

    @property
    def trouble(self) -> str | None:
        """The kind of what is wrong with the actuator; None: it answers."""
        return self._trouble

    def lease_left_s(self) -> float | None:
        """Return how long the load stays on if nothing more is said; None: it holds no lease now."""
        if self.actuator.lease_s is None or self._leased_at is None:
            return None
        return max(0.0, self._leased_at + self.actuator.lease_s - self._clock.now())

    async def run(self) -> None:
        while True:
            end_if_told()
            if (wish := self._wish) is not None and wish.watts <= 0:
                self._wish = None
                await self._switch_off(wish)
            elif wish is not None and self.looked.is_set() and self._may_set(wish):
                self._wish = None
                if not await self._unless_overtaken(self._switch_on(wish)):
                    self._counts.superseded[self.load] += 1
            elif (work := self._due()) is not None:
                await self._unless_overtaken(work)
            else:
                self._bell.clear()
                await self._bell.wait()

    def _may_set(self, wish: Command) -> bool:
        """Tell whether `wish` may leave now; only to set anew what is on has a pace."""
        if self._held is None or self._hurry or not isinstance(self.actuator, Spared):
            return True
        much_less = wish.watts < MUCH_LESS * self._held.watts or wish.phases != self._held.phases
        return much_less or self._clock.now() >= self._set_at + self.actuator.spare_s

    def _due(self) -> Coroutine[Any, Any, object] | None:
        """Return what is to be done while nothing is wished."""
        if not self.looked.is_set():
            return self._look()
        if (renewal := self._renewal) is not None:
            self._renewal = None
            return self._renew(renewal)
        if self._clock.now() >= self._look_at:
            return self._look()
        if isinstance(self.actuator, Wakeable) and self._sleep.over(self._clock.now()):
            return self._rouse(self.actuator)
        return None

    async def make_safe(self, command: Command, limit_s: float) -> Report:
        """Carry out `command` whatever it takes within `limit_s`; return what the load does now, or an `error`.

        Only after `run` has ended: one request in flight is what the driver may count on.
        """
        report = Report(self.load, self._clock.now(), error=Unreachable.kind, detail=f"no answer in {limit_s:.0f} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while True:
                    report = await self._refusal() or await self._ask(self.actuator.apply(command))
                    if report.error is None or self._stranger:
                        return report
                    await asyncio.sleep(SAFE_RETRY_S)
        return report

    async def close(self) -> None:
        await self.actuator.close()

    async def _look(self) -> Report:
        try:
            report = await self._ask(self.actuator.read())
        finally:
            self.looked.set()
        if report.on and self._off is not None and self._clock.now() < self._late_until:
            _log.warning("%s: an ON that was overtaken came after the OFF; it is switched off again", self.load)
            report = replace(await self._ask(self.actuator.apply(self._off)), command_id=None)
        self._deliver(report)
        return report

    async def _switch_off(self, command: Command) -> None:
        refusal = await self._refusal()
        if self._wish is not None:
            self._counts.superseded[self.load] += 1
            return
        report = refusal or await self._ask(self.actuator.apply(command))
        self._deliver(replace(report, command_id=command.id))
        if report.error is None:
            self._took(command, self._clock.now())

    async def _switch_on(self, command: Command) -> None:
        if self._seen is None:  # nothing is switched on that we have never seen
            seen = await self._ask(self.actuator.read())
            self._deliver(seen if seen.error is None else replace(seen, command_id=command.id))
            if seen.error is not None:
                return
        if not self._is_on():
            await self._before_on()
        if self._wish is not None:
            self._counts.superseded[self.load] += 1
            return
        report = await self._say_on(command)
        self._deliver(replace(report, command_id=command.id))

    async def _say_on(self, command: Command) -> Report:
        sent_at = self._clock.now()
        with self._about_to_switch_on():
            report = await self._ask(self.actuator.apply(command), CHANGE_LIMIT_S)
        if report.error is None:
            self._took(command, sent_at)
        return report

    @contextmanager
    def _about_to_switch_on(self) -> Iterator[None]:
        self._switching_on = True
        try:
            yield
        except asyncio.CancelledError:
            self._late_until = self._clock.now() + LATE_S
            raise
        finally:
            self._switching_on = False

    def _is_on(self) -> bool:
        """Tell whether the load was on when it was last seen: then a wish for more than 0 W only sets it anew."""
        return self._held is not None or (self._seen is not None and self._seen.on is True)

    def _must_go_off(self) -> bool:
        return self._wish is not None and self._wish.watts <= 0

    async def _unless_overtaken(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do `work` until the load must go off; False if that cut it short. A device that hangs, or a charger that
        waits for its car while it changes phases, must not keep an OFF waiting.
        """
        under_way = asyncio.ensure_future(work)
        under_way.add_done_callback(lambda _: self._bell.set())
        try:
            while not under_way.done() and not self._must_go_off():
                self._bell.clear()
                await self._bell.wait()
            if self._switching_on:  # better seen on and switched off than in doubt
                await asyncio.wait({under_way}, timeout=OVERTAKEN_S)
        finally:
            # Not awaited itself: what a driver raises on its way out would take the place of our own cancellation, and
            # a mailbox that was told to end would go on for ever.
            while not under_way.done():
                under_way.cancel()
                await asyncio.wait({under_way}, timeout=OVERTAKEN_S)
            error = None if under_way.cancelled() else under_way.exception()
        if error is not None:
            raise error  # a bug is not to be passed over
        return not under_way.cancelled()

    async def _rouse(self, charger: Wakeable) -> None:
        """Wake a car; a charger that cannot is no fault of the load."""
        _log.info("%s: the car is plugged in and takes nothing: waking it", self.load)
        self._look_at = -math.inf
        try:
            with self._about_to_switch_on():
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    await charger.wake()
        except DeviceError as error:
            _log.warning("%s: the car could not be woken: %s", self.load, error)
        except TimeoutError:
            _log.warning("%s: the car could not be woken: no whole answer in %.0f s", self.load, ANSWER_LIMIT_S)

    async def _refusal(self) -> Report | None:
        """Ask a device that we have not seen yet who it is; None: nothing speaks against switching it off."""
        if self._seen is not None or self._identity is None:
            return None
        seen = await self._ask(self.actuator.read(), WHO_S)
        return seen if self._stranger else None

    async def _renew(self, renewal: Command) -> None:
        """Look first: a renewal must not switch on again what somebody has just switched off by hand."""
        self._renew_at = self._clock.now() + (self.actuator.lease_s or 0.0) / 12
        seen = await self._look()
        if seen.error is not None:
            self._could_not_renew(seen)
            return
        if seen.on is False or self._wish is not None:
            return
        report = await self._say_on(renewal)
        self._deliver(replace(report, command_id=None))
        if report.error is not None:
            self._could_not_renew(report)

    def _could_not_renew(self, report: Report) -> None:
        self._counts.unrenewed[self.load] += 1
        if not self._lease_told:
            left_s = self.lease_left_s()
            ends = "it has none yet" if left_s is None else f"the load goes off by itself in {left_s:.0f} s"
            _log.warning("%s: its lease cannot be renewed: %s; %s", self.load, report.detail, ends)
        self._lease_told = True

    async def _ask(self, answer: Awaitable[Report], limit_s: float = ANSWER_LIMIT_S) -> Report:
        """Return what the device says or, as a report with `error`, why it says nothing."""
        try:
            async with asyncio.timeout(limit_s):
                report = await answer
        except DeviceError as error:
            return self._failed(error)
        except TimeoutError:
            return self._failed(Unreachable(f"no whole answer in {limit_s:.0f} s"))
        self._identity = self._identity or report.identity
        self._stranger = report.identity not in {None, self._identity}
        if self._stranger:
            self._seen = None
            return self._failed(
                Refused(
                    f"another device answers at its address: {report.identity} instead of {self._identity}",
                    hint=f"if you replaced it: `loadctl adopt {self.load}`",
                )
            )
        if self._trouble is not None:
            _log.info("%s: its actuator answers again", self.load)
        self._trouble = None
        self._pause_s = self.actuator.every_s
        self._look_at = self._clock.now() + self._pause_s
        if self._clock.now() < self._late_until:
            self._look_at = min(self._look_at, self._clock.now() + WHO_S)
        self._seen = replace(report, load=self.load)
        self._sleep.note(report)
        if report.on is False:
            self._held = self._leased_at = None
        return self._seen

    def _failed(self, error: DeviceError) -> Report:
        if self._trouble != error.kind:
            _log.warning("%s: %s", self.load, error)
        self._trouble = error.kind
        self._pause_s = min(max(self._pause_s * 2, self.actuator.every_s), max(LONGEST_PAUSE_S, self.actuator.every_s))
        now = self._clock.now()
        self._look_at = now + max(self._pause_s, error.retry_after_s)
        return Report(self.load, now, error=error.kind, detail=str(error))

    def _took(self, command: Command, sent_at: float) -> None:
        self._renewal = None
        self._lease_told = False
        self._off = None
        if command.watts <= 0:
            self._held = self._leased_at = None
            self._off = command
            return
        self._held = command
        self._set_at = sent_at
        if self.actuator.lease_s is not None:
            self._leased_at = sent_at
            self._renew_at = sent_at + self.actuator.lease_s / 3

    def _as_held(self, load: Load) -> Command:
        """Return the ON to say again; a load that was found on, or that a person switched on, runs as it was seen."""
        if self._held is not None:
            return replace(self._held, id=0)
        limit_w = self._seen.limit_w if self._seen is not None else None
        return Command(0, load.name, limit_w or load.power_w, lease_s=load.lease_s)
