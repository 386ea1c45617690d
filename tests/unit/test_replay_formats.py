"""Traces of other kinds: what loadctl remembers itself, and what Home Assistant downloads."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loadctl.errors import LoadctlError
from loadctl.lab.trace import BLIND_S, Trace, cut, joined, open_trace
from tests.lab_days import trace as made_up

NOON = datetime(2025, 6, 21, 12, tzinfo=UTC).timestamp()
OWN = "time,pv_w,load_w,grid_w,battery_w,soc_pct,surplus_w,seconds,boiler.power_w,pump.power_w,boiler.on_s,pump.on_s\n"


@pytest.fixture
def read(tmp_path: Path):
    def from_text(text: str, *entities: tuple[str, str], zone: str = "UTC") -> Trace:
        file = tmp_path / "house.csv"
        file.write_text(text, encoding="utf-8")
        return open_trace(file, ZoneInfo(zone), entities)

    return from_text


def facts(trace: Trace) -> list[tuple[float, float, float, bool]]:
    return [(one.time - NOON, one.pv_w, one.base_w, one.known) for one in trace.moments]


def own(*cells: str) -> str:
    return OWN + "".join(f"2025-06-21T14:{minute:02}:00+02:00,{row}\n" for minute, row in enumerate(cells))


def test_of_our_own_history_the_loads_are_taken_out(read):
    trace = read(own("3000,2500,-500,,,0,60,2000,0,60,0", "3000,3600,600,,,0,60,2000,1100,60,60"))
    assert facts(trace) == [(0, 3000, 500, True), (60, 3000, 500, True)]


def test_of_our_own_history_the_battery_is_taken_out(read):
    """The house drew 400 W: 3 kW of sun, of them 1 kW into the battery and 1.6 kW to the neighbours."""
    first, second = read(own("3000,,-1600,-1000,55,0,60,0,0,0,0", "3000,400,-1600,-1000,56,0,60,0,0,0,0")).moments
    assert (first.base_w, first.battery_w, first.soc_pct) == (400, -1000, 55)
    assert (second.base_w, second.battery_w, second.soc_pct) == (400, -1000, 56)


def test_what_our_own_history_does_not_know_stays_a_gap(read):
    trace = read(own("3000,400,-2600,,,0,60,0,0,0,0", ",,,,,,60,0,0,0,0", "3000,400,-2600,,,,0,0,0,0,0"))
    assert [one.known for one in trace.moments] == [True, False, False]


def test_what_an_inverter_drew_at_night_is_the_houses(read):
    assert facts(read(own("-4,,300,,,0,60,0,0,0,0", "-4,300,300,,,0,60,0,0,0,0"))) == [
        (0, 0, 300, True),
        (60, 0, 300, True),
    ]


def test_a_meter_that_sees_no_sun_leaves_what_it_saw(read):
    trace = read(own(",,-1600,,,0,60,0,0,0,0", ",,400,,,0,60,2000,0,60,0"))
    assert facts(trace) == [(0, 0, -1600, True), (60, 0, -1600, True)]
    assert [one.sees_sun for one in trace.moments] == [False, False]


def test_a_download_with_the_meter_alone_tells_nothing_of_the_sun(read):
    first, *_ = read(changes(meter=[("12:00:00", "-900"), ("12:06:00", "50")]), ("grid", "sensor.meter")).moments
    assert (first.base_w, first.known, first.sees_sun) == (-900, True, False)


def changes(**entities: list[tuple[str, str]]) -> str:
    lines = ["entity_id,state,last_changed"]
    for name, states in entities.items():
        lines += [f"sensor.{name},{state},2025-06-21T{clock}.250Z" for clock, state in states]
    return "\n".join(lines) + "\n"


SUN = [("12:00:00", "3000"), ("12:05:00", "2500")]
HOUSE = [("12:00:00", "400"), ("12:04:00", "500"), ("12:06:00", "450")]


def test_home_assistants_entities_are_told_by_their_names(read):
    trace = read(changes(solar_power=SUN, house_consumption=HOUSE, living_room_temperature=[("12:00:00", "21.5")]))
    assert facts(trace) == [
        (0, 3000, 400, True),
        (240, 3000, 500, True),
        (300, 2500, 500, True),
        (360, 2500, 450, True),
    ]
    assert any("`sensor.solar_power` is taken as pv" in note for note in trace.notes)


def test_home_assistants_entities_are_what_their_owner_says(read):
    text = changes(a=SUN, b=[("12:00:00", "2600"), ("12:06:00", "2100")], c=[("12:00:00", "55.5")])
    trace = read(text, ("pv", "sensor.a"), ("grid", "-sensor.b"), ("tank_temp", "sensor.c"))
    first, *_ = trace.moments
    assert (first.base_w, first.inputs) == (400, {"tank_temp": 55.5})
    assert trace.notes == ()


def test_bought_and_sold_may_be_two_entities_and_our_loads_are_taken_out(read):
    bought, sold = [("12:00:00", "0"), ("12:06:00", "100")], [("12:00:00", "600"), ("12:06:00", "0")]
    text = changes(roof=SUN, heater=[("12:00:00", "2000")], from_grid=bought, to_grid=sold)
    trace = read(text, ("pv", "sensor.roof"), ("own", "sensor.heater"))
    assert facts(trace) == [(0, 3000, 400, True), (300, 2500, -100, True), (360, 2500, 600, True)]


@pytest.mark.parametrize(
    ("sun", "said", "watts"),
    [
        (["3.25", "2.5"], "sensor.roof", [3250, 2500]),  # nobody says so, but a roof of three watts is none
        (["3.25", "2.5"], "sensor.roof:W", [3.25, 2.5]),
        (["3", "2"], "sensor.roof:kW", [3000, 2000]),
        (["325.5", "200"], "sensor.roof", [325.5, 200]),
    ],
)
def test_watts_or_kilowatts(read, sun, said, watts):
    text = changes(roof=list(zip(("12:00:00", "12:06:00"), sun, strict=True)), house_power=HOUSE)
    trace = read(text, ("pv", said))
    assert sorted({one.pv_w for one in trace.moments}, reverse=True) == watts


def test_a_unit_in_the_file_is_believed(read):
    lines = ["entity_id,state,last_changed,unit_of_measurement"]
    lines += [f"sensor.solar_power,{watts},2025-06-21T12:0{watts}:00Z,kW" for watts in (1, 2)]
    lines += [f"sensor.house_power,{watts}.5,2025-06-21T12:0{watts}:00Z,W" for watts in (1, 2)]
    assert [(one.pv_w, one.base_w) for one in read("\n".join(lines)).moments] == [(1000, 1.5), (2000, 2.5)]


def test_what_is_unavailable_is_not_known_until_it_comes_back(read):
    trace = read(changes(solar_power=[*SUN, ("12:07:00", "unavailable"), ("12:09:00", "2000")], house_power=HOUSE))
    assert [(at, known) for at, _, _, known in facts(trace)][-3:] == [(360, True), (420, False), (540, True)]


def test_a_sun_that_takes_is_turned_around(read):
    night = read(changes(solar_power=[("12:00:00", "-8"), ("12:06:00", "0")], house_power=HOUSE))
    assert {one.pv_w for one in night.moments} == {0}
    with pytest.raises(LoadctlError, match=r"house.csv: the panels give -3000 W, .*, as in --entity pv=-sensor"):
        read(changes(solar_power=[("12:00:00", "-3000"), ("12:06:00", "0")], house_power=HOUSE))


def test_a_house_that_is_silent_for_over_an_hour_is_a_gap(read):
    trace = read(
        changes(
            solar_power=[("12:00:00", "3000")], house_power=[("12:00:00", "400"), ("12:50:00", "5"), ("15:00:00", "7")]
        )
    )
    assert [known for *_, known in facts(trace)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("entities", "named", "words"),
    [
        ({"solar": SUN, "pv_total_power": SUN, "house": HOUSE}, (), "more than one entity could be pv: `sensor.solar`"),
        ({"roof": SUN, "cellar": HOUSE}, (), "cannot tell which entity is pv and load (or grid): say it with --entity"),
        ({"solar": SUN, "cellar": HOUSE}, (), "cannot tell which entity is load (or grid)"),
        ({"roof": SUN}, (("pv", "sensor.rof"),), "there is no entity `sensor.rof` in it, but `sensor.roof`"),
        ({"roof": SUN}, (("pv", "sensor.roof:MW"),), "`MW` is no unit of power: write pv=sensor.roof:kW"),
        ({"roof": [("12:00:00", "unknown")]}, (), "no entity in it has a number"),
        ({"solar": SUN[::-1], "house": HOUSE}, (), "the times of `sensor.solar` run backwards"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_download_is_told(read, tmp_path, entities, named, words):
    with pytest.raises(LoadctlError) as told:
        tuple(read(changes(**entities), *named).moments)
    assert str(told.value).startswith(f"{tmp_path / 'house.csv'}:")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_part_of_a_trace_is_cut_through_its_rows():
    whole = made_up([(600, 1000, 300), (600, 2000, 300)], begin=NOON)
    part = cut(whole, NOON + 300, NOON + 900)
    assert [(one.time - NOON, one.for_s, one.pv_w) for one in part.moments] == [(300, 300, 1000), (600, 300, 2000)]
    assert (part.begin, part.end) == (NOON + 300, NOON + 900)
    assert cut(whole, None, NOON + 600).moments[-1].pv_w == 1000
    assert cut(whole, NOON - 50, NOON + 5000) is whole
    with pytest.raises(
        LoadctlError, match="nothing of it lies there: it goes from 2025-06-21 12:00 to 2025-06-21 12:20"
    ):
        cut(whole, NOON + 1200, NOON + 1800)


def test_traces_are_joined_in_the_order_of_their_times():
    """What lies between is lived blindly for an hour at most, then time jumps."""
    first, near = made_up([(600, 1, 1)], NOON, "a"), made_up([(600, 2, 2)], NOON + 1200, "b")
    far = made_up([(600, 3, 3)], NOON + 90 * 86400, "c")
    whole = joined([far, first, near])
    assert [(one.time - NOON, one.for_s, one.known) for one in whole.moments] == [
        (0, 600, True),
        (600, 600, False),
        (1200, 600, True),
        (1800, BLIND_S, False),
        (90 * 86400, 600, True),
    ]
    assert (whole.name, whole.begin, whole.end) == ("a … c", NOON, NOON + 90 * 86400 + 600)
    with pytest.raises(LoadctlError, match="d: begins on 2025-06-21 at 12:05, before a ends"):
        joined([first, made_up([(600, 2, 2)], NOON + 300, "d")])


def test_a_long_gap_within_a_trace_is_cut_short(read):
    head = "time,pv_w,load_w\n"
    rows = "".join(f"2025-06-{day}T12:0{minute}:00,1,1\n" for day in (21, 23) for minute in (0, 1, 2))
    lived = joined([read(head + rows)]).moments
    assert [one.for_s for one in lived] == [60, 60, 60, BLIND_S, 60, 60, 60]


def test_any_moment_of_a_file_can_be_had(read):
    moments = read("time,pv_w,load_w\n" + "".join(f"2025-06-21T12:0{n}:00,{n},1\n" for n in range(5))).moments
    assert [moments[index].pv_w for index in (0, 2, 4, -1, -2)] == [0, 2, 4, 4, 3]
    with pytest.raises(IndexError):
        moments[9]


def test_a_long_trace_takes_no_more_memory_than_a_short_one(tmp_path: Path):
    def peak(days: int) -> int:
        file = tmp_path / f"{days}.csv"
        with file.open("w") as out:
            out.write("time,pv_w,load_w\n")
            begin = datetime(2025, 1, 1, tzinfo=UTC)
            for minute in range(0, days * 1440, 2):
                out.write(f"{(begin + timedelta(minutes=minute)).isoformat()},{minute % 3000},{minute % 400}\n")
        tracemalloc.start()
        seconds = sum(one.for_s for one in joined([open_trace(file, ZoneInfo("UTC"))]).moments)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seconds == days * 86400
        return most

    short, long = peak(2), peak(60)
    assert long < 1.5 * short + 50_000
