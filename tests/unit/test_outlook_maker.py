"""The outlook as the ticks carry it: the same object for a minute, cut where prices change, told prices learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.calendar import is_open
from loadctl.core.rules import Clock, Window
from loadctl.core.values import Input, Outlook, Sample
from loadctl.outlook.maker import OutlookMaker
from loadctl.outlook.sun import Location, clear_sky
from loadctl.outlook.tariff import Price, Rate, Tariff

ZONE = ZoneInfo("Europe/Amsterdam")
HOME = Location(52.37, 4.9)
NOON = datetime(2025, 6, 10, 12, 0, 5, tzinfo=ZONE)
NIGHT = Window(Clock(time(23)), Clock(time(7)))


def maker(**more) -> OutlookMaker:
    return OutlookMaker(ZONE, HOME, **more)


def look(made: OutlookMaker, wall: datetime, price: float | None = None, *, age_s: float = 0.0) -> Outlook:
    inputs = {} if price is None else {"price": Input(price, 1000.0 - age_s)}
    return made.outlook(wall, inputs, 1000.0)


def live(made: OutlookMaker, start: datetime, hours: float, *, own_w: float = 0.0, **known: bool) -> None:
    """Note a reading each minute of a sunny day with a draw of 500 W, and loads of ours that draw `own_w`."""
    for minute in range(int(hours * 60)):
        now = start + timedelta(minutes=minute)
        pv_w = 4000 * clear_sky(now.timestamp() // 60 * 60, HOME)
        sample = Sample(0.0, 500.0 + own_w - pv_w, pv_w if known.get("pv", True) else None)
        made.note(now, sample, own_w)


def same(one: Outlook, two: Outlook) -> bool:
    return one is two


def test_the_same_object_until_the_minute_is_over():
    made = maker()
    first = look(made, NOON)
    assert same(first, look(made, NOON))
    assert same(first, look(made, NOON.replace(second=59, microsecond=999999)))
    assert not same(first, look(made, NOON + timedelta(minutes=1)))


def test_slots_from_this_minute_on_without_a_gap():
    outlook = look(maker(), NOON + timedelta(minutes=7))
    minute = NOON.replace(second=0) + timedelta(minutes=7)
    assert outlook.slots[0].start == minute.timestamp()
    assert outlook.slots[0].length_s == 8 * 60
    assert {slot.length_s for slot in outlook.slots[1:]} == {900.0}
    assert all(one.start + one.length_s == two.start for one, two in pairwise(outlook.slots))
    assert outlook.slots[-1].start + outlook.slots[-1].length_s >= minute.timestamp() + 35.5 * 3600


def test_a_price_that_changes_within_the_minute_changes_the_outlook():
    odd = Rate(0.10, (Window(Clock(time(12, 0, 30)), Clock(time(14))),))
    made = maker(tariff=Tariff(Price(0.30, (odd,))))
    before, after = look(made, NOON), look(made, NOON.replace(second=30))
    assert (before.import_price, after.import_price) == (0.30, 0.10)
    assert before.slots[0].length_s == 30
    assert same(after, look(made, NOON.replace(second=59)))


def test_prices_of_day_and_night_and_daylight_for_the_days_around():
    outlook = look(maker(tariff=Tariff(Price(0.35, (Rate(0.22, (NIGHT,)),)))), NOON)
    nights = [is_open([NIGHT], datetime.fromtimestamp(slot.start, ZONE), {}) for slot in outlook.slots]
    assert [slot.import_price for slot in outlook.slots] == [0.22 if night else 0.35 for night in nights]
    assert {NOON.toordinal() + ahead for ahead in (-1, 0, 1, 2)} <= set(outlook.daylight)


@pytest.mark.parametrize("known", [{"pv": True}, {"pv": False}])
def test_what_our_own_loads_draw_is_no_need_of_the_house(known):
    morning = NOON.replace(hour=5, second=0)
    calm, busy = maker(), maker()
    for made, own_w in ((calm, 0.0), (busy, 2000.0)):
        for day in range(2):
            live(made, morning + timedelta(days=day), 17, own_w=own_w, **known)
    later = morning + timedelta(days=2)
    expected = [sum(slot.surplus_w or 0 for slot in look(made, later).slots) for made in (calm, busy)]
    assert expected[0] > 0
    assert expected[1] == pytest.approx(expected[0])


def test_an_outage_and_a_blind_meter_teach_nothing():
    made = maker()
    before = made.dump()
    for minute in range(60):
        now = NOON + timedelta(minutes=minute)
        for sample in (
            Sample(0.0, 0.0, 100.0, grid_up=False),
            Sample(0.0, 0.0, 100.0, generator=True),
            Sample(0.0, None, 100.0),
        ):
            made.note(now, sample, 0.0)
    assert made.dump() == before


def test_a_price_that_is_told_counts_now_and_is_learned_by_the_hour():
    made = maker(tariff=Tariff(Price(0.30, input="price")))
    assert look(made, NOON).import_price == 0.30
    assert look(made, NOON, -0.05).import_price == -0.05
    assert look(made, NOON, -0.05, age_s=301).import_price == 0.30
    start = NOON.replace(hour=0, minute=1)
    for quarter in range(5 * 96):
        now = start + timedelta(minutes=15 * quarter)
        look(made, now, 0.10 if 1 <= now.hour < 5 else 0.40)
    outlook = look(made, start + timedelta(days=5, hours=12), 0.40)
    prices = {datetime.fromtimestamp(slot.start, ZONE).hour: slot.import_price for slot in outlook.slots[1:97]}
    assert prices[3] < 0.15
    assert prices[15] == pytest.approx(0.40, abs=0.02)


def test_the_price_of_now_is_shown_at_once():
    made = maker(tariff=Tariff(Price(0.30, input="price")))
    first = look(made, NOON, 0.25)
    assert same(first, look(made, NOON, 0.25))
    assert look(made, NOON, 0.15).slots[0].import_price == 0.15


class Cloudless:
    """A forecast that knows the next twelve hours."""

    def surplus_w(self, now: float, starts: Sequence[float]) -> list[float | None]:
        return [1234.0 if start < now + 12 * 3600 else None for start in starts]


def test_a_forecast_goes_before_what_was_learned():
    made = maker(forecast=Cloudless())
    live(made, NOON.replace(hour=5), 7)
    outlook = look(made, NOON)
    assert {slot.surplus_w for slot in outlook.slots[:48]} == {1234.0}
    assert 1234.0 not in {slot.surplus_w for slot in outlook.slots[49:]}


def test_what_was_learned_survives():
    made, again = (maker(tariff=Tariff(Price(0.30, input="price"))) for _ in range(2))
    live(made, NOON.replace(hour=5), 7)
    look(made, NOON, 0.12)
    again.load(json.loads(json.dumps(made.dump(), allow_nan=False)))
    one, two = look(made, NOON, 0.12), look(again, NOON, 0.12)
    assert [slot.surplus_w for slot in two.slots] == pytest.approx([slot.surplus_w for slot in one.slots], rel=0.01)
    broken: tuple[object, ...] = (None, [], {"sun": 3, "buy": "x"}, {"sun": {"sun": []}})
    for garbage in broken:
        again.load(garbage)
    assert again.dump()["sun"] == made.dump()["sun"]


def test_a_place_that_nobody_knows():
    made = OutlookMaker(UTC)
    outlook = look(made, NOON)
    sun = outlook.daylight[NOON.toordinal()]
    assert datetime.fromtimestamp(sun.rise, UTC).hour in {3, 4, 5}
    assert replace(outlook, daylight={}).slots[0].surplus_w is None


WALLS = st.lists(st.integers(-7200, 90000), max_size=30)


@given(WALLS, st.sampled_from((date(2025, 3, 30), date(2025, 10, 26), date(2025, 6, 10))))
def test_whatever_the_clock_does_the_first_slot_is_now(jumps, day):
    made = maker(
        tariff=Tariff(Price(0.35, (Rate(0.22, (NIGHT,)), Rate(0.1, (Window(Clock(sun="sunset"), NIGHT.end),)))))
    )
    now = datetime.combine(day, time(), ZONE).timestamp()
    for passed_s in jumps:
        now += passed_s
        outlook = look(made, datetime.fromtimestamp(now, ZONE))
        first = outlook.slots[0]
        assert first.start <= now < first.start + first.length_s
        assert (first.import_price, first.export_price) == (outlook.import_price, outlook.export_price)
        assert all(one.start + one.length_s == two.start for one, two in pairwise(outlook.slots))
