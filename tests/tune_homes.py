"""Homes and days so small that tuning them takes seconds, and days whose money is told by a formula."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loadctl.lab.trace import Moment, Trace
from loadctl.lab.tune.days import Days, Job, Measure
from loadctl.lab.tune.space import Space, space_of
from loadctl.lab.tune.subject import Subject, read_subject

# The array gives 1.5 kW, the owner wants all 2 kW free: the boiler never starts and the house heats with the grid.
TOO_SHY = """\
# our home
rules:
  site: {timezone: UTC}
  loads:
    # the boiler of the old house
    boiler:
      power: 2 kW
      grid_limit: 0 W   # never pay
      min_on: 2 min
house:
  boiler: {is: tank, holds: 4 kWh, begins: 0 kWh, loss: 0 W, draws: {"10:15": 1 kWh}}
"""


def day(number: int, minutes: int = 30, pv_w: float = 1500.0) -> Trace:
    """Make a piece of a day, from ten on; each is a little different."""
    dice = random.Random(number)
    begin = datetime(2025, 3, 3, 10, tzinfo=UTC) + timedelta(days=number)
    moments = tuple(
        Moment((begin + timedelta(minutes=n)).timestamp(), pv_w + dice.uniform(-100, 100), dice.uniform(100, 200), 60.0)
        for n in range(minutes)
    )
    return Trace(f"day {number}", UTC, moments)


def csv_days(folder: Path, count: int, minutes: int = 30) -> list[Path]:
    """Write days as traces."""
    files = []
    for number in range(count):
        lines = [
            f"{datetime.fromtimestamp(moment.time, UTC).isoformat()},{moment.pv_w:.0f},{moment.base_w:.0f}"
            for moment in day(number, minutes).moments
        ]
        files.append(folder / f"day{number:02}.csv")
        files[-1].write_text("\n".join(["time,pv_w,load_w", *lines]) + "\n")
    return files


def subject(folder: Path, text: str, name: str = "home.yaml") -> Subject:
    file = folder / name
    file.write_text(text)
    return read_subject(str(file))


@dataclass
class Formula(Executor):
    """Lives no day: tells what each costs by its rules and its number. Counts what it was asked."""

    money: Callable[[dict[str, Any], int], float]
    starts: Callable[[dict[str, Any]], int] = lambda _rules: 1
    energy_wh: Callable[[dict[str, Any]], dict[str, float]] = lambda _rules: {}
    asked: list[str] = field(default_factory=list)

    def submit(self, _fn: Any, job: Job, /, *args: Any, **kwargs: Any) -> Future[Any]:  # type: ignore[override]
        self.asked.append(job.trace.name)
        loads = job.scenario.data["rules"]["loads"]
        future: Future[Any] = Future()
        money = self.money(loads, int(job.trace.name.split()[-1]))
        future.set_result(Measure(money, self.starts(loads), energy_wh=self.energy_wh(loads)))
        return future


def space(folder: Path, text: str = TOO_SHY, count: int = 2) -> Space:
    return space_of(subject(folder, text), [day(n) for n in range(count)])


def days(of: Space, pool: Executor) -> Days:
    return Days(of, pool, 0.30)
