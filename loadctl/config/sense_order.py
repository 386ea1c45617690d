"""Orders that leave an appliance without anything."""

from __future__ import annotations

from collections.abc import Sequence

from loadctl.config.findings import Findings
from loadctl.config.scene import Rule, Scene


def order(scene: Scene, rules: Sequence[Rule], findings: Findings) -> None:
    """Find what starves behind others; `rules` in the order of priority."""
