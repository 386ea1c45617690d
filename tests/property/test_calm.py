"""A tick that is decided as the one before decides what thinking it through would have: in every house, at every
second.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.conditions import Compare, Condition, Term
from loadctl.core.rules import Clock, Follow, Load, Mode, Need, Range, Site, Window
from loadctl.core.step import start
from loadctl.core.values import Input, ModeWish, Outlook, Report, Sample, Slot, Source, State, Tick, Wish
from tests.house import NOON
from tests.scenarios.bench import BOILER, CAR

WARM = Condition("tank < 60 °C", Compare(0, Term(inputs=(("tank", 1.0),)), "<", Term(60.0), 2.0, "°C"))
LOADS = st.lists(
    st.sampled_from(
        (
            BOILER,
            CAR,
            replace(
                BOILER, name="pump", power_w=700.0, start_w=700.0, stop_import_w=100.0, min_on_s=60.0, max_starts=3
            ),
            replace(BOILER, name="needy", needs=(Need(Clock(time(12, 40)), runtime_s=900.0),), min_off_s=60.0),
            replace(CAR, name="hours", windows=(Window(Clock(time(12, 3)), Clock(time(12, 21))),), worth=0.2),
            replace(CAR, name="daily", daily_runtime_s=400.0, min_off_s=30.0),
            replace(CAR, name="warm", when=WARM),
            Load(
                "heater",
                3000.0,
                200.0,
                20.0,
                100.0,
                60.0,
                settle_s=5.0,
                follow=Follow((Range(100.0, 3000.0, 30.0),), 3.0),
            ),
        )
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda load: load.name,
)


def course(seed: int, seconds: int) -> list[float]:
    """What the house without our loads draws (+) or leaves (-): plateaus, ramps and steps, with a little noise."""
    dice = random.Random(seed)
    values: list[float] = []
    level = dice.uniform(-4000, 1000)
    while len(values) < seconds:
        to, length = dice.choice((level, dice.uniform(-4000, 1000))), dice.randrange(20, 300)
        ramp = dice.random() < 0.4
        values += [
            (level + (to - level) * index / length if ramp else to) + dice.gauss(0, 4) for index in range(length)
        ]
        level = to
    return values[:seconds]


def lives(site: Site, grid: list[float], wishes: dict[int, tuple[Wish | ModeWish, ...]], *, think: bool) -> list[Any]:
    """Live through a course in a closed loop and return all that was decided; `think`: each tick from the beginning."""
    state: State = start(site, 0.0, NOON.toordinal())
    mail = tuple(Report(load.name, 0.0, on=False) for load in site.loads)
    draws = dict.fromkeys((load.name for load in site.loads), 0.0)
    base = NOON.timestamp()
    slots = tuple(Slot(base + 900 * index, 900.0, 900.0 * (index % 3), 0.3, 0.08) for index in range(8))
    outlook, inputs = Outlook(slots=slots), {"tank": Input(50.0, 0.0, 400.0)}
    asked: tuple[Wish | ModeWish, ...] = ()
    told: list[Any] = []
    for second, base_w in enumerate(grid):
        at = float(second + 1)
        asked = wishes.get(second, asked)
        if second % 200 == 0:
            inputs = {"tank": Input(50.0 + second / 100, at, 400.0)}
        wall = NOON.fromtimestamp(base + at, NOON.tzinfo)
        sample = Sample(at, base_w + sum(draws.values()), grid_up=True)
        if think:
            state = replace(state, calm=None)
        outcome = step(site, state, Tick(at, wall, sample, mail, asked, inputs=inputs, outlook=outlook))
        state = outcome.state
        for command in outcome.commands:
            draws[command.load] = command.watts
        mail = tuple(
            Report(command.load, at, command.id, on=command.watts > 0, source=Source.US) for command in outcome.commands
        )
        told.append(((outcome.verdicts, outcome.commands, state), outcome.spare_w))
    return told


WISHES = st.dictionaries(
    st.integers(0, 1100),
    st.sampled_from(
        (
            (),
            (Wish("boiler", on=True, until=900.0),),
            (ModeWish("heater", Mode.SOLAR_MIN),),
            (ModeWish("heater", Mode.FAST), Wish("car", on=False, until=700.0)),
        )
    ),
    max_size=3,
)


@given(LOADS, st.integers(0, 10**6), WISHES)
def test_calm_decides_as_thinking_does(loads, seed, wishes):
    site = Site(tuple(loads), max_import_w=6000.0)
    grid = course(seed, 1200)
    calm, thought = lives(site, grid, wishes, think=False), lives(site, grid, wishes, think=True)
    for second, ((one, spare_w), (other, thought_w)) in enumerate(zip(calm, thought, strict=True)):
        assert one == other, second
        assert spare_w == pytest.approx(thought_w, abs=1e-6)


def test_calm_is_what_most_seconds_are():
    site = Site((BOILER, CAR))
    grid = [300.0] * 600
    state = start(site, 0.0, NOON.toordinal())
    mail = tuple(Report(load.name, 0.0, on=False) for load in site.loads)
    thought = 0
    for second, base_w in enumerate(grid):
        at = float(second + 1)
        before = state.calm
        outcome = step(
            site, state, Tick(at, NOON.fromtimestamp(NOON.timestamp() + at, NOON.tzinfo), Sample(at, base_w), mail)
        )
        mail, state = (), outcome.state
        thought += state.calm is not before or state.calm is None
    assert thought < 10
