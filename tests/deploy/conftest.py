"""What the tests of deploy/ share: where it is, and programs that not every machine has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def program(name: str, package: str) -> str:
    """Return the path of a program; a machine that lacks it skips the test and says what to install."""
    if (path := shutil.which(name)) is None:
        pytest.skip(f"no {name} here, so this is NOT checked: apt-get install {package}")
    return path


def output_of(command: Sequence[str | Path], **options: object) -> tuple[int, str]:
    """Run `command`; return its exit code and all that it printed."""
    done = subprocess.run(  # noqa: PLW1510
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **options
    )  # type: ignore[call-overload]
    return done.returncode, done.stdout
