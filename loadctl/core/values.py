"""The words of loadctl as frozen values. Power in W, energy in Wh, time in s; what is not known is None, never 0.

Signs: `grid_w` + import, - export; `battery_w` + discharging, - charging. `at` and `read_at` are monotonic seconds that
are only ever subtracted; `wall` is the site's aware local time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum


class Phase(StrEnum):
    """Where a load is in its lifecycle; `lifecycle.MOVES` says how it gets there."""

    OFF = "off"
    STARTING = "starting"
    ON = "on"
    STOPPING = "stopping"
    FAULT = "fault"


OFF, STARTING, ON, STOPPING, FAULT = Phase


class Verdict(StrEnum):
    """A decision and its reason in one word: the same in the log, the metric label, the page and the tests."""

    # idle, because...
    REST = "rest"  # too little surplus
    WAIT_ON = "wait_on"  # enough surplus, not yet for long enough
    HELD_OFF = "held_off"  # its minimum time off (or a compressor's rest) is not over
    ROOM = "room"  # a less important load must be seen stopped first
    SPENT = "spent"  # no start left today
    WINDOW = "window"  # outside its hours
    CROWDED = "crowded"  # would blow the fuse
    AWAY = "away"  # the device cannot run it now: its own protection, no car
    WELDED = "welded"  # it draws power although its switch is off: an alarm
    # changes, because...
    START = "start"  # the surplus held long enough
    STOP = "stop"  # too little surplus for long enough
    YIELD = "yield"  # a more important load can start on this power
    SHED = "shed"  # the house draws more than `max_import`
    # runs, because...
    RUN = "run"  # there is surplus for it
    WAIT_OFF = "wait_off"  # too little surplus, not yet for long enough
    HELD_ON = "held_on"  # its minimum time on is not over
    NEED = "need"  # it must, whatever the weather
    IDLE = "idle"  # its switch is on and it draws nothing: thermostat open, breaker off
    # either way...
    BUSY = "busy"  # a command is on its way
    SETTLING = "settling"  # switched just now; the meter has yet to show it
    NEED_AT_RISK = "need_at_risk"  # a need wants it to run and something above needs forbids it
    HAND = "hand"  # a person holds it
    BLIND = "blind"  # no reading to trust
    OUTAGE = "outage"  # the grid is gone or a generator feeds
    SHUTDOWN = "shutdown"  # loadctl stops, or the load left the rules
    FAULT = "fault"  # the actuator does not do what it is told


class Holder(StrEnum):
    """Who keeps a load in its state."""

    RULE = "rule"
    NEED = "need"
    HAND = "hand"


class Source(StrEnum):
    """Who switched a device, as far as the device tells."""

    US = "us"
    TIMER = "timer"  # a lease or another timer in the device ran out
    REBOOT = "reboot"
    PROTECTION = "protection"  # overpower, over-temperature...
    HAND = "hand"  # its button, its app, another program
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PhasePower:
    """One phase (L1, L2, L3) of the house."""

    grid_w: float | None = None
    pv_w: float | None = None
    load_w: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the house's meter.

    `load_w` is the whole house with our loads, the battery taken out. `every_s` and `max_age_s` are what this source
    can bear: how often it is asked and after how long a reading is no reading. `source` names where in the device it
    came from, `flags` say why a value is missing or doubtful.
    """

    read_at: float
    grid_w: float | None = None
    pv_w: float | None = None
    load_w: float | None = None
    battery_w: float | None = None
    soc_pct: float | None = None
    phases: tuple[PhasePower, ...] = ()
    grid_up: bool | None = None
    generator: bool | None = None
    flags: frozenset[str] = frozenset()
    source: str = ""
    every_s: float = 1.0
    max_age_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Command:
    """A wish to an actuator. `watts` 0 is off; a load that cannot be throttled takes any other number as on."""

    id: int
    load: str
    watts: float
    phases: int | None = None
    lease_s: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A fact from an actuator; with a `command_id` it answers that command, without it is an observation.

    `on` None: not known. `watts`: measured draw, None where the device does not measure. `available` False: the device
    cannot run the load now (protection, no car). `satisfied`: its own thermostat is done. `error`: the kind of the
    DeviceError that ended the attempt, and `detail` its sentence.
    """

    load: str
    read_at: float
    command_id: int | None = None
    on: bool | None = None
    watts: float | None = None
    limit_w: float | None = None
    source: Source = Source.UNKNOWN
    identity: str | None = None
    lease_left_s: float | None = None
    connected: bool | None = None
    available: bool = True
    satisfied: bool | None = None
    error: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day in which a load may run on its rules; `start` > `end` crosses midnight. Monday is day 0."""

    start: time
    end: time
    days: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Need:
    """What a load must get by a time of day, whatever the weather: one of `energy_wh`, `runtime_s`."""

    by: time
    energy_wh: float | None = None
    runtime_s: float | None = None
    days: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Load:
    """The rule of one appliance. It starts when `start_w` is free for `start_for_s`, stops when the house imports more
    than `stop_import_w` for `stop_for_s` because of it (negative: when it exports less than that).

    `least_w` < `power_w` marks a load that can follow power in steps of `step_w`; equal, it is on or off.
    """

    name: str
    power_w: float
    start_w: float
    start_for_s: float
    stop_import_w: float
    stop_for_s: float
    least_w: float = 0.0
    step_w: float = 0.0
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


@dataclass(frozen=True, slots=True)
class Site:
    """The whole rule file: loads in order of priority, most important first."""

    loads: tuple[Load, ...]
    reserve_w: float = 0.0
    max_import_w: float | None = None
    hold_s: float = 30.0
    answer_s: float = 60.0  # a command without any answer for so long is a fault
    steady_s: float = 60.0  # after an outage the grid must have been back for so long


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks of one load until `until` (monotonic; None: for good)."""

    load: str
    on: bool
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """All that the core may know at one moment. `reports` are those that came since the last tick, oldest first."""

    at: float
    wall: datetime
    sample: Sample | None
    reports: tuple[Report, ...] = ()
    wishes: tuple[Wish, ...] = ()
    shutdown: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a load has had in all since loadctl knows it: complete up to the moment it was made."""

    starts: int = 0
    runtime_s: float = 0.0
    energy_wh: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The tally at which a need's present period began; `deadline_day` is the ordinal of the day it ends on.

    `forced`: its last moment has come, it runs from then on until it is met or its time is over.
    """

    deadline_day: int
    tally: Tally
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of one load. A new one only on change.

    `since`: start of the phase. `was_on`: as the device was last seen, None when that is in doubt. `switched_at`: when
    it was last seen to change between on and off (None: not since we know it). `held_s`: how long the condition to
    start (while off) or to stop (while on) has held, leaky; `held_at`: the reading that last met it. `wants_on`,
    `command_id`: what we last asked for; `asked_at`: then, or when the last change was seen: older reports say nothing.
    `settled_at`: a reading from then on is sure to show the last switching; `leaving_w`: what went off with it,
    `grid_before_w`: the grid before it. `tally` is complete up to `tallied_at`; `today` is the tally at the beginning
    of the site's day.
    """

    phase: Phase = OFF
    since: float = 0.0
    was_on: bool | None = None
    switched_at: float | None = None
    held_s: float = 0.0
    held_at: float | None = None
    wants_on: bool = False
    command_id: int | None = None
    asked_at: float = 0.0
    settled_at: float | None = None
    leaving_w: float = 0.0
    grid_before_w: float | None = None
    measured_w: float | None = None
    learned_w: float | None = None
    holder: Holder = Holder.RULE
    hand_until: float | None = None
    retry_at: float | None = None
    failures: int = 0  # commands in a row that failed
    missed: int = 0  # read-backs in a row that failed
    detail: str = ""
    available: bool = True
    satisfied: bool | None = None
    tally: Tally = Tally()
    tallied_at: float = 0.0
    today: Tally = Tally()
    marks: tuple[Mark, ...] = ()
    needs_missed: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """All that the core remembers; `standings` in the order of `Site.loads`."""

    standings: tuple[Standing, ...]
    next_id: int = 1
    sample_at: float | None = None  # read_at of the last reading that was counted
    blind_since: float | None = None
    outage_since: float | None = None
    steady_since: float | None = None  # the grid is back since then and has yet to prove steady
    day: int = 0  # proleptic ordinal of the site's day that the tallies belong to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick decided. `verdicts` and `spare_w` in the order of `Site.loads`; `commands` only what changes.

    `surplus_w`: power free for all our loads together (what they draw added back); None while blind. `spare_w`: for
    each load the power it could start on (while off) or has left (while on).
    """

    state: State
    verdicts: tuple[Verdict, ...]
    commands: tuple[Command, ...] = ()
    surplus_w: float | None = None
    spare_w: tuple[float | None, ...] = ()
