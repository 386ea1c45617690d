"""A visit to every device of a house at once: a broken one delays no other, and none takes longer than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from loadctl.actuators.draw import judge_draw
from loadctl.config import Device, House
from loadctl.core.rules import Load
from loadctl.drivers import Actuator, Cared, CaredMeter, Finding, Level, Mendable, Meter, Shared
from loadctl.errors import DeviceError
from loadctl.service.doctor import papers
from loadctl.service.doctor.machine import Machine
from loadctl.service.doctor.pace import judge_readings, watch
from loadctl.units import spell

LIMIT_S = 60.0
MEASURE_S = 20.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found about one thing. `device` is its place in the rule file, else `rules` or `machine`."""

    device: str
    title: str
    findings: tuple[Finding, ...]


async def examine(
    house: House,
    shared: Shared,
    machine: Machine,
    *,
    fix: bool = False,
    limit_s: float = LIMIT_S,
    measure_s: float = MEASURE_S,
) -> tuple[Diagnosis, ...]:
    """Look at the meter, the loads, the rules and this machine. `fix`: put right what can be from here.

    The meter is read for `measure_s`; a device that has not answered after `limit_s` (the meter: on top of that) is
    left alone.
    """
    meter_found: list[Finding] = []
    visits: list[tuple[str, str, list[Finding], Coroutine[Any, Any, None]]] = [
        ("meter", f"meter ({house.meter.driver})", meter_found, _visit_meter(house, shared, measure_s, meter_found))
    ]
    for load in house.site.loads:
        found: list[Finding] = []
        actuator = house.actuators[load.name]
        visit = _visit_load(load, actuator, shared, found, fix=fix)
        visits.append((f"loads.{load.name}", f"{load.name} ({actuator.driver})", found, visit))
    async with asyncio.TaskGroup() as group:
        for device, _, found, visit in visits:
            group.create_task(_within(limit_s + (measure_s if device == "meter" else 0.0), visit, found))
        looked = group.create_task(asyncio.to_thread(machine.examine, house, shared.clock.wall(), fix=fix))
    return (
        *(Diagnosis(device, title, tuple(found)) for device, title, found, _ in visits),
        Diagnosis("rules", f"rules ({house.path.name})", papers.judge_rules(house)),
        Diagnosis("machine", "this machine", looked.result()),
    )


async def _within(limit_s: float, visit: Coroutine[Any, Any, None], found: list[Finding]) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await visit
    except TimeoutError:
        message = f"not all could be looked at within {spell(limit_s, 's')}"
        found.append(Finding("time", Level.UNSEEN, message, "it is overloaded or hangs; `--limit` gives it longer"))


async def _visit_meter(house: House, shared: Shared, measure_s: float, found: list[Finding]) -> None:
    meter: Meter = house.meter.build(shared)
    try:
        watched = await watch(meter, shared.clock, measure_s)
        found += judge_readings(house.site, watched)
        if not isinstance(meter, CaredMeter):
            return
        try:
            found += await meter.inspect(watched.samples)
        except DeviceError as error:
            if watched.samples:  # else it was told already
                found.append(_unseen("answer", error))
    finally:
        await meter.close()


async def _visit_load(load: Load, device: Device, shared: Shared, found: list[Finding], *, fix: bool) -> None:
    actuator: Actuator = device.build(shared)
    try:
        mended = await _mend(actuator, load) if fix and isinstance(actuator, Mendable) else ()
        found += mended
        told = {finding.check for finding in mended}
        if isinstance(actuator, Cared):
            found += [finding for finding in await actuator.inspect(load) if finding.check not in told]
            return
        report = await actuator.read()
        found.append(Finding("answer", Level.OK, "answers"))
        if report.on is not None:
            found.append(judge_draw(load, on=report.on, watts=report.watts))
    except DeviceError as error:
        found[:] = [finding for finding in found if finding.check != "mend"]  # it failed for the same reason
        found.append(_unseen("answer", error))
    finally:
        await actuator.close()


async def _mend(actuator: Mendable, load: Load) -> tuple[Finding, ...]:
    try:
        return await actuator.mend(load)
    except DeviceError as error:
        message = f"could not be put right: {error.args[0]}"
        return (Finding("mend", Level.WARNING, message, error.hint),)


def _unseen(check: str, error: DeviceError) -> Finding:
    return Finding(check, Level.UNSEEN, str(error.args[0]), error.hint)
