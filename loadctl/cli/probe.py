"""`loadctl probe`: what the devices of a rule file say right now. Nothing is switched."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from loadctl.cli.words import Duration

if TYPE_CHECKING:
    from loadctl.config import House
    from loadctl.core.values import Report, Sample
    from loadctl.drivers import Shared

ATTEMPT_S = 30.0
POWERS = ("grid_w", "pv_w", "load_w", "battery_w")
PHASE_POWERS = ("grid_w", "pv_w", "load_w")
LABELS = {
    "grid_w": "grid",
    "pv_w": "solar panels",
    "load_w": "house",
    "battery_w": "battery",
    "soc_pct": "battery charge",
    "source": "source",
    "flags": "remarks",
    "age_s": "age",
}

T = TypeVar("T")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--actuators", is_flag=True, help="Read the real state of each load's actuator, too.")
@click.option("--panels", is_flag=True, help="Also what the meter knows of its panels and devices (Envoy: slow pages).")
@click.option("--wait", type=Duration(), default="0 s", help="Keep trying for so long until all answer, e.g. 30s.")
def probe(file: Path, *, as_json: bool, actuators: bool, panels: bool, wait: float) -> None:
    """Read the meter of FILE once and print what it says.

    The exit code is 1 for a FILE that cannot be used and 2 if a device does not answer.
    """
    from loadctl.config import load

    found, failures = asyncio.run(_probe(load(file), actuators=actuators, panels=panels, wait_s=wait))
    if found:
        print(json.dumps(found) if as_json else _table(found))
    for failure in failures:
        click.echo(failure, err=True)
    if failures:
        sys.exit(2)


async def _probe(house: House, *, actuators: bool, panels: bool, wait_s: float) -> tuple[dict[str, Any], list[str]]:
    """Ask all devices side by side; return what they said and a line for each that did not."""
    from loadctl.drivers import DetailedMeter, LoopClock, Shared, ThoroughMeter
    from loadctl.errors import DeviceError

    shared = Shared(LoopClock(house.zone))
    deadline = shared.clock.now() + wait_s
    names = [load.name for load in house.site.loads] if actuators else []
    meter = house.meter.build(shared)
    switches = [house.actuators[name].build(shared) for name in names]
    devices = [meter, *switches]
    read_meter = meter.read_whole if isinstance(meter, ThoroughMeter) else meter.read
    reads = [read_meter, *(switch.read for switch in switches)]
    answers = await asyncio.gather(*(_patiently(read, shared, deadline) for read in reads), return_exceptions=True)
    extras = await meter.extras() if panels and isinstance(meter, DetailedMeter) else {}
    await asyncio.gather(*(device.close() for device in devices))

    found: dict[str, Any] = {}
    failures = []
    states = {}
    for name, answer in zip([None, *names], answers, strict=True):
        if isinstance(answer, DeviceError):
            failures.append(f"{name or 'meter'}: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
        elif name is None:
            found |= _seen(answer, shared.clock.now()) | ({"extras": extras} if extras else {})
        else:
            states[name] = _state(answer)
    return found | ({"actuators": states} if actuators else {}), failures


async def _patiently(read: Callable[[], Awaitable[T]], shared: Shared, deadline: float) -> T:
    """Read until it works or `deadline` has passed, at least once. Raises the last DeviceError."""
    from loadctl.errors import DeviceError, Unreachable

    while True:
        try:
            try:
                async with asyncio.timeout(max(ATTEMPT_S, deadline - shared.clock.now())):
                    return await read()
            except TimeoutError as error:
                raise Unreachable("no whole answer in time") from error
        except DeviceError as error:
            pause_s = max(1.0, error.retry_after_s)
            if shared.clock.now() + pause_s > deadline:
                raise
        await shared.clock.sleep(pause_s)


def _seen(sample: Sample, now: float) -> dict[str, Any]:
    return {
        **{name: _rounded(getattr(sample, name)) for name in (*POWERS, "soc_pct")},
        "phases": [{name: _rounded(getattr(phase, name)) for name in PHASE_POWERS} for phase in sample.phases],
        "source": sample.source,
        "flags": sorted(sample.flags),
        "age_s": round(now - sample.read_at, 3),
    }


def _rounded(value: float | None) -> float | None:
    """Round to a milliwatt: sums of what the device said have longer tails."""
    return None if value is None else round(value, 3)


def _state(report: Report) -> dict[str, Any]:
    names = ("on", "watts", "limit_w", "lease_left_s", "connected", "available", "satisfied", "identity")
    return {**{name: getattr(report, name) for name in names}, "source": str(report.source)}


def _table(found: dict[str, Any]) -> str:
    rows = [(label, _spelled(name, found[name])) for name, label in LABELS.items() if name in found]
    for number, phase in enumerate(found.get("phases", ()), start=1):
        powers = (f"{LABELS[name]} {_spelled(name, phase[name])}" for name in PHASE_POWERS)
        rows.append((f"L{number}", ", ".join(powers)))
    rows += [(name, _state_spelled(state)) for name, state in found.get("actuators", {}).items()]
    for name, value in found.get("extras", {}).items():
        rows += [(name, _plain(item)) for item in (value if isinstance(value, list | tuple) else (value,))]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:{width}}  {text}" for label, text in rows)


def _plain(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{name} {_plain(value)}" for name, value in item.items())
    return ", ".join(map(str, item)) if isinstance(item, list | tuple) else str(item)


def _spelled(name: str, value: Any) -> str:
    from loadctl.units import spell

    if value is None:
        return "not known"
    if name == "flags":
        return ", ".join(value) or "none"
    if name in POWERS:
        direction = {"grid_w": ("import", "export"), "battery_w": ("discharging", "charging")}.get(name)
        if direction is None or not round(value):
            return spell(round(value), "W")
        return f"{spell(abs(round(value)), 'W')} {direction[value < 0]}"
    if name == "soc_pct":
        return f"{value:.0f} %"
    return f"{value:.1f} s" if name == "age_s" else str(value)


def _state_spelled(state: dict[str, Any]) -> str:
    from loadctl.units import spell

    word = {True: "on", False: "off", None: "state not known"}[state["on"]]
    watts = "" if state["watts"] is None else f", {spell(round(state['watts']), 'W')}"
    lease = "" if state["lease_left_s"] is None else f", off by itself in {state['lease_left_s']:.0f} s"
    return f"{word}{watts}{lease}"
