"""An independent judge: npm's `ocpp-rpc` in strict mode is the charge point and checks every message of ours.

It needs node and npm; what npm fetches is kept beside pytest's cache.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from loadctl.actuators.ocpp import Ocpp, OcppOptions
from loadctl.core.values import Command, Source
from loadctl.drivers import LoopClock, Shared
from loadctl.errors import Unreachable
from tests.e2e.test_ocpp import free_port
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

PEER = Path(__file__).parent / "ocpp_peer"


@pytest.fixture(scope="module")
def modules(pytestconfig: pytest.Config) -> Path:
    """The folder in which node finds `ocpp-rpc`."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not here: NO INDEPENDENT PEER has judged our OCPP")
    folder = Path(pytestconfig.cache.mkdir("ocpp_peer"))
    wanted = (PEER / "package.json").read_text()
    at = folder / "package.json"
    if not (folder / "node_modules" / "ocpp-rpc").is_dir() or not at.is_file() or at.read_text() != wanted:
        at.write_text(wanted)
        order = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(order, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            at.unlink()
            pytest.skip(f"npm cannot get ocpp-rpc: NO INDEPENDENT PEER has judged our OCPP: {done.stderr[-300:]}")
    return folder


class Peer:
    """The charge point in its own process, and what it has told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.told: list[dict[str, Any]] = []
        self._process = process

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.told.append(json.loads(line))

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Have it call us; return our answer, which it has checked."""
        assert self._process.stdin is not None
        before = len(self.told)
        self._process.stdin.write(json.dumps({"method": method, "params": params}).encode() + b"\n")
        await until(lambda: self._answers(method, before))
        found = self._answers(method, before)[0]
        assert found["event"] == "answer", found
        answer: dict[str, Any] = found["answer"]
        return answer

    def heard(self, method: str) -> list[dict[str, Any]]:
        return [row["params"] for row in self.told if row["event"] == "heard" and row["method"] == method]

    def has(self, event: str) -> bool:
        return any(row["event"] == event for row in self.told)

    def _answers(self, method: str, before: int) -> list[dict[str, Any]]:
        return [row for row in self.told[before:] if row["event"] in {"answer", "error"} and row["method"] == method]


@asynccontextmanager
async def peer(modules: Path, port: int, box_id: str, password: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        "node",
        str(PEER / "charge_point.mjs"),
        f"ws://127.0.0.1:{port}",
        box_id,
        password,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PEER_MODULES": str(modules)},
    )
    found = Peer(process)
    listening = asyncio.create_task(found.listen())
    try:
        yield found
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def status(word: str) -> dict[str, Any]:
    return {"connectorId": 1, "errorCode": "NoError", "status": word, "timestamp": now()}


def values(transaction: int, watts: str, *amps: str) -> dict[str, Any]:
    common = {"context": "Sample.Periodic", "location": "Outlet", "format": "Raw"}
    samples = [common | {"value": watts, "measurand": "Power.Active.Import", "unit": "W"}] + [
        common | {"value": value, "measurand": "Current.Import", "unit": "A", "phase": f"L{number}"}
        for number, value in enumerate(amps, 1)
    ]
    meter = [{"timestamp": now(), "sampledValue": samples}]
    return {"connectorId": 1, "transactionId": transaction, "meterValue": meter}


async def test_a_strict_charge_point_has_nothing_to_find_fault_with(modules: Path) -> None:
    port = free_port()
    keys = {"id": "BOX-1", "listen": f"127.0.0.1:{port}", "password": "0123456789abcdef"}
    driver = Ocpp(TypeAdapter(OcppOptions).validate_python(keys), Shared(LoopClock(UTC)))
    with pytest.raises(Unreachable):
        await driver.read()  # from here on it listens
    async with peer(modules, port, "BOX-1", "0123456789abcdef") as box:
        await until(lambda: box.has("connected"))
        booted = await box.call(
            "BootNotification",
            {"chargePointVendor": "npm", "chargePointModel": "strict", "chargePointSerialNumber": "S-77"},
        )
        assert booted["status"] == "Accepted"
        told = datetime.fromisoformat(booted["currentTime"])
        assert abs((told - datetime.now(UTC)).total_seconds()) < 60
        assert await box.call("Heartbeat", {})
        assert await box.call("StatusNotification", status("Preparing")) == {}
        assert (await box.call("Authorize", {"idTag": "CARD"}))["idTagInfo"]["status"] == "Accepted"
        report = await driver.read()
        assert (report.identity, report.connected, report.on, report.watts) == ("S-77", True, False, None)
        configured = {row["key"]: row["value"] for row in box.heard("ChangeConfiguration")}
        assert configured["MeterValueSampleInterval"] == "10"
        assert configured["MeterValuesSampledData"].startswith("Power.Active.Import,Energy.Active.Import.Register")

        report = await driver.apply(Command(1, "car", 2300.0, phases=1, lease_s=120.0, amps=10.0))
        assert (report.on, report.limit_w, report.source) == (True, 2300.0, Source.US)
        safe, working = (row["csChargingProfiles"] for row in box.heard("SetChargingProfile"))
        assert (working["stackLevel"], safe["stackLevel"]) == (3, 0)
        assert working["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]
        assert working["chargingSchedule"]["duration"] in {120, 121}
        assert safe["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 0.0}]
        assert "duration" not in safe["chargingSchedule"]
        assert box.heard("RemoteStartTransaction") == [{"connectorId": 1, "idTag": "loadctl"}]

        start = {"connectorId": 1, "idTag": "loadctl", "meterStart": 100, "timestamp": now()}
        begun = await box.call("StartTransaction", start)
        transaction = begun["transactionId"]
        assert begun["idTagInfo"]["status"] == "Accepted"
        await box.call("StatusNotification", status("Charging"))
        assert await box.call("MeterValues", values(transaction, "2280.5", "9.9", "0.1", "0.0")) == {}
        report = await driver.read()
        assert (report.on, report.watts, report.phases, report.connected) == (True, 2280.5, 1, True)

        await driver.apply(Command(2, "car", 1380.0, phases=1, lease_s=120.0, amps=6.5))
        limits = [
            row["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
            for row in box.heard("SetChargingProfile")
        ]
        assert limits == [0.0, 10.0, 6.5]

        pausing = asyncio.create_task(driver.apply(Command(3, "car", 0.0)))
        await until(lambda: len(box.heard("SetChargingProfile")) == 4)
        await box.call("StatusNotification", status("SuspendedEVSE"))
        report = await pausing
        assert (report.on, report.watts, report.limit_w) == (False, 0.0, 0.0)
        assert not box.heard("RemoteStopTransaction")

        assert await box.call("DataTransfer", {"vendorId": "npm"}) == {"status": "UnknownVendorId"}
        assert await box.call("FirmwareStatusNotification", {"status": "Idle"}) == {}
        assert await box.call("DiagnosticsStatusNotification", {"status": "Idle"}) == {}
        stop = {"transactionId": transaction, "meterStop": 200, "timestamp": now(), "reason": "EVDisconnected"}
        await box.call("StopTransaction", stop)
        await box.call("StatusNotification", status("Available"))
        report = await driver.read()
        assert (report.connected, report.available, report.detail) == (False, False, "no car is plugged in")
        assert [row for row in box.told if row["event"] in {"misfit", "error"}] == []
    await driver.close()
