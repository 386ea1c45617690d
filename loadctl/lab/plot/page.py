"""A replay as one page for the browser: it asks nothing of any other place, and prints as well.

Each panel has, for each rule file, the power over the day, below it what was bought and sold, and a row for each load.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib import resources
from itertools import groupby
from math import isnan
from typing import Any

from loadctl.lab.course import Course
from loadctl.lab.plot.bins import Bins, Panel, most, nice, panels
from loadctl.units import span

WIDTH, LEFT, RIGHT = 1000, 104, 22
POWER, GRID, ROW, GAP, FOOT = 200, 56, 24, 12, 22
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
COLOURS = 8  # of loads, in the style sheet


def page(courses: Sequence[Course]) -> str:
    """Return the page of courses of the same time."""
    files = resources.files("loadctl.lab.plot")
    style, script = (files.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    found = panels(courses)
    title = f"loadctl replay: {', '.join(course.name for course in courses)}"
    data = json.dumps(_data(courses, found), separators=(",", ":")).replace("<", "\\u003c")
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{style}</style></head><body>",
            f"<header><h1>{escape(title.partition(': ')[2])}</h1>{''.join(_legend(courses))}</header>",
            *_summary(courses),
            *(_panel(panel, number, courses) for number, panel in enumerate(found)),
            '<div id="tip" role="status" hidden></div>',
            f'<script id="data" type="application/json">{data}</script><script>{script}</script></body></html>',
            "",
        )
    )


def _legend(courses: Sequence[Course]) -> Iterator[str]:
    yield '<ul class="legend"><li><i class="sun"></i>sun</li><li><i class="base"></i>house</li>'
    for number, load in enumerate(_loads(courses)):
        yield f'<li><i class="load c{number % COLOURS}"></i>{escape(load)}</li>'
    yield '<li><i class="bought"></i>bought</li><li><i class="sold"></i>sold</li></ul>'


def _summary(courses: Sequence[Course]) -> Iterator[str]:
    loads = _loads(courses)
    for course in courses:
        totals = course.totals
        share = "–" if totals.self_consumption is None else f"{totals.self_consumption:.0%}"
        cells = [
            ("sun", "unknown", "") if totals.pv_wh is None else ("sun", _kwh(totals.pv_wh), f"{share} used here"),
            ("bought", _kwh(totals.import_wh), f"for {totals.paid:z.2f}"),
            ("sold", _kwh(totals.export_wh), f"for {totals.earned:z.2f}"),
            ("the bill", f"{totals.money:z.2f}", ""),
        ]
        for load in loads:
            part = totals.loads.get(load)
            if part is None:
                cells.append((load, "–", "not in these rules"))
                continue
            starts = "1 start" if part.starts == 1 else f"{part.starts} starts"
            cells.append((load, _kwh(part.energy_wh), f"{_kwh(part.grid_wh)} bought, {starts}"))
            if part.missed:
                cells.append((load, f"{part.missed} of {part.needs}", "needs missed"))
            if part.unjudged:
                cells.append((load, str(part.unjudged), "needs not judged: the trace has a gap"))
        yield f"<h3>{escape(course.name)}</h3>" if len(courses) > 1 else ""
        yield '<dl class="sums">'
        for label, value, more in cells:
            yield f"<div><dt>{escape(label)}</dt><dd>{value}<small>{more}</small></dd></div>"
        yield "</dl>"


def _panel(panel: Panel, number: int, courses: Sequence[Course]) -> str:
    title = f"{escape(panel.title)} <small>{panel.means}</small>"
    parts = [f'<section><h2>{title}</h2><div class="scroll"><div class="charts">']
    for index, (course, bins) in enumerate(zip(courses, panel.bins, strict=True)):
        if len(courses) > 1:
            parts.append(f"<h3>{escape(course.name)}</h3>")
        colours = [_loads(courses).index(load) % COLOURS for load in course.minutes.loads]
        parts.append(_chart(panel, bins, course, colours, (number, index)))
    return "".join((*parts, "</div></div></section>"))


def _chart(
    panel: Panel,
    bins: Bins,
    course: Course,
    colours: Sequence[int],
    place: tuple[int, int],
) -> str:
    loads = course.minutes.loads
    rows_at = POWER + GAP + GRID + GAP
    height = rows_at + ROW * len(loads) + FOOT
    label = f"{panel.title} under {course.name}"
    which = f'data-panel="{place[0]}" data-course="{place[1]}"'
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" {which}>']
    draw = _Drawing(panel)
    top_w, step_w = nice(panel.most_w)
    for watts in _steps(top_w, step_w):
        y = POWER - watts / top_w * (POWER - 8)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="end">{_kw(watts)}</text>')
    for at, clock in panel.ticks():
        x = draw.x(at)
        parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - FOOT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" class="mid">{clock}</text>')
    scale = (POWER - 8) / top_w
    zero = [0.0] * len(bins.pv_w)
    parts.append(draw.area("sun", bins.pv_w, zero, POWER, scale))
    edges = bins.stacked()
    parts.append(draw.area("base", edges[0], zero, POWER, scale))
    for colour, below, above in zip(colours, edges, edges[1:], strict=False):
        parts.append(draw.area(f"load c{colour}", above, below, POWER, scale))
    parts.append(draw.line("sunline", bins.pv_w, POWER, scale))
    middle, half = POWER + GAP + GRID / 2, GRID / 2
    scale = half / max(panel.most_grid_w, 1.0)
    parts.append(draw.area("bought", [max(0.0, watts) for watts in bins.grid_w], zero, middle, scale))
    parts.append(draw.area("sold", [min(0.0, watts) for watts in bins.grid_w], zero, middle, scale))
    parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{middle}" y2="{middle}"/>')
    parts.append(f'<text x="{LEFT - 8}" y="{middle - 8}" class="end">bought</text>')
    parts.append(f'<text x="{LEFT - 8}" y="{middle + 17}" class="end">sold</text>')
    for number, (load, colour) in enumerate(zip(loads, colours, strict=True)):
        y = rows_at + ROW * number
        parts.append(f'<text x="{LEFT - 8}" y="{y + 16}" class="end">{escape(_short(load))}</text>')
        parts.append(f'<rect class="track" x="{LEFT}" y="{y + 3}" width="{WIDTH - RIGHT - LEFT}" height="{ROW - 6}"/>')
        parts += draw.runs(course, load, f"load c{colour}", y + 3, ROW - 6)
        drawn = bins.draws[number]
        peak = most((drawn, [1.0]))
        parts.append(draw.area(f"load c{colour}", drawn, zero, y + ROW - 3, (ROW - 6) / peak))
    parts.append(f'<line class="cross" y1="8" y2="{height - FOOT}" x1="-9" x2="-9"/></svg>')
    return "".join(parts)


class _Drawing:
    """Turns the times and powers of a panel into paths."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._per_s = (WIDTH - LEFT - RIGHT) / (panel.end - panel.begin)

    def x(self, at: float) -> float:
        return LEFT + (at - self._panel.begin) * self._per_s

    def area(self, kind: str, above: Sequence[float], below: Sequence[float], zero: float, scale: float) -> str:
        parts = []
        for first, last in _known(above):
            over = [f"{self._mid(i):.1f},{zero - above[i] * scale:.1f}" for i in range(first, last)]
            under = [f"{self._mid(i):.1f},{zero - below[i] * scale:.1f}" for i in reversed(range(first, last))]
            parts.append(f"M{'L'.join((*over, *_bare(under, below, first, last)))}Z")
        return f'<path class="{kind}" d="{"".join(parts)}"/>' if parts else ""

    def line(self, kind: str, values: Sequence[float], zero: float, scale: float) -> str:
        parts = []
        for first, last in _known(values):
            points = (f"{self._mid(i):.1f},{zero - values[i] * scale:.1f}" for i in range(first, last))
            parts.append(f"M{'L'.join(points)}")
        return f'<path class="{kind}" d="{"".join(parts)}"/>' if parts else ""

    def runs(self, course: Course, load: str, kind: str, y: float, height: float) -> Iterator[str]:
        """Draw when a load was on; what was said then stands in its title, for browsers without scripts."""
        panel = self._panel
        for run in course.runs:
            begin, end = max(run.begin, panel.begin), min(run.end, panel.end)
            if run.load != load or begin >= end:
                continue
            since, until = (datetime.fromtimestamp(at, panel.zone) for at in (run.begin, run.end))
            said = next(
                (one.sentence for one in reversed(course.decided) if one.load == load and one.time < run.begin), ""
            )
            title = escape(f"{load} {since:%H:%M}-{until:%H:%M} ({span(run.end - run.begin)}): {said}")
            yield (
                f'<rect class="run {kind}" x="{self.x(begin):.1f}" y="{y}" rx="2"'
                f' width="{max(1.0, self.x(end) - self.x(begin)):.1f}" height="{height}"><title>{title}</title></rect>'
            )

    def _mid(self, index: int) -> float:
        return min(self.x(self._panel.begin + (index + 0.5) * self._panel.step_s), WIDTH - RIGHT)


def _bare(under: list[str], below: Sequence[float], first: int, last: int) -> list[str]:
    """Return the lower edge; of a straight one its ends are enough."""
    straight = all(value == below[first] for value in below[first:last])
    return [under[0], under[-1]] if straight else under


def _known(values: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield from where to where (not included) values are known."""
    for known, group in groupby(range(len(values)), key=lambda i: not isnan(values[i])):
        indexes = list(group)
        if known:
            yield indexes[0], indexes[-1] + 1


def _data(courses: Sequence[Course], found: Sequence[Panel]) -> dict[str, Any]:
    """Return what the script shows: W by the bin, and decisions as (time, load, number of the sentence)."""
    sentences: dict[str, int] = {}
    told = [
        {
            "name": course.name,
            "loads": course.minutes.loads,
            "said": [
                (
                    round(one.time),
                    course.minutes.loads.index(one.load),
                    sentences.setdefault(one.sentence, len(sentences)),
                )
                for one in course.decided
            ],
        }
        for course in courses
    ]
    shown = [
        {
            "begin": panel.begin,
            "end": panel.end,
            "step": panel.step_s,
            "clock": _clocks(panel),
            "bins": [
                {
                    "sun": _rounded(bins.pv_w),
                    "house": _rounded(bins.base_w),
                    "grid": _rounded(bins.grid_w),
                    "loads": [_rounded(draw) for draw in bins.draws],
                }
                for bins in panel.bins
            ],
        }
        for panel in found
    ]
    return {
        "left": LEFT,
        "right": RIGHT,
        "width": WIDTH,
        "courses": told,
        "panels": shown,
        "sentences": list(sentences),
    }


def _clocks(panel: Panel) -> list[str]:
    form = "%H:%M" if panel.end - panel.begin <= 26 * 3600 else "%a %d %b %H:%M"
    begins = (panel.begin + index * panel.step_s for index in range(len(panel.bins[0].pv_w)))
    return [datetime.fromtimestamp(at, panel.zone).strftime(form) for at in begins]


def _rounded(values: Iterable[float]) -> list[int | None]:
    return [None if isnan(value) else round(value) for value in values]


def _loads(courses: Sequence[Course]) -> list[str]:
    return list(dict.fromkeys(load for course in courses for load in course.minutes.loads))


def _steps(top: float, step: float) -> Iterator[float]:
    return (step * number for number in range(round(top / step) + 1))


def _kw(watts: float) -> str:
    return f"{watts / 1000:g} kW" if watts else "0"


def _kwh(wh: float) -> str:
    return f"{wh / 1000:z.1f} kWh"


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"
