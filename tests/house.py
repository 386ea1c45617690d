"""A little house for the tests: sun, a base load, appliances behind moody actuators, and a meter that shows it late.

Pure and synchronous. `House.tick` lets the world run on, asks the policy (normally `core.step`) and hands its commands
to the actuators after the tick. What happened is kept: every moment, all that reached a device, every change at a
contact with its cause. Tests judge that log, never the core's own memory of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from zoneinfo import ZoneInfo

from loadctl.core import step as core
from loadctl.core.values import Command, Load, Outcome, Report, Sample, Site, Source, State, Tick, Verdict, Wish

Policy = Callable[[Site, State, Tick], Outcome]

NOON = datetime(2025, 6, 18, 10, 0, tzinfo=UTC)  # midday in Amsterdam
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


class Mood(StrEnum):
    """How an actuator treats what it is told, and whether it can be read."""

    FINE = "fine"
    REFUSES = "refuses"  # an error, nothing switched
    DEAF = "deaf"  # nothing arrives, nothing can be read
    TIMES_OUT = "times_out"  # the error says unreachable, but it did switch
    LIES = "lies"  # confirms what it did not do
    MUTE = "mute"  # does it; answers and readings are lost
    SLOW = "slow"  # does it; answers and readings come `slow_s` later


@dataclass(frozen=True, slots=True)
class Device:
    """An appliance and its actuator. It draws `factor` of the rule's power, `ramp_s` after it was switched on."""

    factor: float = 1.0
    ramp_s: float = 0.0
    latency_s: float = 0.0  # a command takes up to so long
    slow_s: float = 15.0
    poll_s: float = 10.0
    measures: bool = True
    tells_source: bool = True
    on: bool = False  # as we find it


@dataclass(frozen=True, slots=True)
class MeterModel:
    """The house's meter: shows the net power of `lag_s` ago, give or take `noise_w`, every `every_s`."""

    every_s: float = 1.0
    max_age_s: float = 10.0
    lag_s: float = 0.0
    noise_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A contact that moved: why, and on which of our commands if it was one."""

    at: float
    on: bool
    source: Source
    asked_at: float = 0.0
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A command that reached (or did not, in mood DEAF) a device."""

    at: float
    asked_at: float
    load: int
    watts: float
    verdict: Verdict
    mood: Mood


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick as it was seen and decided."""

    tick: Tick
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody or something turns a knob of the house (`load` None) or of one appliance `after_s` more seconds."""

    after_s: float
    knob: str
    value: object
    load: int | None = None


@dataclass(slots=True)
class Appliance:
    """The physical truth of one load."""

    load: Load
    device: Device
    mood: Mood = Mood.FINE
    moods: list[tuple[float, Mood]] = field(default_factory=list)
    on: bool = False
    limit_w: float = 0.0
    warm: bool = False  # its thermostat is open: on, but drawing nothing
    changes: list[Change] = field(default_factory=list)
    draws: list[tuple[float, float]] = field(default_factory=list)
    inbox: list[tuple[float, float, Command, Verdict]] = field(default_factory=list)  # due, asked, what, why
    outbox: list[tuple[float, Report]] = field(default_factory=list)  # due, what
    next_poll: float = 0.0

    def draw_at(self, at: float) -> float:
        """Watts drawn at a moment, now or past."""
        index = bisect_right(self.draws, (at, float("inf"))) - 1
        if index < 0:
            return self.nominal_w if self.device.on else 0.0
        since, watts = self.draws[index]
        if watts and self.device.ramp_s:
            return watts * min(1.0, (at - since) / self.device.ramp_s)
        return watts

    def on_at(self, at: float) -> bool:
        """Tell if the contact was closed at a moment."""
        index = bisect_right(self.changes, at, key=lambda change: change.at) - 1
        return self.device.on if index < 0 else self.changes[index].on

    def fine_since(self, at: float) -> float:
        """Return since when it had been in good mood at a moment; `at` itself if it was not."""
        moods = [(since, mood) for since, mood in self.moods if since <= at]
        if not moods:
            return float("-inf")
        return moods[-1][0] if moods[-1][1] is Mood.FINE else at

    @property
    def nominal_w(self) -> float:
        """What it draws when it does, once warmed up."""
        throttled = self.load.follow is not None
        limit = min(self.limit_w, self.load.power_w) if throttled and self.limit_w else self.load.power_w
        return limit * self.device.factor

    def turn(self, at: float, on: bool, source: Source, asked_at: float = 0.0, verdict: Verdict | None = None) -> None:
        if on != self.on:
            self.on = on
            self.changes.append(Change(at, on, source, asked_at, verdict))
        self.note_draw(at)

    def note_draw(self, at: float) -> None:
        watts = self.nominal_w if self.on and not self.warm else 0.0
        if not self.draws or self.draws[-1][1] != watts:
            self.draws.append((at, watts))

    def read(self, at: float, command_id: int | None = None) -> Report:
        last = self.changes[-1].source if self.changes else Source.UNKNOWN
        return Report(
            load=self.load.name,
            read_at=at,
            command_id=command_id,
            on=self.on,
            watts=self.draw_at(at) if self.device.measures else None,
            source=last if self.device.tells_source else Source.UNKNOWN,
            satisfied=(self.on and self.warm) or None,
        )

    def post(self, at: float, report: Report) -> None:
        if self.mood is Mood.MUTE:
            return
        self.outbox.append((at + (self.device.slow_s if self.mood is Mood.SLOW else 0.0), report))

    def obey(self, at: float, asked_at: float, command: Command, verdict: Verdict) -> None:
        """Do what the command says, as far as the mood allows, and answer."""
        if self.mood is Mood.DEAF:
            self.outbox.append((at + 2.0, self._error(at + 2.0, command, "unreachable")))
            return
        if self.mood is Mood.REFUSES:
            self.outbox.append((at, self._error(at, command, "refused")))
            return
        if self.mood is Mood.LIES:
            self.outbox.append((at, Report(self.load.name, at, command.id, on=command.watts > 0, source=Source.US)))
            return
        self.limit_w = command.watts
        self.turn(at, command.watts > 0, Source.US, asked_at, verdict)
        if self.mood is Mood.TIMES_OUT:
            self.outbox.append((at + 2.0, self._error(at + 2.0, command, "unreachable")))
            return
        self.post(at, self.read(at, command.id))

    def _error(self, at: float, command: Command, kind: str) -> Report:
        return Report(self.load.name, at, command.id, error=kind, detail=f"{kind}, says the test")


class House:
    """The world around one policy. Knobs are plain attributes: `sun_w`, `base_w`, `grid_up`, `metering`, `jump_s`."""

    def __init__(
        self,
        site: Site,
        devices: Iterable[Device] = (),
        meter: MeterModel = MeterModel(),
        *,
        policy: Policy = core.step,
        seed: int = 0,
        begin: datetime = NOON,
        at: float = 1000.0,
        base_w: float = 300.0,
        sun_w: float = 0.0,
    ) -> None:
        found = tuple(devices) or tuple(Device() for _ in site.loads)
        self.site, self.meter, self.policy = site, meter, policy
        self.noise, self.delays = Random(seed), Random(seed + 1)
        self.at = self.began = at
        self.begin = begin
        self.jump_s = 0.0
        self.sun_w, self.base_w = sun_w, base_w
        self.course: list[tuple[float, float]] = [(at - 3600.0, base_w - sun_w)]
        self.grid_up: bool | None = True
        self.metering = "fine"  # or "gap" (nothing new), "none" (answers without the number)
        self.surge_w = 0.0  # shown once by the next reading, though it never flowed
        self.wishes: tuple[Wish, ...] = ()
        self.shutdown = False
        self.sample: Sample | None = None
        self.next_read = at
        self.appliances = [
            Appliance(load, device, on=device.on) for load, device in zip(site.loads, found, strict=True)
        ]
        for appliance in self.appliances:
            appliance.next_poll = at
            appliance.limit_w = appliance.load.power_w
        self.by_name = {load.name: index for index, load in enumerate(site.loads)}
        self.state = core.start(site, at, self.wall.toordinal())
        self.moments: list[Moment] = []
        self.arrivals: list[Arrival] = []

    @property
    def wall(self) -> datetime:
        return (self.begin + timedelta(seconds=self.at - self.began + self.jump_s)).astimezone(AMSTERDAM)

    def net_at(self, at: float) -> float:
        """What really flowed in from the grid at a moment."""
        index = bisect_right(self.course, (at, float("inf"))) - 1
        return self.course[max(index, 0)][1] + sum(appliance.draw_at(at) for appliance in self.appliances)

    def turn(self, knob: str, value: object, load: int | None = None) -> None:
        """Turn a knob now."""
        if load is None:
            setattr(self, knob, value)
            self.course.append((self.at, self.base_w - self.sun_w))
            return
        appliance = self.appliances[load]
        if knob == "button":
            appliance.turn(self.at, bool(value), Source.HAND)
        elif knob == "trip":
            appliance.turn(self.at, False, Source(str(value)))
        elif knob == "mood":
            appliance.mood = Mood(str(value))
            appliance.moods.append((self.at, appliance.mood))
        elif knob == "warm":
            appliance.warm = bool(value)
            appliance.note_draw(self.at)
        elif knob == "wish":
            others = tuple(wish for wish in self.wishes if wish.load != appliance.load.name)
            self.wishes = others if value is None else (*others, Wish(appliance.load.name, bool(value)))
        else:
            raise ValueError(knob)

    def tick(self, after_s: float = 1.0) -> Outcome:
        """Let the world run on for `after_s`, then decide."""
        if self.moments:
            self.at += after_s
        for index, appliance in enumerate(self.appliances):
            self._serve(index, appliance)
        self._measure()
        tick = Tick(self.at, self.wall, self.sample, self._mail(), self.wishes, self.shutdown)
        outcome = self.policy(self.site, self.state, tick)
        self.state = outcome.state
        self.moments.append(Moment(tick, outcome))
        for command in outcome.commands:
            self._send(command, outcome)
        return outcome

    def run(self, seconds: float, turns: Iterable[Turn] = (), every_s: float = 1.0) -> House:
        """Tick for so long, turning knobs on the way; each turn's `after_s` counts from the one before."""
        end = self.at + seconds
        due = self.at
        queue: list[tuple[float, Turn]] = []
        for turn in turns:
            due += turn.after_s
            queue.append((due, turn))
        while self.at < end:
            pause_s = every_s
            while queue and queue[0][0] <= self.at:
                turn = queue.pop(0)[1]
                if turn.knob == "stall_s":  # a busy machine: this tick comes late
                    pause_s += float(str(turn.value))
                else:
                    self.turn(turn.knob, turn.value, turn.load)
            self.tick(pause_s)
        return self

    def _serve(self, index: int, appliance: Appliance) -> None:
        while appliance.inbox and appliance.inbox[0][0] <= self.at:
            due, asked_at, command, verdict = appliance.inbox.pop(0)
            self.arrivals.append(Arrival(due, asked_at, index, command.watts, verdict, appliance.mood))
            appliance.obey(due, asked_at, command, verdict)
        if appliance.next_poll > self.at:
            return
        appliance.next_poll = self.at + appliance.device.poll_s
        if appliance.mood in {Mood.DEAF, Mood.TIMES_OUT}:
            error = Report(appliance.load.name, self.at, error="unreachable", detail="no answer, says the test")
            appliance.outbox.append((self.at, error))
            return
        appliance.post(self.at, appliance.read(self.at))

    def _measure(self) -> None:
        if self.next_read > self.at:
            return
        missed = int((self.at - self.next_read) // self.meter.every_s)
        read_at = self.next_read + missed * self.meter.every_s
        self.next_read = read_at + self.meter.every_s
        if self.metering == "gap":
            return
        noise_w = self.noise.uniform(-self.meter.noise_w, self.meter.noise_w) + self.surge_w
        grid_w = None if self.metering == "none" else round(self.net_at(read_at - self.meter.lag_s) + noise_w, 1)
        self.surge_w = 0.0
        self.sample = Sample(
            read_at, grid_w, grid_up=self.grid_up, every_s=self.meter.every_s, max_age_s=self.meter.max_age_s
        )

    def _mail(self) -> tuple[Report, ...]:
        came: list[tuple[float, Report]] = []
        for appliance in self.appliances:
            came += [letter for letter in appliance.outbox if letter[0] <= self.at]
            appliance.outbox = [letter for letter in appliance.outbox if letter[0] > self.at]
        return tuple(report for _, report in sorted(came, key=lambda letter: letter[0]))

    def _send(self, command: Command, outcome: Outcome) -> None:
        index = self.by_name[command.load]
        appliance = self.appliances[index]
        due = self.at + 0.01 + self.delays.uniform(0.0, appliance.device.latency_s)
        if appliance.inbox:
            due = max(due, appliance.inbox[-1][0])
        appliance.inbox.append((due, self.at, command, outcome.verdicts[index]))


def switch(name: str = "boiler", power_w: float = 2000.0, **rule: object) -> Load:
    """Return an on-or-off load with quick thresholds; `rule` overrides any field."""
    start_w = float(str(rule.pop("start_w", power_w)))
    fields: dict[str, object] = {
        "start_w": start_w,
        "start_for_s": 10.0,
        "stop_import_w": max(power_w - start_w, 0.0) + 200.0,
        "stop_for_s": 10.0,
        "settle_s": 5.0,
    }
    return Load(name=name, power_w=power_w, **(fields | rule))  # type: ignore[arg-type]
