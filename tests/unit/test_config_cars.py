"""What can be throttled: cars by their current, heaters behind a dimmer by their power."""

from __future__ import annotations

import pytest

from loadctl.core.rules import Follow, Mode, Range
from tests.unit.homes import DIMMER, RELAY, WALLBOX, house, load, notes, refused


def test_a_car_on_one_phase():
    car = load("current: 6..16 A", WALLBOX)
    assert car.follow == Follow((Range(1380, 3680, 230, 1, 230),), 10)
    assert (car.power_w, car.start_w, car.stop_import_w) == (3680, 1380, 138)
    assert (car.min_on_s, car.min_off_s, car.start_for_s, car.stop_for_s, car.max_starts) == (600, 300, 60, 180, 12)


def test_a_car_that_may_change_its_phases():
    car = load("current: 6..16 A; phases: auto", WALLBOX)
    assert car.follow is not None
    assert car.follow.ranges == (Range(1380, 3680, 230, 1, 230), Range(4140, 11040, 690, 3, 230))
    assert (car.power_w, car.start_w) == (11040, 1380)


def test_pace_and_patience_of_a_car():
    keys = "current: 8 A..32 A; phases: auto; voltage: 240 V; rise_every: 30 s; phase_up: 6 min; phase_down: 1 min"
    follow = load(f"{keys}; phase_pause: 15 min; phase_changes: 4", WALLBOX).follow
    assert follow == Follow((Range(1920, 7680, 240, 1, 240), Range(5760, 23040, 720, 3, 240)), 30, 360, 60, 900, 4)


@pytest.mark.parametrize("current", ["16 A", "6..16 A", "6-16 A", "6 to 16 A", "6 A .. 16 A", "6 A..16A"])
def test_ways_to_write_a_current(current):
    assert load(f"current: {current}", WALLBOX).power_w == 3680


def test_a_heater_behind_a_dimmer():
    rod = load("power: 0.3..3 kW", DIMMER)
    assert rod.follow == Follow((Range(300, 3000, 30),), 3)
    assert (rod.power_w, rod.start_w, rod.stop_import_w) == (3000, 300, 100)
    assert load("power: 500 W..3 kW", DIMMER).start_w == 500
    assert load("power: 3 kW", DIMMER).follow == Follow((Range(300, 3000, 30),), 3)


def test_the_rated_power_is_the_default():
    rated = DIMMER.replace("}", ", rated: 2 kW}")
    assert load("priority: 1", rated).follow == Follow((Range(200, 2000, 20),), 3)
    assert load("power: 1.5 kW", rated).follow == Follow((Range(200, 1500, 20),), 3)
    assert "write at most `2 kW`" in refused(f"it: {rated}; power: 3 kW")


def test_thresholds_are_about_the_least_power():
    assert load("current: 16 A; start: 50 %", WALLBOX).start_w == 690
    assert load("current: 16 A; grid_limit: 300 W", WALLBOX).start_w == 1080


def test_rows_that_share():
    loads = "\n".join(
        f"car{index}: {WALLBOX.replace('41', str(50 + index))}; current: 16 A{'' if index == 2 else '; share: equal'}"
        for index in range(5)
    )
    assert [at.share for at in house(loads).site.loads] == [1, 1, None, 2, 2]
    assert "it shares with nobody" in notes(f"it: {WALLBOX}; current: 16 A; share: equal")


def test_modes():
    assert load("current: 16 A; mode: solar+min", WALLBOX).mode is Mode.SOLAR_MIN
    assert load("power: 1 kW; mode: off").mode is Mode.OFF


@pytest.mark.parametrize(
    ("actuator", "keys", "hint"),
    [
        (WALLBOX, "power: 11 kW", "the power of a car follows from its `current`"),
        (WALLBOX, "priority: 1", "`current` is missing, such as `current: 6..16 A`"),
        (WALLBOX, "current: 4..16 A", "below 6 A a car must pause; write `6..16 A`"),
        (WALLBOX, "current: 5 A", "write `6..16 A`"),
        (WALLBOX, "current: 100 A", "no charger gives more than 80 A"),
        (WALLBOX, "current: 16..6 A", "the smaller one comes first, such as `6..16 A`"),
        (WALLBOX, "current: 16", "`16` has no unit: write `16 A`"),
        (WALLBOX, "current: 11 kW", "is a power; here a current is meant"),
        (WALLBOX, "current: 16 A; phases: 2", "write `auto`, `1` or `3`"),
        (WALLBOX, "current: 16 A; phase_up: 5 min", "`phase_up` goes with `phases: auto`"),
        (WALLBOX, "current: 16 A; voltage: 400 V", "at most 300 V"),
        (WALLBOX.replace("}", ", switches: false}"), "current: 16 A; phases: auto", "write `phases: 1` or `phases: 3`"),
        (RELAY, "current: 16 A", "it has no use for `current`"),
        (RELAY, "power: 0.3..3 kW", "write `power: 3 kW`"),
        (RELAY, "power: 3 kW; share: equal", "it has no use for `share`"),
        (RELAY, "power: 3 kW; rise_every: 5 s", "it has no use for `rise_every`"),
        (RELAY, "power: 3 kW; mode: solar+min", "write `solar`, `fast` or `off`"),
        (RELAY, "priority: 1", "`power` is missing"),
        (DIMMER, "priority: 1", "`power` is missing"),
        (DIMMER, "power: 3 kW; phases: 3", "`phases` is for cars"),
        (DIMMER.replace("}", ", rated: 3 kW}"), "power: 200 W", "cannot go below 300 W"),
    ],
)
def test_refused_with_what_would_do(actuator, keys, hint):
    assert hint in refused(f"it: {actuator}; {keys}")


def test_the_fuse_must_let_the_least_through():
    assert load("current: 16 A; phases: auto", WALLBOX, "max_import: 6 kW").power_w == 11040
    assert "4.14 kW is more than `max_import: 4 kW`" in refused(
        f"it: {WALLBOX}; current: 16 A; phases: 3", "max_import: 4 kW"
    )
