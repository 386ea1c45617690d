"""The emulated my-PV heater's registers against mbpoll (libmodbus), which nobody of us wrote, and its tank."""

from __future__ import annotations

import asyncio
import re
import shutil

import httpx
import pytest

from loadctl.lab.emulators.modbus import serve_modbus
from loadctl.lab.emulators.mypv import HTTP, EmulatedMyPv, Tank
from loadctl.lab.emulators.serve import serve
from tests.e2e.shelly_home import Clock

pytestmark = pytest.mark.anyio

MBPOLL = shutil.which("mbpoll")
needs_mbpoll = pytest.mark.skipif(
    MBPOLL is None, reason="NO SECOND OPINION ON MODBUS: mbpoll is not installed (apt-get install mbpoll)"
)


async def mbpoll(port: int, *words: str) -> tuple[int, str]:
    # -0: registers count from 0, as in my-PV's lists; -1: once; -t 4: holding registers
    command = [str(MBPOLL), "-m", "tcp", "-p", str(port), "-a", "1", "-0", "-1", "-t", "4", *words]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def values(output: str) -> dict[int, int]:
    return {int(address): int(value) for address, value in re.findall(r"^\[(\d+)\]:\s+(-?\d+)", output, re.MULTILINE)}


@needs_mbpoll
async def test_mbpoll_reads_the_registers() -> None:
    clock = Clock()
    device = EmulatedMyPv(clock=clock.now, tank=Tank(celsius=54.2), heater_w=3500.0)
    async with serve_modbus(device) as port:
        code, output = await mbpoll(port, "-r", "1000", "-c", "26", "127.0.0.1")
        assert code == 0, output
        seen = values(output)
        assert (seen[1000], seen[1001], seen[1003], seen[1004], seen[1014]) == (0, 542, 1, 60, 3500)
        assert b"".join(seen[address].to_bytes(2, "big") for address in range(1018, 1026)).decode() == device.serial


@needs_mbpoll
async def test_mbpoll_heats_until_the_timeout() -> None:
    clock = Clock()
    device = EmulatedMyPv(clock=clock.now)
    async with serve_modbus(device) as port:
        code, output = await mbpoll(port, "-r", "1000", "127.0.0.1", "1500")
        assert (code, device.told) == (0, [(1000.0, 1500)]), output
        clock.at += 2
        assert values((await mbpoll(port, "-r", "1000", "127.0.0.1"))[1]) == {1000: 1500}
        assert values((await mbpoll(port, "-r", "1077", "127.0.0.1"))[1]) == {1077: 1}
        clock.at += 60
        assert values((await mbpoll(port, "-r", "1000", "127.0.0.1"))[1]) == {1000: 0}
        assert values((await mbpoll(port, "-r", "1077", "127.0.0.1"))[1]) == {1077: 4}


@needs_mbpoll
async def test_mbpoll_is_refused_what_there_is_not() -> None:
    device = EmulatedMyPv(clock=Clock().now, model="AC ELWA-E")
    async with serve_modbus(device) as port:
        code, output = await mbpoll(port, "-r", "1077", "127.0.0.1")
        assert code != 0
        assert "Illegal data address" in output
        code, output = await mbpoll(port, "-r", "1004", "127.0.0.1", "5")
        assert code != 0
        assert "Illegal data value" in output
        assert device.timeout_s == 60


async def test_its_pages() -> None:
    clock = Clock()
    device = EmulatedMyPv(clock=clock.now, control=HTTP)
    async with serve(device.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert "Control State=HTTP" in (await client.get("/control.html?power=900")).text
        clock.at += 2
        data = (await client.get("/data.jsn")).json()
        assert (data["power_elwa2"], data["screen_mode_flag"], data["temp1"]) == (900, 1, 400)
        assert (await client.get("/setup.jsn?tout=120")).json()["tout"] == 120
        assert (await client.get("/setup.jsn?tout=5")).json()["tout"] == 120
        clock.at += 119
        assert device.watts == 0.0


async def test_the_tank_takes_what_is_drawn() -> None:
    clock = Clock()
    device = EmulatedMyPv(clock=clock.now, tank=Tank(litres=200, celsius=20.0, loss_w=0.0))
    for _ in range(120):
        device.write(1000, 2326)
        clock.at += 30
    assert device.energy_wh == pytest.approx(2326, rel=0.001)
    assert device.celsius == pytest.approx(30.0, abs=0.02)
    clock.at += 7200
    assert device.energy_wh == pytest.approx(2326 + 30 / 3600 * 2326, rel=0.01), "nobody spoke to it any more"
