"""What meter, appliances and prices say, by the names that a condition may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from loadctl.core.values import Input, Outlook, Report, Sample

METER_W = ("grid_w", "pv_w", "load_w")  # of what the meter says, what is another at each reading


def of_load(report: Report) -> Iterator[tuple[str, float]]:
    """Yield what an actuator's report says of its load, by key: `<load>.<key>` is its name."""
    if report.on is not None:
        yield "on", float(report.on)
    if report.watts is not None or report.on is False:
        yield "power", report.watts or 0.0
    if report.connected is not None:
        yield "connected", float(report.connected)
    yield from report.inputs


def of_meter(sample: Sample | None) -> dict[str, Input]:
    """Return what the meter's reading says."""
    if sample is None:
        return {}
    values = {
        "grid_w": sample.grid_w,
        "pv_w": sample.pv_w,
        "load_w": sample.load_w,
        "battery_w": sample.battery_w,
        "soc": sample.soc_pct,
    }
    return {name: Input(value, sample.read_at, sample.max_age_s) for name, value in values.items() if value is not None}


def of_prices(outlook: Outlook, at: float) -> dict[str, Input]:
    """Return the prices of now."""
    prices = {"import_price": outlook.import_price, "export_price": outlook.export_price}
    return {name: Input(price, at, inf) for name, price in prices.items()}
