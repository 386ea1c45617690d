"""Who comes first, on each day of the year, and what goes with it: the battery's place, who shares with whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import count

from loadctl.config import dates
from loadctl.config.house import MonthDay
from loadctl.config.keys import HouseBatteryKeys
from loadctl.config.loads import battery_of
from loadctl.config.scene import Rule
from loadctl.core.calendar import in_season

LAST = 1_000_000

Order = tuple[Rule, ...]  # the most important first


def orders(rules: Sequence[Rule], battery: HouseBatteryKeys | None) -> dict[MonthDay, Order]:
    """Return the appliances in the order of each day of the year; orders that are equal are one object.

    `rules`: in the order of the file. Where no priority has a season, all days are the first of January.
    """
    seasonal = any(season for rule in rules for _, season in rule.keys.priority or ())
    made: dict[tuple[str, ...], Order] = {}
    found = {}
    for day in dates.A_YEAR if seasonal else dates.A_YEAR[:1]:
        ranked = sorted(rules, key=partial(_rank, day))  # sorted() keeps the order of the file
        names = tuple(rule.load.name for rule in ranked)
        if names not in made:
            made[names] = _placed(ranked, battery)
        on = date.fromordinal(day)
        found[on.month, on.day] = made[names]
    return found


def _rank(day: int, rule: Rule) -> int:
    ranks = rule.keys.priority or ()
    return next((rank for rank, season in ranks if season is None or in_season(season, day)), LAST)


def _placed(rules: Sequence[Rule], house: HouseBatteryKeys | None) -> Order:
    names = [rule.load.name for rule in rules]
    last = names.index(house.after) if house and house.after in names else -1
    numbers, row, found = count(1), None, []
    for index, rule in enumerate(rules):
        row = (row or next(numbers)) if rule.keys.share else None
        battery = battery_of(rule.keys.battery, house, before_the_battery=index <= last)
        found.append(replace(rule, load=replace(rule.load, battery=battery, share=row)))
    return tuple(found)
