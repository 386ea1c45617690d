"""The keys of an appliance, what they mean and what may stand there. The sentences are the editors' hover help."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic.dataclasses import dataclass

from loadctl.config import dates, words
from loadctl.config.keys_common import STRICT, Between, Clock, Days, Price, Season, Seconds, Watts, text
from loadctl.core.rules import EVERY_DAY
from loadctl.core.rules import Season as CoreSeason
from loadctl.units import Unit

Span = tuple[float | None, float]  # the lower end if it is given, the upper end
Ranks = tuple[tuple[int, CoreSeason | None], ...]  # each with its part of the year; None: all of it
Band = Annotated[
    tuple[float, str],
    PlainValidator(words.band, json_schema_input_type=text(words.BAND_PATTERN, "1 °C", "3 %")),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StartKeys:
    """When to switch on: one of `surplus`, `share`."""

    surplus: Annotated[Annotated[float, Unit("W", least=1)] | None, Field(examples=["1.5 kW"])] = None
    """The power that must be free."""
    share: Annotated[Annotated[float, Unit("%", least=1, most=500)] | None, Field(examples=["70 %"])] = None
    """The part of its (least) power that must be free; more than 100 % waits for more than it needs."""
    hold: Annotated[Seconds | None, Field(alias="for", examples=["1 min"])] = None
    """For how long it must be free (default 1 min)."""

    def __post_init__(self) -> None:
        if (self.surplus is None) == (self.share is None):
            raise ValueError("write one of `surplus: 1.5 kW` and `share: 70 %`")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StopKeys:
    """When to switch off: one of `import`, `export`."""

    imports: Annotated[Watts | None, Field(alias="import", examples=["800 W"])] = None
    """Stop when the house draws more than this from the grid."""
    exports: Annotated[Watts | None, Field(alias="export", examples=["200 W"])] = None
    """Stop when the house feeds in less than this."""
    hold: Annotated[Seconds | None, Field(alias="for", examples=["2 min"])] = None
    """For how long (default 2 min, cars 3 min)."""

    def __post_init__(self) -> None:
        if (self.imports is None) == (self.exports is None):
            raise ValueError("write one of `import: 800 W` and `export: 200 W`")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class NeedKeys:
    """What the appliance must get by a time of day, whatever the weather: one of `energy`, `runtime`, `temperature`,
    `soc`, `full`; or at any time: `temperature` or `soc` with `always`.
    """

    energy: Annotated[Annotated[float, Unit("Wh", least=1)] | None, Field(examples=["6 kWh"])] = None
    """So much energy."""
    runtime: Annotated[Annotated[float, Unit("s", least=1, most=7 * 86400)] | None, Field(examples=["4 h"])] = None
    """So long a run, all runs together."""
    temperature: Annotated[Annotated[float, Unit("°C", least=-50, most=200)] | None, Field(examples=["55 °C"])] = None
    """So warm, as the input `of` tells."""
    soc: Annotated[Annotated[float, Unit("%", least=1, most=100)] | None, Field(examples=["80 %"])] = None
    """Charged so far, as the input `of` tells."""
    full: Annotated[Literal[True] | None, Field(examples=[True])] = None
    """Until its own thermostat opens, or the car stops charging."""
    of: Annotated[str | None, Field(examples=["tank"])] = None
    """The input that tells the temperature or the charge; default: what its own device measures, else the only input
    that there is of that kind."""
    litres: Annotated[
        float | None,
        Field(gt=0, le=1_000_000, examples=[300]),
        BeforeValidator(words.litres, json_schema_input_type=float),
    ] = None
    """How much water is to be warmed: tells how long it takes (with `temperature`)."""
    capacity: Annotated[Annotated[float, Unit("Wh", least=100)] | None, Field(examples=["60 kWh"])] = None
    """What the battery holds when it is full: tells how long charging takes (with `soc`)."""
    takes: Annotated[Annotated[float, Unit("s", least=60, most=7 * 86400)] | None, Field(examples=["3 h"])] = None
    """How long it takes at most, where nothing else tells (default 2 h)."""
    by: Annotated[Clock | None, Field(examples=["18:00"])] = None
    """By this time of day, by the clock or by the sun; must be given unless `always` is."""
    days: Annotated[Days, Field(examples=["sat, sun"])] = EVERY_DAY
    """On these days; default: daily."""
    season: Annotated[Season | None, Field(examples=["may-sep"])] = None
    """In this part of the year; default: all year."""
    every: Annotated[
        int, BeforeValidator(words.every, json_schema_input_type=text(r"^[1-9]\d* ?d$", "7 d")), Field(examples=["7 d"])
    ] = 1
    """Only once in so many days, counted from when it was last met; default: each time."""
    always: Annotated[Literal[True] | None, Field(examples=[True])] = None
    """Instead of `by`: never below this `temperature` or `soc`, at any hour and also while nobody is at home. While the
    value is not known nothing is done."""
    band: Annotated[Band | None, Field(examples=["1 °C"])] = None
    """With `always`: once it was missed it is raised by so much more (default 1 °C, 3 %)."""

    def __post_init__(self) -> None:
        given = [key for key in ("energy", "runtime", "temperature", "soc", "full") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                "write one of `energy: 6 kWh`, `runtime: 4 h`, `temperature: 55 °C`, `soc: 80 %` and `full: true`"
            )
        for key, meant in (
            ("of", ("temperature", "soc")),
            ("litres", ("temperature",)),
            ("capacity", ("soc",)),
            ("takes", ("temperature", "soc", "full")),
            ("always", ("temperature", "soc")),
        ):
            if getattr(self, key) is not None and given[0] not in meant:
                raise ValueError(f"`{key}` belongs to `{'` and `'.join(meant)}`, not to `{given[0]}`; delete it")
        if self.always:
            self._check_always()
        elif self.by is None:
            raise ValueError('until when? write `by: "18:00"`')
        elif self.season is not None and dates.shortest(self.season) < (1 if self.days == EVERY_DAY else 7):
            raise ValueError("in some years its `season` has none of its days; write a longer one")
        elif self.band is not None:
            raise ValueError("`band` goes with `always: true`; write that instead of `by` or delete `band`")
        if self.takes is not None and (self.litres is not None or self.capacity is not None):
            other = "litres" if self.litres is not None else "capacity"
            raise ValueError(f"`takes` and `{other}` both say how long it takes; keep one")

    def _check_always(self) -> None:
        defaults = {"by": None, "days": EVERY_DAY, "season": None, "every": 1}
        for key, default in defaults.items():
            if getattr(self, key) != default:
                raise ValueError(f"`{key}` and `always` contradict each other; keep one of them")
        unit, key = ("°C", "temperature") if self.temperature is not None else ("%", "soc")
        if self.band is not None and self.band[1] != unit:
            raise ValueError(f"the `band` of a `{key}` is written `{'1 °C' if unit == '°C' else '3 %'}`")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DailyKeys:
    """The most for one day."""

    runtime: Annotated[Annotated[float, Unit("s", least=60, most=86400)] | None, Field(examples=["4 h"])] = None
    """So long a run, all runs together."""
    energy: Annotated[Annotated[float, Unit("Wh", least=1)] | None, Field(examples=["6 kWh"])] = None
    """So much energy."""

    def __post_init__(self) -> None:
        if self.runtime is None and self.energy is None:
            raise ValueError("write `runtime: 4 h`, `energy: 6 kWh` or both")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class BatteryKeys:
    """What it may take from the house battery."""

    claim_above: Annotated[Annotated[float, Unit("%", most=99)] | None, Field(examples=["80 %"])] = None
    """Above this charge it may have the power that would charge the battery; default: as `site.battery` says."""
    discharge_above: Annotated[Annotated[float, Unit("%", most=99)] | None, Field(examples=["60 %"])] = None
    """Above this charge it may draw on the battery; default: never."""
    discharge: Annotated[Watts, Field(examples=["2 kW"])] | None = None
    """So much at most; default: what runs may run on, and nothing starts on the battery alone."""
    never_discharge: Annotated[bool | None, Field(examples=[True])] = None
    """It never draws on the battery. That is so anyway unless `discharge_above` is given; here it can be said."""
    band: Annotated[Annotated[float, Unit("%", most=50)] | None, Field(examples=["3 %"])] = None
    """A limit that was passed holds until the charge is so much below it; default: as `site.battery` says, 3 %."""

    def __post_init__(self) -> None:
        if self.never_discharge and (self.discharge_above is not None or self.discharge is not None):
            raise ValueError("`never_discharge: true` and `discharge` contradict each other; delete one of them")
        if self.discharge_above is None and (self.never_discharge is False or self.discharge is not None):
            raise ValueError("down to which charge? write `discharge_above: 60 %`")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class WhenKeys:
    """A condition on inputs."""

    test: Annotated[str, Field(alias="if", min_length=1, max_length=1000, examples=["tank < 60 °C"])]
    """What must hold, such as `tank < 60 °C and soc > 50 %`."""
    hysteresis: Annotated[str | float | None, Field(examples=["2 °C"])] = None
    """The limit ends it; to begin, the value must be so much within it: `tank < 60 °C` begins below 58 °C."""
    unknown: Annotated[Literal["keep"] | bool, Field(examples=["keep"])] = False
    """What counts while an input is not known: `true`, `false`, or `keep` what held last."""


Start = Annotated[
    StartKeys,
    BeforeValidator(
        words.start, json_schema_input_type=text(words.START_PATTERN, "1.5 kW for 1 min", "70 %") | StartKeys
    ),
]
Stop = Annotated[
    StopKeys,
    BeforeValidator(
        words.stop,
        json_schema_input_type=text(words.STOP_PATTERN, "import 800 W for 2 min", "export 200 W for 2 min") | StopKeys,
    ),
]
Need = Annotated[
    NeedKeys,
    BeforeValidator(
        words.need,
        json_schema_input_type=text(words.NEED_PATTERN, "6 kWh by 18:00", "4 h by sunset in may-sep", "8 °C always")
        | NeedKeys,
    ),
]
_DailyText: Any = text(words.DAILY_PATTERN, "4 h", "6 kWh")
Daily = Annotated[
    DailyKeys, BeforeValidator(words.daily, json_schema_input_type=_DailyText | list[_DailyText] | DailyKeys)
]
When = Annotated[
    WhenKeys,
    BeforeValidator(words.when, json_schema_input_type=Annotated[str, Field(examples=["tank < 60 °C"])] | WhenKeys),
]
Power = Annotated[
    Span,
    PlainValidator(
        lambda value: words.span(value, "W", 1),
        json_schema_input_type=text(words.span_pattern("W"), "2 kW", "0.3..3 kW"),
    ),
]
Current = Annotated[
    Span,
    PlainValidator(
        lambda value: words.span(value, "A", 0.1),
        json_schema_input_type=text(words.span_pattern("A"), "6..16 A", "16 A"),
    ),
]


_SeasonText: Any = text(f"^{dates.SEASON_PATTERN}$", "apr-sep", "oct-mar")
Priority = Annotated[
    Ranks,
    PlainValidator(
        words.priority,
        json_schema_input_type=Annotated[int, Field(ge=1, le=1000)]
        | Annotated[
            dict[Annotated[str, Field(pattern=r"^[1-9]\d*$")], _SeasonText | list[_SeasonText]],
            Field(json_schema_extra={"additionalProperties": False}),
        ],
    ),
]


def _one_or_more(item: Any) -> Any:
    return BeforeValidator(words.listed, json_schema_input_type=item | list[item])


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LoadKeys:
    """One appliance. What is first in the file is most important, unless `priority` says otherwise."""

    actuator: Annotated[dict[str, Any], Field(examples=[{"driver": "shelly", "host": "192.168.1.40"}])]
    """The device that switches it."""
    power: Annotated[Power | None, Field(examples=["2 kW", "0.3..3 kW"])] = None
    """What it draws while it is on, as its label says. For a heater that can be dimmed the most, or from the least to
    the most. A car has a `current` instead."""
    current: Annotated[Current | None, Field(examples=["6..16 A"])] = None
    """For a car: the current on each phase, from the least to the most; `16 A` is `6..16 A`."""
    phases: Annotated[Literal["auto", 1, 3], Field(examples=["auto"])] = 1
    """For a car: on how many phases it charges; `auto` lets the charger change between one and three with the sun."""
    voltage: Annotated[float, Unit("V", least=90, most=300), Field(examples=["230 V"])] = 230.0
    """For a car: between a phase and neutral, to tell the power from the current."""
    priority: Annotated[Priority | None, Field(examples=[1, {1: "apr-sep", 3: "oct-mar"}])] = None
    """1 is most important; it may change with the season. Appliances with a priority come before those without, which
    keep the order of the file."""
    mode: Annotated[Literal["off", "solar", "solar+min", "fast"], Field(examples=["solar+min"])] = "solar"
    """How it is run until a person says otherwise: `off`; `solar`, by its rules; `solar+min`, at its least power at any
    time and more by its rules; `fast`, all it can take."""
    share: Annotated[Literal["equal"] | None, Field(examples=["equal"])] = None
    """Appliances that can be throttled and stand next to each other with `equal` share the sun equally; default: the
    first one comes first."""

    start: Annotated[Start | None, Field(examples=["1.5 kW for 1 min", "70 %"])] = None
    """When to switch on: the power that must be free, or the part of its power; default: when all its (least) power is
    free for 1 min; what only switches, and has no `stop`, `need` or `worth` either, takes four fifths of it on a dull
    day, and three while the sun leaves no more."""
    stop: Annotated[Stop | None, Field(examples=["import 800 W for 2 min"])] = None
    """When to switch off; default: when it costs 100 W or a tenth of its (least) power more than was accepted at the
    start, for 2 min (cars 3 min); what asks for four fifths of sun stops when it has less: soon if much is
    missing, late if little."""
    grid_limit: Annotated[Watts | None, Field(examples=["500 W"])] = None
    """Accept so much from the grid while it runs: `start` and `stop` follow from it."""
    worth: Annotated[Price | None, Field(examples=["0.12/kWh"])] = None
    """A kilowatt-hour for it may cost so much: it also runs when sun and grid together are cheaper than this."""
    min_on: Annotated[Seconds | None, Field(examples=["10 min"])] = None
    """Once on, stay on so long (default 2 min; compressors and cars 10 min)."""
    min_off: Annotated[Seconds | None, Field(examples=["5 min"])] = None
    """Once off, stay off so long (default 2 min; compressors 10 min, cars 5 min)."""
    max_starts: Annotated[int, Field(ge=1, le=1000, examples=[12])] | None = None
    """So many starts a day at most; default: no limit (cars 12: some refuse after many pauses)."""
    compressor: Annotated[bool, Field(examples=[True])] = False
    """A heat pump, freezer or air conditioner: nothing may shorten its rest, and it rests 10 min by default."""
    settle: Annotated[Annotated[float, Unit("s", most=600)] | None, Field(examples=["20 s"])] = None
    """How long after switching the meter may still show the old power; default: as its device says."""

    rise_every: Annotated[Annotated[float, Unit("s", least=1, most=3600)] | None, Field(examples=["30 s"])] = None
    """For what can be throttled: so long between two rises; default: as its device says. Falls never wait."""
    phase_up: Annotated[Seconds | None, Field(examples=["5 min"])] = None
    """With `phases: auto`: so long there must be power enough for three phases (default 5 min)."""
    phase_down: Annotated[Seconds | None, Field(examples=["2 min"])] = None
    """With `phases: auto`: so long there must be too little power for three phases (default 2 min)."""
    phase_pause: Annotated[Seconds | None, Field(examples=["10 min"])] = None
    """With `phases: auto`: so long between two changes (default 10 min)."""
    phase_changes: Annotated[int, Field(ge=0, le=1000, examples=[10])] | None = None
    """With `phases: auto`: so many changes a day at most (default 10)."""

    between: Annotated[
        list[Between], _one_or_more(Between), Field(examples=["09:00-19:00", "sunrise + 1 h to sunset"])
    ] = Field(default_factory=list)
    """Hours in which it may run on its rules; one or a list. Default: always."""
    need: Annotated[list[Need], _one_or_more(Need), Field(examples=["6 kWh by 18:00", "4 h by sunset on sat, sun"])] = (
        Field(default_factory=list)
    )
    """What it must get whatever the weather; one or a list. Default: nothing."""
    daily_max: Annotated[Daily | None, Field(examples=["4 h", ["4 h", "6 kWh"]])] = None
    """No more than this a day by its rules: a time, an energy or both; default: no limit."""
    when: Annotated[When | None, Field(examples=["tank < 60 °C"])] = None
    """A condition on inputs that must hold for it to run by its rules; default: none."""
    battery: Annotated[BatteryKeys | None, Field(examples=[{"claim_above": "80 %"}])] = None
    """What it may take from the house battery; default: as `site.battery` says."""

    safe: Annotated[Literal["off", "on"], Field(examples=["off"])] = "off"
    """The state it is put in when the meter is silent, the grid is gone or loadctl stops."""
    shed_below: Annotated[Annotated[float, Unit("%", most=100)] | None, Field(examples=["40 %"])] = None
    """While the grid is gone: it may run on the house battery as long as that is charged above this; default: it goes
    to its `safe` state at once."""
    hand_hold: Annotated[Seconds, Field(examples=["2 h"])] = 7200.0
    """How long a change by hand is respected."""
    was: Annotated[str | None, Field(examples=["heater"])] = None
    """The former name of this appliance in this file: what is known of it moves over."""
