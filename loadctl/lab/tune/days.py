"""Which days are searched on and which are held back, and what rules come to on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from loadctl.lab.scenario_file import Scenario
from loadctl.lab.score import Score, score_home
from loadctl.lab.trace import Trace
from loadctl.lab.tune.space import AS_WRITTEN, Settings, Space

SEARCHED_AT_MOST = 24
HELD_AT_MOST = 60
UNSERVED = 1.0  # money per kWh of a need that the rules as written would have met: never worth it
MISSED_WH = 10.0  # per day; so little is no miss


@dataclass(frozen=True, slots=True)
class Split:
    """The days of a search, and those that are kept from it to judge what it found."""

    searched: tuple[Trace, ...]
    held: tuple[Trace, ...]
    left_out: int = 0

    @property
    def sentence(self) -> str:
        """Say how it was split."""
        more = f"; {self.left_out} more were left out, evenly over the year, to save time" if self.left_out else ""
        return (
            f"Of the days in order of their date every second one is held back: the search saw {_days(self.searched)}, "
            f"{_days(self.held)} only judged what it found{more}."
        )


def split(days: Iterable[Trace]) -> Split:
    """Hold back every second day, by date: seasons and weather are the same on both sides. Always the same split."""
    once = {tuple(day.moments): day for day in days}.values()  # a day given twice must not be on both sides
    ordered = sorted(once, key=lambda day: (day.moments[0].time, day.name))
    searched, held = _evenly(ordered[::2], SEARCHED_AT_MOST), _evenly(ordered[1::2], HELD_AT_MOST)
    return Split(tuple(searched), tuple(held), len(ordered) - len(searched) - len(held))


@dataclass(frozen=True, slots=True)
class Measure:
    """What a day came to: `money` with wear and with what was bought later, `starts` of all loads."""

    money: float
    starts: int
    missed_wh: float = 0.0
    broken: int = 0
    energy_wh: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A day to be lived under some rules: all that a process on another machine needs."""

    scenario: Scenario
    trace: Trace


def measure(job: Job) -> Measure:
    """Live the day, second by second, as `score` does."""
    home = job.scenario.on(job.trace)
    return measured(score_home(home, home.make_controller()))


def measured(score: Score) -> Measure:
    """Return what counts of a score."""
    return Measure(
        score.money,
        score.all_starts,
        sum(unmet.energy_wh for unmet in score.missed),
        len(score.broken),
        dict(score.energy_wh),
    )


@dataclass(frozen=True, slots=True)
class Sum:
    """Several days together, per day."""

    money: float
    starts: float
    missed_wh: float
    broken: int

    def allowed(self, base: Sum) -> bool:
        """Tell whether no need is missed and no minimum time broken that was kept before."""
        return self.missed_wh <= base.missed_wh + MISSED_WH and self.broken <= base.broken


def summed(measures: Sequence[Measure]) -> Sum:
    """Return what several days come to per day."""
    n = len(measures)
    return Sum(
        sum(one.money for one in measures) / n,
        sum(one.starts for one in measures) / n,
        sum(one.missed_wh for one in measures) / n,
        sum(one.broken for one in measures),
    )


@dataclass(slots=True)
class Days:
    """Days being lived in other processes, each under each rules only once."""

    space: Space
    pool: Executor
    buy: float
    """What a kWh from the grid costs: what a load whose worth is not seen gets less than now is bought for that."""
    _running: dict[tuple[Settings, int], Future[Measure]] = field(default_factory=dict)

    def live(self, settings: Settings, days: Sequence[Trace]) -> list[Future[Measure]]:
        """Begin to live days; what is already known is at hand."""
        missing = [day for day in days if (settings, id(day)) not in self._running]
        if missing:
            scenario = self.space.subject.changed(self.space.edits(settings))
            for day in missing:
                self._running[settings, id(day)] = self.pool.submit(measure, Job(scenario, day))
        return [self._running[settings, id(day)] for day in days]

    def know(self, settings: Settings, days: Sequence[Trace], measures: Sequence[Measure]) -> None:
        """Remember what another process found out."""
        for day, one in zip(days, measures, strict=True):
            if (settings, id(day)) not in self._running:
                future: Future[Measure] = Future()
                future.set_result(one)
                self._running[settings, id(day)] = future

    def measures(self, settings: Settings, days: Sequence[Trace]) -> list[Measure]:
        """Return what days come to, in money that is comparable to that of the rules as written."""
        mine = self.live(settings, days)
        base = self.live(AS_WRITTEN, days)
        return [self._fair(one.result(), other.result()) for one, other in zip(mine, base, strict=True)]

    def of(self, settings: Settings, days: Sequence[Trace]) -> Sum:
        return summed(self.measures(settings, days))

    def _fair(self, one: Measure, base: Measure) -> Measure:
        """Charge for what was taken from loads whose worth the score does not see, and for needs that were met."""
        taken_wh = sum(
            max(0.0, base.energy_wh.get(load, 0.0) - one.energy_wh.get(load, 0.0)) for load in self.space.unseen
        )
        missed_wh = max(0.0, one.missed_wh - base.missed_wh)
        if not taken_wh and not missed_wh:
            return one
        return replace(one, money=one.money + taken_wh / 1000 * self.buy + missed_wh / 1000 * UNSERVED)


def _evenly(days: Sequence[Trace], most: int) -> list[Trace]:
    if len(days) <= most:
        return list(days)
    return [days[index * len(days) // most] for index in range(most)]


def _days(days: Sequence[Trace]) -> str:
    return "1 day" if len(days) == 1 else f"{len(days)} days"
