"""The fault matrix: the whole of it as a slow test, some of it always; `make faults` prints it as a table."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import run
from tests.faults.matrix import ROWS, TRIALS
from tests.faults.table import caption, markdown, put_into

SHORT = tuple(trial for trial in TRIALS if trial.short)


@pytest.mark.anyio
async def test_some_faults():
    took, wrong = await run(SHORT, at_once=len(SHORT))
    assert wrong == []
    assert len(took) >= len(SHORT)


@pytest.mark.slow
@pytest.mark.anyio
async def test_all_faults(capsys):
    took, wrong = await run(TRIALS)
    with capsys.disabled():
        print(f"\n{markdown(ROWS, took)}")  # noqa: T201
    assert wrong == []


def test_each_load_meets_each_fault_once():
    named = [(row.fault, row.load) for row in ROWS]
    assert len(set(named)) == len(named)


def test_the_table_says_what_was_measured():
    took = {ROWS[0]: 3.2, ROWS[1]: 6.1, ROWS[2]: 5.0}
    line = markdown(ROWS[:3], took).splitlines()[-1]
    assert line == f"| {ROWS[0].fault} | each | off | ≤ 7 s | ≤ 10 s |"
    assert put_into("a\n<!-- faults -->\nold\n<!-- /faults -->\nb", "new").splitlines()[2] == "new"
    with pytest.raises(ValueError, match="no <!-- faults"):
        put_into("no marks", markdown(ROWS[:1], {}))
    assert caption() in markdown(ROWS[:1], {})
