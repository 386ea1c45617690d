"""What the benchmarks measure, gathered in one table at the end: the one that the README shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Figure = Callable[[str, str], None]
FIGURES = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Note what was measured, and how much it came to."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda what, came_to: figures.append((what, came_to))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        terminalreporter.write_line("| measured | |\n| --- | --- |")
        for what, came_to in figures:
            terminalreporter.write_line(f"| {what} | {came_to} |")
