"""`loadctl run`: control a house until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadctl.config import House
    from loadctl.core.rules import Site
    from loadctl.core.values import Outcome, Tick
    from loadctl.service.daemon import Daemon

COPY_LIMIT_S = 2.0  # real seconds


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read the devices and say what would be done; switch nothing.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to keep what must survive a power cut; by default systemd's, or ~/.local/state/loadctl.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Serve the page on this port instead of the file's.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
def run(file: Path, *, dry_run: bool, state_dir: Path | None, port: int | None, verbose: bool, quiet: bool) -> None:
    """Control the loads of FILE.

    SIGTERM and Ctrl-C put every load in its safe state and end; SIGHUP reads FILE again. The exit code is 1 for a FILE
    that cannot be used and 2 if a load's safe state could not be confirmed.
    """
    from loadctl.service.rules import read

    _log_to_stderr(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO, dry_run=dry_run)
    house, text = read(file)
    if port is not None:
        house = replace(house, web=replace(house.web, port=port))
    if asyncio.run(_control(house, text, state_dir, dry_run=dry_run)):
        sys.exit(2)


async def _control(house: House, text: str, chosen: Path | None, *, dry_run: bool) -> dict[str, str]:
    from loadctl.drivers import LoopClock, Shared
    from loadctl.service.claim import claim
    from loadctl.service.daemon import Daemon
    from loadctl.service.journal import Journal
    from loadctl.service.memory import FILE, Memory, state_dir
    from loadctl.service.metrics import Metrics
    from loadctl.service.notify import Notifier
    from loadctl.service.rules import keep, reread
    from loadctl.web.app import application, door, keep_serving
    from loadctl.web.lock import kept_token

    for note in house.notes:
        logging.getLogger(__name__).warning("%s", note)
    clock = LoopClock(house.zone)
    threads = ThreadPoolExecutor(1, thread_name_prefix="rules")
    async with AsyncExitStack() as stack:
        memory, rereads, folder = None, None, None if dry_run else state_dir(chosen, os.environ)
        if folder is not None:
            stack.enter_context(claim(folder))
            # Beside all else: a slow disk holds up nobody.
            copying = asyncio.get_running_loop().run_in_executor(threads, keep, folder, house.path, text)
            stack.push_async_callback(asyncio.wait, [copying], timeout=COPY_LIMIT_S)
            rereads = partial(reread, house.path, folder)
            memory = await Memory.open(folder / FILE, clock, house.site, explain=_sentence)
            stack.push_async_callback(memory.close)
        daemon = Daemon(
            house,
            Shared(clock),
            dry_run=dry_run,
            reread=rereads,
            memory=memory,
            notifier=Notifier(),
            executor=threads,
        )
        metrics = Metrics(daemon)
        daemon.observers += [Journal(daemon), metrics]
        _heed_signals(daemon)
        locked = house.web.password is not None or house.web.token is not None
        app = application(daemon, metrics, None if folder is None or locked else kept_token(folder))
        if folder is not None:
            await stack.enter_async_context(door(folder, app))
        page = asyncio.create_task(keep_serving(app, house.web.host, house.web.port), name="page")
        stack.push_async_callback(_end, page)
        return await daemon.run()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _sentence(site: Site, outcome: Outcome, tick: Tick, index: int) -> str:
    from loadctl.telling.explain import explain

    return explain(site, outcome, tick, index).text


def _heed_signals(daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)


def _log_to_stderr(level: int, *, dry_run: bool) -> None:
    rehearsal = "dry run: " if dry_run else ""
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s %(levelname)-7s {rehearsal}%(message)s")
    logging.getLogger("loadctl").setLevel(level)
