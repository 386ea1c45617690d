"""The owner's rules as frozen values: loads, their hours, needs and powers. Power in W, energy in Wh, time in s,
prices in money per kWh; what is not asked for is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time as TimeOfDay  # noqa: N812 - a Clock has a `time`
from enum import StrEnum
from typing import Literal

from loadctl.core.conditions import Condition

EVERY_DAY = frozenset(range(7))  # Monday is day 0


class Mode(StrEnum):
    """How a person wants a load to be run. A load that cannot be throttled knows OFF, SOLAR and FAST (simply on)."""

    OFF = "off"
    SOLAR = "solar"  # by its rules
    SOLAR_MIN = "solar+min"  # at its least power at any time, more by its rules
    FAST = "fast"  # all it can take


@dataclass(frozen=True, slots=True)
class Clock:
    """A moment of each day: a time of day or, with `sun`, so long after (negative: before) sunrise or sunset."""

    time: TimeOfDay = TimeOfDay(0)
    sun: Literal["sunrise", "sunset"] | None = None
    offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Season:
    """Days of the year, (month, day) to (month, day), both included; it may cross the new year."""

    start: tuple[int, int]
    end: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day in which a load may run on its rules. `start` not before `end`: it crosses midnight.

    `days` and `season` are those of the day on which the hours begin.
    """

    start: Clock
    end: Clock
    days: frozenset[int] = EVERY_DAY
    season: Season | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A value of a named input to be reached, such as a temperature or a car's charge.

    `wh_per_unit`: the energy that raises it by one; None: not known, then `Need.takes_s` says how long to allow.
    `band`: a level that is always needed is raised by so much more, once it was missed. `leaks`: warmth does, so
    nothing is bought for it long before its time.
    """

    input: str
    target: float
    wh_per_unit: float | None = None
    band: float = 1.0
    leaks: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What a load must get by a moment of the day, whatever the weather: one of `energy_wh`, `runtime_s`, `level`,
    `full`.

    `full`: until its own thermostat opens (or its car stops charging). `takes_s`: how long that is expected to take at
    most. `every_days` > 1: once in so many days, counted from when it was last met. `season`: of the day of the
    deadline. `always`: a `level` that must be there at any time, by no deadline, also while nobody is at home.
    """

    by: Clock
    energy_wh: float | None = None
    runtime_s: float | None = None
    level: Level | None = None
    full: bool = False
    takes_s: float = 7200.0
    days: frozenset[int] = EVERY_DAY
    every_days: int = 1
    season: Season | None = None
    always: bool = False


@dataclass(frozen=True, slots=True)
class Battery:
    """What a load may take from the house battery; charges in %.

    Above `claim_above_pct` it may have the power that would charge the battery (None: never). Above
    `discharge_above_pct` it may draw up to `discharge_w` out of it (None: never; 0 W: what runs may run on, nothing
    starts on it). A limit that was passed holds until the charge is `band_pct` below it.
    """

    claim_above_pct: float | None = None
    discharge_above_pct: float | None = None
    discharge_w: float = 0.0
    band_pct: float = 3.0


@dataclass(frozen=True, slots=True)
class Range:
    """Powers that a load can be set to: `least_w` to `most_w` in steps of `step_w`.

    `phases`, `volts`: for a load with a current; None: it is set in watts.
    """

    least_w: float
    most_w: float
    step_w: float
    phases: int | None = None
    volts: float | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """How a load with a range of power follows the sun.

    `ranges`: by their least power; more than one for a charger that switches phases. `every_s`: between two rises.
    `phase_up_s`, `phase_down_s`: so long there must be power for more phases, or too little for so many;
    `phase_pause_s` from one change of phases to one to more of them, `phase_changes` of these a day at most; back to
    fewer it may go at any time.
    """

    ranges: tuple[Range, ...]
    every_s: float = 5.0
    phase_up_s: float = 300.0
    phase_down_s: float = 120.0
    phase_pause_s: float = 600.0
    phase_changes: int = 10


@dataclass(frozen=True, slots=True)
class Load:
    """The rule of one appliance. It starts when `start_w` is free for `start_for_s`, stops when the house imports more
    than `stop_import_w` for `stop_for_s` because of it (negative: when it exports less than that).

    `power_w` is what it draws at most; `follow` marks a load that can be set to less, and then `start_w` and the
    conditions to stop are about its least power. `worth`: a kWh for it may cost so much. `daily_runtime_s`,
    `daily_energy_wh`: no more a day by its rules. `share`: loads with the same number in a row share power equally.
    `thrifty`: what it usually uses in a day would be bought otherwise, so it takes the cheapest of the day's sun,
    partial sun too, if a full one is not to be expected.
    """

    name: str
    power_w: float
    start_w: float
    start_for_s: float
    stop_import_w: float
    stop_for_s: float
    min_on_s: float = 0.0
    min_off_s: float = 0.0
    max_starts: int | None = None
    compressor: bool = False
    settle_s: float = 10.0
    lease_s: float | None = None
    safe_on: bool = False
    hand_hold_s: float = 7200.0
    shed_below_pct: float | None = None  # while the grid is gone it may run on the battery down to this charge
    windows: tuple[Window, ...] = ()
    needs: tuple[Need, ...] = ()
    when: Condition | None = None
    battery: Battery = Battery()
    worth: float | None = None
    daily_runtime_s: float | None = None
    daily_energy_wh: float | None = None
    follow: Follow | None = None
    mode: Mode = Mode.SOLAR
    share: int | None = None
    thrifty: bool = False

    @property
    def keen(self) -> bool:
        """Tell whether it stops the sooner, the more is short: no owner named the time, no compressor minds."""
        return self.thrifty and not self.compressor


@dataclass(frozen=True, slots=True)
class Site:
    """The whole rule file: loads in order of priority, most important first."""

    loads: tuple[Load, ...]
    reserve_w: float = 0.0
    max_import_w: float | None = None
    hold_s: float = 30.0
    answer_s: float = 60.0  # a command without any answer for so long is a fault
    steady_s: float = 60.0  # after an outage the grid must have been back for so long
