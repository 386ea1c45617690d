"""What may be changed in a rule file, and how it would be written.

Thresholds, hold times, the pace of what follows the sun and the order of the loads go both ways. Minimum times and the
rests between changes of phases only grow: what the owner (or the compressor) asks for is never undercut. A load whose
worth the score cannot see is left alone: its best rule would be never to run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from loadctl.core.rules import Load
from loadctl.errors import ConfigError
from loadctl.lab.scenario_file import SEASONS, Home, TankKeys
from loadctl.lab.trace import Trace
from loadctl.lab.tune import spelling
from loadctl.lab.tune.spelling import least
from loadctl.lab.tune.subject import Edit, Subject
from loadctl.units import spell

Kind = Literal["start", "start.for", "stop", "stop.for", "grid_limit", "time", "share", "order"]
Settings = tuple[tuple[str, int], ...]  # (knob, option), sorted; what is not in it is as the owner wrote it
AS_WRITTEN: Settings = ()

STARTS = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5)  # of its (least) power
SLACKS = (0.05, 0.1, 0.2, 0.35, 0.6)  # of its (least) power: what it may cost more than was accepted at the start
LIMITS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)
START_FOR_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
STOP_FOR_S = (30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0)
LONGER = (1.5, 2.0, 3.0, 5.0)
LONGEST_S = 3600.0
NEAR = 0.06  # two thresholds so near to each other (of its power) are one


@dataclass(frozen=True, slots=True)
class Knob:
    """One thing that may be changed. `options` in base units, in order; `options[base]` is what the owner has."""

    name: str
    load: str
    kind: Kind
    options: tuple[Any, ...]
    base: int
    key: str = ""

    @property
    def ordered(self) -> bool:
        """Tell whether neighbours among the options are alike."""
        return self.kind not in ("order", "share")


@dataclass(frozen=True, slots=True)
class Space:
    """All that may be changed. `left_alone`: sentences on what may not, and why."""

    subject: Subject
    loads: Mapping[str, Load]
    knobs: Mapping[str, Knob]
    left_alone: tuple[str, ...]
    unseen: frozenset[str]
    """Loads whose worth the score does not see."""
    kinds: tuple[Trace, ...]
    """A day of each kind that the scenario's `when` tells apart, held-back days too: no rules may fail on one."""

    def settings(self, chosen: Mapping[str, int]) -> Settings:
        """Return a choice without what changes nothing."""
        picked = {name: option for name, option in chosen.items() if option != self.knobs[name].base}
        for name in list(picked):
            knob = self.knobs[name]
            threshold = f"{knob.load}.{knob.kind.removesuffix('.for')}"
            written = self._keys(knob.load).get(knob.kind.removesuffix(".for"))
            if knob.kind.endswith(".for") and written is None and threshold not in picked:
                del picked[name]  # without a threshold of its own there is nothing to hold
        return tuple(sorted(picked.items()))

    def without(self, settings: Settings, name: str) -> Settings:
        """Return settings in which one thing is as the owner wrote it."""
        return self.settings({knob: option for knob, option in settings if knob != name})

    def edits(self, settings: Settings) -> tuple[Edit, ...]:
        """Return what is written for these settings."""
        chosen = {name: self.knobs[name].options[option] for name, option in settings}
        loads = {self.knobs[name].load for name in chosen} - {""}
        found: list[Edit] = []
        for load in self.loads:
            if load in loads:
                found += self._load_edits(load, chosen)
        for name, value in chosen.items():
            if self.knobs[name].kind == "order":
                found += spelling.priorities(value, self.subject.scenario.data["rules"]["loads"])
            elif self.knobs[name].kind == "share":
                found += [Edit(("loads", load, "share"), "equal") for load in value]
        return tuple(found)

    def edits_of(self, settings: Settings, name: str) -> tuple[Edit, ...]:
        """Return the part of the edits that one change is the reason for."""
        others = self.edits(self.without(settings, name))
        return tuple(edit for edit in self.edits(settings) if edit not in others)

    def _keys(self, load: str) -> Mapping[str, Any]:
        return keys_of(self.subject, load)

    def _load_edits(self, name: str, chosen: Mapping[str, Any]) -> Iterator[Edit]:
        load, keys = self.loads[name], self._keys(name)
        place = ("loads", name)
        for knob in self.knobs.values():
            if knob.load == name and knob.kind in ("time", "grid_limit") and knob.name in chosen:
                unit = "s" if knob.kind == "time" else "W"
                yield Edit((*place, knob.key), spell(chosen[knob.name], unit))
        start, start_for = chosen.get(f"{name}.start"), chosen.get(f"{name}.start.for")
        stop, stop_for = chosen.get(f"{name}.stop"), chosen.get(f"{name}.stop.for")
        if start is not None or start_for is not None:
            yield from spelling.start(place, keys.get("start"), load, start, start_for)
        if stop is not None or stop_for is not None or (start is not None and keys.get("stop") is not None):
            yield from spelling.stop(place, keys.get("stop"), load, start, stop, stop_for)


def keys_of(subject: Subject, load: str) -> Mapping[str, Any]:
    """Return the keys of a load as the owner wrote them."""
    keys: Mapping[str, Any] = subject.scenario.data["rules"]["loads"].get(load) or {}
    return keys


def space_of(subject: Subject, traces: Iterable[Trace]) -> Space:
    """Return what may be changed so that the rules still mean something on each of the days."""
    days = list(traces)
    home = subject.changed(()).on(days[0])
    fixed = {(name, key) for name, key in _seasonal(subject.scenario.data.get("when") or {})}
    left, unseen, knobs = [], set(), []
    for load in home.loads:
        keys = keys_of(subject, load.name)
        if not is_seen(load, home):
            unseen.add(load.name)
            left.append(
                f"{load.name} is left alone: nothing says what it must get, so never to run would look best; give it "
                "a `need` in kWh or hours, or describe it under `house:` of a scenario file"
            )
            continue
        if keys.get("worth") is not None:
            left.append(f"the thresholds of {load.name} are left alone: its `worth` says what it may cost")
        knobs += [knob for knob in _of_load(load, keys) if (load.name, knob.key) not in fixed]
    knobs += _of_all(home.loads, {load.name: keys_of(subject, load.name) for load in home.loads}, left, fixed)
    loads = {load.name: load for load in home.loads}
    kinds = tuple(_different(days) if subject.scenario.data.get("when") else days[:1])
    whole = Space(subject, loads, {knob.name: knob for knob in knobs}, tuple(left), frozenset(unseen), kinds)
    usable = {knob.name: found for knob in knobs if (found := _usable(whole, knob)) is not None}
    return replace(whole, knobs=usable)


def fits(space: Space, settings: Settings) -> bool:
    """Tell whether rules with these settings can be meant, on each kind of day."""
    scenario = space.subject.changed(space.edits(settings))
    try:
        for day in space.kinds:
            scenario.on(day)
    except ConfigError:
        return False
    return True


def _different(days: Iterable[Trace]) -> Iterable[Trace]:
    found: dict[tuple[str, bool], Trace] = {}
    for day in days:
        first = datetime.fromtimestamp(day.moments[0].time, day.zone)
        found.setdefault((SEASONS[first.month], first.weekday() >= 5), day)
    return found.values()


def is_seen(load: Load, home: Home) -> bool:
    """Tell whether the score sees what a load is good for: a tank that runs empty, a need that can be counted."""
    if isinstance(home.appliances[load.name], TankKeys):
        return True
    return any(not need.always and (need.energy_wh or need.runtime_s) is not None for need in load.needs)


def _seasonal(when: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (load, key) of what a scenario's `when` says anew: to change it above would change nothing then."""
    for other in when.values():
        loads = ((other or {}).get("rules") or {}).get("loads") or {}
        for load, keys in loads.items():
            for key in keys or {}:
                yield load, key


def _of_load(load: Load, keys: Mapping[str, Any]) -> Iterator[Knob]:
    name, least_w = load.name, least(load)
    if keys.get("grid_limit") is not None:
        yield _knob(name, "grid_limit", "grid_limit", LIMITS, (least_w - load.start_w) / least_w, scale=least_w)
    elif keys.get("worth") is None:
        slack = (load.start_w + load.stop_import_w) / least_w - 1
        yield _knob(name, "start", "start", STARTS, load.start_w / least_w)
        yield _knob(name, "start.for", "start", START_FOR_S, load.start_for_s, near=0.1)
        yield _knob(name, "stop", "stop", SLACKS, slack, near=0.03)
        yield _knob(name, "stop.for", "stop", STOP_FOR_S, load.stop_for_s, near=0.1)
    yield _longer(name, "min_on", load.min_on_s)
    yield _longer(name, "min_off", load.min_off_s)
    if load.follow is None:
        return
    yield _longer(name, "rise_every", load.follow.every_s)
    if len(load.follow.ranges) > 1:
        yield _knob(name, "time", "phase_up", STOP_FOR_S[1:], load.follow.phase_up_s, near=0.1)
        yield _knob(name, "time", "phase_down", STOP_FOR_S[1:], load.follow.phase_down_s, near=0.1)
        yield _longer(name, "phase_pause", load.follow.phase_pause_s)


def _knob(
    load: str, kind: Kind, key: str, options: Iterable[float], mine: float, *, near: float = NEAR, scale: float = 1.0
) -> Knob:
    """Make a knob of options besides what the owner has; durations are near to each other by their ratio."""
    others = [one for one in options if abs(one - mine) > near * (max(one, mine) if near == 0.1 else 1.0)]
    found = sorted([*others, mine])
    name = f"{load}.{kind if kind in ('start', 'start.for', 'stop', 'stop.for') else key}"
    return Knob(name, load, kind, tuple(_round(one * scale, scale) for one in found), found.index(mine), key)


def _longer(load: str, key: str, mine_s: float) -> Knob:
    """Make a knob that only goes up."""
    longer = [_whole(mine_s * by) for by in LONGER] if mine_s else [60.0, 300.0, 600.0]
    found = [mine_s, *(one for one in dict.fromkeys(longer) if mine_s < one <= max(LONGEST_S, mine_s))]
    return Knob(f"{load}.{key}", load, "time", tuple(found), 0, key)


def _whole(seconds: float) -> float:
    """Round up to what a person would write."""
    step = 60.0 if seconds >= 120 else 5.0
    return -(-seconds // step) * step


def _round(value: float, scale: float) -> float:
    return value if scale == 1.0 else round(value / 10) * 10.0


def _of_all(
    loads: tuple[Load, ...], keys: Mapping[str, Mapping[str, Any]], left: list[str], fixed: set[tuple[str, str]]
) -> Iterator[Knob]:
    """Yield what concerns several loads: who comes first, who shares."""
    names = [load.name for load in loads]
    if len(names) < 2:
        return
    seasonal = any(isinstance(each.get("priority"), dict) for each in keys.values())
    if seasonal or any(key == "priority" for _, key in fixed):
        left.append("the order of the loads is left alone: their priorities change with the season")
    else:
        moved = {tuple(names)}
        for name in names:
            others = [other for other in names if other != name]
            moved |= {(*others[:at], name, *others[at:]) for at in range(len(names))}
        found = sorted(moved, key=lambda order: (order != tuple(names), [names.index(name) for name in order]))
        yield Knob("order", "", "order", tuple(found), 0, "priority")
    row = [load.name for load in loads if load.follow is not None]
    together = [(one, other) for one, other in pairwise(names) if one in row and other in row]
    if together and not any(each.get("share") for each in keys.values()):
        yield Knob("share", "", "share", ((), together[0]), 0, "share")


def _usable(space: Space, knob: Knob) -> Knob | None:
    """Return a knob without the options that cannot be meant; None when nothing is left to choose."""
    fine = [
        index
        for index in range(len(knob.options))
        if index == knob.base or fits(space, space.settings({knob.name: index}))
    ]
    if len(fine) < 2:
        return None
    options = tuple(knob.options[index] for index in fine)
    return replace(knob, options=options, base=fine.index(knob.base))
