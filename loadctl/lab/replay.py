"""A recorded day lived again under some rules: the controller, or another policy, at work in a house that answers.

The loop is closed: what a load draws changes what the meter shows. Relays follow after a second, the meter shows what
was two seconds ago, with a little noise.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from loadctl.controller import LoadState, Sample
from loadctl.core.values import Command
from loadctl.lab.trace import Trace

RELAY_S = 1
METER_S = 2
NOISE_W = 4.0


class Machine(Protocol):
    """An appliance as the world sees it: told what to draw, it draws what it can."""

    def live(self, told: Command | None, at: float) -> LoadState:
        """Live through the second that begins at `at` (POSIX) under the last command; tell what it does in it."""
        ...


class Decided(Protocol):
    """What a policy decided: only what changes."""

    @property
    def commands(self) -> tuple[Command, ...]: ...


D = TypeVar("D", bound=Decided)
D_co = TypeVar("D_co", bound=Decided, covariant=True)


class Policy(Protocol[D_co]):
    """Whatever decides, a second at a time: our `Controller`, or one of `baselines`."""

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> D_co: ...


@dataclass(slots=True)
class Account:
    """What one load did: energy in Wh, of it from the grid; how often it was started; for how long it ran."""

    energy_wh: float = 0.0
    grid_wh: float = 0.0
    starts: int = 0
    on_s: int = 0


@dataclass(slots=True)
class Result:
    """What a replay came to. `courses`: grid and each load's power, a value per second, if they were asked for."""

    import_wh: float = 0.0
    export_wh: float = 0.0
    pv_wh: float = 0.0
    loads: dict[str, Account] = field(default_factory=dict)
    seconds: int = 0


# POSIX, surplus W without our loads, what they do (the same mapping each time), what was decided
Watcher = Callable[[float, float, Mapping[str, LoadState], D], None]


def replay(
    policy: Policy[D],
    trace: Trace,
    machines: Mapping[str, Machine],
    *,
    seed: int = 1,
    watch: Watcher[D] | None = None,
) -> Result:
    """Live through `trace` under a policy; `machines` by load, the most important first.

    The same seed gives the same day.
    """
    dice = random.Random(seed)
    result = Result(loads={name: Account() for name in machines})
    told: dict[str, Command] = {}
    sent: deque[tuple[Command, ...]] = deque([()] * RELAY_S)
    meter: deque[tuple[float, float, float]] = deque()
    states: dict[str, LoadState] = {}
    order = list(machines)
    began: float | None = None
    for now, moment in trace.seconds():
        began = now if began is None else began
        told |= {command.load: command for command in sent.popleft()}
        draw_w = 0.0
        for name, machine in machines.items():
            before = states.get(name)
            state = states[name] = machine.live(told.get(name), now)
            account = result.loads[name]
            account.starts += bool(state.on) and not (before is not None and before.on)
            account.on_s += bool(state.on)
            draw_w += state.power_w or 0.0
        grid_w = moment.base_w + draw_w - moment.pv_w
        _count(result, states, order, grid_w, moment.pv_w)
        meter.append((grid_w + dice.gauss(0, NOISE_W), moment.pv_w, moment.base_w + draw_w))
        seen = meter.popleft() if len(meter) > METER_S else meter[0]
        known = moment.known
        sample = Sample(
            at=now - began,
            wall=datetime.fromtimestamp(now, trace.zone),
            grid_w=seen[0] if known else None,
            pv_w=seen[1] if known else None,
            load_w=seen[2] if known else None,
        )
        decision = policy.step(sample, states)
        sent.append(decision.commands)
        if watch is not None:
            watch(now, moment.pv_w - moment.base_w, states, decision)
    return result


def _count(result: Result, states: Mapping[str, LoadState], order: list[str], grid_w: float, pv_w: float) -> None:
    """Book a second: what is bought is bought for the least important loads first, the house itself last."""
    result.seconds += 1
    result.pv_wh += pv_w / 3600
    bought_w = max(0.0, grid_w)
    result.import_wh += bought_w / 3600
    result.export_wh += max(0.0, -grid_w) / 3600
    for name in reversed(order):
        power_w = states[name].power_w or 0.0 if name in states else 0.0
        if power_w <= 0.0:
            continue
        account = result.loads[name]
        account.energy_wh += power_w / 3600
        part_w = min(power_w, bought_w)
        account.grid_wh += part_w / 3600
        bought_w -= part_w
