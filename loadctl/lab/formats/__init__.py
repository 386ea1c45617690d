"""The kinds of file that a recorded trace can be in, recognised by their header.

A new one is one file with these two functions and one line in FORMATS:

    def is_mine(header: Sequence[str]) -> bool: ...
    def opened(path: Path, zone: tzinfo, entities: Entities) -> Source: ...
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from loadctl.errors import LoadctlError
from loadctl.lab.formats.table import Entities, Row, Source, header_of

__all__ = ["FORMATS", "Entities", "Row", "Source", "opened"]

FORMATS = (
    "loadctl.lab.formats.home_assistant",
    "loadctl.lab.formats.own_history",
    "loadctl.lab.formats.plain",
)


class Format(Protocol):
    """A kind of file. `opened` looks at what must be known of the file as a whole; rows are read as they are needed."""

    def is_mine(self, header: Sequence[str]) -> bool: ...

    def opened(self, path: Path, zone: tzinfo, entities: Entities) -> Source: ...


def opened(path: Path, zone: tzinfo, entities: Entities) -> Source:
    """Recognise a file by its first line. Raises LoadctlError that says where and what is wrong with it."""
    header = header_of(path)
    for name in FORMATS:
        found: Format = importlib.import_module(name)
        if found.is_mine(header):
            return found.opened(path, zone, entities)
    if not header:
        raise LoadctlError(f"{path}: a trace has at least two rows below the line with the names of its columns")
    raise LoadctlError(
        f"{path}:1: no trace has the columns {', '.join(name[:30] for name in header[:8])}: it takes `time`, `pv_w` (or"
        " `pv_kw`) and `load_w` or `grid_w`, or what `loadctl history export` or Home Assistant wrote"
    )
