"""What the keys of the rule file have in common: quantities, texts, hours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic.dataclasses import dataclass

from loadctl.config import dates, words
from loadctl.core.rules import EVERY_DAY
from loadctl.core.rules import Clock as CoreClock
from loadctl.core.rules import Season as CoreSeason
from loadctl.units import Unit

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, strict=False)

Watts = Annotated[float, Unit("W")]
Seconds = Annotated[float, Unit("s", most=7 * 86400)]
Price = Annotated[float, Unit("/kWh", least=-10, most=100)]


def text(pattern: str, *examples: str) -> Any:
    """Return a text that editors complete with `examples`."""
    return Annotated[str, Field(pattern=pattern, examples=list(examples))]


Clock = Annotated[
    CoreClock,
    PlainValidator(
        dates.clock, json_schema_input_type=text(f"^{dates.CLOCK_PATTERN}$", "18:00", "sunset - 30 min", "sunrise")
    ),
]
_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekdays", "weekend", "daily"]
Days = Annotated[
    frozenset[int],
    BeforeValidator(
        dates.days,
        json_schema_input_type=text(f"^{dates.DAYS_PATTERN}$", "weekend", "mon-fri") | list[_Day],
    ),
]
Season = Annotated[
    CoreSeason,
    PlainValidator(
        dates.season, json_schema_input_type=text(f"^{dates.SEASON_PATTERN}$", "may-sep", "15 oct - 31 mar")
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class BetweenKeys:
    """Hours of the day, on some days of the week, in some part of the year; they may cross midnight."""

    start: Annotated[Clock, Field(alias="from")]
    """From this time of day, by the clock or by the sun."""
    to: Clock
    """To this time of day."""
    days: Days = EVERY_DAY
    """On these days (those on which the hours begin); default: daily."""
    season: Season | None = None
    """In this part of the year; default: all year."""


Between = Annotated[
    BetweenKeys,
    BeforeValidator(
        words.between,
        json_schema_input_type=text(dates.BETWEEN_PATTERN, "09:00-19:00", "sunrise + 1 h to sunset") | BetweenKeys,
    ),
]
