"""Needs that are met one by one and not together: what the fuse lets through on a day without sun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from loadctl.config import dates
from loadctl.config.findings import Findings
from loadctl.config.scene import Rule, Scene
from loadctl.config.year import Stretch, Week
from loadctl.units import spell

MIDSUMMER = 26  # the other half of the year than the plain week's

_MOST_PAIRS = 2000


@dataclass(frozen=True, slots=True)
class _Demand:
    rule: Rule
    by: str
    open: tuple[Stretch, ...]
    energy_wh: float
    runtime_s: float


def together(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Tell of needs that do not fit under the fuse. Two bounds are looked at, so what is told is certain: the energy in
    all, and the time of those of which only one can run.
    """
    fuse_w = scene.site.max_import
    if fuse_w is None:
        return
    seasonal = any(need.season for rule in rules for need in rule.load.needs)
    for week in (scene.year.plain, scene.year.weeks[MIDSUMMER]) if seasonal else (scene.year.plain,):
        if _told(tuple(_demands(week, rules)), fuse_w, findings):
            return


def _told(demands: Sequence[_Demand], fuse_w: float, findings: Findings) -> bool:
    begins, ends = {demand.open[0][0] for demand in demands}, {demand.open[-1][1] for demand in demands}
    if len(begins) * len(ends) > _MOST_PAIRS:
        return False
    for begin, end in sorted(product(begins, ends), key=lambda span: span[1] - span[0]):
        inside = _largest(at for at in demands if begin <= at.open[0][0] and at.open[-1][1] <= end)
        trouble = _trouble(inside, fuse_w) if len(inside) > 1 else None
        if trouble:
            findings.note((*inside[-1].rule.path, "need"), f"without sun {trouble}")
            return True
    return False


def _demands(week: Week, rules: Sequence[Rule]) -> Iterable[_Demand]:
    for rule in rules:
        for need in rule.load.needs:
            energy_wh = need.energy_wh or (need.runtime_s or 0.0) / 3600 * rule.least_w
            runtime_s = need.runtime_s or (need.energy_wh or 0.0) / rule.load.power_w * 3600
            if not energy_wh or need.every_days > 1:
                continue
            for due in week.dues(rule.load, need):
                if due.open:
                    yield _Demand(rule, dates.spell_clock(need.by), due.open, energy_wh, runtime_s)


def _largest(demands: Iterable[_Demand]) -> list[_Demand]:
    """Keep the largest demand of each load: what it runs for one need also counts for the others."""
    found: dict[str, _Demand] = {}
    for demand in demands:
        other = found.get(demand.rule.load.name)
        if other is None or demand.energy_wh > other.energy_wh:
            found[demand.rule.load.name] = demand
    return list(found.values())


def _trouble(demands: Sequence[_Demand], fuse_w: float) -> str | None:
    fuse = f"`max_import: {spell(fuse_w, 'W')}`"
    energy_wh, there_wh = sum(demand.energy_wh for demand in demands), _length_s(demands) / 3600 * fuse_w
    if energy_wh > there_wh:
        return (
            f"the needs of {_listed(demands)} are {spell(energy_wh, 'Wh')} by {demands[-1].by}; {fuse} lets "
            f"{spell(there_wh // 100 * 100, 'Wh')} through till then"
        )
    single = [at for at in demands if at.rule.least_w > fuse_w / 2]
    needed_s, there_s = sum(demand.runtime_s for demand in single), _length_s(single)
    if len(single) > 1 and needed_s > there_s:
        return (
            f"{_listed(single)} cannot run at the same time under {fuse}, and one after the other they need "
            f"{dates.spell_length(needed_s)}; {dates.spell_length(there_s)} are there"
        )
    return None


def _length_s(demands: Sequence[_Demand]) -> float:
    """Return the time in which at least one of them may run."""
    total, last = 0.0, float("-inf")
    for start, end in sorted(stretch for demand in demands for stretch in demand.open):
        total += max(0.0, end - max(start, last))
        last = max(last, end)
    return total


def _listed(demands: Sequence[_Demand]) -> str:
    return ", ".join(f"`{demand.rule.load.name}`" for demand in demands)
