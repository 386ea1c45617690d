"""The emulated car: what it takes, when, and that looking at it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.lab.emulators.car import Car


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def test_it_starts_late_rises_slowly_and_falls_at_once() -> None:
    clock = Clock()
    car = Car(clock, plugged=True, start_delay_s=5, ramp_a_per_s=2)
    car.offer(16, 3)
    seen = []
    for _ in range(8):
        clock.at += 2
        seen.append(car.currents[0])
    assert seen == [0, 0, 2, 6, 10, 14, 16, 16]
    car.offer(8, 3)
    assert car.watts == 8 * 3 * 230
    car.offer(0, 3)
    assert (car.watts, car.pauses) == (0, 1)


def test_nothing_without_a_plug_and_a_session_counts_from_it() -> None:
    clock = Clock()
    car = Car(clock, start_delay_s=0, ramp_a_per_s=1e9)
    car.offer(10, 1)
    clock.at += 3600
    assert car.watts + car.session_wh == 0
    car.plug()
    clock.at += 3600
    assert car.session_wh == pytest.approx(2300)
    car.unplug()
    assert car.watts == 0
    car.plug()
    assert car.session_wh == pytest.approx(0)
    assert car.drawn_wh == pytest.approx(2300)


def test_a_one_phase_car_uses_one_of_three() -> None:
    clock = Clock()
    car = Car(clock, plugged=True, phases=1)
    car.offer(10, 3)
    clock.at += 60
    assert (car.currents, car.watts) == ((10, 0, 0), 2300)
    car.offer(10, 1)
    assert car.jolts == 0


def test_it_takes_no_more_than_it_can_and_none_below_its_least() -> None:
    clock = Clock()
    car = Car(clock, plugged=True, least_a=8, most_a=13)
    car.offer(32, 3)
    clock.at += 60
    assert car.currents[0] == 13
    car.offer(7, 3)
    clock.at += 60
    assert (car.watts, car.pauses) == (0, 0)


def test_full_at_its_limit_and_hungry_again_after_a_drive() -> None:
    clock = Clock()
    car = Car(clock, plugged=True, capacity_wh=10_000, soc=70, limit_soc=80)
    car.offer(16, 3)
    clock.at += 3600
    assert (car.full, car.watts) == (True, 0)
    assert car.soc == pytest.approx(80)
    assert car.session_wh == pytest.approx(1000)
    car.unplug()
    car.soc = 50
    car.plug()
    clock.at += 60
    assert (car.full, car.charging) == (False, True)


def test_a_sleepy_car_needs_waking() -> None:
    clock = Clock()
    car = Car(clock, plugged=True, sleeps_after_s=600)
    asleep = []
    for span_s in (599, 1):
        clock.at += span_s
        asleep.append(car.asleep)
    assert asleep == [False, True]
    car.offer(16, 3)
    clock.at += 60
    assert car.watts == 0
    car.wake()
    clock.at += 60
    assert car.charging


def test_phases_switched_under_current_are_counted() -> None:
    clock = Clock()
    car = Car(clock, plugged=True)
    car.offer(10, 1)
    clock.at += 60
    car.offer(10, 3)
    jolts = car.jolts
    car.offer(0, 3)
    car.offer(10, 1)
    assert (jolts, car.jolts) == (1, 1)


offers = st.lists(
    st.tuples(st.sampled_from([0, 6, 8, 10, 16, 32]), st.sampled_from([1, 3]), st.floats(0, 500)), max_size=12
)


@given(offers, st.integers(1, 7))
def test_how_often_one_looks_makes_no_difference(course: list[tuple[int, int, float]], looks: int) -> None:
    clock = Clock()
    rarely, often = (Car(clock, plugged=True, capacity_wh=3000, sleeps_after_s=700) for _ in range(2))
    for amps, phases, lasts_s in course:
        before = rarely.drawn_wh
        for car in (rarely, often):
            car.offer(amps, phases)
        began = clock.at
        for look in range(1, looks + 1):
            clock.at = began + lasts_s * look / looks
            assert often.watts <= amps * phases * 230 + 1e-6
        assert rarely.watts == pytest.approx(often.watts)
        assert rarely.drawn_wh == pytest.approx(often.drawn_wh)
        assert rarely.drawn_wh - before <= amps * phases * 230 * lasts_s / 3600 + 1e-6
        assert rarely.soc <= 100 + 1e-6
