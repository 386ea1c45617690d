"""The rule language of one appliance: hours, needs, prices, battery, conditions."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.config import dates
from loadctl.config.findings import Findings
from loadctl.config.keys_load import LoadKeys
from loadctl.config.validate import checked, keys
from loadctl.core.rules import Battery, Clock, Level, Mode, Need, Season, Window
from loadctl.outlook.sun import Location
from loadctl.outlook.tariff import Price, Rate, Tariff
from loadctl.units import spell
from tests.unit.homes import RELAY, TELLING, house, load, refused

SUNSET = Clock(sun="sunset")


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("18:00", Clock(time(18))),
        ("24:00", Clock(time(0))),
        ("sunset", SUNSET),
        ("Sunset", SUNSET),
        ("sunset - 30 min", Clock(sun="sunset", offset_s=-1800)),
        ("sunset-30min", Clock(sun="sunset", offset_s=-1800)),
        ("sunrise + 1 h 30 min", Clock(sun="sunrise", offset_s=5400)),
        ("1 h after sunrise", Clock(sun="sunrise", offset_s=3600)),
        ("30 min before sunset", Clock(sun="sunset", offset_s=-1800)),
    ],
)
def test_moments_of_the_day(text, clock):
    assert dates.clock(text) == clock


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("noon", "write `12:00`"),
        ("dusk", "write `sunset`"),
        ("6 pm", "`18:00`"),
        ("sunset + 5", "has no unit"),
        ("sunset + 9 h", "write a time of day"),
        ("25:00", "is not a time of day"),
    ],
)
def test_moments_refused_with_a_hint(text, hint):
    with pytest.raises(ValueError, match=hint):
        dates.clock(text)


@given(st.sampled_from(["sunrise", "sunset"]), st.integers(-300, 300))
def test_a_moment_by_the_sun_reads_back(sun, minutes):
    clock = Clock(sun=sun, offset_s=minutes * 60.0)
    assert dates.clock(dates.spell_clock(clock)) == clock


@pytest.mark.parametrize(
    ("text", "season"),
    [
        ("may-sep", Season((5, 1), (9, 30))),
        ("May to September", Season((5, 1), (9, 30))),
        ("15 oct - 31 mar", Season((10, 15), (3, 31))),
        ("oct 15 - mar 31", Season((10, 15), (3, 31))),
        ("feb", Season((2, 1), (2, 29))),
        ("1 may - 1 may", Season((5, 1), (5, 1))),
    ],
)
def test_seasons(text, season):
    assert dates.season(text) == season


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("summer", "another time in the south"),
        ("31 apr - 1 may", "april has no such day"),
        ("mai-sep", "did you mean `may`"),
        ("may-jul-sep", "a season is written"),
        ("5-9", "is not a day of the year"),
    ],
)
def test_seasons_refused_with_a_hint(text, hint):
    with pytest.raises(ValueError, match=hint):
        dates.season(text)


@given(st.dates(date(2028, 1, 1), date(2028, 12, 31)), st.dates(date(2028, 1, 1), date(2028, 12, 31)))
def test_a_season_reads_back(first, last):
    season = Season((first.month, first.day), (last.month, last.day))
    assert dates.season(dates.spell_season(season)) == season


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("sat", {5}),
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("fri - mon", {4, 5, 6, 0}),
        ("sat, sun", {5, 6}),
        ("sat and sun", {5, 6}),
        ("Monday wed", {0, 2}),
        ("weekdays, sun", {0, 1, 2, 3, 4, 6}),
    ],
)
def test_days(text, days):
    assert dates.days(text) == days


@pytest.mark.parametrize(
    ("short", "window"),
    [
        ("09:00-19:00", Window(Clock(time(9)), Clock(time(19)))),
        ("09:00-19:00 on weekend", Window(Clock(time(9)), Clock(time(19)), frozenset({5, 6}))),
        ("sunrise + 1 h to sunset", Window(Clock(sun="sunrise", offset_s=3600), SUNSET)),
        ("09:00-19:00 on weekend in may-sep",
         Window(Clock(time(9)), Clock(time(19)), frozenset({5, 6}), Season((5, 1), (9, 30)))),
        ("sunrise-sunset", Window(Clock(sun="sunrise"), SUNSET)),
        ("sunset - 30 min - 23:00", Window(Clock(sun="sunset", offset_s=-1800), Clock(time(23)))),
        ("{from: sunrise, to: 12:00, days: [sat], season: may-sep}",
         Window(Clock(sun="sunrise"), Clock(time(12)), frozenset({5}), Season((5, 1), (9, 30)))),
    ],
)  # fmt: skip
def test_hours(short, window):
    assert load(f"power: 1 kW; between: {short}").windows == (window,)


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("6 kWh by 18:00", Need(Clock(time(18)), energy_wh=6000)),
        ("4 h by sunset", Need(SUNSET, runtime_s=14400)),
        ("full by 07:00", Need(Clock(time(7)), full=True)),
        ("6 kWh by 18:00 on sat, sun", Need(Clock(time(18)), energy_wh=6000, days=frozenset({5, 6}))),
        ("1 h by 24:00 on sat", Need(Clock(time(0)), runtime_s=3600, days=frozenset({6}))),
        ("55 °C by 18:00", Need(Clock(time(18)), level=Level("tank", 55, leaks=True))),
        ("80 % by 07:00", Need(Clock(time(7)), level=Level("charge", 80, band=3))),
        ("5 h by 20:00 in may-sep", Need(Clock(time(20)), runtime_s=18000, season=Season((5, 1), (9, 30)))),
        ("5 h by 20:00 on sat, in may",
         Need(Clock(time(20)), runtime_s=18000, days=frozenset({5}), season=Season((5, 1), (5, 31)))),
        ("1 h by 24:00 in oct-feb", Need(Clock(time(0)), runtime_s=3600, season=Season((10, 2), (3, 1)))),
        ("{runtime: 5 h, by: 20:00, season: 15 oct - 31 mar}",
         Need(Clock(time(20)), runtime_s=18000, season=Season((10, 15), (3, 31)))),
        ("8 °C always", Need(Clock(), level=Level("tank", 8, leaks=True), always=True)),
        ("30 % Always", Need(Clock(), level=Level("charge", 30, band=3), always=True)),
        ("{temperature: 8 °C, of: tank, litres: 100, always: true, band: 2 °C}",
         Need(Clock(), level=Level("tank", 8, 116.3, band=2, leaks=True), always=True)),
        ("{soc: 30 %, of: charge, always: true, band: 5 %}",
         Need(Clock(), level=Level("charge", 30, band=5), always=True)),
        ("{temperature: 60 °C, of: tank, litres: 100, by: 15:00, every: 7 d}",
         Need(Clock(time(15)), level=Level("tank", 60, 116.3, leaks=True), every_days=7)),
        ("{soc: 80 %, of: charge, capacity: 6 kWh, by: 07:00}",
         Need(Clock(time(7)), level=Level("charge", 80, 60.0, band=3))),
        ("{full: true, takes: 3 h, by: 18:00}", Need(Clock(time(18)), full=True, takes_s=10800)),
    ],
)  # fmt: skip
def test_needs(text, need):
    assert load(f"power: 1 kW; need: {text}").needs == (need,)


def test_a_need_goes_by_what_its_device_tells_or_by_the_only_input_that_there_is():
    room = "inputs: {room: {driver: http-json, unit: °C}}\n"
    heater = f"it: {TELLING}; power: 1 kW; need: 8 °C always"
    plug = f"it: {RELAY}; power: 1 kW; need: 8 °C always"
    assert house(heater, inputs=room).site.loads[0].needs[0].level == Level("it.temperature", 8, leaks=True)
    assert house(plug, inputs=room).site.loads[0].needs[0].level == Level("room", 8, leaks=True)
    assert "its device does not tell a temperature; name the input that does, such as `of: tank`" in refused(
        plug, inputs=""
    )
    assert "such as `of: cellar`" in refused(
        plug, inputs=room.replace("{room", "{cellar: {driver: http-json, unit: °C}, room")
    )


@pytest.mark.parametrize(
    ("keys", "start_w", "stop_w"),
    [
        ("start: 70 %", 1400, 800),
        ("start: 70 % for 5 min", 1400, 800),
        ("start: {share: 70 %}; stop: import 1 kW", 1400, 1000),
        ("grid_limit: 500 W", 1500, 700),
        ("grid_limit: 0", 2000, 200),
        ("worth: 0.12/kWh", 2000, 200),
    ],
)
def test_how_much_sun_it_takes(keys, start_w, stop_w):
    found = load(f"power: 2 kW; {keys}")
    assert (found.start_w, found.stop_import_w) == (start_w, stop_w)


def test_limits_of_a_day_and_worth():
    found = load("power: 2 kW; daily_max: [4 h, 6 kWh]; worth: 0.12/kWh; mode: fast")
    assert (found.daily_runtime_s, found.daily_energy_wh) == (14400, 6000)
    assert (found.worth, found.mode) == (0.12, Mode.FAST)
    assert load("power: 2 kW; daily_max: {runtime: 4 h}") == load("power: 2 kW; daily_max: 4 h")


def test_a_condition_remembers_the_words_of_its_owner():
    found = load("power: 2 kW; when: {if: tank < 60 °C, hysteresis: 2 °C, unknown: keep}").when
    assert found is not None
    assert (found.text, found.unknown) == ("tank < 60 °C", None)
    short = load("power: 2 kW; when: tank < 60 °C").when
    assert short is not None
    assert short.unknown is False


def test_the_battery_comes_first_unless_it_is_given_a_place():
    loads = f"boiler: {RELAY}; power: 2 kW\npump: {RELAY.replace('40', '43')}; power: 1 kW"
    assert [at.battery for at in house(loads).site.loads] == [Battery(), Battery()]
    after = house(loads, "battery: {after: boiler, claim_above: 80 %, band: 5 %}").site.loads
    assert [at.battery.claim_above_pct for at in after] == [0, 80]
    assert after[0].battery.band_pct == 5
    own = "power: 2 kW; battery: {claim_above: 70 %, discharge_above: 60 %, discharge: 1 kW, band: 2 %}"
    assert load(own).battery == Battery(70, 60, 1000, 2)
    assert load("power: 2 kW; battery: {never_discharge: true}").battery == Battery()
    assert "did you mean `boiler`?" in refused(loads, "battery: {after: boler}")


def test_the_tariff():
    prices = "import: {default: 0.30/kWh, prices: [{price: 0.18/kWh, from: '23:00', to: '07:00', days: weekend}]}"
    tariff = house(f"it: {RELAY}; power: 1 kW", f"tariff: {{{prices}, export: -0.01/kWh}}").tariff
    night = Rate(0.18, (Window(Clock(time(23)), Clock(time(7)), frozenset({5, 6})),))
    assert tariff == Tariff(Price(0.30, (night,)), Price(-0.01))
    fed = house(f"it: {RELAY}; power: 1 kW", "tariff: {import: {input: price_now, default: 0.30/kWh}}").tariff
    assert fed == Tariff(Price(0.30, (), "price_now"), Price(0.08))
    assert house(f"it: {RELAY}; power: 1 kW").tariff == Tariff()


def test_the_place():
    assert house(f"it: {RELAY}; power: 1 kW").location == Location(52.1, 5.1)
    rough = house(f"it: {RELAY}; power: 1 kW", "hold: 30 s").location
    assert rough is not None
    assert rough.latitude == pytest.approx(52.4, abs=0.1)


def test_inputs_and_their_units():
    home = house(f"it: {RELAY}; power: 1 kW; when: tank < 60 °C")
    assert home.inputs["tank"].driver == "http-json"
    assert (home.units["tank"], home.units["price_now"], home.units["it.power"]) == ("°C", "/kWh", "W")


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ("grid_limit: 500 W; start: 1 kW", "`grid_limit` says when to start and to stop"),
        ("grid_limit: 2 kW", "it would run without any sun; write less, such as `1 kW`"),
        ("start: {share: 70 %, surplus: 1 kW}", "write one of"),
        ("battery: {never_discharge: true, discharge_above: 60 %}", "contradict each other"),
        ("battery: {discharge: 2 kW}", "write `discharge_above: 60 %`"),
        ("battery: {never_discharge: false}", "write `discharge_above: 60 %`"),
        ("battery: {claim_above: 80 %, band: 0 %, discharge_above: 100 %}", "at most 99 %"),
        ("need: {energy: 6 kWh, of: tank, by: 18:00}", "`of` belongs to `temperature` and `soc`"),
        ("need: {temperature: 60 °C, litres: 100, takes: 2 h, by: 18:00}", "keep one"),
        ("need: {temperature: 60 °C, of: tenk, by: 18:00}", "did you mean `tank`?"),
        ("need: {temperature: 60 °C, of: charge, by: 18:00}", "`charge` is a share; here a temperature is meant"),
        ("need: {temperature: 60 °C, by: 18:00, litres: many}", "such as `300`"),
        ("need: {full: true, by: 18:00, every: 36 h}", "whole days are meant"),
        ("need: by 18:00", "what by then?"),
        ("need: {runtime: 5 h}", 'until when? write `by: "18:00"`'),
        ("need: 5 h by 20:00 in summer", "write the months, such as `may-sep`"),
        ("need: 5 h by 20:00 on sat on sun", "`on` stands here twice"),
        ("need: 5 h by 20:00 in 29 feb", "in some years its `season` has none of its days"),
        ("need: 5 h by 20:00 on sat in 1 may - 6 may", "in some years its `season` has none of its days"),
        ("need: 8 always", "write `8 °C always` or `8 % always`"),
        ("need: always 8 °C", "`always` stands at the end"),
        ("need: 8 °C always on sat", "such as `8 °C always`; nothing goes with it"),
        ("need: 8 °C by 18:00 always", "`by` and `always` contradict each other"),
        ("need: 6 kWh always", "`always` belongs to `temperature` and `soc`, not to `energy`"),
        ("need: full always", "`always` belongs to `temperature` and `soc`, not to `full`"),
        ("need: {temperature: 8 °C, always: true, by: 18:00}", "`by` and `always` contradict each other"),
        ("need: {temperature: 8 °C, always: true, days: sat}", "`days` and `always` contradict each other"),
        ("need: {temperature: 8 °C, always: true, every: 7 d}", "`every` and `always` contradict each other"),
        ("need: {temperature: 8 °C, always: true, season: may}", "`season` and `always` contradict each other"),
        ("need: {temperature: 8 °C, always: false}", "write `true`"),
        ("need: {temperature: 8 °C, always: true, band: 3 %}", "the `band` of a `temperature` is written `1 °C`"),
        ("need: {temperature: 8 °C, always: true, band: 2}", "write it like `1 °C` or `3 %`"),
        ("need: {temperature: 8 °C, by: 18:00, band: 1 °C}", "`band` goes with `always: true`"),
        ("need: 98 % always", "write at most `97 % always`"),
        ("priority: {1: apr-sep, 3: sep-mar}", "`apr-sep` and `sep-mar` share days"),
        ("priority: {high: apr-sep}", "a whole number is meant here"),
        ("priority: {1: summer}", "write the months, such as `may-sep`"),
        ("priority: {0: may}", "a number from 1 (most important) to 1000"),
        ("priority: {}", "`{1: apr-sep, 3: oct-mar}`"),
        ("priority: true", "a whole number is meant here"),
        ("need: 4 by sunset", "`4 h by sunset`"),
        ("daily_max: 60 °C", "the most for a day is a time or an energy"),
        ("daily_max: [4 h, 5 h]", "say the same"),
        ("daily_max: {}", "write `runtime: 4 h`"),
        ("when: tank < 60", "60"),
        ("when: tenk < 60 °C", "did you mean `tank`?"),
        ("when: {if: tank < 60 °C, hysteresis: 3 %}", "when.hysteresis"),
        ("when: [1]", "write it like `tank < 60 °C`"),
        ("between: {from: 09:00, to: 19:00, season: winter}", "write the months, such as `may-sep`"),
        ("mode: turbo", "write `off`, `solar`, `solar+min` or `fast`"),
        ("worth: 0.12", "write `0.12/kWh`"),
    ],
)
def test_refused_with_what_would_do(keys, hint):
    assert hint in refused(f"it: {RELAY}; power: 2 kW; {keys}")


def test_names_of_inputs():
    said = refused(
        f"it: {RELAY}; power: 1 kW", inputs="inputs:\n  grid_w: {driver: http-json}\n  my tank: {driver: http}\n"
    )
    assert "`grid_w` means something else in a condition; call it `my_grid_w`" in said
    assert "write `my_tank`" in said
    assert "there is no such input driver; did you mean `http-json`?" in said


@given(st.integers(1, 100), st.integers(100, 9000))
def test_a_share_is_that_share_of_the_power(share, power_w):
    found = load(f"power: {power_w} W; start: {{share: {share} %}}")
    assert found.start_w == pytest.approx(power_w * share / 100)
    assert found.start_w + found.stop_import_w > power_w
    assert spell(found.start_w, "W")


_WORDS = st.sampled_from(
    ("6 kWh", "by", "18:00", "sunset", "-", "+", "30 min", "to", "on", "sat", "mon-fri", "full", "70 %", "for", "2 kW",
     "6..16 A", "60 °C", "tank", "<", "and", "not", "may-sep", "15 oct", "import", "7 d", "0.12/kWh", "24:00",
     "always", "in", ",")
)  # fmt: skip
_TEXTS = st.lists(_WORDS, min_size=1, max_size=5).map(" ".join) | st.text(max_size=12)
_VALUES = st.recursive(
    _TEXTS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("by", "from", "if", "days")), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(keys(LoadKeys))), _VALUES, max_size=3))
def test_whatever_is_written_is_read_or_refused_in_words(written):
    findings = Findings("home.yaml")
    found = checked(LoadKeys, {"actuator": {}, **written}, ("loads", "it"), findings)
    assert found is not None or findings.faults
