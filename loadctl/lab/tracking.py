"""How closely a load with a range of power follows the sun of a recorded day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadctl.controller import Controller, Decision, LoadState
from loadctl.core.rules import Follow, Range
from loadctl.lab.replay import Machine, replay
from loadctl.lab.trace import Trace


@dataclass(slots=True)
class Tracking:
    """What a load drew, in Wh: of it from the grid, of that because it cannot draw less (`unavoidable_wh`).

    `on_s`: seconds in which it drew. `gap_steps`: between what it drew and the surplus, clamped to what the load can
    draw on the phases it is on, on average over these, in steps of the device. `pauses`: how often it stopped drawing;
    each of the `phase_changes` is one.
    """

    energy_wh: float = 0.0
    grid_wh: float = 0.0
    unavoidable_wh: float = 0.0
    gap_steps: float = 0.0
    on_s: int = 0
    pauses: int = 0
    phase_changes: int = 0

    @property
    def avoidable_pct(self) -> float:
        """Return the share of its energy that came from the grid without need."""
        return 100 * (self.grid_wh - self.unavoidable_wh) / self.energy_wh if self.energy_wh else 0.0


def track(controller: Controller, trace: Trace, machine: Machine, *, seed: int = 1) -> Tracking:
    """Live through `trace` with the controller's only load, which follows the sun; `machine` is what hangs on it."""
    (load,) = controller.house.site.loads
    if load.follow is None:
        raise ValueError(f"{load.name} does not follow the sun")
    ledger = _Ledger(load.name, load.follow)
    result = replay(controller, trace, {load.name: machine}, seed=seed, watch=ledger)
    seen, account = ledger.seen, result.loads[load.name]
    seen.energy_wh, seen.grid_wh = account.energy_wh, account.grid_wh
    seen.gap_steps /= max(1, seen.on_s)
    return seen


@dataclass(slots=True)
class _Ledger:
    """Watches a replay; until its end `seen.gap_steps` is a sum."""

    name: str
    follow: Follow
    seen: Tracking = field(default_factory=Tracking)
    drew: bool = False
    phases: int | None = None

    def __call__(self, _now: float, surplus_w: float, states: Mapping[str, LoadState], _decided: Decision) -> None:
        state, seen = states[self.name], self.seen
        draws_w = state.power_w or 0.0
        seen.pauses += self.drew and not draws_w
        self.drew = draws_w > 0
        if not self.drew:
            return
        seen.phase_changes += self.phases is not None and state.phases != self.phases
        self.phases = state.phases
        can = _range(self.follow, state.phases)
        ideal_w = min(max(surplus_w, can.least_w), can.most_w)
        seen.gap_steps += abs(draws_w - ideal_w) / can.step_w
        seen.on_s += 1
        lacking_w = max(0.0, can.least_w - max(0.0, surplus_w))
        seen.unavoidable_wh += min(draws_w, lacking_w) / 3600


def _range(follow: Follow, phases: int | None) -> Range:
    return next((one for one in follow.ranges if one.phases == phases), follow.ranges[0])
