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
house:
  heater: {is: plain}
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
    assert lines[1].split() == ["cost", "saved", "share", "starts", "unmet"]
    assert "guessed" not in said.output
    assert "-0.00" not in said.output


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
    said = _run(tmp_path, home, trace, _dimmer(trace), "--jobs", 1)
    assert said.exit_code == 0, said.output
    days, _, together = said.stdout.partition("2 days together\n")
    ours, plan = (
        [line.split() for line in days.splitlines() if line.startswith(name)] for name in ("  loadctl", "  perfect")
    )
    rows = {line[2:30].strip(): line[30:].split() for line in together.splitlines()}
    assert float(rows["loadctl"][1]) == pytest.approx(sum(float(line[2]) for line in ours), abs=0.011)
    assert float(rows["perfect foresight"][1]) == pytest.approx(sum(float(line[3]) for line in plan), abs=0.011)
    assert rows["perfect foresight"][2] == "1.000"
    assert "better plans save 0." in together


def test_a_day_with_a_hole_has_a_plan_around_it(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    _without(trace, 50, 60)
    said = _run(tmp_path, home, trace)
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[0] == "bright, home home, 93.3% of it known"
    assert "  perfect foresight" in said.stdout


def test_days_without_a_plan_are_not_in_the_sums(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    dim = _dimmer(trace)
    _without(dim, 30, 120)
    alone = json.loads(_run(tmp_path, home, trace, "--json").stdout)["total"]
    args = (tmp_path, home, trace, dim, "--jobs", 1)
    said = _run(*args)
    assert said.exit_code == 0, said.output
    assert "  no perfect plan: dim: it has gaps of half the time or more" in said.stdout
    assert "2 days together: sums and share over 1 of 2 days, those with a perfect plan" in said.stdout
    found = json.loads(_run(*args, "--json").stdout)["total"]
    assert (found["days"], found["planned"]) == (2, 1)
    assert found["policies"] == alone["policies"]
    assert found["foresight"] == alone["foresight"]
    none = _run(tmp_path, home, dim, _without(_dimmer(trace, "other.csv"), 20, 120), "--jobs", 1)
    assert "2 days together, without a share: none has a perfect plan" in none.stdout


def test_a_day_that_is_given_twice_is_refused(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    copy = trace.with_name("copy.csv")
    copy.write_text(trace.read_text())
    for again in (trace, copy):
        said = _run(tmp_path, home, trace, again)
        assert said.exit_code == 2
        assert said.output == f"loadctl: {again}: {again.stem} is given twice; it would count twice\n"


def test_who_was_guessed_is_told_and_can_be_described(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    plain = tmp_path / "plain.yaml"
    plain.write_text(RULES.partition("house:")[0])
    said = _run(tmp_path, plain, trace, "--json")
    assert said.exit_code == 0, said.output
    assert said.stderr.splitlines() == [
        "loadctl: `heater`: what it really is was guessed from its rule; say it under `house:`",
        "loadctl: the score judges that guess: more than a need is worth what selling would bring",
    ]
    guessed = json.loads(said.stdout)["days"][0]["policies"]["loadctl"]
    described = _run(tmp_path, plain, trace, "--house", home, "--json")
    assert described.stderr == ""
    assert described.stdout == _run(tmp_path, home, trace, "--json").stdout.replace('"home": "home"', '"home": "plain"')
    real = json.loads(described.stdout)["days"][0]["policies"]["loadctl"]
    assert guessed["share"] > real["share"]  # what it took beyond its need was not in vain


def test_where_nothing_can_be_saved_there_is_no_share(tmp_path: Path, files: tuple[Path, Path]):
    home, trace = files
    home.write_text("rules: {loads: {heater: {power: 2 kW}}}")
    said = _run(tmp_path, home, trace)
    assert said.exit_code == 0, said.output
    plan = next(line for line in said.stdout.splitlines() if line.startswith("  perfect"))
    assert plan.split()[4] == "0"
    assert "nothing to save, so no share" in plan
    assert "-0.00" not in said.stdout


def _dimmer(trace: Path, name: str = "dim.csv") -> Path:
    """Write the same day with less sun."""
    dim = trace.with_name(name)
    dim.write_text(trace.read_text().replace(",2500,", ",2300,"))
    return dim


def _without(trace: Path, first: int, last: int) -> Path:
    """Take rows out of a trace."""
    lines = trace.read_text().splitlines()
    trace.write_text("\n".join([*lines[:first], *lines[last:]]) + "\n")
    return trace


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
