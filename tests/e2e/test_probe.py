"""`loadctl probe` and the command line's manners, as processes against emulated devices."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from typing import NamedTuple

import pytest

from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1

pytestmark = pytest.mark.anyio

NOBODY = {"envoy": "http://127.0.0.2:9", "boiler": "http://127.0.0.3:9", "pump": "http://127.0.0.4:9"}
RULES = """\
version: 1
site: {{timezone: UTC}}
meter: {{driver: envoy, host: "{envoy}"}}
loads:
  boiler: {{actuator: {{driver: shelly, host: "{boiler}"}}, power: 2 kW}}
  pump: {{actuator: {{driver: shelly, host: "{pump}"}}, power: 1 kW}}
"""


class Ended(NamedTuple):
    code: int | None
    out: str
    err: str


async def loadctl(*arguments: object) -> Ended:
    """Run the program to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from loadctl.cli import main; main()", *map(str, arguments), stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert b"Traceback" not in err, err.decode()
    return Ended(process.returncode, out.decode(), err.decode())


def rules(tmp_path, **urls: str):
    file = tmp_path / "home.yaml"
    file.write_text(RULES.format(**NOBODY | urls), encoding="utf-8")
    return file


async def test_a_meter_in_json(tmp_path):
    envoy = EmulatedEnvoy(era="5", clock=time.monotonic)
    envoy.pv_w, envoy.grid_w = 2500.0, -1500.0
    async with serve(envoy.app) as url:
        ended = await loadctl("probe", rules(tmp_path, envoy=url), "--json")
    assert (ended.code, ended.err) == (0, "")
    seen = json.loads(ended.out)
    assert list(seen) == [
        "grid_w", "pv_w", "load_w", "battery_w", "soc_pct", "phases", "source", "flags", "age_s",
    ]  # fmt: skip
    assert (seen["grid_w"], seen["pv_w"], seen["load_w"]) == (-1500, 2500, 1000)
    assert seen["soc_pct"] is None
    assert isinstance(seen["flags"], list)
    assert -2 <= seen["age_s"] <= 10


async def test_a_meter_for_people(tmp_path):
    envoy = EmulatedEnvoy(era="5", clock=time.monotonic)
    envoy.pv_w, envoy.grid_w = 2500.0, -1500.0
    async with serve(envoy.app) as url:
        ended = await loadctl("probe", rules(tmp_path, envoy=url))
    assert ended.code == 0
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert ["grid", "1.5 kW export"] in lines
    assert ["house", "1 kW"] in lines


async def test_actuators_are_read_and_the_silent_one_is_told(tmp_path):
    envoy, boiler = EmulatedEnvoy(era="5", clock=time.monotonic), EmulatedShellyGen1(lambda: 1980.0)
    boiler.relays[0].press(on=True)
    async with serve(envoy.app) as meter_url, serve(boiler.app) as boiler_url:
        file = rules(tmp_path, envoy=meter_url, boiler=boiler_url)
        ended = await loadctl("probe", file, "--json", "--actuators")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("pump: ")
    seen = json.loads(ended.out)
    assert seen["grid_w"] is not None
    assert list(seen["actuators"]) == ["boiler"]
    assert seen["actuators"]["boiler"]["on"] is True
    assert seen["actuators"]["boiler"]["watts"] == 1980
    assert [switching.source for switching in boiler.switchings] == ["button"]


async def test_a_meter_that_is_not_there_is_one_line_that_helps(tmp_path):
    ended = await loadctl("probe", rules(tmp_path), "--json")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("meter: ")


async def test_waiting_for_a_meter_that_comes_late(tmp_path):
    envoy = EmulatedEnvoy(era="5", clock=time.monotonic)
    async with serve(envoy.app) as url:
        port = int(url.rsplit(":", 1)[1])
    probing = asyncio.create_task(loadctl("probe", rules(tmp_path, envoy=url), "--json", "--wait", "60s"))
    await asyncio.sleep(2)
    async with serve(envoy.app, port=port):
        ended = await probing
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("command", ["run", "probe"])
async def test_a_bad_file_is_told_with_its_places(tmp_path, command):
    file = tmp_path / "home.yaml"
    file.write_text("version: 1\nmeter: {driver: envoi}\nloads: {}\n", encoding="utf-8")
    ended = await loadctl(command, file)
    assert ended.code == 1
    assert all(line.startswith(f"{file}:") for line in ended.err.splitlines())
    assert "meter.driver: there is no such meter driver" in ended.err


@pytest.mark.parametrize("command", ["run", "probe"])
async def test_a_file_that_is_not_there(tmp_path, command):
    ended = await loadctl(command, tmp_path / "none.yaml")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1


async def test_help_names_all_commands_and_loads_none_of_them():
    ended = await loadctl("--help")
    assert ended.code == 0
    assert {"run", "probe", "check", "schema", "demo"} <= set(ended.out.split())
    script = """
import sys
from loadctl.cli import main
try:
    main(["--help"])
except SystemExit:
    print(*sys.modules)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=PIPE)
    out, _ = await process.communicate()
    heavy = {"httpx", "pydantic", "yaml", "uvicorn", "starlette", "prometheus_client", "rich", "asyncio"}
    assert not heavy & set(out.decode().split())


async def test_the_version():
    assert (await loadctl("--version")).out.startswith("loadctl ")
