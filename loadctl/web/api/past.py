"""What was: means for charts, decisions, totals by day and month, and why a load did what it did at a moment.

The memory's file is read in a thread, a few questions at a time, each within bounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loadctl.service.charts import MINUTES, Period, Resolution, Sums, columns, finest, totals
from loadctl.service.history import History, Unreadable
from loadctl.service.past import look_back
from loadctl.web.api.desk import Desk, query
from loadctl.web.api.now import one
from loadctl.web.api.problems import Problem
from loadctl.web.api.state import self_consumption
from loadctl.web.api.wishes import load_name

T = TypeVar("T")

LIMIT_S = 5.0
MOST_DECISIONS = 5000
USUAL_DECISIONS = 500
HOUSE = ("production", "consumption", "import", "export", "charge", "discharge")


async def history(desk: Desk, request: Request) -> Response:
    """Answer with columns of means, gaps as nulls."""
    asked = query(request, "from", "to", "resolution")
    begin, end = _span(desk, asked, timedelta(days=1))
    word = asked.get("resolution", "auto")
    if word != "auto" and word not in MINUTES:
        raise Problem(422, f"`resolution` is one of auto, {', '.join(MINUTES)}")
    resolution = finest(begin, end) if word == "auto" else cast("Resolution", word)
    names = [rule.name for rule in desk.daemon.house.site.loads]
    found = await _read(desk, partial(columns, begin=begin, end=end, resolution=resolution, loads=names))
    return JSONResponse({"resolution": found.resolution, "time": found.time, **found.house, "loads": dict(found.loads)})


async def decisions(desk: Desk, request: Request) -> Response:
    """Answer with what was decided, oldest first; of too many the latest."""
    asked = query(request, "from", "to", "load", "limit")
    begin, end = _span(desk, asked, timedelta(days=1))
    most = _number(asked.get("limit"), USUAL_DECISIONS)
    found = await _read(desk, partial(History.latest, begin=begin, end=end, load=asked.get("load"), most=most))
    told = [
        {
            "time": each.time.isoformat(timespec="seconds"),
            "load": each.row.load,
            "verdict": each.row.verdict,
            "state": each.row.phase,
            "sentence": each.row.sentence,
            "command_w": each.row.command_w,
        }
        for each in found
    ]
    return JSONResponse({"decisions": told})


async def sums(desk: Desk, request: Request) -> Response:
    """Answer with energy and money by day or month."""
    asked = query(request, "by", "from", "to")
    by = asked.get("by", "day")
    if by not in ("day", "month"):
        raise Problem(422, "`by` is day or month")
    last = _day("to", asked.get("to"), _now(desk).date())
    first = _day("from", asked.get("from"), last - timedelta(days=30 if by == "day" else 365))
    tariff = desk.daemon.house.tariff
    found = await _read(desk, partial(totals, by=cast("Period", by), first=first, last=last, tariff=tariff))
    return JSONResponse({"by": by, "rows": [_row(each) for each in found]})


async def explained(desk: Desk, request: Request) -> Response:
    """Answer why a load is on or off, or was at a moment."""
    asked, name = query(request, "at"), load_name(desk, request)
    if "at" not in asked:
        found, power = one(desk, name), desk.live.state["power"]
        keys = ("state", "since", "verdict", "sentence", "second", "next_change_at")
        numbers = power | {"power_w": found["power_w"], "target_w": found["target_w"]}
        return JSONResponse(
            {"at": desk.live.state["at"], "name": name, **{key: found[key] for key in keys}, "numbers": numbers}
        )
    at, now = _moment(desk, "at", asked["at"]), _now(desk)
    if at > now:
        raise Problem(422, "`at` is yet to come")
    return JSONResponse(await _read(desk, partial(_then, name=name, at=at, now=now)))


def _then(history: History, name: str, at: datetime, now: datetime) -> dict[str, Any]:
    past = look_back(history, at.astimezone(history.zone), now)
    then = next((each for each in past.loads if each.load == name), None)
    minute = past.minute
    means = ("pv_w", "load_w", "grid_w", "battery_w", "soc_pct", "surplus_w")
    numbers: dict[str, float | None] = {key: None if minute is None else getattr(minute, key) for key in means}
    known = minute is not None and past.gap is None
    numbers["power_w"] = minute.loads.get(name, (0.0, 0.0))[0] if minute is not None and known else None
    row = None if then is None else then.latest.row
    numbers["spare_w"] = None if row is None else row.spare_w
    return {
        "at": past.at.isoformat(timespec="seconds"),
        "name": name,
        "state": None if then is None else then.state,
        "since": None if then is None else then.began.time.isoformat(timespec="seconds"),
        "verdict": None if row is None else row.verdict,
        "sentence": "nothing is written down of it by then" if row is None else row.sentence,
        "second": past.gap,
        "next_change_at": None,
        "numbers": numbers,
    }


def _row(found: Sums) -> dict[str, Any]:
    house: dict[str, float | None] = {
        f"{kind}_wh": round(found.house[kind].wh, 1) if kind in found.house else None for kind in HOUSE
    }
    loads = {}
    for name, had in found.loads.items():
        sun_wh = min(had.wh, found.sun[name].wh) if name in found.sun else 0.0
        loads[name] = {
            "energy_wh": round(had.wh, 1),
            "sun_wh": round(sun_wh, 1),
            "grid_wh": round(had.wh - sun_wh, 1),
            "starts": had.starts,
            "runtime_s": round(had.seconds),
        }
    share = self_consumption(house["production_wh"], house["export_wh"])
    return {
        "period": found.period,
        **house,
        "self_consumption": share,
        "saved": found.saved,
        "paid": found.paid,
        "loads": loads,
    }


async def _read(desk: Desk, question: Callable[[History], T]) -> T:
    """Ask the memory's file in a thread. Raises Problem where there is none, or it takes too long."""
    memory = desk.daemon.memory
    if memory is None:
        raise Problem(503, "no history is kept here: this is a rehearsal")

    def answer() -> T:
        with History(memory.path) as history:
            history.limit(LIMIT_S)
            return question(history)

    try:
        async with asyncio.timeout(2 * LIMIT_S), desk.reading:
            return await desk.beside(answer)
    except TimeoutError as error:
        raise Problem(503, "too many ask for the history: try again in a moment", headers=_LATER) from error
    except Unreadable as error:
        raise Problem(503, str(error), headers=_LATER) from error


_LATER = {"retry-after": "5"}


def _now(desk: Desk) -> datetime:
    return desk.daemon.clock.wall().astimezone(desk.daemon.house.zone)


def _span(desk: Desk, asked: dict[str, str], usual: timedelta) -> tuple[datetime, datetime]:
    """Return from when to when: by default the last day until now. Raises Problem."""
    end = _moment(desk, "to", asked["to"]) if "to" in asked else _now(desk)
    begin = _moment(desk, "from", asked["from"]) if "from" in asked else end - usual
    if begin >= end:
        raise Problem(422, "`from` must be before `to`")
    return begin, end


def _moment(desk: Desk, name: str, text: str) -> datetime:
    """Read ISO 8601; without an offset it is the site's time. A `+` may have become a space on its way here."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=desk.daemon.house.zone)
        if 1971 <= moment.year <= 2200:
            return moment
    except ValueError:
        pass
    raise Problem(422, f"`{name}` is a moment such as 2025-06-21T14:00:00+02:00")


def _day(name: str, text: str | None, usual: date) -> date:
    if text is None:
        return usual
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Problem(422, f"`{name}` is a day such as 2025-06-21") from error
    if not 1971 <= day.year <= 2200:
        raise Problem(422, f"`{name}` is a day such as 2025-06-21")
    return day


def _number(text: str | None, usual: int) -> int:
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MOST_DECISIONS and len(text) < 6):
        raise Problem(422, f"`limit` is a whole number from 1 to {MOST_DECISIONS}")
    return int(text)
