"""`loadctl status`: the house at one look, as the daemon has it now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from loadctl.cli.asking import API, Whom, client, look, name, whom

if TYPE_CHECKING:
    from rich.console import RenderableType

COLOURS = {"on": "green", "starting": "yellow", "stopping": "yellow", "fault": "red", "off": "dim"}
SEVERITIES = {"danger": "bold red", "warning": "yellow", "note": "dim"}
AGAIN_S = 3.0

State = dict[str, Any]


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="For programs, as the API has it; with --watch a line per change."
)
@whom
def status(*, watch: bool, as_json: bool, **daemon: Any) -> None:
    """Show sun, house, grid and every load: what it does, why, and until when at least.

    The exit code is 2 if no loadctl runs.
    """
    asked = Whom(**daemon)
    state = look(asked, "/state")
    if not watch:
        _print(state, as_json=as_json)
        return
    if as_json:
        for state in changes(asked):
            click.echo(json.dumps(state, ensure_ascii=False))
        return
    from rich.live import Live

    with Live(picture(state), auto_refresh=False, screen=False) as live:
        for state in changes(asked):
            live.update(picture(state), refresh=True)


def changes(daemon: Whom) -> Iterator[State]:
    """Yield the state at each change, also after the line broke; raises LoadctlError if it does not come back."""
    import httpx

    from loadctl.errors import LoadctlError

    last = ""
    headers: dict[str, str] = {}
    while True:
        try:
            with (
                client(daemon, heartbeat=True) as line,
                line.stream("GET", f"{API[1:]}/events", headers=headers) as told,
            ):
                if told.status_code != 200:
                    raise LoadctlError(f"{name(daemon)}: does not tell what changes (HTTP {told.status_code})")
                for part in told.iter_lines():
                    field, _, value = part.partition(": ")
                    if field == "id":
                        last = value
                    elif field == "data":
                        headers = {"last-event-id": last}
                        yield json.loads(value)
        except httpx.HTTPError:
            time.sleep(AGAIN_S)
            look(daemon, "/session")


def _print(state: State, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(state, ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    Console().print(picture(state))


def picture(state: State) -> RenderableType:
    """Draw the state."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim")
    for title in ("load", "state", "power", "why", "earliest change", "today"):
        table.add_column(title, justify="right" if title in ("power", "earliest change", "today") else "left")
    for load in state["loads"]:
        reason = load["sentence"] + ("" if load["second"] is None else f"\nthen: {load['second']}")
        state_ = Text(load["state"], style=COLOURS.get(load["state"], ""))
        # What is told is text, never markup: a bracket in it stays one.
        cells = (_watts(load["power_w"]), reason, _countdown(load["next_change_s"]), _had(load))
        table.add_row(Text(load["name"]), state_, *map(Text, cells))
    troubles = [
        Text(
            f"{'' if trouble['load'] is None else trouble['load'] + ': '}{trouble['text']}",
            SEVERITIES[trouble["severity"]],
        )
        for trouble in state["troubles"]
    ]
    return Group(*troubles, Text(_house(state), style="bold"), Text(_day(state), style="dim"), table)


def _house(state: State) -> str:
    power = state["power"]
    known = [
        f"{word} {_watts(abs(power[key]))}"
        for word, key in (
            ("sun", "pv_w"),
            ("house", "load_w"),
            ("imports" if (power["grid_w"] or 0) > 0 else "exports", "grid_w"),
            ("battery gives" if (power["battery_w"] or 0) > 0 else "battery takes", "battery_w"),
            ("free", "surplus_w"),
        )
        if power[key] is not None
    ]
    if power["soc_pct"] is not None:
        known.append(f"battery {power['soc_pct']:.0f} %")
    away = "  away" if state["away"]["on"] else ""
    return f"{state['at'][11:19]}  {'  '.join(known) or 'no reading'}{away}{'  (dry run)' if state['dry_run'] else ''}"


def _day(state: State) -> str:
    today = state["today"]
    words = (("sun", "production_wh"), ("used", "consumption_wh"), ("bought", "import_wh"), ("sold", "export_wh"))
    parts = [f"{word} {today[key] / 1000:.1f} kWh" for word, key in words if today[key] is not None]
    if today["self_consumption"] is not None:
        parts.append(f"{today['self_consumption']:.0%} of the sun used here")
    if today["saved"] is not None:
        parts.append(f"saved {today['saved']:.2f}")
    return f"today: {', '.join(parts) or 'nothing is known yet'}"


def _watts(power_w: float | None) -> str:
    from loadctl.units import watts

    return "?" if power_w is None else watts(power_w)


def _countdown(seconds: float | None) -> str:
    from loadctl.units import span

    return "" if seconds is None else span(seconds)


def _had(load: State) -> str:
    today = load["today"]
    starts = f"{today['starts']} start{'' if today['starts'] == 1 else 's'}"
    return f"{today['energy_wh'] / 1000:.2f} kWh, {starts}"
