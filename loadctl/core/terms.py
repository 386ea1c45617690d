"""At what price a load runs: the surplus it asks for now, by its rule, by what a kWh is worth to it, by what its needs
will cost later.

A kWh of which the sun covers a share costs that share at the price we would have sold it for, and the rest at the price
we buy it for. Turned round, a price that is worth paying is a share of the load's power that must be covered.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from loadctl.core.appliance import least_w
from loadctl.core.rules import Load
from loadctl.core.values import Outlook, Plan


class Terms(NamedTuple):
    """Start when `start_w` is free, stop when it makes the house import more than `stop_import_w`.

    `eased`: less surplus than the rule says is enough now; `all_in`: a kWh from the grid is worth its price.
    """

    start_w: float
    stop_import_w: float
    eased: bool = False
    all_in: bool = False


def terms(load: Load, plan: Plan, outlook: Outlook) -> Terms:
    """Return what the load asks for at the prices of this moment."""
    prices = [price for price in (plan.price, load.worth) if price is not None]
    if not prices:
        return Terms(load.start_w, load.stop_import_w)
    price = max(prices)
    if plan.buy or (load.worth is not None and load.worth >= outlook.import_price):
        return Terms(-inf, inf, eased=True, all_in=True)
    if price < outlook.export_price and load.worth is not None:
        return Terms(inf, -inf)  # selling the sun earns more than it is worth here
    share = asked_share(price, outlook.import_price, outlook.export_price)
    power_w = least_w(load)
    start_w = min(load.start_w, share * power_w)
    if start_w == load.start_w:
        return Terms(load.start_w, load.stop_import_w)
    if load.keen:
        return Terms(start_w, power_w - start_w, eased=True)  # what is short is weighed: it needs no slack
    slack_w = load.start_w + load.stop_import_w - power_w
    return Terms(start_w, max(load.stop_import_w, power_w - start_w + slack_w), eased=True)


def asked_share(price: float, import_price: float, export_price: float) -> float:
    """Return the share of a load's power (0 to 1) that the sun must cover so that a kWh costs no more than `price`."""
    if import_price <= export_price:
        return 0.0 if price >= import_price else 1.0
    return min(max((import_price - price) / (import_price - export_price), 0.0), 1.0)


def price_of(share: float, import_price: float, export_price: float) -> float:
    """Return what a kWh costs of which the sun covers `share`, 0 to 1."""
    return import_price - share * (import_price - export_price)
