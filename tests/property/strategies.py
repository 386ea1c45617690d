"""Random rule files, random appliances, random weather: the lives that the promises must survive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from hypothesis import strategies as st

from loadctl.core import step as core
from loadctl.core.values import Clock, Load, Need, Site, Window
from tests.house import NOON, Device, House, MeterModel, Mood, Policy, Turn

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

    def house(self, policy: Policy = core.step) -> House:
        return House(
            self.site, self.devices, self.meter, policy=policy, seed=self.seed, sun_w=self.sun_w, begin=self.begin
        )

    def live(self, policy: Policy = core.step) -> House:
        return self.house(policy).run(self.seconds, self.turns)


@st.composite
def loads(draw: st.DrawFn, name: str, meter: MeterModel, *, plain: bool = False) -> Load:
    """One rule with consistent thresholds; `plain`: no windows, needs, daily limits or compressors."""
    power_w = float(draw(st.integers(6, 80)) * 50)
    start_w = round(power_w * draw(st.sampled_from((0.4, 0.6, 0.8, 1.0, 1.0, 1.2))))
    margin_w = 2 * meter.noise_w + draw(st.sampled_from((50.0, 200.0, 800.0)))
    holds_s = st.sampled_from((2.0, 3.0, 5.0, 10.0, 30.0, 60.0)).map(lambda every: every * meter.every_s)
    pauses_s = st.sampled_from((0.0, 0.0, 10.0, 60.0, 300.0, 1200.0))
    return Load(
        name=name,
        power_w=power_w,
        start_w=start_w,
        start_for_s=draw(holds_s),
        stop_import_w=power_w - start_w + margin_w,
        stop_for_s=draw(holds_s),
        min_on_s=draw(pauses_s),
        min_off_s=draw(pauses_s),
        max_starts=None if plain else draw(st.sampled_from((None, None, 1, 2, 10))),
        compressor=False if plain else draw(st.booleans()),
        settle_s=meter.lag_s + meter.every_s + draw(st.sampled_from((2.0, 5.0, 20.0))),
        windows=() if plain else draw(st.sampled_from(((), (), (Window(Clock(time(9)), Clock(time(12, 10))),)))),
        needs=() if plain else draw(st.sampled_from(((), (), (Need(Clock(time(12, 30)), runtime_s=600.0),)))),
    )


@st.composite
def sites(draw: st.DrawFn, meter: MeterModel, *, most: int = 4, plain: bool = False, fuse: bool = True) -> Site:
    """A rule file of up to `most` loads."""
    count = draw(st.integers(1, most))
    return Site(
        loads=tuple(draw(loads(name, meter, plain=plain)) for name in NAMES[:count]),
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


def devices(*, quick: bool = False, found_on: bool = True) -> st.SearchStrategy[Device]:
    """An appliance: as rated or a bit off, quick or slow, measured or not."""
    return st.builds(
        Device,
        factor=st.just(1.0) if quick else st.sampled_from((1.0, 1.0, 0.9, 1.05)),
        ramp_s=st.just(0.0) if quick else st.sampled_from((0.0, 0.0, 5.0)),
        latency_s=st.sampled_from((0.0, 0.5, 3.0)) if quick else st.sampled_from((0.0, 0.5, 3.0, 25.0)),
        poll_s=st.sampled_from((1.0, 10.0)),
        measures=st.booleans(),
        tells_source=st.booleans(),
        on=st.sampled_from((False, False, False, True)) if found_on else st.just(False),
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


def mischief(count: int) -> st.SearchStrategy[Turn]:
    """What devices and people do of their own accord."""
    which = st.integers(0, count - 1)
    return st.one_of(
        st.builds(Turn, PAUSES_S, st.just("mood"), st.sampled_from(Mood).map(str), which),
        st.builds(Turn, PAUSES_S, st.just("mood"), st.just("fine"), which),
        st.builds(Turn, PAUSES_S, st.just("button"), st.booleans(), which),
        st.builds(Turn, PAUSES_S, st.just("trip"), st.sampled_from(("timer", "protection", "reboot")), which),
        st.builds(Turn, PAUSES_S, st.just("warm"), st.booleans(), which),
        st.builds(Turn, PAUSES_S, st.just("wish"), st.sampled_from((True, False, None)), which),
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
    quick: bool = False,
    fuse: bool = True,
    blind: bool = True,
    naughty: bool = True,
    begin: datetime = NOON,
) -> Life:
    """A house with its weather; `quick` devices and an exact meter where a promise is counted in watts."""
    meter = draw(meters(exact=quick))
    site = draw(sites(meter, most=most, plain=plain, fuse=fuse))
    events = [weather()]
    events += [blind_spots()] if blind else []
    events += [mischief(len(site.loads))] if naughty else []
    return Life(
        site=site,
        devices=tuple(draw(devices(quick=quick)) for _ in site.loads),
        meter=meter,
        turns=tuple(draw(st.lists(st.one_of(*events), min_size=draw(st.sampled_from((0, 15))), max_size=25))),
        seed=draw(st.integers(0, 99)),
        sun_w=draw(SUNS_W),
        begin=begin,
    )


def near_midnight() -> datetime:
    """Five minutes before a day of the site ends."""
    return NOON.replace(hour=22, minute=0) - timedelta(minutes=5)
