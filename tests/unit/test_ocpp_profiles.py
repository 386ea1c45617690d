"""What is said to a charge point about power, what is read from it, and the keys an owner may write."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import ocpp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators.ocpp import OcppOptions
from loadctl.actuators.ocpp.charge_point import sound
from loadctl.actuators.ocpp.options import address
from loadctl.actuators.ocpp.profiles import (
    MEASURANDS,
    NO_CAR,
    Abilities,
    Lease,
    Limit,
    Measured,
    abilities,
    limit,
    measured,
    moment,
    on_its_clock,
    plug,
    safe_profile,
    working_level,
    working_profile,
)
from loadctl.config import parse
from loadctl.core.values import Command

NOON = datetime(2026, 6, 21, 12, 0, 0, 400_000, tzinfo=timezone(timedelta(hours=2)))
SCHEMA = json.loads((Path(ocpp.__file__).parent / "v16/schemas/SetChargingProfile.json").read_text("utf-8-sig"))


def fits(profile: dict[str, Any]) -> None:
    """Judge a profile by the schema of OCPP 1.6; its `multipleOf` is for decimal numbers, and is judged in tenths."""
    schema = json.loads(json.dumps(SCHEMA).replace('"multipleOf": 0.1', '"minimum": 0'))
    jsonschema.Draft4Validator(schema).validate({"connectorId": 1, "csChargingProfiles": profile})
    for period in profile["chargingSchedule"]["chargingSchedulePeriod"]:
        assert round(period["limit"], 1) == period["limit"]


def test_the_working_profile_counts_its_lease_from_a_moment() -> None:
    able = Abilities(stack_level=8)
    lease = Lease(NOON, 120.0)
    profile = working_profile(Limit(10.0, 2300.0, 1), able, 1, level=working_level(able), lease=lease)
    assert profile == {
        "chargingProfileId": 201,
        "stackLevel": 8,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": "2026-06-21T10:00:00Z",
            "duration": 120,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0, "numberPhases": 1}],
        },
    }


def test_the_pause_below_needs_no_clock() -> None:
    profile = safe_profile(Abilities(in_watts=True), 2)
    assert profile["stackLevel"] == 0
    assert profile["chargingProfileKind"] == "Relative"
    assert profile["chargingSchedule"] == {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}],
    }
    assert working_level(Abilities()) == 1
    assert working_level(Abilities(stack_level=0)) == 0


@given(
    amps=st.none() | st.floats(0.1, 200),
    watts=st.floats(1, 60_000),
    phases=st.sampled_from([None, 1, 3]),
    seen=st.sampled_from([None, 1, 2, 3]),
    able=st.builds(Abilities, stack_level=st.none() | st.integers(0, 300), in_watts=st.booleans()),
    lease_s=st.none() | st.floats(1, 3600),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - see timezones
)
def test_every_profile_is_to_the_letter(
    amps: float | None,
    watts: float,
    phases: int | None,
    seen: int | None,
    able: Abilities,
    lease_s: float | None,
    at: datetime,
) -> None:
    wanted = limit(Command(1, "car", watts, phases=phases, amps=amps), seen, phases)
    if amps is not None:
        assert wanted.amps <= amps + 1e-6  # never more than allowed
    lease = None if lease_s is None else Lease(at, lease_s)
    profile = working_profile(wanted, able, 1, level=working_level(able), lease=lease)
    fits(profile)
    fits(safe_profile(able, 1))
    if lease_s is not None:
        schedule = profile["chargingSchedule"]
        ends = datetime.fromisoformat(schedule["startSchedule"]) + timedelta(seconds=schedule["duration"])
        assert abs((ends - at).total_seconds() - lease_s) <= 0.51


@pytest.mark.parametrize(
    ("command", "seen", "amps"),
    [
        (Command(1, "car", 0.0, amps=0.0), 3, 0.0),
        (Command(1, "car", 6900.0, amps=10.04), None, 10.0),
        (Command(1, "car", 6900.0), 3, 10.0),
        (Command(1, "car", 2300.0), 1, 10.0),
        (Command(1, "car", 2300.0), None, 6.0),  # on three phases it would be 3.3 A: no car takes that
        (Command(1, "car", 2300.0, phases=1), None, 10.0),
    ],
)
def test_amps(command: Command, seen: int | None, amps: float) -> None:
    assert limit(command, seen, None).amps == amps


def sample(value: object, measurand: str = "", phase: str = "", unit: str = "", **more: str) -> dict[str, Any]:
    keys = {"measurand": measurand, "phase": phase, "unit": unit} | more
    return {"value": value} | {key: text for key, text in keys.items() if text}


def row(*samples: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"timestamp": "2026-06-21T10:00:00Z", "sampled_value": list(samples)}]


POWER, CURRENT, VOLTAGE = MEASURANDS[0], MEASURANDS[2], MEASURANDS[3]


@pytest.mark.parametrize(
    ("samples", "watts", "phases"),
    [
        ([sample("3.68", POWER, unit="kW")], 3680.0, None),
        ([sample("1000", POWER, "L1"), sample("1000", POWER, "L2"), sample("900", POWER, "L3")], 2900.0, 3),
        ([sample("2900", POWER), sample("12.5", CURRENT, "L1"), sample("0.1", CURRENT, "L2")], 2900.0, 1),
        ([sample("10", CURRENT, "L1"), sample("10", CURRENT, "L2"), sample("0", CURRENT, "N")], 4600.0, 2),
        ([sample("10", CURRENT, "L1"), sample("240", VOLTAGE, "L1-N"), sample("410", VOLTAGE, "L1-L2")], 2400.0, 1),
        ([sample("0", POWER), sample("0.4", CURRENT, "L1")], 0.0, None),
        ([sample("11", CURRENT)], 2530.0, None),  # not by phase: nobody knows
    ],
)
def test_what_flows(samples: list[dict[str, Any]], watts: float, phases: int | None) -> None:
    found, electric = measured(row(*samples), Measured())
    assert (found.watts, found.phases, electric) == (watts, phases, True)


def test_what_says_nothing_of_the_power() -> None:
    before = Measured(watts=2300.0, currents=(10.0, None, None), soc=40.0)
    for rows in [
        row(sample("1234")),  # energy is what a value without a name means
        row(sample("55", "SoC")),
        row(sample("0", POWER, context="Interruption.Begin")),
        row(sample("nan", POWER)),
        row(sample("1e300", POWER)),
        [],
        None,
        [{"sampled_value": None}, 7],
    ]:
        found, electric = measured(rows, before)
        assert (found.watts, found.phases, electric) == (2300.0, 1, False)
    found, _ = measured(row(sample("1.2", unit="kWh"), sample("55", "SoC"), sample("31", "Temperature")), before)
    assert (found.energy_wh, found.soc, found.temperature) == (1200.0, 55.0, 31.0)
    assert measured(row(sample("88", "Temperature", unit="Fahrenheit")), before)[0].temperature is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([POWER, "L1", "SoC", "2026-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["timestamp", "sampled_value", "value", "measurand", "phase", "unit", "key"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_read(rows: object) -> None:
    found, _ = measured(rows, Measured())
    assert found.watts is None or abs(found.watts) < 1e13
    abilities(rows)


@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_whatever_frame_comes_is_judged(frame: str | bytes) -> None:
    assert sound(frame)[0] in {0, 2, 3, 4}


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ('[2,"1","Heartbeat",{}]', (2, "1")),
        ('[3,"1",{}]', (3, "1")),
        ('[4,"1","NotImplemented","",{}]', (4, "1")),
        ('[4,"1","NotImplemented",""]', (4, "1")),
        ('[2,"1",["x"],{}]', (0, "")),
        ('[2,1,"Heartbeat",{}]', (0, "")),
        ("[" * 100_000, (0, "")),
        ("", (0, "")),
    ],
)
def test_frames(frame: str, kind: tuple[int, str]) -> None:
    assert sound(frame) == kind


def test_what_a_box_can_do() -> None:
    told = abilities(
        [
            {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"},
            {"key": "ChargingScheduleAllowedChargingRateUnit", "value": "Power"},
            {"key": "ConnectorSwitch3to1PhaseSupported", "value": "TRUE"},
            {"key": "SupportedFeatureProfiles", "value": "Core, SmartCharging"},
            {"key": "MeterValueSampleInterval", "value": None},
        ]
    )
    assert told == Abilities(8, True, True, frozenset({"Core", "SmartCharging"}))
    assert abilities([{"key": "ChargingScheduleAllowedChargingRateUnit", "value": "Current,Power"}]) == Abilities()


@pytest.mark.parametrize(
    ("status", "connected", "available", "words"),
    [
        ("Available", False, False, NO_CAR),
        ("Preparing", True, True, ""),
        ("Charging", True, True, ""),
        ("SuspendedEV", True, True, ""),
        ("SuspendedEVSE", True, True, ""),
        ("Finishing", True, True, ""),
        ("Faulted", None, False, "GroundFailure earth"),
        ("Unavailable", None, False, "out of service"),
        ("Reserved", None, False, "reserved"),
        ("", None, True, ""),
    ],
)
def test_states(status: str, connected: bool | None, available: bool, words: str) -> None:
    told = plug(status, "GroundFailure", "earth")
    assert (told.connected, told.available) == (connected, available)
    assert words in told.detail


def test_clocks() -> None:
    assert moment("2026-06-21T10:00:00.000Z") == moment("2026-06-21T12:00:00+02:00") == moment("2026-06-21T10:00:00")
    assert moment("1970-01-01T00:00:00Z") is moment("soon") is moment(None) is moment("9999-12-31T23:59:59-12:00")
    assert on_its_clock(NOON, 1.5) == NOON
    assert on_its_clock(NOON, -300.0) == NOON - timedelta(minutes=5)


def options(**keys: Any) -> OcppOptions:
    return TypeAdapter(OcppOptions).validate_python({"id": "CP1"} | keys)


def test_keys() -> None:
    assert options().lease == 120.0
    assert address(options().listen) == ("0.0.0.0", 8887)
    assert address("[::1]:9000") == ("::1", 9000)
    assert "hunter2" not in repr(options(password="hunter2"))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"id": "a/b"}, "one word"),
        ({"id": ""}, "one word"),
        ({"listen": "8887"}, "reads like"),
        ({"listen": "0.0.0.0:99999"}, "reads like"),
        ({"lease": 5.0}, "too little"),
        ({"connector": 0}, "greater than"),
        ({"failsafe": "hope"}, "lease"),
        ({"host": "x"}, "host"),
    ],
)
def test_keys_that_cannot_be_meant(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        options(**keys)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("", True),
        (", listen: '192.168.1.2:8887'", True),
        (", password: s3cret-at-home", False),
        (", password: '${NOT_SET_HERE}'", False),
        (", listen: '127.0.0.1:8887'", False),
    ],
)
def test_a_box_that_anybody_could_pose_as_is_noted(keys: str, told: bool) -> None:
    rules = f"""\
version: 1
site: {{timezone: Europe/Amsterdam}}
meter: {{driver: envoy, host: envoy.local}}
loads:
  car:
    actuator: {{driver: ocpp, id: CP1{keys}}}
    current: 6..16 A
"""
    found = [str(note) for note in parse(rules, "home.yaml", {}, lenient=True).notes if "pose" in str(note)]
    said = (
        "home.yaml:6:5: loads.car.actuator.password: without a `password` anybody in your network could pose as this "
        "charger; set one in its settings (AuthorizationKey) and here"
    )
    assert found == ([said] if told else [])
