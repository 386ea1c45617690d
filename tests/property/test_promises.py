"""The core's promises (design: "What the core promises"), each for random rules, weather, devices and people.

Beside each stands a test that a core which breaks the promise is noticed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.rules import Site
from loadctl.core.values import Verdict
from tests.house import NOON, Device, House, MeterModel, Policy, Turn, switch
from tests.property import mutants
from tests.property.promises import (
    blindness,
    calm,
    fuse,
    minimum_times,
    one_taker,
    orders,
    outage,
    priority,
    sane,
    starts_a_day,
)
from tests.property.promises_follow import phases_rest, settable
from tests.property.strategies import Life, lives, near_midnight

FLICKER = tuple(Turn(20.0, "sun_w", 4000.0 * (count % 2)) for count in range(40))
"""Sun and clouds in turns, each long enough for quick rules to follow."""


EXACT = MeterModel()


def life(*loads, turns=(), meter=EXACT, seconds=900.0, sun_w=0.0, devices=(), begin=NOON, **site) -> Life:
    return Life(
        Site(loads=loads, **site),
        devices or tuple(Device() for _ in loads),
        meter,
        tuple(turns),
        0,
        sun_w,
        begin,
        seconds,
    )


def fused(house: House) -> list[str]:
    return fuse(house, give_w=house.meter.noise_w + 5.0)


ALWAYS = (minimum_times, blindness, outage, fused, calm, sane, settable, phases_rest)
"""What holds whatever the rules, the weather, the devices and the people: judged on the same lives.

Minimum times: our own commands never end a run before `min_on` nor start one before `min_off`, except by what stands
before them in the precedence; nothing shortens a compressor's rest. Blindness: a reading older than `max_age` is no
reading; blind, what runs is held for `hold`, then every load goes to `safe`, within one tick; 0 W is never put in place
of unknown. Outage: `grid_up` false does not wait. Fuse: above `max_import` loads are throttled or shed in the same
tick, nothing starts that would exceed it. Calm: the number of starts is bounded by the rules whatever the sky does.
Sane: verdicts and commands fit, never two for one load in a tick, ids go up, numbers are numbers. Settable: a load is
set to what its ranges allow, to a step of them. Phases: they rest between two changes.
"""


@settings(max_examples=3 * settings().max_examples)
@given(lives())
def test_what_always_holds(any_life):
    house = any_life.live()
    assert {promise.__name__: broken for promise in ALWAYS if (broken := promise(house))} == {}


# --- 1: minimum times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgotten", [{"min_on_s": 0.0}, {"min_off_s": 0.0}], ids=str)
def test_the_property_notices_a_forgotten_minimum_time(forgotten):
    short = life(switch(min_on_s=100.0, min_off_s=100.0), turns=FLICKER)
    assert minimum_times(short.live()) == []
    assert minimum_times(short.live(mutants.forgets(**forgotten)))


def test_a_hand_and_a_fuse_may_end_a_run_but_nothing_shortens_a_rest():
    fridge = switch("heat_pump", min_on_s=600.0, min_off_s=600.0, compressor=True)
    rest = life(
        fridge,
        sun_w=5000.0,
        turns=[Turn(700.0, "button", value=False, load=0), Turn(60.0, "wish", True, 0)],
        seconds=1500,
    )
    house = rest.live()
    assert minimum_times(house) == []
    assert [change.on for change in house.appliances[0].changes] == [True, False, True]
    assert minimum_times(rest.live(mutants.forgets(min_off_s=0.0)))


@given(lives(begin=near_midnight()), st.sampled_from((-30.0, -2.0, 2.0, 30.0)))
def test_starts_a_day(any_life, jump_s):
    """Nor more than `max_starts` a day; small NTP steps, even over midnight, give no day anew."""
    house = any_life.house()
    house.run(
        any_life.seconds,
        (*any_life.turns[:5], Turn(10.0, "jump_s", jump_s), *any_life.turns[5:], Turn(60.0, "jump_s", 0.0)),
    )
    assert starts_a_day(house) == []


def test_the_property_notices_uncounted_starts():
    once = life(switch(max_starts=2), turns=FLICKER)
    assert starts_a_day(once.live()) == []
    assert starts_a_day(once.live(mutants.forgets(max_starts=None)))


def test_a_clock_set_back_over_midnight_gives_no_starts_anew():
    back = [Turn(20.0, "sun_w", 4000.0 * (1 - count % 2)) for count in range(13)]
    steps = [
        Turn(20.0, "sun_w", 0.0),
        Turn(15.0, "jump_s", -20.0),
        *back,
        Turn(1.0, "jump_s", 0.0),
        *back,
        Turn(1.0, "jump_s", -600.0),
        *back,
    ]
    night = life(switch(max_starts=1), sun_w=4000.0, begin=datetime(2025, 6, 18, 21, 59, 30, tzinfo=UTC), turns=steps)

    def starts(policy: Policy) -> int:
        return sum(order.command.watts > 0 for order in orders(night.live(policy)))

    assert starts(step) == 2, "one start for each of two days"
    assert starts(mutants.forgets_the_day) > 2


# --- 2: one watt, one taker -----------------------------------------------------------------------------------------


@given(lives(pure=True, quick=True, naughty=False, blind=False, fuse=False))
def test_one_watt_one_taker(any_life):
    """Power on its way to one load is not offered to another; a lower load is stopped and seen stopped before the
    higher one starts on its power."""
    assert one_taker(any_life.live(), give_w=5.0) == []


def test_the_property_notices_watts_given_twice():
    two = life(
        switch("boiler", 2000.0, settle_s=10.0),
        switch("car", 2000.0, start_for_s=2.0, settle_s=10.0),
        sun_w=3000.0,
        meter=MeterModel(lag_s=6.0),
        seconds=200.0,
    )
    assert one_taker(two.live()) == []
    assert one_taker(two.live(mutants.forgets(settle_s=0.0)))


def test_the_property_notices_a_load_that_is_taken_for_off_unseen():
    slow = Device(latency_s=25.0, on=True)
    change = life(
        switch("boiler", 2000.0, start_for_s=30.0),
        switch("car", 2000.0, start_for_s=3.0),
        sun_w=2500.0,
        devices=(Device(), slow),
    )
    assert one_taker(change.live()) == []
    assert one_taker(change.live(mutants.counts_on_it))


@given(lives(most=1, plain=True, quick=True, naughty=False, blind=False, fuse=False), st.integers(0, 9000))
def test_a_load_does_not_react_to_its_own_step(any_life, sun_w):
    """Under a constant sun a load with consistent thresholds starts once and never stops, whatever the meter's lag."""
    house = House(any_life.site, (Device(measures=any_life.devices[0].measures),), any_life.meter, sun_w=float(sun_w))
    house.run(400.0)
    assert [change.on for change in house.appliances[0].changes] in ([], [True])


def test_the_property_notices_a_load_that_reacts_to_its_own_step():
    rule = switch(start_w=1500.0, stop_import_w=800.0, settle_s=10.0)
    steady = life(rule, sun_w=1900.0, meter=MeterModel(lag_s=4.0), seconds=400.0)
    assert [change.on for change in steady.live().appliances[0].changes] == [True]
    assert len(steady.live(mutants.forgets(stop_import_w=300.0)).appliances[0].changes) > 1


# --- 3: priority ----------------------------------------------------------------------------------------------------


@given(lives(pure=True, quick=True, naughty=False, fuse=False))
def test_priority(any_life):
    """If a load runs on surplus while a more important one that could start on it stands idle, a verdict says why."""
    assert priority(any_life.live(), give_w=5.0) == []


def test_the_property_notices_an_order_upside_down():
    two = life(switch("boiler", 1000.0), switch("car", 1000.0), sun_w=1800.0, seconds=300.0)
    assert priority(two.live()) == []
    assert priority(two.live(mutants.upside_down))


def test_a_lower_load_that_must_run_on_is_named():
    """The higher one waits for the lower one's `min_on`, and says so from the first reading on."""
    low = switch("low", 1500.0, start_for_s=2.0, min_on_s=300.0)
    both = life(switch("high", 1000.0), low, sun_w=2400.0, devices=(Device(), Device(on=True)), seconds=400.0)
    house = both.live()
    assert priority(house, calm_s=10.0) == []
    assert minimum_times(house) == []
    assert [appliance.on for appliance in house.appliances] == [True, False]


@given(lives(plain=True, quick=True, naughty=False, blind=False, fuse=False))
def test_the_first_load_gets_its_power_in_time(any_life):
    """A promise kept by doing nothing is worth nothing: with sun enough, the most important load runs when all holds of
    all loads have had their time."""
    site = any_life.site
    enough_w = site.loads[0].start_w + 300.0 + site.reserve_w + 100.0
    house = any_life.house()
    house.sun_w = enough_w
    house.turn("sun_w", enough_w)
    longest_s = max(load.min_on_s + load.min_off_s for load in site.loads)
    holds_s = sum(3 * (load.start_for_s + load.stop_for_s) + load.settle_s + 60.0 for load in site.loads)
    house.run(2 * longest_s + holds_s, every_s=3.0)
    assert house.appliances[0].on


def test_the_property_notices_a_core_that_sleeps():
    sunny = life(switch(), sun_w=4000.0, seconds=200.0)
    assert sunny.live().appliances[0].on
    assert not sunny.live(mutants.sleeps).appliances[0].on


# --- 4: blindness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["gap", "none"])
def test_the_property_notices_eyes_that_stay_open(how):
    dark = life(switch(), sun_w=4000.0, turns=[Turn(100.0, "metering", how)], seconds=400.0)
    assert blindness(dark.live()) == []
    broken = mutants.trusts_old_readings if how == "gap" else mutants.puts_zero_for_unknown
    assert blindness(dark.live(broken))


def test_the_property_notices_an_ignored_outage():
    gone = life(switch(), sun_w=4000.0, turns=[Turn(100.0, "grid_up", value=False)], seconds=200.0)
    assert outage(gone.live()) == []
    assert outage(gone.live(mutants.ignores_outages))


def test_the_property_notices_a_blown_fuse():
    kettle = life(switch(), sun_w=4000.0, turns=[Turn(100.0, "base_w", 8000.0)], seconds=200.0, max_import_w=5000.0)
    assert fuse(kettle.live()) == []
    assert fuse(kettle.live(mutants.misreads_site(max_import_w=None)))


def test_the_fuse_does_not_look_away():
    """What was just shed counts as gone for a few seconds, not for as long as a slow driver takes to settle."""
    rules = {"settle_s": 30.0, "start_w": 9000.0, "stop_import_w": 9000.0}
    peaks = [Turn(40.0, "base_w", 3000.0), Turn(5.0, "base_w", 200.0), Turn(12.0, "base_w", 5000.0)]
    house = life(
        switch("car", 1000.0, **rules),
        switch("boiler", 3500.0, **rules),
        turns=peaks,
        seconds=100.0,
        max_import_w=5000.0,
        devices=(Device(on=True), Device(on=True)),
    ).live()
    assert fuse(house) == []
    assert [order.load.name for order in orders(house)] == ["boiler", "car"]


# --- 5: calm --------------------------------------------------------------------------------------------------------


def test_the_property_notices_a_nervous_core():
    nervous = life(switch(min_on_s=60.0, min_off_s=60.0), turns=FLICKER)
    assert calm(nervous.live()) == []
    assert calm(nervous.live(mutants.forgets(min_on_s=0.0, min_off_s=0.0, start_for_s=1.0, stop_for_s=1.0)))


@given(
    lives(plain=True, quick=True, naughty=False, blind=False, fuse=False),
    st.sampled_from((0.0, 20000.0)),
    st.integers(0, 40),
)
def test_one_contrary_sample_changes_nothing(any_life, sun_w, when):
    """One contrary sample, however wild, switches nothing, where a load holds until what follows the sun is back."""
    devices = [replace(device, on=False) for device in any_life.devices]
    loads = any_life.site.loads
    pace_s = max((load.follow.every_s for load in loads if load.follow), default=0.0)
    patient = tuple(replace(load, stop_for_s=max(load.stop_for_s, 2 * pace_s)) for load in loads)
    house = House(replace(any_life.site, loads=patient), devices, any_life.meter, sun_w=sun_w)
    house.run(600.0)
    before = [len(appliance.changes) for appliance in house.appliances]
    house.run(float(when), [Turn(0.0, "surge_w", 30000.0 if sun_w else -30000.0)])
    house.run(100.0)
    assert [len(appliance.changes) for appliance in house.appliances] == before


def test_the_property_notices_a_core_that_jumps_at_one_sample():
    surge = [Turn(100.0, "surge_w", -30000.0)]
    quick = life(switch(), turns=surge, seconds=200.0)
    assert not quick.live().appliances[0].changes
    assert quick.live(mutants.impatient).appliances[0].changes


@given(lives(plain=True, naughty=False), st.integers(1, 60))
def test_a_repeated_reading_starts_nothing(any_life, seconds):
    """A repeated reading earns no hold time and starts nothing."""
    stuck = Life(any_life.site, any_life.devices, MeterModel(max_age_s=1e6), (), sun_w=30000.0)
    house = stuck.house()
    house.run(float(seconds))
    house.turn("metering", "gap")
    house.tick()
    first = len(house.moments)
    house.run(200.0)
    assert not [order for order in orders(house) if order.command.watts and order.moment in house.moments[first:]]


def test_the_property_notices_hold_time_earned_by_repeats():
    stuck = life(
        switch(), sun_w=4000.0, meter=MeterModel(max_age_s=1e6), turns=[Turn(3.0, "metering", "gap")], seconds=100.0
    )
    assert not list(orders(stuck.live()))
    assert list(orders(stuck.live(mutants.counts_repeats)))


# --- always ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [mutants.repeats_itself, mutants.mumbles], ids=lambda policy: policy.__name__)
def test_the_property_notices_nonsense(broken):
    day = life(switch(), turns=FLICKER, seconds=200.0)
    assert sane(day.live()) == []
    assert sane(day.live(broken))


def test_these_lives_are_worth_living():
    """Guards the guards: in the lives above loads do start, stop, yield, hold and go blind."""
    seen: set[Verdict] = set()

    @settings(derandomize=True, database=None, max_examples=60)
    @given(st.one_of(lives(), lives(pure=True)))
    def collect(any_life):
        for moment in any_life.live().moments:
            seen.update(moment.outcome.verdicts)

    collect()
    often = {Verdict.REST, Verdict.WAIT_ON, Verdict.START, Verdict.RUN, Verdict.WAIT_OFF, Verdict.STOP, Verdict.BLIND}
    assert often <= seen
    assert seen & {Verdict.OUTAGE, Verdict.SHED, Verdict.HAND, Verdict.FAULT}
