"""One loadctl to a state directory."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadctl.errors import LoadctlError

_log = logging.getLogger(__name__)


@contextmanager
def claim(state_dir: Path) -> Iterator[None]:
    """Have the state directory for ourselves; it is made if it is not there.

    Raises LoadctlError if another loadctl has it: two would fight over the relays. The kernel gives it back, however a
    process ends. Where there can be no such directory, that is told and nothing is kept in it.
    """
    with ExitStack() as stack:
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LoadctlError(
                f"another loadctl runs with {state_dir}: stop it, or give this one its own --state-dir"
            ) from error
        except OSError as error:
            _log.error("%s cannot be used: %s; loads are controlled all the same", state_dir, error.strerror or error)
        yield
