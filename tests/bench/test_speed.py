"""How fast it is. Times are CPU time of this process, the best of some repeats; a busy machine still shows in them, so
that only ratios are asserted, and the rest is printed.
"""

from __future__ import annotations

import math
import os
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import pytest

from loadctl.calm import step
from loadctl.controller import Controller, LoadState, Sample
from loadctl.core import values
from loadctl.core.rules import Load, Site
from loadctl.core.step import start
from loadctl.core.values import Report, Tick
from loadctl.lab.days import days
from loadctl.lab.homes import HOMES
from loadctl.lab.replay import replay
from loadctl.lab.scenario_file import Home, read_scenario
from loadctl.lab.trace import Moment, Trace
from tests.bench.conftest import Figure
from tests.conftest import SHARED

pytestmark = pytest.mark.bench
MONDAY = datetime(2025, 6, 23, tzinfo=UTC)
SIZES = (1, 5, 12, 50)
DAYS = sorted((SHARED / "traces").glob("d[1-8]_*.csv"))
YEAR_MIN = 365 * 24 * 60
MINUTES = 14 * 24 * 60


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], None]]:
    def said(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")

    said("")
    yield said
    said(f"{'':4}(others at work on this machine of {os.cpu_count()} cores: load {os.getloadavg()[0]:.1f})")


def best_s(live: Callable[[], object], repeats: int = 20) -> float:
    found = math.inf
    for _ in range(repeats):
        began = process_time()
        live()
        found = min(found, process_time() - began)
    return found


def quiet_ticks_s(size: int, ticks: int = 4000) -> float:
    """Return how long a tick takes in a house in which nothing can change, with so many loads."""
    site = Site(tuple(Load(f"load {index}", 1000.0, 1000.0, 60.0, 100.0, 60.0) for index in range(size)))
    state = start(site, 0.0, MONDAY.toordinal())
    reports = tuple(Report(load.name, 0.0, on=False) for load in site.loads)
    dice = random.Random(1)
    course = [
        Tick(float(at), MONDAY + timedelta(seconds=at), values.Sample(float(at), 300.0 + dice.gauss(0, 4)))
        for at in range(1, ticks + 10)
    ]
    state = step(site, state, values.Tick(0.0, MONDAY, values.Sample(0.0, 300.0), reports)).state
    for tick in course[:9]:
        state = step(site, state, tick).state

    def live() -> None:
        now = state
        for tick in course[9:]:
            now = step(site, now, tick).state

    return best_s(live) / ticks


def rounded(*values: float) -> str:
    """Say numbers to three figures, as a row of them."""
    return " / ".join(f"{float(f'{value:.3g}'):,.0f}".replace(",", " ") for value in values)


def test_a_tick_of_the_core(say: Callable[[str], None], figure: Figure):
    say(f"{'core.step, quiet':24}{'ticks/s':>12}{'µs a tick':>12}{'ns a load':>12}")
    took = {size: quiet_ticks_s(size) for size in SIZES}
    for size, took_s in took.items():
        say(f"{size:4} load{'s' * (size > 1):19}{1 / took_s:12,.0f}{took_s * 1e6:12.2f}{took_s / size * 1e9:12.0f}")
    loads = " / ".join(map(str, SIZES))
    figure(f"quiet ticks of the core with {loads} loads", f"{rounded(*(1 / each for each in took.values()))} a second")
    for fewer, more in ((1, 5), (5, 12), (12, 50), (1, 50)):
        assert took[more] / more < 1.1 * took[fewer] / fewer, (
            f"{more} loads cost more than {more / fewer} times as much"
        )


def lived_s(home: Home, trace: Trace) -> float:
    """Return how long a second of a day takes: controller, appliances and accounts."""
    controller, machines = home.make_controller(), home.machines()
    began = process_time()
    result = replay(controller, trace, machines, seed=home.seed)
    return (process_time() - began) / result.seconds


def night(zone: Any) -> Trace:
    """An hour in which nobody uses anything."""
    rows = range(60)
    return Trace("night", zone, tuple(Moment(MONDAY.timestamp() + 60.0 * row, 0.0, 250.0, 60.0) for row in rows))


def test_a_home_lived_through(say: Callable[[str], None], figure: Figure):
    say(f"{'closed loop':24}{'quiet':>12}{'all day':>12}  seconds lived through in one")
    quietly, daily = [], []
    for name, file in HOMES.items():
        quiet = night(UTC)
        scenario = read_scenario(file)
        quiet_s = min(lived_s(scenario.on(quiet), quiet) for _ in range(20))
        recorded = [day for path in DAYS[:4] for day in days(path)]
        all_s = [lived_s(scenario.on(day), day) for day in recorded]
        mean = f"{len(all_s) / sum(all_s):12,.0f}" if all_s else f"{'no traces':>12}"
        quietly.append(1 / quiet_s)
        daily += [len(all_s) / sum(all_s)] if all_s else []
        say(f"    home {name.upper():15}{1 / quiet_s:12,.0f}{mean}")
    figure("quiet seconds of home A / B / C, its house around it", f"{rounded(*quietly)} a second")
    figure("the same on recorded days", f"{rounded(*daily)} a second" if daily else "no recorded days here")


@dataclass(slots=True)
class Minutes:
    """A home that is looked at once a minute, with broken clouds; what is switched on draws its power."""

    loads: dict[str, dict[str, str]]
    seed: int = 1
    draws_w: dict[str, float] = field(default_factory=dict)
    starts: int = 0

    def live(self, minutes: int) -> None:
        controller = Controller.from_dict({"site": {"timezone": "Europe/Berlin"}, "loads": self.loads})
        zone, dice = controller.house.zone, random.Random(self.seed)
        states = {name: LoadState(on=False, power_w=0.0) for name in self.loads}
        cloud = 1.0
        began = MONDAY.timestamp()
        for minute in range(minutes):
            if dice.random() < 0.05:
                cloud = dice.choice((1.0, 1.0, 0.7, 0.3))
            height = math.sin((minute % 1440 / 1440 - 0.25) * 2 * math.pi)
            pv_w = 5000.0 * cloud * height if height > 0 else 0.0
            house_w = 300.0 + dice.gauss(0.0, 4.0) + sum(self.draws_w.values())
            wall = datetime.fromtimestamp(began + 60.0 * minute, zone)
            decision = controller.step(Sample(60.0 * minute, wall, house_w - pv_w, pv_w, house_w), states)
            for command in decision.commands:
                self.starts += command.watts > 0
                self.draws_w[command.load] = command.watts
                states[command.load] = LoadState(on=command.watts > 0, power_w=command.watts)


BOILER = {"power": "2.5 kW", "min_on": "2 min", "min_off": "2 min"}


def test_a_year_of_minutes(say: Callable[[str], None], figure: Figure):
    """A year looked at once a minute is as many steps as six days of seconds, but by day each fifth of them plans."""
    quiet = night(UTC)
    home = read_scenario(HOMES["a"]).on(quiet)
    quiet_s = min(lived_s(home, quiet) for _ in range(20))
    say(f"{YEAR_MIN:,} quiet seconds of home A's closed loop: {quiet_s * YEAR_MIN:.1f} s")
    figure("as many quiet seconds of home A as a year has minutes", f"{quiet_s * YEAR_MIN:.1f} s")
    for what, loads in (
        ("a boiler", {"boiler": BOILER}),
        ("3 loads", {"boiler": BOILER, "pump": {"power": "1.1 kW"}, "heater": {"power": "1.5 kW"}}),
    ):
        year = Minutes(loads)
        step_s = best_s(lambda year=year: year.live(MINUTES), repeats=1) / MINUTES  # type: ignore[misc]
        say(
            f"a year of minutes, {what}: {step_s * YEAR_MIN:.0f} s"
            f" ({1 / step_s:,.0f} steps/s over {MINUTES / 1440:.0f} days with {year.starts} starts)"
        )
        figure(f"a year of minutes with clouds, {what}", f"{step_s * YEAR_MIN:.0f} s")


def test_memory_stays_flat(say: Callable[[str], None], figure: Figure):
    """However long it lives, the loop keeps no more."""

    def peak_kib(hours: int) -> float:
        home = read_scenario(HOMES["a"]).on(night(UTC))
        rows = (Moment(MONDAY.timestamp() + 60.0 * row, 40.0 * (row % 60), 250.0, 60.0) for row in range(60 * hours))
        trace = Trace("made up", UTC, tuple(rows))
        machines, controller = home.machines(), home.make_controller()
        tracemalloc.start()
        replay(controller, trace, machines)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / 1024

    peak_kib(1)
    short_kib, long_kib = peak_kib(2), peak_kib(8)
    say(f"memory of the loop: {short_kib:.0f} KiB for 2 hours, {long_kib:.0f} KiB for 8")
    figure("memory of a home lived through for 2 / 8 hours", f"{short_kib:.0f} / {long_kib:.0f} KiB")
    assert long_kib < short_kib + 200
