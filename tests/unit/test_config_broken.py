"""Rule files with faults: each begins with the lines that its owner must be told, `# expect …`."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadctl.config import load
from loadctl.errors import ConfigError
from tests.unit.tiny_drivers import TINY

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_each_fault_is_told_at_its_place_and_nothing_else(file):
    text = file.read_text("utf-8")
    expected = [line.removeprefix("# expect ") for line in text.splitlines() if line.startswith("# expect ")]
    with pytest.raises(ConfigError) as caught:
        load(file, {}, drivers=TINY)
    told = [str(fault).removeprefix(f"{file}:") for fault in caught.value.faults]
    missed = [line for line in expected if not any(line in fault for fault in told)]
    assert not missed, "\n".join(told)
    assert len(told) == len(expected), "\n".join(told)
    assert all(1 <= fault.line <= len(text.splitlines()) for fault in caught.value.faults)


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 30
