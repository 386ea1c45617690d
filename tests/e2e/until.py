"""Wait for what must come, with a generous bound; nothing here sleeps for luck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(comes_true: Callable[[], object], limit_s: float = 20.0) -> None:
    """Return once `comes_true()` is true. Raises TimeoutError."""
    async with asyncio.timeout(limit_s):
        while not comes_true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)
