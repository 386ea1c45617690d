"""The demo: the real daemon at many times real speed against an emulated home, and a table that shows it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loadctl.config import load as read_rules
from loadctl.core.appliance import had_today, own_w
from loadctl.core.rules import Site
from loadctl.core.values import ON, STOPPING, Outcome, Tick, Verdict
from loadctl.drivers import Shared
from loadctl.lab import yesterday
from loadctl.lab.home import STARTS_AT_S, Home, ScaledClock, open_home
from loadctl.service.daemon import Daemon
from loadctl.service.memory import FILE, Inline, Memory
from loadctl.service.metrics import Metrics
from loadctl.telling.explain import explain
from loadctl.units import span, watts
from loadctl.web.app import application, serve

KEPT = 8  # decisions shown
_COLOURS = {"on": "green", "starting": "yellow", "stopping": "yellow", "fault": "red", "off": "dim"}


@dataclass(slots=True)
class Watcher:
    """An observer of the daemon that keeps what a screen wants to show."""

    site: Site
    console: Console
    printing: bool
    tick: Tick | None = None
    outcome: Outcome | None = None
    decisions: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    ticks: int = 0

    def __call__(self, tick: Tick, outcome: Outcome) -> None:
        before = self.outcome.verdicts if self.outcome else (None,) * len(outcome.verdicts)
        self.tick, self.outcome = tick, outcome
        self.ticks += 1
        told = {command.load for command in outcome.commands}
        for index, (old, new) in enumerate(zip(before, outcome.verdicts, strict=True)):
            adjusted = self.site.loads[index].follow is not None and self.site.loads[index].name in told
            if (old is new and not adjusted) or new in (Verdict.BUSY, Verdict.SETTLING):
                continue
            name = self.site.loads[index].name
            line = f"{tick.wall:%H:%M:%S}  {name:<10} {new:<9} {explain(self.site, outcome, tick, index).sentence}"
            self.decisions.append(line)
            if self.printing:
                self.console.print(line, highlight=False, soft_wrap=True)

    def rows(self) -> Iterator[tuple[str, str, str, str, str, str, str]]:
        """Yield name, phase, power, reason, countdown, energy and starts of today for each load."""
        if self.tick is None or self.outcome is None:
            return
        for index, load in enumerate(self.site.loads):
            standing = self.outcome.state.standings[index]
            said = explain(self.site, self.outcome, self.tick, index)
            had = had_today(load, standing, self.tick.at)
            draws_w = own_w(load, standing) if standing.phase in (ON, STOPPING) else 0.0
            countdown = "" if said.next_change_s is None else span(said.next_change_s)
            energy, starts = f"{had.energy_wh / 1000:.2f} kWh", str(had.starts)
            yield load.name, standing.phase, watts(draws_w), said.sentence, countdown, energy, starts


def picture(watcher: Watcher, home: Home, speed: float, page: str) -> Group:
    """Draw the home as it is now."""
    table = Table(expand=True)
    for title in ("load", "state", "power", "why", "earliest change", "today", "starts"):
        table.add_column(title, justify="right" if title in ("power", "earliest change", "today", "starts") else "left")
    for name, phase, power, why, countdown, energy, starts in watcher.rows():
        table.add_row(name, Text(phase, style=_COLOURS.get(phase, "")), power, why, countdown, energy, starts)
    lines = Text("\n".join(watcher.decisions) or "…", no_wrap=True, overflow="ellipsis")
    foot = Text(f"the page: {page}    Ctrl-C ends it: every load goes to its safe state", style="dim")
    return Group(
        Panel(_flow(watcher, home), title=f"an emulated home, {speed:g} times real speed"),
        table,
        Panel(lines, title="decisions", title_align="left"),
        foot,
    )


def _flow(watcher: Watcher, home: Home) -> Text:
    if watcher.tick is None or watcher.outcome is None:
        return Text("waiting for the first reading")
    sample, surplus_w = watcher.tick.sample, watcher.outcome.surplus_w
    seen = "meter blind"
    if sample is not None and sample.grid_w is not None:
        way = "exports" if sample.grid_w < 0 else "imports"
        seen = f"{way} {watts(abs(sample.grid_w))}"
    surplus = "unknown" if surplus_w is None else watts(surplus_w)
    text = f"{watcher.tick.wall:%H:%M:%S}   sun {watts(home.house.pv_w)}   house {watts(home.house.base_w)} + loads   "
    return Text(f"{text}{seen}   surplus {surplus}")


def summary(watcher: Watcher, home: Home, unconfirmed: dict[str, str], real_s: float) -> list[str]:
    """Tell in a few lines what the demo did."""
    house = home.house
    used_wh = house.pv_wh - house.export_wh
    share = 100 * used_wh / house.pv_wh if house.pv_wh else 0.0
    lived = span(house.at_s - STARTS_AT_S)
    lines = [
        f"{lived} of the home's day in {real_s:.0f} s, {watcher.ticks} ticks",
        f"sun {house.pv_wh / 1000:.2f} kWh, used at home {share:.0f} %",
        f"imported {house.import_wh / 1000:.2f} kWh, exported {house.export_wh / 1000:.2f} kWh",
    ]
    for name, _, _, _, _, energy, starts in watcher.rows():
        lines.append(f"{name}: {energy}, {starts} start{'' if starts == '1' else 's'}")
    lines += [f"{name}: switched {'ON' if on else 'off'} at the end" for name, on in home.let_draw.items()]
    lines += [f"{name}: not confirmed: {why}" for name, why in unconfirmed.items()]
    return lines


async def play(console: Console, *, speed: float, for_s: float | None, port: int) -> bool:
    """Run the demo for `for_s` real seconds, or until stopped; return whether every load ended in its safe state."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    clock = ScaledClock(midnight + timedelta(seconds=STARTS_AT_S), speed)
    began = asyncio.get_running_loop().time()
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(open_home(clock, port=port))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="loadctl-demo-")))
        file = folder / "home.yaml"
        file.write_text(home.rules, encoding="utf-8")
        house = read_rules(file)
        # A disk that takes a tenth of a second would seem to hang for many of the demo's.
        memory = await Memory.open(folder / FILE, clock, house.site, explain=sentence, executor=Inline())
        stack.push_async_callback(memory.close)
        daemon = Daemon(house, Shared(clock), memory=memory)
        metrics = Metrics(daemon)
        watcher = Watcher(house.site, console, printing=not console.is_terminal)
        daemon.observers += [watcher, metrics]
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, daemon.stop, number.name)
        token = token_urlsafe(12)
        url = f"http://127.0.0.1:{port}/#token={token}"
        app = application(daemon, metrics, token)
        company = [
            asyncio.create_task(serve(app, house.web.host, house.web.port), name="page"),
            asyncio.create_task(_show(console, watcher, home, speed, url), name="screen"),
            asyncio.create_task(_end(daemon, for_s), name="end"),
            asyncio.create_task(_look_back(file, folder / FILE, midnight), name="yesterday"),
        ]
        try:
            unconfirmed = await daemon.run()
        finally:
            for task in company:
                task.cancel()
            await asyncio.wait(company)
        for line in summary(watcher, home, unconfirmed, asyncio.get_running_loop().time() - began):
            console.print(line, highlight=False)
    return not unconfirmed


def sentence(site: Site, outcome: Outcome, tick: Tick, index: int) -> str:
    """Return what the history says of a decision."""
    return explain(site, outcome, tick, index).text


async def _end(daemon: Daemon, for_s: float | None) -> None:
    if for_s is not None:
        await asyncio.sleep(for_s)
        daemon.stop(f"{for_s:g} s are over")


async def _look_back(rules: Path, memory: Path, midnight: datetime) -> None:
    """Have the day before today lived and written down, beside all that goes on."""
    what = (yesterday.__name__, str(rules), str(memory), midnight.isoformat())
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *what)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _show(console: Console, watcher: Watcher, home: Home, speed: float, url: str) -> None:
    if not console.is_terminal:
        console.print(f"an emulated home, {speed:g} times real speed; the page: {url}", highlight=False, soft_wrap=True)
        return
    with Live(console=console, refresh_per_second=8, get_renderable=lambda: picture(watcher, home, speed, url)):
        await asyncio.Event().wait()
