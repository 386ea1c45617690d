"""What is learned of sun and house: from the first hour, over days, with gaps, and where nobody measures the sun."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.outlook.expect import Expectation
from loadctl.outlook.sun import Location, clear_sky
from tests.conftest import SHARED

ZONE = ZoneInfo("Europe/Amsterdam")
HOME = Location(52.37, 4.9)
JUNE = date(2025, 6, 10)
TRACES = SHARED / "traces"

Reading = tuple[datetime, float | None, float]  # wall, pv_w, base_w


def wall(day: int, hour: float) -> datetime:
    return datetime.combine(JUNE, time(), ZONE) + timedelta(days=day, hours=hour)


def sunny(day: int, share: float = 1.0, peak_w: float = 4000.0, base_w: float = 400.0) -> Iterator[Reading]:
    """Yield a reading each minute: so large a share of the clear sky, and an even draw."""
    for minute in range(1440):
        now = wall(day, minute / 60)
        yield now, share * peak_w * clear_sky(now.timestamp() // 60 * 60, HOME), base_w


def without_pv(readings: Iterable[Reading]) -> Iterator[Reading]:
    for now, pv_w, base_w in readings:
        yield now, None, base_w - (pv_w or 0.0)


def taught(*readings: Iterable[Reading], until: datetime | None = None) -> Expectation:
    learner = Expectation(ZONE, HOME)
    for each in readings:
        for now, pv_w, base_w in each:
            if until is None or now < until:
                learner.note(now, pv_w, base_w)
    return learner


def expected_wh(learner: Expectation, now: datetime, hours: float) -> float | None:
    start = now.timestamp() // 900 * 900
    found = learner.surplus_w(now.timestamp(), [start + 900 * index for index in range(int(hours * 4))])
    return None if None in found else sum(each or 0.0 for each in found) / 4


def true_wh(readings: Iterable[Reading], now: datetime) -> float:
    return sum(max(0.0, (pv or 0.0) - base) for at, pv, base in readings if at >= now) / 60


def test_nobody_knows_before_the_first_light():
    learner = taught(sunny(0), until=wall(0, 4))
    assert learner.surplus_w(wall(0, 4).timestamp(), [wall(0, 12).timestamp()]) == [None]


@pytest.mark.parametrize("peak_w", [1500, 4000, 10000])
def test_the_first_morning_tells_the_first_afternoon(peak_w):
    now = wall(0, 11)
    learner = taught(sunny(0, peak_w=peak_w), until=now)
    assert expected_wh(learner, now, 13) == pytest.approx(true_wh(sunny(0, peak_w=peak_w), now), rel=0.2)


def test_installed_at_noon_it_knows_within_the_hour():
    now = wall(0, 13)
    learner = taught((each for each in sunny(0) if each[0] >= wall(0, 12)), until=now)
    assert expected_wh(learner, now, 11) == pytest.approx(true_wh(sunny(0), now), rel=0.25)


def test_a_dull_morning_lowers_and_a_bright_one_raises_what_is_expected():
    now = wall(3, 12)
    dull, usual, bright = (
        expected_wh(taught(*(sunny(day, 0.6) for day in range(3)), sunny(3, share), until=now), now, 12) or 0.0
        for share in (0.2, 0.6, 1.0)
    )
    assert usual == pytest.approx(true_wh(sunny(3, 0.6), now), rel=0.1)
    assert dull < 0.7 * usual
    assert bright > 1.3 * usual


def test_tomorrow_is_a_day_like_the_others_whatever_today_was():
    now = wall(6, 21)
    learner = taught(*(sunny(day, 0.7) for day in range(6)), sunny(6, 0.1), until=now)
    found = learner.surplus_w(now.timestamp(), [wall(7, 13).timestamp()])[0]
    assert found == pytest.approx(4000 * 0.7 - 400, rel=0.2)


def test_a_roof_that_faces_the_evening_is_learned():
    def evening(day: int) -> Iterator[Reading]:
        return ((now, 0.0 if now.hour < 13 else pv, base) for now, pv, base in sunny(day))

    now = wall(5, 6)
    learner = taught(*(evening(day) for day in range(5)), evening(5), until=now)
    morning, afternoon = learner.surplus_w(now.timestamp(), [wall(5, 11).timestamp(), wall(5, 15).timestamp()])
    assert morning is not None
    assert afternoon is not None
    assert morning < 400
    assert afternoon > 2500


def test_a_draw_at_the_same_hour_of_each_day_is_learned():
    def washing(day: int) -> Iterator[Reading]:
        return ((now, pv, 2400.0 if 12 <= now.hour < 15 else base) for now, pv, base in sunny(day))

    now = wall(6, 9)
    learner = taught(*(washing(day) for day in range(6)), washing(6), until=now)
    washes, rests = learner.surplus_w(now.timestamp(), [wall(6, 13.5).timestamp(), wall(6, 16.5).timestamp()])
    assert washes is not None
    assert rests is not None
    assert washes < rests - 500  # although the sun is higher


def test_without_a_meter_at_the_panels_it_is_much_the_same():
    now = wall(2, 11)
    both = [
        expected_wh(taught(*(kind(sunny(day)) for day in range(3)), until=now), now, 13) for kind in (iter, without_pv)
    ]
    truth = true_wh(sunny(2), now)
    assert both == pytest.approx([truth, truth], rel=0.15)


def test_gaps_teach_nothing_wrong():
    now = wall(2, 12)

    def patchy(day: int) -> Iterator[Reading]:
        return (each for each in sunny(day) if each[0].hour % 3 != 0 and each[0].minute % 15 < 11)

    learner = taught(*(patchy(day) for day in range(3)), until=now)
    assert expected_wh(learner, now, 12) == pytest.approx(true_wh(sunny(2), now), rel=0.15)


@pytest.mark.parametrize("every_s", [300, 900, 3600])
def test_rare_readings_teach_much_the_same(every_s):
    learner, now = Expectation(ZONE, HOME), wall(2, 12)
    for day in range(3):
        for at, pv_w, base_w in list(sunny(day))[:: every_s // 60]:
            if at < now:
                learner.note(at, pv_w, base_w, every_s=every_s)
    assert expected_wh(learner, now, 12) == pytest.approx(true_wh(sunny(2), now), rel=0.15)


def test_weeks_away_and_a_clock_that_was_never_set():
    learner = taught(sunny(0), sunny(1))
    learner.note(datetime(1970, 1, 1, 0, 5, tzinfo=ZONE), 0.0, 9000.0)
    learner.note(datetime(1970, 1, 1, 0, 6, tzinfo=ZONE), 0.0, 9000.0)
    later = wall(40, 6)
    assert expected_wh(learner, later, 18) == pytest.approx(true_wh(sunny(40), later), rel=0.2)


def test_what_was_learned_survives_as_json():
    now = wall(2, 10)
    learner = taught(*(sunny(day, 0.5) for day in range(3)), until=now)
    again = Expectation(ZONE, HOME)
    again.load(json.loads(json.dumps(learner.dump(), allow_nan=False)))
    assert expected_wh(again, now, 14) == pytest.approx(expected_wh(learner, now, 14), rel=0.01)
    assert again.dump() == learner.dump()


@pytest.mark.parametrize("part", ["sun", "base", "days", "day", "today"])
@pytest.mark.parametrize("garbage", [None, "soon", [1], {"a": 1}, [[1, 2, "x"]], float("nan")])
def test_garbage_is_forgotten(part, garbage):
    learner = taught(sunny(0), until=wall(0, 12))
    before = learner.dump()
    learner.load({**before, part: garbage})
    learner.load(garbage)
    assert learner.dump() == before


READINGS = st.tuples(st.floats(-300, 7200), st.none() | st.floats(-50, 1e4), st.floats(-1e4, 1e4))


@given(st.lists(READINGS, max_size=60), st.integers(0, 96))
def test_whatever_the_meter_says_it_is_a_power_and_the_same_again(readings, ahead):
    learners = Expectation(ZONE, HOME), Expectation(ZONE, HOME)
    now = wall(0, 5)
    for passed_s, pv_w, base_w in readings:
        now += timedelta(seconds=passed_s)
        for learner in learners:
            learner.note(now, pv_w, base_w)
    starts = [now.timestamp() // 900 * 900 + 900 * index for index in range(ahead)]
    one, two = (learner.surplus_w(now.timestamp(), starts) for learner in learners)
    assert one == two
    assert all(each is None or 0 <= each < 1e6 for each in one)


# --- recorded days --------------------------------------------------------------------------------------------------

PLACES = {"d8": Location(39.74, -105.2)}  # the others were recorded in Wales
SAME_HOUSE = (("d1", "d3", "d4", "d5", "d6"), ("d2", "d7"))
ASKED = (9, 11, 13, 15)


def recorded(name: str) -> list[Reading]:
    if not TRACES.is_dir():
        pytest.skip("the recorded days are not here")
    with next(TRACES.glob(f"{name}_*.csv")).open(encoding="utf-8") as file:
        return [
            (datetime.fromisoformat(row["time"]), float(row["pv_w"]), float(row["load_w"]))
            for row in csv.DictReader(file)
        ]


def misses(name: str, before: Iterable[str], *, pv: bool = True) -> tuple[float, float]:
    """Return how far the rest of the day was missed in all, in Wh, asked at four hours; and what it was."""
    day = recorded(name)
    learner = Expectation(day[0][0].tzinfo or ZONE, PLACES.get(name, Location(53.0, -4.0)))
    for other in before:
        for now, pv_w, base_w in recorded(other):
            learner.note(now, *((pv_w, base_w) if pv else (None, base_w - (pv_w or 0.0))))
    step_h = (day[1][0] - day[0][0]).total_seconds() / 3600
    missed = truth = 0.0
    for now, pv_w, base_w in day:
        if now.hour in ASKED and now.minute == now.second == 0:
            rest = sum(max(0.0, (p or 0.0) - b) for at, p, b in day if at >= now) * step_h
            missed += abs((expected_wh(learner, now, 24 - now.hour) or 0.0) - rest)
            truth += rest
        learner.note(now, *((pv_w, base_w) if pv else (None, base_w - (pv_w or 0.0))))
    return missed, truth


@pytest.mark.parametrize("pv", [True, False])
def test_recorded_first_days(pv):
    found = [misses(name, (), pv=pv) for house in (*SAME_HOUSE, ("d8",)) for name in house]
    assert sum(missed for missed, _ in found) < 0.45 * sum(truth for _, truth in found)


@pytest.mark.parametrize("pv", [True, False])
def test_recorded_days_after_others_of_the_same_house(pv):
    found = [misses(name, [other for other in house if other != name], pv=pv) for house in SAME_HOUSE for name in house]
    assert sum(missed for missed, _ in found) < 0.40 * sum(truth for _, truth in found)
