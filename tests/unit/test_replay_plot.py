"""Pictures of replays: what they show, and that they need nobody else for it."""

from __future__ import annotations

import importlib.util
import json
import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadctl.errors import LoadctlError
from loadctl.lab.course import Course, Minutes, Totals, lived
from loadctl.lab.plot.bins import nice, panels
from loadctl.lab.plot.page import page
from loadctl.lab.plot.picture import draw, drawn
from loadctl.lab.trace import Moment, Trace
from tests.lab_days import MONDAY, home, trace, unseen

HOUR = 3600.0
RULES = {"heater": {"power": "2 kW", "min_on": "2 min", "min_off": "2 min"}, "<car>": {"current": "6..16 A"}}


@pytest.fixture(scope="module")
def courses() -> list[Course]:
    day = trace([(HOUR, 0, 200), (2 * HOUR, 4600, 300), (HOUR, 0, 200)])
    rules = {**RULES, "heater": {**RULES["heater"], "start": "3 kW"}}
    loads = {"heater": RULES["heater"], "pool_and_more": {"power": "1 kW"}}
    return [lived(home(loads, day), name="one <b>"), lived(home({"heater": rules["heater"]}, day), name="two")]


class Page(HTMLParser):
    """Reads a page: its tags balance, and what they point at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.points: list[str] = []
        self.count: dict[str, int] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.points += [value for key, value in attrs if key in {"src", "href", "xlink:href", "action"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nothing_of_others(courses):
    text = page(courses)
    read = Page(text)
    assert (read.open, read.points) == ([], [])
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")
    assert "url(" not in text
    assert "@import" not in text
    assert read.count["svg"] == 2  # a day under two rule files
    assert "one <b>" not in text
    assert "one &lt;b&gt;" in text


def test_the_page_tells_the_reason_of_each_moment(courses):
    text = page(courses)
    (embedded,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    data = json.loads(embedded)
    one, _ = data["courses"]
    assert one["loads"] == ["heater", "pool_and_more"]
    assert len(one["said"]) == len(courses[0].decided)
    at, load, sentence = one["said"][-1]
    last = courses[0].decided[-1]
    assert (at, one["loads"][load], data["sentences"][sentence]) == (last.time, last.load, last.sentence)
    (panel,) = data["panels"]
    assert (panel["begin"], panel["end"], panel["step"]) == (MONDAY, MONDAY + 4 * HOUR, 60)
    assert len(panel["clock"]) == len(panel["bins"][0]["sun"]) == 240
    assert panel["bins"][0]["sun"][90] == 4600
    assert re.search(r"<title>heater 01:0\d-0\d:\d\d \(.*?\): starts: ", text)


def test_a_gap_is_a_gap_in_the_picture():
    moments = (Moment(MONDAY, 1000, 300, HOUR), Moment(MONDAY + HOUR, 1000, 300, HOUR, known=False))
    course = lived(home({"heater": RULES["heater"]}, Trace("gap", ZoneInfo("UTC"), moments)))
    (panel,) = panels([course])
    (bins,) = panel.bins
    assert [isnan(watts) for watts in bins.pv_w] == [False] * 60 + [True] * 60
    assert "NaN" not in page([course])
    assert "nan" not in re.findall(r' d="[^"]*"', page([course]))


def test_what_the_loads_draw_is_shown_where_nobody_sees_the_sun():
    course = lived(home({"heater": RULES["heater"]}, unseen(trace([(HOUR, 0, 200), (HOUR, 0, -2300)]))))
    (panel,) = panels([course])
    (bins,) = panel.bins
    assert all(isnan(watts) for watts in (*bins.pv_w, *bins.base_w))
    assert [round(watts) for watts in bins.stacked()[1][90:]] == [2000] * 30
    text = page([course])
    assert "<dt>sun</dt><dd>unknown" in text
    assert "nan" not in text.lower().replace("nance", "")


def long(days: int, zone: str = "Europe/Amsterdam", begin: float = MONDAY) -> Course:
    minutes = Minutes(("heater",))
    for at in range(int(begin), int(begin) + days * 86400, 600):
        minutes.time.append(at)
        for values in minutes.columns():
            values.append(100.0)
    return Course("long", ZoneInfo(zone), begin, begin + days * 86400, Totals(), minutes, (), ())


@pytest.mark.parametrize(("days", "count", "title"), [
    (3, 4, "Monday 3 March 2025"),  # it begins at one o'clock in Amsterdam, and ends on the fourth day
    (40, 6, "3 March 2025 to 9 March 2025"),
    (250, 9, "3 March 2025 to 2 April 2025"),
])  # fmt: skip
def test_a_panel_is_a_day_or_a_week_or_a_month(days, count, title):
    found = panels([long(days)])
    assert (len(found), found[0].title) == (count, title)
    assert all(one.end <= other.begin for one, other in pairwise(found))
    assert all(len(panel.bins[0].pv_w) <= 721 for panel in found)
    assert all(2 <= len(list(panel.ticks())) <= 14 for panel in found)


def test_the_days_on_which_the_clock_is_changed_are_whole():
    sunday = MONDAY - HOUR + 27 * 86400
    found = panels([long(1, begin=sunday)])
    assert found[0].end - found[0].begin == 23 * HOUR
    assert [text for _, text in found[0].ticks()][:3] == ["00:00", "04:00", "06:00"]


@given(st.floats(0, 50_000))
def test_a_scale_holds_what_it_shows(most):
    top, step = nice(most)
    assert top >= most
    assert 1 <= round(top / step) <= 6


def test_side_by_side_the_scale_is_the_same_and_says_what_it_shows(courses):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed: pip install 'loadctl[lab]'")
    figure = drawn(courses, panels(courses))
    power, grid = ([group.axes[place].get_ylim() for group in figure.subfigs] for place in (0, 1))
    assert power[0] == power[1]
    assert grid[0] == grid[1]
    assert figure.subfigs[0].axes[0].get_ylabel() == "kW, means of a minute"
    assert "<small>means of a minute</small>" in page(courses)
    (month,) = panels([long(1, begin=MONDAY - HOUR)])
    assert month.means == "means of 2 minutes"
    dark = lived(home({"heater": RULES["heater"]}, unseen(trace([(HOUR, 0, 200)]))))
    (group,) = drawn([dark], panels([dark])).subfigs
    assert {"sun: unknown", "house: unknown"} < {text.get_text() for text in group.axes[0].get_legend().get_texts()}


def test_a_png_is_drawn(courses, tmp_path: Path):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed: pip install 'loadctl[lab]'")
    file = tmp_path / "out.png"
    draw(courses, file)
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    assert width > 1000
    assert height > 600
    with pytest.raises(LoadctlError, match="cannot be written"):
        draw(courses, tmp_path / "nowhere" / "out.png")
    with pytest.raises(LoadctlError, match="20 days are too many for a picture: take --plot"):
        draw([replace(long(20, "UTC"))], file)
