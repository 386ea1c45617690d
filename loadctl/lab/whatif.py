"""What other rules would have done on a day that was: for the page, in a process of its own.

It reads one JSON object from stdin: `memory` (the file with the history), `day`, and two texts of rules, `yours` and
`now`. It writes one to stdout: `{"day", "yours", "now"}` with a course each, or why not: `{"said"}`, with `{"faults"}`
if it is the rules.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadctl.errors import ConfigError, LoadctlError
from loadctl.lab.course import lived
from loadctl.lab.history_trace import history_trace
from loadctl.lab.scenario_file import Scenario
from loadctl.lab.trace import Trace
from loadctl.service.history import History


def whatif(asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a question. Raises LoadctlError."""
    day, memory = date.fromisoformat(asked["day"]), Path(asked["memory"])
    with History(memory) as history:
        begin, end = (datetime.combine(each, time(), history.zone) for each in (day, day + timedelta(days=1)))
    trace = history_trace(memory, begin, end)
    with TemporaryDirectory(prefix="loadctl-") as folder:
        return {
            "day": asked["day"],
            **{name: _course(asked[name], name, Path(folder), trace) for name in ("yours", "now")},
        }


def _course(text: str, name: str, folder: Path, trace: Trace) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return lived(Scenario(name, path, {"rules": path.name}).on(trace), name=name).plain()


def main() -> None:
    """Answer stdin on stdout."""
    os.nice(10)  # what is controlled comes first
    try:
        told = whatif(json.load(sys.stdin))
    except ConfigError as error:
        faults = [
            {"line": fault.line, "column": fault.column, "path": fault.path, "message": fault.message}
            for fault in error.faults
        ]
        told = {"said": "these rules cannot be used", "faults": faults}
    except LoadctlError as error:
        told = {"said": str(error)}
    json.dump(told, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
