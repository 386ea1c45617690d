"""Hours and needs that do not fit together, on the days of a whole year where the sun or a season has a say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from math import ceil

from loadctl.config import dates
from loadctl.config.findings import Findings, Path
from loadctl.config.keys_load import NeedKeys
from loadctl.config.loads import window as window_of
from loadctl.config.scene import Rule, Scene
from loadctl.config.year import Due, Year
from loadctl.core.calendar import openings
from loadctl.core.rules import Clock, Load, Need
from loadctl.units import spell

COLD_C = 10.0  # water from the mains


def hours(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Find hours that are none, and needs that cannot be met in them."""
    for rule in rules:
        for index, between in enumerate(rule.keys.between):
            place = (*rule.path, "between", index)
            if _knows_the_sun((between.start, between.to), scene, place, findings):
                _hours(rule, index, scene.year, place, findings)
        for index, (need, keys) in enumerate(zip(rule.load.needs, rule.keys.need, strict=True)):
            place = (*rule.path, "need", index)
            if _knows_the_sun((need.by,), scene, place, findings):
                _need(rule.load, need, keys, scene.year, place, findings)
            _daily(rule, need, place, findings)


def _knows_the_sun(clocks: Sequence[Clock], scene: Scene, place: Path, findings: Findings) -> bool:
    """Tell of a sun that nobody knows, or only roughly."""
    sun = next((at.sun for at in clocks if at.sun), None)
    if sun is None or scene.site.location is not None:
        return True
    exactly = "`site: {location: {latitude: 52.1, longitude: 5.1}}`"
    if scene.location is None:
        findings.fault(place, f"where is the house? for its {sun} write {exactly}")
        return False
    city = scene.zone.key.rpartition("/")[2].replace("_", " ")
    findings.note(place, f"the {sun} is that of {city}, since the file does not tell where the house is: {exactly}")
    return True


def _hours(rule: Rule, index: int, year: Year, place: Path, findings: Findings) -> None:
    between = rule.keys.between[index]
    first, last = dates.spell_clock(between.start), dates.spell_clock(between.to, end=True)
    if between.start == between.to and between.start != Clock(time(0)):
        findings.fault(place, f"these hours begin and end at {first}; for the whole day write `00:00-24:00`")
        return
    window = window_of(between)
    lengths = [
        end - start
        for week in year.for_hours((window,))
        for start, end in openings((window,), range(week.monday, week.monday + 7), week.zone, week.sun)
    ]
    if not lengths:
        findings.fault(place, f"{first} is never before {last}; these hours never come")
        return
    length_s, dash = _floor(max(lengths)), " to " if between.start.sun or between.to.sun else "-"
    if rule.load.min_on_s > length_s:
        findings.fault(
            (*rule.path, "min_on") if rule.keys.min_on is not None else place,
            f"`min_on: {spell(rule.load.min_on_s, 's')}` does not fit into {first}{dash}{last}; "
            f"write at most `min_on: {dates.spell_length(length_s)}` or longer hours",
        )


def _need(load: Load, need: Need, keys: NeedKeys, year: Year, place: Path, findings: Findings) -> None:
    """Try the need on all weeks: never met is a fault, not met in some months is told."""
    needed_s = _needed_s(load, need, keys)
    troubles: list[tuple[float, str, str]] = []
    met = False
    for week in year.of(load):
        dues = list(week.dues(load, need))
        there_s = _floor(min((due.open_s for due in dues), default=needed_s))
        trouble = _trouble(load, need, dues, needed_s, there_s)
        if trouble is None:
            met = met or bool(dues)
        elif week.steady:
            troubles.append((there_s, trouble, week.month))
    if troubles and met:
        months = ", ".join(dict.fromkeys(month for _, _, month in troubles))
        findings.note(place, f"in {months}: {min(troubles)[1]}")
    elif troubles:
        findings.fault(place, min(troubles)[1])
    else:
        _from_the_bottom(load, need, year, place, findings)


def _floor(seconds: float) -> float:
    """Round down to what a person would write."""
    return seconds // 300 * 300 if seconds > 3600 else seconds // 60 * 60


def _needed_s(load: Load, need: Need, keys: NeedKeys) -> float:
    """Return how long the need takes for sure, at full power."""
    if need.runtime_s is not None:
        return need.runtime_s
    if need.energy_wh is not None:
        return need.energy_wh * 3600 / load.power_w
    return keys.takes or 0.0


def _trouble(load: Load, need: Need, dues: Sequence[Due], needed_s: float, there_s: float) -> str | None:
    by = dates.spell_clock(need.by)
    if any(due.outside for due in dues):
        return f"`by {by}` lies outside its hours; {_better_end(load, need)}"
    if needed_s <= min((due.open_s for due in dues), default=needed_s) + 1:
        return None
    there = dates.spell_length(there_s)
    if need.runtime_s is not None:
        asked, most = dates.spell_length(needed_s), f"{there} by {by}"
    elif need.energy_wh is not None:
        asked = f"{spell(need.energy_wh, 'Wh')} ({dates.spell_length(ceil(needed_s / 60) * 60)})"
        most = f"{spell(int(there_s / 3600 * load.power_w / 100) * 100.0, 'Wh')} by {by}"
    else:
        asked, most = f"what takes {dates.spell_length(needed_s)}", f"takes: {there}"
    return f"{asked} cannot be had by {by}: {there} are allowed; write at most `{most}` or allow longer hours"


def _better_end(load: Load, need: Need) -> str:
    ends = sorted({dates.spell_clock(window.end, end=True) for window in load.windows if window.days & need.days})
    if not ends:
        return "its hours never fall on " + ", ".join(dates.sorted_names(need.days))
    return "write " + " or ".join(f"`by {end}`" for end in ends)


def _from_the_bottom(load: Load, need: Need, year: Year, place: Path, findings: Findings) -> None:
    """Tell of a level that the hours are too short for when it begins cold or empty."""
    if need.level is None or need.level.wh_per_unit is None:
        return
    warm = findings.known((*place, "litres"))[-1] == "litres"
    bottom, word = (COLD_C, f"{COLD_C:g} °C") if warm else (0.0, "empty")
    needed_s = (need.level.target - bottom) * need.level.wh_per_unit * 3600 / load.power_w
    there_s = min((due.open_s for week in year.of(load) for due in week.dues(load, need)), default=needed_s)
    if needed_s > there_s:
        findings.note(
            place,
            f"from {word} it takes {dates.spell_length(ceil(needed_s / 900) * 900)}, longer than the "
            f"{dates.spell_length(_floor(there_s))} before {dates.spell_clock(need.by)}",
        )


def _daily(rule: Rule, need: Need, place: Path, findings: Findings) -> None:
    """Find a need that is more than `daily_max` lets it have."""
    load = rule.load
    days = 1 if len(need.days) == 7 and need.every_days == 1 else max(need.every_days, _longest_gap(need.days)) + 1
    needed_s, needed_wh = need.runtime_s, need.energy_wh
    if needed_s is None and needed_wh is not None:
        needed_s = needed_wh * 3600 / load.power_w
    elif needed_wh is None and needed_s is not None:
        needed_wh = needed_s / 3600 * rule.least_w
    for needed, most, unit in ((needed_s, load.daily_runtime_s, "s"), (needed_wh, load.daily_energy_wh, "Wh")):
        if needed is None or most is None or needed <= most * days * 1.001:
            continue
        enough = ceil(needed / days / 60) * 60.0 if unit == "s" else ceil(needed / days / 100) * 100.0
        spelled = dates.spell_length(enough) if unit == "s" else spell(enough, unit)
        findings.fault(
            place, f"more than `daily_max: {spell(most, unit)}` lets it have; write at least `daily_max: {spelled}`"
        )
        return


def _longest_gap(days: frozenset[int]) -> int:
    return max((day - other) % 7 or 7 for day in days for other in days if not days & _between(other, day))


def _between(first: int, last: int) -> set[int]:
    return {(first + ahead) % 7 for ahead in range(1, (last - first) % 7 or 7)}
