"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from loadctl.cli import COMMANDS
from loadctl.config import parse
from loadctl.core.lifecycle import MOVES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_lifecycle_is_drawn_from_the_table():
    drawn = re.search(r"<!-- lifecycle -->\n```mermaid\n(.*?)\n```\n<!-- /lifecycle -->", README, re.DOTALL)
    assert drawn is not None
    moves = [f"    {source} --> {dest}: {trigger}" for trigger, source, dest in MOVES]
    assert drawn[1].splitlines() == ["stateDiagram-v2", "    [*] --> off", *moves]


def test_the_example_is_a_rule_file():
    (example,) = re.findall(r"```yaml\n(version: 1\n.*?)```", README, re.DOTALL)
    house = parse(example, "README.md", {"ENVOY_TOKEN": "of.a.test"})
    (boiler,) = house.site.loads
    assert (boiler.power_w, boiler.start_w, boiler.start_for_s) == (2000.0, 2000.0, 60.0)
    assert (boiler.stop_import_w, boiler.keen) == (200.0, True)  # as the sentence below the example says


def test_the_program_prints_what_it_says(capsys):
    ((program, printed),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_commands_exist():
    named = set(re.findall(r"^loadctl (\w+)", README, re.MULTILINE)) | set(re.findall(r"`loadctl (\w+)", README))
    assert named <= set(COMMANDS)


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_files_exist():
    for link in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (ROOT / link).exists(), link
