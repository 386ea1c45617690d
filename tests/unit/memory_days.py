"""A house that obeys at once, ticked by hand: what a memory is fed with in these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from loadctl.calm import step
from loadctl.core.rules import Load, Site
from loadctl.core.step import start
from loadctl.core.values import AnyWish, Outcome, Report, Sample, Source, State, Tick

ZONE = ZoneInfo("Europe/Amsterdam")
MORNING = datetime(2025, 6, 18, 8, 0, tzinfo=UTC).astimezone(ZONE)

BOILER = Load(
    "boiler",
    power_w=2000.0,
    start_w=1500.0,
    start_for_s=5.0,
    stop_import_w=800.0,
    stop_for_s=5.0,
    min_off_s=300.0,
    settle_s=3.0,
    lease_s=300.0,
)
PUMP = Load(
    "pump",
    power_w=1000.0,
    start_w=1000.0,
    start_for_s=5.0,
    stop_import_w=200.0,
    stop_for_s=5.0,
    min_off_s=60.0,
    settle_s=3.0,
)
SITE = Site((BOILER, PUMP))


class Clock:
    """The time of a day; it only goes on by `tick`."""

    def __init__(self, at: float = 1000.0, wall: datetime = MORNING) -> None:
        self.at = at
        self.day_began = wall - timedelta(seconds=at)

    def now(self) -> float:
        return self.at

    def wall(self) -> datetime:
        return (self.day_began.astimezone(UTC) + timedelta(seconds=self.at)).astimezone(ZONE)

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class Day:
    """Ticks a site; its devices do what they are told before the next tick."""

    def __init__(self, site: Site = SITE, clock: Clock | None = None, state: State | None = None) -> None:
        self.site = site
        self.clock = clock or Clock()
        self.state = state or start(site, self.clock.now(), self.clock.wall().toordinal())
        self.on = {load.name: False for load in site.loads}
        self.wishes: tuple[AnyWish, ...] = ()
        self.look()

    def look(self) -> None:
        """The next tick hears what the devices really do."""
        self._reports = [self.seen(load.name) for load in self.site.loads]

    def tick(self, sun_w: float = 0.0, *, every_s: float = 1.0, base_w: float = 300.0) -> tuple[Tick, Outcome]:
        self.clock.at += every_s
        at = self.clock.at
        load_w = base_w + sum(load.power_w for load in self.site.loads if self.on[load.name])
        sample = Sample(at, grid_w=load_w - sun_w, pv_w=sun_w, load_w=load_w, every_s=every_s, max_age_s=10 * every_s)
        tick = Tick(at, self.clock.wall(), sample, tuple(self._reports), self.wishes)
        outcome = step(self.site, self.state, tick)
        self.state = outcome.state
        self._reports = []
        for command in outcome.commands:
            self.on[command.load] = command.watts > 0
            self._reports.append(self.seen(command.load, command.id))
        return tick, outcome

    def blind(self) -> tuple[Tick, Outcome]:
        self.clock.at += 1.0
        tick = Tick(self.clock.at, self.clock.wall(), None)
        outcome = step(self.site, self.state, tick)
        self.state = outcome.state
        return tick, outcome

    def seen(self, name: str, command_id: int | None = None) -> Report:
        return Report(name, self.clock.at, command_id, on=self.on[name], source=Source.US, identity=f"relay-of-{name}")
