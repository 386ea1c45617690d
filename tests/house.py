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
from math import inf
from random import Random
from zoneinfo import ZoneInfo

from loadctl.calm import step
from loadctl.core.rules import Load, Mode, Need, Site
from loadctl.core.step import start
from loadctl.core.values import (
    AnyWish,
    Away,
    Boost,
    Command,
    Input,
    ModeWish,
    Outcome,
    Outlook,
    Report,
    Sample,
    Slot,
    Source,
    State,
    Tick,
    Verdict,
    Wish,
)

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
    """An appliance and its actuator. It draws `factor` of the rule's power, `ramp_s` after it was switched on.

    A car takes `takes_w` at most, on `uses` phases at most; a change of phases interrupts it for `apart_s`.
    """

    factor: float = 1.0
    ramp_s: float = 0.0
    latency_s: float = 0.0  # a command takes up to so long
    slow_s: float = 15.0
    poll_s: float = 10.0
    measures: bool = True
    tells_source: bool = True
    on: bool = False  # as we find it
    takes_w: float = inf
    uses: int = 3
    apart_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MeterModel:
    """The house's meter: shows the net power of `lag_s` ago, give or take `noise_w`, every `every_s`."""

    every_s: float = 1.0
    max_age_s: float = 10.0
    lag_s: float = 0.0
    noise_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Cells:
    """The house's battery: it keeps the grid at nothing as far as it can, a second late."""

    most_w: float = 3000.0
    capacity_wh: float = 5000.0
    soc_pct: float = 50.0


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
    phases: int | None = None


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
    phases: int | None = None
    resumes_at: float = 0.0  # its phases are being changed until then
    warm: bool = False  # its thermostat is open, the car full: on, but drawing nothing
    away: bool = False  # no car is plugged in
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
        before_w = self.draws[index - 1][1] if index else 0.0
        if watts > before_w and self.device.ramp_s:
            return before_w + (watts - before_w) * min(1.0, (at - since) / self.device.ramp_s)
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
        return self.takes_w(self.limit_w, self.phases)

    def takes_w(self, limit_w: float, phases: int | None) -> float:
        """Return what it draws when it may draw so much, on so many phases."""
        if self.load.follow is None:
            return self.load.power_w * self.device.factor
        share = min(1.0, self.device.uses / phases) if phases else 1.0
        return min(limit_w * share, self.device.takes_w) * self.device.factor

    @property
    def using(self) -> int | None:
        return min(self.phases, self.device.uses) if self.phases else None

    def turn(self, at: float, on: bool, source: Source, asked_at: float = 0.0, verdict: Verdict | None = None) -> None:
        if on != self.on:
            self.on = on
            self.changes.append(Change(at, on, source, asked_at, verdict))
        self.note_draw(at)

    def note_draw(self, at: float) -> None:
        watts = self.nominal_w if self.on and not self.warm and not self.away else 0.0
        while self.draws and self.draws[-1][0] > at:
            self.draws.pop()
        course = ((at, 0.0), (self.resumes_at, watts)) if self.resumes_at > at else ((at, watts),)
        for since, draw_w in course:
            if not self.draws or self.draws[-1][1] != draw_w:
                self.draws.append((since, draw_w))

    def set_to(self, at: float, limit_w: float, phases: int | None) -> None:
        """Turn the knob of a load that can be throttled."""
        if self.on and self.phases is not None and phases != self.phases:
            self.resumes_at = at + self.device.apart_s
        self.limit_w, self.phases = limit_w, phases
        self.note_draw(at)

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
            limit_w=self.limit_w if self.on and self.load.follow is not None else None,
            phases=self.using if self.device.measures and self.draw_at(at) else None,
            available=not self.away,
            connected=not self.away if self.load.follow is not None else None,
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
        if self.load.follow is not None and command.watts:
            self.set_to(at, command.watts, command.phases)
        self.turn(at, command.watts > 0, Source.US, asked_at, verdict)
        if self.mood is Mood.TIMES_OUT:
            self.outbox.append((at + 2.0, self._error(at + 2.0, command, "unreachable")))
            return
        self.post(at, self.read(at, command.id))

    def _error(self, at: float, command: Command, kind: str) -> Report:
        return Report(self.load.name, at, command.id, error=kind, detail=f"{kind}, says the test")


class House:
    """The world around one policy. Knobs are plain attributes: `sun_w`, `base_w`, `grid_up`, `metering`, `jump_s`,
    `tank` (an input; None: silent), `away`.

    `cells` is its battery, `slots` all that is expected.
    """

    def __init__(
        self,
        site: Site,
        devices: Iterable[Device] = (),
        meter: MeterModel = MeterModel(),
        *,
        policy: Policy = step,
        seed: int = 0,
        begin: datetime = NOON,
        at: float = 1000.0,
        base_w: float = 300.0,
        sun_w: float = 0.0,
        cells: Cells | None = None,
        slots: tuple[Slot, ...] = (),
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
        self.wishes: tuple[AnyWish, ...] = ()
        self.away = False
        self.tank: float | None = 40.0
        self.inputs: dict[str, Input] = {}
        self.cells, self.slots = cells, slots
        self.outlook = Outlook()
        self.soc_pct = cells.soc_pct if cells else 0.0
        self.flows: list[tuple[float, float]] = [(at - 3600.0, 0.0)]  # of the battery, + discharging
        self.shutdown = False
        self.sample: Sample | None = None
        self.next_read = at
        self.appliances = [
            Appliance(load, device, on=device.on) for load, device in zip(site.loads, found, strict=True)
        ]
        for appliance in self.appliances:
            appliance.next_poll = at
            appliance.limit_w = appliance.load.power_w
            if appliance.load.follow is not None:
                appliance.phases = appliance.load.follow.ranges[-1].phases
                appliance.limit_w = appliance.load.follow.ranges[-1].most_w
            appliance.note_draw(at - 3600.0)
        self.by_name = {load.name: index for index, load in enumerate(site.loads)}
        self.state = start(site, at, self.wall.toordinal())
        self.moments: list[Moment] = []
        self.arrivals: list[Arrival] = []

    @property
    def wall(self) -> datetime:
        return (self.begin + timedelta(seconds=self.at - self.began + self.jump_s)).astimezone(AMSTERDAM)

    def net_at(self, at: float) -> float:
        """What really flowed in from the grid at a moment."""
        return self.needed_at(at) - self.flow_at(at)

    def needed_at(self, at: float) -> float:
        """What the house took beside its sun at a moment, from the grid or the battery."""
        index = bisect_right(self.course, (at, float("inf"))) - 1
        return self.course[max(index, 0)][1] + sum(appliance.draw_at(at) for appliance in self.appliances)

    def flow_at(self, at: float) -> float:
        """What the battery gave at a moment."""
        return self.flows[max(bisect_right(self.flows, (at, float("inf"))) - 1, 0)][1]

    def turn(self, knob: str, value: object, load: int | None = None) -> None:
        """Turn a knob now."""
        if load is None:
            setattr(self, knob, value)
            self.course.append((self.at, self.base_w - self.sun_w))
            return
        appliance = self.appliances[load]
        if knob in {"away", "warm"} and appliance.load.follow is not None and not appliance.device.measures:
            return  # nobody could know that it takes less than it may
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
        elif knob == "away":
            appliance.away = bool(value)
            appliance.note_draw(self.at)
        elif knob == "dial":  # somebody sets it at the device
            if appliance.load.follow is not None:
                appliance.set_to(self.at, float(str(value)), appliance.phases)
        elif knob == "wish":
            self._wish(appliance.load.name, Wish, None if value is None else Wish(appliance.load.name, bool(value)))
        elif knob == "mode":
            name = appliance.load.name
            self._wish(name, ModeWish, None if value is None else ModeWish(name, Mode(str(value))))
        elif knob == "boost":
            boost = Boost(appliance.load.name, value, self.wall.toordinal()) if isinstance(value, Need) else None
            self._wish(appliance.load.name, Boost, boost)
        else:
            raise ValueError(knob)

    def _wish(self, name: str, kind: type, wish: AnyWish | None) -> None:
        others = [old for old in self.wishes if not (isinstance(old, kind) and getattr(old, "load", "") == name)]
        self.wishes = (*others, wish) if wish is not None else tuple(others)

    def tick(self, after_s: float = 1.0) -> Outcome:
        """Let the world run on for `after_s`, then decide."""
        if self.moments:
            self.at += after_s
        for index, appliance in enumerate(self.appliances):
            self._serve(index, appliance)
        self._store(after_s)
        self._measure()
        if self.tank is not None:
            self.inputs = {"tank": Input(self.tank, self.at, 60.0)}
        wishes = (*self.wishes, Away()) if self.away else self.wishes
        tick = Tick(self.at, self.wall, self.sample, self._mail(), wishes, self.shutdown, self.inputs, self._expected())
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
            arrival = Arrival(due, asked_at, index, command.watts, verdict, appliance.mood, command.phases)
            self.arrivals.append(arrival)
            appliance.obey(due, asked_at, command, verdict)
        if appliance.next_poll > self.at:
            return
        appliance.next_poll = self.at + appliance.device.poll_s
        if appliance.mood in {Mood.DEAF, Mood.TIMES_OUT}:
            error = Report(appliance.load.name, self.at, error="unreachable", detail="no answer, says the test")
            appliance.outbox.append((self.at, error))
            return
        appliance.post(self.at, appliance.read(self.at))

    def _store(self, after_s: float) -> None:
        """Let the battery even out what the house takes."""
        if self.cells is None:
            return
        self.soc_pct -= self.flows[-1][1] * after_s / 36 / self.cells.capacity_wh
        flow_w = min(max(self.needed_at(self.at - 1.0), -self.cells.most_w), self.cells.most_w)
        if (flow_w > 0 and self.soc_pct <= 5.0) or (flow_w < 0 and self.soc_pct >= 100.0):
            flow_w = 0.0
        if flow_w != self.flows[-1][1]:
            self.flows.append((self.at, flow_w))

    def _expected(self) -> Outlook:
        if not self.slots:
            return self.outlook
        now = self.wall.timestamp()
        ahead = tuple(slot for slot in self.slots if slot.start + slot.length_s > now)
        if len(ahead) != len(self.outlook.slots):
            known = ahead[0] if ahead else self.slots[-1]
            self.outlook = Outlook(known.import_price, known.export_price, ahead)
        return self.outlook

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
            read_at,
            grid_w,
            battery_w=None if self.cells is None else self.flow_at(read_at - self.meter.lag_s),
            soc_pct=None if self.cells is None else self.soc_pct,
            grid_up=self.grid_up,
            every_s=self.meter.every_s,
            max_age_s=self.meter.max_age_s,
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
