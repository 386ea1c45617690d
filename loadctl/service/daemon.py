"""The control loop: read, step, dispatch, absorb. It lives and dies with its meter, its switchboard and its memory.

A tick comes every second, and at once when the meter or an actuator has answered. Whatever ends the loop, a signal or a
bug, the loads are put in their safe state on the way out. Those who only look on can do nothing to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from loadctl.calm import step
from loadctl.config import Device, House, load
from loadctl.core.absorb import absorb
from loadctl.core.appliance import drawn_w
from loadctl.core.rules import Load, Mode, Site
from loadctl.core.step import reordered, start
from loadctl.core.values import ON, STARTING, AnyWish, Command, Input, Outcome, Report, Sample, State, Tick
from loadctl.drivers import Actuator, InputSource, Meter, Shared
from loadctl.errors import ConfigError, DeviceError, LoadctlError
from loadctl.outlook.maker import OutlookMaker
from loadctl.service import boosts, hands
from loadctl.service.audience import Audience, Observer
from loadctl.service.changeover import address, carry_over, safe_command, same, wishes_under
from loadctl.service.dryrun import DryActuator, DryMeter, Pretence
from loadctl.service.energy import Energy
from loadctl.service.hands import People, find
from loadctl.service.inputs import Inputs
from loadctl.service.mailbox import Mailbox
from loadctl.service.memory import Memory
from loadctl.service.notify import Notifier
from loadctl.service.reader import Reader
from loadctl.service.switchboard import Switchboard, make_safe
from loadctl.units import watts

TICK_S = 1.0
FUSE_NEAR_SHARE = 0.9
FIRST_LOOK_S = 5.0  # for all devices to tell what they do before the memory is believed; who is away is not waited for

_log = logging.getLogger(__name__)


class Daemon:
    """One house under control. `observers` are told each tick and what it decided; they must be quick.

    `late_s` is how late the last regular tick came, None on a tick that came because of an answer; `last` is the last
    tick and what it decided. `reread` gives the rules anew when `reload` is called, in a thread of `executor`, for that
    takes a small computer half a second. `memory` is what the last run left, and what this one writes; whoever opened
    it closes it. With `dry_run` devices are read and nothing is switched.
    """

    def __init__(
        self,
        house: House,
        shared: Shared,
        *,
        dry_run: bool = False,
        reread: Callable[[], House] | None = None,
        memory: Memory | None = None,
        notifier: Notifier | None = None,
        executor: Executor | None = None,
    ) -> None:
        now = shared.clock.now()
        self.house = house
        self.dry_run = dry_run
        self.clock = shared.clock
        self.memory = memory
        self.wishes: tuple[AnyWish, ...] = ()
        self.last: tuple[Tick, Outcome] | None = None
        self.ticked_at: float | None = None
        self.late_s: float | None = None
        self.reload_success = True
        self.reloaded_at = shared.clock.wall()
        self._shared = shared
        self._reread = reread or partial(load, house.path)
        self._executor = executor
        self._notifier = notifier or Notifier({})
        self._audience = Audience()
        self._wake = asyncio.Event()
        self._beat: float | None = None
        self._stop = asyncio.Event()
        self._resumed = asyncio.Event()
        self._change = asyncio.Event()
        self._rereading = False
        self._replaced: set[str] = set()
        self._noted: Sample | None = None
        self._pretence: Pretence = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[tuple[Mailbox, Command | None]] = []
        self.switchboard = Switchboard(self.clock, self._wake.set, self._before_on)
        self.reader = self._new_reader(house)
        self.inputs = Inputs(self.clock, self._wake.set)
        self.outlook = _outlook(house)
        if memory is not None:
            self.outlook.load(memory.keep("outlook", self._learned))
        self.energy = Energy(house.site, memory.saved.sessions if memory is not None and memory.saved else None)
        self.state = start(house.site, now, self._wall().toordinal())
        for rule in house.site.loads:
            self._open(rule, house.actuators[rule.name])
        for name, device in house.inputs.items():
            self._open_input(name, device)

    @property
    def observers(self) -> list[Observer]:
        return self._audience.observers

    @observers.setter
    def observers(self, observers: list[Observer]) -> None:
        self._audience.observers = observers

    def stop(self, why: str) -> None:
        """End `run` and leave every load in its safe state; for signal handlers."""
        if not self._stop.is_set():
            _log.info("%s: stopping, every load goes to its safe state", why)
        self._stop.set()

    def reload(self) -> None:
        """Read the rules anew; for signal handlers."""
        self._rereading = True
        self._change.set()

    def override(self, name: str, on: bool | None, for_s: float | None = None) -> str:
        """Hold a load on or off for `for_s` (else its `hand_hold`) or, None, give it back to its rules.

        Like the others who take a person's word: returns a sentence that says so, raises LoadctlError for what cannot
        be meant.
        """
        return self._heed(hands.override, name, on, for_s)

    def choose(self, name: str, mode: Mode | None) -> str:
        """Run a load in a mode until another is chosen; None: as its rules say."""
        return self._heed(hands.choose, name, mode)

    def boost(self, name: str, what: str, by: str | None = None) -> str:
        """Give a load `what` (such as `3 kWh`, `2 h`, `full`) once by a time (`17:00`, `+2 h`); `off` takes it back."""
        return self._heed(boosts.boost, name, what, by)

    def away(self, until: str) -> str:
        """Have needs wait until a day or for a time (`2025-08-12`, `+10 d`, `on`: until told); `off`: no more."""
        return self._heed(boosts.away, until)

    def adopt(self, name: str) -> str:
        """Take the device that answers next at a load's address for its own. Raises LoadctlError if it need not be."""
        find(self.house.site, name)
        mailbox = self.switchboard.mailboxes.get(name)
        if mailbox is None or mailbox.trouble is None:
            raise LoadctlError(f"{name}: its device answers and is the one known, there is nothing to adopt")
        self._replaced.add(name)
        self._change.set()
        said = f"{name}: the device that answers next at its address is taken for its own"
        _log.info("by hand: %s", said)
        return said

    def _learned(self) -> object:
        return self.outlook.dump()

    def _heed(self, change: Callable[..., tuple[People, str]], *what: object) -> str:
        daylight = self.last[0].outlook.daylight if self.last is not None else {}
        people = People(self.house, self.state, self.wishes, self.clock.now(), self._wall(), daylight)
        people, said = change(people, *what)
        self.state, self.wishes = people.state, people.wishes
        _log.info("by hand: %s", said)
        self._wake.set()
        return said

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
                for name, source in self.inputs.readers.items():
                    self._start(group, f"input {name}", source.run())
                self._start(group, "time", self._keep_time())
                self._start(group, "tick", self._decide())
                self._start(group, "rules", self._keep_rules(group))
                await self._stop.wait()
                for task in self._tasks.values():
                    task.cancel()
            if self._resumed.is_set():
                self._tick(shutdown=True)
        finally:
            unconfirmed, confirmed = await self._leave()
        self._record(confirmed)
        await self._audience.settled()
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
        await self._resume()
        self._resumed.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._tick()
            await asyncio.sleep(0)  # the commands and whoever looks on have their turn, whatever woke us meanwhile

    async def _resume(self) -> None:
        """Read what the devices really do, then go on from where the last run ended."""
        if self.memory is None or self.memory.saved is None:
            return
        seen = await self.switchboard.first_look(FIRST_LOOK_S)
        self.state, wishes = self.memory.resume(self.state, self._wall(), seen, self.house.was)
        self.wishes = wishes_under(self.house, hands.merged(self.wishes, wishes))
        phases = zip(self.house.site.loads, self.state.standings, strict=True)
        _log.info("goes on from the last run: %s", ", ".join(f"{rule.name} {known.phase}" for rule, known in phases))

    async def _before_on(self) -> None:
        if self.memory is not None:
            await self.memory.on_is_safe()

    def _tick(self, *, shutdown: bool = False) -> None:
        at = self.ticked_at = self.clock.now()
        self.late_s, self._beat = self._beat, None
        if any(wish.until is not None and at >= wish.until for wish in self.wishes):
            self.wishes = tuple(wish for wish in self.wishes if wish.until is None or at < wish.until)
        wall, sample, reports = self._wall(), self.reader.sample, self.switchboard.take()
        self._order(wall)
        if sample is not None and sample is not self._noted:
            self._noted = sample
            self.outlook.note(wall, sample, drawn_w(self.house.site, self.state))
        outlook = self.outlook.outlook(wall, self.inputs.latest, at)
        inputs = self.inputs.snapshot(sample, reports, outlook)
        tick = Tick(at, wall, sample, reports, self.wishes, shutdown, inputs, outlook)
        outcome = step(self.house.site, self.state, tick)
        self.state = outcome.state
        self.last = tick, outcome
        had = self.energy.note(tick, outcome)
        if not shutdown:  # what a shutdown switches, `_leave` does: at once, with retries, and for every load
            self.switchboard.send(outcome.commands)
            if _fuse_is_near(self.house.site, outcome.state, sample):
                self.switchboard.hurry()
            self.switchboard.renew(self.house.site, self.state)
        if self.memory is not None:
            self.memory.note(tick, outcome, had, self.energy.sessions)
        if not shutdown:
            self._notifier.ticked(self._status(tick, outcome))
        self._audience.tell(tick, outcome)

    def _order(self, wall: datetime) -> None:
        """Change over to the priorities of the day."""
        old, new = self.house.site, self.house.site_on(wall.toordinal())
        if new is old:
            return
        self.house, self.state = replace(self.house, site=new), reordered(self.state, old, new)
        self.energy.follow(new)
        if self.memory is not None:
            self.memory.follow(new)
        _log.info("the priorities of the season: %s", ", ".join(rule.name for rule in new.loads))

    def _record(self, confirmed: tuple[Report, ...]) -> None:
        """Have the memory know which loads are in their safe state: from now on they rest."""
        if self.memory is None or self.last is None:
            return
        (tick, outcome), at = self.last, self.clock.now()
        known = {report.load: report for report in confirmed}
        pairs = zip(self.house.site.loads, self.state.standings, strict=True)
        standings = (
            absorb(rule, standing, known[rule.name], at) if rule.name in known else standing for rule, standing in pairs
        )
        self.state = replace(self.state, standings=tuple(standings))
        tick = replace(tick, at=at, wall=self._wall(), reports=confirmed)
        self.memory.note(tick, outcome._replace(state=self.state, commands=()), sessions=self.energy.sessions)

    def _status(self, tick: Tick, outcome: Outcome) -> str:
        grid_w = tick.sample.grid_w if tick.sample is not None and outcome.state.blind_since is None else None
        seen = "blind" if grid_w is None else f"{'imports' if grid_w > 0 else 'exports'} {watts(abs(grid_w))}"
        surplus = "" if outcome.surplus_w is None else f", surplus {watts(outcome.surplus_w)}"
        pairs = zip(self.house.site.loads, outcome.state.standings, strict=True)
        runs = [rule.name for rule, standing in pairs if standing.phase is ON]
        return f"{seen}{surplus}, on: {', '.join(runs) or 'nothing'}"

    async def _keep_rules(self, group: asyncio.TaskGroup) -> None:
        await self._resumed.wait()
        while True:
            await self._change.wait()
            self._change.clear()
            replaced, self._replaced = self._replaced, set()
            rereading, self._rereading = self._rereading, False
            house = await self._read_rules() if rereading else self.house
            await self._audience.settled()  # nobody is told of one house and looks at the next
            await self._adopt(house, replaced, group)

    async def _read_rules(self) -> House:
        try:
            house = await asyncio.get_running_loop().run_in_executor(self._executor, self._reread)
        except ConfigError as error:
            self.reload_success = False
            _log.error("the rules stay as they were, the file cannot be used:\n%s", error)
            return self.house
        self.reload_success = True
        self.reloaded_at = self.clock.wall()
        return house

    async def _adopt(self, house: House, replaced: set[str], group: asyncio.TaskGroup) -> None:
        """Change over to `house`. Loads that stay keep their standing, devices whose options stay are not reopened."""
        old = self.house
        if house is old and not replaced:
            return
        kept = {
            rule.name
            for rule in house.site.loads
            if rule.name in old.actuators and same(old.actuators[rule.name], house.actuators[rule.name])
        } - replaced
        state = carry_over(old.site, self.state, house, kept, self.clock.now(), self._wall().toordinal())
        gone = [rule for rule in old.site.loads if rule.name not in kept]
        ending = [self._tasks.pop(f"load {rule.name}") for rule in gone]
        self._part_with(gone)
        self.house, self.state, self.wishes = house, state, wishes_under(house, self.wishes)
        self.energy.follow(house.site)
        if self.memory is not None:
            self.memory.follow(house.site)
            for name in replaced:
                self.memory.forget(name)
        fresh = [self._open(rule, house.actuators[rule.name]) for rule in house.site.loads if rule.name not in kept]
        ended, begun = self._exchange_inputs(old, house)
        ending += [self._tasks.pop(source.name) for source in ended]
        if (old.zone, old.location, old.tariff) != (house.zone, house.location, house.tariff):
            learned = self.outlook.dump()
            self.outlook = _outlook(house)
            self.outlook.load(learned)
        former = self.reader
        if not same(old.meter, house.meter):
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
        for source in ended:
            await source.close()
        for mailbox in fresh:
            self._start(group, f"load {mailbox.load}", mailbox.run())
        for name in begun:
            self._start(group, f"input {name}", self.inputs.readers[name].run())
        _log.info("new rules: controlling %s", ", ".join(rule.name for rule in house.site.loads) or "no load at all")

    async def _let_go(self) -> tuple[dict[str, str], tuple[Report, ...]]:
        """Put what leaves in its safe state, say so per load, and close it; return who is in doubt and who is not."""
        switching = [(mailbox, command) for mailbox, command in self._leaving if command is not None]
        results = await make_safe(switching)
        unconfirmed = {}
        for (mailbox, command), report in zip(switching, results, strict=True):
            word = "on" if command.watts > 0 else "off"
            if self.dry_run:
                _log.info("%s: left as it is (dry run)", mailbox.load)
            elif report.error is None:
                _log.info("%s: %s, confirmed", mailbox.load, word)
            else:
                unconfirmed[mailbox.load] = report.detail
                _log.error("%s: not confirmed %s: %s; %s", mailbox.load, word, report.detail, _what_now(mailbox))
        for mailbox, wish in self._leaving:
            if wish is None:
                _log.info("%s: left off, its compressor rests", mailbox.load)
            self._pretence.pop(mailbox.load, None)
            try:
                await mailbox.close()
            except DeviceError as error:  # whoever comes after it must be let go of, too
                _log.error("%s: not let go of: %s", mailbox.load, error)
        self._leaving.clear()
        return unconfirmed, tuple(report for report in results if report.error is None)

    def _part_with(self, rules: Iterable[Load]) -> None:
        names = [rule.name for rule in self.house.site.loads]
        for rule in rules:
            command = safe_command(rule, self.state.standings[names.index(rule.name)], self.clock.now())
            self._leaving.append((self.switchboard.close(rule.name), command))

    async def _leave(self) -> tuple[dict[str, str], tuple[Report, ...]]:
        self._notifier.stopping()
        self._part_with([rule for rule in self.house.site.loads if rule.name in self.switchboard.mailboxes])
        told = await self._let_go()
        await self.reader.close()
        for name in tuple(self.inputs.readers):
            await self.inputs.close(name).close()
        return told

    def _start(self, group: asyncio.TaskGroup, name: str, task: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = group.create_task(task, name=name)

    def _open(self, rule: Load, device: Device) -> Mailbox:
        actuator: Actuator = device.build(self._shared)
        identity = self.memory.recall(rule.name, address(device)) if self.memory is not None else None
        return self.switchboard.open(
            rule.name, DryActuator(rule, actuator, self._pretence) if self.dry_run else actuator, identity
        )

    def _open_input(self, name: str, device: Device) -> None:
        source: InputSource = device.build(self._shared)
        self.inputs.open(name, source)

    def _exchange_inputs(self, old: House, house: House) -> tuple[list[Reader[Input]], list[str]]:
        """Let go of the inputs that are no more what they were, and open the new ones; return both."""
        kept = {name for name, device in house.inputs.items() if name in old.inputs and same(old.inputs[name], device)}
        ended = [self.inputs.close(name) for name in old.inputs if name not in kept]
        begun = [name for name in house.inputs if name not in kept]
        for name in begun:
            self._open_input(name, house.inputs[name])
        return ended, begun

    def _new_reader(self, house: House) -> Reader[Sample]:
        meter: Meter = house.meter.build(self._shared)
        return Reader(DryMeter(meter, self._pretence) if self.dry_run else meter, self.clock, self._wake.set)

    def _wall(self) -> datetime:
        return self.clock.wall().astimezone(self.house.zone)


def _outlook(house: House) -> OutlookMaker:
    return OutlookMaker(house.zone, house.location, house.tariff)


def _fuse_is_near(site: Site, state: State, sample: Sample | None) -> bool:
    """Tell whether the house draws nearly what its fuse holds, or a load that starts may bring it there."""
    if site.max_import_w is None or sample is None or sample.grid_w is None:
        return False
    starts = any(standing.phase is STARTING for standing in state.standings)
    return starts or sample.grid_w > FUSE_NEAR_SHARE * site.max_import_w


def _what_now(mailbox: Mailbox) -> str:
    if (left_s := mailbox.lease_left_s()) is not None:
        return f"it goes off by itself within {left_s:.0f} s"
    if mailbox.actuator.lease_s is not None:
        return f"if it is on, it goes off by itself within {mailbox.actuator.lease_s:.0f} s"
    return "it cannot go off by itself: please look"
