"""The search: one optuna study, by one process or by many on many machines, in which no trial gets lost.

Each process asks the study for a trial, lets its days be lived and writes down what they came to. While it waits it
counts up a `beat` of its trials in the storage. A trial whose beat stands still for `patience_s`, by the clock of the
one who watches, belongs to a process that is gone: it is closed and its settings are put up for the next one who asks.
"""

from __future__ import annotations

import os
import random
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from loadctl.errors import LoadctlError
from loadctl.lab.trace import Trace
from loadctl.lab.tune.days import Days, Measure, Sum, summed
from loadctl.lab.tune.space import AS_WRITTEN, Settings, Space, fits

BEAT_S = 2.0
PATIENCE_S = 60.0
BUSY_S = 60.0  # SQLite: so long a process waits for the others
ASKS = 20  # for each trial wanted, this often another is asked for when one cannot be meant
PRINT, MEASURES, BEAT, AGAIN = "loadctl", "days", "beat", "begun_again"


@dataclass(frozen=True, slots=True)
class Found:
    """One trial that came to an end: per searched day."""

    settings: Settings
    sum: Sum


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search. `width`: so many days are lived at once; `told` hears of each finished trial."""

    trials: int
    width: int
    seed: int = 1
    patience_s: float = PATIENCE_S
    alone: bool = True  # nobody else works on the study
    told: Callable[[int, int], None] = lambda done, wanted: None  # noqa: ARG005


@contextmanager
def stored(url: str | None) -> Iterator[BaseStorage]:
    """Open the storage of a study: a database, a journal file, or None: in memory. Raises LoadctlError."""
    if url is None:
        yield InMemoryStorage()
    elif "://" not in url:
        yield JournalStorage(JournalFileBackend(_folder_of(Path(url))))
    elif url.startswith("journal://"):
        yield JournalStorage(JournalFileBackend(_folder_of(Path(url.removeprefix("journal://")))))
    else:
        storage = _database(url)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _folder_of(path: Path) -> str:
    if not path.parent.is_dir():
        raise LoadctlError(f"{path}: there is no folder {path.parent} for the study; make it first")
    return str(path)


def _database(url: str) -> RDBStorage:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - comes with optuna, slow to import

    options = {"connect_args": {"timeout": BUSY_S}} if url.startswith("sqlite:") else {}
    for attempt in range(5):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            # Two processes that make the tables at the same moment: the second finds them a moment later.
            if attempt == 4 or not isinstance(error, SQLAlchemyError):
                why = " ".join(str(getattr(error, "orig", None) or error).split())[:120]
                raise LoadctlError(f"{url.rsplit('@', maxsplit=1)[-1]}: no study can be kept there: {why}") from error
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("the last attempt raises")


def open_study(storage: BaseStorage, name: str, fingerprint: str, space: Space, plan: Plan) -> optuna.Study:
    """Open or make a study. Raises LoadctlError when it is about other rules or other days."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    mine = f"{socket.gethostname()} {os.getpid()}"
    seed = plan.seed if plan.alone else plan.seed + zlib.crc32(mine.encode())  # who joins must not try the same again
    sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, sampler=sampler, directions=["minimize", "minimize"]
        )
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
        known = _fingerprint(study)
        if known != fingerprint:
            raise LoadctlError(
                f"the study `{name}` in this storage is about other rules, other days or another version of loadctl; "
                "give this one a name of its own with --study, or another --storage"
            ) from None
        return study
    study.set_user_attr(PRINT, fingerprint)
    for settings in first_looks(space, plan.trials, plan.seed):
        study.enqueue_trial(_params(space, settings))
    return study


def _fingerprint(study: optuna.Study) -> Any:
    """Return what a study is about; whoever made it may not yet have said so."""
    for _ in range(50):
        if PRINT in study.user_attrs:
            break
        time.sleep(0.1)
    return study.user_attrs.get(PRINT)


def first_looks(space: Space, trials: int, seed: int) -> list[Settings]:
    """Return what is tried first: the rules as they are, then single changes, fairly from all knobs."""
    dice = random.Random(seed)
    rounds: list[Settings] = []
    rows = []
    for knob in space.knobs.values():
        others = [index for index in range(len(knob.options)) if index != knob.base]
        dice.shuffle(others)
        rows.append([space.settings({knob.name: index}) for index in others])
    dice.shuffle(rows)
    for turn in range(max((len(row) for row in rows), default=0)):
        rounds += [row[turn] for row in rows if turn < len(row)]
    singles = [settings for settings in rounds if settings != AS_WRITTEN]
    return [AS_WRITTEN, *singles[: max(0, trials // 2 - 1)]]


@dataclass(slots=True)
class _Flight:
    trial: optuna.Trial
    settings: Settings
    days: list[Future[Measure]]
    beat: int = 0


@dataclass(slots=True)
class _Watch:
    """Tells which trials of others stand still."""

    patience_s: float
    seen: dict[int, tuple[Any, float]] = field(default_factory=dict)

    def still(self, trial: FrozenTrial) -> bool:
        beat, now = trial.user_attrs.get(BEAT), time.monotonic()
        before = self.seen.get(trial.number)
        if before is None or before[0] != beat:
            self.seen[trial.number] = beat, now
            return False
        return now - before[1] > self.patience_s


def search(study: optuna.Study, space: Space, days: Days, searched: Sequence[Trace], plan: Plan) -> list[Found]:
    """Search until the study has `trials` finished ones, whoever did them, and return all that were found."""
    width = max(1, ceil(plan.width / len(searched)))
    watch = _Watch(plan.patience_s)
    mine: dict[int, _Flight] = {}
    asked, told = 0, -1
    while True:
        trials = study.get_trials(deepcopy=False)
        done = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if done != told:
            told = done
            plan.told(done, plan.trials)
        others = [trial for trial in trials if trial.state == TrialState.RUNNING and trial.number not in mine]
        if done >= plan.trials and not mine:
            break
        if asked > plan.trials * ASKS and not mine:
            break  # hardly anything else can be meant
        for trial in others:
            if watch.still(trial):
                _begin_again(study, trial)
        while len(mine) < width and done + len(mine) + len(others) < plan.trials and asked <= plan.trials * ASKS:
            asked += 1
            flight = _take_off(study, space, days, searched)
            if flight is not None:
                mine[flight.trial.number] = flight
        if not mine:
            time.sleep(min(0.5, plan.patience_s / 4))
            continue
        pending = [day for flight in mine.values() for day in flight.days if not day.done()]
        wait(pending, timeout=BEAT_S, return_when=FIRST_COMPLETED)
        for number, flight in list(mine.items()):
            if all(day.done() for day in flight.days):
                _land(study, days, flight, searched)
                del mine[number]
            elif not plan.alone:
                flight.beat += 1
                _note(flight.trial, BEAT, flight.beat)
    _clear(study)
    return found(study, space, days, searched)


def _take_off(study: optuna.Study, space: Space, days: Days, searched: Sequence[Trace]) -> _Flight | None:
    """Ask for a trial and begin to live its days; None when its rules cannot be meant."""
    trial = study.ask(_distributions(space))
    settings = space.settings({name: _option(space, name, value) for name, value in trial.params.items()})
    if not fits(space, settings):
        study.tell(trial, state=TrialState.FAIL)
        return None
    return _Flight(trial, settings, [*days.live(settings, searched), *days.live(AS_WRITTEN, searched)])


def _land(study: optuna.Study, days: Days, flight: _Flight, searched: Sequence[Trace]) -> None:
    measures = days.measures(flight.settings, searched)
    _note(flight.trial, MEASURES, [_packed(one) for one in measures])
    total = summed(measures)
    # One who watched us for too long may have closed it; then it is done twice, which is no loss.
    study.tell(flight.trial, [total.money, total.starts], skip_if_finished=True)


def _begin_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Close a trial whose process is gone and put its settings up for the next one."""
    try:
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return  # another one was quicker
    meant = trial.system_attrs.get("fixed_params", {})  # it may have died while it was still being told its settings
    study.enqueue_trial({**meant, **trial.params}, user_attrs={AGAIN: trial.number})


def _clear(study: optuna.Study) -> None:
    """Close what is still put up when enough has been tried."""
    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.tell(study.ask(), state=TrialState.FAIL)


def _note(trial: optuna.Trial, key: str, value: Any) -> None:
    try:
        trial.set_user_attr(key, value)
    except optuna.exceptions.UpdateFinishedTrialError:
        return


def found(study: optuna.Study, space: Space, days: Days, searched: Sequence[Trace]) -> list[Found]:
    """Return all finished trials, each settings once, those of other processes too."""
    known: dict[Settings, Found] = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        settings = space.settings({name: _option(space, name, value) for name, value in trial.params.items()})
        if settings in known or MEASURES not in trial.user_attrs:
            continue
        measures = [_unpacked(one) for one in trial.user_attrs[MEASURES]]
        days.know(settings, searched, measures)
        known[settings] = Found(settings, summed(measures))
    return list(known.values())


def front(trials: Sequence[Found]) -> list[Found]:
    """Return those to which none is better in both money and starts, the cheapest first (Pareto)."""
    best: list[Found] = []
    for one in sorted(trials, key=lambda one: (round(one.sum.money, 6), one.sum.starts, len(one.settings))):
        if not best or one.sum.starts < best[-1].sum.starts - 1e-9:
            best.append(one)
    return best


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {
        knob.name: IntDistribution(0, len(knob.options) - 1)
        if knob.ordered
        else CategoricalDistribution(tuple(range(len(knob.options))))
        for knob in space.knobs.values()
    }


def _params(space: Space, settings: Settings) -> dict[str, Any]:
    return {knob.name: knob.base for knob in space.knobs.values()} | dict(settings)


def _option(space: Space, name: str, value: Any) -> int:
    return min(int(value), len(space.knobs[name].options) - 1)


def _packed(one: Measure) -> list[Any]:
    return [one.money, one.starts, one.missed_wh, one.broken, dict(one.energy_wh)]


def _unpacked(plain: list[Any]) -> Measure:
    money, starts, missed_wh, broken, energy_wh = plain
    return Measure(money, starts, missed_wh, broken, energy_wh)
