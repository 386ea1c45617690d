"""Wait for what must come, with a generous bound; nothing here sleeps for luck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(comes_true: Callable[[], object], limit_s: float = 60.0) -> None:
    """Return once `comes_true()` is true; in vain is a failure."""
    end = asyncio.get_running_loop().time() + limit_s
    while not comes_true():
        assert asyncio.get_running_loop().time() < end, f"waited {limit_s:.0f} s in vain"
        await asyncio.sleep(0.02)
