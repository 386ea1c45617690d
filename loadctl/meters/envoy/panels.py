"""For the page, never for control: each panel's last report and what the devices say of their state."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from loadctl.meters.envoy.pages import panels
from loadctl.meters.envoy.wire import Json, number, rows, watts

DEVICES = "/inventory.json"


def panel_reports(value: Any) -> list[Json]:
    """Read `/api/v1/production/inverters`: `serial`, `watts`, `reported_at` (epoch s, the Envoy's clock)."""
    return [
        {
            "serial": str(row.get("serialNumber", ""))[:40],
            "watts": watts(row.get("lastReportWatts")),
            "most_watts": watts(row.get("maxReportWatts")),
            "reported_at": number(row.get("lastReportDate")) or None,
        }
        for row in panels(value)
    ]


def device_reports(value: Any) -> list[Json]:
    """Read `/inventory.json`: PCU are microinverters, ACB AC Batteries, NSRB relays. `fault`: not all is normal."""
    return [
        {
            "kind": str(group.get("type", ""))[:40],
            "serial": str(device.get("serial_num", ""))[:40],
            "reported_at": number(device.get("last_rpt_date")) or number(_digits(device.get("last_rpt_date"))),
            "producing": device.get("producing") if isinstance(device.get("producing"), bool) else None,
            "status": [say(key) for key in _keys(device)],
            "advice": [advice for key in _keys(device) if (advice := _table()["advice"].get(key))],
            "fault": any(key not in _table()["not_a_fault"] for key in _keys(device)),
        }
        for group in rows(value)
        for device in rows(group.get("devices"))
    ]


def say(key: str) -> str:
    """Return the plain English of a status key; one that we don't know is shown as it came."""
    messages: dict[str, str] = _table()["messages"]
    return messages.get(key, key)


def _keys(device: Json) -> list[str]:
    status = device.get("device_status")
    return [key[:80] for key in status if isinstance(key, str)] if isinstance(status, list) else []


def _digits(value: Any) -> int | None:
    """`/inventory.json` writes its times as text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 13 else None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath("messages.json").read_text("utf-8"))
    return table
