"""Time and repetition: the wall clock may do what it likes, the same ticks give the same outcome, a run may be cut."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.rules import Battery, Clock, Follow, Level, Mode, Need, Site
from loadctl.core.step import start
from loadctl.core.values import (
    AnyWish,
    Away,
    Boost,
    Command,
    Daylight,
    Input,
    ModeWish,
    Outcome,
    Outlook,
    Report,
    Sample,
    Slot,
    Source,
    State,
    Tick,
    Verdict,
    Wish,
)
from tests.house import House, Policy, Turn, switch
from tests.property import mutants
from tests.property.promises import minimum_times, sane
from tests.property.strategies import COLD, NEEDS, ONE_PHASE, THREE_PHASES, Life, jumps, lives
from tests.property.test_promises import FLICKER, life

Decided = tuple[float, tuple[Verdict, ...], tuple[Command, ...]]

OLD = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
LATER = datetime(2025, 6, 18, 10, 0, tzinfo=UTC)
SPRING = datetime(2025, 3, 30, 0, 55, tzinfo=UTC)  # five minutes before summer time begins
AUTUMN = datetime(2025, 10, 26, 0, 55, tzinfo=UTC)


def decided(house: House) -> list[Decided]:
    return [(moment.tick.at, moment.outcome.verdicts, moment.outcome.commands) for moment in house.moments]


def among(turns: tuple[Turn, ...], more: list[Turn]) -> tuple[Turn, ...]:
    """Slip more turns in without moving the others."""
    if not turns:
        return tuple(more)
    mixed: list[Turn] = []
    for index, turn in enumerate(turns):
        mixed += [replace(extra, after_s=0.0) for extra in more[index :: max(len(turns), 1)]]
        mixed.append(turn)
    return tuple(mixed)


# --- 7: clocks ------------------------------------------------------------------------------------------------------


@given(lives(plain=True), st.lists(jumps(), max_size=8), st.sampled_from((OLD, SPRING, AUTUMN)))
def test_wall_clocks_move_nothing(any_life, wall_jumps, begin):
    """NTP steps, DST, a Pi that boots in 1970: hold times use monotonic time."""
    plain = decided(any_life.live())
    jumpy = replace(any_life, begin=begin, turns=among(any_life.turns, wall_jumps))
    assert decided(jumpy.live()) == plain


def test_the_property_notices_hold_times_by_the_wall_clock():
    def jumps_about(policy: Policy) -> list[tuple[Command, ...]]:
        turns = [Turn(3.0, "jump_s", 3600.0), Turn(10.0, "jump_s", -3600.0)]
        return [commands for _, _, commands in decided(life(switch(), sun_w=4000.0, turns=turns).live(policy))]

    steady = [commands for _, _, commands in decided(life(switch(), sun_w=4000.0).live())]
    assert jumps_about(step) == steady
    assert jumps_about(mutants.trusts_the_wall_clock) != steady


# --- 9: determinism -------------------------------------------------------------------------------------------------


def replayed(site: Site, state: State, ticks: list[Tick], policy: Policy = step) -> list[Outcome]:
    outcomes = []
    for tick in ticks:
        outcomes.append(policy(site, state, tick))
        state = outcomes[-1].state
    return outcomes


@given(lives())
def test_the_same_ticks_give_the_same_outcome(any_life):
    """The same ticks, rules and state give the same outcome."""
    house = any_life.live()
    begin = any_life.house().state
    ticks = [moment.tick for moment in house.moments]
    assert replayed(house.site, begin, ticks) == [moment.outcome for moment in house.moments]


@given(lives(), st.integers(0, 599))
def test_a_run_cut_anywhere_goes_on_as_if_it_was_not(any_life, cut):
    """A state written down and read back is the same state: nothing is remembered anywhere else."""
    house = any_life.live()
    cut = min(cut, len(house.moments) - 1)
    state = pickle.loads(pickle.dumps(house.moments[cut].outcome.state))
    site = pickle.loads(pickle.dumps(house.site))
    rest = [moment.tick for moment in house.moments[cut + 1 :]]
    assert replayed(site, state, rest) == [moment.outcome for moment in house.moments[cut + 1 :]]


def test_the_property_notices_a_memory_outside_the_state():
    moody = mutants.Moody()
    day = life(switch(), turns=FLICKER)
    house = day.live(moody)
    again = replayed(house.site, day.house().state, [moment.tick for moment in house.moments[7:]], moody)
    assert again != [moment.outcome for moment in house.moments[7:]]


def needlessly_new(house: House) -> list[float]:
    """Return the moments with a standing that is equal to the last one, but another object."""
    return [
        two.tick.at
        for one, two in zip(house.moments, house.moments[1:], strict=False)
        for before, after in zip(one.outcome.state.standings, two.outcome.state.standings, strict=True)
        if before is not after and before == after
    ]


@given(lives())
def test_a_new_standing_only_on_change(any_life):
    """A standing that did not change is the very same object: that is what makes memory and metrics cheap."""
    assert needlessly_new(any_life.live()) == []


def test_the_property_notices_copies():
    assert needlessly_new(life(switch(), seconds=9.0).live(mutants.copies))


# --- any report at all ----------------------------------------------------------------------------------------------

WATTS = st.one_of(st.none(), st.floats(-1e5, 1e5))
AGES_S = st.sampled_from((0.0, 0.5, 5.0, 100.0, 5000.0, -3.0))
REPORTS = st.builds(
    Report,
    load=st.sampled_from(("boiler", "heat_pump", "car", "car", "a load of last year")),
    read_at=AGES_S,  # turned into a moment below
    command_id=st.one_of(st.none(), st.integers(-1, 6)),
    on=st.sampled_from((None, True, False)),
    watts=WATTS,
    limit_w=WATTS,
    source=st.sampled_from(Source),
    identity=st.sampled_from((None, "", "shelly-1")),
    lease_left_s=st.sampled_from((None, 0.0, 60.0)),
    connected=st.sampled_from((None, True, False)),
    available=st.booleans(),
    satisfied=st.sampled_from((None, True, False)),
    error=st.sampled_from((None, None, "unreachable", "refused", "garbled", "odd")),
    phases=st.sampled_from((None, None, 1, 2, 3)),
    need_left_wh=st.sampled_from((None, None, 0.0, 500.0, 1e6)),
)
SAMPLES = st.builds(
    Sample,
    read_at=AGES_S,
    grid_w=WATTS,
    pv_w=WATTS,
    load_w=WATTS,
    battery_w=WATTS,
    soc_pct=st.one_of(st.none(), st.floats(0, 100)),
    grid_up=st.sampled_from((None, True, True, False)),
    generator=st.sampled_from((None, False, True)),
)
LOADS = st.sampled_from(("boiler", "heat_pump", "car", "nobody"))
UNTIL = st.sampled_from((None, 0.0, 1e9))
WISHES: st.SearchStrategy[AnyWish] = st.one_of(
    st.builds(Wish, LOADS, st.booleans(), UNTIL),
    st.builds(ModeWish, LOADS, st.sampled_from(Mode), UNTIL),
    st.builds(Boost, LOADS, st.sampled_from(NEEDS), st.sampled_from((OLD.toordinal(), OLD.toordinal() + 2)), UNTIL),
    st.builds(Away, UNTIL),
)
INPUTS = st.dictionaries(st.just("tank"), st.builds(Input, st.floats(-1e9, 1e9), AGES_S, st.sampled_from((0.0, 60.0))))
PRICES = st.floats(-10, 10)


def daylight(day: int, rise_s: float, set_s: float) -> tuple[int, Daylight]:
    """Return the light of a day near LATER, be it night all day."""
    begin = LATER.timestamp() + 86400.0 * day
    return LATER.toordinal() + day, Daylight(begin + rise_s, begin + set_s)


OUTLOOKS = st.builds(
    Outlook,
    PRICES,
    PRICES,
    st.lists(
        st.builds(
            Slot,
            st.integers(-3, 30).map(lambda hour: LATER.timestamp() + 3600.0 * hour),
            st.sampled_from((60.0, 900.0, 3600.0)),
            st.one_of(st.none(), st.floats(-1e5, 1e5)),
            PRICES,
            PRICES,
        ),
        max_size=4,
    ).map(tuple),
    st.lists(st.tuples(st.integers(-2, 2), st.floats(0, 86400), st.floats(0, 86400)), max_size=2).map(
        lambda days: dict(daylight(*day) for day in days)
    ),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0.0, 0.5, 1.0, 1.0, 30.0, 4000.0, 90000.0)),
            st.one_of(st.none(), SAMPLES),
            st.lists(REPORTS, max_size=4),
            st.lists(WISHES, max_size=2),
            st.booleans(),
            INPUTS,
            OUTLOOKS,
        ),
        max_size=40,
    ),
    st.sampled_from((OLD, LATER)),
    st.sampled_from((None, 5000.0)),
)
def test_nothing_that_is_told_makes_it_fall(chaos, begin, max_import_w):
    """A late or odd report is an observation, never an error; and so is every price, every sun and every wish."""
    follow = Follow((ONE_PHASE, THREE_PHASES), phase_up_s=5.0, phase_down_s=2.0, phase_pause_s=3.0)
    level = Need(Clock(sun="sunset", offset_s=-3600.0), level=Level("tank", 55.0, 100.0))
    loads = (
        switch("boiler", max_starts=3, safe_on=True, when=COLD, worth=0.1, needs=(level, *NEEDS[:2])),
        switch("heat_pump", 800.0, compressor=True, min_off_s=60.0, needs=NEEDS[2:4], daily_energy_wh=500.0),
        switch("car", 11040.0, start_w=1380.0, follow=follow, needs=NEEDS[4:], battery=Battery(50.0, 60.0, 500.0)),
    )
    site = Site(loads, max_import_w=max_import_w)
    state, at = start(site, 0.0, begin.toordinal()), 0.0
    last_id = 0
    for after_s, sample, reports, wishes, shutdown, inputs, outlook in chaos:
        at += after_s
        wall = begin + timedelta(seconds=at)
        known = {name: replace(one, read_at=at - one.read_at) for name, one in inputs.items()}
        told = tuple(replace(report, read_at=at - report.read_at) for report in reports)
        seen = None if sample is None else replace(sample, read_at=at - sample.read_at)
        outcome = step(site, state, Tick(at, wall, seen, told, tuple(wishes), shutdown, known, outlook))
        state = outcome.state
        assert len({command.load for command in outcome.commands}) == len(outcome.commands)
        assert all(command.id > last_id for command in outcome.commands)
        last_id = max([last_id, *(command.id for command in outcome.commands)])


@given(lives(), st.integers(0, 599))
def test_shutdown_leaves_every_load_safe(any_life: Life, when):
    """Every exit path leaves the loads in their safe state."""
    house = any_life.house().run(float(when), any_life.turns)
    house.turn("shutdown", value=True)
    for index in range(len(house.appliances)):
        house.turn("mood", "fine", index)
        house.turn("wish", None, index)
    house.run(400.0)
    for appliance, moment in zip(house.appliances, [house.moments[-1]] * len(house.appliances), strict=True):
        verdict = moment.outcome.verdicts[house.by_name[appliance.load.name]]
        assert not appliance.on or verdict == "hand", verdict
    assert sane(house) == []
    assert minimum_times(house) == []


def test_the_property_notices_a_way_out_that_leaves_loads_on():
    house = life(switch(), sun_w=4000.0, turns=[Turn(60.0, "shutdown", value=True)], seconds=200.0)
    assert not house.live().appliances[0].on
    assert house.live(mutants.ignores_shutdown).appliances[0].on
