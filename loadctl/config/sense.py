"""Rules that are well written and still cannot be meant, each with the numbers that would do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.keys import SiteKeys
from loadctl.config.scene import NOISE_W, Rule, Scene
from loadctl.config.sense_fuse import together
from loadctl.config.sense_hours import hours
from loadctl.config.sense_order import order
from loadctl.config.sense_prices import prices
from loadctl.core.rules import Load, Need
from loadctl.units import measured, spell


def sense(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Find what cannot be meant; `rules` in the order of priority."""
    site = scene.site
    if site.max_import is not None and site.reserve >= site.max_import:
        message = f"a reserve of {spell(site.reserve, 'W')} is more than the fuse of {spell(site.max_import, 'W')}"
        findings.fault(("site", "reserve"), f"{message}; write a few hundred watts, such as `100 W`")
    for rule in rules:
        _thresholds(site, rule, findings)
        _failsafe(rule, scene.every_s, findings)
        if scene.every_s is not None:
            _patience(rule.load, scene.every_s, rule.path, findings)
        _fuse(site, rule, findings)
        _phases(rule, findings)
        for index, (need, keys) in enumerate(zip(rule.load.needs, rule.keys.need, strict=True)):
            unit = "%" if keys.soc is not None else "°C"
            _source(need, unit, scene, (*rule.path, "need", index), findings)
            _floor(need, unit, (*rule.path, "need", index), findings)
    hours(scene, rules, findings)
    together(scene, rules, findings)
    prices(scene, rules, findings)
    order(scene, rules, findings)
    _one_relay_each(rules, findings)
    _names(rules, findings)


def _thresholds(site: SiteKeys, rule: Rule, findings: Findings) -> None:
    load, path = rule.load, rule.path
    if rule.keys.grid_limit is not None:
        for key in ("start", "stop"):
            if getattr(rule.keys, key) is not None:
                findings.fault((*path, key), f"`grid_limit` says when to start and to stop; delete it or `{key}`")
                return
        if load.start_w < NOISE_W:
            half = spell(_down(rule.least_w / 2), "W")
            findings.fault(
                (*path, "grid_limit"),
                f"that is all its {spell(rule.least_w, 'W')}, it would run without any sun; write less, "
                f"such as `{half}`",
            )
            return
    if rule.least_w < NOISE_W:
        noise = spell(NOISE_W, "W")
        findings.note((*path, "power"), f"less than the {noise} that a meter trembles by: it is switched by chance")
    needed_w = rule.least_w - site.reserve + NOISE_W
    if load.start_w + load.stop_import_w > needed_w:
        return
    start_w = _up(needed_w - load.stop_import_w)
    stop_w = _up(needed_w - load.start_w)
    grid = _spell_grid(rule.least_w - load.start_w - site.reserve)
    key = "stop" if findings.known((*path, "stop"))[-1] == "stop" else "start"
    findings.fault(
        (*path, key),
        f"it would switch itself off: started with {spell(load.start_w, 'W')} free, its {spell(rule.least_w, 'W')} "
        f"make the house {grid}; write `start: {spell(start_w, 'W')}` or `stop: {_spell_grid(stop_w)}`",
    )


def _down(watts: float) -> float:
    """Round to a number that a person would write, and not more."""
    return watts // 50 * 50 or 10.0


def _spell_grid(import_w: float) -> str:
    return f"import {spell(import_w, 'W')}" if import_w >= 0 else f"export {spell(-import_w, 'W')}"


def _up(watts: float) -> float:
    """Round to a number that a person would write, and beyond the limit."""
    return ceil((watts + 1) / 50) * 50.0


def _fuse(site: SiteKeys, rule: Rule, findings: Findings) -> None:
    """What can be throttled may be more than the fuse: it is set to less."""
    if site.max_import is None or rule.least_w <= site.max_import:
        return
    least, fuse = spell(rule.least_w, "W"), spell(site.max_import, "W")
    key = "power" if rule.keys.current is None else "phases" if rule.keys.phases == 3 else "current"
    findings.fault((*rule.path, key), f"{least} is more than `max_import: {fuse}` lets through; correct one of them")


def _phases(rule: Rule, findings: Findings) -> None:
    """Tell of powers that lie between those on one phase and those on three."""
    ranges = rule.load.follow.ranges if rule.load.follow else ()
    for lower, upper in pairwise(ranges):
        gap_w = upper.least_w - lower.most_w
        if gap_w > upper.step_w:
            findings.note(
                (*rule.path, "current"),
                f"between {spell(lower.most_w, 'W')} on one phase and {spell(upper.least_w, 'W')} on three "
                "the rest flows into the grid; with `6..16 A` hardly any does",
            )


def _source(need: Need, unit: str, scene: Scene, place: Path, findings: Findings) -> None:
    """Tell a temperature or a charge whose input is not known, or is something else."""
    if need.level is None:
        return
    known = scene.units.get(need.level.input)
    if not need.level.input:
        named = [name for name, known in scene.units.items() if known == unit and ("inputs", name) in findings.places]
        what, example = ("a charge", "car_charge") if unit == "%" else ("a temperature", "tank")
        message = f"its device does not tell {what}; name the input that does, such as `of: {[*named, example][0]}`"
        findings.fault(place, message)
    elif known is None:
        findings.fault(
            (*place, "of"), f"there is no input `{need.level.input[:40]}`; {nearest(need.level.input, scene.units)}"
        )
    elif known != unit:
        findings.fault((*place, "of"), f"`{need.level.input}` is {measured(known)}; here {measured(unit)} is meant")


def _floor(need: Need, unit: str, place: Path, findings: Findings) -> None:
    """Find a floor that cannot be left behind."""
    if need.always and need.level is not None and unit == "%" and need.level.target + need.level.band > 100:
        band = spell(need.level.band, "%")
        most = spell(100 - need.level.band, "%")
        findings.fault(
            place, f"it is charged {band} more than that, which no battery reaches; write at most `{most} always`"
        )


def _failsafe(rule: Rule, every_s: float | None, findings: Findings) -> None:
    lease_s, path = rule.load.lease_s, rule.path
    place = (*path, "actuator", "lease")
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
        family = rule.device.driver.partition("-")[0]  # a dimmer's output is a relay's too
        outputs = (getattr(options, name, None) for name in ("channel", "pin", "id", "connector"))
        relay = (family, address, *outputs)
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
