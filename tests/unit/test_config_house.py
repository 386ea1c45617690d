"""What a rule file means: defaults, short and long forms, order."""

from __future__ import annotations

from datetime import time
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadctl.config import House, Web, parse
from loadctl.config.scene import NOISE_W
from loadctl.core.rules import Clock, Load, Need, Site, Window
from loadctl.errors import ConfigError
from loadctl.units import spell
from tests.unit.tiny_drivers import TINY

HEAD = """\
version: 1
site: {timezone: Europe/Amsterdam}
meter: {driver: envoy, host: envoy.local}
loads:
"""
PLUG = "    actuator: {driver: shelly, host: 192.168.1.40}\n"


def house(text: str) -> House:
    return parse(text, "home.yaml", {}, drivers=TINY)


def boiler(lines: str) -> Load:
    body = "".join(f"    {line.strip()}\n" for line in lines.split(";"))
    return house(f"{HEAD}  boiler:\n{PLUG}{body}").site.loads[0]


def faults(lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        boiler(lines)
    return str(caught.value)


def at(hour: int) -> Clock:
    return Clock(time(hour))


def test_the_smallest_home():
    home = house(f"{HEAD}  boiler:\n{PLUG}    power: 2 kW\n")
    assert home.site == Site(
        (
            Load(
                name="boiler",
                power_w=2000,
                start_w=2000,
                start_for_s=60,
                stop_import_w=200,
                stop_for_s=60,
                min_on_s=120,
                min_off_s=120,
                settle_s=12,
                lease_s=120,
                thrifty=True,
            ),
        )
    )
    assert home.path == Path("home.yaml")
    assert home.zone.key == "Europe/Amsterdam"
    assert home.web == Web("127.0.0.1", 8480)
    assert (home.meter.driver, home.meter.options.every) == ("envoy", 1.0)
    assert home.actuators["boiler"].options.host == "192.168.1.40"
    assert home.notes == ()


def test_the_home_of_the_design():
    home = house(
        """\
version: 1
site:
  timezone: Europe/Amsterdam
  max_import: 6 kW
meter: {driver: envoy, host: envoy.local, token: "abc"}
loads:
  boiler:
    actuator: {driver: shelly, host: 192.168.1.40}
    power: 2 kW
    start: 1.5 kW for 1 min
    stop: import 800 W for 2 min
    min_on: 10 min
    min_off: 5 min
    max_starts: 12
    need: 6 kWh by 18:00
  pool_pump:
    actuator: {driver: gpio, pin: 17, failsafe: none}
    power: 1.1 kW
    between: 09:00-19:00
    need: 4 h by 19:00
"""
    )
    heater, pump = home.site.loads
    assert home.site.max_import_w == 6000
    assert heater == Load(
        name="boiler",
        power_w=2000,
        start_w=1500,
        start_for_s=60,
        stop_import_w=800,
        stop_for_s=120,
        min_on_s=600,
        min_off_s=300,
        max_starts=12,
        settle_s=12,
        lease_s=120,
        needs=(Need(at(18), energy_wh=6000),),
    )
    assert pump.windows == (Window(at(9), at(19)),)
    assert pump.needs == (Need(at(19), runtime_s=14400),)
    assert (pump.lease_s, pump.settle_s) == (None, 3)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("start: 1.9 kW for 5 min", "start: {surplus: 1.9 kW, for: 5 min}"),
        ("start: 1900 W", "start: {surplus: 1.9kW}"),
        ("stop: import 800 W for 5 min", "stop: {import: 800 W, for: 5 min}"),
        ("stop: export 200 W", "stop: {export: 0.2 kW}"),
        ("need: 4 h by 19:00", "need: [{runtime: 240 min, by: 19:00}]"),
        ("need: 6 kWh by 7:30", "need: {energy: 6000 Wh, by: '07:30', days: daily}"),
        ("between: 09:00-19:00", "between: [{from: 09:00, to: '19:00', days: [weekdays, sat, sunday]}]"),
        ("between: 22:00 - 6:00", "between: 22:00 to 06:00"),
        ("compressor: true; min_on: 10 min", "compressor: true"),
    ],
)
def test_short_and_long_forms_are_the_same(short, long):
    assert boiler(f"power: 2 kW; {short}") == boiler(f"power: 2 kW; {long}")


@pytest.mark.parametrize(
    ("lines", "start_w", "stop_import_w"),
    [
        ("power: 2 kW", 2000, 200),
        ("power: 60 W", 60, 100),
        ("power: 2 kW; start: 1.5 kW", 1500, 700),  # who accepts 500 W at the start accepts them later
        ("power: 2 kW; start: 3 kW", 3000, 200),
        ("power: 2 kW; stop: import 800 W", 2000, 800),
        ("power: 2 kW; stop: export 100 W", 2300, -100),  # who stops early starts late
        ("power: 2 kW; stop: import 0 W", 2200, 0),
    ],
)
def test_thresholds_follow_from_each_other(lines, start_w, stop_import_w):
    load = boiler(lines)
    assert (load.start_w, load.stop_import_w) == (start_w, stop_import_w)


def test_a_compressor_rests():
    load = boiler("power: 1 kW; compressor: true")
    assert (load.compressor, load.min_on_s, load.min_off_s) == (True, 600, 600)
    assert boiler("power: 1 kW; compressor: true; min_off: 5 min").min_off_s == 300


def test_the_rest_of_the_keys():
    load = boiler("power: 1 kW; safe: on; settle: 20 s; hand_hold: 1 h; shed_below: 40 %; max_starts: 3")
    assert (load.safe_on, load.settle_s, load.hand_hold_s) == (True, 20, 3600)
    assert (load.shed_below_pct, load.max_starts) == (40, 3)
    assert boiler("power: 1 kW; safe: off").safe_on is False
    home = house(HEAD.replace("}\nmeter", ", reserve: 100 W, hold: 10 s}\nweb: {host: 0.0.0.0, port: 80}\nmeter")
                 + f"  boiler:\n{PLUG}    power: 2 kW\n    was: heater\n")  # fmt: skip
    assert (home.site.reserve_w, home.site.hold_s, home.web, home.was) == (
        100,
        10,
        Web("0.0.0.0", 80),
        {"boiler": "heater"},
    )


def test_a_whole_day_is_always_open():
    assert boiler("power: 1 kW; between: 00:00-24:00").windows == (Window(at(0), at(0)),)
    assert boiler("power: 1 kW; between: 20:00-24:00").windows == (Window(at(20), at(0)),)
    assert "begin and end at 09:00" in faults("power: 1 kW; between: 09:00-09:00")


def test_order_is_priority_unless_said_otherwise():
    text = HEAD
    for index, (name, rank) in enumerate({"a": None, "b": 2, "c": None, "d": 1, "e": 2}.items()):
        text += f"  {name}:\n{PLUG.replace('40', str(40 + index))}    power: 1 kW\n"
        text += f"    priority: {rank}\n" if rank else ""
    assert [load.name for load in house(text).site.loads] == ["d", "b", "e", "a", "c"]


def test_days_of_a_need():
    need = boiler("power: 2 kW; need: {energy: 6 kWh, by: 18:00, days: [mon, sat]}").needs[0]
    assert need.days == {0, 5}
    assert boiler("power: 2 kW; between: {from: 09:00, to: 19:00, days: weekend}").windows[0].days == {5, 6}
    assert "`caturday` is not a day: did you mean `saturday`?" in faults(
        "power: 2 kW; need: {energy: 6 kWh, by: 18:00, days: [caturday]}"
    )
    assert "days are written" in faults("power: 2 kW; need: {energy: 6 kWh, by: 18:00, days: []}")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("power: 2 kW; need: 25 h by 18:00", "`24 h by 18:00`"),
        ("power: 2 kW; need: 50 kWh by 18:00", "50 kWh (25 h) cannot be had by 18:00: 24 h"),
        ("power: 2 kW; between: 22:00-02:00; need: 5 h by 02:00", "`4 h by 02:00`"),
        ("power: 2 kW; between: {from: 09:00, to: 19:00, days: [sat]}; need: 1 h by 18:00", "lies outside its hours"),
        ("power: 2 kW; need: {energy: 1 kWh, runtime: 1 h, by: 18:00}", "write one of `energy: 6 kWh`"),
        ("power: 2 kW; need: {by: 18:00}", "write one of `energy: 6 kWh`"),
        ("power: 2 kW; stop: {for: 2 min}", "write one of `import: 800 W`"),
        ("power: 2 kW; start: [1, 2]", "write it like `1.5 kW for 1 min`"),
        ("power: 2 kW; between: 9-19", "a time of day is written `09:00`"),
        ("power: 2 kW; between: all day", "hours are written `09:00-19:00`"),
        ("power: 2 kW; need: {energy: 1 kWh, by: 6 pm}", "a time of day is written `18:00`"),
        ("power: 2 kW; min_on:", "boiler.min_on: nothing stands here"),
        ("power: 2 kW; max_starts: true", "a whole number is meant here"),
        ("power: 2 kW; was: boiler", "is still the name of an appliance"),
        ("power: 0 W", "at least 1 W"),
    ],
)
def test_refused_with_what_would_do(lines, sentence):
    assert sentence in faults(lines)


def test_a_long_week_for_a_weekly_need():
    assert boiler("power: 2 kW; need: {runtime: 30 h, by: 18:00, days: [sat]}").needs[0].runtime_s == 108000
    assert "`24 h by 18:00`" in faults("power: 2 kW; need: {runtime: 30 h, by: 18:00, days: [sat, sun]}")


def test_safe_on_with_a_lease_is_noted():
    home = house(f"{HEAD}  boiler:\n{PLUG}    power: 2 kW\n    safe: on\n")
    assert "goes off after 2 min" in str(home.notes[0])


@settings(deadline=None)
@given(st.integers(1, 9000), st.integers(1, 12000), st.integers(-3000, 3000))
def test_thresholds_that_pass_leave_room_for_noise_and_the_hint_is_right(power, start, stop):
    side = "import" if stop >= 0 else "export"
    try:
        load = boiler(f"power: {power} W; start: {start} W; stop: {side} {abs(stop)} W")
    except ConfigError as error:
        assert start + stop <= power + NOISE_W
        hint = str(error).rpartition("write `start: ")[2].partition("`")[0]
        assert boiler(f"power: {power} W; start: {hint}; stop: {side} {abs(stop)} W").stop_import_w == stop
        hint = str(error).rpartition("`stop: ")[2].partition("`")[0]
        assert boiler(f"power: {power} W; start: {start} W; stop: {hint}").start_w == start
    else:
        assert load.start_w + load.stop_import_w > power + NOISE_W


@settings(deadline=None)
@given(
    st.integers(1, 10_000),
    st.none() | st.integers(1, 20_000),
    st.none() | st.integers(0, 5_000),
    st.none() | st.integers(0, 86_400),
    st.booleans(),
    st.none() | st.integers(1, 50),
)
def test_what_is_written_is_what_is_meant(power, start, min_off, hold, compressor, starts):
    lines = [f"power: {spell(power, 'W')}", f"compressor: {str(compressor).lower()}"]
    lines += [f"start: {spell(start, 'W')}"] if start else []
    lines += [f"min_off: {spell(min_off, 's')}"] if min_off is not None else []
    lines += [f"hand_hold: {spell(hold, 's')}"] if hold is not None else []
    lines += [f"max_starts: {starts}"] if starts else []
    load = boiler("; ".join(lines))
    assert load.power_w == pytest.approx(power, rel=0.001)
    assert load.start_w == pytest.approx(start or power, rel=0.001)
    assert load.min_off_s == pytest.approx((600 if compressor else 120) if min_off is None else min_off, rel=0.001)
    assert load.max_starts == starts
    assert load.start_w + load.stop_import_w < inf


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Amsterdm", "did you mean `Europe/Amsterdam`?"),
        ("amsterdam", "did you mean `Europe/Amsterdam`?"),
        ("New York", "did you mean `America/New_York`?"),
        ("Europe", "names read like"),
        ("../etc", "names read like"),
        ("", "names read like"),
        ("qqqq", "names read like"),
    ],
)
def test_time_zones_nearby(name, hint):
    with pytest.raises(ConfigError) as caught:
        house(HEAD.replace("Europe/Amsterdam", f"'{name}'") + f"  boiler:\n{PLUG}    power: 2 kW\n")
    assert hint in str(caught.value)


def test_without_a_time_zone_it_is_the_computers():
    home = house(HEAD.replace("site: {timezone: Europe/Amsterdam}\n", "") + f"  boiler:\n{PLUG}    power: 2 kW\n")
    assert home.zone.key == "UTC" or home.notes == ()
