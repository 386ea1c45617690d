"""The house battery: who may claim what charges it, who may draw out of it, and down to where.

`free_w` is what the house leaves of the sun, before the battery: what the battery takes of it the meter does not show.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadctl.core.rules import Battery, Load, Site
from loadctl.core.values import OFF, ON, Outcome, Verdict
from tests.scenarios.bench import BOILER, WALLBOX, Bench

PLAIN = replace(BOILER, start_w=2000.0, stop_import_w=200.0, min_on_s=0.0, min_off_s=0.0)


def having(battery: Battery, load: Load = PLAIN) -> Load:
    return replace(load, battery=battery)


def stored(bench: Bench, free_w: float, seconds: int, most_w: float = 3000.0) -> Outcome:
    """Let the battery even out what the loads and the sun leave, a second late."""
    for _ in range(seconds):
        ours_w = sum(plug.draws_w for plug in bench.plugs.values())
        outcome = bench.free(free_w)
        bench.battery_w = min(max(ours_w - free_w, -most_w), most_w)
    return outcome


@pytest.mark.parametrize(("soc_pct", "phase"), [(79.9, OFF), (80.0, ON), (None, OFF)])
def test_above_its_limit_it_may_have_what_would_charge_the_battery(soc_pct, phase):
    bench = Bench(Site((having(Battery(claim_above_pct=80.0)),)), soc_pct=soc_pct)
    stored(bench, 2500.0, 90)
    assert bench.phase("boiler") is phase


def test_who_may_claim_at_any_charge_needs_to_know_none():
    bench = Bench(Site((having(Battery(claim_above_pct=0.0)),)), soc_pct=None)
    stored(bench, 2500.0, 90)
    assert bench.phase("boiler") is ON


def test_who_may_not_claim_has_only_what_the_battery_leaves():
    bench = Bench(Site((PLAIN,)), soc_pct=99.0)
    assert stored(bench, 4900.0, 90).verdicts == (Verdict.REST,)
    stored(bench, 5100.0, 90)
    assert bench.phase("boiler") is ON


@pytest.mark.parametrize(("soc_pct", "phase"), [(78.0, ON), (77.0, ON), (76.9, OFF)])
def test_what_was_passed_holds_until_the_band_is_left(soc_pct, phase):
    bench = Bench(Site((having(Battery(claim_above_pct=80.0, band_pct=3.0)),)), soc_pct=80.0)
    stored(bench, 0.0, 10)
    bench.soc_pct = soc_pct
    stored(bench, 2500.0, 90)
    assert bench.phase("boiler") is phase


def test_a_charge_that_trembles_switches_nothing():
    bench = Bench(Site((having(Battery(claim_above_pct=80.0)),)))
    for second in range(1200):
        bench.soc_pct = 79.0 + 2.0 * (second % 2)
        stored(bench, 2500.0, 1)
    assert [command.watts > 0 for command in bench.sent] == [True]


def test_what_the_battery_gives_counts_as_import():
    bench = Bench(Site((having(Battery(claim_above_pct=0.0)),)), soc_pct=60.0)
    stored(bench, 2500.0, 90)
    stored(bench, 500.0, 200)
    assert bench.phase("boiler") is OFF


@pytest.mark.parametrize(("soc_pct", "free_w", "phase"), [(60.0, 500.0, ON), (56.9, 500.0, OFF)])
def test_who_may_runs_on_out_of_the_battery(soc_pct, free_w, phase):
    bench = Bench(Site((having(Battery(claim_above_pct=0.0, discharge_above_pct=60.0)),)), soc_pct=60.0)
    stored(bench, 2500.0, 90)
    bench.soc_pct = soc_pct
    stored(bench, free_w, 300)
    assert bench.phase("boiler") is phase


@pytest.mark.parametrize(("discharge_w", "phase"), [(0.0, OFF), (1000.0, OFF), (1500.0, ON)])
def test_nothing_starts_on_the_battery_beyond_what_it_may_draw(discharge_w, phase):
    """600 W of sun are missing 1400 W."""
    battery = Battery(claim_above_pct=0.0, discharge_above_pct=50.0, discharge_w=discharge_w)
    bench = Bench(Site((having(battery),)), soc_pct=90.0)
    stored(bench, 600.0, 300)
    assert bench.phase("boiler") is phase


def test_a_car_leaves_the_battery_its_charge_until_it_may_claim_it():
    bench = Bench(Site((having(Battery(claim_above_pct=80.0), WALLBOX),)), soc_pct=50.0)
    stored(bench, 4500.0, 200)
    assert bench.draws_w("wallbox") <= 1500.0
    bench.soc_pct = 85.0
    stored(bench, 4500.0, 200)
    assert bench.draws_w("wallbox") == 3680.0


def test_claims_differ_from_load_to_load():
    """The first may have it all, the second only what the battery leaves: it rests though the first does not run."""
    first = replace(having(Battery(claim_above_pct=0.0)), name="first", power_w=4000.0, start_w=4000.0)
    bench = Bench(Site((first, having(Battery(None)))), soc_pct=50.0)
    stored(bench, 2500.0, 200)
    assert (bench.phase("first"), bench.phase("boiler")) == (OFF, OFF)


def test_the_reserve_stays_free():
    bench = Bench(Site((PLAIN,), reserve_w=300.0))
    bench.free(2299.0, 200)
    assert bench.phase("boiler") is OFF
    bench.free(2300.0, 200)
    assert bench.phase("boiler") is ON


def test_no_battery_in_the_reading_is_no_battery():
    bench = Bench(Site((having(Battery(claim_above_pct=80.0, discharge_above_pct=20.0)),)))
    bench.free(2100.0, 90)
    assert bench.phase("boiler") is ON
    bench.free(1000.0, 300)
    assert bench.phase("boiler") is OFF
