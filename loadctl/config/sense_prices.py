"""Prices that make a rule never fire, or always."""

from __future__ import annotations

from collections.abc import Sequence

from loadctl.config.findings import Findings
from loadctl.config.scene import Rule, Scene


def prices(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Compare what an appliance's power is worth with what it costs."""
