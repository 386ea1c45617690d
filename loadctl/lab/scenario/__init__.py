"""Days that an owner makes up to try the rules on: read from `home.test.yaml`, lived through, judged, drawn."""

from __future__ import annotations

from loadctl.lab.scenario.reading import SUFFIX, Scenario, read, schema
from loadctl.lab.scenario.trial import Failure, Trial, try_out

__all__ = ["SUFFIX", "Failure", "Scenario", "Trial", "read", "schema", "try_out"]
