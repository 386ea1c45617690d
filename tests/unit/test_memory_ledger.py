"""What the ticks leave behind: real intervals, gaps that stay gaps, and only decisions that changed something."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from loadctl.core.values import Outcome, Outlook, Tick
from loadctl.service.ledger import MEANS, MOST_SAMPLES, Ledger, Portion, trapezoids
from tests.unit.memory_days import MORNING, SITE, Clock, Day


def energy(ledger: Ledger) -> dict[tuple[str, str], Portion]:
    return {(kind, load): portion for (_, kind, load), portion in ledger.take(last=True).energy.items()}


@pytest.mark.parametrize(
    ("one", "other", "seconds", "above", "below"),
    [
        (100.0, 100.0, 10.0, 1000.0, 0.0),
        (-100.0, -300.0, 10.0, 0.0, 2000.0),
        (100.0, -100.0, 10.0, 250.0, 250.0),
        (-300.0, 100.0, 8.0, 100.0, 900.0),
        (0.0, 0.0, 5.0, 0.0, 0.0),
    ],
)
def test_power_that_changes_sign_is_both_imported_and_exported(one, other, seconds, above, below):
    assert trapezoids(one, other, seconds) == pytest.approx((above, below))


def test_an_hour_of_sun_is_counted_by_its_real_intervals():
    ledger, day = Ledger(SITE), Day()
    ledger.note(*day.tick(900.0))
    for seconds in [1, 2, 5, 2] * 360:  # an hour at no steady pace
        ledger.note(*day.tick(900.0, every_s=float(seconds)))
    found = energy(ledger)
    assert found["production", ""].wh == pytest.approx(900.0)
    assert found["production", ""].seconds == pytest.approx(3600.0)
    assert found["export", ""].wh == pytest.approx(600.0)
    assert found["import", ""].wh == 0.0
    assert found["consumption", ""].wh == pytest.approx(300.0)


def test_money_is_counted_at_the_prices_of_the_moment():
    ledger, day = Ledger(SITE), Day()

    def live(sun_w: float, buys: float, sells: float) -> None:
        tick, outcome = day.tick(sun_w)
        ledger.note(replace(tick, outlook=Outlook(buys, sells)), outcome)

    live(0.0, 0.20, 0.05)
    for _ in range(1800):
        live(0.0, 0.20, 0.05)
    for _ in range(1800):
        live(0.0, 0.60, 0.05)
    first = ledger.take().money
    assert first["2025-06-18", "paid"].amount == pytest.approx(0.15 * 0.20 + 0.15 * 0.60)
    assert first["2025-06-18", "used"] == first["2025-06-18", "paid"]
    assert first["2025-06-18", "paid"].seconds == pytest.approx(3600)
    live(900.0, 0.20, -0.10)
    ledger.take()
    for _ in range(3600):
        live(900.0, 0.20, -0.10)
    second = ledger.take()
    assert second.money["2025-06-18", "paid"].amount == pytest.approx(0.6 * 0.10)
    assert second.money["2025-06-18", "used"].amount == pytest.approx(0.3 * 0.20)
    ledger.give_back(second)
    assert ledger.take().money == second.money


def test_a_gap_stays_a_gap():
    ledger, day = Ledger(SITE), Day()
    ledger.note(*day.tick(900.0))
    ledger.note(*day.tick(900.0))
    day.clock.at += 3600.0  # the meter was away for an hour, and what it says afterwards is as fresh as ever
    ledger.note(*day.tick(900.0))
    ledger.note(*day.tick(900.0))
    found = energy(ledger)["production", ""]
    assert (found.wh, found.seconds) == pytest.approx((0.5, 2.0))


def test_what_is_not_known_is_not_counted_as_zero():
    ledger, day = Ledger(SITE), Day()
    for _ in range(3):
        tick, outcome = day.tick(900.0)
        assert tick.sample is not None
        ledger.note(replace(tick, sample=replace(tick.sample, pv_w=None)), outcome)
    leaves = ledger.take(last=True)
    assert {kind for _, kind, _ in leaves.energy} == {"import", "export", "consumption"}
    assert dict(zip(MEANS, leaves.minutes[0].means, strict=True))["pv_w"] is None


def test_a_repeated_reading_is_counted_once():
    ledger, day = Ledger(SITE), Day()
    ledger.note(*day.tick(900.0))
    tick, outcome = day.tick(900.0)
    for _ in range(5):
        ledger.note(tick, outcome)
    leaves = ledger.take(last=True)
    assert len(leaves.samples) == 2
    assert leaves.energy["2025-06-18", "production", ""].seconds == 1.0


def test_the_load_counts_what_the_core_counts():
    ledger, day = Ledger(SITE), Day()
    for _ in range(600):
        ledger.note(*day.tick(2600.0))
    standing = day.state.standings[0]
    found = energy(ledger)["load", "boiler"]
    on_s = day.clock.at - (standing.switched_at or 0.0)
    assert (found.wh, found.seconds, found.starts) == pytest.approx((2000.0 * on_s / 3600, on_s, 1))


def test_minutes_hold_means_and_how_much_of_them_was_measured():
    ledger, day = Ledger(SITE), Day()
    for second in range(150):
        ledger.note(*day.tick(1000.0 if second < 75 else 0.0))
    first, second_minute = ledger.take().minutes
    assert first.seconds == pytest.approx(58.0)  # the first reading has none before it
    assert second_minute.seconds == pytest.approx(60.0)
    assert dict(zip(MEANS, second_minute.means, strict=True))["pv_w"] == pytest.approx(1000.0 * 16.5 / 60)


def test_the_day_is_the_sites():
    ledger = Ledger(SITE)
    day = Day(clock=Clock(wall=MORNING.replace(hour=23, minute=59, second=55)))
    for _ in range(5):
        ledger.note(*day.tick())
    days = {key[0]: portion.seconds for key, portion in ledger.take().energy.items() if key[1] == "import"}
    assert days == {"2025-06-18": 3.0, "2025-06-19": 1.0}


def test_decisions_that_change_something_are_kept_with_what_they_were_made_on():
    ledger = Ledger(SITE, lambda site, outcome, tick, index: f"because of {site.loads[index].name}")
    day = Day()
    for _ in range(30):
        ledger.note(*day.tick(2400.0))
    for _ in range(30):
        ledger.note(*day.tick(300.0))
    rows = [row for row in ledger.take().decisions if row.load == "boiler"]
    assert [(row.phase, row.command_w) for row in rows] == [
        ("off", None),
        ("starting", 2000.0),
        ("on", None),
        ("on", None),
        ("stopping", 0.0),
        ("off", None),
    ]
    assert (rows[1].verdict, rows[1].grid_w, rows[1].pv_w, rows[1].surplus_w) == ("start", -2100.0, 2400.0, 2100.0)
    assert rows[1].sentence == "because of boiler"


def test_clouds_that_change_nothing_leave_a_note_now_and_then():
    ledger, day = Ledger(SITE), Day()
    for _ in range(500):
        ledger.note(*day.tick(2400.0))
        ledger.note(*day.tick(300.0))
    rows = [row for row in ledger.take().decisions if row.load == "boiler"]
    assert [row.verdict for row in rows] == ["wait_on", "rest"]
    assert rows[1].wall_ms - rows[0].wall_ms >= 900_000


def test_a_new_run_notes_what_each_load_does():
    ledger, day = Ledger(SITE), Day()
    for _ in range(100):
        ledger.note(*day.tick())
    assert [(row.load, row.verdict, row.phase) for row in ledger.take().decisions] == [
        ("boiler", "rest", "off"),
        ("pump", "rest", "off"),
    ]


def test_blindness_is_a_decision():
    ledger, day = Ledger(SITE), Day()
    ledger.note(*day.tick())
    ledger.note(*day.blind())
    assert {row.verdict for row in ledger.take().decisions} == {"rest", "blind"}


def test_what_could_not_be_written_is_given_back_and_bounded():
    ledger, day = Ledger(SITE), Day()

    def ticks(count: int) -> list[tuple[Tick, Outcome]]:
        return [day.tick(900.0) for _ in range(count)]

    for tick, outcome in ticks(100):
        ledger.note(tick, outcome)
    leaves = ledger.take()
    for tick, outcome in ticks(MOST_SAMPLES):
        ledger.note(tick, outcome)
    ledger.give_back(leaves)
    again = ledger.take()
    assert len(again.samples) == MOST_SAMPLES
    assert again.samples[-1][0] == round(day.clock.wall().timestamp() * 1000)
    assert again.energy["2025-06-18", "production", ""].seconds == pytest.approx(MOST_SAMPLES + 99)


def test_a_reading_is_kept_under_the_time_it_was_read():
    ledger, day = Ledger(SITE), Day()
    tick, outcome = day.tick()
    late = replace(tick, at=tick.at + 3.0, wall=tick.wall + timedelta(seconds=3))
    ledger.note(late, outcome)
    assert ledger.take().samples[0][0] == round(tick.wall.timestamp() * 1000)
