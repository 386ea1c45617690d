"""The keys of the house as a whole, what they mean and what may stand there. The sentences are the editors' hover help.

The keys of an appliance are in `keys_load`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from loadctl.config.keys_common import STRICT, Clock, Days, Price, Season, Watts
from loadctl.core.rules import EVERY_DAY
from loadctl.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LocationKeys:
    """Where the house stands, for sunrise and sunset. One digit after the point is exact enough."""

    latitude: Annotated[float, Field(ge=-90, le=90, examples=[52.1])]
    """Degrees north of the equator; negative in the south."""
    longitude: Annotated[float, Field(ge=-180, le=180, examples=[5.1])]
    """Degrees east of Greenwich; negative in the west."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PriceKeys:
    """A price for some hours of the day."""

    price: Annotated[Price, Field(examples=["0.18/kWh"])]
    """What a kilowatt-hour costs then."""
    start: Annotated[Clock, Field(alias="from", examples=["23:00"])]
    """From this time of day."""
    to: Annotated[Clock, Field(examples=["07:00"])]
    """To this time of day."""
    days: Annotated[Days, Field(examples=["weekend"])] = EVERY_DAY
    """On these days (those on which the hours begin); default: daily."""
    season: Annotated[Season | None, Field(examples=["oct-mar"])] = None
    """In this part of the year; default: all year."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PricesKeys:
    """A price that changes."""

    default: Annotated[Price, Field(examples=["0.30/kWh"])]
    """What a kilowatt-hour costs when nothing else is said, or the price feed is silent."""
    prices: list[PriceKeys] = Field(
        default_factory=list, examples=[[{"price": "0.18/kWh", "from": "23:00", "to": "07:00"}]]
    )
    """Prices by the hours of the day; the first that fits counts."""
    input: Annotated[str | None, Field(examples=["price_now"])] = None
    """The name of an input that tells the price of the moment; it comes before `prices`."""


def _price(value: object) -> Any:
    return value if isinstance(value, dict) else {"default": value}


Prices = Annotated[PricesKeys, BeforeValidator(_price, json_schema_input_type=Price | PricesKeys)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TariffKeys:
    """What a kilowatt-hour costs and earns, in the money of the house."""

    imports: Annotated[Prices, Field(alias="import", examples=["0.30/kWh"])] = PricesKeys(default=0.30)
    """The price of a kilowatt-hour from the grid (default 0.30/kWh)."""
    exports: Annotated[Prices, Field(alias="export", examples=["0.08/kWh"])] = PricesKeys(default=0.08)
    """What a kilowatt-hour fed into the grid earns (default 0.08/kWh); it may be negative."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class HouseBatteryKeys:
    """The house battery's place among the appliances. Without these keys it comes first: it is charged before any of
    them runs.
    """

    claim_above: Annotated[Annotated[float, Unit("%", most=99)] | None, Field(examples=["80 %"])] = None
    """Above this charge every appliance may have the power that would charge the battery; an appliance may say
    otherwise. Default: never."""
    band: Annotated[float, Unit("%", most=50), Field(examples=["3 %"])] = 3.0
    """A limit that was passed holds until the charge is so much below it."""
    after: Annotated[str | None, Field(examples=["boiler"])] = None
    """The appliance after which the battery comes: that one and all more important ones may have the charging power at
    any charge."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SiteKeys:
    """The house as a whole."""

    timezone: Annotated[str | None, Field(examples=["Europe/Amsterdam"])] = None
    """Where the house stands, for hours and deadlines; default: the time zone of this computer."""
    location: Annotated[LocationKeys | None, Field(examples=[{"latitude": 52.1, "longitude": 5.1}])] = None
    """Where it stands more exactly, for sunrise and sunset."""
    max_import: Annotated[Annotated[float, Unit("W", least=100)] | None, Field(examples=["6 kW"])] = None
    """The main fuse: above this draw from the grid appliances are switched off at once, whatever the rules say."""
    reserve: Annotated[Watts, Field(examples=["100 W"])] = 0.0
    """Power that is always left to flow to the grid, for example because the meter reads a little low."""
    tariff: Annotated[TariffKeys | None, Field(examples=[{"import": "0.30/kWh", "export": "0.08/kWh"}])] = None
    """What a kilowatt-hour costs and earns; default: 0.30/kWh and 0.08/kWh."""
    battery: Annotated[HouseBatteryKeys | None, Field(examples=[{"after": "boiler"}])] = None
    """The house battery's place among the appliances; default: it is charged before any of them runs."""
    hold: Annotated[float, Unit("s", most=600)] = 30.0
    """How long what runs may go on running when the meter falls silent; then everything goes to its `safe` state."""
    steady: Annotated[float, Unit("s", most=3600)] = 60.0
    """For how long the grid must be back after an outage before anything is switched by the rules again."""


_ARGON2 = re.compile(r"\$argon2(id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_SHORTEST_TOKEN = 16


def _hashed(value: str) -> str:
    if not _ARGON2.fullmatch(value):
        raise ValueError("the password itself must not stand here: `loadctl password` makes of it what does")
    return value


def _long(value: str) -> str:
    if not (_SHORTEST_TOKEN <= len(value) <= 200 and value.isascii() and value.isprintable() and " " not in value):
        raise ValueError(f"a token has at least {_SHORTEST_TOKEN} letters and digits, or it can be guessed")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("only the name is meant here, such as `solar.example.org`: no `https://`, no port, no path")
    return value.lower()


def _path(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("a path is meant here that begins with `/` and does not end with one, such as `/loadctl`")
    return value


def _one_or_more(value: object) -> Any:
    return [value] if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class WebKeys:
    """The page in the browser and the metrics for Prometheus."""

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` lets the whole home network in."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8480
    """The port to listen on."""
    password: Annotated[Annotated[str, AfterValidator(_hashed)] | None, Field(examples=["$argon2id$v=19$m=…"])] = None
    """What the page asks for before it changes anything, as `loadctl password` prints it."""
    token: Annotated[Annotated[str, AfterValidator(_long)] | None, Field(examples=["${LOADCTL_TOKEN}"])] = None
    """What programs show before they change anything; without one and without a password, loadctl makes one and keeps
    it in its state directory."""
    private: bool = False
    """Also who only looks must log in; default: whoever can reach the page may look."""
    hosts: Annotated[
        list[Annotated[str, AfterValidator(_host)]],
        BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
        Field(examples=["solar.example.org"]),
    ] = Field(default_factory=list)
    """Names under which browsers find the page, beside this computer's own; such as that of a reverse proxy."""
    prefix: Annotated[str, AfterValidator(_path), Field(examples=["/loadctl"])] = ""
    """The path under which a reverse proxy shows the page."""
