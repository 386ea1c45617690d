"""Days that an owner makes up to try the rules on: read from `home.test.yaml`, lived through, judged, drawn."""

from __future__ import annotations

from loadctl.lab.rehearsal.reading import SUFFIX, Rehearsal, read, schema
from loadctl.lab.rehearsal.trial import Failure, Trial, try_out

__all__ = ["SUFFIX", "Failure", "Rehearsal", "Trial", "read", "schema", "try_out"]
