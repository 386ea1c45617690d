"""The keys of the rule file, what they mean and what may stand there. The sentences are the editors' hover help."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from loadctl.config import words
from loadctl.core.units import Unit

_STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, strict=False)

Watts = Annotated[float, Unit("W")]
Seconds = Annotated[float, Unit("s", most=7 * 86400)]


def _text(pattern: str, *examples: str) -> Any:
    return Annotated[str, Field(pattern=pattern, examples=list(examples))]


Clock = Annotated[
    time,
    BeforeValidator(words.clock, json_schema_input_type=_text(f"^({words.CLOCK_PATTERN}|24:00)$", "18:00", "07:30")),
]
_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekdays", "weekend", "daily"]
Days = Annotated[
    frozenset[int],
    BeforeValidator(words.days, json_schema_input_type=_Day | list[_Day]),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class StartKeys:
    """When to switch on."""

    surplus: Annotated[float, Unit("W", least=1)]
    """The power that must be free."""
    hold: Annotated[Seconds | None, Field(alias="for")] = None
    """For how long it must be free (default 1 min)."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class StopKeys:
    """When to switch off: one of `import`, `export`."""

    imports: Annotated[Watts | None, Field(alias="import")] = None
    """Stop when the house draws more than this from the grid."""
    exports: Annotated[Watts | None, Field(alias="export")] = None
    """Stop when the house feeds in less than this."""
    hold: Annotated[Seconds | None, Field(alias="for")] = None
    """For how long (default 2 min)."""

    def __post_init__(self) -> None:
        if (self.imports is None) == (self.exports is None):
            raise ValueError("write one of `import: 800 W` and `export: 200 W`")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class BetweenKeys:
    """Hours of the day, on some days of the week; they may cross midnight."""

    start: Annotated[Clock, Field(alias="from")]
    """From this time of day."""
    to: Clock
    """To this time of day."""
    days: Days = frozenset(range(7))
    """On these days (those on which the hours begin); default: daily."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class NeedKeys:
    """What the appliance must get by a time of day, whatever the weather: one of `energy`, `runtime`."""

    energy: Annotated[float, Unit("Wh", least=1)] | None = None
    """So much energy."""
    runtime: Annotated[float, Unit("s", least=1, most=7 * 86400)] | None = None
    """So long a run, all runs together."""
    by: Clock
    """By this time of day."""
    days: Days = frozenset(range(7))
    """On these days; default: daily."""

    def __post_init__(self) -> None:
        if (self.energy is None) == (self.runtime is None):
            raise ValueError("write one of `energy: 6 kWh` and `runtime: 4 h`")


Start = Annotated[
    StartKeys,
    BeforeValidator(
        words.start, json_schema_input_type=_text(words.START_PATTERN, "1.5 kW for 1 min", "1.5 kW") | StartKeys
    ),
]
Stop = Annotated[
    StopKeys,
    BeforeValidator(
        words.stop,
        json_schema_input_type=_text(words.STOP_PATTERN, "import 800 W for 2 min", "export 200 W for 2 min") | StopKeys,
    ),
]
Between = Annotated[
    BetweenKeys,
    BeforeValidator(words.between, json_schema_input_type=_text(words.BETWEEN_PATTERN, "09:00-19:00") | BetweenKeys),
]
Need = Annotated[
    NeedKeys,
    BeforeValidator(
        words.need, json_schema_input_type=_text(words.NEED_PATTERN, "6 kWh by 18:00", "4 h by 19:00") | NeedKeys
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SiteKeys:
    """The house as a whole."""

    timezone: Annotated[str | None, Field(examples=["Europe/Amsterdam"])] = None
    """Where the house stands, for hours and deadlines; default: the time zone of this computer."""
    max_import: Annotated[float, Unit("W", least=100)] | None = None
    """The main fuse: above this draw from the grid appliances are switched off at once, whatever the rules say."""
    reserve: Watts = 0.0
    """Power that is always left to flow to the grid, for example because the meter reads a little low."""
    hold: Annotated[float, Unit("s", most=600)] = 30.0
    """How long what runs may go on running when the meter falls silent; then everything goes to its `safe` state."""
    steady: Annotated[float, Unit("s", most=3600)] = 60.0
    """For how long the grid must be back after an outage before anything is switched by the rules again."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class WebKeys:
    """The page in the browser and the metrics for Prometheus."""

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` lets the whole home network in."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8480
    """The port to listen on."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class LoadKeys:
    """One appliance. What is first in the file is most important, unless `priority` says otherwise."""

    actuator: dict[str, Any]
    """The device that switches it."""
    power: Annotated[float, Unit("W", least=1)]
    """What it draws while it is on, as its label says."""
    start: Start | None = None
    """When to switch on, such as `1.5 kW for 1 min`; default: when all its power is free for 1 min."""
    stop: Stop | None = None
    """When to switch off, such as `import 800 W for 2 min`; default: when it costs 100 W or a tenth of its power more
    than was accepted at the start, for 2 min."""
    min_on: Seconds | None = None
    """Once on, stay on so long (default 2 min; compressors 10 min)."""
    min_off: Seconds | None = None
    """Once off, stay off so long (default 2 min; compressors 10 min)."""
    max_starts: Annotated[int, Field(ge=1, le=1000)] | None = None
    """So many starts a day at most; default: no limit."""
    priority: Annotated[int, Field(ge=1, le=1000)] | None = None
    """1 is most important. Appliances with a priority come before those without, which keep the order of the file."""
    between: Annotated[list[Between], BeforeValidator(words.listed, json_schema_input_type=Between | list[Between])] = (
        Field(default_factory=list)
    )
    """Hours in which it may run on its rules, such as `09:00-19:00`; one or a list."""
    need: Annotated[list[Need], BeforeValidator(words.listed, json_schema_input_type=Need | list[Need])] = Field(
        default_factory=list
    )
    """What it must get whatever the weather, such as `6 kWh by 18:00` or `4 h by 19:00`; one or a list."""
    safe: Literal["off", "on"] = "off"
    """The state it is put in when the meter is silent, the grid is gone or loadctl stops."""
    shed_below: Annotated[float, Unit("%", most=100)] | None = None
    """While the grid is gone: it may run on the house battery as long as that is charged above this, such as `40 %`;
    default: it goes to its `safe` state at once."""
    compressor: bool = False
    """A heat pump, freezer or air conditioner: nothing may shorten its rest, and it rests 10 min by default."""
    settle: Annotated[float, Unit("s", most=600)] | None = None
    """How long after switching the meter may still show the old power; default: as its device says."""
    hand_hold: Seconds = 7200.0
    """How long a change by hand is respected (default 2 h)."""
    was: str | None = None
    """The former name of this appliance in this file: what is known of it moves over."""
