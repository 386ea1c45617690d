"""From what was measured to the `Sample` that is decided on: whose battery counts, does it balance, is it fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loadctl.core.values import PhasePower, Sample
from loadctl.meters.envoy.pages import Measured

_NEGATIVE_LOAD_W = -50.0  # a house that gives power: the parts were measured at different times, or a CT is wrong
_STALE_S = 30.0  # the Envoy's own time of a reading stands still for so long: it repeats itself


@dataclass(frozen=True, slots=True)
class Side:
    """What the rarely asked pages said. `batteries` None: not known yet whether there are any.

    `battery_w`: IQ and AC Batteries together, + discharging; None although there are some: not known at the moment.
    """

    batteries: bool | None = None
    battery_w: float | None = None
    soc_pct: float | None = None
    grid_up: bool | None = None
    generator: bool | None = None
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a page is asked, and for how long a reading from it counts."""

    every_s: float
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """When the Envoy's time of a reading was first seen. The Envoy's clock may be wrong, so it is only compared."""

    time: float | None = None
    at: float = 0.0

    def look(self, time: float | None, at: float) -> Seen:
        """Return itself while `time` stands still or falls a little (a cached answer), a new one if it moved."""
        if time is None or self.time is None:
            return Seen(time, at)
        back = self.time - time
        return self if 0 <= back < 60 else Seen(time, at)

    def stale(self, at: float) -> bool:
        return self.time is not None and at - self.at >= _STALE_S


def weigh(measured: Measured, side: Side, *, read_at: float, stale: bool, source: str, pace: Pace) -> Sample:
    """Apply the rule: what is not certain becomes None and a flag says why.

    The grid's value is dropped while the house is an island or on a generator: the CT then measures something else.
    """
    flags = set(measured.flags | side.flags)
    generator = measured.generator or side.generator
    if stale:
        return Sample(
            read_at=read_at,
            grid_up=side.grid_up,
            generator=generator,
            flags=frozenset(flags | {"stale"}),
            source=source,
            every_s=pace.every_s,
            max_age_s=pace.max_age_s,
        )
    grid_w, phases = measured.grid_w, measured.phases
    if side.grid_up is False:
        flags.add("grid_open")
        grid_w = None
    if generator:
        flags.add("generator_running")
        grid_w = None
    if grid_w is None:
        flags.add("grid_unknown")
        phases = tuple(replace(phase, grid_w=None, load_w=None) for phase in phases)
    if measured.slow:
        flags.add("pv_slow")
    pv_w = measured.pv_w
    if pv_w is not None and pv_w < 0:
        flags.add("negative_production")
    battery_w, load_w, load_flags = _load(pv_w, grid_w, measured, side)
    if battery_w or side.batteries:
        phases = tuple(PhasePower(phase.grid_w, phase.pv_w) for phase in phases)  # the battery's phases are unknown
    return Sample(
        read_at=read_at,
        grid_w=grid_w,
        pv_w=None if pv_w is None else max(0.0, pv_w),
        load_w=load_w,
        battery_w=battery_w,
        soc_pct=measured.soc_pct if side.soc_pct is None else side.soc_pct,
        phases=phases,
        grid_up=side.grid_up,
        generator=generator,
        flags=frozenset(flags | load_flags),
        source=source,
        every_s=pace.every_s,
        max_age_s=pace.max_age_s,
    )


def _load(
    pv_w: float | None, grid_w: float | None, measured: Measured, side: Side
) -> tuple[float | None, float | None, set[str]]:
    """Return battery, load and flags. The battery's sources in order: the page itself (livedata or a storage CT), what
    the batteries reported; a source with which the house would give power is passed over.
    """
    sources = [power for power in (measured.battery_w, side.battery_w) if power is not None]
    flags: set[str] = set()
    if not sources and side.batteries is not False:
        flags.add("battery_unknown")
    if pv_w is None or grid_w is None:
        return (sources[0] if sources else None), None, flags
    if flags:
        return None, None, flags
    candidates: list[float | None] = [*sources] or [None]
    for battery_w in candidates:
        load_w = pv_w + grid_w + (battery_w or 0.0)
        if load_w >= _NEGATIVE_LOAD_W:
            return battery_w, max(0.0, load_w), flags
    return (sources[0] if sources else None), None, flags | {"negative_load"}
