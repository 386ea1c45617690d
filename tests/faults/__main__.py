"""`python -m tests.faults [README.md]`: run the whole matrix, print the table, put it into the file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.faults.matrix import ROWS, TRIALS, Row, Trial
from tests.faults.table import markdown, put_into

AT_ONCE = 4


async def run(trials: tuple[Trial, ...], at_once: int = AT_ONCE) -> tuple[dict[Row, float], list[str]]:
    """Run trials, some at a time; return how long each row took, and what went wrong."""
    gate = asyncio.Semaphore(at_once)
    took: dict[Row, float] = {}
    wrong: list[str] = []

    async def one(trial: Trial) -> None:
        async with gate:
            try:
                times = await trial.run()
            except (AssertionError, TimeoutError) as error:
                wrong.append(f"{trial.fault} ({', '.join(trial.does)}): {error!r}")
                return
            took.update({row: times[row.load] for row in trial.rows if row.load in times})

    await asyncio.gather(*(one(trial) for trial in trials))
    return took, wrong


def main() -> None:
    took, wrong = asyncio.run(run(TRIALS))
    table = markdown(ROWS, took)
    print(table)  # noqa: T201
    for line in wrong:
        print(f"BROKEN: {line}", file=sys.stderr)  # noqa: T201
    if wrong:
        sys.exit(1)
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(put_into(file.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
