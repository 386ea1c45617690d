"""`loadctl replay`, as a person calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from loadctl.cli import main
from loadctl.cli.replay import MOST_TOLD
from loadctl.core.values import State
from loadctl.service.ledger import Leaves, MinuteRow, Portion
from loadctl.service.memory import FILE
from loadctl.service.resume import Moment, Saved
from loadctl.service.store import Batch, Keep, Store
from tests.conftest import SHARED

RULES = """
rules:
  site: {timezone: Europe/Amsterdam}
  loads:
    heater: {power: 2 kW, start: 2 kW, stop: import 500 W, min_on: 2 min, min_off: 2 min}
"""
BEGIN = datetime(2025, 3, 3, 10)  # noqa: DTZ001 - by the site's clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"{(BEGIN + timedelta(minutes=n)).isoformat()},{2600 if 30 <= n < 90 else 0},200" for n in range(150)]
    (tmp_path / "bright.csv").write_text("\n".join(["time,pv_w,load_w", *rows]) + "\n")
    (tmp_path / "home.yaml").write_text(RULES)
    (tmp_path / "shy.yaml").write_text(RULES.replace("start: 2 kW", "start: 2 kW for 20 min"))
    return tmp_path


def run(folder: Path, *args: object) -> Result:
    named = [str(folder / str(arg)) if str(arg).endswith((".csv", ".yaml")) else str(arg) for arg in args]
    return CliRunner().invoke(main, ["replay", *named])


def rows(said: Result) -> dict[str, list[str]]:
    return {line[:26].strip(): line[26:].split("  ") for line in said.stdout.split("\n\n")[0].splitlines()[2:]}


def test_a_table_and_who_was_guessed(folder):
    said = run(folder, "home.yaml", "bright.csv")
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert lines[0] == "Mon 2025-03-03 10:00 to Mon 2025-03-03 12:30, 2.5 h of it known"
    assert lines[1].split() == ["home.yaml"]
    table = {label: cells[-1].strip() for label, cells in rows(said).items()}
    assert table["from the sun"] == "2.60 kWh"
    assert table["the house itself"] == "0.50 kWh"
    assert table["starts"] == "1"
    assert float(table["the bill"]) == pytest.approx(float(table["paid"]) - float(table["earned"]), abs=0.011)
    assert said.stderr == "loadctl: `heater`: what it really is was guessed from its rule; say it under `house:`\n"


def test_a_sun_that_nobody_measured_is_unknown(folder):
    lines = [f"{(BEGIN + timedelta(minutes=n)).isoformat()},{-2400 if n > 30 else 200}" for n in range(90)]
    (folder / "meter.csv").write_text("\n".join(["time,grid_w", *lines]))
    table = {label: cells[-1].strip() for label, cells in rows(run(folder, "home.yaml", "meter.csv")).items()}
    unknown = ("from the sun", "the house itself", "of the sun used here")
    assert [table[label] for label in unknown] == ["unknown"] * 3
    assert table["bought"] == "0.10 kWh"
    totals = json.loads(run(folder, "home.yaml", "meter.csv", "--json").stdout)["rules"][0]["totals"]
    assert (totals["pv_wh"], totals["base_wh"]) == (None, None)


def test_a_need_that_a_gap_hides_is_said_to_be_not_judged(folder):
    (folder / "needy.yaml").write_text(RULES.replace("min_on:", "need: 1 kWh by 12:00, min_on:"))
    text = (folder / "bright.csv").read_text().splitlines()
    (folder / "gap.csv").write_text("\n".join([*text[:5], *text[60:]]))
    table = {label: cells[-1].strip() for label, cells in rows(run(folder, "needy.yaml", "gap.csv")).items()}
    assert "needs met" not in table
    assert table["needs hidden by a gap"] == "1 not judged"
    heater = json.loads(run(folder, "needy.yaml", "gap.csv", "--json").stdout)["rules"][0]["totals"]["loads"]["heater"]
    assert (heater["needs"], heater["needs_not_judged"]) == (0, 1)
    picture = folder / "out.html"
    run(folder, "needy.yaml", "gap.csv", "--plot", picture)
    assert "needs not judged: the trace has a gap" in picture.read_text(encoding="utf-8")


def test_a_day_of_a_trace_with_offsets_is_one_day(folder):
    """The rule file names no time zone: this computer's is not asked for."""
    file = "version: 1\nmeter: {driver: envoy, host: e, token: t}\nloads:\n  heater:"
    (folder / "file.yaml").write_text(file + " {actuator: {driver: shelly, host: h}, power: 2 kW}\n")
    lines = [f"2025-03-03T{n // 60:02}:{n % 60:02}:00-07:00,0,200" for n in range(0, 1440, 5)]
    (folder / "west.csv").write_text("\n".join(["time,pv_w,load_w", *lines]))
    said = run(folder, "file.yaml", "west.csv", "--plot", folder / "west.html")
    assert said.stdout.startswith("Mon 2025-03-03 00:00 to Tue 2025-03-04 00:00"), said.output
    assert (folder / "west.html").read_text(encoding="utf-8").count("<section>") == 1


def test_decisions_have_their_reasons(folder):
    said = run(folder, "home.yaml", "bright.csv", "--decisions")
    told = said.stdout.partition("\nMonday 2025-03-03\n")[2].splitlines()
    assert told[0].startswith("  10:00:00  heater  rests: 0 W free, needs 2")
    assert any(re.match(r"  10:3\d:\d\d  heater  starts: 2", line) for line in told)


def test_two_rule_files_and_where_they_differ(folder):
    said = run(folder, "home.yaml", "shy.yaml", "bright.csv", "--jobs", 1)
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[1].split() == ["home.yaml", "shy.yaml"]
    apart = said.stdout.split("\n\n")[1].splitlines()
    assert re.fullmatch(r"Where shy.yaml differs from home.yaml: once, for (19|20) min in all", apart[0])
    assert re.fullmatch(r"  heater: once, (19|20) min on under home.yaml only", apart[1])
    assert re.fullmatch(r"  Mon 03 Mar 10:3\d-10:5\d  heater is on under home.yaml, not under shy.yaml", apart[2])
    assert apart[3].startswith("    home.yaml  starts: ")
    assert apart[4].startswith("    shy.yaml   waits: ")


def test_of_many_differences_the_first_are_told(folder):
    """Clouds come every ten minutes: the shy one never starts."""
    rows = [f"{(BEGIN + timedelta(minutes=n)).isoformat()},{2600 if n % 20 < 10 else 0},200" for n in range(600)]
    (folder / "clouds.csv").write_text("\n".join(["time,pv_w,load_w", *rows]))
    apart = run(folder, "home.yaml", "shy.yaml", "clouds.csv", "--jobs", 1).stdout.split("\n\n")[1].splitlines()
    assert re.fullmatch(r"  heater: 30 times, 5 h \d\d on under home.yaml only", apart[1])
    assert len([line for line in apart if "heater is on under" in line]) == MOST_TOLD
    assert apart[-1] == f"  … and {30 - MOST_TOLD} more; --json has all"
    whole = json.loads(run(folder, "home.yaml", "shy.yaml", "clouds.csv", "--json", "--jobs", 1).stdout)
    assert len(whole["differences"]) == 30


def test_the_same_in_several_processes_and_as_json(folder):
    one, two = (run(folder, "home.yaml", "shy.yaml", "bright.csv", "--json", "--jobs", jobs) for jobs in (1, 2))
    assert one.exit_code == two.exit_code == 0, one.output
    assert one.stdout == two.stdout
    told = json.loads(one.stdout)
    assert (told["from"], told["to"]) == ("2025-03-03T10:00:00+01:00", "2025-03-03T12:30:00+01:00")
    assert [each["name"] for each in told["rules"]] == ["home.yaml", "shy.yaml"]
    assert told["rules"][0]["totals"]["loads"]["heater"]["starts"] == 1
    assert {"time", "load", "verdict", "state", "sentence", "command_w"} == set(told["rules"][0]["decisions"][0])
    (apart,) = told["differences"]
    assert apart["on"]["rules"] == "home.yaml"
    assert apart["off"]["sentence"].startswith("waits: ")


def test_rules_that_do_the_same_are_told_so(folder):
    (folder / "same.yaml").write_text(RULES)
    assert "same.yaml switches as home.yaml does." in run(folder, "home.yaml", "same.yaml", "bright.csv").stdout


def test_only_a_part_of_the_days(folder):
    said = run(folder, "home.yaml", "bright.csv", "--from", "2025-03-03 10:30", "--to", "2025-03-03 11:00")
    assert said.stdout.startswith("Mon 2025-03-03 10:30 to Mon 2025-03-03 11:00, 0.5 h of it known")
    assert rows(said)["from the sun"][-1].strip() == "1.30 kWh"


def test_a_part_of_yesterday_is_said_as_explain_has_it(folder):
    yesterday = datetime.now(ZoneInfo("Europe/Amsterdam")).date() - timedelta(days=1)
    text = (folder / "bright.csv").read_text()
    (folder / "late.csv").write_text(text.replace("2025-03-03", yesterday.isoformat()))
    said = run(folder, "home.yaml", "late.csv", "--from", "yesterday 11:00", "--to", "yesterday 12:00")
    assert said.stdout.startswith(f"{yesterday:%a %F} 11:00 to {yesterday:%a %F} 12:00"), said.output


def test_a_house_for_all(folder):
    (folder / "real.yaml").write_text("house:\n  heater: {is: tank, holds: 1 kWh, begins: 0 kWh}\n")
    said = run(folder, "home.yaml", "shy.yaml", "bright.csv", "--house", "real.yaml", "--json")
    assert said.stderr == ""
    energy = [each["totals"]["loads"]["heater"]["energy_wh"] for each in json.loads(said.stdout)["rules"]]
    assert energy == pytest.approx([1060, 1060], rel=0.1)  # it is full


def test_whose_house_was_guessed_is_said_where_not_all_were(folder):
    (folder / "real.yaml").write_text(RULES + "house:\n  heater: {is: tank, holds: 1 kWh, begins: 0 kWh}\n")
    both = run(folder, "home.yaml", "shy.yaml", "bright.csv", "--jobs", 1)
    mixed = run(folder, "home.yaml", "real.yaml", "bright.csv", "--jobs", 1)
    assert both.stderr == "loadctl: `heater`: what it really is was guessed from its rule; say it under `house:`\n"
    assert mixed.stderr.startswith("loadctl: home.yaml: `heater` was guessed from its rule, another file says what it")
    assert len(mixed.stderr.splitlines()) == 1


def test_a_bill_of_nothing_has_no_sign(folder):
    (folder / "free.csv").write_text("time,pv_w,load_w\n2025-03-03T10:00,1.2,0\n2025-03-03T10:01,1.2,0\n")
    said = run(folder, "home.yaml", "free.csv")
    assert "-0.00" not in said.stdout
    assert rows(said)["the bill"][-1].strip() == "0.00"


def test_several_traces_are_lived_as_one(folder):
    text = (folder / "bright.csv").read_text()
    (folder / "later.csv").write_text(text.replace("2025-03-03", "2025-05-09"))
    said = run(folder, "home.yaml", "later.csv", "--trace", folder / "bright.csv", "--json")
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)["rules"][0]
    assert told["totals"]["seconds"] == 2 * 150 * 60
    assert told["totals"]["loads"]["heater"]["starts"] == 2
    assert any(one["verdict"] == "blind" for one in told["decisions"])


def test_a_picture_for_the_browser(folder):
    said = run(folder, "home.yaml", "bright.csv", "--plot", folder / "out.html")
    assert said.exit_code == 0, said.output
    assert (folder / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    nowhere = run(folder, "home.yaml", "bright.csv", "--plot", folder / "no" / "out.html")
    assert "no/out.html: cannot be written" in nowhere.stderr


def test_without_matplotlib_a_picture_is_refused_in_one_line(folder):
    """A real process, in which matplotlib cannot be imported."""
    code = "import sys; sys.modules['matplotlib'] = None; from loadctl.cli import main; main()"
    args = ["replay", "home.yaml", "bright.csv", "--plot", "out.png"]
    said = subprocess.run([sys.executable, "-c", code, *args], cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr == "loadctl: a PNG needs matplotlib: pip install 'loadctl[lab]', or take --plot out.html\n"


def test_a_download_of_home_assistant(folder):
    lines = ["entity_id,state,last_changed"]
    at = datetime(2025, 3, 3, 10, tzinfo=UTC)
    for name, watts in (("roof", (0, 2.6, 0)), ("house_power", (200, 210, 200))):
        for step, value in enumerate(watts):
            lines.append(f"sensor.{name},{value},{(at + timedelta(minutes=30 * step)).isoformat()}")
    (folder / "download.csv").write_text("\n".join(lines))
    said = run(folder, "home.yaml", "download.csv", "--entity", "pv=sensor.roof")
    assert said.exit_code == 0, said.output
    assert "`sensor.house_power` is taken as load" in said.stderr
    assert "`sensor.roof` is taken as kW" in said.stderr
    assert rows(said)["from the sun"][-1].strip() == "1.30 kWh"
    assert said.stdout.startswith("Mon 2025-03-03 11:00")  # by the site's clock


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A state directory whose last two hours were bright, with a boiler that ran, and one was not measured."""
    now = datetime.now(UTC).timestamp()
    measured = (3000.0, 2300.0, -700.0, None, None, 2700.0)
    this = int(now // 60)
    minutes = [
        MinuteRow(minute, 60.0, measured, (("boiler", 2000 / 60, 60.0),))
        for minute in range(this - 120, this)
        if not this - 60 <= minute < this - 50
    ]
    moment = Moment(100.0, now, 1, "boot", trusted=True)
    store = Store(tmp_path / FILE, Keep())
    with closing(store):
        store.open(datetime.now(UTC))
        energy = {("2025-03-03", "load", "boiler"): Portion(3600.0, 6600.0, 1)}
        leaves = Leaves(minutes=tuple(minutes), energy=energy)
        saved = Saved(moment, State((), day=1), {}, (), {})
        assert store.write(Batch(saved, "Europe/Amsterdam", leaves), datetime.now(UTC)) is None
    return tmp_path


def test_the_house_s_own_last_hours(folder, memory):
    said = run(folder, "home.yaml", "--last", "90 min", "--state-dir", memory, "--json")
    assert said.exit_code == 0, said.output
    totals = json.loads(said.stdout)["rules"][0]["totals"]
    assert totals["seconds"] == pytest.approx(80 * 60, abs=61)
    assert totals["base_wh"] / (totals["seconds"] / 3600) == pytest.approx(300)  # without the boiler that ran then
    assert totals["loads"]["heater"]["starts"] == 2  # before the gap and after it


def test_the_history_is_told_where_it_is_not(folder, memory):
    (folder / "elsewhere").mkdir()
    missing = run(folder, "home.yaml", "--last", "30d", "--state-dir", folder / "elsewhere")
    assert missing.exit_code == 2
    assert "there is no history here: has loadctl run, with this --state-dir?" in missing.stderr
    empty = run(folder, "home.yaml", "--last", "5 s", "--state-dir", memory)
    assert "nothing is written down from " in empty.stderr


def test_what_history_export_wrote_is_the_same_trace(folder, memory):
    exported = CliRunner().invoke(
        main, ["history", "export", "--state-dir", str(memory), "-o", str(folder / "own.csv")]
    )
    assert exported.exit_code == 0, exported.output
    told = [
        json.loads(run(folder, "home.yaml", *which, "--json").stdout)["rules"][0]["totals"]
        for which in (("own.csv",), ("--last", "1d", "--state-dir", memory))
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("bright.csv",), "say which rules to live under: a .yaml file before "),
        (("home.yaml",), "say which days to live through: trace files, or --last 30d"),
        (("home.yaml", "bright.csv", "--last", "3d"), "say which days to live through"),
        (("home.yaml", "home.yaml", "bright.csv"), "home.yaml: is named twice: nothing would differ"),
        (("home.yaml", "none.csv"), "none.csv: cannot be read: No such file or directory"),
        (("none.yaml", "bright.csv"), "none.yaml"),
        (("home.yaml", "bright.csv", "--from", "2025-07-01"), "nothing of it lies there: it goes from 2025-03-03"),
        (("home.yaml", "bright.csv", "--from", "soon"), "--from soon: write 2025-06-01, today, 14:00, 'yesterday"),
        (("home.yaml", "bright.csv", "--from", "2025-03-04", "--to", "2025-03-03"), "--from must be before --to"),
        (("home.yaml", "bright.csv", "--plot", "day.pdf"), "--plot day.pdf: the name of a picture ends in"),
        (("home.yaml", "bright.csv", "--entity", "roof"), "--entity roof: write what it is and its name, such as pv="),
        (("home.yaml", "bright.csv", "--house", "shy.yaml"), "shy.yaml: has no `house:`: write what each appliance"),
        (("home.yaml", "bright.csv", "--trace", "bright.csv"), "bright: begins on 2025-03-03 at 10:00, before"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_told_in_one_line(folder, args, words):
    said = run(folder, *args)
    assert said.exit_code in {1, 2}
    assert words in said.stderr
    assert "Traceback" not in said.output
    assert len([line for line in said.stderr.splitlines() if words in line]) == 1


def test_the_command_is_in_the_help():
    said = CliRunner().invoke(main, ["--help"])
    assert "Live through recorded days under your rules." in said.output


def test_a_recorded_day(tmp_path):
    """Home C on a day of broken clouds: nothing is lost, no minimum time is broken, and it soon is lived through."""
    traces = SHARED / "traces"
    if not traces.exists():
        pytest.skip("no recorded traces here: they are beside the repository, at ../shared/traces")
    args = ["replay", "c", str(traces / "d4_spring_broken.csv"), "--json", "--from", "2020-03-16 06:00"]
    args += ["--to", "2020-03-16 19:00", "--plot", str(tmp_path / "day.html")]
    code = "from loadctl.cli import main; main()"
    said = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    totals = json.loads(said.stdout)["rules"][0]["totals"]
    assert totals["broken_minimum_times"] == 0
    drawn = sum(load["energy_wh"] for load in totals["loads"].values())
    balance = totals["import_wh"] - totals["export_wh"]
    assert balance == pytest.approx(totals["base_wh"] + drawn - totals["pv_wh"], abs=1)
    assert totals["self_consumption"] > 0.8
