"""Prices that make a rule never fire, or always."""

from __future__ import annotations

from collections.abc import Sequence

from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.keys import PricesKeys
from loadctl.config.scene import Rule, Scene
from loadctl.core.rules import Clock, Load
from loadctl.inputs.names import BUILT_IN
from loadctl.outlook.tariff import Price
from loadctl.units import measured, spell


def prices(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Compare what a kilowatt-hour is worth to an appliance with what it costs and earns."""
    if scene.site.tariff:
        _feed(scene.site.tariff.imports, "import", scene, findings)
        _feed(scene.site.tariff.exports, "export", scene, findings)
    for rule in rules:
        if rule.load.worth is not None:
            _worth(rule.load, rule.load.worth, scene, (*rule.path, "worth"), findings)


def _feed(keys: PricesKeys, side: str, scene: Scene, findings: Findings) -> None:
    place: Path = ("site", "tariff", side)
    inputs = {name: unit for name, unit in scene.units.items() if name not in BUILT_IN and "." not in name}
    if keys.input is not None and keys.input not in inputs:
        findings.fault((*place, "input"), f"there is no input `{keys.input[:40]}`; {nearest(keys.input, inputs)}")
    elif keys.input is not None and inputs[keys.input] != "/kWh":
        said = measured(inputs[keys.input])
        findings.fault((*place, "input"), f"`{keys.input}` is {said}; a price has `unit: /kWh` or `unit: ct/kWh`")
    for index, at in enumerate(keys.prices):
        if at.start == at.to and at.start != Clock():
            findings.fault(
                (*place, "prices", index), "these hours begin and end at the same time; for all day use `default`"
            )


def _worth(load: Load, worth: float, scene: Scene, place: Path, findings: Findings) -> None:
    if scene.site.tariff is None:
        findings.note(place, "it is compared with 0.30/kWh and 0.08/kWh; what you pay and get belongs to `site.tariff`")
    imports, exports = _known(scene.tariff.buy), _known(scene.tariff.sell)
    if exports and worth < min(exports) and imports and worth < min(imports):  # bought it may still be cheap enough
        earned = spell(min(exports), "/kWh")
        findings.fault(
            place,
            f"it would never run: what is fed into the grid earns at least {earned}; write `worth: {earned}` or more",
        )
    elif imports and worth >= max(imports) and not load.windows and load.when is None:
        findings.note(place, f"it will always run: power never costs more than {spell(max(imports), '/kWh')}")


def _known(found: Price) -> tuple[float, ...]:
    """Return all prices that there are; none where an input tells them."""
    return () if found.input is not None else (found.usual, *(rate.price for rate in found.rates))
