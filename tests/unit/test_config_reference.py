"""The reference page: its tables are those of the schema, its examples are rule files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from loadctl.cli import main
from loadctl.config import parse
from loadctl.config.reference import documented, filled
from loadctl.config.schema import schema
from tests.unit.homes import INPUTS
from tests.unit.tiny_drivers import TINY

PAGE = Path(__file__).parents[2] / "rules" / "README.md"
TEXT = PAGE.read_text("utf-8")
HEAD = "version: 1\nmeter: {driver: envoy, host: envoy.local}\n"
LOADS = "loads:\n  boiler:\n    actuator: {driver: shelly, host: 192.168.1.40}\n    power: 2 kW\n"
SNIPPETS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
ROWS = [line for line in TEXT.splitlines() if line.startswith("| `")]


def test_its_tables_are_those_of_the_schema():
    assert filled(TEXT, schema()) == TEXT, "run: loadctl schema --page rules/README.md"


def test_each_key_stands_on_it():
    made = schema()
    groups = {"site": made["properties"]["site"], "web": made["properties"]["web"]}
    groups |= {name: group for name, group in made["$defs"].items() if name.startswith(("load", "site."))}
    asked = {(name, key) for name, group in groups.items() for key in group["properties"]}
    assert asked - documented(TEXT, made) == set()


def test_each_key_of_ours_has_a_meaning_a_way_to_write_it_a_default_and_an_example():
    ours = TEXT[TEXT.index("## An appliance") : TEXT.index("## The devices that switch")].splitlines()
    for row in ours:
        if row.startswith("| `"):
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            assert len(cells) == 5, row
            assert all(cells), row


@pytest.mark.parametrize("row", [row for row in ROWS if not row.endswith("|  |")])
def test_each_example_is_yaml(row):
    key, example = row.split("`")[1], row.rstrip("| `").rpartition(" | `")[2].replace("\\|", "|")
    assert list(yaml.safe_load(re.sub(r"\$\{(\w+)\}", r"\1", example))) == [key]


@pytest.mark.parametrize("snippet", [text for text in SNIPPETS if not text.startswith("#")])
def test_each_piece_of_a_file_is_right(snippet):
    if snippet.startswith("    "):
        text = HEAD + INPUTS + LOADS + snippet
    elif snippet.startswith("loads:"):
        text = HEAD + INPUTS.replace("charge:", "car_charge:") + snippet
    else:
        text = snippet if snippet.startswith("version") else HEAD + snippet + LOADS
    assert parse(text, "home.yaml", {}, drivers=TINY).site.loads


def test_the_command_brings_a_page_up_to_date(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Keys\n<!-- keys of web: port -->\nold\n<!-- end -->\nrest\n", "utf-8")
    assert CliRunner().invoke(main, ["schema", "--page", str(page)]).exit_code == 0
    text = page.read_text("utf-8")
    assert "old" not in text
    assert "| `port` | The port to listen on. | a whole number | `8480` | `port: 8480` |" in text
    assert text.startswith("# Keys\n")
    assert text.endswith("<!-- end -->\nrest\n")
