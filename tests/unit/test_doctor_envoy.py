"""What an Envoy's pages, token and remarks are judged to be, row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loadctl.core.values import Sample
from loadctl.drivers import Finding, Level
from loadctl.meters.envoy.care import judge_flags, judge_info, judge_meters, judge_token
from loadctl.meters.envoy.setup import NET, TOTAL, Info
from loadctl.meters.envoy.token import Token

OK, NOTE, WARNING, DANGER, _ = Level
WALL = datetime(2026, 6, 1, tzinfo=UTC)
NOW, DAY_S = WALL.timestamp(), 86400.0
SECRET = "eyJhbGciOi.secret.part"
INFO = Info("D8.2.4382", (8, 2, 4382), "992201123456", tokens=True, time=NOW)


def levels(findings: tuple[Finding, ...]) -> dict[str, Level]:
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding.level for finding in findings}


def meter(kind: str, state: str = "enabled", **more: Any) -> dict[str, Any]:
    return {
        "measurementType": kind,
        "state": state,
        "phaseCount": 1,
        "meteringStatus": "normal",
        "statusFlags": [],
    } | more


@pytest.mark.parametrize(
    ("left_s", "role", "renewed", "level"),
    [
        (-1.0, "owner", False, DANGER),
        (-1.0, "owner", True, DANGER),
        (6.9 * DAY_S, "owner", False, DANGER),
        (29.9 * DAY_S, "owner", False, WARNING),
        (29.9 * DAY_S, "owner", True, OK),
        (31 * DAY_S, "owner", False, OK),
        (0.4 * DAY_S, "installer", False, DANGER),
    ],
)
def test_the_end_of_a_token(left_s, role, renewed, level):
    findings = judge_token(Token(SECRET, NOW + left_s, INFO.serial, role), INFO, NOW, renewed=renewed)
    assert levels(findings) == {"token": level}
    assert role in findings[0].message
    assert "secret" not in repr(findings)


def test_a_token_of_another_gateway_and_one_that_tells_nothing():
    foreign = judge_token(Token(SECRET, NOW + 300 * DAY_S, "123456789999", "owner"), INFO, NOW, renewed=False)
    assert levels(foreign) == {"token_gateway": DANGER, "token": OK}
    assert "…9999" in foreign[0].message
    assert levels(judge_token(Token("opaque"), INFO, NOW, renewed=False)) == {"token": NOTE}


@pytest.mark.parametrize(("off_s", "level"), [(0.0, OK), (-60.0, OK), (61.0, NOTE), (-3600.0, NOTE), (3601.0, WARNING)])
def test_the_clock(off_s, level):
    info = Info("D8.2.4382", (8, 2, 4382), "992201123456", time=NOW + off_s)
    assert levels(judge_info(info, WALL))["clock"] is level


@pytest.mark.parametrize(
    ("software", "version", "level"),
    [
        ("D3.7.31", (3, 7, 31), DANGER),
        ("D4.2.27", (4, 2, 27), WARNING),
        ("D4.5.79", (4, 5, 79), OK),
        ("D8.3.5433", (8, 3, 5433), OK),
        ("", (), OK),
    ],
)
def test_firmware(software, version, level):
    assert levels(judge_info(Info(software, version), WALL)) == {"firmware": level}


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        ([meter("production"), meter(NET)], {"ct": OK}),
        ([meter("production", phaseCount=3), meter(NET, phaseCount=3)], {"ct": OK}),
        ([meter("production"), meter(TOTAL)], {"ct": OK}),
        ([meter("production")], {"ct": DANGER}),
        ([meter("production"), meter(NET, "disabled")], {"ct": DANGER}),
        ([meter(TOTAL)], {"ct": DANGER}),
        ([], {"ct": DANGER}),
        (None, {"ct": DANGER}),
        ([meter(NET, meteringStatus="check-wiring")], {"ct": OK, f"wiring.{NET}": DANGER}),
        ([meter(NET, meteringStatus="not-metering")], {"ct": OK, f"wiring.{NET}": DANGER}),
        (
            [meter("production", statusFlags=["negative-production", 7]), meter(NET, statusFlags=None)],
            {"ct": OK, "status.production": WARNING},
        ),
    ],
)
def test_current_transformers(meters, expected):
    assert levels(judge_meters(meters, INFO)) == expected


def test_a_total_ct_that_the_firmware_shows_wrongly():
    info = Info("D8.3.5433", (8, 3, 5433), "992201123456")
    assert levels(judge_meters([meter("production"), meter(TOTAL)], info)) == {"ct": NOTE}


def test_phases_are_told():
    [finding] = judge_meters([meter("production", phaseCount=3), meter(NET, phaseCount=3)], INFO)
    assert "3 phases" in finding.message


def test_remarks_of_the_last_reading_are_told_in_words():
    first, last = Sample(0.0, flags=frozenset({"battery_unknown"})), Sample(5.0, flags=frozenset({"untyped_meters"}))
    assert levels(judge_flags([first, last])) == {"untyped_meters": DANGER}
    assert judge_flags([]) == ()
    assert judge_flags([Sample(0.0, flags=frozenset({"negative_production"}))]) == ()  # every night
