"""From each page's JSON to watts, with bodies written for the case at hand."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.core.values import PhasePower
from loadctl.errors import DeviceError, Garbled
from loadctl.meters.envoy import ensemble, pages, panels
from loadctl.meters.envoy.balance import Pace, Seen, Side, weigh
from loadctl.meters.envoy.pages import Measured
from loadctl.meters.envoy.production import Wishes, from_production, parse_ac_battery
from loadctl.meters.envoy.setup import Ct, Info, Setup, parse_info, parse_meters
from loadctl.meters.envoy.token import parse_token, why_refused
from loadctl.meters.envoy.wire import NoSuchPage, decode

PRODUCTION, NET, TOTAL = 704643328, 704643584, 704643584
FITTED = Setup(True, Ct(PRODUCTION, "production"), Ct(NET, "net-consumption"))
TOTAL_FITTED = Setup(True, Ct(PRODUCTION, "production"), Ct(TOTAL, "total-consumption"))
NOTHING = Setup(True)
V5, V8 = Info("D5.0.62", (5, 0, 62)), Info("D8.3.6086", (8, 3, 6086), imeter=True)


def info(software: str) -> str:
    return f"<envoy_info><time>1</time><device><sn>99</sn><software>{software}</software></device></envoy_info>"


@pytest.mark.parametrize(
    ("software", "version", "tokens"),
    [("D8.2.4286", (8, 2, 4286), True), ("R4.10.35", (4, 10, 35), False), ("M7.0.88", (7, 0, 88), True)],
)
def test_firmware(software, version, tokens):
    read = parse_info(info(software))
    assert (read.version, read.tokens, read.serial) == (version, tokens, "99")


def test_a_page_that_is_no_envoy():
    with pytest.raises(Garbled, match="is this an Envoy"):
        parse_info("<html>a router</html>")


def test_meters_disabled_idle_and_wired_wrong():
    row = {"eid": 1, "state": "enabled", "measurementType": "production", "phaseMode": "three", "phaseCount": 1}
    setup = parse_meters(
        [
            row | {"meteringStatus": "check-wiring"},
            row | {"eid": 2, "measurementType": "net-consumption", "meteringStatus": "not-metering"},
            row | {"eid": 3, "measurementType": "storage", "state": "disabled"},
            row | {"eid": "unknown"},
            None,
        ]
    )
    assert setup.production == Ct(1, "production", "three", 1)
    assert (setup.consumption, setup.storage, setup.phases) == (None, None, 1)
    assert setup.flags == {"check_wiring", "not_metering"}


def reading(eid: int, watts: float, *channels: float, **more: float):
    legs = [{"eid": eid + leg, "activePower": power} for leg, power in enumerate(channels, 1)]
    return {"eid": eid, "timestamp": 100, "activePower": watts, "channels": legs} | more


def test_readings_match_by_eid_and_count_phases_by_the_meters():
    setup = Setup(True, Ct(PRODUCTION, "production", "split", 2), Ct(NET, "net-consumption", "split", 2))
    measured = pages.from_readings(
        [
            reading(1023410688, 9999.0),
            reading(NET, 150.0, -100.0, 250.0, -1500.0),
            reading(PRODUCTION, 800.0, 390.0, 410.0, 0.0),
        ],
        setup,
        V8,
    )
    assert (measured.pv_w, measured.grid_w, measured.time) == (800.0, 150.0, 100.0)
    assert measured.phases == (PhasePower(-100.0, 390.0, 290.0), PhasePower(250.0, 410.0, 660.0))


def test_readings_without_the_ct():
    measured = pages.from_readings([reading(PRODUCTION, 800.0)], FITTED, V5)
    assert measured.grid_w is None
    assert measured.flags == {"ct_missing"}


def test_total_ct_where_active_power_is_wrong():
    rows = [reading(PRODUCTION, 500.0), reading(TOTAL, 1800.0, 900.0, 0.0, instantaneousDemand=901.0)]
    assert pages.from_readings(rows, TOTAL_FITTED, V8).grid_w == 401.0


def test_half_a_storage_ct_is_no_battery():
    setup = Setup(True, Ct(PRODUCTION, "production"), Ct(NET, "net-consumption"), Ct(7, "storage", "split", 2))
    rows = [reading(PRODUCTION, 500.0), reading(NET, 0.0), reading(7, -900.0, -900.0, 0.0)]
    measured = pages.from_readings(rows, setup, V8)
    assert measured.battery_w is None
    assert measured.flags == {"storage_phase_missing"}
    assert pages.from_readings(rows, setup, V5).battery_w == -900.0


def eim(kind: str | None, watts: float, count: int = 1, **more):
    typed = {} if kind is None else {"measurementType": kind}
    return {"type": "eim", "activeCount": count, "readingTime": 1000, "wNow": watts} | typed | more


def inverters(watts: float, at: float = 1000):
    return {"type": "inverters", "activeCount": 9, "readingTime": at, "wNow": watts}


@pytest.mark.parametrize(
    ("production", "consumption", "setup", "wishes", "pv_w", "grid_w", "flags"),
    [
        # entries are found by type, whatever their order
        (
            [eim("production", 900.0), inverters(880)],
            [eim("net-consumption", -200.0), eim("total-consumption", 700.0)],
            FITTED,
            Wishes(),
            900.0,
            -200.0,
            set(),
        ),
        # no CT: noise
        (
            [inverters(880), eim("production", 63.0, 0)],
            [eim("net-consumption", -1.0, 0)],
            NOTHING,
            Wishes(),
            880.0,
            None,
            {"eim_inactive"},
        ),
        # a CT that is off for a moment: no jump to the inverters
        (
            [inverters(880), eim("production", 63.0, 0)],
            [eim("net-consumption", -1.0, 0)],
            FITTED,
            Wishes(),
            None,
            None,
            {"eim_inactive", "pv_unknown"},
        ),
        # 4.2
        (
            [inverters(880), eim(None, 900.0)],
            [eim(None, 700.0)],
            Setup(),
            Wishes(),
            900.0,
            None,
            {"untyped_meters"},
        ),
        ([inverters(880), eim(None, 900.0)], [eim(None, 700.0)], Setup(), Wishes(untyped="net"), 900.0, 700.0, set()),
        (
            [inverters(880), eim(None, 900.0)],
            [eim(None, 700.0)],
            Setup(),
            Wishes(untyped="total"),
            900.0,
            -200.0,
            set(),
        ),
        # lists that are null
        (None, None, Setup(), Wishes(), None, None, {"pv_unknown"}),
        # half of the panels behind the CT, loads measured by themselves
        (
            [inverters(9405), eim("production", 3545.0)],
            [eim("total-consumption", 2000.0), eim("net-consumption", -1545.0)],
            TOTAL_FITTED,
            Wishes("inverters"),
            9405.0,
            -7405.0,
            {"inverters_disagree"},
        ),
        (
            [inverters(9405), eim("production", 3545.0)],
            [eim("net-consumption", -1545.0)],
            FITTED,
            Wishes(),
            3545.0,
            -1545.0,
            {"inverters_disagree"},
        ),
        # reports of different times are not compared
        ([inverters(9405, 800), eim("production", 3545.0)], [], FITTED, Wishes(), 3545.0, None, set()),
        # firmware that writes net over total
        (
            [eim("production", 300.0)],
            [eim("total-consumption", 400.0, whLifetime=5), eim("net-consumption", 400.0, whLifetime=5)],
            TOTAL_FITTED,
            Wishes(),
            300.0,
            400.0,
            {"total_overwritten_by_net"},
        ),
    ],
)
def test_production_json(production, consumption, setup, wishes, pv_w, grid_w, flags):
    measured = from_production({"production": production, "consumption": consumption}, setup, V8, wishes)
    assert (measured.pv_w, measured.grid_w, measured.flags) == (pv_w, grid_w, flags)


def test_lines_that_are_not_there():
    def lines(*powers: float):
        return [{"wNow": power, "rmsVoltage": 120.0 if power else 0.0} for power in powers]

    value = {
        "production": [eim("production", 300.0, lines=lines(100.0, 200.0, 0.0))],
        "consumption": [eim("net-consumption", 90.0, lines=lines(40.0, 50.0, 0.0))],
    }
    measured = from_production(value, Setup(), V8, Wishes())
    assert measured.phases == (PhasePower(40.0, 100.0, 140.0), PhasePower(50.0, 200.0, 250.0))


def test_ac_battery_by_its_age():
    def value(**more: float) -> object:
        return {"production": [inverters(1, 10_000)], "storage": [{"type": "acb", "activeCount": 2} | more]}

    fresh = parse_ac_battery(value(readingTime=9500, wNow=-260, percentFull=40))
    assert (fresh.count, fresh.power_w, fresh.soc_pct) == (2, -260.0, 40.0)
    old = parse_ac_battery(value(readingTime=100, wNow=-260, percentFull=40))
    assert (old.power_w, old.stale) == (None, True)
    assert parse_ac_battery(value(readingTime=9500, wNow=5)).count == 0


@pytest.mark.parametrize(
    ("today", "lifetime", "setup", "firmware", "pv_w", "flags"),
    [
        (5, 7, NOTHING, V5, 800.0, set()),
        (0, 0, NOTHING, V5, None, {"v1_zero"}),
        (5, 7, NOTHING, V8, None, {"v1_stale"}),
        (5, 7, FITTED, V8, 800.0, set()),
    ],
)
def test_v1(today, lifetime, setup, firmware, pv_w, flags):
    value = {"wattHoursToday": today, "wattHoursSevenDays": 0, "wattHoursLifetime": lifetime, "wattsNow": 800}
    measured = pages.from_v1(value, setup, firmware)
    assert (measured.pv_w, measured.flags, measured.slow) == (pv_w, flags, True)


@pytest.mark.parametrize(("shown", "watts"), [("6.63 kW", 6630.0), ("412 W", 412.0), ("0.01 MW", 10000.0)])
def test_html_page(shown, watts):
    page = f"<tr><td>Currently</td>    <td>  {shown}</td></tr>"
    assert pages.from_page(page).pv_w == pytest.approx(watts)
    with pytest.raises(NoSuchPage):
        pages.from_page("<html>login</html>")


def test_only_microinverters_are_panels():
    listed = [{"lastReportWatts": 100, "devType": 1}, {"lastReportWatts": 90}, {"lastReportWatts": 700, "devType": 11}]
    assert pages.from_inverters(listed).pv_w == 190.0


def test_frame_without_a_consumption_ct_is_noise():
    legs = {f"ph-{leg}": {"p": 10.0} for leg in "abc"}
    value = {"production": legs, "net-consumption": legs, "total-consumption": legs}
    measured = pages.from_stream(value, Setup(True, Ct(PRODUCTION, "production")))
    assert (measured.pv_w, measured.grid_w) == (30.0, None)


def test_ensemble():
    power = {"devices:": [{"real_power_mw": -676000}, {"real_power_mw": -680000}]}
    assert ensemble.parse_power(power) == ensemble.Batteries(2, -1356.0)
    assert ensemble.parse_power({"devices:": [{"real_power_mw": "unknown"}]}) == ensemble.Batteries(1, None)
    assert ensemble.parse_secctrl({"agg_soc": 0, "Max_energy": 0}).soc_pct is None
    assert ensemble.parse_secctrl({"agg_soc": 96, "Max_energy": 10080}).soc_pct == 96.0
    assert ensemble.parse_relay({"mains_oper_state": "open synchronizing"}) is False
    assert ensemble.parse_relay({"mains_oper_state": "unknown"}) is None
    assert ensemble.parse_generator({"oper_state": "closed", "present": 1}) is True
    assert ensemble.parse_generator({"oper_state": "closed", "present": 0}) is False
    fed = [{"type": "ENPOWER", "devices": [{"admin_state_str": "ENPWR_STATE_OPER_GEN_CLOSE"}]}]
    assert ensemble.parse_inventory(fed) == ensemble.Inventory(0, True, None, True)


def sample(measured: Measured, side: Side):
    return weigh(measured, side, read_at=1.0, stale=False, source="x", pace=Pace(5, 20))


def test_load_tries_the_next_battery_then_gives_up():
    measured = Measured(pv_w=1000.0, grid_w=0.0, battery_w=-3000.0)
    assert sample(measured, Side(batteries=True, battery_w=-600.0)).load_w == 400.0
    lost = sample(measured, Side(batteries=True, battery_w=-2000.0))
    assert (lost.load_w, lost.grid_w) == (None, 0.0)
    assert "negative_load" in lost.flags


def test_unknown_battery_is_not_zero():
    unknown = sample(Measured(pv_w=1000.0, grid_w=0.0), Side())
    assert (unknown.load_w, unknown.battery_w) == (None, None)
    assert "battery_unknown" in unknown.flags
    assert sample(Measured(pv_w=1000.0, grid_w=0.0), Side(batteries=False)).load_w == 1000.0


def test_night_is_a_little_negative():
    night = sample(Measured(pv_w=-4.0, grid_w=304.0), Side(batteries=False))
    assert (night.pv_w, night.load_w) == (0.0, 300.0)
    assert "negative_production" in night.flags


def test_time_of_a_reading_that_stands_still():
    seen = Seen().look(100.0, 10.0)
    assert seen.look(100.0, 15.0).at == 10.0
    assert seen.look(95.0, 15.0).at == 10.0  # an older answer out of a cache
    assert seen.look(101.0, 15.0).at == 15.0
    assert seen.look(-500.0, 15.0).at == 15.0  # its clock was set back
    assert seen.look(100.0, 15.0).stale(40.0)
    assert not Seen().look(None, 10.0).stale(90.0)


def test_token_claims_and_reasons():
    opaque = parse_token(" 'abcd1234' \n")
    assert (opaque.text, opaque.expires_at) == ("abcd1234", None)
    assert "another gateway" in why_refused(opaque, "99", 0.0)
    assert "abcd" not in repr(opaque)


@pytest.mark.parametrize("text", ["", "  ", "{", "[1,", "[" * 100_000, "1" * 5000 + "1e"])
def test_what_is_not_json(text):
    with pytest.raises(Garbled):
        decode(text, "/x")


@pytest.mark.parametrize("text", ["<html>", '{"status": 404, "error": ""}', '{"error": "404 - Not Found"}'])
def test_pages_that_are_not_there(text):
    with pytest.raises(NoSuchPage):
        decode(text, "/x")


# The words that mean something, so that the random bodies get past the first look.
NAMES = """
    production consumption storage type activeCount measurementType readingTime wNow whLifetime lines percentFull eid
    state phaseCount phaseMode timestamp activePower instantaneousDemand channels current voltage ph-a ph-b p meters pv
    grid agg_p_mw soc last_update phase_count connection devices: devices real_power_mw agg_soc Max_energy
    mains_oper_state oper_state present admin_state_str wattsNow wattHoursLifetime lastReportWatts devType device_status
    last_rpt_date serial_num net-consumption total-consumption
"""
KEYS = st.sampled_from(NAMES.split())
WORDS = st.sampled_from(
    ["eim", "inverters", "acb", "production", "net-consumption", "total-consumption", "storage", "enabled", "closed"]
)
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | WORDS | st.text(max_size=5)
LEAVES |= st.sampled_from([PRODUCTION, NET, 10**400, 1, 0])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=40
)
SETUPS = st.sampled_from(
    [
        FITTED,
        TOTAL_FITTED,
        NOTHING,
        Setup(),
        Setup(True, FITTED.production, FITTED.consumption, Ct(7, "storage", "", 2)),
    ]
)


def numbers(value: object):
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from numbers(getattr(value, name))


PARSERS: dict[str, Any] = {
    "readings": lambda value, setup, wishes: pages.from_readings(value, setup, V8),
    "production": lambda value, setup, wishes: from_production(value, setup, V8, wishes),
    "ac_battery": lambda value, setup, wishes: parse_ac_battery(value),
    "stream": lambda value, setup, wishes: pages.from_stream(value, setup),
    "livedata": lambda value, setup, wishes: pages.from_livedata(value, setup),
    "v1": lambda value, setup, wishes: pages.from_v1(value, setup, V8),
    "inverters": lambda value, setup, wishes: pages.from_inverters(value),
    "meters": lambda value, setup, wishes: parse_meters(value),
    "power": lambda value, setup, wishes: ensemble.parse_power(value),
    "secctrl": lambda value, setup, wishes: ensemble.parse_secctrl(value),
    "relay": lambda value, setup, wishes: ensemble.parse_relay(value),
    "generator": lambda value, setup, wishes: ensemble.parse_generator(value),
    "inventory": lambda value, setup, wishes: ensemble.parse_inventory(value),
    "live": lambda value, setup, wishes: pages.live_enabled(value),
    "panels": lambda value, setup, wishes: panels.panel_reports(value),
    "devices": lambda value, setup, wishes: panels.device_reports(value),
}


@pytest.mark.parametrize("parser", PARSERS)
@given(
    value=JSON,
    setup=SETUPS,
    wishes=st.builds(Wishes, st.sampled_from(["auto", "eim", "inverters"]), st.sampled_from([None, "net", "total"])),
)
def test_no_json_breaks_a_parser(parser, value, setup, wishes):
    try:
        got = PARSERS[parser](value, setup, wishes)
    except DeviceError:
        return
    assert all(math.isfinite(number) for number in numbers(got))
    if isinstance(got, Measured):
        assert all(math.isfinite(number) for number in numbers(sample(got, Side(batteries=False))))


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
def test_no_text_breaks_a_reader(text):
    for read in (lambda: decode(text, "/x"), lambda: parse_info(text), lambda: pages.from_page(text)):
        with suppress(DeviceError):
            read()
    with suppress(DeviceError):
        parse_token(text)


@given(JSON.map(json.dumps))
def test_what_json_writes_is_read(text):
    with suppress(DeviceError):
        decode(text, "/x")
