"""The most that the sun left of late, by the minute."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loadctl.core.values import Sample
from loadctl.outlook.lately import LATELY_S, Lately
from tests.unit.test_outlook_maker import NOON, look, maker

NOW = 1_750_000_020.0  # the beginning of a minute


def seen(*watts: float, start: float = NOW, every_s: float = 1.0) -> Lately:
    lately = Lately()
    for index, power_w in enumerate(watts):
        lately.note(start + index * every_s, power_w)
    return lately


def test_nothing_is_known_before_a_minute_is_over():
    assert Lately().best_w(NOW) is None
    assert seen(*[800.0] * 60).best_w(NOW + 60) is None
    assert seen(*[800.0] * 61).best_w(NOW + 60) == 800.0


def test_it_is_the_mean_of_a_minute_that_counts_not_one_reading():
    best_w = seen(*[1000.0] * 59, 9000.0, *[1100.0] * 61).best_w(NOW + 121)
    assert best_w == pytest.approx((59 * 1000.0 + 9000.0) / 60)


def test_a_meter_that_is_read_once_a_minute_tells_as_much():
    assert seen(500.0, 1500.0, 700.0, 0.0, every_s=60.0).best_w(NOW + 180) == 1500.0


def test_what_was_longer_ago_is_forgotten():
    lately = seen(2000.0, *[900.0] * 200, every_s=60.0)
    assert lately.best_w(NOW + LATELY_S) == 2000.0
    assert lately.best_w(NOW + LATELY_S + 60) == 900.0


def test_a_clock_that_is_set_back_leaves_nothing_from_the_future():
    lately = seen(2000.0, 2000.0, every_s=60.0)
    for minute in range(3):
        lately.note(NOW - 86400 + 60 * minute, 700.0)
    assert lately.best_w(NOW - 86400 + 180) == 700.0


def test_our_own_loads_are_no_loss_of_sun_and_outages_show_none():
    made = maker()
    for second in range(180):
        grid_up = second < 120
        now = NOON.replace(second=0) + timedelta(seconds=second)
        made.note(now, Sample(0.0, 500.0 if grid_up else -9000.0, 2000.0, grid_up=grid_up), 2000.0)
    assert look(made, now).lately_w == 1500.0
