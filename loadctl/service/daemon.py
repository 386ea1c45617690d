"""The control loop: read, step, dispatch, absorb. It lives and dies with its meter and its switchboard.

A tick comes every second, and at once when the meter or an actuator has answered. Whatever ends the loop, a signal or a
bug, the loads are put in their safe state on the way out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from loadctl.config import Device, House, load
from loadctl.core.step import start, step
from loadctl.core.values import OFF, Command, Load, Outcome, Site, Standing, State, Tick
from loadctl.drivers import Actuator, Meter, Shared
from loadctl.errors import ConfigError
from loadctl.service.dryrun import DryActuator, DryMeter, Pretence
from loadctl.service.reader import Reader
from loadctl.service.switchboard import Mailbox, Switchboard, make_safe

TICK_S = 1.0

_log = logging.getLogger(__name__)

Observer = Callable[[Tick, Outcome], None]


class Daemon:
    """One house under control. `observers` are told each tick and what it decided; they must be quick.

    `late_s` is how late the last regular tick came, None on a tick that came because of an answer. `reread` gives the
    rules anew when `reload` is called. With `dry_run` devices are read and nothing is switched.
    """

    def __init__(
        self,
        house: House,
        shared: Shared,
        *,
        dry_run: bool = False,
        reread: Callable[[], House] | None = None,
    ) -> None:
        now = shared.clock.now()
        self.house = house
        self.dry_run = dry_run
        self.clock = shared.clock
        self.observers: list[Observer] = []
        self.ticked_at: float | None = None
        self.late_s: float | None = None
        self.reload_success = True
        self.reloaded_at = shared.clock.wall()
        self._shared = shared
        self._reread = reread or partial(load, house.path)
        self._wake = asyncio.Event()
        self._beat: float | None = None
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._pretence: Pretence = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[tuple[Mailbox, Command | None]] = []
        self.switchboard = Switchboard(self.clock, self._wake.set)
        self.reader = self._new_reader(house)
        self.state = start(house.site, now, self._wall().toordinal())
        for rule in house.site.loads:
            self._open(rule, house.actuators[rule.name])

    def stop(self, why: str) -> None:
        """End `run` and leave every load in its safe state; for signal handlers."""
        if not self._stop.is_set():
            _log.info("%s: stopping, every load goes to its safe state", why)
        self._stop.set()

    def reload(self) -> None:
        """Read the rules anew; for signal handlers."""
        self._reload.set()

    async def run(self) -> dict[str, str]:
        """Control until stopped; return the loads whose safe state could not be confirmed, with the reasons.

        A bug anywhere raises an ExceptionGroup, after the loads have been put in their safe state.
        """
        if self.dry_run:
            _log.warning("dry run: nothing is switched, whatever the lines below say")
        _log.info("controlling %s", ", ".join(rule.name for rule in self.house.site.loads) or "no load at all")
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, "meter", self.reader.run())
                for mailbox in self.switchboard.mailboxes.values():
                    self._start(group, f"load {mailbox.load}", mailbox.run())
                self._start(group, "time", self._keep_time())
                self._start(group, "tick", self._decide())
                self._start(group, "rules", self._keep_rules(group))
                await self._stop.wait()
                for task in self._tasks.values():
                    task.cancel()
            self._tick(shutdown=True)
        finally:
            unconfirmed = await self._leave()
        return unconfirmed

    async def _keep_time(self) -> None:
        due = self.clock.now()
        while True:
            now = self.clock.now()
            self._beat = max(0.0, now - due)
            self._wake.set()
            due = max(due + TICK_S, now)  # beats that were missed are not made up for
            await self.clock.sleep(due - now)

    async def _decide(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._tick()

    def _tick(self, *, shutdown: bool = False) -> None:
        self.ticked_at = self.clock.now()
        self.late_s, self._beat = self._beat, None
        reports = self.switchboard.take()
        tick = Tick(self.ticked_at, self._wall(), self.reader.sample, reports, shutdown=shutdown)
        outcome = step(self.house.site, self.state, tick)
        self.state = outcome.state
        if not shutdown:  # what a shutdown switches, `_leave` does: at once, with retries, and for every load
            self.switchboard.send(outcome.commands)
            self.switchboard.renew(self.house.site, self.state)
        for observe in self.observers:
            observe(tick, outcome)

    async def _keep_rules(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                house = self._reread()
            except ConfigError as error:
                self.reload_success = False
                _log.error("the rules stay as they were, the file cannot be used:\n%s", error)
                continue
            await self._adopt(house, group)
            self.reload_success = True
            self.reloaded_at = self.clock.wall()

    async def _adopt(self, house: House, group: asyncio.TaskGroup) -> None:
        """Change over to `house`. Loads that stay keep their standing, devices whose options stay are not reopened."""
        old = self.house
        kept = {
            rule.name
            for rule in house.site.loads
            if rule.name in old.actuators and _same(old.actuators[rule.name], house.actuators[rule.name])
        }
        state = carry_over(old.site, self.state, house, kept, self.clock.now(), self._wall().toordinal())
        gone = [rule for rule in old.site.loads if rule.name not in kept]
        ending = [self._tasks.pop(f"load {rule.name}") for rule in gone]
        self._part_with(gone)
        self.house, self.state = house, state
        fresh = [self._open(rule, house.actuators[rule.name]) for rule in house.site.loads if rule.name not in kept]
        former = self.reader
        if not _same(old.meter, house.meter):
            ending.append(self._tasks.pop("meter"))
            self.reader = self._new_reader(house)
            self.reader.readings, self.reader.errors = former.readings, former.errors
        if old.web != house.web:
            _log.warning("the web page stays where it is until loadctl is started again")
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        # A pin or a socket that changes hands must be let go of before its new owner takes it.
        await self._let_go()
        if former is not self.reader:
            await former.close()
            self._start(group, "meter", self.reader.run())
        for mailbox in fresh:
            self._start(group, f"load {mailbox.load}", mailbox.run())
        _log.info("new rules: controlling %s", ", ".join(rule.name for rule in house.site.loads) or "no load at all")

    async def _let_go(self) -> dict[str, str]:
        """Put what leaves in its safe state, say so per load, and close it."""
        switching = [(mailbox, command) for mailbox, command in self._leaving if command is not None]
        results = await make_safe(switching)
        unconfirmed = {}
        for (mailbox, command), why in zip(switching, results, strict=True):
            word = "on" if command.watts > 0 else "off"
            if self.dry_run:
                _log.info("%s: left as it is (dry run)", mailbox.load)
            elif why is None:
                _log.info("%s: %s, confirmed", mailbox.load, word)
            else:
                unconfirmed[mailbox.load] = why
                _log.error("%s: not confirmed %s: %s; %s", mailbox.load, word, why, _what_now(mailbox))
        for mailbox, wish in self._leaving:
            if wish is None:
                _log.info("%s: left off, its compressor rests", mailbox.load)
            self._pretence.pop(mailbox.load, None)
            await mailbox.close()
        self._leaving.clear()
        return unconfirmed

    def _part_with(self, rules: Iterable[Load]) -> None:
        names = [rule.name for rule in self.house.site.loads]
        for rule in rules:
            command = safe_command(rule, self.state.standings[names.index(rule.name)], self.clock.now())
            self._leaving.append((self.switchboard.close(rule.name), command))

    async def _leave(self) -> dict[str, str]:
        self._part_with([rule for rule in self.house.site.loads if rule.name in self.switchboard.mailboxes])
        unconfirmed = await self._let_go()
        await self.reader.close()
        return unconfirmed

    def _start(self, group: asyncio.TaskGroup, name: str, task: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = group.create_task(task, name=name)

    def _open(self, rule: Load, device: Device) -> Mailbox:
        actuator: Actuator = device.build(self._shared)
        return self.switchboard.open(
            rule.name, DryActuator(rule, actuator, self._pretence) if self.dry_run else actuator
        )

    def _new_reader(self, house: House) -> Reader:
        meter: Meter = house.meter.build(self._shared)
        return Reader(DryMeter(meter, self._pretence) if self.dry_run else meter, self.clock, self._wake.set)

    def _wall(self) -> datetime:
        return self.clock.wall().astimezone(self.house.zone)


def safe_command(rule: Load, standing: Standing, at: float) -> Command | None:
    """Return what puts a load in its safe state; None: that is on, and its compressor has yet to rest."""
    rested_s = at - (standing.since if standing.switched_at is None else standing.switched_at)
    if rule.safe_on and rule.compressor and standing.was_on is not True and rested_s < rule.min_off_s:
        return None
    return Command(0, rule.name, rule.power_w if rule.safe_on else 0.0, lease_s=rule.lease_s)


def carry_over(old: Site, state: State, house: House, kept: set[str], at: float, day: int) -> State:
    """Return the state under new rules. Loads in `kept` are the same device as before and keep their standing.

    A device that was exchanged under a name, or got another one (`was:`), is one that was put in its safe state just
    now; its tallies stay.
    """
    new = house.site
    known = {rule.name: (rule, standing) for rule, standing in zip(old.loads, state.standings, strict=True)}
    standings = []
    for rule, unknown in zip(new.loads, start(new, at, day).standings, strict=True):
        before = rule.name if rule.name in known else house.was.get(rule.name, "")
        if before not in known:
            standings.append(unknown)
            continue
        former, standing = known[before]
        if rule.name not in kept:
            standing = _exchanged(standing, at)
        if [(need.by, need.days) for need in rule.needs] != [(need.by, need.days) for need in former.needs]:
            standing = replace(standing, marks=())
        standings.append(standing)
    return replace(state, standings=tuple(standings))


def _exchanged(standing: Standing, at: float) -> Standing:
    was_off = standing.phase is OFF and standing.was_on is False
    return Standing(
        phase=OFF,
        since=standing.since if was_off else at,
        switched_at=standing.switched_at if was_off else at,
        learned_w=standing.learned_w,
        tally=standing.tally,
        tallied_at=at,
        today=standing.today,
        marks=standing.marks,
    )


def _same(one: Device, other: Device) -> bool:
    return (one.driver, one.options) == (other.driver, other.options)


def _what_now(mailbox: Mailbox) -> str:
    if (left_s := mailbox.lease_left_s()) is not None:
        return f"it goes off by itself within {left_s:.0f} s"
    if mailbox.actuator.lease_s is not None:
        return f"if it is on, it goes off by itself within {mailbox.actuator.lease_s:.0f} s"
    return "it cannot go off by itself: please look"
