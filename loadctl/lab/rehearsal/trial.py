"""A test lived and judged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, tzinfo

from loadctl.core.values import Verdict
from loadctl.lab.rehearsal.expect import Missed, turns
from loadctl.lab.rehearsal.living import Record, live
from loadctl.lab.rehearsal.reading import Expected, Rehearsal


@dataclass(frozen=True, slots=True)
class Failure:
    """A line that was not as expected. If it is about a load: what that said then, and its words around."""

    expected: Expected
    missed: Missed
    word: str = ""
    sentence: str = ""
    turns: tuple[tuple[float, Verdict], ...] = ()

    def plain(self, zone: tzinfo) -> dict[str, str | int]:
        """Return it as JSON values."""
        return {
            "line": self.expected.line,
            "column": self.expected.column,
            "expected": self.expected.text,
            "at": datetime.fromtimestamp(self.missed.at, zone).isoformat(),
            "was": self.missed.was,
            "word": self.word,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a rehearsal."""

    rehearsal: Rehearsal
    record: Record
    failures: tuple[Failure, ...]


def try_out(rehearsal: Rehearsal) -> Trial:
    """Live through a made-up day and judge it."""
    record = lived(rehearsal)
    found = missed(rehearsal, record)
    if not found:
        return Trial(rehearsal, record, ())
    # The same day again, this time with the sentences of the moments that matter.
    explained = lived(rehearsal, {record.times[record.index(miss.at)] for _, miss in found})
    return Trial(rehearsal, record, tuple(_failure(explained, line, miss) for line, miss in found))


def lived(rehearsal: Rehearsal, explain: Collection[float] = ()) -> Record:
    """Live through a made-up day."""
    stops = {at for line in rehearsal.expected for at in (line.start, line.end) if at is not None}
    return live(rehearsal.house, rehearsal.day, stops, explain)


def missed(rehearsal: Rehearsal, record: Record) -> list[tuple[Expected, Missed]]:
    """Return the lines that were not as expected."""
    judged = [(line, line.claim.missed(record, line.start, line.end)) for line in rehearsal.expected]
    return [(line, miss) for line, miss in judged if miss is not None]


def _failure(record: Record, line: Expected, miss: Missed) -> Failure:
    name = line.claim.subject
    if name not in record.loads:
        return Failure(line, miss)
    index = record.index(miss.at)
    word = record.loads[name].said[index].value
    sentence = record.sentences.get((record.times[index], name), "")
    return Failure(line, miss, word, sentence, tuple(turns(record, name, miss.at)))
