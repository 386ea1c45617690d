"""Runs inside the virtual PC: an emulated home that goes on whatever becomes of loadctl, and tells each switching.

An Envoy sees 6 kW of sun, a Shelly of the first generation switches the boiler, a Shelly Plus with a password the pump.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from loadctl.lab.emulators.envoy import EmulatedEnvoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2

SERIAL = Path("/dev/ttyS1")
SEEN = Path("/run/home.jsonl")
PV_W, BASE_W, BOILER_W, PUMP_W = 6000.0, 400.0, 2000.0, 1100.0
PASSWORD = "sunshine"


def tell(what: dict[str, object]) -> None:
    line = json.dumps(what) + "\n"
    with SERIAL.open("w") as serial, SEEN.open("a") as seen:
        serial.write(line)
        seen.write(line)


async def main() -> None:
    envoy = EmulatedEnvoy(time.monotonic, "5")
    relays: dict[str, EmulatedShellyGen1 | EmulatedShellyGen2] = {
        "boiler": EmulatedShellyGen1(lambda: BOILER_W),
        "pool_pump": EmulatedShellyGen2(lambda: PUMP_W, password=PASSWORD),
    }
    told = dict.fromkeys(relays, 0)
    async with (
        serve(envoy.app, port=8001),
        serve(relays["boiler"].app, port=8002),
        serve(relays["pool_pump"].app, port=8003),
    ):
        tell({"told": "home", "at": time.monotonic()})
        while True:
            used_w = sum(device.relays[0].watts for device in relays.values())
            envoy.pv_w, envoy.grid_w = PV_W, BASE_W + used_w - PV_W
            for name, device in relays.items():
                for change in device.relays[0].switchings[told[name] :]:
                    told[name] += 1
                    tell({"relay": name, "on": change.on, "at": change.at, "source": change.source})
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main())
