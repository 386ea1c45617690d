"""Days lived elsewhere: on the workers of a Dask scheduler, in processes that leave with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadctl.errors import LoadctlError
from loadctl.lab.tune.cluster import cluster, local
from loadctl.lab.tune.days import Job, measure
from tests.tune_homes import TOO_SHY, day, subject

distributed = pytest.importorskip("distributed", reason="pip install 'loadctl[tune]'")


def test_a_day_is_the_same_on_a_cluster(tmp_path: Path):
    job = Job(subject(tmp_path, TOO_SHY).changed(()), day(0, minutes=5))
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None
        ) as house,
        cluster(house.scheduler_address) as pool,
    ):
        assert pool.width == 2
        assert pool.executor.submit(measure, job).result(60) == measure(job)


def test_a_scheduler_without_workers_is_told():
    with (
        distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp://", dashboard_address=None) as house,
        pytest.raises(LoadctlError, match="has no workers; start some"),
        cluster(house.scheduler_address),
    ):
        pass


def test_what_is_no_address_is_told():
    with pytest.raises(LoadctlError, match="foo is no address; write where the Dask scheduler listens"), cluster("foo"):
        pass


def test_a_process_that_dies_is_told_in_one_line():
    with pytest.raises(LoadctlError, match="a process that lived a day died"), local(1) as pool:
        pool.executor.submit(os._exit, 3).result(60)


def test_processes_leave_with_the_one_that_was_killed():
    code = (
        "import os, time\nfrom loadctl.lab.tune.cluster import local\n"
        "with local(1) as pool:\n    print(pool.executor.submit(os.getpid).result(), flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _lives(child):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
