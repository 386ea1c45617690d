"""What is seen, wished, expected, remembered and decided, as frozen values. Power in W, energy in Wh, time in s,
prices in money per kWh; what is not known is None, never 0.

Signs: `grid_w` + import, - export; `battery_w` + discharging, - charging. `at` and `read_at` are monotonic seconds that
are only ever subtracted; `wall` is the site's aware local time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from loadctl.core.rules import Mode, Need
from loadctl.each_tick import each_tick

if TYPE_CHECKING:
    from loadctl.core.walk import Case


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
    UNMET = "unmet"  # its `when` does not hold
    ENOUGH = "enough"  # had its daily maximum
    BEHIND = "behind"  # had what it usually uses in a day; others that must have more go first
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
    CHEAP = "cheap"  # partly or wholly bought: cheaper now than later, or than it is worth
    WAIT_OFF = "wait_off"  # too little surplus, not yet for long enough
    HELD_ON = "held_on"  # its minimum time on is not over
    NEED = "need"  # it must, whatever the weather
    IDLE = "idle"  # its switch is on and it draws nothing: thermostat open, breaker off
    # either way...
    MODE = "mode"  # its mode says so: off, fast, the minimum
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


@each_tick(frozen=True, slots=True)
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
    """A wish to an actuator. `watts` 0 is off; a load that cannot be throttled takes any other number as on.

    For a load with a current, `amps` says what it may draw on each of its `phases`; `watts` is then only what that
    comes to at the nominal voltage.
    """

    id: int
    load: str
    watts: float
    phases: int | None = None
    lease_s: float | None = None
    amps: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A fact from an actuator; with a `command_id` it answers that command, without it is an observation.

    `on` None: not known. `watts`: measured draw, None where the device does not measure. `limit_w`: the most that the
    device lets the load draw now; `phases`: on how many it does, as measured while it draws. `connected`: a car is
    plugged in. `available` False: the device cannot run the load now (protection, no car). `satisfied`: its own
    thermostat is done, the car is full. `need_left_wh`: what the device knows to be left to do. `inputs`: what else it
    measures, such as `temperature`, in base units. `error`: the kind of the DeviceError that ended the attempt, and
    `detail` its sentence.
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
    phases: int | None = None
    need_left_wh: float | None = None
    inputs: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks of one load until `until` (monotonic; None: for good)."""

    load: str
    on: bool
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ModeWish:
    """A person's choice of a load's mode, until another."""

    load: str
    mode: Mode
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Boost:
    """Once more than the rules say: `need`, with its deadline on the day with the ordinal `day`."""

    load: str
    need: Need
    day: int
    until: float | None = None  # monotonic; some time after the deadline


@dataclass(frozen=True, slots=True)
class Away:
    """Nobody is at home: needs wait until `until`. `away` tells this wish from the others in the memory's file."""

    until: float | None = None
    away: Literal[True] = True


AnyWish = Wish | ModeWish | Boost | Away


@each_tick(frozen=True, slots=True)
class Input:
    """A named value from outside, in its base unit (truth as 0 or 1); older than `max_age_s` it is not known."""

    value: float
    read_at: float
    max_age_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Daylight:
    """Sunrise and sunset of one day, as POSIX timestamps."""

    rise: float
    set: float


@each_tick(frozen=True, slots=True)
class Slot:
    """A stretch of the time to come: POSIX `start`, how long, and what is expected of it.

    `surplus_w`: power that the house will not use itself, our loads apart; None: nobody knows.
    """

    start: float
    length_s: float
    surplus_w: float | None
    import_price: float
    export_price: float


@each_tick(frozen=True, slots=True)
class Outlook:
    """What is expected: prices now, `slots` from now on in order, daylight by the ordinal of the day; and what the sun
    left at best, for some minutes of the last hours, `lately_w`.

    None of it is needed to be right: without any outlook needs are met all the same.
    """

    import_price: float = 0.30
    export_price: float = 0.08
    slots: tuple[Slot, ...] = ()
    daylight: Mapping[int, Daylight] = field(default_factory=dict)
    lately_w: float | None = None


NO_OUTLOOK = Outlook()


@each_tick(frozen=True, slots=True)
class Tick:
    """All that the core may know at one moment. `reports` are those that came since the last tick, oldest first."""

    at: float
    wall: datetime
    sample: Sample | None
    reports: tuple[Report, ...] = ()
    wishes: tuple[AnyWish, ...] = ()
    shutdown: bool = False
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outlook: Outlook = NO_OUTLOOK


@dataclass(frozen=True, slots=True)
class Tally:
    """What a load has had in all since loadctl knows it: complete up to the moment it was made."""

    starts: int = 0
    runtime_s: float = 0.0
    energy_wh: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One period of a need, which ends at `due` (POSIX, as all of these): the tally at which it began.

    `forced`: its last moment has come, it runs from then on until it is met or its time is over. `met`: when a need
    that stays met (`full`, or one of every so many days) was seen to be. `boost`: asked for once, it has no period
    after it.
    """

    need: Need
    due: float
    tally: Tally
    forced: bool = False
    met: float | None = None
    boost: bool = False


@each_tick(frozen=True, slots=True)
class Plan:
    """What a load's needs make it worth to pay: it takes power that costs up to `price` per kWh, bought and unsold
    together; None: its needs are met, or nothing is known to plan with. `buy`: now, even with no sun at all.

    `starts`: for each period of a need that is not met, by its `due`, when the load must start at the latest so that
    the fuse lets all needs be met (POSIX). `full_w`: what it can draw at most beside the house.

    `needs`: it must have more, by a time that is in sight. `firm`: the sun will not give it all of that, so it gives
    nobody the place that it runs in. `sated`: it has had what it usually uses in a day, who needs more goes first.
    """

    price: float | None = None
    buy: bool = False
    starts: tuple[tuple[float, float], ...] = ()
    full_w: float | None = None
    needs: bool = False
    firm: bool = False
    sated: bool = False


NO_PLAN = Plan()


@each_tick(frozen=True, slots=True)
class Standing:
    """What is remembered of one load. A new one only on change.

    `since`: start of the phase. `was_on`: as the device was last seen, None when that is in doubt. `switched_at`: when
    it was last seen to change between on and off (None: not since we know it). `held_s`: how long the condition to
    start (while off) or to stop (while on) has held, leaky; `held_at`: the reading that last met it. `wants_on`,
    `command_id`: what we last asked for; `asked_at`: then, or when the last change was seen: older reports say nothing.
    `settled_at`: a reading from then on is sure to show the last switching; `leaving_w`: what went off with it,
    `grid_before_w`: the grid before it. `tally` is complete up to `tallied_at`; `today` is the tally at the beginning
    of the site's day.

    A load that follows the sun: `target_w` is the power it was last set to, on `phases`, by `change_w` more than
    before; `shown_at`: a reading from then on is sure to show that (None: one did); `using`: on how many phases it
    really draws; `phases_at`: their last change; `phases_held_s`: how long another number would have been better;
    `phase_changes`: today's; `modest_until`: it left some of what it was offered, until then it is offered little more
    than it takes; `takes_w`, `takes_today_w`: the most it took of more, on the last day that showed it and on this one.
    `usual_wh`: what it uses in a day, None until that is known. `truths`: the last word of each comparison in `when`,
    for its hysteresis; `claims`, `discharges`: the battery's charge was above the load's limit.
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
    target_w: float | None = None
    phases: int | None = None
    using: int | None = None
    shown_at: float | None = None
    change_w: float = 0.0
    phases_at: float | None = None
    phases_held_s: float = 0.0
    modest_until: float | None = None
    takes_w: float | None = None
    takes_today_w: float | None = None
    phase_changes: int = 0
    need_left_wh: float | None = None
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
    usual_wh: float | None = None
    truths: tuple[bool | None, ...] = ()
    claims: bool = False
    discharges: bool = False


@each_tick(frozen=True, slots=True)
class State:
    """All that the core remembers; `standings` in the order of `Site.loads`."""

    standings: tuple[Standing, ...]
    next_id: int = 1
    sample_at: float | None = None  # read_at of the last reading that was counted
    blind_since: float | None = None
    outage_since: float | None = None
    steady_since: float | None = None  # the grid is back since then and has yet to prove steady
    day: int = 0  # proleptic ordinal of the site's day that the tallies belong to
    plans: tuple[Plan, ...] = ()  # empty: nothing planned yet
    planned_until: float | None = None
    calm: Any = field(default=None, compare=False, repr=False)  # for `loadctl.calm`, which only ever saves thinking

    def plan(self, index: int) -> Plan:
        """Return what was planned for a load."""
        return self.plans[index] if self.plans else NO_PLAN


class Outcome(NamedTuple):
    """What a tick decided. `verdicts` and `spare_w` in the order of `Site.loads`; `commands` only what changes.

    `surplus_w`: power free for all our loads together (what they draw added back); None while blind. `spare_w`: for
    each load the power it could start on (while off) or has left (while on). `cases`: what each was judged on.
    """

    state: State
    verdicts: tuple[Verdict, ...]
    commands: tuple[Command, ...] = ()
    surplus_w: float | None = None
    spare_w: tuple[float | None, ...] = ()
    cases: tuple[Case, ...] = ()
