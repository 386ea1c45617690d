"""What is said of a load: the first thing in its way with its numbers, when that could change, and the second."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from loadctl.calm import step
from loadctl.core.conditions import Compare, Condition, Term
from loadctl.core.rules import Clock, Follow, Load, Mode, Need, Range, Site, Window
from loadctl.core.step import start
from loadctl.core.values import Input, ModeWish, Outcome, Plan, Report, Sample, Source, Tick, Verdict, Wish
from loadctl.telling.explain import Explanation, explain
from tests.house import AMSTERDAM

NOON = datetime(2025, 6, 18, 12, 0, tzinfo=AMSTERDAM)  # a Wednesday
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
PUMP = replace(BOILER, name="pump", power_w=1000.0, start_w=1000.0, stop_import_w=300.0, min_on_s=0.0)
ONE, THREE = Range(1380.0, 3680.0, 230.0, 1, 230.0), Range(4140.0, 11040.0, 690.0, 3, 230.0)
CAR = replace(BOILER, name="car", power_w=11040.0, start_w=1380.0, stop_import_w=200.0, follow=Follow((ONE, THREE)))
COLD = Condition("tank < 60 °C", Compare(0, Term(0.0, (("tank", 1.0),)), "<", Term(60.0), 2.0, "°C"))
HOT = "tank is 61.2 °C, must be below 58 °C to begin (60 °C to go on)"
EVENING = (Window(Clock(time(17)), Clock(time(20))),)


class Talk:
    """A core that is asked what it thinks. Devices obey at once; what is free is what the row says."""

    def __init__(self, *loads: Load, begins: datetime = NOON, found_on: bool = False, **site: Any) -> None:
        self.site = Site(loads, **site)
        self.begins, self.at = begins, 0.0
        self.state = start(self.site, 0.0, begins.toordinal())
        self.mail = [Report(load.name, 0.0, on=found_on) for load in loads]
        self.draws_w = {load.name: load.power_w * found_on for load in loads}
        self.fields: dict[str, Any] = {}
        self.last: tuple[Tick, Outcome] | None = None

    def free(self, free_w: float, seconds: int = 1) -> Talk:
        """So much is free without our loads; what they draw is on the meter."""
        for _ in range(seconds):
            self.meter(Sample(self.at + 1.0, sum(self.draws_w.values()) - free_w, grid_up=True))
        return self

    def meter(self, sample: Sample | None) -> Talk:
        self.at += 1.0
        wall = self.begins + timedelta(seconds=self.at)
        tick = Tick(self.at, wall, sample, tuple(self.mail), **self.fields)
        outcome = step(self.site, self.state, tick)
        self.state, self.last = outcome.state, (tick, outcome)
        self.mail = []
        for command in outcome.commands:
            self.draws_w[command.load] = command.watts
            on = command.watts > 0
            self.mail.append(Report(command.load, self.at, command.id, on=on, watts=command.watts, source=Source.US))
        return self

    def says(self, index: int = 0) -> Explanation:
        assert self.last is not None
        return explain(self.site, self.last[1], self.last[0], index)

    def verdict(self, index: int = 0) -> Verdict:
        assert self.last is not None
        return self.last[1].verdicts[index]


def told(talk: Talk, index: int = 0) -> tuple[str, str | None, float | None]:
    said = talk.says(index)
    return said.sentence, said.second, said.next_change_s


def test_it_rests_waits_starts_and_runs():
    talk = Talk(BOILER)
    assert told(talk.free(1210.0, 30)) == ("rests: 1 210 W free, needs 1 500 W for 60 s", None, 60.0)
    talk.free(1600.0, 31)
    assert told(talk) == ("waits: 1 600 W free, needs 1 500 W for 30 s more", None, 30.0)
    assert talk.free(1600.0, 30).verdict() is Verdict.START
    assert told(talk) == ("starts: 1 600 W free for 60 s", None, 0.0)
    assert talk.free(1600.0, 2).says().sentence == "switched on just now: the meter has yet to show it, within 9 s"
    assert told(talk.free(1600.0, 29)) == (
        "runs: 1 600 W for it",
        "its minimum time on until 12:11 (9 min 30 s)",
        570.0,
    )


def test_a_cloud_comes_and_what_holds_it_on():
    talk = Talk(BOILER).free(1600.0, 62).free(2500.0, 38)
    talk.free(500.0, 20)
    assert talk.says().text == (
        "runs: 1 500 W from the grid, at most 800 W, stops after 101 s more; then: its minimum time on until 12:11"
        " (9 min 2 s)"
    )
    talk.free(500.0, 101)
    assert talk.says().text == (
        "runs: its minimum time on until 12:11 (7 min 21 s); then: 1 500 W from the grid, at most 800 W, for 2 min"
    )
    assert talk.free(500.0, 441).verdict() is Verdict.STOP
    assert told(talk) == ("stops: 1 500 W from the grid, at most 800 W, for 2 min", None, 0.0)
    assert talk.free(500.0, 31).says().text == (
        "rests: 500 W free, needs 1 500 W for 60 s; then: its minimum time off until 12:16 (4 min 30 s)"
    )
    assert talk.says().next_change_s == 270.0


FREE = "1 210 W free, needs 1 500 W for 60 s"


@pytest.mark.parametrize(
    ("rule", "fields", "text", "left_s"),
    [
        ({"windows": EVENING}, {}, f"stays off: outside its hours until 17:00; then: {FREE}", 17940.0),
        (
            {"windows": EVENING, "when": COLD},
            {"inputs": {"tank": Input(61.2, 0.0)}},
            f"stays off: {HOT}; then: outside its hours until 17:00",
            None,
        ),
        ({"when": COLD}, {}, f"stays off: tank is not known; then: {FREE}", None),
        ({"worth": 0.05}, {}, "rests: its power is worth 0.05/kWh here and earns 0.08/kWh sold", None),
        ({"worth": 0.2}, {}, "waits: 1 210 W free, needs 909 W for 1 s more", 1.0),
        ({}, {"wishes": (Wish("boiler", False, 7260.0),)}, f"held off by hand until 14:01; then: {FREE}", 7200.0),
        ({}, {"wishes": (ModeWish("boiler", Mode.OFF),)}, f"off: its mode is off; then: {FREE}", None),
    ],
)
def test_what_is_in_the_way_of_a_boiler_at_noon(rule, fields, text, left_s):
    talk = Talk(replace(BOILER, **rule))
    talk.fields = fields
    talk.free(1210.0, 60)
    assert (talk.says().text, talk.says().next_change_s) == (text, left_s)


def test_a_need_runs_whatever_the_sun():
    talk = Talk(replace(BOILER, needs=(Need(Clock(time(12, 30)), energy_wh=1500.0),))).free(400.0, 1)
    assert told(talk) == ("starts whatever the sun: needs 1.5 kWh more by Wed 12:30", None, 1799.0)
    talk.free(400.0, 601)
    assert told(talk) == ("runs whatever the sun: needs 1.17 kWh more by Wed 12:30", None, 1198.0)


def test_partly_bought_power_says_what_it_costs_and_why():
    talk = Talk(replace(BOILER, worth=0.2)).free(1400.0, 73)
    assert talk.verdict() is Verdict.CHEAP
    assert (
        talk.says().sentence == "runs: 1 400 W for it, the rest is bought: a kWh costs 0.146/kWh and is worth 0.2/kWh"
    )


def test_the_daily_maximum_and_the_starts_of_today_end_at_midnight():
    late = NOON.replace(hour=23, minute=40)
    once = Talk(replace(BOILER, daily_runtime_s=120.0, min_on_s=0.0), begins=late).free(2500.0, 240)
    assert once.says().text == (
        "stays off: had 2 min 1 s of 2 min today, until Thu 00:00 (16 min); then: its minimum time off until 23:48"
        " (4 min 3 s)"
    )
    assert once.says().next_change_s == 960.0
    spent = Talk(replace(BOILER, max_starts=1, min_on_s=0.0, min_off_s=0.0), begins=late)
    spent.free(2500.0, 80).free(0.0, 130).free(2500.0, 30)
    assert told(spent) == (
        "stays off: its start of today is used up, until Thu 00:00 (16 min)",
        "2 500 W free, needs 1 500 W for 31 s more",
        960.0,
    )


def test_a_need_that_may_not_be_met_says_by_what():
    need = Need(Clock(time(12, 30)), runtime_s=3600.0)
    talk = Talk(replace(BOILER, needs=(need,)), max_import_w=1500.0).free(-100.0, 2)
    assert talk.verdict() is Verdict.NEED_AT_RISK
    assert talk.says().text == (
        "may not run now: needs 1 h 00 min more by Wed 12:30, but: with its 2 000 W 2 100 W would come from the grid,"
        " at most 1 500 W"
    )


def test_those_who_take_and_make_room_are_named():
    talk = Talk(BOILER, PUMP, found_on=False).free(1200.0, 80)
    assert talk.verdict(1) is Verdict.RUN
    while talk.free(1700.0).verdict() is not Verdict.ROOM:
        assert talk.at < 200.0
    assert (
        talk.says(0).sentence == "waits: pump must make room: 700 W free and 1 000 W that less important loads"
        " would leave, needs 1 500 W"
    )
    assert talk.says(1).sentence == "stops: its 1 000 W go to boiler"


def test_what_runs_could_change_when_somebody_waits_for_its_power():
    talk = Talk(BOILER, replace(PUMP, min_on_s=0.0), found_on=False).free(1200.0, 80)
    assert talk.free(1700.0, 10).verdict() is Verdict.WAIT_ON
    left_s = talk.says(0).next_change_s
    assert left_s is not None
    assert talk.says(1).next_change_s == left_s < PUMP.stop_for_s
    while talk.free(1700.0).verdict(1) is not Verdict.YIELD:
        assert talk.at < 200.0
    assert talk.at >= 90.0 + left_s


def test_what_costs_more_than_it_pays_to_start_says_when_it_stops():
    talk = Talk(replace(BOILER, needs=(Need(Clock(time(18)), energy_wh=4000.0),))).free(1700.0, 80)
    talk.state = replace(talk.state, plans=(Plan(price=0.2),), planned_until=1e9)
    assert (
        talk.free(800.0)
        .says()
        .sentence.startswith(
            "runs: 800 W for it, the rest is bought: a kWh costs 0.212/kWh, it pays up to 0.2/kWh to start and stops at"
            " 1 391 W from the grid: needs "
        )
    )


def test_the_fuse_tells_its_numbers():
    talk = Talk(BOILER, max_import_w=3000.0).free(1600.0, 80).free(-2000.0, 1)
    assert told(talk) == ("off at once: the house draws 4 000 W from the grid, at most 3 000 W", None, 0.0)


def test_blind_and_without_a_grid():
    talk = Talk(replace(BOILER, windows=EVENING), PUMP).free(1200.0, 80).meter(None)
    assert talk.says(1).sentence == "runs on for 30 s: no reading to trust for 0 s"
    assert told(talk) == ("stays off for 30 s: no reading to trust for 0 s", "outside its hours until 17:00", None)
    talk = Talk(BOILER).meter(Sample(1.0, 0.0, grid_up=False))
    assert told(talk) == ("off, its safe state: the grid is gone", "0 W free, needs 1 500 W for 60 s", None)
    talk.free(0.0, 21)
    assert talk.says().sentence == "off, its safe state: the grid is back and has to be steady for 40 s more"
    assert talk.says().next_change_s == 40.0


def test_a_car_follows_the_sun():
    talk = Talk(CAR)
    assert talk.free(900.0, 10).says().sentence == "pauses: 900 W free, needs 1 380 W for 60 s"
    talk.free(2140.0, 90)
    assert talk.says().sentence == "charges with 9 A on 1 phase (2 070 W): 2 140 W for it"
    talk.free(6000.0, 70)
    said = talk.says().sentence
    assert said.startswith("charges with 16 A on 1 phase (3 680 W): 6 000 W for it; 3 phases in 3 min ")
    assert said.endswith(" if 4 140 W stay")
    talk.free(6000.0, 300)
    assert talk.says().sentence == "charges with 8 A on 3 phases (5 520 W): 6 000 W for it"
    talk.free(3000.0, 60)
    slower = "charges with 6 A on 3 phases (4 140 W): 3 000 W for it; 1 phase in 64 s if no more comes"
    assert talk.says().sentence == slower
    talk.free(3000.0, 66).free(7000.0, 60)
    assert talk.says().sentence.startswith(
        "charges with 16 A on 1 phase (3 680 W): 7 000 W for it; 3 phases not before"
    )


def test_a_car_that_takes_less_than_it_may():
    talk = Talk(CAR).free(2140.0, 100)
    talk.draws_w["car"] = 1000.0
    talk.mail = [Report("car", talk.at, on=True, watts=1000.0, limit_w=2070.0, phases=1, source=Source.US)]
    talk.free(2140.0, 20)
    talk.draws_w["car"] = 900.0
    talk.mail = [Report("car", talk.at, on=True, watts=900.0, limit_w=1380.0, phases=1, source=Source.US)]
    assert talk.free(2140.0, 20).says().sentence == "charges with 6 A on 1 phase (1 380 W, takes 900 W): 2 140 W for it"


def test_an_open_thermostat_and_a_device_that_cannot_run():
    talk = Talk(BOILER).free(1600.0, 90)
    talk.mail = [Report("boiler", talk.at, on=True, watts=0.0)]
    talk.draws_w["boiler"] = 0.0
    assert talk.free(1600.0, 2).says().sentence == (
        "on, but draws nothing: its thermostat is open or its breaker is off; the power goes to others"
    )
    talk = Talk(CAR)
    talk.mail = [Report("car", 0.0, on=False, connected=False, available=False, detail="no car is plugged in")]
    assert told(talk.free(2000.0, 2)) == (
        "cannot run: no car is plugged in",
        "2 000 W free, needs 1 380 W for 59 s more",
        None,
    )


def test_a_fault_says_what_and_when_it_tries_again():
    talk = Talk(BOILER).free(1600.0, 100)
    while talk.free(0.0).verdict() is not Verdict.STOP:
        assert talk.at < 1000.0
    talk.mail = [Report("boiler", talk.at, talk.mail[0].command_id, on=True, source=Source.US)]
    talk.free(0.0, 2)
    assert talk.verdict() is Verdict.FAULT
    assert talk.says().sentence == "fault: it is still on after it was told to go off; next try in 4 s"
