"""Rules that are well written and still cannot be meant, each with the numbers that would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from math import ceil

from loadctl.config.findings import Findings, Path
from loadctl.config.house import Device
from loadctl.config.keys import LoadKeys, SiteKeys
from loadctl.config.words import DAYS
from loadctl.core.units import spell
from loadctl.core.values import Load, Need, Window

NOISE_W = 20.0  # by which two readings of an unchanged house differ
_DAY_MIN = 24 * 60
_WEEK_MIN = 7 * _DAY_MIN


@dataclass(frozen=True, slots=True)
class Rule:
    """One appliance as the file says it, as the core takes it, and the device behind it."""

    load: Load
    keys: LoadKeys
    device: Device


def sense(site: SiteKeys, rules: Sequence[Rule], every_s: float | None, findings: Findings) -> None:
    """Find what cannot be meant. `every_s`: the meter's interval, None while it is not known."""
    if site.max_import is not None and site.reserve >= site.max_import:
        message = f"a reserve of {spell(site.reserve, 'W')} is more than the fuse of {spell(site.max_import, 'W')}"
        findings.fault(("site", "reserve"), f"{message}; write a few hundred watts, such as `100 W`")
    for rule in rules:
        path = ("loads", rule.load.name)
        _thresholds(site, rule.load, path, findings)
        _hours(rule, path, findings)
        _needs(rule.load, path, findings)
        _failsafe(rule, every_s, path, findings)
        if every_s is not None:
            _patience(rule.load, every_s, path, findings)
        if site.max_import is not None and rule.load.power_w > site.max_import:
            power, fuse = spell(rule.load.power_w, "W"), spell(site.max_import, "W")
            findings.fault(
                (*path, "power"), f"{power} is more than `max_import: {fuse}` lets through; correct one of them"
            )
    _one_relay_each(rules, findings)
    _names(rules, findings)


def _thresholds(site: SiteKeys, load: Load, path: Path, findings: Findings) -> None:
    needed_w = load.power_w - site.reserve + NOISE_W
    if load.start_w + load.stop_import_w > needed_w:
        return
    start_w = _up(needed_w - load.stop_import_w)
    stop_w = _up(needed_w - load.start_w)
    grid = _spell_grid(load.power_w - load.start_w - site.reserve)
    key = "stop" if findings.known((*path, "stop"))[-1] == "stop" else "start"
    findings.fault(
        (*path, key),
        f"it would switch itself off: started with {spell(load.start_w, 'W')} free, its {spell(load.power_w, 'W')} "
        f"make the house {grid}; write `start: {spell(start_w, 'W')}` or `stop: {_spell_grid(stop_w)}`",
    )


def _spell_grid(import_w: float) -> str:
    return f"import {spell(import_w, 'W')}" if import_w >= 0 else f"export {spell(-import_w, 'W')}"


def _up(watts: float) -> float:
    """Round to a number that a person would write, and beyond the limit."""
    return ceil((watts + 1) / 50) * 50.0


def _hours(rule: Rule, path: Path, findings: Findings) -> None:
    load = rule.load
    for index, between in enumerate(rule.keys.between):
        place = (*path, "between", index)
        if between.start == between.to != time(0):
            at = f"{between.start:%H:%M}"
            findings.fault(place, f"these hours begin and end at {at}; for the whole day write `00:00-24:00`")
            continue
        length_s = ((_minute(between.to) - _minute(between.start)) % _DAY_MIN or _DAY_MIN) * 60.0
        if load.min_on_s > length_s:
            findings.fault(
                (*path, "min_on") if rule.keys.min_on is not None else place,
                f"`min_on: {spell(load.min_on_s, 's')}` does not fit into {between.start:%H:%M}-{between.to:%H:%M}; "
                f"write at most `min_on: {spell(length_s, 's')}` or longer hours",
            )


def _needs(load: Load, path: Path, findings: Findings) -> None:
    is_open = _open_minutes(load.windows)
    for index, need in enumerate(load.needs):
        place = (*path, "need", index)
        ends = [day * _DAY_MIN + _minute(need.by.time) for day in sorted(need.days)]
        if not all(is_open[(end - 1) % _WEEK_MIN] for end in ends):
            findings.fault(place, f"`by {need.by.time:%H:%M}` lies outside its hours; {_better_end(load, need)}")
            continue
        needed_s = need.runtime_s if need.runtime_s is not None else (need.energy_wh or 0.0) * 3600 / load.power_w
        there_s = min(_open_before(end, ends, is_open) for end in ends) * 60.0
        if needed_s <= there_s:
            continue
        if need.runtime_s is not None:
            asked, most = spell(needed_s, "s"), spell(there_s, "s")
        else:
            asked = f"{spell(need.energy_wh or 0, 'Wh')} ({spell(ceil(needed_s / 60) * 60, 's')})"
            most = spell(int(there_s / 3600 * load.power_w / 100) * 100.0, "Wh")
        message = f"{asked} cannot be had by {need.by.time:%H:%M}: {spell(there_s, 's')} are allowed"
        findings.fault(place, f"{message}; write at most `{most} by {need.by.time:%H:%M}` or allow longer hours")


def _better_end(load: Load, need: Need) -> str:
    ends = sorted({f"{window.end.time:%H:%M}" for window in load.windows if window.days & need.days})
    if not ends:
        return "its hours never fall on " + ", ".join(DAYS[day] for day in sorted(need.days))
    return "write " + " or ".join(f"`by {end}`" for end in ends)


def _open_minutes(windows: Sequence[Window]) -> list[bool]:
    """Return for each minute of the week, from Monday 0:00, whether the load may run on its rules."""
    if not windows:
        return [True] * _WEEK_MIN
    minutes = [False] * _WEEK_MIN
    for window in windows:
        length = (_minute(window.end.time) - _minute(window.start.time)) % _DAY_MIN
        for day in window.days:
            begin = day * _DAY_MIN + _minute(window.start.time)
            for minute in range(begin, begin + length):
                minutes[minute % _WEEK_MIN] = True
    return minutes


def _open_before(end: int, ends: Sequence[int], is_open: Sequence[bool]) -> int:
    """Count the open minutes of the period that ends at `end`: it begins at the deadline before."""
    length = min((end - other) % _WEEK_MIN or _WEEK_MIN for other in ends)
    return sum(is_open[minute % _WEEK_MIN] for minute in range(end - length, end))


def _failsafe(rule: Rule, every_s: float | None, path: Path, findings: Findings) -> None:
    lease_s, place = rule.load.lease_s, (*path, "actuator", "lease")
    if lease_s is None:
        if getattr(rule.device.options, "failsafe", None) != "none":
            message = (
                "this device cannot go off by itself if loadctl dies; if that can do no harm write `failsafe: none`"
            )
            findings.fault(place, message)
    elif every_s is not None and lease_s < 3 * every_s:
        findings.fault(
            place,
            f"a lease of {spell(lease_s, 's')} would run out between two readings of the meter, which come every "
            f"{spell(every_s, 's')}; write at least `lease: {spell(ceil(3 * every_s), 's')}`",
        )
    if lease_s is not None and rule.load.safe_on:
        message = f"`safe: on` cannot hold when loadctl itself dies: the device goes off after {spell(lease_s, 's')}"
        findings.note((*path, "safe"), message)


def _patience(load: Load, every_s: float, path: Path, findings: Findings) -> None:
    least_s = ceil(2 * every_s)
    for key, what, for_s in (
        ("start", spell(load.start_w, "W"), load.start_for_s),
        ("stop", _spell_grid(load.stop_import_w), load.stop_for_s),
    ):
        if for_s < least_s:
            findings.note(
                (*path, key),
                f"`for {spell(for_s, 's')}`: two readings in a row would switch it, the meter gives one every "
                f"{spell(every_s, 's')}; calmer is `{key}: {what} for {spell(least_s, 's')}` or longer",
            )


def _one_relay_each(rules: Sequence[Rule], findings: Findings) -> None:
    seen: dict[tuple[object, ...], str] = {}
    for rule in rules:
        options = rule.device.options
        host = getattr(options, "host", None)
        address = host.lower().rpartition("://")[2].rstrip("/.").removesuffix(":80") if isinstance(host, str) else None
        relay = (rule.device.driver, address, getattr(options, "channel", None), getattr(options, "pin", None))
        other = seen.setdefault(relay, rule.load.name)
        if other != rule.load.name and any(part is not None for part in relay[1:]):
            message = f"`{other}` is switched by this very relay; one relay serves one appliance"
            findings.fault(("loads", rule.load.name, "actuator"), message)


def _names(rules: Sequence[Rule], findings: Findings) -> None:
    names = {rule.load.name for rule in rules}
    heirs: dict[str, str] = {}
    for rule in rules:
        was, path = rule.keys.was, ("loads", rule.load.name, "was")
        if was is None:
            continue
        if was in names:
            findings.fault(
                path, f"`{was[:40]}` is still the name of an appliance here; give its former name or delete the line"
            )
        elif heirs.setdefault(was, rule.load.name) != rule.load.name:
            findings.fault(path, f"`{heirs[was]}` was already `{was[:40]}`; only one of them can be")


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute
