"""Homes to try rules in: scenario files A, B and C, from a boiler alone to five appliances with a car."""

from __future__ import annotations

from pathlib import Path

HOMES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
