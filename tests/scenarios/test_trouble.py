"""What a load does when a switch refuses, a device is away, a battery pays, or a need meets its deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest

from loadctl.core.rules import Clock, Need, Site
from loadctl.core.values import FAULT, OFF, ON, STOPPING, Command, Phase, Report, Sample, Source, Tick, Verdict, Wish
from loadctl.telling.explain import explain
from tests.house import NOON
from tests.scenarios.bench import BOILER, CAR, Bench, running

SIX_KWH_BY_SIX = replace(BOILER, needs=(Need(by=Clock(time(18)), energy_wh=6000.0),))


def phase(bench: Bench, index: int = 0) -> Phase:
    return bench.state.standings[index].phase


def refuses(command: Command, at: float) -> Report:
    return Report(command.load, at, command.id, error="refused", detail="no")


def lose_sight(bench: Bench, grid_w: float | None = 400.0) -> None:
    for _ in range(4):
        bench.mail = [Report("boiler", bench.at + 0.5, error="unreachable")]
        bench.second(grid_w)
    assert phase(bench) is FAULT


def test_a_refused_off_is_tried_again_after_its_pause_and_not_after_the_whole_hold_time():
    bench = running(Site((replace(BOILER, min_on_s=0.0),)))
    while phase(bench) is not STOPPING:
        bench.second(1500.0)
    bench.mail = [refuses(bench.sent[-1], bench.at)]
    bench.second(1500.0)
    bench.mail = [Report("boiler", bench.at + 0.5, on=True)]
    assert bench.second(1500.0).verdicts == (Verdict.FAULT,)
    told = len(bench.sent)
    bench.hold(1500.0, 6)
    assert len(bench.sent) == told + 1
    assert bench.sent[-1].watts == 0


@pytest.mark.parametrize("meter", ["fuse", "blind"])
def test_a_start_in_doubt_that_is_seen_on_is_shed_and_made_safe_without_a_pause(meter: str):
    bench = Bench(Site((BOILER,), max_import_w=3000.0))
    bench.hold(-1600.0, 60)
    outcome = bench.second(-1600.0)
    bench.mail = [Report("boiler", bench.at, outcome.commands[0].id, error="unreachable")]
    bench.second(-1600.0)
    bench.mail = [Report("boiler", bench.at + 0.5, on=True)]
    bench.second(-1600.0)
    assert phase(bench) is ON
    if meter == "fuse":
        assert bench.second(7000.0).verdicts == (Verdict.SHED,)
    else:
        bench.hold(None, 32)
    assert bench.sent[-1].watts == 0


def test_a_device_that_was_never_read_is_looked_at_and_not_switched_off():
    bench = Bench(Site((BOILER,)))
    bench.mail = []
    lose_sight(bench)
    bench.hold(400.0, 1200)
    assert not bench.sent


def test_a_hand_ends_a_run_that_is_lost_from_sight():
    bench = running(Site((BOILER,)))
    lose_sight(bench)
    bench.second(400.0, (Wish("boiler", on=False),))
    assert bench.sent[-1].watts == 0


def test_a_start_that_was_seen_to_fail_is_no_start():
    bench = Bench(Site((replace(BOILER, max_starts=1),)))
    outcome = bench.hold(-1600.0, 61)
    bench.mail = [Report("boiler", bench.at, outcome.commands[0].id, on=False)]
    bench.second(-1600.0)
    assert bench.state.standings[0].tally.starts == 0


def test_a_load_that_was_found_on_is_told_of_as_on():
    bench = Bench(Site((BOILER,)))
    bench.mail = [Report("boiler", 0.5, on=True)]
    bench.hold(400.0, 15)
    sample = Sample(bench.at, None)
    tick = Tick(bench.at, bench.wall(), sample)
    outcome = bench.second(None)
    said = explain(bench.site, outcome, tick, 0)
    assert said.sentence.startswith("runs on for")


def test_what_the_battery_gives_is_nobodys_surplus():
    bench = Bench(Site((BOILER,)), battery_w=1600.0)
    assert bench.hold(-1600.0, 300).verdicts == (Verdict.REST,)
    bench.battery_w = -500.0  # charging: it does not count as surplus either
    assert bench.hold(-1600.0, 61).verdicts == (Verdict.START,)
    bench.battery_w = 2000.0  # it carries the boiler now, and the meter shows nothing
    bench.hold(0.0, 700)
    assert phase(bench) is OFF


def test_a_need_makes_room_under_the_fuse():
    first = replace(SIX_KWH_BY_SIX, needs=(Need(by=Clock(time(18)), runtime_s=3600.0),))
    bench = Bench(Site((first, CAR), max_import_w=2500.0), begins=NOON.replace(hour=16, minute=30))
    bench.mail = [Report("boiler", 0.0, on=False), Report("car", 0.0, on=True)]
    bench.hold(1200.0, 1800)
    assert phase(bench, 1) is OFF
    bench.hold(200.0, 30)
    assert phase(bench) is ON


def at_half_past_five(bench: Bench) -> Bench:
    bench.hold(400.0, 30)
    assert phase(bench) is ON
    assert bench.state.standings[0].marks[0].forced
    return bench


def test_a_need_ends_at_its_deadline():
    bench = at_half_past_five(Bench(Site((SIX_KWH_BY_SIX,)), begins=NOON.replace(hour=17, minute=30)))
    bench.mail = [Report("boiler", bench.at + 0.5, on=True, watts=2000.0)]
    while (bench.wall().hour, bench.wall().minute) < (17, 59):
        bench.second(2400.0)
    assert phase(bench) is ON
    bench.hold(2400.0, 200)
    assert phase(bench) is OFF
    assert bench.state.standings[0].needs_missed == 1
    bench.hold(400.0, 3600)
    assert phase(bench) is OFF


def test_one_need_does_not_run_for_another():
    needs = (Need(by=Clock(time(18)), runtime_s=600.0), Need(by=Clock(time(6)), runtime_s=36000.0))
    bench = Bench(Site((replace(BOILER, needs=needs),)), begins=NOON.replace(hour=17, minute=50))
    bench.hold(400.0, 30)
    assert phase(bench) is ON
    bench.hold(2400.0, 900)
    assert phase(bench) is OFF


def test_a_clock_that_is_put_back_over_a_deadline_asks_for_nothing_twice():
    need = replace(BOILER, needs=(Need(by=Clock(time(18)), runtime_s=600.0),))
    bench = at_half_past_five(Bench(Site((need,)), begins=NOON.replace(hour=17, minute=49, second=30)))
    bench.hold(2400.0, 800)
    assert phase(bench) is OFF
    bench.begins -= timedelta(minutes=15)
    bench.hold(400.0, 1200)
    assert phase(bench) is OFF
    assert bench.state.standings[0].needs_missed == 0


def test_a_full_boiler_has_had_its_need():
    bench = at_half_past_five(Bench(Site((SIX_KWH_BY_SIX,)), begins=NOON.replace(hour=17, minute=30)))
    bench.mail = [Report("boiler", bench.at + 0.5, on=True, watts=0.0)]
    while bench.wall().hour < 18:
        bench.second(400.0)
    bench.second(400.0)
    assert bench.state.standings[0].needs_missed == 0


def test_what_a_person_holds_on_stays_on_while_it_is_lost_from_sight():
    bench = Bench(Site((BOILER,)))
    bench.hold(400.0, 5)
    bench.mail = [Report("boiler", bench.at + 0.5, on=True, source=Source.HAND)]
    assert bench.second(400.0).verdicts == (Verdict.HAND,)
    lose_sight(bench)
    bench.hold(400.0, 1200)
    assert not bench.sent


def test_what_we_switch_off_is_no_persons_word_any_more():
    bench = Bench(Site((BOILER,), max_import_w=3000.0))
    bench.hold(400.0, 15)
    bench.mail = [Report("boiler", bench.at + 0.5, on=True, source=Source.HAND)]
    bench.hold(400.0, 15)
    assert bench.second(7000.0).verdicts == (Verdict.SHED,)
    assert bench.hold(400.0, 5).verdicts != (Verdict.HAND,)


def test_a_need_that_may_not_start_asks_nobody_to_make_room():
    first = replace(BOILER, max_starts=0, needs=(Need(by=Clock(time(18)), runtime_s=3600.0),))
    bench = Bench(Site((first, CAR), max_import_w=2500.0), begins=NOON.replace(hour=16, minute=30))
    bench.mail = [Report("boiler", 0.0, on=False), Report("car", 0.0, on=True)]
    bench.hold(200.0, 2400)
    assert phase(bench, 1) is ON


def test_refusals_use_up_no_starts_and_doubts_do():
    for error, starts in (("refused", 0), ("unreachable", 1)):
        bench = Bench(Site((BOILER,)))
        outcome = bench.hold(-1600.0, 61)
        bench.mail = [Report("boiler", bench.at, outcome.commands[0].id, error=error)]
        bench.second(-1600.0)
        assert bench.state.standings[0].tally.starts == starts


def test_a_weekly_need_is_not_asked_for_twice_by_a_clock_put_back():
    wednesday = NOON.replace(hour=17, minute=49, second=30)
    assert wednesday.weekday() == 2
    need = replace(BOILER, needs=(Need(by=Clock(time(18)), runtime_s=600.0, days=frozenset({2})),))
    bench = at_half_past_five(Bench(Site((need,)), begins=wednesday))
    bench.hold(2400.0, 700)
    bench.begins -= timedelta(seconds=100)
    bench.hold(400.0, 300)
    assert phase(bench) is OFF
    assert bench.state.standings[0].needs_missed == 0


def test_a_start_that_is_called_back_before_it_was_seen_counts():
    bench = Bench(Site((BOILER,)))
    bench.hold(-1600.0, 61)
    bench.mail = []
    bench.second(-1600.0, (Wish("boiler", on=False),))
    assert phase(bench) is STOPPING
    bench.second(-1600.0)
    assert phase(bench) is OFF
    assert bench.state.standings[0].tally.starts == 1
