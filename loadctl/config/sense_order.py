"""What an appliance can never get: behind others, at night, from a battery, under conditions that never hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from loadctl.config.findings import Findings
from loadctl.config.keys import PricesKeys
from loadctl.config.reach import unreachable
from loadctl.config.scene import NOISE_W, Rule, Scene
from loadctl.core.conditions import Condition, comparisons, names, weigh
from loadctl.core.rules import Mode
from loadctl.core.values import Input
from loadctl.telling.conditions import spell_test
from loadctl.units import spell

ROUGH_S = 3600.0  # the sun of a place taken from the time zone may be so far off


def order(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Find what starves; `rules` in the order of priority."""
    for index, rule in enumerate(rules):
        _behind(rule, rules[index + 1 :], findings)
        _at_night(rule, scene, findings)
        _charge(rule, findings)
        if rule.load.needs and rule.load.mode is Mode.OFF:
            findings.note((*rule.path, "mode"), "as long as it is `off` its needs are not met")
        if rule.load.when is not None:
            _when(rule, rule.load.when, findings)
    _alone(rules, findings)
    _unused(scene, rules, findings)


def _behind(rule: Rule, others: Sequence[Rule], findings: Findings) -> None:
    """Tell who gets nothing as long as a throttled load takes all there is. A car is full some day."""
    load = rule.load
    endless = load.daily_runtime_s is None and load.daily_energy_wh is None and load.when is None and not load.needs
    if load.follow is None or rule.keys.current is not None or load.windows or not endless or load.mode is Mode.OFF:
        return
    hungry = [
        other.load.name for other in others if not other.load.needs and not (other.keys.share and rule.keys.share)
    ]
    if hungry:
        findings.note(
            rule.path,
            f"it takes all power up to {spell(load.power_w, 'W')} as long as it can; {_listed(hungry)} after it may "
            "get nothing for days: put it last, or give it a `daily_max`",
        )


def _at_night(rule: Rule, scene: Scene, findings: Findings) -> None:
    """Tell of hours without any sun, for a load that only the sun can start."""
    load = rule.load
    by_sun = load.mode is Mode.SOLAR and load.worth is None and not load.needs
    if not by_sun or not load.windows or scene.location is None or load.battery.discharge_w > 0 or load.start_w <= 0:
        return
    slack_s = 0.0 if scene.site.location else ROUGH_S
    for week in scene.year.weeks:
        for day in range(week.monday, week.monday + 7):
            sun = week.sun[day]
            if week.open(load.windows, sun.rise - slack_s, sun.set + slack_s):
                return
    findings.note(
        (*rule.path, "between"), "no sun ever shines in these hours, so it will never start; a `need` would see to it"
    )


def _charge(rule: Rule, findings: Findings) -> None:
    battery = rule.load.battery
    for key, limit in (("claim_above", battery.claim_above_pct), ("discharge_above", battery.discharge_above_pct)):
        if limit and battery.band_pct >= limit:
            findings.fault(
                (*rule.path, "battery"),
                f"with a band of {spell(battery.band_pct, '%')} nothing would ever end `{key}: {spell(limit, '%')}`; "
                "write a smaller `band`, such as `3 %`",
            )
    if battery.band_pct < 1 and (battery.claim_above_pct or battery.discharge_above_pct is not None):
        message = f"a band of {spell(battery.band_pct, '%')} is finer than batteries tell their charge; calmer is `3 %`"
        findings.note((*rule.path, "battery", "band"), message)


def _when(rule: Rule, condition: Condition, findings: Findings) -> None:
    place, load = (*rule.path, "when", "if"), rule.load.name
    never = f"`{spell_test(condition.test)}` can never hold"
    told = unreachable(condition)
    if never in told:
        findings.fault(place, f"{never}; correct or delete it")
        return
    for sentence in told:
        findings.note(place, sentence)
    asleep = {f"{load}.power": Input(0.0, 0.0), f"{load}.on": Input(0.0, 0.0)}
    if not weigh(replace(condition, unknown=True), asleep, 0.0, ())[0]:
        findings.fault(place, f"this cannot hold while `{load}` is off, so it would never start")
    if rule.keys.when is None or rule.keys.when.hysteresis is None:
        return
    for compare in comparisons(condition.test):
        if compare.unit == "W" and compare.op not in {"==", "!="} and compare.band < NOISE_W:
            findings.note(
                (*rule.path, "when", "hysteresis"),
                f"{spell(compare.band, 'W')} is finer than the meter's noise of {spell(NOISE_W, 'W')}; "
                "calmer is `100 W`",
            )


def _alone(rules: Sequence[Rule], findings: Findings) -> None:
    for index, rule in enumerate(rules):
        beside = (*rules[max(0, index - 1) : index], *rules[index + 1 : index + 2])
        if rule.keys.share and not any(other.keys.share for other in beside):
            message = "it shares with nobody: the one before or after it needs `share: equal` too"
            findings.note((*rule.path, "share"), message)


def _unused(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    used = set(_asked(scene, rules))
    for name in scene.units:
        if ("inputs", name) in findings.places and name not in used:
            findings.note(("inputs", name), "no rule asks for it")


def _asked(scene: Scene, rules: Sequence[Rule]) -> Iterator[str]:
    for rule in rules:
        if rule.load.when is not None:
            yield from names(rule.load.when)
        yield from (need.level.input for need in rule.load.needs if need.level is not None)
    tariff = scene.site.tariff
    sides: tuple[PricesKeys, ...] = (tariff.imports, tariff.exports) if tariff else ()
    yield from (side.input for side in sides if side.input is not None)


def _listed(found: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in found[:3]] + (["others"] if len(found) > 3 else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
