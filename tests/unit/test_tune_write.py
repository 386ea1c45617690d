"""Changes in the owner's own file: only values are new, every comment stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadctl.config import parse
from loadctl.controller import Controller
from loadctl.errors import LoadctlError
from loadctl.lab.tune.space import space_of
from loadctl.lab.tune.subject import Edit, read_subject
from loadctl.lab.tune.write import Line, old_value, written
from tests.tune_homes import day

RULES = Path(__file__).parents[2] / "rules"
FILES = sorted(file for file in RULES.glob("*.yaml") if not file.name.endswith(".test.yaml"))
HOME = Path("home.yaml")


def _written(text: str, path: str, value: str | int, why: str = "it helps") -> str:
    return written(text, (), [Line(Edit(tuple(path.split(".")), value), why)], HOME)


def test_a_value_is_replaced_where_it_stands_and_its_comment_stays():
    text = "loads:\n  boiler:   # old\n    power: 2 kW\n    start: 1.5 kW for 1 min   # half a kilowatt\n"
    assert _written(text, "loads.boiler.start", "1 kW for 1 min", "was `1.5 kW for 1 min`") == (
        "loads:\n  boiler:   # old\n    power: 2 kW\n    # tuned: was `1.5 kW for 1 min`\n"
        "    start: 1 kW for 1 min   # half a kilowatt\n"
    )


def test_a_new_key_stands_behind_the_power():
    text = "loads:\n  boiler:\n    power: 2 kW   # its label\n    need: 2 kWh by 18:00\n"
    assert _written(text, "loads.boiler.start", "70 %").splitlines()[2:5] == [
        "    power: 2 kW   # its label",
        "    # tuned: it helps",
        "    start: 70 %",
    ]


def test_a_file_may_end_without_an_end_of_line():
    assert _written("loads:\n  boiler:\n    power: 2 kW", "loads.boiler.start", "70 %").endswith(
        "2 kW\n    # tuned: it helps\n    start: 70 %\n"
    )


def test_a_group_on_one_line_stays_on_one_line():
    text = "loads:\n  boiler: {power: 2 kW, min_on: 2 min}   # mine\n"
    assert _written(text, "loads.boiler.min_on", "5 min") == (
        "loads:\n  # tuned: it helps\n  boiler: {power: 2 kW, min_on: 5 min}   # mine\n"
    )
    assert _written(text, "loads.boiler.min_off", "5 min").endswith("min_on: 2 min, min_off: 5 min}   # mine\n")


def test_several_changes_of_a_load_all_find_their_place():
    text = "loads:\n  boiler:\n    power: 2 kW\n    start: 1 kW\n    stop: import 1.2 kW\n  pump: {power: 1 kW}\n"
    changes = [
        Line(Edit(("loads", "boiler", key), value), key)
        for key, value in (("min_on", "5 min"), ("min_off", "6 min"), ("start", "500 W"), ("stop", "import 2 kW"))
    ]
    done = written(text, (), [*changes, Line(Edit(("loads", "pump", "priority"), 1), "first")], HOME).splitlines()
    assert done[3:] == [
        "    # tuned: min_on",
        "    min_on: 5 min",
        "    # tuned: min_off",
        "    min_off: 6 min",
        "    # tuned: start",
        "    start: 500 W",
        "    # tuned: stop",
        "    stop: import 2 kW",
        "  # tuned: first",
        "  pump: {power: 1 kW, priority: 1}",
    ]


def test_the_long_form_stays_long():
    text = "loads:\n  boiler:\n    power: 2 kW\n    start:\n      surplus: 1.5 kW   # so much\n      for: 1 min\n"
    done = _written(text, "loads.boiler.start.surplus", "1 kW")
    assert "      # tuned: it helps\n      surplus: 1 kW   # so much\n      for: 1 min\n" in done


def test_what_is_shared_is_not_changed_for_others():
    text = "loads:\n  a: {power: 2 kW, start: &s 1 kW}\n  b: {power: 2 kW, start: *s }\n"
    assert "a: {power: 2 kW, start: &s 1 kW}" in (done := _written(text, "loads.b.start", "500 W"))
    assert "b: {power: 2 kW, start: 500 W }" in done
    with pytest.raises(LoadctlError, match=r"loads\.a\.start .* by hand"):
        _written(text, "loads.a.start", "500 W")


def test_what_is_merged_in_is_overruled():
    text = "loads:\n  a: &a\n    power: 2 kW\n    start: 1 kW\n  b:\n    <<: *a\n    min_on: 2 min\n"
    done = _written(text, "loads.b.start", "500 W")
    assert done.endswith("  b:\n    # tuned: it helps\n    start: 500 W\n    <<: *a\n    min_on: 2 min\n")


def test_a_load_that_is_a_copy_is_left_to_the_owner():
    with pytest.raises(LoadctlError, match="by hand"):
        _written("loads:\n  a: &a\n    power: 2 kW\n  b: *a\n", "loads.b.start", "500 W")


def test_ends_of_lines_stay_as_they_are():
    done = _written("loads:\r\n  a:\r\n    power: 2 kW\r\n    start: 1 kW\r\n", "loads.a.start", "500 W")
    assert done.count("\r\n") == done.count("\n") == 5


def test_a_long_reason_takes_several_lines():
    done = _written("loads:\n  a:\n    power: 2 kW\n", "loads.a.start", "500 W", "because " * 40)
    assert max(map(len, done.splitlines())) <= 120
    assert all(line.lstrip().startswith(("#", "start")) for line in done.splitlines()[3:])


def test_the_old_value_is_told_as_it_stands_there():
    text = 'loads:\n  a: {power: 2 kW, start: "1 kW for 1 min"}\n'
    assert old_value(text, (), Edit(("loads", "a", "start"), "")) == '"1 kW for 1 min"'
    assert old_value(text, (), Edit(("loads", "a", "stop"), "")) is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_change_that_may_be_tried_can_be_written(file: Path):
    """In our own rule files: what is written is what was tried, passes the check, and asks for no shorter rest."""
    subject = read_subject(str(file))
    space = space_of(subject, [day(0)])
    before = {load.name: load for load in Controller.from_file(file).house.site.loads}
    for knob in space.knobs.values():
        for index in {0, len(knob.options) - 1} - {knob.base}:
            edits = space.edits(space.settings({knob.name: index}))
            if not edits:
                assert knob.kind.endswith(".for")  # nothing to hold without a threshold
                continue
            done = written(subject.text, (), [Line(edit, "why") for edit in edits], file)  # reads it back
            for load in parse(done, str(file), {}, lenient=True).site.loads:
                old = before[load.name]
                assert load.min_on_s >= old.min_on_s
                assert load.min_off_s >= old.min_off_s
                if load.follow is not None and old.follow is not None:
                    assert load.follow.every_s >= old.follow.every_s
                    assert load.follow.phase_pause_s >= old.follow.phase_pause_s
            for line in subject.text.splitlines():
                assert not (comment := line.partition(" #")[2]) or comment in done
