"""What is wrong with a rule file, gathered while it is read, each finding with its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from loadctl.errors import ConfigError, Fault

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Findings:
    """Faults and notes of one file. `places`: line and column of each key, both from 1.

    `hidden`: what stands in the file (`${TOKEN}`) and what it stands for, by the path of the value; that value must
    not be told to anybody.
    """

    file: str
    last_line: int = 1
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    hidden: dict[Path, tuple[str, str | None]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, message: str) -> None:
        """Note down what is wrong at `path` (or, if the file has no such key, at the nearest key around it)."""
        known = self.known(path)
        if known in self.hidden:
            written, value = self.hidden[known]
            if value is None and any(fault.path == spell_path(known) for fault in self.faults):
                return  # that it is not set was told
            unset = f"{written} is not set here, so this cannot be checked"
            message = unset if value is None else f"what {written} holds cannot be used here"
        for written, value in self.hidden.values():
            if value is not None and len(value) > 2:
                message = message.replace(value, written)
        self.fault_at(*self.places.get(known, (1, 1)), known, message)

    def fault_at(self, line: int, column: int, path: Path, message: str) -> None:
        """Note down what is wrong at a place that has no key."""
        said = " ".join(message.split())  # one fault, one line, whatever the value in it is like
        self.faults.append(Fault(self.file, min(line, self.last_line), column, spell_path(path), said))

    def note(self, path: Path, message: str) -> None:
        """Note down what the owner should know although nothing is wrong."""
        line, column = self.places.get(self.known(path), (1, 1))
        self.notes.append(Fault(self.file, line, column, spell_path(path), message))

    def known(self, path: Path) -> Path:
        """Follow `path` as far as the file goes; a list of one may be written without being a list."""
        known: Path = ()
        for step in path:
            if (*known, step) in self.places:
                known = (*known, step)
            elif step != 0:
                break
        return known

    def raise_if_any(self) -> None:
        """Raise ConfigError with all faults, in the order of the file, each once."""
        if self.faults:
            unique = dict.fromkeys(sorted(self.faults, key=lambda fault: (fault.line, fault.column)))
            raise ConfigError(list(unique))


def spell_path(path: Path) -> str:
    """Write `("loads", "boiler", "need", 1)` as `loads.boiler.need[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` - did you mean ...?`, or the words to choose from when none is near."""
    known = sorted(known)
    folded = {name.lower().replace("-", "_"): name for name in known}
    near = get_close_matches(word.lower().replace("-", "_").replace(" ", "_"), folded, 1, 0.6)
    if near:
        return f"did you mean `{folded[near[0]]}`?"
    return "known here: " + ", ".join(known) if known else "nothing may stand here"


def no_load(name: str, names: Sequence[str]) -> str:
    """Return that no load has this name, with the nearest one of those that there are."""
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}" if names else "the rules have none"
    return f"no load is named {name}: {hint}"
