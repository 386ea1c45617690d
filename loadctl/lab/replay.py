"""A recorded day lived again under some rules: the controller, or another policy, at work in a house that answers.

The loop is closed: what a load draws changes what the meter shows. Relays follow after a second, the meter shows what
was two seconds ago, with a little noise.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from math import nan
from typing import NamedTuple, Protocol, TypeVar

from loadctl.controller import LoadState, Sample
from loadctl.core.values import Command
from loadctl.lab.trace import Moment, Trace

RELAY_S = 1
METER_S = 2
NOISE_W = 4.0
SECOND = timedelta(seconds=1)


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
    """What a replay came to."""

    import_wh: float = 0.0
    export_wh: float = 0.0
    pv_wh: float = 0.0
    loads: dict[str, Account] = field(default_factory=dict)
    seconds: int = 0

    def count(self, stretch: Stretch) -> None:
        """Book a stretch: what is bought is bought for the least important loads first, the house itself last."""
        hours = stretch.for_s / 3600
        grid_w = stretch.grid_w
        self.seconds += stretch.for_s
        self.pv_wh += stretch.moment.pv_w * hours
        bought_w = max(0.0, grid_w)
        self.import_wh += bought_w * hours
        self.export_wh += max(0.0, -grid_w) * hours
        for name, state in reversed(list(stretch.states.items())):
            account = self.loads[name]
            if state.on:
                account.on_s += stretch.for_s
            power_w = state.power_w
            if power_w:
                account.energy_wh += power_w * hours
                part_w = min(power_w, bought_w)
                account.grid_wh += part_w * hours
                bought_w -= part_w


class Stretch(NamedTuple):
    """Seconds in which the house does the same: `begin` (POSIX), how many, the row that holds, what the loads do.

    `states`: the most important load first; the mapping is only lent.
    """

    begin: float
    for_s: int
    moment: Moment
    grid_w: float
    states: Mapping[str, LoadState]


# POSIX, what sun and battery leave without our loads (W; not a number: not known), what they do (the same mapping each
# time), what was decided
Watcher = Callable[[float, float, Mapping[str, LoadState], D], None]


def replay(
    policy: Policy[D],
    trace: Trace,
    machines: Mapping[str, Machine],
    *,
    seed: int = 1,
    watch: Watcher[D] | None = None,
    count: Callable[[Stretch], None] | None = None,
) -> Result:
    """Live through `trace` under a policy; `machines` by load, the most important first.

    The same seed gives the same day. `watch` is called each second, `count` for each stretch in which nothing changes.
    A house battery gives and takes what it did when it was recorded. Where nobody saw the sun the meter shows the grid.
    """
    gauss = random.Random(seed).gauss
    result = Result(loads={name: Account() for name in machines})
    names, lives = list(machines), [machine.live for machine in machines.values()]
    places = {name: index for index, name in enumerate(names)}
    told: list[Command | None] = [None] * len(names)
    doing: list[LoadState | None] = [None] * len(names)
    states: dict[str, LoadState] = {}
    sent: deque[tuple[Command, ...]] = deque([()] * RELAY_S)
    meter: deque[tuple[float, float | None, float | None]] = deque()
    began, draw_w = float(int(trace.moments[0].time)), 0.0
    for moment in trace.moments:
        first, pv_w, base_w, known = int(moment.time), moment.pv_w, moment.base_w, moment.known
        battery_w, soc_pct, inputs, sees_sun = moment.battery_w, moment.soc_pct, moment.inputs, moment.sees_sun
        sun_w = pv_w + (battery_w or 0.0)
        house_w = base_w + draw_w
        grid_w = house_w - sun_w
        since = first
        for second, wall in enumerate(_seconds(first, int(moment.for_s), trace.zone), first):
            now = float(second)
            for command in sent.popleft():
                if command.load in places:
                    told[places[command.load]] = command
            moved = False
            for index, live in enumerate(lives):
                state = live(told[index], now)
                if state is doing[index]:
                    continue
                if not moved and second > since:
                    _close(Stretch(float(since), second - since, moment, grid_w, states), result, count)
                    since = second
                before, doing[index], moved = doing[index], state, True
                result.loads[names[index]].starts += bool(state.on) and not (before is not None and before.on)
                states[names[index]] = state
            if moved:
                draw_w = sum(state.power_w or 0.0 for state in states.values())
                house_w = base_w + draw_w
                grid_w = house_w - sun_w
            shown_w = grid_w + gauss(0.0, NOISE_W)
            meter.append((shown_w, pv_w, house_w) if sees_sun else (shown_w, None, None))
            seen = meter.popleft() if len(meter) > METER_S else meter[0]
            at = now - began
            sample = Sample(at, wall, *seen, battery_w, soc_pct, inputs=inputs) if known else Sample(at, wall)
            decision = policy.step(sample, states)
            sent.append(decision.commands)
            if watch is not None:
                watch(now, sun_w - base_w if known else nan, states, decision)
        if (for_s := first + int(moment.for_s) - since) > 0:
            _close(Stretch(float(since), for_s, moment, grid_w, states), result, count)
    return result


def _close(stretch: Stretch, result: Result, count: Callable[[Stretch], None] | None) -> None:
    result.count(stretch)
    if count is not None:
        count(stretch)


def _seconds(first: int, for_s: int, zone: tzinfo) -> Iterator[datetime]:
    """Yield each second of a row by the site's clock."""
    wall, end = datetime.fromtimestamp(first, zone), datetime.fromtimestamp(first + for_s, zone)
    if wall.fold or end.fold or end - wall != timedelta(seconds=for_s):  # somewhere in it the clock is changed
        yield from (datetime.fromtimestamp(second, zone) for second in range(first, first + for_s))
        return
    for _ in range(for_s):
        yield wall
        wall += SECOND
