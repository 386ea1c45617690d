"""A replay as a PNG, drawn by matplotlib."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

from loadctl.errors import LoadctlError
from loadctl.lab.course import Course
from loadctl.lab.plot.bins import Bins, Panel, most, nice, panels

SUN, HOUSE, BOUGHT, SOLD = "#f2b705", "#9aa6ae", "#d1495b", "#2a9d8f"
LOADS = ("#2f6fde", "#9b5de5", "#e76f51", "#1aa6b7", "#c44fa0", "#6a994e", "#8d6e63", "#4d5bb0")
MOST_PANELS = 12  # a picture with more of them cannot be read


def draw(courses: Sequence[Course], path: Path) -> None:
    """Draw courses of the same time. Raises LoadctlError: no matplotlib, too many days, no place to write."""
    found = panels(courses)
    if len(found) > MOST_PANELS:
        raise LoadctlError(
            f"{path}: {len(found)} days are too many for a picture: take --plot out.html, or some with --from and --to"
        )
    try:
        drawn(courses, found).savefig(path, dpi=110)
    except OSError as error:
        raise LoadctlError(f"{path}: cannot be written: {error.strerror}") from error


def drawn(courses: Sequence[Course], found: Sequence[Panel]) -> Any:
    """Return the figure of the panels of courses. Raises LoadctlError without matplotlib."""
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise LoadctlError("a PNG needs matplotlib: pip install 'loadctl[lab]', or take --plot out.html") from error
    loads = list(dict.fromkeys(load for course in courses for load in course.minutes.loads))
    row = [4.0, 1.0, 0.35 * max(1, len(loads))]
    count = len(found) * len(courses)
    figure = figures.Figure(figsize=(12, (sum(row) * 0.72 + 0.9) * count + 0.4), layout="constrained")
    groups = figure.subfigures(count, 1, squeeze=False)[:, 0]
    for number, panel in enumerate(found):
        for index, (course, bins) in enumerate(zip(courses, panel.bins, strict=True)):
            group = groups[number * len(courses) + index]
            axes = group.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": row, "hspace": 0.05})
            group.suptitle(f"{panel.title}, {course.name}", x=0.01, ha="left", fontsize=11, fontweight="bold")
            _draw(axes, panel, bins, course, loads)
    return figure


def _draw(axes: Sequence[Any], panel: Panel, bins: Bins, course: Course, loads: Sequence[str]) -> None:
    power, grid, rows = axes
    times = [panel.begin + (number + 0.5) * panel.step_s for number in range(len(bins.pv_w))]
    edges = [[watts / 1000 for watts in edge] for edge in bins.stacked()]
    sun = [watts / 1000 for watts in bins.pv_w]
    power.fill_between(times, sun, color=SUN, alpha=0.28, linewidth=0)
    power.fill_between(times, edges[0], color=HOUSE, alpha=0.85, linewidth=0, label=_label("house", bins.base_w))
    for load, below, above in zip(course.minutes.loads, edges, edges[1:], strict=False):
        colour = LOADS[loads.index(load) % len(LOADS)]
        power.fill_between(times, below, above, color=colour, alpha=0.85, linewidth=0, label=load)
    power.plot(times, sun, color=SUN, linewidth=1.3, label=_label("sun", sun))
    power.set_ylabel(f"kW, {panel.means}")
    top_w, _ = nice(panel.most_w)
    power.set_ylim(0, top_w / 1000)
    grid.fill_between(
        times, [max(0.0, watts) / 1000 for watts in bins.grid_w], color=BOUGHT, linewidth=0, label="bought"
    )
    grid.fill_between(times, [min(0.0, watts) / 1000 for watts in bins.grid_w], color=SOLD, linewidth=0)
    grid.axhline(0, color="#626b72", linewidth=0.6)
    most_kw = panel.most_grid_w / 1000 or 1.0
    grid.set_ylim(-most_kw, most_kw)
    grid.set_yticks([most_kw / 2, -most_kw / 2], ["bought", "sold"])
    names = list(course.minutes.loads)
    for place, load in enumerate(names):
        colour = LOADS[loads.index(load) % len(LOADS)]
        runs = [(run.begin, run.end - run.begin) for run in course.runs if run.load == load]
        rows.broken_barh(runs, (place - 0.38, 0.76), facecolors=colour, alpha=0.3)
        draw_w = bins.draws[place]
        peak = most([draw_w]) or 1.0
        over = [place + 0.38 - 0.76 * watts / peak for watts in draw_w]
        rows.fill_between(times, over, place + 0.38, color=colour, linewidth=0)
    rows.set_yticks(range(len(names)), names)
    rows.set_ylim(len(names) - 0.5, -0.5)
    ticks = list(panel.ticks())
    rows.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    rows.set_xlim(panel.begin, panel.end)
    for one in axes:
        one.spines[["top", "right", "left"]].set_visible(False)
        one.tick_params(length=0, colors="#626b72")
        one.grid(axis="x", color="#e3e5e1", linewidth=0.7)
        one.set_axisbelow(True)
    power.grid(axis="y", color="#e3e5e1", linewidth=0.7)
    power.legend(loc="upper left", frameon=False, ncols=len(names) + 2, fontsize=9)


def _label(name: str, values: Sequence[float]) -> str:
    return f"{name}: unknown" if all(map(isnan, values)) else name
