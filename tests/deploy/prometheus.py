"""A real Prometheus with the shipped configuration, its times shortened, as a process of the test's own."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy.conftest import DEPLOY

SHIPPED = DEPLOY / "prometheus"
INTERVAL = "200ms"
LIMIT_S = 60.0

Series = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server: what it answers, and waiting for it to answer what must come."""

    http: httpx.AsyncClient

    async def query(self, expr: str) -> Series:
        answer = await self.http.get("/api/v1/query", params={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        found: Series = answer.json()["data"]["result"]
        return found

    async def firing(self) -> set[tuple[str, str]]:
        """Return the alerts that fire: name and appliance, or an empty word."""
        series = [one["metric"] for one in await self.query('ALERTS{alertstate="firing"}')]
        return {(one["alertname"], one.get("appliance", "")) for one in series}

    async def until(self, expr: str, holds: Callable[[Series], object] = bool) -> Series:
        """Return the answer once `holds` is true of it; in vain is a failure."""
        end = asyncio.get_running_loop().time() + LIMIT_S
        while not holds(found := await self.query(expr)):
            assert asyncio.get_running_loop().time() < end, f"waited {LIMIT_S:.0f} s in vain: {expr} is {found}"
            await asyncio.sleep(0.1)
        return found


def set_up(folder: Path, target: str, hurry: float) -> Path:
    """Copy the shipped files with intervals for a test and each alert's `for` divided by `hurry`."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], INTERVAL) | {"scrape_timeout": INTERVAL}
    rules = yaml.safe_load((SHIPPED / "rules" / "loadctl.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        for key in {"for", "keep_firing_for"} & rule.keys():
            rule[key] = f"{seconds(rule[key]) * 1000 / hurry:.0f}ms"
    (folder / "rules").mkdir()
    (folder / "rules" / "loadctl.yaml").write_text(yaml.safe_dump(rules))
    (folder / "targets.yaml").write_text(yaml.safe_dump([{"targets": [target]}]))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


def seconds(duration: str) -> float:
    match = re.fullmatch(r"(\d+)(s|m)", duration)
    assert match is not None
    return int(match[1]) * {"s": 1.0, "m": 60.0}[match[2]]


@asynccontextmanager
async def prometheus(program: str, folder: Path, target: str, hurry: float) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes `target` (host:port), with its data in `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={set_up(folder, target, hurry)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:
            await _ready(http, process)
            yield Prometheus(http)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(http: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    end = asyncio.get_running_loop().time() + LIMIT_S
    while True:
        assert process.returncode is None, "Prometheus ended by itself"
        try:
            if (await http.get("/-/ready")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert asyncio.get_running_loop().time() < end, "Prometheus does not get ready"
        await asyncio.sleep(0.05)
