"""Loads that follow the sun: rows of (what is free without them, seconds), and what they then draw.

The wallbox takes 6 to 16 A on one phase in steps of 1 A (230 W), or 4140 W and more on three.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from loadctl.core.rules import Mode, Site
from loadctl.core.values import OFF, ON, ModeWish, Report, Source, Verdict
from tests.scenarios.bench import BOILER, BOTH_PHASES, BY_AMPS, BY_PHASES, BY_WATTS, THYRISTOR, WALLBOX, Bench

SECOND_CAR = replace(WALLBOX, name="second")
START, WAIT_ON, RUN, REST = Verdict.START, Verdict.WAIT_ON, Verdict.RUN, Verdict.REST
WAIT_OFF, STOP, MODE = Verdict.WAIT_OFF, Verdict.STOP, Verdict.MODE


def charging(free_w: float = 3000.0, site: Site | None = None) -> Bench:
    """A wallbox that has been on long enough to settle."""
    bench = Bench(site or Site((WALLBOX,)))
    bench.free(free_w, 100)
    assert bench.phase("wallbox") is ON
    bench.told.clear()
    return bench


def set_to(bench: Bench, name: str = "wallbox") -> list[tuple[float, float]]:
    """What the load was told, and when."""
    return [(at, command.watts) for at, command in bench.told if command.load == name]


@pytest.mark.parametrize(("seconds", "expected"), [(60, WAIT_ON), (61, START)])
def test_it_starts_at_its_least(seconds, expected):
    bench = Bench(Site((WALLBOX,)))
    assert bench.free(9000.0, seconds).verdicts == (expected,)
    if expected is START:
        assert [(c.watts, c.phases, c.amps) for c in bench.sent] == [(1380.0, 1, 6.0)]


@pytest.mark.parametrize(
    ("free_w", "draws_w"),
    [
        (1380.0, 1380.0),
        (1667.0, 1380.0),  # a step is not quite enough: a quarter of one more
        (1668.0, 1610.0),
        (3000.0, 2760.0),
        (3680.0, 3450.0),
        (3740.0, 3680.0),
        (9000.0, 3680.0),
    ],
)
def test_it_rises_to_the_step_below_what_is_free(free_w, draws_w):
    assert charging(free_w).draws_w("wallbox") == draws_w


@pytest.mark.parametrize(
    ("free_w", "draws_w"),
    [(3100.0, 2990.0), (3047.0, 2760.0), (3048.0, 2990.0), (2751.0, 2760.0), (2749.0, 2530.0), (1500.0, 1380.0)],
)
def test_a_trembling_sun_changes_nothing(free_w, draws_w):
    """Between ten watts of import and a step and a quarter to spare it stays as it is."""
    bench = charging(2760.0 + 240.0)
    assert bench.draws_w("wallbox") == 2760.0
    bench.free(free_w, 30)
    assert bench.draws_w("wallbox") == draws_w


def test_it_falls_at_once_and_rises_with_patience():
    bench = charging(2000.0)
    for more in range(60):
        bench.free(2000.0 + 40.0 * more)
    rises = [at for at, _ in set_to(bench)]
    assert len(rises) >= 3
    assert all(after - before >= BY_AMPS.every_s for before, after in pairwise(rises))
    bench.told.clear()
    bench.free(2000.0)
    assert set_to(bench) == [(bench.at, 1840.0)], "in the same second"


def test_a_fall_follows_a_rise_before_the_meter_has_shown_it():
    """A cloud that comes right after a rise: import beyond the rise is taken off at once, the rest when it shows."""
    bench = charging(2000.0)
    bench.free(3000.0)
    assert set_to(bench)[-1][1] == 2760.0
    bench.free(1500.0)
    assert set_to(bench)[-1][1] == 2300.0
    bench.free(1500.0, 6)
    assert set_to(bench)[-1][1] == 1380.0


@pytest.mark.parametrize(("seconds", "expected"), [(120, WAIT_OFF), (121, STOP)])
def test_it_stops_when_its_least_is_too_much(seconds, expected):
    """At its least from the first second of too little sun; then the rule's patience, as for any load."""
    bench = charging(3000.0)
    bench.free(3000.0, 300)
    assert bench.free(1000.0, seconds).verdicts == (expected,)
    assert set_to(bench)[0] == (401.0, 1380.0)


def test_a_car_that_takes_less_leaves_the_rest_to_others():
    bench = Bench(Site((WALLBOX, BOILER)))
    bench.plugs["wallbox"].most_w = 1900.0
    bench.free(4000.0, 400)
    assert bench.draws_w("wallbox") in (1840.0, 1900.0)  # what the sun leaves beside the boiler
    assert bench.phase("boiler") is ON


def test_a_full_car_leaves_all_to_others():
    bench = charging(3000.0, Site((WALLBOX, BOILER)))
    assert bench.phase("boiler") is OFF
    bench.plugs["wallbox"].full = True
    bench.free(3000.0, 200)
    assert bench.phase("boiler") is ON


def test_a_car_that_was_limited_and_is_not_any_more_gets_its_power_back():
    bench = Bench(Site((WALLBOX,)))
    bench.plugs["wallbox"].most_w = 1900.0
    bench.free(4000.0, 300)
    bench.plugs["wallbox"].most_w = 1e9
    bench.free(4000.0, 120)
    assert bench.draws_w("wallbox") == 3680.0


def test_a_one_phase_car_on_three_phases():
    bench = Bench(Site((BOTH_PHASES, BOILER)))
    bench.plugs["wallbox"].uses = 1
    bench.free(6000.0, 900)
    assert bench.draws_w("wallbox") == 3680.0
    assert bench.phase("boiler") is ON


def test_no_car_no_start():
    bench = Bench(Site((WALLBOX, BOILER)))
    bench.plugs["wallbox"].connected = False
    assert bench.free(3000.0, 200).verdicts[0] is Verdict.AWAY
    assert bench.phase("boiler") is ON


# --- phases ---------------------------------------------------------------------------------------------------------


def phases(bench: Bench) -> list[tuple[float, int | None]]:
    """The changes of phases that were told, and when."""
    told = [(at, command.phases) for at, command in bench.told if command.watts]
    return [two for one, two in pairwise(told) if one[1] != two[1]]


def on_one_phase(load=BOTH_PHASES) -> Bench:
    bench = Bench(Site((load,)))
    bench.free(3900.0, 100)
    assert bench.draws_w("wallbox") == 3680.0
    return bench


@pytest.mark.parametrize(("seconds", "draws_w"), [(299, 3680.0), (302, 4830.0)])
def test_three_phases_take_five_minutes_of_power_for_them(seconds, draws_w):
    bench = on_one_phase()
    bench.free(5000.0, seconds)
    assert bench.draws_w("wallbox") == draws_w
    bench.free(5000.0, 60)
    assert bench.draws_w("wallbox") == 4830.0, "and no more than there is"


@pytest.mark.parametrize("free_w", [4000.0, 4312.0])
def test_power_for_three_phases_is_a_little_more_than_their_least(free_w):
    bench = on_one_phase()
    bench.free(free_w, 900)
    assert bench.draws_w("wallbox") == 3680.0
    bench.free(4313.0, 400)
    assert bench.draws_w("wallbox") == 4140.0


@pytest.mark.parametrize(("seconds", "draws_w"), [(123, 4140.0), (124, 2990.0)])
def test_one_phase_takes_two_minutes_of_too_little_for_three(seconds, draws_w):
    bench = on_one_phase()
    bench.free(5000.0, 1000)
    bench.free(3000.0, seconds)
    assert bench.draws_w("wallbox") == draws_w


def test_three_phases_come_no_sooner_than_ten_minutes_after_the_last_change():
    """Back to one they may at any time: else the house would buy what the sun does not give."""
    bench = on_one_phase()
    for _ in range(10):
        bench.free(6000.0, 400)
        bench.free(2500.0, 200)
    assert len(phases(bench)) > 3
    assert ups_after_s(bench) >= 600.0


def ups_after_s(bench: Bench) -> float:
    """The shortest time between a change of phases and one to more of them."""
    return min(two[0] - one[0] for one, two in pairwise(phases(bench)) if two[1] == 3)


def test_phases_change_no_more_often_a_day_than_the_rule_says():
    bench = on_one_phase(replace(BOTH_PHASES, follow=replace(BY_PHASES, phase_changes=3)))
    for _ in range(8):
        bench.free(6000.0, 1000)
        bench.free(2500.0, 1000)
    assert [number for _, number in phases(bench)] == [3, 1, 3, 1], "and back"


def test_a_new_start_changes_no_phases_before_their_pause_is_over():
    quick = replace(BOTH_PHASES, min_on_s=0.0, min_off_s=0.0, start_for_s=20.0, stop_for_s=20.0)
    bench = Bench(Site((quick,)))
    for _ in range(12):
        bench.free(6000.0, 60)
        bench.free(0.0, 60)
        bench.free(1600.0, 60)
        bench.free(0.0, 60)
    assert ups_after_s(bench) >= 600.0


# --- together -------------------------------------------------------------------------------------------------------


def test_two_cars_by_their_order():
    bench = Bench(Site((WALLBOX, SECOND_CAR)))
    bench.free(5600.0, 300)
    assert (bench.draws_w("wallbox"), bench.draws_w("second")) == (3680.0, 1840.0)
    bench.free(4000.0, 60)
    assert bench.draws_w("second") == 1380.0
    assert bench.draws_w("wallbox") == 2530.0, "what the other leaves: it may still run its least"
    bench.free(4000.0, 600)
    assert bench.draws_w("wallbox") == 2530.0


def test_a_second_car_gives_way_when_the_sun_is_not_enough_for_both():
    bench = Bench(Site((WALLBOX, SECOND_CAR)))
    bench.free(5600.0, 400)
    bench.free(2200.0, 200)
    assert bench.phase("second") is OFF
    assert bench.draws_w("wallbox") == 2070.0


@pytest.mark.parametrize("free_w", [3300.0, 4000.0, 5000.0, 6000.0])
def test_two_cars_share_equally(free_w):
    bench = Bench(Site((replace(WALLBOX, share=1), replace(SECOND_CAR, share=1))))
    bench.free(free_w, 600)
    one_w, two_w = bench.draws_w("wallbox"), bench.draws_w("second")
    assert abs(one_w - two_w) <= 230.0
    assert free_w - one_w - two_w <= 2 * 1.25 * 230.0
    assert one_w + two_w <= free_w


def test_what_one_of_two_equals_cannot_use_the_other_gets():
    bench = Bench(Site((replace(WALLBOX, share=1), replace(SECOND_CAR, share=1))))
    bench.plugs["wallbox"].most_w = 1500.0
    bench.free(5300.0, 600)
    assert bench.draws_w("second") == 3680.0


@pytest.mark.parametrize("order", [(BOILER, THYRISTOR), (THYRISTOR, BOILER)], ids=["below", "above"])
@pytest.mark.parametrize("free_w", [2350.0, 3210.0, 4870.0])
def test_what_a_boiler_leaves_is_filled(order, free_w):
    bench = Bench(Site(order))
    bench.free(free_w, 900)
    boiler_w, thyristor_w = bench.draws_w("boiler"), bench.draws_w("thyristor")
    assert boiler_w + thyristor_w <= free_w
    assert thyristor_w == 3000.0 or free_w - boiler_w - thyristor_w <= 12.5


def test_a_car_below_makes_room_for_the_boiler_without_a_stop():
    bench = Bench(Site((BOILER, WALLBOX)))
    bench.free(1450.0, 100)
    assert bench.phase("wallbox") is ON
    bench.free(3600.0, 120)
    assert (bench.draws_w("boiler"), bench.draws_w("wallbox")) == (2000.0, 1380.0)
    assert 0.0 not in [watts for _, watts in set_to(bench)]


def test_the_boiler_below_makes_room_for_the_car():
    bench = Bench(Site((WALLBOX, BOILER)))
    bench.plugs["wallbox"].connected = False
    bench.free(2200.0, 300)
    assert bench.phase("boiler") is ON
    bench.plugs["wallbox"].connected = True
    bench.free(2200.0, 900)
    assert bench.phase("boiler") is OFF
    assert bench.draws_w("wallbox") == 2070.0


def test_what_is_free_feeds_the_hungry_before_anybody_yields():
    """A single wild reading throttles the one above; the one below is not stopped for its hunger."""
    slow = replace(THYRISTOR, follow=replace(BY_WATTS, every_s=15.0))
    bench = Bench(Site((slow, replace(BOILER, stop_for_s=5.0, min_on_s=0.0))))
    bench.free(20000.0, 300)
    bench.free(-10000.0)
    bench.free(20000.0, 60)
    assert bench.phase("boiler") is ON
    assert bench.draws_w("thyristor") == 3000.0
    assert sum(command.load == "boiler" for command in bench.sent) == 1


# --- modes ----------------------------------------------------------------------------------------------------------


def mode(bench: Bench, how: Mode) -> Bench:
    bench.wishes = (ModeWish("wallbox", how),)
    return bench


@pytest.mark.parametrize(("free_w", "draws_w"), [(0.0, 1380.0), (1000.0, 1380.0), (3000.0, 2760.0)])
def test_solar_and_the_least_at_any_time(free_w, draws_w):
    bench = mode(Bench(Site((WALLBOX,))), Mode.SOLAR_MIN)
    bench.free(free_w, 2)
    assert bench.phase("wallbox") is ON
    bench.free(free_w, 900)
    assert bench.draws_w("wallbox") == draws_w


def test_modes_change_at_any_time():
    bench = mode(Bench(Site((WALLBOX,))), Mode.FAST)
    bench.free(500.0, 30)
    assert bench.draws_w("wallbox") == 3680.0
    mode(bench, Mode.SOLAR_MIN).free(500.0, 30)
    assert bench.draws_w("wallbox") == 1380.0
    mode(bench, Mode.OFF).free(9000.0, 3)
    assert bench.phase("wallbox") is OFF, "at once, minimum time or not"
    assert bench.free(9000.0, 3000).verdicts == (MODE,)
    mode(bench, Mode.SOLAR).free(9000.0, 70)
    assert bench.draws_w("wallbox") == 3680.0
    bench.free(500.0, 600)
    assert bench.phase("wallbox") is OFF


def test_fast_takes_all_phases_soon():
    bench = mode(on_one_phase(), Mode.FAST)
    bench.free(0.0, 60)
    assert bench.draws_w("wallbox") == 11040.0


# --- the fuse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free_w", "draws_w"), [(0.0, 2990.0), (-500.0, 2300.0), (-1620.0, 1380.0)])
def test_the_fuse_throttles_before_it_sheds(free_w, draws_w):
    bench = mode(Bench(Site((WALLBOX,), max_import_w=3000.0)), Mode.FAST)
    bench.free(0.0, 30)
    assert bench.draws_w("wallbox") == 2990.0
    bench.free(free_w)
    assert bench.draws_w("wallbox") == draws_w, "in the same second"
    bench.free(free_w, 60)
    assert bench.draws_w("wallbox") == draws_w


def test_the_fuse_sheds_what_cannot_be_throttled_enough():
    bench = mode(Bench(Site((WALLBOX,), max_import_w=3000.0)), Mode.FAST)
    bench.free(0.0, 30)
    assert bench.free(-1700.0).verdicts == (Verdict.SHED,)


def test_the_fuse_throttles_a_car_that_has_just_started():
    bench = mode(Bench(Site((WALLBOX,), max_import_w=4000.0)), Mode.FAST)
    bench.free(0.0, 4)
    assert bench.draws_w("wallbox") == 3680.0
    bench.free(-1000.0, 1)
    assert bench.draws_w("wallbox") <= 2990.0


def test_the_fuse_throttles_a_car_that_a_hand_has_set():
    bench = charging(3000.0, Site((WALLBOX,), max_import_w=4000.0))
    bench.free(0.0, 400)
    assert bench.phase("wallbox") is OFF
    bench.on["wallbox"] = True
    bench.plugs["wallbox"].set_w, bench.plugs["wallbox"].phases = 3680.0, 1
    bench.mail = [Report("wallbox", bench.at + 0.5, on=True, source=Source.HAND, limit_w=3680.0)]
    assert bench.free(0.0, 60).verdicts == (Verdict.HAND,)
    assert bench.draws_w("wallbox") == 3680.0, "as the hand has set it"
    bench.free(-1000.0, 2)
    assert bench.draws_w("wallbox") <= 2990.0


def test_the_fuse_throttles_a_car_that_is_found_charging():
    bench = Bench(Site((WALLBOX,), max_import_w=3000.0))
    bench.on["wallbox"] = True
    bench.plugs["wallbox"].set_w, bench.plugs["wallbox"].phases = 3680.0, 1
    bench.mail = [bench.look("wallbox")]
    bench.free(-1000.0)
    assert set_to(bench) == [(1.0, 1380.0)], "with the first reading"


def test_the_fuse_holds_though_a_high_voltage_makes_it_draw_more_than_it_was_set_to():
    bench = mode(Bench(Site((WALLBOX,), max_import_w=3800.0)), Mode.FAST)
    bench.volts = 242.0
    bench.free(0.0, 120)
    assert bench.draws_w("wallbox") <= 3800.0


def test_the_fuse_throttles_once_for_one_overload():
    """The meter shows a fall four seconds late: it is not taken for another overload."""
    bench = mode(Bench(Site((WALLBOX,), max_import_w=4000.0), lag_s=4), Mode.FAST)
    bench.free(0.0, 60)
    bench.free(-900.0, 60)
    assert bench.draws_w("wallbox") == 2990.0
    assert [watts for _, watts in set_to(bench)][-1] == 2990.0
    assert min(watts for _, watts in set_to(bench)) == 2990.0


# --- late answers ---------------------------------------------------------------------------------------------------


def test_a_slow_change_of_phases_gives_nothing_away_twice():
    """Pause, switch, resume takes forty seconds; until it is answered its power is not offered to the boiler."""
    bench = on_one_phase()
    below = Bench(Site((BOTH_PHASES, replace(BOILER, start_w=2000.0, start_for_s=5.0))))
    below.polls_s = 1e9
    below.free(3900.0, 100)
    below.answers_s = 40.0
    worst_w = 0.0
    for _ in range(600):
        outcome = below.free(6400.0)
        told_w = sum(command.watts for _, command in below.post)
        worst_w = max(worst_w, told_w + below.draws_w("boiler") - 6400.0)
        assert outcome is not None
    assert worst_w <= 0.0
    assert bench.phase("wallbox") is ON
