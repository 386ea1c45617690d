"""The README shows the fault matrix as it is run."""

from __future__ import annotations

from pathlib import Path

from tests.faults.matrix import ROWS
from tests.faults.table import between_marks, markdown, without_times

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_this_matrix():
    shown = between_marks(README.read_text(encoding="utf-8"))
    assert without_times(shown) == without_times(markdown(ROWS, {}))
