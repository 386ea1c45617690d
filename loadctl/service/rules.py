"""The rules that loadctl ran on last: a private copy in the state directory, for the day the file is broken or gone.

A secret stays what the file calls it (`${NAME}`, `!secret name`) and is looked for where the file stands.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from loadctl.config import House, parse
from loadctl.config.findings import Findings
from loadctl.config.text import read_file
from loadctl.errors import ConfigError

COPY = "last-rules.yaml"
_HEAD = "# the rules that loadctl ran on last, from "

_log = logging.getLogger(__name__)


def reread(path: Path, folder: Path) -> House:
    """Read the rules anew and keep a copy of them in `folder`. Raises ConfigError."""
    house, text = read(path)
    keep(folder, path, text)
    return house


def read(path: Path) -> tuple[House, str]:
    """Return the rules and their text. Raises ConfigError."""
    findings = Findings(str(path))
    text = read_file(path, findings)
    findings.raise_if_any()
    return parse(text, str(path)), text


def keep(folder: Path, path: Path, text: str) -> None:
    """Keep `text`, which can be used, as a whole and for nobody else to read. A disk that refuses is told of."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{COPY}.", dir=folder)  # with the rights 0600
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
                out.write(f"{_HEAD}{path.resolve()}\n{text}")
                out.flush()
                os.fsync(out.fileno())
            part.replace(folder / COPY)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        _log.error(
            "no copy of the rules is kept in %s: %s; should the file break, `loadctl safe` cannot use them",
            folder,
            error.strerror or error,
        )


def recall(folder: Path, path: Path) -> House | None:
    """Return the rules of `path` that ran last; None: none are known that can be used.

    Secrets that are not set here are left out: the loads that need none can be switched all the same.
    """
    try:
        head, _, text = (folder / COPY).read_text(encoding="utf-8").partition("\n")
        if head != f"{_HEAD}{path.resolve()}":
            return None
        return parse(text, str(path), lenient=True)
    except (OSError, UnicodeError, ConfigError):
        return None
