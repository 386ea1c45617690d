"""The most that the sun left of late, for two minutes at least."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loadctl.core.values import Sample
from loadctl.outlook.lately import LATELY_S, STEADY_S, Lately
from tests.unit.test_outlook_maker import NOON, look, maker

NOW = 1_750_000_080.0  # the beginning of two minutes


def seen(*watts: float, start: float = NOW, every_s: float = 1.0) -> Lately:
    lately = Lately()
    for index, power_w in enumerate(watts):
        lately.note(start + index * every_s, power_w)
    return lately


def test_nothing_is_known_before_it_lasted():
    assert Lately().best_w(NOW) is None
    assert seen(*[800.0] * 120).best_w(NOW + 120) is None
    assert seen(*[800.0] * 121).best_w(NOW + 120) == 800.0


@pytest.mark.parametrize("spike_s", [1, 20, 119])
def test_what_does_not_last_does_not_count(spike_s):
    """A load of ours that begins is taken off before the meter shows it: for a while there seems to be more."""
    best_w = seen(*[1500.0] * 60, *[3500.0] * spike_s, *[1500.0] * 240).best_w(NOW + 300)
    assert best_w == 1500.0


def test_of_what_lasted_the_most_counts():
    assert seen(*[900.0] * 120, *[1400.0] * 120, *[0.0] * 120, 0.0).best_w(NOW + 360) == 1400.0


def test_a_meter_that_is_read_once_a_minute_tells_as_much():
    assert seen(500.0, 700.0, 1500.0, 1600.0, 0.0, every_s=60.0).best_w(NOW + 240) == 1500.0


def test_what_was_longer_ago_is_forgotten():
    lately = seen(2000.0, 2000.0, *[900.0] * 200, every_s=60.0)
    assert lately.best_w(NOW + LATELY_S) == 2000.0
    assert lately.best_w(NOW + LATELY_S + STEADY_S) == 900.0


@pytest.mark.parametrize("back_s", [3600.0, 86400.0])
def test_a_clock_that_is_set_back_leaves_nothing_from_the_future(back_s):
    lately = seen(2000.0, 2000.0, 2000.0, every_s=60.0)
    for minute in range(3):
        lately.note(NOW - back_s + 60 * minute, 700.0)
    assert lately.best_w(NOW - back_s + 180) == 700.0


def test_our_own_loads_are_no_loss_of_sun_and_outages_show_none():
    made = maker()
    for second in range(300):
        grid_up = second < 180
        now = NOON.replace(second=0) + timedelta(seconds=second)
        made.note(now, Sample(0.0, 500.0 if grid_up else -9000.0, 2000.0, grid_up=grid_up), 2000.0)
    made.note(NOON + timedelta(minutes=5), Sample(0.0, 500.0, 2000.0), 2000.0)
    assert look(made, NOON + timedelta(minutes=5)).lately_w == 1500.0
