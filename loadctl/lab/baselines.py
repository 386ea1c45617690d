"""What others do with the same readings: policies to be better than, after their published behaviour.

They get more than they have: the draw of each appliance from its own meter, as old as the house's reading; an order of
priority; minimum times that are kept for them, so that nobody wins by ruining a compressor; appliances that stop when
they have had what they need. What they leave undone the house buys, as for everybody.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loadctl.controller import LoadState, Sample
from loadctl.core.appliance import least_w
from loadctl.core.rules import Load
from loadctl.core.values import Command
from loadctl.lab.replay import METER_S

VOLTS = 230.0
SETTLED_S = 10.0  # what a load draws is believed so long after it was switched on


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a baseline decided."""

    commands: tuple[Command, ...] = ()


NOTHING = Wishes()


class NoDiversion:
    """Nothing is diverted: the house helps itself."""

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> Wishes:  # noqa: ARG002
        return NOTHING


@dataclass(slots=True)
class Plug:
    """An appliance as a baseline sees it. `wants_w` is what the baseline asks for, `watts` what it got."""

    load: Load
    wants_w: float = 0.0
    watts: float = 0.0
    switched_at: float = -math.inf
    draws_w: float = 0.0
    ready: bool = True  # it is there and has not had enough
    had_wh: float = 0.0
    had_s: float = 0.0
    own_w: deque[float] = field(default_factory=lambda: deque([0.0] * METER_S))

    @property
    def on(self) -> bool:
        return self.watts > 0

    @property
    def least_w(self) -> float:
        return least_w(self.load)

    def takes_w(self, at: float) -> float:
        """Return what it will draw as it is set: measured, once it has had the time to begin."""
        if not self.on:
            return 0.0
        return self.draws_w if at - self.switched_at >= SETTLED_S + self.load.settle_s else self.watts

    def follow(self, free_w: float) -> float:
        """Return the power to set for what is free: all of an on/off load, whole amps of a car."""
        if self.load.follow is None:
            return self.load.power_w
        return min(max(free_w // VOLTS * VOLTS, self.least_w), self.load.power_w)


class Idea(Protocol):
    """How a baseline decides: it sets `wants_w` of the plugs, the most important first."""

    every_s: float

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:
        """`free_w`: what would be exported without the plugs; `clock_s`: since local midnight."""
        ...


@dataclass(slots=True)
class Baseline:
    """An idea at work on a home's loads, under the limits of its appliances."""

    loads: tuple[Load, ...]
    idea: Idea
    plugs: list[Plug] = field(init=False)
    _next: float = -math.inf
    _day: int = 0

    def __post_init__(self) -> None:
        self.plugs = [Plug(load) for load in self.loads]

    def step(self, sample: Sample, states: Mapping[str, LoadState]) -> Wishes:
        at, own_w = sample.at, 0.0
        for plug in self.plugs:
            state = states[plug.load.name]
            plug.draws_w = state.power_w or 0.0
            plug.had_wh += plug.draws_w / 3600
            plug.had_s += bool(state.on)
            plug.own_w.append(plug.draws_w)
            own_w += plug.own_w.popleft()
            plug.ready = state.available is not False and state.satisfied is not True and not _had_enough(plug)
        if sample.grid_w is not None and at >= self._next:
            self._next = at + self.idea.every_s
            day = sample.wall.toordinal()
            if day != self._day:
                self._day = day
                for plug in self.plugs:
                    plug.had_wh = plug.had_s = 0.0
            clock_s = sample.wall.hour * 3600.0 + sample.wall.minute * 60.0 + sample.wall.second
            self.idea.decide(at, clock_s, own_w - sample.grid_w, self.plugs)
        commands = tuple(self._commands(at))
        return Wishes(commands) if commands else NOTHING

    def _commands(self, at: float) -> Iterator[Command]:
        for plug in self.plugs:
            watts = plug.wants_w if plug.ready else 0.0
            if watts == plug.watts:
                continue
            on, was_on = watts > 0, plug.on
            if on != was_on:
                if at - plug.switched_at < (plug.load.min_on_s if was_on else plug.load.min_off_s):
                    continue
                plug.switched_at = at
            plug.watts = watts
            if not on:
                plug.wants_w = 0.0
            amps = None if plug.load.follow is None else watts / VOLTS
            yield Command(0, plug.load.name, watts, None if amps is None else 1, None, amps)


@dataclass(slots=True)
class NoonTimer:
    """A time switch: on around noon, whatever the weather; a car charges with 10 A."""

    begins_s: float = 11 * 3600.0
    ends_s: float = 15 * 3600.0
    car_w: float = 2300.0
    every_s: float = 60.0

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:  # noqa: ARG002
        for plug in plugs:
            on = self.begins_s <= clock_s < self.ends_s
            plug.wants_w = plug.follow(self.car_w) if on else 0.0


@dataclass(slots=True)
class Threshold:
    """On while 1500 W are free, looked at each 3 s: the automation of many a forum post, and of the first loadctl."""

    above_w: float = 1500.0
    every_s: float = 3.0

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:  # noqa: ARG002
        for plug in plugs:
            if plug.ready:
                plug.wants_w = plug.follow(free_w) if free_w >= self.above_w else 0.0
            free_w -= plug.wants_w if not plug.on and plug.ready and plug.wants_w else plug.takes_w(at)


@dataclass(slots=True)
class Delays:
    """On when `above_w` more than it draws is free for 30 s, off when 200 W are bought for it for 60 s.

    The two hold times of a usual home automation ("for: 00:00:30").
    """

    above_w: float = 150.0
    below_w: float = 200.0
    on_for_s: float = 30.0
    off_for_s: float = 60.0
    every_s: float = 1.0
    _since: dict[str, float] = field(default_factory=dict)

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:  # noqa: ARG002
        for plug in plugs:
            name, on = plug.load.name, plug.wants_w > 0
            if on and plug.load.follow is not None and free_w >= plug.least_w:
                plug.wants_w = plug.follow(free_w)
            needs_w = plug.least_w if plug.load.follow is not None else max(plug.takes_w(at), 0.0)
            met = free_w - needs_w < -self.below_w if on else free_w - plug.least_w > self.above_w
            if not met or not plug.ready:
                self._since[name] = math.inf
            since = self._since[name] = min(self._since.get(name, math.inf), at if met and plug.ready else math.inf)
            if at - since >= (self.off_for_s if on else self.on_for_s):
                plug.wants_w = 0.0 if on else plug.follow(plug.least_w)
                self._since[name] = math.inf
            free_w -= plug.takes_w(at) if plug.on else plug.wants_w


@dataclass(slots=True)
class Evcc:
    """evcc in its mode `pv`: looks each 30 s, enables after 1 min with the least power free, disables after 3 min
    without, whole amps between. A condition that fails starts its timer anew.

    Source: evcc core/loadpoint.go (pvMaxCurrent) and its documentation of `interval`, `enable` and `disable`. There
    one loadpoint is looked at in each interval; here all are, which is faster.
    """

    enable_s: float = 60.0
    disable_s: float = 180.0
    every_s: float = 30.0
    _since: dict[str, float] = field(default_factory=dict)

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:  # noqa: ARG002
        for plug in plugs:
            name, on = plug.load.name, plug.wants_w > 0
            idle = on and plug.load.follow is None and plug.takes_w(at) == 0.0  # its thermostat is open
            enough = free_w >= plug.least_w or idle
            if on == enough or not plug.ready:
                self._since.pop(name, None)
            elif at - self._since.setdefault(name, at) >= (self.disable_s if on else self.enable_s):
                plug.wants_w = 0.0 if on else plug.follow(plug.least_w)
                del self._since[name]
            if plug.wants_w > 0 and on:
                plug.wants_w = plug.follow(free_w)
            free_w -= plug.takes_w(at) if plug.on and plug.load.follow is None else plug.wants_w * plug.ready


@dataclass(slots=True)
class OpenEvse:
    """OpenEVSE's solar divert: what is free, less 100 W, goes through a filter that rises with 20 s and falls with
    600 s; on when it is half an ampere above the least, off when it is below, 600 s at the earliest.

    Source: openevse_esp32_firmware src/divert.cpp (update_state) and its defaults.
    """

    rise_s: float = 20.0
    fall_s: float = 600.0
    least_s: float = 600.0
    reserve_w: float = 100.0
    band_w: float = 0.5 * VOLTS
    every_s: float = 5.0
    _smooth_w: dict[str, float] = field(default_factory=dict)

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:  # noqa: ARG002
        for plug in plugs:
            name = plug.load.name
            available_w = max(0.0, free_w - self.reserve_w)
            smooth_w = self._smooth_w.get(name, 0.0)
            time_s = self.rise_s if available_w > smooth_w else self.fall_s
            smooth_w += (available_w - smooth_w) * (1 - math.exp(-self.every_s / time_s))
            self._smooth_w[name] = smooth_w
            if smooth_w >= plug.least_w + self.band_w:
                plug.wants_w = plug.follow(available_w) if plug.ready else 0.0
            elif smooth_w <= plug.least_w and at - plug.switched_at >= self.least_s:
                plug.wants_w = 0.0
            elif plug.wants_w > 0:
                plug.wants_w = plug.follow(available_w)
            free_w -= plug.takes_w(at) if plug.on and plug.load.follow is None else plug.wants_w


@dataclass(slots=True)
class PvExcess:
    """PV Excess Control of Home Assistant: minute means of what is exported, over 5 minutes; on when a load fits, off
    from the least important up when it is below -10 W; after each change the past is counted as if it had been so.

    Source: InventoCasa/ha-advanced-blueprints, pv_excess_control.py (trigger_factory, _adjust_pwr_history).
    """

    interval: int = 5
    least_w: float = -10.0
    every_s: float = 10.0
    _minute: list[float] = field(default_factory=list)
    _history: list[float] = field(default_factory=lambda: [0.0] * 60)
    _waited: dict[str, int] = field(default_factory=dict)

    def decide(self, at: float, clock_s: float, free_w: float, plugs: Sequence[Plug]) -> None:
        self._minute.append(free_w - sum(plug.own_w[0] for plug in plugs))
        if clock_s % 60 >= self.every_s:
            return
        self._history = [*self._history[1:], sum(self._minute) / len(self._minute)]
        self._minute = []
        for plug in plugs:
            self._waited[plug.load.name] = self._waited.get(plug.load.name, self.interval) + 1
            mean_w = self._mean_w
            if plug.wants_w > 0:
                if plug.load.follow is not None and mean_w >= self.least_w:
                    self._set(plug, min(plug.load.power_w, plug.wants_w + mean_w))
            elif plug.ready and mean_w >= plug.least_w and self._waited[plug.load.name] >= self.interval:
                self._set(plug, plug.least_w)
                self._waited[plug.load.name] = 0
        for plug in reversed(plugs):
            short_w = self._mean_w
            if plug.wants_w <= 0 or short_w >= self.least_w:
                continue
            if plug.load.follow is not None and plug.wants_w + short_w > plug.least_w:
                self._set(plug, plug.wants_w + short_w)
            elif self._waited[plug.load.name] >= self.interval and at - plug.switched_at >= plug.load.min_on_s:
                self._change(plug.takes_w(at))
                plug.wants_w = 0.0
                self._waited[plug.load.name] = 0

    @property
    def _mean_w(self) -> float:
        return sum(self._history[-self.interval :]) / self.interval

    def _set(self, plug: Plug, watts: float) -> None:
        self._change(plug.wants_w - watts)
        plug.wants_w = watts

    def _change(self, by_w: float) -> None:
        """Count the past as if so much more had been exported."""
        self._history[-self.interval :] = [watts + by_w for watts in self._history[-self.interval :]]


BASELINES: Mapping[str, Callable[[], Idea]] = {
    "noon timer": NoonTimer,
    "1500 W threshold": Threshold,
    "evcc-like": Evcc,
    "OpenEVSE-like": OpenEvse,
    "PV-Excess-Control-like": PvExcess,
    "+150 W 30 s / -200 W 60 s": Delays,
}


def _had_enough(plug: Plug) -> bool:
    """Tell whether the load has had today what its needs ask for; one without needs never has."""
    needs = plug.load.needs
    if not needs:
        return False
    return all(
        plug.had_s >= need.runtime_s if need.runtime_s is not None else plug.had_wh >= (need.energy_wh or math.inf)
        for need in needs
    )
