"""The promises of loads that follow the sun, of needs, plans and batteries; beside each, that a breach is noticed.

That they are set to what they can be, and that phases rest, is tried in `test_promises` with all that always holds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.rules import Battery, Clock, Follow, Level, Load, Mode, Need, Range
from loadctl.core.values import Slot
from tests.house import NOON, Cells, House, Policy, Turn, switch
from tests.property import mutants
from tests.property.promises import fuse, one_taker
from tests.property.promises_follow import paced, phases_rest, settable, tracks
from tests.property.strategies import ONE_PHASE, THREE_PHASES, lives
from tests.property.test_promises import life

WAVES = tuple(Turn(9.0, "sun_w", 1800.0 + 150.0 * (count % 14)) for count in range(90))
SWELLS = tuple(Turn(45.0, "sun_w", 6500.0 if count % 2 else 2200.0) for count in range(20))


def charger(name: str = "car", *ranges: Range, **rule: object) -> Load:
    found = ranges or (ONE_PHASE,)
    follow = Follow(found, phase_up_s=20.0, phase_down_s=10.0, phase_pause_s=200.0)
    return switch(name, found[-1].most_w, start_w=1380.0, follow=follow, **({"stop_import_w": 200.0} | rule))


def test_the_property_notices_a_setting_off_its_steps():
    day = life(charger(), turns=WAVES, sun_w=2000.0)
    assert settable(day.live()) == []
    assert settable(day.live(mutants.forgets_follow(ranges=(replace(ONE_PHASE, step_w=50.0),))))
    assert settable(day.live(mutants.forgets_follow(ranges=(replace(ONE_PHASE, least_w=1000.0),))))


@pytest.mark.parametrize("forgotten", [{"phase_pause_s": 0.0}, {"phase_changes": 99}], ids=str)
def test_the_property_notices_phases_that_change_too_often(forgotten):
    car = charger("car", ONE_PHASE, THREE_PHASES)
    assert car.follow is not None
    rare = replace(car, follow=replace(car.follow, phase_changes=1, phase_pause_s=5.0))
    day = life(car if "phase_pause_s" in forgotten else rare, turns=SWELLS, sun_w=2200.0)
    assert phases_rest(day.live()) == []
    assert phases_rest(day.live(mutants.forgets_follow(**forgotten)))


@given(lives(naughty=False))
def test_rises_keep_their_pace(any_life):
    assert paced(any_life.live()) == []


def test_the_property_notices_a_rise_on_every_reading():
    day = life(charger(), turns=[Turn(2.0, "sun_w", 1800.0 + 150.0 * count) for count in range(40)], sun_w=2000.0)
    assert paced(day.live()) == []
    assert paced(day.live(mutants.forgets_follow(every_s=0.0)))


@given(lives(plain=True, quick=True, naughty=False, fuse=False))
def test_what_it_draws_above_its_least_is_not_bought(any_life):
    """Import lasts no longer than it takes to see it and to settle."""
    assert tracks(any_life.live()) == []


def test_the_property_notices_import_that_lasts():
    clouds = life(charger(), turns=[Turn(100.0, "sun_w", 1500.0)], sun_w=4500.0, seconds=300.0)
    assert tracks(clouds.live()) == []
    assert tracks(clouds.live(mutants.sees_no_import))


def test_the_property_notices_a_fuse_that_does_not_throttle():
    kettle = [Turn(60.0, "base_w", 2500.0)]
    car = charger(mode=Mode.FAST)
    evening = life(car, turns=kettle, seconds=200.0, max_import_w=5000.0)
    house = evening.live()
    assert fuse(house) == []
    assert house.appliances[0].on, "throttled, not shed"
    assert fuse(evening.live(mutants.misreads_site(max_import_w=None)))


@given(lives(pure=True, quick=True, naughty=False, blind=False, fuse=False, plain=True))
def test_in_the_end_the_sun_is_used(any_life):
    """A promise kept by doing nothing is worth nothing: under a steady sun a load that follows it ends within a step
    and a quarter of what it may have."""
    site = replace(any_life.site, loads=any_life.site.loads[:1])
    load = site.loads[0]
    if load.follow is None:
        return
    ranges = load.follow.ranges
    house = House(site, (replace(any_life.devices[0], on=False, uses=3, takes_w=1e9),), any_life.meter)
    for sun_w in (ranges[0].least_w + 2.6 * ranges[0].step_w, ranges[-1].most_w):
        free_w = sun_w + 2 * ranges[-1].step_w
        house.turn("sun_w", free_w + house.base_w + site.reserve_w)
        house.run(900.0 + load.start_for_s * 2)
        one = next(one for one in ranges if one.phases == house.appliances[0].phases)
        left_w = free_w - house.appliances[0].draw_at(house.at)
        most = house.appliances[0].draw_at(house.at) >= ranges[-1].most_w - 1.0
        between = one.most_w <= free_w < ranges[-1].least_w * 1.1
        assert most or between or left_w <= 2.6 * one.step_w, (left_w, one)


def test_the_property_notices_a_follower_that_stays_at_its_least():
    noon = life(charger(), sun_w=4500.0, seconds=200.0)
    assert noon.live().appliances[0].draw_at(1199.0) == 3680.0
    timid = mutants.forgets_follow(ranges=(replace(ONE_PHASE, most_w=1610.0),))
    assert noon.live(timid).appliances[0].draw_at(1199.0) < 3680.0


# --- the battery ----------------------------------------------------------------------------------------------------


def test_the_property_notices_a_battery_that_is_drained():
    """Its battery hides the cloud; what runs on it does not stop and, worse, a second load starts on it."""
    evening = replace(
        life(switch("boiler", 1000.0), switch("car", 1500.0, start_w=700.0), sun_w=2400.0, seconds=300.0),
        cells=Cells(3000.0, 5000.0, 80.0),
        turns=(Turn(60.0, "sun_w", 1900.0),),
    )
    bold = mutants.forgets(battery=Battery(0.0, 10.0, 3000.0))
    assert one_taker(evening.live(), give_w=5.0) == []
    assert one_taker(evening.live(bold), give_w=5.0)
    asleep = replace(evening, turns=(), sun_w=0.0)
    assert one_taker(asleep.live(bold), give_w=5.0)


# --- needs ----------------------------------------------------------------------------------------------------------

BY = Clock(time(13))  # an hour after the day begins
PLAIN_NEEDS = st.one_of(
    st.builds(Need, st.just(BY), runtime_s=st.sampled_from((60.0, 600.0, 1500.0))),
    st.builds(Need, st.just(BY), energy_wh=st.sampled_from((30.0, 400.0, 900.0))),
    st.builds(Need, st.just(BY), level=st.just(Level("tank", 45.0, 80.0))),
)


def needing(need: Need, least_w: float, pauses_s: float) -> Load:
    if not least_w:
        return switch("boiler", 2000.0, needs=(need,), min_off_s=pauses_s, min_on_s=pauses_s)
    return charger("boiler", Range(least_w, 2000.0, 20.0), needs=(need,), min_off_s=pauses_s, min_on_s=pauses_s)


def took_wh(house: House) -> float:
    """Return what the only load took, as its wire tells every five seconds."""
    appliance = house.appliances[0]
    return sum(appliance.draw_at(house.began + second) for second in range(0, round(house.at - house.began), 5)) / 720


def met(need: Need, house: House) -> bool:
    """Live until the deadline; tell whether the load had what it needs, as its contact and its wire tell."""
    while house.at < house.began + 3600.0:
        if need.level is not None:
            house.turn("tank", 40.0 + took_wh(house) / 80.0)
        house.run(60.0)
    ran_s = sum(house.appliances[0].on_at(house.began + second) for second in range(3600))
    if need.runtime_s is not None:
        return ran_s >= need.runtime_s - 2.0
    return took_wh(house) >= (need.energy_wh or 400.0) - 5.0


def home(need: Need, sun_w: float = 0.0, least_w: float = 0.0, pauses_s: float = 0.0, **more: Policy) -> House:
    return replace(life(needing(need, least_w, pauses_s), sun_w=sun_w), begin=NOON).house(**more)


@given(
    PLAIN_NEEDS,
    st.lists(st.sampled_from((0.0, 700.0, 1500.0, 3000.0)), min_size=1, max_size=12),
    st.sampled_from((0.0, 200.0, 1400.0)),
    st.sampled_from((0.0, 60.0, 600.0)),
)
def test_what_must_be_done_by_a_time_is_done_by_that_time(need, suns, least_w, pauses_s):
    """Whatever the sun does, for a device that does what it is told."""
    house = home(need, suns[0], least_w, pauses_s)
    for sun_w in suns:
        house.turn("sun_w", sun_w)
        house.run(30.0 if need.level is None else 0.0)
    assert met(need, house)
    assert house.state.standings[0].needs_missed == 0


@pytest.mark.parametrize(
    "need", [Need(BY, runtime_s=600.0), Need(BY, energy_wh=400.0), Need(BY, level=Level("tank", 45.0, 80.0))], ids=str
)
def test_the_property_notices_a_need_that_is_put_off(need):
    assert met(need, home(need))
    assert not met(need, home(need, policy=mutants.puts_off))


SUN_W = 1000.0  # half of what the boiler draws


def bought_wh(sunny: list[bool], policy: Policy = step) -> float:
    """Return what a boiler buys that needs a quarter of the next hour, of which each twelfth is sunny or not."""
    begin = NOON.timestamp()
    slots = tuple(
        Slot(begin + 300.0 * index, 300.0, SUN_W if sun else 0.0, 0.30, 0.08) for index, sun in enumerate(sunny)
    )
    turns = [Turn(300.0 if index else 0.0, "sun_w", 300.0 + SUN_W * sun) for index, sun in enumerate(sunny)]
    load = switch("boiler", 2000.0, needs=(Need(BY, runtime_s=900.0),))
    house = replace(life(load, turns=turns, seconds=3600.0), slots=slots).live(policy)
    return sum(max(0.0, house.net_at(house.began + second)) for second in range(3600)) / 3600


@given(st.lists(st.booleans(), min_size=12, max_size=12).filter(lambda sunny: sum(sunny) >= 5))
def test_a_need_waits_for_the_sun_that_comes(sunny):
    """Where the sun that is expected comes and is enough, half of what a need takes is bought, and little more."""
    assert bought_wh(sunny) <= 250.0 + 100.0


def test_the_property_notices_who_lives_for_the_day():
    sunny = [True] * 6 + [False] * 6
    assert bought_wh(sunny) <= 350.0
    assert bought_wh(sunny, mutants.lives_for_the_day) > 450.0
