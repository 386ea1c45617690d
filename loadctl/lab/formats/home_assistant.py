"""What Home Assistant's history page downloads: `entity_id`, `state`, `last_changed`, a line for each change.

https://www.home-assistant.io/integrations/history/, https://github.com/home-assistant/frontend/pull/19428: the file has
no units and holds one entity after the other; what is older than the recorder keeps is in it by the hour. Which entity
is which is said by the owner (`pv=sensor.roof`, `grid=-sensor.meter`, `load=sensor.house:kW`) or guessed by name, and a
series of small broken numbers is taken for kW. A value holds until the next one, for an hour at most if the whole house
is silent; `unavailable` and `unknown` are not known.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from itertools import groupby
from math import isfinite
from pathlib import Path

from loadctl.errors import LoadctlError
from loadctl.lab.formats.table import NOTHING, WORDS, Entities, Row, Source, cell, column, house_w, lines, moment, sun_w

HEADER = ("entity_id", "state", "last_changed")
ROLES = ("pv", "load", "grid", "import", "export", "battery", "soc", "own")
SILENT_S = 3600.0
MOST_KW = 50.0  # a house's watts are soon above that
KW = frozenset({"pv", "load", "grid", "import", "export", "battery", "own"})
# What people and integrations call them. Energy counters are no power, and a forecast is none yet.
GUESSES = {
    "soc": re.compile(r"soc|state_of_charge|battery_(level|charge|percent)"),
    "battery": re.compile(r"batter\w*(power|_w$)|power\w*batter"),
    "import": re.compile(r"import|from_grid|grid_consumption"),
    "export": re.compile(r"export|to_grid|feed_?in|grid_(return|production)"),
    "pv": re.compile(r"solar|pv|photovoltaic|inverter|production"),
    "grid": re.compile(r"grid|mains|net_(power|consumption)|smart_?meter"),
    "load": re.compile(r"house|home|consumption|load"),
}
NO_POWER = re.compile(r"energy|kwh|today|daily|yield|forecast|voltage|current|frequency|_va$|price|cost|temp")


@dataclass(frozen=True, slots=True)
class Series:
    """One entity: what it is, and what its numbers are multiplied with to be ours."""

    role: str
    entity: str
    times: float = 1.0


def is_mine(header: Sequence[str]) -> bool:
    """Tell by the names of the columns."""
    return set(HEADER) <= set(header)


def opened(path: Path, zone: tzinfo, entities: Entities) -> Source:
    """Find out which entity is which. Raises LoadctlError that names the candidates."""
    units, most, broken = _look(path)
    series, notes = [], []
    for role, entity in entities:
        series.append(_said(path, role, entity, list(most)))
    found = [one.entity for one in series]
    for role, entity in _guessed(path, {one.role for one in series}, [each for each in most if each not in found]):
        series.append(Series(role, entity))
        notes.append(f"{path.name}: `{entity}` is taken as {role}; say {role}=… with --entity if it is not")
    _complete(path, {one.role for one in series}, list(most))
    scaled = []
    for one in series:
        bare, _, said = one.entity.partition(":")
        unit = said or units.get(bare, "")
        times = 1000.0 if unit == "kW" else 1.0
        if not unit and one.role in KW and bare in broken and most[bare] < MOST_KW:
            times = 1000.0
            notes.append(
                f"{path.name}: `{bare}` is taken as kW, it never passes {MOST_KW:.0f}; else say {one.role}={bare}:W"
            )
        scaled.append(Series(one.role, bare, times * one.times))
    return Source(partial(rows, path, zone, tuple(scaled)), SILENT_S, tuple(notes))


def rows(path: Path, zone: tzinfo, series: Sequence[Series]) -> Iterator[Row]:
    """Yield what is known after each second in which anything changed."""
    changes = heapq.merge(*(_changes(path, zone, index, one) for index, one in enumerate(series)))
    now: list[float | None] = [None] * len(series)
    for second, group in groupby(changes, key=lambda change: change[0]):
        for _, index, value in group:
            now[index] = None if value is None else value * series[index].times
        yield _row(second, {one.role: now[index] for index, one in enumerate(series)}, _own_w(series, now), path)


def _row(second: float, now: Mapping[str, float | None], own_w: float | None, path: Path) -> Row:
    grid_w = now.get("grid")
    if "grid" not in now and "import" in now:
        bought_w, sold_w = now["import"], now.get("export", 0.0)
        grid_w = None if bought_w is None or sold_w is None else bought_w - sold_w
    pv_w, base_w = sun_w(now.get("pv"), str(path), ", as in --entity pv=-sensor.…"), None
    if own_w is not None and "pv" in now:
        base_w = house_w(now.get("load"), grid_w, pv_w, now.get("battery"), own_w)
    elif own_w is not None:
        base_w = house_w(None, grid_w, 0.0, now.get("battery"), own_w)
    inputs = {role: value for role, value in now.items() if role not in ROLES and value is not None}
    return Row(second, pv_w, base_w, now.get("battery"), now.get("soc"), inputs or NOTHING)


def _own_w(series: Sequence[Series], now: Sequence[float | None]) -> float | None:
    draws = [value for one, value in zip(series, now, strict=True) if one.role == "own"]
    return None if any(value is None for value in draws) else sum(value or 0.0 for value in draws)


def _changes(path: Path, zone: tzinfo, index: int, one: Series) -> Iterator[tuple[float, int, float | None]]:
    """Yield the changes of one entity, by the second; None sorts nowhere, so a second has one change of each."""
    with lines(path) as reader:
        header = next(reader)
        entity_at, state_at, when_at = (header.index(name) for name in HEADER)
        last: tuple[float, float | None] | None = None
        for cells in reader:
            if cell(cells, entity_at) != one.entity:
                continue
            where = f"{path}:{reader.line_num}"
            second = moment(cell(cells, when_at), zone, where) // 1
            if last is not None and second < last[0]:
                raise LoadctlError(f"{where}: the times of `{one.entity}` run backwards: download the history anew")
            if last is not None and second > last[0]:
                yield last[0], index, last[1]
            last = second, _number(cell(cells, state_at))
        if last is not None:
            yield last[0], index, last[1]


def _number(text: str) -> float | None:
    said = WORDS.get(text.lower())
    if said is not None:
        return said
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _look(path: Path) -> tuple[dict[str, str], dict[str, float], set[str]]:
    """Return the unit of each entity where the file has it, its greatest number, and those that are not whole."""
    units: dict[str, str] = {}
    most: dict[str, float] = {}
    broken: set[str] = set()
    with lines(path) as reader:
        header = next(reader)
        entity_at, state_at = header.index("entity_id"), header.index("state")
        unit_at = column(header, "unit_of_measurement")
        for cells in reader:
            name, value = cell(cells, entity_at), _number(cell(cells, state_at))
            if value is None:
                continue
            most[name] = max(most.get(name, 0.0), abs(value))
            if value % 1:
                broken.add(name)
            if unit := cell(cells, unit_at):
                units[name] = unit
    if not most:
        raise LoadctlError(f"{path}: no entity in it has a number: download the history of power sensors")
    return units, most, broken


def _said(path: Path, role: str, entity: str, known: Sequence[str]) -> Series:
    bare = entity.removeprefix("-")
    name, _, unit = bare.partition(":")
    if name not in known:
        raise LoadctlError(f"{path}: there is no entity `{name[:60]}` in it, but {_listed(known)}")
    if unit not in {"", "W", "kW"}:
        raise LoadctlError(f"{path}: `{unit[:20]}` is no unit of power: write {role}={name}:kW or {role}={name}:W")
    return Series(role, bare, -1.0 if entity != bare else 1.0)


def _guessed(path: Path, said: set[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what can be told by the names alone of what nobody said."""
    left = [name for name in known if not NO_POWER.search(name.partition(".")[2])]
    for role, pattern in GUESSES.items():
        if role in said:
            continue
        found = [name for name in left if pattern.search(name.partition(".")[2].lower())]
        left = [name for name in left if name not in found]
        if len(found) > 1:
            raise LoadctlError(
                f"{path}: more than one entity could be {role}: {_listed(found)}: say which with --entity {role}=…"
            )
        if found:
            yield role, found[0]


def _complete(path: Path, roles: set[str], known: Sequence[str]) -> None:
    if roles & {"grid", "import"} or {"pv", "load"} <= roles:
        return
    lacks = "load (or grid)" if "pv" in roles else "pv and load (or grid)"
    raise LoadctlError(
        f"{path}: cannot tell which entity is {lacks}: say it with --entity, such as --entity grid=sensor.…;"
        f" there are {_listed(known)}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(f"`{name}`" for name in names[:12]) + more
