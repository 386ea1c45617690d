"""`loadctl explain`: why each load is on or off, as the daemon has it now or as the memory has it of a moment."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadctl.cli.asking import Whom, folder_of, look, whom
from loadctl.cli.words import read_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from loadctl.service.past import Past, Then


@click.command()
@click.argument("name", required=False)
@click.option("--at", "at", metavar="TIME", help="Such as 14:00, 'yesterday 14:00' or '2025-06-01 14:30'.")
@click.option("--json", "as_json", is_flag=True, help="For programs: power in W, times in s; null is unknown.")
@whom
def explain(name: str | None, *, at: str | None, as_json: bool, **daemon: Any) -> None:
    """Say why load NAME, or each, is on or off.

    Without --at the running loadctl is asked; with it the history, also while none runs. The exit code is 2 if nobody
    can tell.
    """
    from loadctl.service.hands import pick
    from loadctl.service.memory import FILE

    asked = Whom(**daemon)
    if at is not None:
        told, lines = _then(folder_of(asked) / FILE, at)
    else:
        told = _shown(look(asked, "/state"))
        lines = [_now(load, datetime.fromisoformat(told["at"])) for load in told["loads"]]
    if name is not None:
        index = pick([load["name"] for load in told["loads"]], name)
        told["loads"], lines = [told["loads"][index]], [lines[index]]
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    if at is not None:
        click.echo(_house(told))
    click.echo("\n".join(lines))


def _shown(state: dict[str, Any]) -> dict[str, Any]:
    """Return what this command tells of the state. Raises LoadctlError before anything is decided."""
    from loadctl.errors import LoadctlError

    if state["meter"]["state"] == "waiting" and not state["loads"]:
        raise LoadctlError("nothing is decided yet: ask again in a moment")
    loads = [
        {
            "name": load["name"],
            "phase": load["state"],
            "verdict": load["verdict"],
            "since": load["since"],
            "why": load["sentence"],
            "second": load["second"],
            "next_change_s": load["next_change_s"],
            "draws_w": load["power_w"],
            "holder": load["held_by"],
        }
        for load in state["loads"]
    ]
    power = {name: state["power"][name] for name in ("grid_w", "pv_w", "surplus_w")}
    return {"at": state["at"], "blind": state["meter"]["state"] != "ok", **power, "loads": loads}


def _now(load: dict[str, Any], now: datetime) -> str:
    from loadctl.units import span, watts

    since = _moment_in_words(datetime.fromisoformat(load["since"]), now)
    power = f", {watts(load['draws_w'])}" if load["draws_w"] else ""
    change = "" if not load["next_change_s"] else f"; could change in {span(load['next_change_s'])}"
    second = "" if load["second"] is None else f"\n  then: {load['second']}"
    return f"{load['name']}: {load['phase']} since {since}{power}{change}\n  {load['why']}{second}"


def _then(path: Path, text: str) -> tuple[dict[str, Any], list[str]]:
    from loadctl.service.history import History
    from loadctl.service.past import look_back

    with History(path) as history:
        now = datetime.now(history.zone)
        at = _read_moment(text, history.zone, now)
        past = look_back(history, at, now)
    minute = past.minute
    means = ("pv_w", "load_w", "grid_w", "battery_w", "soc_pct", "surplus_w")
    told = {
        "at": at.isoformat(timespec="seconds"),
        "gap": past.gap,
        **{mean: None if minute is None else getattr(minute, mean) for mean in means},
        "loads": [_facts(then, past) for then in past.loads],
    }
    return told, [_words(then, past) for then in past.loads]


def _facts(then: Then, past: Past) -> dict[str, Any]:
    drawn = past.minute.loads.get(then.load, (0.0, 0.0)) if past.minute is not None and past.gap is None else None
    return {
        "name": then.load,
        "state": then.state,
        "since": then.began.time.isoformat(timespec="seconds"),
        "because": then.began.row.sentence,
        "verdict": then.latest.row.verdict,
        "why": then.latest.row.sentence,
        "noted": then.latest.time.isoformat(timespec="seconds"),
        "spare_w": then.latest.row.spare_w,
        "draws_w": None if drawn is None else drawn[0],
    }


def _words(then: Then, past: Past) -> str:
    from loadctl.units import watts

    drawn = past.minute.loads.get(then.load) if past.minute is not None else None
    power = "" if drawn is None else f", {watts(drawn[0])}"
    known = "" if past.gap is None else "last known "
    state = f"{then.load}: {known}{then.state} since {_moment_in_words(then.began.time, past.at)}{power}"
    noted = dict.fromkeys((then.began, then.latest))
    return "\n".join([state, *(f"  {_moment_in_words(each.time, past.at)}  {each.row.sentence}" for each in noted)])


def _house(told: dict[str, Any]) -> str:
    """The moment, and what the house did: the means of its minute."""
    from loadctl.units import watts

    when = f"{datetime.fromisoformat(told['at']):%a %d %b %Y %H:%M}"
    if told["gap"] is not None:
        return f"{when}: {told['gap']}"
    named = (
        ("sun", "pv_w"),
        ("house", "load_w"),
        ("grid", "grid_w"),
        ("battery", "battery_w"),
        ("surplus", "surplus_w"),
    )
    known = [f"{word} {watts(told[key])}" for word, key in named if told[key] is not None]
    return f"{when}: {', '.join(known)} (means of the minute)"


def _moment_in_words(moment: datetime, at: datetime) -> str:
    if moment.date() == at.date():
        return f"{moment:%H:%M}"
    return f"{moment:%a %H:%M}" if abs(at - moment) < timedelta(days=6) else f"{moment:%d %b %Y %H:%M}"


def _read_moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Read a time that is past. Raises click.UsageError."""
    at = read_time(text, zone, "--at")
    if at > now:
        raise click.UsageError(f"--at {text}: that is yet to come; 'yesterday {at:%H:%M}' is past")
    return at
