"""Many processes on one study, and days on a cluster: one of them is killed, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tune_homes import TOO_SHY, csv_days

optuna = pytest.importorskip("optuna", reason="pip install 'loadctl[tune]'")
TRIALS = 14


@pytest.fixture
def home(tmp_path: Path) -> Path:
    file = tmp_path / "home.yaml"
    file.write_text(TOO_SHY)
    return file


@contextmanager
def _tune(home: Path, *args: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", "from loadctl.cli import main; main()", "tune", str(home)]
    command += map(str, [*sorted(home.parent.glob("day*.csv")), *args])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        try:
            yield one
        finally:
            if one.poll() is None:
                one.kill()


def _ended(process: subprocess.Popen[str], within_s: float = 240) -> str:
    said, wrong = process.communicate(timeout=within_s)
    assert process.returncode == 0, wrong
    return said


@contextmanager
def _stored(url: str) -> Iterator[Any]:
    from loadctl.lab.tune.study import stored

    with stored(url) as storage:
        yield optuna.load_study(study_name="home", storage=storage)


def _stop_in_the_middle(process: subprocess.Popen[str], url: str) -> int:
    """Stop a process while it lives a trial, and return the number of that trial."""
    for _ in range(2000):
        assert process.poll() is None
        try:
            with _stored(url) as study:
                if any(trial.state.name == "RUNNING" and trial.params for trial in study.trials):
                    process.send_signal(signal.SIGSTOP)
                    time.sleep(0.2)  # what it was writing is written
                    for trial in study.get_trials():
                        if trial.state.name == "RUNNING" and trial.params:
                            return int(trial.number)
                    process.send_signal(signal.SIGCONT)
        except (KeyError, optuna.exceptions.StorageInternalError):
            pass  # it has not made the study yet
        time.sleep(0.05)
    raise AssertionError("it never began a trial")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite:///{}/study.db", "journal://{}/study.log"])
def test_of_two_on_one_study_one_is_killed_and_the_other_finishes(tmp_path: Path, home: Path, kind: str):
    csv_days(tmp_path, 10)
    url = kind.format(tmp_path)
    shared = ("--storage", url, "--trials", TRIALS, "--jobs", 1, "--patience", 5, "--json")
    with _tune(home, *shared) as first:
        lost = _stop_in_the_middle(first, url)
        with _tune(home, *shared) as second:
            first.send_signal(signal.SIGKILL)
            first.wait(20)
            told = json.loads(_ended(second))
    with _stored(url) as study:
        trials = study.trials
    assert {trial.state.name for trial in trials} == {"COMPLETE", "FAIL"}
    assert sum(trial.state.name == "COMPLETE" for trial in trials) == TRIALS
    again = [trial for trial in trials if trial.user_attrs.get("begun_again") == lost]
    assert [trial.state.name for trial in again] == ["COMPLETE"]
    assert again[0].params.items() >= trials[lost].params.items()
    assert "loads.boiler.grid_limit" in told["proposed"]


@pytest.mark.slow
def test_two_share_the_work_of_one_study(tmp_path: Path, home: Path):
    csv_days(tmp_path, 10)
    url = f"sqlite:///{tmp_path}/study.db"
    shared = ("--storage", url, "--trials", TRIALS, "--jobs", 1, "--json")
    with _tune(home, *shared) as first, _tune(home, *shared) as second:
        one, other = json.loads(_ended(first)), json.loads(_ended(second))
    assert one["proposed"].keys() == other["proposed"].keys() == {"loads.boiler.grid_limit"}
    with _stored(url) as study:
        states = [trial.state.name for trial in study.trials]
    assert TRIALS <= states.count("COMPLETE") <= TRIALS + 1  # both may begin the last one
    assert not {"RUNNING", "WAITING"} & set(states)


@pytest.mark.slow
def test_a_worker_of_a_cluster_is_killed_and_nothing_is_lost(tmp_path: Path, home: Path):
    distributed = pytest.importorskip("distributed", reason="pip install 'loadctl[tune]'")
    csv_days(tmp_path, 10)
    told = ("--trials", TRIALS, "--json")
    with _tune(home, *told, "--jobs", 2) as alone:
        expected = json.loads(_ended(alone))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        _tune(home, *told, "--cluster", cluster.scheduler_address) as tuning,
    ):
        victim = _busy(client, tuning)
        os.kill(victim, signal.SIGKILL)
        found = json.loads(_ended(tuning))
        pids = client.run(os.getpid).values()
    assert victim not in pids
    assert found == expected


def _busy(client, tuning: subprocess.Popen[str]) -> int:
    """Return the pid of a worker that is living a day and has lived some."""
    pids = client.run(os.getpid)
    for _ in range(2000):
        assert tuning.poll() is None, tuning.communicate()
        done = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        working = [worker for worker, tasks in client.processing().items() if tasks]
        if done > 50 and working:
            return int(pids[working[0]])
        time.sleep(0.05)
    raise AssertionError("no worker ever worked")
