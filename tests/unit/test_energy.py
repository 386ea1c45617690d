"""Where a load's energy came from, and what a car has had since it was plugged in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.rules import Load, Site
from loadctl.core.values import OFF, ON, Outcome, Report, Sample, Standing, State, Tally, Tick, Verdict
from loadctl.service.energy import Energy, Origin, Session

NOON = datetime(2025, 6, 18, 12, 0, tzinfo=UTC)
SITE = Site(tuple(Load(name, 2000.0, 2000.0, 60.0, 200.0, 60.0) for name in ("boiler", "car")))


class Day:
    """A house in which each load that is on draws what it is told, for so many seconds at a time."""

    def __init__(self, energy: Energy) -> None:
        self.energy, self.at, self.wh = energy, 0.0, [0.0, 0.0]

    def live(self, seconds: float, grid_w: float | None, *draws_w: float, car: bool | None = None) -> None:
        """Show the reading, then let time pass on it; note both ends."""
        for passed_s in (0.0, seconds):
            self.at += passed_s
            for index, draw_w in enumerate(draws_w):
                self.wh[index] += draw_w * passed_s / 3600
            standings = tuple(
                Standing(ON if draw_w else OFF, measured_w=draw_w, tally=Tally(1, 0.0, wh), tallied_at=self.at)
                for draw_w, wh in zip(draws_w, self.wh, strict=True)
            )
            reports = () if car is None else (Report("car", self.at, connected=car),)
            sample = None if grid_w is None else Sample(self.at, grid_w)
            state = State(standings, blind_since=self.at if grid_w is None else None)
            tick = Tick(self.at, NOON + timedelta(seconds=self.at), sample, reports)
            self.energy.note(tick, Outcome(state, (Verdict.RUN,) * 2))


@pytest.mark.parametrize(
    ("grid_w", "boiler", "car"),
    [
        (-500.0, Origin(2000.0, 0.0), Origin(1000.0, 0.0)),
        (0.0, Origin(2000.0, 0.0), Origin(1000.0, 0.0)),
        (400.0, Origin(2000.0, 0.0), Origin(600.0, 400.0)),  # the car is the less important
        (1500.0, Origin(1500.0, 500.0), Origin(0.0, 1000.0)),
        (5000.0, Origin(0.0, 2000.0), Origin(0.0, 1000.0)),  # the kettle is nobody's
        (None, Origin(0.0, 2000.0), Origin(0.0, 1000.0)),  # nobody saw any sun
    ],
)
def test_who_draws_what_is_imported(grid_w, boiler, car):
    energy = Energy(SITE)
    Day(energy).live(3600.0, grid_w, 2000.0, 1000.0)
    for name, wanted in (("boiler", boiler), ("car", car)):
        had = energy.origins[name]
        assert (had.sun_wh, had.grid_wh) == pytest.approx((wanted.sun_wh, wanted.grid_wh))


def test_a_car_from_plugged_in_to_unplugged():
    energy = Energy(SITE)
    day = Day(energy)
    day.live(60.0, -2000.0, 0.0, 0.0, car=False)
    assert energy.sessions == {}
    day.live(3600.0, 0.0, 0.0, 1000.0, car=True)
    day.live(3600.0, 1000.0, 0.0, 1000.0)
    session = energy.sessions["car"]
    assert session.until is None
    assert session.had.wh == pytest.approx(2000.0)
    assert session.had.sun_share == pytest.approx(0.5)
    day.live(60.0, 0.0, 0.0, 0.0, car=False)
    assert energy.sessions["car"].until == NOON.timestamp() + 7260.0
    day.live(3600.0, 0.0, 0.0, 500.0, car=None)
    assert energy.sessions["car"].had.wh == pytest.approx(2000.0)
    day.live(360.0, 0.0, 0.0, 500.0, car=True)
    assert energy.sessions["car"].had.wh == pytest.approx(50.0)


def test_a_session_goes_on_after_a_restart():
    energy = Energy(SITE, {"car": Session(1.0, Origin(700.0, 300.0))})
    Day(energy).live(3600.0, 0.0, 0.0, 1000.0, car=True)
    assert energy.sessions["car"] == Session(1.0, Origin(1700.0, 300.0))


def test_what_left_the_rules_is_forgotten():
    energy = Energy(SITE)
    Day(energy).live(3600.0, 0.0, 2000.0, 1000.0, car=True)
    energy.follow(Site(SITE.loads[:1]))
    assert (set(energy.origins), energy.sessions) == ({"boiler"}, {})


steps = st.tuples(
    st.floats(1, 3600),
    st.none() | st.floats(-5000, 5000),
    st.floats(0, 3000).map(lambda draw_w: draw_w if draw_w > 1 else 0.0),
    st.floats(0, 3000).map(lambda draw_w: draw_w if draw_w > 1 else 0.0),
)


@given(st.lists(steps, max_size=12))
def test_sun_and_grid_are_all_there_is(course):
    energy = Energy(SITE)
    day = Day(energy)
    for seconds, grid_w, boiler_w, car_w in course:
        day.live(seconds, grid_w, boiler_w, car_w)
    for name, wh in zip(("boiler", "car"), day.wh, strict=True):
        had = energy.origins.get(name, Origin())
        assert had.wh == pytest.approx(wh)
        assert had.sun_wh >= -1e-6
        assert had.grid_wh >= -1e-6
