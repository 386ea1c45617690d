"""What an appliance draws, as its keys and its device say together: one power, or steps between two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from loadctl.config.findings import Findings, Path
from loadctl.config.keys_load import LoadKeys
from loadctl.core.rules import Follow, Range
from loadctl.drivers import Charger, Dimmer
from loadctl.units import spell

LEAST_A = 6.0  # below it a car must pause (IEC 61851-1: the shortest pilot pulse says 6 A)
MOST_A = 80.0
METER_LAGS = 2.0  # readings until a step is sure to show
_CAR_KEYS = ("current", "phases", "voltage")
_FOLLOW_KEYS = ("rise_every", "share")
_PHASE_KEYS = ("phase_up", "phase_down", "phase_pause", "phase_changes")


@dataclass(frozen=True, slots=True)
class Draw:
    """From its least to its greatest power; the same without `follow`. `car`: it has a current."""

    least_w: float
    most_w: float
    follow: Follow | None = None
    car: bool = False


def draw(
    keys: LoadKeys, built: Any, options: Any, every_s: float | None, path: Path, findings: Findings
) -> Draw | None:
    """Tell what the appliance draws; None when the keys and the device do not fit, and why goes to `findings`."""
    before = len(findings.faults)
    if isinstance(built, Charger):
        found = _car(keys, built, options, path, findings)
    elif isinstance(built, Dimmer):
        found = _dimmed(keys, built, getattr(options, "rated", None), path, findings)
    else:
        found = _switched(keys, path, findings)
    if found is not None and found.follow is not None and keys.rise_every is None:
        # The meter must have shown the last rise, or the same power is taken twice.
        rise_s = max(found.follow.every_s, METER_LAGS * (every_s or 0.0))
        found = replace(found, follow=replace(found.follow, every_s=rise_s))
    return found if len(findings.faults) == before else None


def _switched(keys: LoadKeys, path: Path, findings: Findings) -> Draw | None:
    for key in (*_CAR_KEYS, *_FOLLOW_KEYS, *_PHASE_KEYS):
        if _written(key, path, findings):
            findings.fault((*path, key), f"its device only switches on and off, it has no use for `{key}`; delete it")
    if keys.mode == "solar+min":
        findings.fault((*path, "mode"), "its device only switches on and off; write `solar`, `fast` or `off`")
    if keys.power is None:
        if not _written("current", path, findings):
            findings.fault(path, "`power` is missing")
        return None
    least_w, most_w = keys.power
    if least_w is not None and least_w < most_w:
        findings.fault((*path, "power"), f"its device only switches on and off; write `power: {spell(most_w, 'W')}`")
    return Draw(most_w, most_w)


def _dimmed(keys: LoadKeys, built: Dimmer, rated_w: float | None, path: Path, findings: Findings) -> Draw | None:
    for key in (*_CAR_KEYS, *_PHASE_KEYS):
        if _written(key, path, findings):
            findings.fault((*path, key), f"`{key}` is for cars; its device sets watts: write `power: 0.3..3 kW`")
    if keys.power is None and rated_w is None:
        findings.fault(path, "`power` is missing")
        return None
    low_w, most_w = keys.power or (None, rated_w or 0.0)
    if rated_w is not None and most_w > rated_w:
        rated = spell(rated_w, "W")
        findings.fault((*path, "power"), f"that is more than the {rated} that `rated` says; write at most `{rated}`")
    full_w = rated_w or most_w
    least_w = max(low_w or 0.0, built.least_share * full_w)
    if least_w > most_w:
        least = spell(least_w, "W")
        findings.fault((*path, "power"), f"its device cannot go below {least} and be on; write at least `{least}`")
    step_w = built.step_share * full_w
    follow = Follow((Range(least_w or min(step_w, most_w), most_w, step_w),), built.rise_s)
    return Draw(follow.ranges[0].least_w, most_w, _paced(keys, follow))


def _car(keys: LoadKeys, built: Charger, options: Any, path: Path, findings: Findings) -> Draw | None:
    if keys.power is not None:
        findings.fault((*path, "power"), "the power of a car follows from its `current`; delete this line")
    if keys.current is None:
        findings.fault(path, "`current` is missing, such as `current: 6..16 A`")
        return None
    low_a, most_a = keys.current
    low_a = LEAST_A if low_a is None else low_a
    if low_a < LEAST_A or most_a < LEAST_A:
        better = f"{LEAST_A:g}..{max(most_a, 16.0) if most_a < LEAST_A else most_a:g} A"
        findings.fault((*path, "current"), f"below {LEAST_A:g} A a car must pause; write `{better}`")
        return None
    if most_a > MOST_A:
        findings.fault((*path, "current"), f"no charger gives more than {MOST_A:g} A; write `6..16 A` or `6..32 A`")
        return None
    if keys.phases == "auto" and not built.switches_phases:
        able = ", or, if it can, `switch_phases: true` under `actuator`" if hasattr(options, "switch_phases") else ""
        findings.fault(
            (*path, "phases"), f"its charger cannot change the phases itself; write `phases: 1` or `phases: 3`{able}"
        )
    if keys.phases != "auto":
        for key in _PHASE_KEYS:
            if _written(key, path, findings):
                findings.fault((*path, key), f"`{key}` goes with `phases: auto`; write that too or delete this line")
    counts = (1, 3) if keys.phases == "auto" else (keys.phases,)
    watts = [keys.voltage * count for count in counts]
    ranges = tuple(
        Range(low_a * per_a, most_a * per_a, built.step_a * per_a, count, keys.voltage)
        for count, per_a in zip(counts, watts, strict=True)
    )
    return Draw(ranges[0].least_w, ranges[-1].most_w, _paced(keys, Follow(ranges, built.rise_s)), car=True)


def _paced(keys: LoadKeys, follow: Follow) -> Follow:
    return replace(
        follow,
        every_s=_given(keys.rise_every, follow.every_s),
        phase_up_s=_given(keys.phase_up, follow.phase_up_s),
        phase_down_s=_given(keys.phase_down, follow.phase_down_s),
        phase_pause_s=_given(keys.phase_pause, follow.phase_pause_s),
        phase_changes=follow.phase_changes if keys.phase_changes is None else keys.phase_changes,
    )


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _written(key: str, path: Path, findings: Findings) -> bool:
    return (*path, key) in findings.places
