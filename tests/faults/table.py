"""The matrix as a table for people: printed by `make faults`, kept in the README between its marks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from tests.faults.matrix import Row
from tests.faults.street import DEVICES, EVERY_S, HOLD_S, LEASE_S, MAX_AGE_S

BEGIN, END = "<!-- faults -->", "<!-- /faults -->"
Took = Mapping[Row, float]

_HEAD = ("| fault | load on | what it does | took | allowed |", "| --- | --- | --- | --- | --- |")


def caption() -> str:
    """Return the sentence above the table."""
    return (
        f"Real sockets, real time; `max_age` {MAX_AGE_S:g} s, `hold` {HOLD_S:g} s, leases of {LEASE_S:g} s, relays "
        f"looked at every {EVERY_S:g} s (all shorter than a house needs). Made by `make faults`."
    )


def markdown(rows: Sequence[Row], took: Took) -> str:
    """Return the table; loads that do the same under the same fault share a line, with the slowest's time."""
    lines = [caption(), "", *_HEAD]
    for group in _groups(rows):
        first = group[0]
        loads = "each" if len(group) == len(DEVICES) else ", ".join(row.load for row in group)
        times = [took[row] for row in group if row in took]
        lines.append(
            f"| {first.fault} | {loads} | {first.does} | {_rounded(max(times)) if times else '–'} "
            f"| {'–' if first.allowed_s is None else _rounded(first.allowed_s)} |"
        )
    return "\n".join(lines)


def put_into(readme: str, table: str) -> str:
    """Return the README's text with the table between the marks. Raises ValueError if there are none."""
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"no {BEGIN} … {END} in it")
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table}\n{END}", readme, flags=re.DOTALL)


def between_marks(readme: str) -> str:
    """Return what the README has between the marks, empty where it has none."""
    found = re.search(f"{BEGIN}\n(.*?)\n{END}", readme, re.DOTALL)
    return found[1] if found else ""


def without_times(table: str) -> list[str]:
    """Return the table's lines without what was measured, which differs from run to run."""
    return [re.sub(r"\| [^|]* (\| [^|]* \|)$", r"\1", line) for line in table.splitlines()]


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, str, float | None], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.fault, row.does, row.allowed_s), []).append(row)
    return list(groups.values())


def _rounded(seconds: float) -> str:
    return f"≤ {math.ceil(seconds)} s"
