"""The demo's day before: the same home under the same rules with other clouds, lived at once and written down as the
daemon would have, so that there is something to look back on.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loadctl.lab.course import Course, lived
from loadctl.lab.home import BASE_W, CAR_COMES_AT_S, HOT_WATER, HOUR_S, PEAK_W, kitchen
from loadctl.lab.house import Clouds, clear_sky, everyday
from loadctl.lab.scenario_file import Scenario
from loadctl.lab.trace import Moment, Trace
from loadctl.service.ledger import DecisionRow, Leaves, MinuteRow, Portion
from loadctl.service.store import write_leaves

MINUTE_S = 60.0
HOUSE = {
    "boiler": {
        "is": "tank",
        "holds": "7 kWh",
        "begins": "5 kWh",
        "draws": {f"{int(hour):02d}:{round(hour % 1 * 60):02d}": f"{wh:g} Wh" for hour, wh in HOT_WATER},
    },
    "pool_pump": {"is": "plain", "power": "1080 W"},
    "car": {"is": "car", "comes": f"{CAR_COMES_AT_S / HOUR_S:.0f}:00", "wants": "20 kWh"},
}


def write_yesterday(rules: Path, memory: Path, midnight: datetime) -> None:
    """Live the day before `midnight` (UTC, as the rules have it) under the file `rules` and add it to a memory, which
    may be in use. Raises LoadctlError for rules that cannot be used.
    """
    begin = midnight - timedelta(days=1)
    course = lived(Scenario("yesterday", rules, {"rules": rules.name, "house": HOUSE}).on(_trace(begin)))
    connection = sqlite3.connect(memory, timeout=30)
    try:
        with connection:
            write_leaves(connection, leaves(course, begin.date().isoformat()))
    finally:
        connection.close()


def main(rules: str, memory: str, midnight: str) -> None:
    """Do it in a process of its own: it takes seconds, which a daemon does not have."""
    write_yesterday(Path(rules), Path(memory), datetime.fromisoformat(midnight))


def leaves(course: Course, day: str) -> Leaves:
    """Return a course of one day as the memory keeps it."""
    totals, hours = course.totals, course.totals.seconds / 3600
    used_wh = (totals.base_wh or 0.0) + sum(part.energy_wh for part in totals.loads.values())
    flows = {"import": totals.import_wh, "export": totals.export_wh}
    flows |= {"production": totals.pv_wh or 0.0, "consumption": used_wh}
    energy = {(day, kind, ""): Portion(wh, hours * 3600) for kind, wh in flows.items()}
    for name, part in totals.loads.items():
        energy[day, "load", name] = Portion(part.energy_wh, part.on_s, part.starts)
        energy[day, "sun", name] = Portion(part.sun_wh)
    decisions = tuple(
        DecisionRow(round(one.time * 1000), one.load, one.verdict, one.state, one.command_w, *(None,) * 4, one.sentence)
        for one in course.decided
    )
    return Leaves(minutes=tuple(_minutes(course)), decisions=decisions, energy=energy)


def _minutes(course: Course) -> list[MinuteRow]:
    minutes, rows = course.minutes, []
    for index, at in enumerate(minutes.time):
        draws = {name: draw[index] for name, draw in zip(minutes.loads, minutes.draws, strict=True)}
        load_w = minutes.base_w[index] + sum(draws.values())
        means = (minutes.pv_w[index], load_w, minutes.grid_w[index], None, None, None)
        loads = tuple((name, watts / 60, MINUTE_S) for name, watts in draws.items() if watts > 0)
        rows.append(MinuteRow(int(at // 60), MINUTE_S, means, loads))
    return rows


def _trace(begin: datetime) -> Trace:
    sky, clouds, base = clear_sky(PEAK_W), Clouds(seed=44), everyday(BASE_W, kitchen())
    zero = begin.timestamp()
    moments = tuple(
        Moment(zero + at_s, sky(at_s) * clouds.share(at_s), base(at_s), MINUTE_S)
        for at_s in (minute * MINUTE_S for minute in range(1440))
    )
    return Trace("yesterday", UTC, moments)


if __name__ == "__main__":
    main(*sys.argv[1:])
