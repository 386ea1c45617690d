"""Rows of (grid power, seconds, expected verdict): every threshold a second before, at, and a second after its time.

One load, 2 kW, one reading a second. It starts when 1.5 kW are free for a minute and stops when the house imports more
than 800 W for two. What it draws is in the rows, as on a real meter.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadctl.core.rules import Site
from loadctl.core.values import OFF, Report, Source, Verdict, Wish
from tests.scenarios.bench import BOILER, CAR, Bench, running

REST, WAIT_ON, HELD_OFF, ROOM = Verdict.REST, Verdict.WAIT_ON, Verdict.HELD_OFF, Verdict.ROOM
START, SETTLING, RUN, WAIT_OFF = Verdict.START, Verdict.SETTLING, Verdict.RUN, Verdict.WAIT_OFF
HELD_ON, STOP, BLIND, SHED, CROWDED = Verdict.HELD_ON, Verdict.STOP, Verdict.BLIND, Verdict.SHED, Verdict.CROWDED

UNKNOWN = None
Row = tuple[float | None, int, Verdict]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(-1499.0, 600, REST)], id="a watt too little, for ever"),
        pytest.param([(-1500.0, 1, WAIT_ON), (-1500.0, 59, WAIT_ON), (-1500.0, 1, START)], id="a minute of enough"),
        pytest.param([(-1500.0, 60, WAIT_ON), (-1499.0, 1, REST), (-1500.0, 1, WAIT_ON)], id="not enough at the last"),
        pytest.param(
            [(-1500.0, 41, WAIT_ON), (0.0, 20, REST), (-1500.0, 40, WAIT_ON), (-1500.0, 1, START)],
            id="a cloud of 20 s takes 20 off, not the whole minute",
        ),
        pytest.param(
            [(-1500.0, 31, WAIT_ON), (0.0, 60, REST), (-1500.0, 60, WAIT_ON), (-1500.0, 1, START)], id="leaks"
        ),
        pytest.param([(-9000.0, 1, WAIT_ON), (0.0, 300, REST)], id="one wild sample"),
        pytest.param([(0.0, 300, REST)], id="nothing"),
    ],
)
def test_while_off(rows: list[Row]):
    bench = Bench(Site((BOILER,)))
    for grid_w, seconds, expected in rows:
        assert bench.hold(grid_w, seconds).verdicts == (expected,), f"{grid_w} W for {seconds} s"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(800.0, 2000, RUN)], id="just the import it accepts"),
        pytest.param(
            [(400.0, 600, RUN), (801.0, 1, WAIT_OFF), (801.0, 119, WAIT_OFF), (801.0, 1, STOP)], id="a watt more"
        ),
        pytest.param(
            [(400.0, 600, RUN), (801.0, 120, WAIT_OFF), (800.0, 1, RUN), (801.0, 1, WAIT_OFF)], id="just in time"
        ),
        pytest.param([(801.0, 121, HELD_ON), (801.0, 467, HELD_ON), (801.0, 1, STOP)], id="min_on holds it"),
        pytest.param([(400.0, 600, RUN), (9000.0, 1, WAIT_OFF), (400.0, 300, RUN)], id="one wild sample"),
    ],
)
def test_while_on(rows: list[Row]):
    bench = running(Site((BOILER,)))  # on since second 62, now it is second 73
    for grid_w, seconds, expected in rows:
        assert bench.hold(grid_w, seconds).verdicts == (expected,), f"{grid_w} W for {seconds} s"


@pytest.mark.parametrize(("settling_s", "expected"), [(10, SETTLING), (11, RUN)])
def test_settling_is_not_judged(settling_s, expected):
    """From the command until `settle` has passed, whatever the meter says. The answer comes a second later."""
    bench = Bench(Site((BOILER,)))
    assert bench.hold(-1500.0, 61).verdicts == (START,)
    assert bench.hold(500.0, settling_s).verdicts == (expected,)


@pytest.mark.parametrize(("pause_s", "expected"), [(299, HELD_OFF), (300, START)])
def test_min_off(pause_s, expected):
    """The pause counts from the second in which the load was seen off."""
    bench = running(Site((replace(BOILER, min_on_s=0.0),)))
    assert bench.hold(1000.0, 121).verdicts == (STOP,)
    bench.second(-1600.0)  # seen off
    assert bench.hold(-1600.0, pause_s).verdicts == (expected,)


def test_max_starts():
    """Two starts and no third; the reason is told from the moment that the sun would do."""
    bench = Bench(Site((replace(BOILER, max_starts=2, min_on_s=0.0, min_off_s=0.0),)))
    for _ in range(2):
        assert bench.hold(-1600.0, 61).verdicts == (START,)
        bench.hold(400.0, 12)
        assert bench.hold(2000.0, 121).verdicts == (STOP,)
        bench.hold(0.0, 15)
    assert bench.hold(-1600.0, 600).verdicts == (Verdict.SPENT,)


def test_preemption():
    """What the car draws would do for the boiler: it yields, is seen off, and then the boiler starts."""
    bench = Bench(Site((replace(BOILER, start_w=2000.0, start_for_s=100.0), CAR)))
    assert bench.hold(-1200.0, 61).verdicts == (REST, START)
    assert bench.hold(-200.0, 12).verdicts == (REST, RUN)
    assert bench.hold(-1000.0, 100).verdicts == (WAIT_ON, RUN)
    yielding = bench.hold(-1000.0, 1)
    assert yielding.verdicts == (ROOM, Verdict.YIELD)
    assert [(command.load, command.watts) for command in yielding.commands] == [("car", 0.0)]
    assert bench.second(-1000.0).verdicts[0] is ROOM, "seen off, but the meter still shows it"
    assert bench.second(-2000.0).verdicts[0] is START


@pytest.mark.parametrize(("import_w", "expected"), [(6000.0, RUN), (6001.0, SHED)])
def test_fuse_sheds_at_once(import_w, expected):
    """Neither min_on nor a hold time is in its way."""
    bench = running(Site((replace(BOILER, stop_import_w=9000.0),), max_import_w=6000.0))
    outcome = bench.second(import_w)
    assert outcome.verdicts == (expected,)
    assert len(outcome.commands) == (expected is SHED)


def test_fuse_sheds_the_least_important_first_and_no_more_than_it_takes():
    bench = Bench(Site((replace(BOILER, stop_import_w=9000.0), CAR), max_import_w=3000.0))
    bench.hold(-3000.0, 300)
    assert bench.on == {"boiler": True, "car": True}
    assert bench.second(3900.0).verdicts == (RUN, SHED)


@pytest.mark.parametrize(("max_import_w", "expected"), [(500.0, START), (499.0, CROWDED)])
def test_nothing_starts_that_would_blow_the_fuse(max_import_w, expected):
    bench = Bench(Site((BOILER,), max_import_w=max_import_w))
    assert bench.hold(-1500.0, 61).verdicts == (expected,)


@pytest.mark.parametrize(
    ("seconds", "verdict", "told"),
    [(10, RUN, 0), (11, BLIND, 0), (39, BLIND, 0), (41, BLIND, 1)],
)
def test_blind_by_age(seconds, verdict, told):
    """The last reading is good for 10 s, what runs is held for 30 s more; min_on does not stand in the way."""
    bench = running(Site((BOILER,)))
    bench.sent.clear()
    last_at = bench.at
    for _ in range(seconds):
        outcome = bench.second(400.0, read_at=last_at)
        if bench.sent:
            break
    assert outcome.verdicts == (verdict,)
    assert [command.watts for command in bench.sent] == [0.0] * told


def test_blind_by_silence_freezes_the_hold_time():
    bench = Bench(Site((BOILER,)))
    assert bench.hold(-1600.0, 60).verdicts == (WAIT_ON,)
    assert bench.hold(UNKNOWN, 25).verdicts == (BLIND,)
    assert bench.hold(-1600.0, 3).verdicts == (START,) or bench.sent, "the minute is not begun anew"


def test_a_wish_is_stronger_than_the_minimum_times_but_not_than_the_fuse():
    bench = running(Site((BOILER,), max_import_w=3000.0))
    off = (Wish("boiler", on=False),)
    assert bench.second(400.0, off).verdicts == (Verdict.HAND,)
    assert bench.sent[-1].watts == 0.0
    bench.second(-1600.0, off)
    on = (Wish("boiler", on=True),)
    assert bench.second(1500.0, on).verdicts == (CROWDED,)
    assert bench.second(500.0, on).verdicts == (Verdict.HAND,)
    assert bench.sent[-1].watts > 0


def test_a_reading_that_arrives_out_of_order_makes_no_hand():
    bench = running(Site((BOILER,)))
    bench.mail = [Report("boiler", bench.at, on=False, source=Source.TIMER)]
    bench.second(400.0)
    bench.mail = [Report("boiler", bench.at - 5, on=True)]
    bench.second(400.0)
    assert bench.state.standings[0].phase is OFF
