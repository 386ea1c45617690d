"""A core on the bench, a second at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loadctl.core.step import start, step
from loadctl.core.values import Command, Load, Outcome, Report, Sample, Site, Source, State, Tick, Verdict, Wish
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


@dataclass
class Bench:
    """A core on the bench: the devices obey at once, the meter shows what the row says."""

    site: Site
    begins: datetime = NOON
    battery_w: float | None = None
    at: float = 0.0
    state: State = field(init=False)
    on: dict[str, bool] = field(init=False)
    mail: list[Report] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = start(self.site, 0.0, self.begins.toordinal())
        self.on = {load.name: False for load in self.site.loads}
        self.mail = [Report(load.name, 0.0, on=False) for load in self.site.loads]

    def wall(self) -> datetime:
        return self.begins + timedelta(seconds=self.at)

    def second(self, grid_w: float | None, wishes: tuple[Wish, ...] = (), read_at: float | None = None) -> Outcome:
        self.at += 1.0
        sample = Sample(self.at if read_at is None else read_at, grid_w, battery_w=self.battery_w, grid_up=True)
        outcome = step(self.site, self.state, Tick(self.at, self.wall(), sample, tuple(self.mail), wishes))
        self.state = outcome.state
        self.sent += outcome.commands
        self.mail = [self.obey(command) for command in outcome.commands]
        return outcome

    def obey(self, command: Command) -> Report:
        self.on[command.load] = command.watts > 0
        return Report(command.load, self.at, command.id, on=command.watts > 0, source=Source.US)

    def hold(self, grid_w: float | None, seconds: int) -> Outcome:
        outcome = self.second(grid_w)
        for _ in range(seconds - 1):
            outcome = self.second(grid_w)
        return outcome


def running(site: Site, grid_w: float = 400.0) -> Bench:
    """A bench whose first load has started on 1600 W and settled; it is its 12th second."""
    bench = Bench(site)
    assert bench.hold(-1600.0, 61).verdicts[0] is Verdict.START
    assert bench.hold(grid_w, 12).verdicts[0] is Verdict.RUN
    return bench
