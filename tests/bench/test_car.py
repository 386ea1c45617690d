"""A car on the recorded days: how closely its current follows the sun, what that costs, and how often it is paused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loadctl.controller import Controller
from loadctl.lab.machines import CarAtHome
from loadctl.lab.trace import read_csv
from loadctl.lab.tracking import Tracking, track
from tests.conftest import SHARED

DAYS = sorted((SHARED / "traces").glob("*.csv"))
WALLBOXES = {"one phase": 1, "one or three": "auto"}
WANTED_WH = 200_000.0  # more than any day has
AT_ONCE = 2


def live(day: Path, wallbox: str) -> Tracking:
    """Live through a recorded day with a car that is at home all day and never full."""
    phases = WALLBOXES[wallbox]
    trace = read_csv(day, ZoneInfo("Etc/UTC"))
    car = {"current": "6..16 A", "phases": phases}
    controller = Controller.from_dict({"site": {"timezone": "Etc/UTC"}, "loads": {"car": car}})
    begins = trace.moments[0].time
    return track(controller, trace, CarAtHome.of(begins, begins + 2 * 86400, WANTED_WH, phases=1 if phases == 1 else 3))


def rows(lived: dict[tuple[str, Path], Tracking]) -> Iterator[str]:
    """Yield the table as the README has it."""
    yield "| day | wallbox | kWh | from the grid without need | gap to the ideal current | pauses | phase changes |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for (wallbox, day), seen in lived.items():
        measured = f"{seen.energy_wh / 1000:.1f} | {seen.avoidable_pct:.2f} % | {seen.gap_steps:.2f} A"
        yield f"| {day.stem} | {wallbox} | {measured} | {seen.pauses} | {seen.phase_changes} |"


@pytest.mark.bench
@pytest.mark.skipif(not DAYS, reason="the recorded days are not at hand")
def test_the_cars_current_follows_the_sun_of_recorded_days(capsys, figure):
    runs = list(product(WALLBOXES, DAYS))
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        lived = dict(zip(runs, pool.map(live, [day for _, day in runs], [box for box, _ in runs]), strict=True))
    with capsys.disabled():
        print("", *rows(lived), sep="\n")  # noqa: T201
    gaps = [seen.gap_steps for seen in lived.values()]
    figure("a car's current beside the ideal one, on the days' average", f"{min(gaps):.2f} to {max(gaps):.2f} A off")
    for run, seen in lived.items():
        assert seen.gap_steps < 1, run
        assert seen.avoidable_pct < 3, run
        assert seen.pauses <= 12, run
