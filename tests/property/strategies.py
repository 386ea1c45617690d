"""Random rule files, random appliances, random weather: the lives that the promises must survive."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.conditions import Compare, Condition, Term
from loadctl.core.rules import Battery, Clock, Follow, Level, Load, Mode, Need, Range, Site, Window
from loadctl.core.values import Slot
from tests.house import NOON, Cells, Device, House, MeterModel, Mood, Policy, Turn

NAMES = ("boiler", "heat_pump", "pool", "car", "heater")

PAUSES_S = st.sampled_from((1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0))
SUNS_W = st.one_of(st.sampled_from((0, 1000, 2500, 4000, 6000, 9000)), st.integers(0, 9000)).map(float)
BASES_W = st.sampled_from((100.0, 300.0, 800.0, 3000.0, 7000.0))


@dataclass(frozen=True, slots=True)
class Life:
    """Everything a house is made of; `live` plays it from the beginning, the same each time."""

    site: Site
    devices: tuple[Device, ...]
    meter: MeterModel
    turns: tuple[Turn, ...]
    seed: int = 0
    sun_w: float = 0.0
    begin: datetime = NOON
    seconds: float = 600.0
    cells: Cells | None = None
    slots: tuple[Slot, ...] = ()

    def house(self, policy: Policy = step) -> House:
        return House(
            self.site,
            self.devices,
            self.meter,
            policy=policy,
            seed=self.seed,
            sun_w=self.sun_w,
            begin=self.begin,
            cells=self.cells,
            slots=self.slots,
        )

    def live(self, policy: Policy = step) -> House:
        return self.house(policy).run(self.seconds, self.turns)


ONE_PHASE = Range(1380.0, 3680.0, 230.0, 1, 230.0)
THREE_PHASES = Range(4140.0, 11040.0, 690.0, 3, 230.0)
HALF_PAST = Clock(time(12, 30))
SOON = Clock(time(12, 8))
NEEDS = (
    Need(HALF_PAST, runtime_s=600.0),
    Need(SOON, runtime_s=120.0),
    Need(SOON, energy_wh=60.0),
    Need(HALF_PAST, energy_wh=1000.0),
    Need(HALF_PAST, full=True, takes_s=1200.0),
    Need(SOON, level=Level("tank", 45.0, 40.0), takes_s=900.0),
    Need(HALF_PAST, level=Level("tank", 45.0), takes_s=1500.0),
    Need(HALF_PAST, runtime_s=900.0, every_days=2),
    Need(HALF_PAST, runtime_s=900.0, days=frozenset({0, 2})),
)
COLD = Condition("tank < 50 °C", Compare(0, Term(0.0, (("tank", 1.0),)), "<", Term(50.0), 2.0, "°C"))
PRICES = ((0.30, 0.08), (0.12, 0.08), (-0.05, 0.02), (0.05, 0.10), (0.30, -0.04))


@st.composite
def follows(draw: st.DrawFn, meter: MeterModel) -> Follow:
    """A dimmer, a charger on one phase or on three, one that switches; no quicker than its meter."""
    phases = {
        "phase_up_s": draw(st.sampled_from((20.0, 120.0))),
        "phase_down_s": draw(st.sampled_from((10.0, 60.0))),
        "phase_pause_s": draw(st.sampled_from((30.0, 200.0))),
        "phase_changes": draw(st.sampled_from((2, 10))),
    }
    ranges = draw(
        st.sampled_from(
            (
                (Range(100.0, 3000.0, 10.0),),
                (Range(300.0, 2000.0, 100.0),),
                (ONE_PHASE,),
                (THREE_PHASES,),
                (ONE_PHASE, THREE_PHASES),
                (ONE_PHASE, THREE_PHASES),
            )
        )
    )
    every_s = meter.lag_s + meter.every_s + draw(st.sampled_from((1.0, 5.0, 15.0)))
    return Follow(ranges, every_s, **(phases if len(ranges) > 1 else {}))  # type: ignore[arg-type]


@st.composite
def loads(draw: st.DrawFn, name: str, meter: MeterModel, *, plain: bool = False, pure: bool = False) -> Load:
    """One rule with consistent thresholds; `plain`: no windows, needs, conditions, modes, daily limits or compressors;
    `pure`: on surplus only, nothing bought.
    """
    follow = draw(st.one_of(st.none(), st.none(), follows(meter)))
    power_w = float(draw(st.integers(6, 80)) * 50) if follow is None else follow.ranges[-1].most_w
    least_w = power_w if follow is None else follow.ranges[0].least_w
    start_w = round(least_w * draw(st.sampled_from((0.4, 0.6, 0.8, 1.0, 1.0, 1.2))))
    margin_w = 2 * meter.noise_w + draw(st.sampled_from((50.0, 200.0, 800.0)))
    holds_s = st.sampled_from((2.0, 3.0, 5.0, 10.0, 30.0, 60.0)).map(lambda every: every * meter.every_s)
    pauses_s = st.sampled_from((0.0, 0.0, 10.0, 60.0, 300.0, 1200.0))
    rule = Load(
        name=name,
        power_w=power_w,
        start_w=start_w,
        start_for_s=draw(holds_s),
        stop_import_w=least_w - start_w + margin_w,
        stop_for_s=draw(holds_s),
        min_on_s=draw(pauses_s),
        min_off_s=draw(pauses_s),
        settle_s=meter.lag_s + meter.every_s + draw(st.sampled_from((2.0 if follow is None else 7.0, 7.0, 20.0))),
        follow=follow,
        share=None if follow is None else draw(st.sampled_from((None, None, 1))),
    )
    if not (plain or pure):
        rule = replace(
            rule,
            needs=tuple(draw(st.lists(st.sampled_from(NEEDS), max_size=2, unique=True))),
            mode=draw(st.sampled_from((*[Mode.SOLAR] * 9, *Mode))),
            worth=draw(st.sampled_from((None, None, 0.0, 0.07, 0.2, 0.5))),
        )
        if follow is None and draw(st.sampled_from((False, False, True))):  # its owner said nothing of all this
            rule = replace(rule, thrifty=True, needs=(), worth=None)
    if plain:
        return rule
    return replace(
        rule,
        battery=draw(st.sampled_from((Battery(), Battery(0.0), Battery(50.0, 60.0, 1000.0), Battery(None, 40.0)))),
        max_starts=draw(st.sampled_from((None, None, 1, 2, 10))),
        compressor=follow is None and draw(st.booleans()),
        windows=draw(st.sampled_from(((), (), (Window(Clock(time(9)), Clock(time(12, 10))),)))),
        when=draw(st.sampled_from((None, None, COLD, replace(COLD, unknown=None)))),
        daily_runtime_s=draw(st.sampled_from((None, None, 400.0))),
        daily_energy_wh=draw(st.sampled_from((None, None, 150.0))),
    )


@st.composite
def sites(
    draw: st.DrawFn, meter: MeterModel, *, most: int = 4, plain: bool = False, pure: bool = False, fuse: bool = True
) -> Site:
    """A rule file of up to `most` loads."""
    count = draw(st.integers(1, most))
    return Site(
        loads=tuple(draw(loads(name, meter, plain=plain, pure=pure)) for name in NAMES[:count]),
        reserve_w=draw(st.sampled_from((0.0, 0.0, 100.0, 500.0))),
        max_import_w=draw(st.sampled_from((None, 3000.0, 6000.0))) if fuse else None,
        hold_s=draw(st.sampled_from((0.0, 10.0, 30.0))),
        steady_s=draw(st.sampled_from((0.0, 60.0))),
    )


def meters(*, exact: bool = False) -> st.SearchStrategy[MeterModel]:
    """A meter from quick and exact to slow, late and noisy."""
    return st.builds(
        MeterModel,
        every_s=st.sampled_from((1.0, 1.0, 2.0, 5.0)),
        max_age_s=st.sampled_from((10.0, 20.0)),
        lag_s=st.sampled_from((0.0, 0.0, 1.0, 4.0)),
        noise_w=st.just(0.0) if exact else st.sampled_from((0.0, 5.0, 40.0)),
    )


@st.composite
def devices(draw: st.DrawFn, *, quick: bool = False, found_on: bool = True, follows: bool = False) -> Device:
    """An appliance: as rated or a bit off, quick or slow, measured or not.

    What follows the sun and is not measured takes what it may: nobody could know better.
    """
    found = Device(
        factor=1.0 if quick else draw(st.sampled_from((1.0, 1.0, 0.9, 1.05))),
        ramp_s=0.0 if quick else draw(st.sampled_from((0.0, 0.0, 5.0))),
        latency_s=draw(st.sampled_from((0.0, 0.5, 3.0) if quick else (0.0, 0.5, 3.0, 25.0))),
        poll_s=draw(st.sampled_from((1.0, 10.0))),
        measures=draw(st.booleans()),
        tells_source=draw(st.booleans()),
        on=found_on and draw(st.sampled_from((False, False, False, True))),
    )
    if not follows:
        return found
    if not found.measures:
        return replace(found, factor=1.0, ramp_s=0.0)
    return replace(
        found,
        takes_w=draw(st.sampled_from((math.inf, math.inf, 2500.0))),
        uses=draw(st.sampled_from((3, 3, 2, 1))),
        apart_s=0.0 if quick else draw(st.sampled_from((0.0, 0.0, 20.0))),
    )


def weather() -> st.SearchStrategy[Turn]:
    """The sun and the kettle."""
    return st.one_of(
        st.builds(Turn, PAUSES_S, st.just("sun_w"), SUNS_W),
        st.builds(Turn, PAUSES_S, st.just("base_w"), BASES_W),
        st.builds(Turn, PAUSES_S, st.just("surge_w"), st.sampled_from((-5000.0, 5000.0))),
    )


def blind_spots() -> st.SearchStrategy[Turn]:
    """The meter's bad days and the grid's."""
    return st.one_of(
        st.builds(Turn, PAUSES_S, st.just("metering"), st.sampled_from(("fine", "gap", "none"))),
        st.builds(Turn, PAUSES_S, st.just("grid_up"), st.sampled_from((True, True, None, False))),
        st.builds(Turn, PAUSES_S, st.just("stall_s"), st.sampled_from((2.0, 15.0))),
    )


def mischief(count: int, *, plain: bool = False) -> st.SearchStrategy[Turn]:
    """What devices and people do of their own accord; nothing that has a deadline where the rules are `plain`."""
    which = st.integers(0, count - 1)
    boosts = st.just(None) if plain else st.sampled_from((None, *NEEDS))
    return st.one_of(
        st.builds(Turn, PAUSES_S, st.just("mood"), st.sampled_from(Mood).map(str), which),
        st.builds(Turn, PAUSES_S, st.just("mood"), st.just("fine"), which),
        st.builds(Turn, PAUSES_S, st.just("button"), st.booleans(), which),
        st.builds(Turn, PAUSES_S, st.just("trip"), st.sampled_from(("timer", "protection", "reboot")), which),
        st.builds(Turn, PAUSES_S, st.just("warm"), st.booleans(), which),
        st.builds(Turn, PAUSES_S, st.just("wish"), st.sampled_from((True, False, None)), which),
        st.builds(Turn, PAUSES_S, st.just("mode"), st.sampled_from((None, *Mode)), which),
        st.builds(Turn, PAUSES_S, st.just("boost"), boosts, which),
        st.builds(Turn, PAUSES_S, st.just("dial"), st.sampled_from((1380.0, 2300.0, 11040.0)), which),
        st.builds(Turn, PAUSES_S, st.just("away"), st.booleans(), which),
        st.builds(Turn, PAUSES_S, st.just("away"), st.booleans()),
        st.builds(Turn, PAUSES_S, st.just("tank"), st.sampled_from((None, 20.0, 44.0, 51.0, 70.0))),
    )


def jumps() -> st.SearchStrategy[Turn]:
    """What a wall clock does."""
    return st.builds(Turn, PAUSES_S, st.just("jump_s"), st.sampled_from((-3600.0, -30.0, 0.0, 5.0, 3600.0)))


@st.composite
def lives(
    draw: st.DrawFn,
    *,
    most: int = 4,
    plain: bool = False,
    pure: bool = False,
    quick: bool = False,
    fuse: bool = True,
    blind: bool = True,
    naughty: bool = True,
    begin: datetime = NOON,
) -> Life:
    """A house with its weather; `quick` devices, an exact meter and no battery where a promise is counted in watts."""
    meter = draw(meters(exact=quick))
    site = draw(sites(meter, most=most, plain=plain, pure=pure, fuse=fuse))
    events = [weather()]
    events += [blind_spots()] if blind else []
    events += [mischief(len(site.loads), plain=plain)] if naughty else []
    return Life(
        site=site,
        devices=tuple(draw(devices(quick=quick, follows=load.follow is not None)) for load in site.loads),
        meter=meter,
        turns=tuple(draw(st.lists(st.one_of(*events), min_size=draw(st.sampled_from((0, 15))), max_size=25))),
        seed=draw(st.integers(0, 99)),
        sun_w=draw(SUNS_W),
        begin=begin,
        cells=None if plain else draw(st.sampled_from((None, None, Cells(), Cells(2000.0, 100.0, 70.0)))),
        slots=() if pure or plain else draw(outlooks(begin)),
    )


@st.composite
def outlooks(draw: st.DrawFn, begin: datetime) -> tuple[Slot, ...]:
    """What is expected of the next hours, in short stretches; often nothing."""
    return tuple(
        Slot(begin.timestamp() + 300.0 * index, 300.0, sun_w, *prices)
        for index, (sun_w, prices) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from((None, 0.0, 0.0, 800.0, 3000.0)), st.sampled_from(PRICES)), max_size=8
                )
            )
        )
    )


def near_midnight() -> datetime:
    """Five minutes before a day of the site ends."""
    return NOON.replace(hour=22, minute=0) - timedelta(minutes=5)
