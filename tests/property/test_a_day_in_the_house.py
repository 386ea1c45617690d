"""The promises once more, stateful: hypothesis lives in the house and turns its knobs as it likes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loadctl.core.rules import Mode, Need
from tests.house import House, Mood
from tests.property.promises import blindness, calm, fuse, minimum_times, outage, sane, starts_a_day
from tests.property.promises_follow import phases_rest, settable
from tests.property.strategies import NEEDS, SUNS_W, Life, lives, near_midnight

PROMISES = (minimum_times, starts_a_day, blindness, outage, calm, sane, settable, phases_rest)
WHICH = st.integers(0, 3)


class Day(RuleBasedStateMachine):
    """Somebody who tries to make the core break its word."""

    house: House | None = None

    @initialize(any_life=lives(), hours=st.sampled_from((0.0, 0.0, 9.9)))
    def move_in(self, any_life: Life, hours: float) -> None:
        begin = near_midnight() if hours else any_life.begin + timedelta(minutes=1)
        self.house = replace(any_life, begin=begin, sun_w=0.0).house()

    def turn(self, knob: str, value: object, load: int | None = None) -> None:
        assert self.house is not None
        self.house.turn(knob, value, None if load is None else load % len(self.house.appliances))

    @rule(seconds=st.sampled_from((1, 2, 5, 15, 40, 130)))
    def wait(self, seconds: int) -> None:
        assert self.house is not None
        self.house.run(float(seconds))

    @rule(seconds=st.sampled_from((3.0, 12.0, 70.0)))
    def stall(self, seconds: float) -> None:
        assert self.house is not None
        self.house.tick(seconds)

    @rule(watts=SUNS_W)
    def shine(self, watts: float) -> None:
        self.turn("sun_w", watts)

    @rule(watts=st.sampled_from((100.0, 800.0, 7000.0)))
    def cook(self, watts: float) -> None:
        self.turn("base_w", watts)

    @rule(how=st.sampled_from(("fine", "gap", "none")))
    def meter_says(self, how: str) -> None:
        self.turn("metering", how)

    @rule(up=st.sampled_from((True, True, False, None)))
    def grid_is(self, up: bool | None) -> None:
        self.turn("grid_up", up)

    @rule(load=WHICH, mood=st.sampled_from(Mood))
    def device_is(self, load: int, mood: Mood) -> None:
        self.turn("mood", mood, load)

    @rule(load=WHICH, on=st.booleans())
    def press(self, load: int, on: bool) -> None:
        self.turn("button", on, load)

    @rule(load=WHICH, why=st.sampled_from(("timer", "protection", "reboot")))
    def trip(self, load: int, why: str) -> None:
        self.turn("trip", why, load)

    @rule(load=WHICH, on=st.sampled_from((True, False, None)))
    def wish(self, load: int, on: bool | None) -> None:
        self.turn("wish", on, load)

    @rule(load=WHICH, how=st.sampled_from((None, *Mode)))
    def choose(self, load: int, how: Mode | None) -> None:
        self.turn("mode", how, load)

    @rule(load=WHICH, need=st.sampled_from((None, *NEEDS)))
    def boost(self, load: int, need: Need | None) -> None:
        self.turn("boost", need, load)

    @rule(load=WHICH, gone=st.booleans())
    def drive_off(self, load: int, gone: bool) -> None:
        self.turn("away", gone, load)

    @rule(load=WHICH, full=st.booleans())
    def fill(self, load: int, full: bool) -> None:
        self.turn("warm", full, load)

    @rule(load=WHICH, watts=st.sampled_from((1380.0, 3680.0, 11040.0)))
    def set_at_the_device(self, load: int, watts: float) -> None:
        self.turn("dial", watts, load)

    @rule(away=st.booleans())
    def leave(self, away: bool) -> None:
        self.turn("away", away)

    @rule(degrees=st.sampled_from((None, 20.0, 46.0, 49.0, 70.0)))
    def tank_is(self, degrees: float | None) -> None:
        self.turn("tank", degrees)

    @rule(seconds=st.sampled_from((-20.0, -1.0, 0.0, 20.0)))
    def set_the_clock(self, seconds: float) -> None:
        self.turn("jump_s", seconds)

    @precondition(lambda self: self.house is not None and self.house.moments)
    @invariant()
    def every_promise_is_kept(self) -> None:
        assert self.house is not None
        broken = [sentence for promise in PROMISES for sentence in promise(self.house)]
        broken += fuse(self.house, give_w=self.house.meter.noise_w + 5.0)
        assert broken == []


TestDay = Day.TestCase
TestDay.settings = settings(stateful_step_count=30, max_examples=min(settings().max_examples, 500))
