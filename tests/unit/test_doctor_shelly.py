"""What a Shelly's settings and vitals are judged to be, row by row."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from loadctl.actuators.draw import judge_draw
from loadctl.actuators.shelly import ShellyOptions, care
from loadctl.actuators.shelly.answers import Output
from loadctl.actuators.shelly.care import Settings, Vitals, Wish
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level

OK, NOTE, WARNING, DANGER, _ = Level
LEASE = ShellyOptions(host="shelly", lease=120)
NONE = ShellyOptions(host="shelly", failsafe="none")
WALL = datetime(2026, 6, 1, tzinfo=UTC)
SOUND = Settings("off", auto_off_s=120.0)


def boiler(*, safe_on: bool = False) -> Load:
    return Load("boiler", 2000.0, 2000.0, 60.0, 200.0, 120.0, safe_on=safe_on)


def found(findings: tuple[Finding, ...], check: str) -> Finding:
    [one] = [finding for finding in findings if finding.check == check]
    return one


@pytest.mark.parametrize(
    ("auto_off_s", "options", "safe_on", "level", "told"),
    [
        (None, LEASE, False, WARNING, "second net"),
        (119.0, LEASE, False, WARNING, "shorter than the lease"),
        (120.0, LEASE, False, OK, "after 2 min"),
        (3600.0, LEASE, False, OK, "after 1 h"),
        (3601.0, LEASE, False, NOTE, "a low one"),
        (None, NONE, False, WARNING, "could hold a lease"),
        (None, NONE, True, OK, "safe: on"),
        (120.0, NONE, True, WARNING, "does not renew"),
    ],
)
def test_the_second_net(auto_off_s, options, safe_on, level, told):
    finding = found(
        care.judge_settings(Settings("off", auto_off_s), options, boiler(safe_on=safe_on)),
        "auto_off",
    )
    assert finding.level is level
    assert told in finding.message


@pytest.mark.parametrize(
    ("word", "safe_on", "level"),
    [
        ("off", False, OK),
        ("on", False, DANGER),
        ("last", False, DANGER),
        ("switch", False, WARNING),
        ("", False, NOTE),
        ("off", True, NOTE),
        ("on", True, OK),
    ],
)
def test_the_state_when_power_comes_back(word, safe_on, level):
    findings = care.judge_settings(Settings(word, 120.0), LEASE, boiler(safe_on=safe_on))
    assert found(findings, "power_on").level is level


def test_what_else_switches_the_load_is_told():
    settings = Settings("off", 120.0, auto_on_s=60.0, input_mode="follow", limit_w=1500.0, scheduled=True)
    levels = {one.check: one.level for one in care.judge_settings(settings, LEASE, boiler())}
    assert levels == {
        "auto_off": OK,
        "power_on": OK,
        "auto_on": DANGER,
        "schedule": WARNING,
        "limit": WARNING,
        "input": NOTE,
    }
    quiet = care.judge_settings(Settings("off", 120.0, input_mode="detached", limit_w=2500.0), LEASE, boiler())
    assert {one.check for one in quiet} == {"auto_off", "power_on"}


@pytest.mark.parametrize(
    ("settings", "options", "safe_on", "wish"),
    [
        (SOUND, LEASE, False, Wish()),
        (Settings("last"), LEASE, False, Wish(120.0, power_on_off=True)),
        (Settings("off", 30.0), LEASE, False, Wish(120.0)),
        (Settings("off"), ShellyOptions(host="x", lease=45.2), False, Wish(46.0)),
        (Settings("on"), NONE, False, Wish(power_on_off=True)),
        (Settings("on"), NONE, True, Wish()),
        (Settings("", 120.0), LEASE, False, Wish()),
    ],
)
def test_only_what_is_wrong_is_set(settings, options, safe_on, wish):
    assert care.wish(settings, options, boiler(safe_on=safe_on)) == wish


def test_a_change_counts_only_if_it_is_read_back():
    wished, before = Wish(120.0, power_on_off=True), Settings("last", 30.0)
    done = care.mended(wished, before, SOUND)
    assert [(one.check, one.level, one.fixed) for one in done] == [("auto_off", OK, True), ("power_on", OK, True)]
    assert "was after 30 s, is after 2 min" in done[0].message
    assert "was as it was before, is off" in done[1].message
    refused = care.mended(wished, before, before)
    assert [(one.level, one.fixed) for one in refused] == [(DANGER, False), (DANGER, False)]


@pytest.mark.parametrize(
    ("vitals", "gen", "level", "told"),
    [
        (Vitals("1.4.4", date(2025, 1, 1)), 2, OK, "Gen2, firmware 1.4.4"),
        (Vitals("0.14.4", date(2025, 1, 1)), 2, WARNING, "before 1.0"),
        (Vitals("1.4.4", date(2023, 1, 1)), 2, NOTE, "2023-01"),
        (Vitals("1.14.0", date(2023, 9, 13)), 1, OK, "1.14.0"),
        (Vitals("1.11.0", date(2021, 7, 1)), 1, NOTE, "2021-07"),
        (Vitals("1.4.4", date(2026, 1, 1), update="1.7.4"), 3, NOTE, "1.7.4 is ready"),
        (Vitals(), 2, OK, "not told"),
    ],
)
def test_firmware(vitals, gen, level, told):
    finding = found(care.judge_vitals(vitals, LEASE, gen, WALL), "firmware")
    assert finding.level is level
    assert told in finding.message


@pytest.mark.parametrize(
    ("rssi_dbm", "level"), [(-70.0, OK), (-71.0, NOTE), (-80.0, NOTE), (-81.0, WARNING), (0.0, OK), (None, OK)]
)
def test_wifi(rssi_dbm, level):
    assert found(care.judge_vitals(Vitals(rssi_dbm=rssi_dbm), LEASE, 2, WALL), "wifi").level is level


def test_clock_password_and_other_masters():
    now = WALL.timestamp()
    alone = care.judge_vitals(Vitals(unixtime=now + 60, locked=True), LEASE, 2, WALL)
    assert {one.level for one in alone} == {OK}
    lost = care.judge_vitals(Vitals(unixtime=None, locked=False, cloud=True, scripts=True), LEASE, 2, WALL)
    assert {one.check for one in lost if one.level is NOTE} == {"clock", "password", "others"}
    assert "the Shelly cloud and a script in it" in found(lost, "others").message
    slow = found(care.judge_vitals(Vitals(unixtime=now - 61), LEASE, 2, WALL), "clock")
    assert (slow.level, "61 s" in slow.message) == (NOTE, True)


def test_a_password_that_is_not_asked_for():
    options = ShellyOptions(host="x", password="hunter2hunter2")  # type: ignore[arg-type]
    finding = found(care.judge_vitals(Vitals(locked=False), options, 2, WALL), "password")
    assert finding.level is NOTE
    assert "hunter2" not in repr(finding)


def test_a_tripped_protection_is_a_danger():
    [finding] = care.judge_output(Output("AABBCCDDEEFF", on=False, errors=("overtemp",)))
    assert (finding.level, "overtemp" in finding.message) == (DANGER, True)


@pytest.mark.parametrize("rubbish", [{}, {"jobs": None}, {"jobs": [{"enable": True, "calls": [3]}]}, {"jobs": "x"}])
def test_rubbish_in_the_answers_is_not_known(rubbish):
    assert care.gen2_settings({"auto_off_delay": "x", "auto_off": 1, "in_mode": None}, rubbish, 0) == Settings()
    assert care.gen1_settings({"auto_off": None, "default_state": None}) == Settings()
    vitals = care.gen2_vitals({"auth_en": "no"}, {"sys": [], "wifi": {"rssi": "far"}, "cloud": None}, rubbish)
    assert vitals == Vitals()
    assert care.gen1_vitals({"fw": "20239999-1/v1"}, {"update": {"has_update": True}}).built is None


def test_a_schedule_of_another_channel_is_not_ours():
    job = {"enable": True, "calls": [{"method": "Switch.Set", "params": {"id": 1, "on": True}}]}
    config = {"initial_state": "off"}
    assert care.gen2_settings(config, {"jobs": [job]}, 1).scheduled
    assert not care.gen2_settings(config, {"jobs": [job]}, 0).scheduled
    assert not care.gen2_settings(config, {"jobs": [job | {"enable": False}]}, 1).scheduled


@pytest.mark.parametrize(
    ("on", "watts", "level", "told"),
    [
        (True, None, NOTE, "does not measure"),
        (False, 0.0, OK, "it is off"),
        (False, 20.0, OK, "it is off"),
        (False, 21.0, DANGER, "welded"),
        (True, 399.0, WARNING, "draws 399 W"),
        (True, 1599.0, WARNING, "the rule says"),
        (True, 1600.0, OK, "near"),
        (True, 2400.0, OK, "near"),
        (True, 2401.0, WARNING, "the rule says"),
    ],
)
def test_what_flows_against_the_rule(on, watts, level, told):
    finding = judge_draw(boiler(), on=on, watts=watts)
    assert finding.level is level
    assert told in finding.message
