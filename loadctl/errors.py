"""Everything that loadctl raises on purpose.

    LoadctlError ─ ConfigError                       told to the user, all at once, before anything runs
                 └ DeviceError ─ Unreachable         the driver raises, `from` the foreign error; the loop turns it
                               ├ Refused             into data: a blind meter or a failed Report. The core decides
                               └ Garbled             what blindness means.

Anything else is a bug: it ends the daemon, the outputs go to their safe state, systemd starts it again.
"""

from __future__ import annotations

from dataclasses import dataclass


class LoadctlError(Exception):
    """Said to a person: one line that tells what failed and what to try."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a rule file: where it stands, what it is, what to write instead."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigError(LoadctlError):
    """A rule file that cannot be meant; `faults` holds all that is wrong with it, in the order of the file."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[Fault]]]:
        return ConfigError, (list(self.faults),)  # it comes out of other processes as it was raised there


class DeviceError(LoadctlError):
    """A meter or an actuator did not do what it was asked. `retry_after_s`: the device asks for this much rest."""

    kind = "device"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.hint = hint
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class Unreachable(DeviceError):  # noqa: N818 - reads as what it is
    """No answer: no route, refused connection, time-out, connection lost half way."""

    kind = "unreachable"


class Refused(DeviceError):  # noqa: N818
    """The device answered and said no: wrong login, unknown path, switched off by its own protection."""

    kind = "refused"


class Garbled(DeviceError):  # noqa: N818
    """The device answered something that cannot be what was asked for."""

    kind = "garbled"
