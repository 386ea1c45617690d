"""Where the energy of each load came from, sun or grid, and what a car has had since it was plugged in.

What the house imports is what its least important running loads draw: without them it would not import it. While the
meter is blind all counts as from the grid, for nobody saw the sun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from loadctl.core.appliance import own_w, tallied
from loadctl.core.row import row_of
from loadctl.core.rules import Site
from loadctl.core.values import ON, Outcome, Tick


@dataclass(frozen=True, slots=True)
class Origin:
    """Energy by where it came from."""

    sun_wh: float = 0.0
    grid_wh: float = 0.0

    def __add__(self, other: Origin) -> Origin:
        return Origin(self.sun_wh + other.sun_wh, self.grid_wh + other.grid_wh)

    @property
    def wh(self) -> float:
        return self.sun_wh + self.grid_wh

    @property
    def parts(self) -> dict[str, float]:
        return {"sun": self.sun_wh, "grid": self.grid_wh}

    @property
    def sun_share(self) -> float | None:
        """Which part came from the sun; None: there was no energy."""
        return self.sun_wh / self.wh if self.wh > 0 else None


@dataclass(frozen=True, slots=True)
class Session:
    """What a car has had from `since` to `until`, POSIX timestamps; `until` None: it is still plugged in."""

    since: float
    had: Origin = Origin()
    until: float | None = None


class Energy:
    """Counts since the start. `sessions`: by load, the present one of its car or the last; they survive a restart."""

    def __init__(self, site: Site, sessions: Mapping[str, Session] | None = None) -> None:
        self.origins: dict[str, Origin] = {}
        self.sessions: dict[str, Session] = dict(sessions or {})
        self._site = site
        self._tallied_wh: dict[str, float] = {}
        self._bought: dict[str, float] = {}  # which part of what a load draws the house imports

    def follow(self, site: Site) -> None:
        """Go on under new rules."""
        self._site = site
        names = {load.name for load in site.loads}
        known: tuple[dict[str, Any], ...] = (self.origins, self.sessions, self._tallied_wh, self._bought)
        for values in known:
            for name in values.keys() - names:
                del values[name]

    def note(self, tick: Tick, outcome: Outcome) -> dict[str, Origin]:
        """Take in one tick; return what each load has had since the last one."""
        now = tick.wall.timestamp()
        for report in tick.reports:
            if report.connected is not None:
                self._plugged(report.load, now, connected=report.connected)
        had = self._had(tick, outcome)
        for name, origin in had.items():
            self.origins[name] = self.origins.get(name, Origin()) + origin
            session = self.sessions.get(name)
            if session is not None and session.until is None:
                self.sessions[name] = replace(session, had=session.had + origin)
        return had

    def _plugged(self, name: str, now: float, *, connected: bool) -> None:
        session = self.sessions.get(name)
        if connected and (session is None or session.until is not None):
            self.sessions[name] = Session(now)
        elif session is not None and session.until is None and not connected:
            self.sessions[name] = replace(session, until=now)

    def _had(self, tick: Tick, outcome: Outcome) -> dict[str, Origin]:
        import_w = tick.sample.grid_w if tick.sample is not None and outcome.state.blind_since is None else None
        left_w = inf if import_w is None else max(0.0, import_w)
        had = {}
        row = row_of(outcome.state.plans) or range(len(self._site.loads))
        for index in reversed(row):
            load, standing = self._site.loads[index], outcome.state.standings[index]
            total_wh = tallied(load, standing, tick.at).energy_wh
            wh = total_wh - self._tallied_wh.get(load.name, total_wh)
            self._tallied_wh[load.name] = total_wh
            if wh > 0:
                bought_wh = wh * self._bought.get(load.name, 1.0)  # as it was until now
                had[load.name] = Origin(wh - bought_wh, bought_wh)
            draws_w = own_w(load, standing) if standing.phase is ON else 0.0
            if draws_w > 0:
                self._bought[load.name] = min(left_w, draws_w) / draws_w
                left_w -= min(left_w, draws_w)
        return had
