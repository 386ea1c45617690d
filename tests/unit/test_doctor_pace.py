"""A meter's readings against the rules: what is too slow, too old, too noisy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.rules import Load, Site
from loadctl.core.values import Sample
from loadctl.drivers import Finding, Level
from loadctl.errors import Unreachable
from loadctl.service.doctor.pace import Watched, judge_readings

OK, NOTE, WARNING, DANGER, UNSEEN = Level


def site(**rule: Any) -> Site:
    fields: dict[str, Any] = {
        "power_w": 2000.0,
        "start_w": 2000.0,
        "start_for_s": 60.0,
        "stop_import_w": 200.0,
        "stop_for_s": 120.0,
        "lease_s": 120.0,
    }
    return Site((Load(name="boiler", **(fields | rule)),))


def watched(
    times: Iterable[float],
    grid_w: Iterable[float | None] | None = None,
    *,
    every_s: float = 5.0,
    max_age_s: float = 20.0,
) -> Watched:
    times = tuple(times)
    powers = tuple(grid_w) if grid_w is not None else (300.0,) * len(times)
    samples = tuple(
        Sample(at, power, max_age_s=max_age_s, source="/page") for at, power in zip(times, powers, strict=True)
    )
    return Watched(samples, (), every_s)


def levels(findings: tuple[Finding, ...]) -> dict[str, Level]:
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding.level for finding in findings}


def test_a_meter_that_keeps_up():
    found = levels(judge_readings(site(), watched([0, 5, 10, 15])))
    assert found == dict.fromkeys(["reading", "pace", "max_age", "patience", "noise"], OK)


@pytest.mark.parametrize(("step_s", "level"), [(8.5, OK), (8.6, WARNING)])
def test_a_meter_slower_than_asked(step_s, level):
    assert levels(judge_readings(site(), watched([0, step_s, 2 * step_s])))["pace"] is level


@pytest.mark.parametrize(("gap_s", "level"), [(10.0, OK), (10.1, WARNING), (20.0, WARNING), (20.1, DANGER)])
def test_readings_that_grow_too_old(gap_s, level):
    assert levels(judge_readings(site(), watched([0, 5, 5 + gap_s])))["max_age"] is level


def test_a_repeated_reading_is_no_reading():
    found = levels(judge_readings(site(), watched([0, 0, 0, 15, 15, 30])))
    assert (found["pace"], found["max_age"]) == (WARNING, WARNING)
    assert levels(judge_readings(site(), watched([0, 0, 0])))["pace"] is WARNING


def test_rules_quicker_than_the_meter():
    readings = watched([0, 30, 60], every_s=30.0, max_age_s=90.0)
    assert levels(judge_readings(site(), readings))["patience"] is OK
    quick = levels(judge_readings(site(start_for_s=59.0, stop_for_s=30.0, lease_s=60.0), readings))
    assert {check for check, level in quick.items() if level is WARNING} == {
        "start_for.boiler",
        "stop_for.boiler",
        "lease.boiler",
    }


@pytest.mark.parametrize(("step_w", "level"), [(99.0, OK), (101.0, NOTE), (201.0, WARNING)])
def test_thresholds_within_the_noise(step_w, level):
    found = levels(judge_readings(site(), watched([0, 5, 10, 15], [0.0, step_w, 0.0, step_w])))
    assert found.get("noise", found.get("noise.boiler")) is level


def test_one_kettle_is_no_noise():
    found = levels(judge_readings(site(), watched([0, 5, 10, 15], [300.0, 310.0, 2310.0, 2300.0])))
    assert found["noise"] is OK


@pytest.mark.parametrize(
    ("grid_w", "level"), [([None, None, None], DANGER), ([None, 1.0, 2.0], WARNING), ([-5.0, 1.0, 2.0], OK)]
)
def test_whether_the_grid_is_known(grid_w, level):
    assert levels(judge_readings(site(), watched([0, 5, 10], grid_w)))["reading"] is level


def test_failures_are_told():
    silent = judge_readings(site(), Watched((), (Unreachable("no answer", hint="plug it in"),), 5.0))
    assert silent == (Finding("reading", UNSEEN, "no answer", "plug it in"),)
    some = Watched(watched([0, 5]).samples, (Unreachable("lost"),), 5.0)
    assert levels(judge_readings(site(), some))["failures"] is WARNING


@given(
    times=st.lists(st.floats(0, 1e5), min_size=1, max_size=12),
    powers=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=12, max_size=12),
    every_s=st.floats(0, 3600),
)
def test_whatever_was_read_is_judged(times, powers, every_s):
    found = judge_readings(site(), watched(sorted(times), powers[: len(times)], every_s=every_s))
    assert "reading" in levels(found)
    assert all(finding.message for finding in found)
