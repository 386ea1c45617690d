"""Where the days are lived: in processes of this machine, or on the workers of a Dask scheduler."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

from loadctl.errors import LoadctlError

MISSING = "tuning needs {}: pip install 'loadctl[tune]'"
AGAIN = "start again: with --storage nothing that was finished is lost"
ANSWER_S = 15.0
TRIES = 3  # a day is begun anew when its worker dies; one that kills three workers is not tried a fourth time


@dataclass(frozen=True, slots=True)
class Pool:
    """Takes jobs; `width`: so many are done at once."""

    executor: Executor
    width: int


@contextmanager
def local(jobs: int) -> Iterator[Pool]:
    """Offer processes of this machine."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _leave_with_parent) as executor:
        try:
            yield Pool(executor, jobs)
        except BrokenProcessPool as error:
            raise LoadctlError(f"a process that lived a day died, for want of memory perhaps; {AGAIN}") from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended: a pool does not do so by itself.

    Ctrl-C is the other one's to hear.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        Thread(target=_wait, args=(parent,), daemon=True).start()


def _wait(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def cluster(address: str) -> Iterator[Pool]:
    """Offer the workers of a Dask scheduler, such as `tcp://192.168.1.5:8786`. Raises LoadctlError."""
    try:
        from distributed import Client, KilledWorker  # noqa: PLC0415 - only who has a cluster needs it
    except ModuleNotFoundError as error:
        raise LoadctlError(MISSING.format(error.name)) from error
    if not re.fullmatch(r"(\w+://)?[^/\s]+:\d+", address):
        raise LoadctlError(f"{address} is no address; write where the Dask scheduler listens: tcp://192.168.1.5:8786")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said below, in one line
    try:
        client = Client(address, timeout=ANSWER_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise LoadctlError(f"{address}: no Dask scheduler answers there; start one with `dask scheduler`") from error
    with client:
        width = sum(client.nthreads().values())  # type: ignore[no-untyped-call]
        if not width:
            raise LoadctlError(f"{address}: the scheduler has no workers; start some with `dask worker {address}`")
        try:
            yield Pool(client.get_executor(retries=TRIES), width)  # type: ignore[no-untyped-call]
        except (KilledWorker, CancelledError, OSError) as error:
            raise LoadctlError(f"{address}: the cluster has lost its workers; {AGAIN}") from error
