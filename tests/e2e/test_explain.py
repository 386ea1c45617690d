"""`loadctl explain` beside a running daemon, and after it."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime

import pytest

from tests.e2e.street import loadctl, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def street(tmp_path):
    async with open_street(tmp_path) as street:
        yield street


async def test_it_says_why_now_and_afterwards(street):
    street.sun_w = 0.0
    where = "--state-dir", str(street.state_dir)
    async with loadctl_run(street) as process:
        await until(lambda: street.said("→ rest"))
        code, out, err = await loadctl("explain", *where)
        assert (code, err) == (0, "")
        assert out.startswith("boiler: off since ")
        assert "\n  rests: 0 W free, needs 1 500 W for 2 s\n" in out
        street.sun_w = 5000.0
        await until(lambda: street.said("→ run: runs: "))
        code, out, _ = await loadctl("explain", "boiler", "--json", *where)
        (load,) = json.loads(out)["loads"]
        assert (code, load["name"], load["phase"], load["verdict"]) == (0, "boiler", "on", "run")
        assert load["why"].startswith("runs: ")
        seen = datetime.now(UTC)
        code, _, err = await loadctl("explain", "bioler", *where)
        assert (code, err) == (2, "loadctl: no load is named bioler: did you mean boiler?\n")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    code, out, _ = await loadctl("explain", "--at", f"{seen:%Y-%m-%d %H:%M:%S}", *where)
    assert code == 0
    assert "boiler: on since " in out
    assert "  starts: " in out
    code, _, err = await loadctl("explain", *where)
    assert (code, err.startswith("loadctl: no loadctl runs with")) == (2, True)
