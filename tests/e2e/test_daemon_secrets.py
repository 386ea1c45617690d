"""What the owner's passwords and tokens may never appear in: log, metrics, state file, the list of processes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.street import Street, loadctl, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

DEVICE, WRONG, TOKEN, ACCOUNT = "relay-s3cret", "wr0ng-s3cret", "eyJ.t0ken-s3cret.x", "acc0unt-s3cret"
SECRETS = (DEVICE, WRONG, TOKEN, ACCOUNT)
RULES = """\
version: 1
site: {{timezone: UTC, hold: 2 s}}
meter: {{driver: envoy, host: "{envoy}", every: 1 s, max_age: 6 s, token: "${{ENVOY_TOKEN}}"}}
web: {{port: {port}}}
loads:
  boiler:
    actuator: {{driver: shelly, host: "{boiler}", lease: 15 s, every: 2 s, password: !secret boiler}}
    power: 2 kW
    start: 1.5 kW for 2 s
    stop: import 800 W for 2 s
  pump:
    actuator: {{driver: shelly, host: "{boiler}", channel: 1, lease: 15 s, every: 2 s, password: !secret pump}}
    power: 1 kW
"""


async def seen(street: Street, pid: int) -> dict[str, bytes]:
    """Return what anybody could read of a running daemon."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{street.port}") as client:
        page = (await client.get("/metrics")).content
    places = {"log": "".join(street.lines).encode(), "metrics": page}
    for path in (*street.state_dir.iterdir(), Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/comm")):
        if path.is_file():
            places[path.name] = path.read_bytes()
    return places


def leaks(places: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(place, secret) for place, content in places.items() for secret in SECRETS if secret.encode() in content]


@pytest.mark.parametrize("era", ["5", "8"], ids=["no login wanted", "token refused"])
async def test_secrets_are_nowhere_to_be_read(tmp_path, era):
    secrets = tmp_path / "secrets.yaml"
    secrets.write_text(f"boiler: {DEVICE}\npump: {WRONG}\n", encoding="utf-8")
    secrets.chmod(0o600)
    async with open_street(tmp_path, RULES, password=DEVICE) as street:
        street.envoy.era = era
        async with loadctl_run(street, "--verbose", ENVOY_TOKEN=TOKEN) as process:
            await until(lambda: street.said("pump: ") and street.said("wrong password"))
            if era == "5":
                await until(lambda: street.boiler.on)
            else:
                await until(lambda: street.said("meter: "))
            process.send_signal(signal.SIGHUP)
            await until(lambda: street.said("new rules"))
            places = await seen(street, process.pid)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 2  # the pump could not be confirmed
        places["log to the end"] = "".join(street.lines).encode()
        places |= {f"{path.name} at the end": path.read_bytes() for path in street.state_dir.iterdir()}
        assert {"log", "metrics", "memory.sqlite", "cmdline"} <= set(places)
        assert leaks(places) == []
        for command in ("check", "probe", "safe"):
            places[command] = repr(await loadctl(command, str(street.file))).encode()
        assert leaks(places) == []
