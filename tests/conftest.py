"""What all tests share. Async tests are marked `anyio` and run on asyncio."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
