"""Carries wishes to the actuators and facts back, each by its own mailbox, so that a slow one delays nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from loadctl.core.judge import refuses_off
from loadctl.core.rules import Site
from loadctl.core.values import ON, Command, Report, State
from loadctl.drivers import Actuator, Clock
from loadctl.service.mailbox import BeforeOn, Counts, Mailbox, at_once

SAFE_LIMIT_S = 10.0  # real seconds for all loads together to reach their safe state


class Switchboard:
    """All mailboxes. Reports gather here until the next tick; an answer to a command brings that tick about."""

    def __init__(self, clock: Clock, wake: Callable[[], None], before_on: BeforeOn = at_once) -> None:
        self.mailboxes: dict[str, Mailbox] = {}
        self.counts = Counts()
        self._clock = clock
        self._wake = wake
        self._before_on = before_on
        self._reports: list[Report] = []

    def open(self, load: str, actuator: Actuator, identity: str | None = None) -> Mailbox:
        """Give `load` a mailbox; whoever opens it also runs it."""
        mailbox = Mailbox(
            load,
            actuator,
            self._clock,
            deliver=self._receive,
            counts=self.counts,
            identity=identity,
            before_on=self._before_on,
        )
        self.mailboxes[load] = mailbox
        return mailbox

    def close(self, load: str) -> Mailbox:
        """Take the mailbox of `load` out, and what it has reported with it."""
        self._reports = [report for report in self._reports if report.load != load]
        return self.mailboxes.pop(load)

    def send(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self.mailboxes[command.load].put(command)

    def renew(self, site: Site, state: State) -> None:
        """Once a tick, by the daemon alone: ring the mailboxes that have a lease to renew or a state to look at.

        Only what is known to be on is kept on, a load that is held on by hand too. One that refuses to
        go off is left to its lease.
        """
        for load, standing in zip(site.loads, state.standings, strict=True):
            self.mailboxes[load.name].tick(load, on=standing.phase is ON and not refuses_off(standing))

    def hurry(self) -> None:
        """Have no setting wait for its pace: the fuse is near."""
        for mailbox in self.mailboxes.values():
            mailbox.hurry()

    def take(self) -> tuple[Report, ...]:
        """Return what was reported since the last time, oldest first."""
        reports = tuple(self._reports)
        self._reports.clear()
        return reports

    async def first_look(self, limit_s: float) -> dict[str, Report]:
        """Wait until all actuators were asked for their real state, or for `limit_s`; return what they told by load.

        The next `take` returns it, too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(mailbox.looked.wait() for mailbox in self.mailboxes.values()))
        return {report.load: report for report in self._reports if report.error is None}

    def _receive(self, report: Report) -> None:
        self._reports.append(report)
        if report.command_id is not None:
            self._wake()


async def make_safe(wishes: Iterable[tuple[Mailbox, Command]], limit_s: float = SAFE_LIMIT_S) -> list[Report]:
    """Drive loads to their safe state, all at once; return for each what it does now, or with `error` why it may not.

    A driver with a bug must not keep the others on, so what it raises is told like a refusal.
    """
    asked = list(wishes)
    results = await asyncio.gather(
        *(mailbox.make_safe(command, limit_s) for mailbox, command in asked), return_exceptions=True
    )
    return [
        Report(mailbox.load, 0.0, error="bug", detail=repr(result)) if isinstance(result, BaseException) else result
        for (mailbox, _), result in zip(asked, results, strict=True)
    ]
