"""The site's time zone: as the file names it, else the computer's."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path as FilePath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from loadctl.config.findings import Findings, Path

_PLACES = ("/etc/localtime", "/etc/timezone")


def find(name: str | None, path: Path, findings: Findings) -> ZoneInfo:
    """Return the zone called `name` (None: the computer's). An unknown name is a fault, and UTC for the time being."""
    if name is None:
        name = _of_this_computer()
        if name is None:
            findings.note((), "this computer has no time zone, UTC is used; write `site: {timezone: Europe/Amsterdam}`")
    zone = _zone("UTC" if name is None else name)
    if zone is None:
        findings.fault(path, f"there is no such time zone; {_nearest(name or '')}")
    return zone or ZoneInfo("UTC")


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _of_this_computer() -> str | None:
    wanted = os.environ.get("TZ", "").removeprefix(":")
    if wanted and _zone(wanted):
        return wanted
    link, named = (FilePath(place) for place in _PLACES)
    _, found, name = str(link.resolve()).partition("zoneinfo/")
    if found and _zone(name):
        return name
    name = named.read_text("utf-8", "replace").strip() if named.is_file() else ""
    return name if name and _zone(name) else None


def _nearest(name: str) -> str:
    names = available_timezones()
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(names, reverse=True)}
    by_name = {zone.lower(): zone for zone in names}
    wanted = name.strip().lower().replace(" ", "_")
    for known in (by_name, by_city):
        if near := get_close_matches(wanted.rpartition("/")[2] if known is by_city else wanted, known, 1, 0.75):
            return f"did you mean `{known[near[0]]}`?"
    return "names read like `Europe/Amsterdam`"
