"""`loadctl score`, as a person calls it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadctl.cli import main

RULES = """
rules:
  loads:
    heater: {power: 2 kW, min_on: 2 min, min_off: 2 min, need: 1 kWh by 02:00}
"""
OTHERS = 6


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    begin = datetime(2025, 3, 3, tzinfo=UTC)
    rows = [f"{(begin + timedelta(minutes=n)).isoformat()},{2500 if 30 <= n < 90 else 0},200" for n in range(150)]
    trace = tmp_path / "bright.csv"
    trace.write_text("\n".join(["time,pv_w,load_w", *rows]) + "\n")
    home = tmp_path / "home.yaml"
    home.write_text(RULES)
    return home, trace


def _run(tmp_path: Path, *args: object):
    return CliRunner(env={"XDG_CACHE_HOME": str(tmp_path / "cache")}).invoke(main, ["score", *map(str, args)])


def test_a_day_is_told_as_a_table(tmp_path: Path, files: tuple[Path, Path]):
    said = _run(tmp_path, *files)
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[0] == "bright, home home"
    assert [line[2:30].rstrip() for line in lines[2:4]] == ["no diversion", "noon timer"]
    assert "heater 1.0 kWh" in lines[2]  # the house had to help itself
    ours = next(line for line in lines if line.startswith("  loadctl"))
    assert float(ours.split()[3]) > 0.3
    assert any(line.startswith("  perfect foresight") and " 1.00 " in line for line in lines)


def test_the_same_as_json(tmp_path: Path, files: tuple[Path, Path]):
    said = _run(tmp_path, *files, "--json", "--jobs", 1)
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)
    [day] = found["days"]
    assert len(day["policies"]) == OTHERS + 2
    ours = day["policies"]["loadctl"]
    assert ours["broken_minimum_times"] == 0
    assert ours["unmet"] == []
    assert ours["share"] == pytest.approx(found["total"]["policies"]["loadctl"]["share"], abs=0.001)
    assert day["foresight"]["money"] + sum(day["losses"].values()) == pytest.approx(ours["money"], abs=0.001)


def test_several_days_are_summed(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    said = _run(tmp_path, home, trace, trace, "--jobs", 1)
    assert said.exit_code == 0, said.output
    assert "2 days together" in said.output


def test_a_day_with_a_hole_is_counted_without_a_plan(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    lines = trace.read_text().splitlines()
    trace.write_text("\n".join([*lines[:60], *lines[80:]]) + "\n")
    said = _run(tmp_path, home, trace)
    assert said.exit_code == 0, said.output
    assert "no perfect plan: bright: it has gaps" in said.output


def test_a_trace_that_is_none_is_told_in_one_line(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    trace.write_text("when,what\n1,2\n")
    said = _run(tmp_path, home, trace)
    assert said.exit_code == 2
    assert said.output.startswith(f"loadctl: {trace}:1: no trace has the columns when, what")
    assert len(said.output.splitlines()) == 1
    missing = _run(tmp_path, home, tmp_path / "none.csv")
    assert missing.exit_code == 2
    assert "none.csv" in missing.output
    assert len(missing.output.splitlines()) == 1
