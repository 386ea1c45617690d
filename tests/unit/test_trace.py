"""Recorded days: what a file says of each second, where it is silent, and what is told of a file that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loadctl.errors import LoadctlError
from loadctl.lab.trace import Trace, read_csv

NOON = datetime(2025, 6, 21, 12, tzinfo=UTC).timestamp()
HEAD = "time,pv_w,load_w\n"


@pytest.fixture
def read(tmp_path: Path):
    def from_text(text: str, zone: str = "UTC") -> Trace:
        file = tmp_path / "day.csv"
        file.write_text(text, encoding="utf-8")
        return read_csv(file, ZoneInfo(zone))

    return from_text


def rows(*at: str, head: str = HEAD, tail: str = "1000,300") -> str:
    return head + "".join(f"2025-06-21T{clock},{tail}\n" for clock in at)


def held(trace: Trace) -> list[tuple[float, float, bool]]:
    return [(moment.time - NOON, moment.for_s, moment.known) for moment in trace.moments]


def test_a_row_holds_until_the_next_and_the_last_as_long_as_usual(read):
    trace = read("time,pv_w,load_w\n2025-06-21T12:00:00,1000,300\n2025-06-21T12:01:00,2000,400\n")
    assert [(m.time - NOON, m.pv_w, m.base_w, m.for_s) for m in trace.moments] == [
        (0, 1000, 300, 60),
        (60, 2000, 400, 60),
    ]
    assert (trace.name, trace.step_s) == ("day", 60)
    seconds = list(trace.seconds())
    assert [at - NOON for at, _ in seconds] == list(range(120))
    assert [moment.pv_w for _, moment in seconds] == [1000] * 60 + [2000] * 60


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param("12:04:00", [(120, 120, True), (240, 60, True)], id="one row is missing"),
        pytest.param("12:04:30", [(120, 150, True), (270, 60, True)], id="a row is late"),
        pytest.param("12:04:31", [(120, 60, True), (180, 91, False), (271, 60, True)], id="a gap"),
    ],
)
def test_in_a_gap_nothing_is_known(read, after, expected):
    """The row before it holds for its usual time."""
    trace = read(rows("12:00:00", "12:01:00", "12:02:00", after))
    assert held(trace) == [(0, 60, True), (60, 60, True), *expected]


def test_each_second_is_in_one_row(read):
    trace = read(rows("12:00:00", "12:00:06", "12:00:12", "12:07:00", "12:07:06"))
    at = [second for second, _ in trace.seconds()]
    assert at == [NOON + second for second in range(432)]


@pytest.mark.parametrize(
    ("columns", "cells", "base_w"),
    [
        ("pv_w,load_w", "1000,300", 300),
        ("pv_w,grid_w", "1000,-700", 300),
        ("pv_w,grid_w", "0,250", 250),
        ("pv_w,grid_w,battery_w", "1000,-200,-500", 300),
        ("pv_w,grid_w,battery_w", "0,50,200", 250),
        ("pv_w,load_w,grid_w", "1000,300,5", 300),
        ("pv_w,load_w,grid_w", "1000, ,-700", 300),
        ("pv_w,load_w,battery_w,soc_pct", "1000,300,-500,40", 300),
    ],
)
def test_what_the_house_draws(read, columns, cells, base_w):
    """Without `load_w` it is what came over the meter, from the panels and out of the battery."""
    trace = read(rows("12:00:00", "12:01:00", head=f"time,{columns}\n", tail=cells))
    assert {moment.base_w for moment in trace.moments} == {base_w}


def test_what_is_left_empty_is_not_known(read):
    trace = read(
        HEAD + "".join(f"2025-06-21T12:0{minute}:00,{cells}\n" for minute, cells in enumerate((",3", "1", "1,3")))
    )
    assert [moment.known for moment in trace.moments] == [False, False, True]


def test_without_panels_only_the_grid_is_known(read):
    trace = read(rows("12:00:00", "12:01:00", head="time,grid_w\n", tail="-700"))
    assert {(moment.sees_sun, moment.pv_w, moment.base_w) for moment in trace.moments} == {(False, 0, -700)}


@pytest.mark.parametrize(
    "text",
    [
        "time;pv_w;load_w\n2025-06-21T12:00;1500;300\n2025-06-21T12:01;1500;300\n",
        "time\tpv_w\tload_w\n2025-06-21T12:00\t1500\t300\n2025-06-21T12:01\t1500\t300\n",
        "\ufeffTime;PV_W;Load_W\n2025-06-21T12:00;1500;300\n2025-06-21T12:01;1500;300\n",
        "time,pv_kw,load_kW\n2025-06-21T12:00,1.5,0.3\n2025-06-21T12:01,1.5,0.3\n",
        "time,pv_kw,load_w,\n2025-06-21T12:00,1.5,300,\n2025-06-21T12:01,1.5,300,\n",
    ],
)
def test_how_a_spreadsheet_writes_it(read, text):
    assert {(moment.time - NOON, moment.pv_w, moment.base_w) for moment in read(text).moments} == {
        (0, 1500, 300),
        (60, 1500, 300),
    }


@pytest.mark.parametrize(("columns", "cells"), [("pv_w,load_w", "-12,300"), ("pv_w,grid_w", "-12,300")])
def test_what_an_inverter_draws_at_night_is_the_houses(read, columns, cells):
    trace = read(rows("12:00:00", "12:01:00", head=f"time,{columns}\n", tail=cells))
    assert {(moment.pv_w, moment.base_w) for moment in trace.moments} == {(0, 300)}


def test_columns_that_contradict_each_other_are_noted_once(read, tmp_path):
    head = "time,pv_w,load_w,grid_w,battery_w\n"
    cells = ("1000,300,-700,", "1000,300,-1000,300", "1000,300,400,", "1000,,-700,", "1000,300,5000,0")
    text = head + "".join(f"2025-06-21T12:0{n}:00,{row}\n" for n, row in enumerate(cells))
    first = f"{tmp_path / 'day.csv'}:4: the house draws 300 W by `load_w`, by the others 1400 W"
    assert read(text).notes == (f"{first}; so in 2 of 4 rows they contradict each other, and `load_w` is taken",)
    assert read(rows("12:00:00", "12:01:00")).notes == ()


def test_what_else_was_recorded_is_an_input(read):
    head, tail = "time,pv_w,load_w,battery_w,soc_pct,tank_temp,pool.open\n", "1000,300,-500,40,51.5,on"
    first, _ = read(rows("12:00:00", "12:01:00", head=head, tail=tail)).moments
    assert (first.base_w, first.battery_w, first.soc_pct) == (300, -500, 40)
    assert first.inputs == {"tank_temp": 51.5, "pool.open": 1.0}


def test_time_without_an_offset_is_the_sites(read):
    local = read(rows("14:00:00", "14:01:00"), "Europe/Amsterdam")
    assert local.moments[0].time == NOON
    told = read(rows("12:00:00+00:00", "12:01:00+00:00"), "Europe/Amsterdam")
    assert told.moments[0].time == NOON


AUTUMN = ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")


def test_the_hour_that_comes_twice_in_autumn_is_two(read):
    """As a clock on the wall shows it; one that is written by the hour shows 02:00 twice in a row."""
    by_half_hours = read(HEAD + "".join(f"2025-10-26T{clock},1,1\n" for clock in AUTUMN), "Europe/Amsterdam")
    by_hours = read(HEAD + "".join(f"2025-10-26T{clock},1,1\n" for clock in AUTUMN[1::2][:1] * 2), "Europe/Amsterdam")
    assert [moment.for_s for moment in by_half_hours.moments] == [1800] * 6
    assert [moment.for_s for moment in by_hours.moments] == [3600] * 2


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_time_that_runs_back_any_further_is_a_fault(read, zone):
    times = ("02:30", "02:29") if zone == "UTC" else (*AUTUMN[:5], "02:15")
    with pytest.raises(LoadctlError, match=r"time runs backwards from 2025-10-26T02:30 to 2025-10-26T02:\d\d: write"):
        read(HEAD + "".join(f"2025-10-26T{clock},1,1\n" for clock in times), zone)


def test_a_spreadsheets_byte_order_mark_is_none_of_the_names(read):
    assert read("\ufeff" + rows("12:00:00", "12:01:00")).moments[0].time == NOON


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "", "at least two rows"),
        (rows("12:00:00"), "", "at least two rows"),
        (rows("12:00:00", "noon"), ":3", "`time` reads like 2025-06-21T12:00:00, not `2025-06-21Tnoon`"),
        (rows("12:00:00", head="when,pv_w,load_w\n"), ":1", "no trace has the columns when, pv_w, load_w: it takes"),
        (rows("12:00:00", head="time,sun,load_w\n"), ":1", "`pv_w` is missing"),
        (rows("12:00:00", head="time,pv_w,house\n"), ":1", "`load_w` (the house without its loads) or `grid_w` is"),
        (rows("12:00:00", head="time,pv_w,load_w,door\n", tail="1,2,ajar"), ":2", "`door` is an input: a number, yes"),
        (rows("12:00:00") + "2025-06-21T12:01:00,much,300\n", ":3", "`pv_w` is a number of watts, not `much`"),
        (rows("12:00:00") + "2025-06-21T12:01:00,nan,300\n", ":3", "`pv_w` is a number of watts, not `nan`"),
        (rows("12:00:00") + "2025-06-21T12:01:00,0,1e999\n", ":3", "`load_w` is a number of watts, not `1e999`"),
        (rows("12:00:00", tail="-3000,300"), ":2", "the panels give -3000 W, which cannot be: turn the sign around"),
        (rows("12:00:00", tail="0,2e9"), ":2", "`load_w` is 2e9: that is more than a megawatt, which no house has"),
        (rows("12:00:00", tail="1,5,300"), ":2", "4 cells below 3 names of columns: write numbers with a point"),
        (HEAD.replace(",", ";") + "2025-06-21T12:00;1,5;3\n", ":2", "not `1,5`: write it with a point"),
        ("time,pv_kw,pv_w,load_w\n", ":1", "`pv_w` and `pv_kw` are the same: leave one out"),
        (rows("12:00:00", "12:01:00", "12:01:00"), ":4", "2025-06-21T12:01:00 comes twice: remove the second row"),
        (
            rows("12:00:00", "12:01:00", "12:00:30"),
            ":4",
            "from 2025-06-21T12:01:00 to 2025-06-21T12:00:30: write times",
        ),
        (rows("12:00:00Z", "12:01:00Z", "12:00:30Z"), ":4", "to 2025-06-21T12:00:30Z: put the rows in order"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_place(read, tmp_path, text, place, words):
    with pytest.raises(LoadctlError) as told:
        read(text)
    assert str(told.value).startswith(f"{tmp_path / 'day.csv'}{place}: ")
    assert words in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(LoadctlError, match=r"day\.csv: cannot be read"):
        read_csv(tmp_path / "day.csv", UTC)


def test_a_file_that_is_no_text_is_told(tmp_path):
    file = tmp_path / "day.csv"
    file.write_bytes(b"time,pv_w\n\xff\xfe")
    with pytest.raises(LoadctlError, match=r"day\.csv: is no CSV file in UTF-8"):
        read_csv(file, UTC)
