"""Hours in nights when the clocks change: faces and instants agree, and no time is lost or counted twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.calendar import instant, is_open, opening
from loadctl.core.rules import EVERY_DAY, Clock, Season, Window
from loadctl.core.values import Daylight

# Days around changes of the clocks: by an hour, by half an hour, by a whole day, at midnight.
CHANGES = (
    ("Europe/Amsterdam", date(2025, 3, 30)),
    ("Europe/Amsterdam", date(2025, 10, 26)),
    ("America/New_York", date(2025, 3, 9)),
    ("America/New_York", date(2025, 11, 2)),
    ("Australia/Lord_Howe", date(2025, 10, 5)),
    ("Australia/Lord_Howe", date(2025, 4, 6)),
    ("Pacific/Apia", date(2011, 12, 31)),
    ("America/Santiago", date(2024, 9, 8)),
    ("America/Havana", date(2025, 11, 2)),
    ("Asia/Tokyo", date(2025, 6, 1)),
)
MOMENTS = st.builds(
    lambda change, minutes: (datetime.combine(change[1], time(), UTC) + timedelta(minutes=minutes)).astimezone(
        ZoneInfo(change[0])
    ),
    st.sampled_from(CHANGES),
    st.integers(-2880, 2880),
)
FACES = st.builds(lambda minute: time(minute // 60, minute % 60), st.integers(0, 1439))
DAYS = st.just(EVERY_DAY) | st.frozensets(st.integers(0, 6))
MONTH_DAYS = st.tuples(st.integers(1, 12), st.integers(1, 28))
SEASONS = st.none() | st.builds(Season, MONTH_DAYS, MONTH_DAYS)
SUNS = st.builds(
    Clock,
    sun=st.sampled_from(("sunrise", "sunset")),
    offset_s=st.integers(-360, 360).map(lambda minutes: minutes * 60.0),
)
PLAIN = st.builds(Window, FACES.map(Clock), FACES.map(Clock), DAYS, SEASONS)
ANY = st.builds(Window, FACES.map(Clock) | SUNS, FACES.map(Clock) | SUNS, DAYS, SEASONS)
LIGHT = st.dictionaries(
    st.integers(-3, 3),
    st.builds(lambda rise, length: (rise, rise + length), st.integers(0, 12 * 60), st.integers(0, 24 * 60)),
)


def daylight(light: dict[int, tuple[int, int]], wall: datetime) -> dict[int, Daylight]:
    """Return daylight of days around `wall`, from minutes after midnight UTC."""
    found = {}
    for ahead, (rise, set_) in light.items():
        day = wall.toordinal() + ahead
        midnight = datetime.combine(date.fromordinal(day), time(), UTC).timestamp()
        found[day] = Daylight(midnight + rise * 60, midnight + set_ * 60)
    return found


@given(st.lists(ANY, max_size=3), MOMENTS, LIGHT)
def test_open_is_to_lie_within_hours_that_began_on_one_of_the_days_around(windows, wall, light):
    zone, suns = wall.tzinfo, daylight(light, wall)
    hours = [opening(window, wall.toordinal() + ahead, zone, suns) for window in windows for ahead in (-1, 0, 1)]
    within = any(found is not None and found[0] <= wall.timestamp() < found[1] for found in hours)
    assert is_open(windows, wall, suns) == (within or not windows)


@given(PLAIN, MOMENTS)
def test_but_for_an_hour_that_comes_again_the_face_of_the_clock_tells(window, wall):
    """Whoever looks at the wall sees the same as the instants say."""
    if wall.fold:
        return
    start, end, face = window.start.time, window.end.time, wall.time()
    today, yesterday = (opens(window, wall.date() - timedelta(days=ago)) for ago in (0, 1))
    by_face = (
        (today and start <= face < end) if start < end else (today and face >= start) or (yesterday and face < end)
    )
    assert is_open([window], wall, {}) == by_face


def opens(window: Window, day: date) -> bool:
    if day.weekday() not in window.days:
        return False
    if window.season is None:
        return True
    start, end, today = window.season.start, window.season.end, (day.month, day.day)
    return start <= today <= end if start <= end else today >= start or today <= end


@given(st.lists(FACES, min_size=2, max_size=6, unique=True), MOMENTS)
def test_hours_laid_end_to_end_leave_no_gap_and_never_overlap(faces, wall):
    faces = sorted(faces)
    ring = [Window(Clock(start), Clock(end)) for start, end in pairwise([*faces, faces[0]])]
    assert sum(is_open([window], wall, {}) for window in ring) == 1


@given(st.lists(FACES, min_size=2, max_size=8), MOMENTS)
def test_later_on_the_clock_is_never_earlier_in_time(faces, wall):
    day, zone = wall.toordinal(), wall.tzinfo
    struck = [instant(Clock(face), day, zone, {}) for face in sorted(faces)]
    assert struck == sorted(struck)
    assert struck[-1] <= instant(Clock(time(0)), day + 1, zone, {})


@given(FACES, MOMENTS)
def test_a_clock_strikes_when_it_shows_the_time_or_when_it_is_put_past_it(face, wall):
    struck = instant(Clock(face), wall.toordinal(), wall.tzinfo, {})
    wanted = datetime.combine(wall.date(), face)
    shows = datetime.fromtimestamp(struck, wall.tzinfo)
    just_before = datetime.fromtimestamp(struck - 1, wall.tzinfo)
    assert shows.replace(tzinfo=None) == wanted or (
        just_before.replace(tzinfo=None) < wanted < shows.replace(tzinfo=None)
    )
    assert not shows.fold
