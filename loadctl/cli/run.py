"""`loadctl run`: control a house until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadctl.config import House
    from loadctl.service.daemon import Daemon


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read the devices and say what would be done; switch nothing.")
@click.option("--port", type=click.IntRange(0, 65535), help="Serve the page on this port instead of the file's.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
def run(file: Path, *, dry_run: bool, port: int | None, verbose: bool, quiet: bool) -> None:
    """Control the loads of FILE.

    SIGTERM and Ctrl-C put every load in its safe state and end; SIGHUP reads FILE again. The exit code is 1 for a FILE
    that cannot be used and 2 if a load's safe state could not be confirmed.
    """
    from loadctl.config import load

    _log_to_stderr(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO, dry_run=dry_run)
    house = load(file)
    if port is not None:
        house = replace(house, web=replace(house.web, port=port))
    if asyncio.run(_control(house, dry_run=dry_run)):
        sys.exit(2)


async def _control(house: House, *, dry_run: bool) -> dict[str, str]:
    from loadctl.drivers import LoopClock, Shared
    from loadctl.service.daemon import Daemon
    from loadctl.service.journal import Journal
    from loadctl.service.metrics import Metrics
    from loadctl.web.app import application, serve

    for note in house.notes:
        logging.getLogger(__name__).warning("%s", note)
    daemon = Daemon(house, Shared(LoopClock(house.zone)), dry_run=dry_run)
    metrics = Metrics(daemon)
    daemon.observers += [Journal(daemon), metrics]
    _heed_signals(daemon)
    page = asyncio.create_task(serve(application(daemon, metrics), house.web.host, house.web.port), name="page")
    page.add_done_callback(_page_ended)
    try:
        return await daemon.run()
    finally:
        page.cancel()
        await asyncio.wait([page])


def _heed_signals(daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)


def _page_ended(page: asyncio.Task[None]) -> None:
    """A bug in the page is told and ends the page, not the control of the loads."""
    if not page.cancelled() and (error := page.exception()) is not None:
        logging.getLogger(__name__).error("page: ended by a bug; loads are controlled all the same", exc_info=error)


def _log_to_stderr(level: int, *, dry_run: bool) -> None:
    rehearsal = "dry run: " if dry_run else ""
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s %(levelname)-7s {rehearsal}%(message)s")
    logging.getLogger("loadctl").setLevel(level)
