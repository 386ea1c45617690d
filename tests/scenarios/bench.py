"""A core on the bench, a second at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loadctl.calm import step
from loadctl.core.rules import Follow, Load, Range, Site
from loadctl.core.step import start
from loadctl.core.values import (
    NO_OUTLOOK,
    AnyWish,
    Command,
    Input,
    Outcome,
    Outlook,
    Phase,
    Report,
    Sample,
    Source,
    State,
    Tick,
    Verdict,
)
from tests.house import NOON

BOILER = Load(
    "boiler",
    power_w=2000.0,
    start_w=1500.0,
    start_for_s=60.0,
    stop_import_w=800.0,
    stop_for_s=120.0,
    min_on_s=600.0,
    min_off_s=300.0,
    settle_s=10.0,
)
CAR = replace(BOILER, name="car", power_w=1000.0, start_w=1000.0, stop_import_w=300.0, min_on_s=0.0)

ONE_PHASE = Range(1380.0, 3680.0, 230.0, 1, 230.0)
THREE_PHASES = Range(4140.0, 11040.0, 690.0, 3, 230.0)
BY_AMPS = Follow((ONE_PHASE,), every_s=5.0)
BY_PHASES = Follow((ONE_PHASE, THREE_PHASES), every_s=5.0)
BY_WATTS = Follow((Range(100.0, 3000.0, 10.0),), every_s=2.0)
WALLBOX = Load(
    "wallbox",
    power_w=3680.0,
    start_w=1380.0,
    start_for_s=60.0,
    stop_import_w=200.0,
    stop_for_s=120.0,
    min_on_s=300.0,
    min_off_s=300.0,
    settle_s=10.0,
    follow=BY_AMPS,
)
BOTH_PHASES = replace(WALLBOX, power_w=11040.0, follow=BY_PHASES)
THYRISTOR = replace(
    WALLBOX,
    name="thyristor",
    power_w=3000.0,
    start_w=100.0,
    stop_import_w=50.0,
    min_on_s=0.0,
    min_off_s=0.0,
    settle_s=3.0,
    follow=BY_WATTS,
)


@dataclass
class Plug:
    """What stands at the end of a load's wire: it takes what it may, at most `most_w`, on at most so many phases."""

    most_w: float = 1e9
    uses: int = 3
    connected: bool = True
    full: bool = False
    set_w: float = 0.0
    phases: int | None = None

    @property
    def using(self) -> int | None:
        return None if self.phases is None else min(self.phases, self.uses)

    @property
    def draws_w(self) -> float:
        if self.full or not self.connected:
            return 0.0
        share = self.using / self.phases if self.using and self.phases else 1.0
        return min(self.set_w * share, self.most_w)


@dataclass
class Bench:
    """A core on the bench: the devices obey after `answers_s`. `second` and `hold`: the meter shows what the row says.
    `free`: the row says what is free without our loads, and the meter shows what they leave of it, `lag_s` late.
    """

    site: Site
    begins: datetime = NOON
    battery_w: float | None = None
    soc_pct: float | None = None
    wishes: tuple[AnyWish, ...] = ()
    inputs: dict[str, Input] = field(default_factory=dict)
    outlook: Outlook | Callable[[datetime], Outlook] = NO_OUTLOOK
    every_s: float = 1.0
    polls_s: float = 5.0
    answers_s: float = 0.0
    lag_s: int = 0
    volts: float = 230.0
    past_w: list[float] = field(default_factory=list)
    post: list[tuple[float, Command]] = field(default_factory=list)
    at: float = 0.0
    state: State = field(init=False)
    tick: Tick = field(init=False)  # the last one
    on: dict[str, bool] = field(init=False)
    plugs: dict[str, Plug] = field(init=False)
    mail: list[Report] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)
    told: list[tuple[float, Command]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = start(self.site, 0.0, self.begins.toordinal())
        self.on = {load.name: False for load in self.site.loads}
        self.plugs = {load.name: Plug() for load in self.site.loads}
        self.mail = [Report(load.name, 0.0, on=False) for load in self.site.loads]

    def wall(self) -> datetime:
        return self.begins + timedelta(seconds=self.at)

    def second(
        self, grid_w: float | None, wishes: tuple[AnyWish, ...] | None = None, read_at: float | None = None
    ) -> Outcome:
        self.at += self.every_s
        sample = Sample(
            self.at if read_at is None else read_at,
            grid_w,
            battery_w=self.battery_w,
            soc_pct=self.soc_pct,
            grid_up=True,
            every_s=self.every_s,
        )
        wall = self.wall()
        self.tick = Tick(
            self.at,
            wall,
            sample,
            tuple(self.mail),
            self.wishes if wishes is None else wishes,
            inputs=self.inputs,
            outlook=self.outlook if isinstance(self.outlook, Outlook) else self.outlook(wall),
        )
        outcome = step(self.site, self.state, self.tick)
        self.state = outcome.state
        self.sent += outcome.commands
        self.told += [(self.at, command) for command in outcome.commands]
        self.post += [(self.at + self.answers_s, command) for command in outcome.commands]
        self.mail = [self.obey(command) for due, command in self.post if due <= self.at]
        self.post = [letter for letter in self.post if letter[0] > self.at]
        return outcome

    def obey(self, command: Command) -> Report:
        on = command.watts > 0
        self.on[command.load] = on
        plug = self.plugs[command.load]
        plug.set_w, plug.phases = command.watts, command.phases
        return Report(command.load, self.at, command.id, on=on, source=Source.US)

    def hold(self, grid_w: float | None, seconds: int) -> Outcome:
        outcome = self.second(grid_w)
        for _ in range(seconds - 1):
            outcome = self.second(grid_w)
        return outcome

    def free(self, free_w: float, seconds: int = 1) -> Outcome:
        """Let so much be free without our loads; what they draw is measured."""
        for _ in range(round(seconds / self.every_s)):
            if self.at % self.polls_s == 0:
                told = {report.load for report in self.mail}
                self.mail += [self.look(load.name) for load in self.site.loads if load.name not in told]
            ours_w = sum(plug.draws_w for plug in self.plugs.values()) * self.volts / 230.0
            self.past_w = [*self.past_w[-self.lag_s - 1 :], ours_w - free_w - (self.battery_w or 0.0)]
            outcome = self.second(self.past_w[-min(self.lag_s + 1, len(self.past_w))])
        return outcome

    def look(self, name: str) -> Report:
        """Read a device as it is."""
        plug = self.plugs[name]
        return Report(
            name,
            self.at,
            on=self.on[name],
            watts=self.draws_w(name),
            limit_w=plug.set_w if self.on[name] else None,
            phases=plug.using if plug.draws_w else None,
            source=Source.US,
            connected=plug.connected,
            available=plug.connected,
            satisfied=plug.full,
        )

    def draws_w(self, name: str) -> float:
        return self.plugs[name].draws_w * self.volts / 230.0

    def verdict(self, outcome: Outcome, name: str) -> Verdict:
        return outcome.verdicts[[load.name for load in self.site.loads].index(name)]

    def phase(self, name: str) -> Phase:
        return self.state.standings[[load.name for load in self.site.loads].index(name)].phase


def running(site: Site, grid_w: float = 400.0) -> Bench:
    """A bench whose first load has started on 1600 W and settled; it is its 12th second."""
    bench = Bench(site)
    assert bench.hold(-1600.0, 61).verdicts[0] is Verdict.START
    assert bench.hold(grid_w, 12).verdicts[0] is Verdict.RUN
    return bench
