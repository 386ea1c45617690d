"""The same days under several rule files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from loadctl.errors import LoadctlError
from loadctl.lab.course import Course, lived
from loadctl.lab.difference import Difference, answered, differences, questions
from loadctl.lab.homes import HOMES
from loadctl.lab.scenario_file import Scenario, read_scenario
from loadctl.lab.trace import Trace


@dataclass(frozen=True, slots=True)
class Job:
    """A home that is to live through a trace. What is not to be kept takes no memory."""

    name: str
    home: Scenario
    trace: Trace
    minutes: bool = False
    decisions: bool = True
    asked: tuple[tuple[str, float], ...] = ()


def homes_of(names: Sequence[str], house: str | None = None) -> dict[str, Scenario]:
    """Read rule files, scenario files or built-in homes, by the shortest name that tells them apart.

    `house`: a scenario file whose `house:` counts for all of them. Raises LoadctlError.
    """
    paths = [_path(name) for name in names]
    if len(set(paths)) < len(paths):
        raise LoadctlError(f"{max(names, key=names.count)}: is named twice: nothing would differ")
    stems = [path.name for path in paths]
    found = {str(path) if stems.count(path.name) > 1 else path.name: read_scenario(path) for path in paths}
    if house is None:
        return found
    theirs = read_scenario(_path(house)).data
    real = {"house": theirs.get("house") or {}}
    if seasons := {name: {"house": other.get("house") or {}} for name, other in (theirs.get("when") or {}).items()}:
        real["when"] = seasons
    if not real["house"]:
        raise LoadctlError(f"{house}: has no `house:`: write what each appliance really is")
    return {name: replace(home, data={**home.data, **real}) for name, home in found.items()}


def guesses_of(homes: Mapping[str, Scenario]) -> Iterator[str]:
    """Yield what was guessed of the house, and by which rule file if another one says what is really there."""
    said = {load for home in homes.values() for load in home.data.get("house") or {}}
    guessed = dict.fromkeys(load for home in homes.values() for load in home.guessed if load not in said)
    if guessed:
        yield f"{_listed(guessed)}: what it really is was guessed from its rule; say it under `house:`"
    for name, home in homes.items():
        if alone := [load for load in home.guessed if load in said]:
            yield f"{name}: {_listed(alone)} was guessed from its rule, another file says what it is: take one --house"


def _listed(loads: Iterable[str]) -> str:
    return ", ".join(f"`{load}`" for load in loads)


def live_all(jobs: Sequence[Job], workers: int) -> list[Course]:
    """Let homes live, several at once, and return their courses in order."""
    if workers <= 1 or len(jobs) <= 1:
        return [_live(job) for job in jobs]
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
        return list(pool.map(_live, jobs))


def compared(jobs: Sequence[Job], courses: Sequence[Course], workers: int) -> list[Difference]:
    """Return where each course differs from the first one, with what both said; for that they are lived once more."""
    found = [each for other in courses[1:] for each in differences(courses[0], other)]
    again = [
        replace(job, minutes=False, decisions=False, asked=tuple(questions(found, course)))
        for job, course in zip(jobs, courses, strict=True)
    ]
    return answered(found, live_all(again, workers)) if found else []


def _live(job: Job) -> Course:
    home = job.home.on(job.trace)
    return lived(home, name=job.name, minutes=job.minutes, decisions=job.decisions, asked=job.asked)


def _path(name: str) -> Path:
    path = Path(name)
    return HOMES[name.lower()] if not path.exists() and name.lower() in HOMES else path


def is_rules(name: str) -> bool:
    """Tell whether a name is that of rules, by its ending, or of a built-in home."""
    return name.endswith((".yaml", ".yml")) or _path(name) in HOMES.values()
