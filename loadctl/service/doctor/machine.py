"""The machine that runs loadctl: clock, disk, permissions, and who starts it again."""

from __future__ import annotations

import os
import platform
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from loadctl.config import House
from loadctl.drivers import Finding, Level
from loadctl.service.doctor import papers
from loadctl.service.memory import FILE, clock_synchronised, state_dir

OK, NOTE, WARNING, DANGER, UNSEEN = Level

_FIRST_YEAR = 2025  # this program is not older
_SCARCE_B, _FULL_B = 200e6, 20e6
_UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_WATCHDOG = re.compile(r"^\s*WatchdogSec\s*=\s*(?!0\s*$|infinity)\S", re.MULTILINE)
_FIXES = "`loadctl doctor FILE --fix` does it"


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at. `root` is where the files of the system are found, `chosen` the state directory if told."""

    chosen: Path | None = None
    root: Path = Path("/")
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    synchronised: Callable[[], bool] = clock_synchronised

    def examine(self, house: House, wall: datetime, *, fix: bool) -> tuple[Finding, ...]:
        """Look at all of it; `fix` tightens permissions. Raises nothing."""
        return (
            self._clock(wall),
            Finding("python", OK, f"Python {platform.python_version()}"),
            *self._state(fix=fix),
            *self._files(house, fix=fix),
            *self._service(),
        )

    def _clock(self, wall: datetime) -> Finding:
        if wall.year < _FIRST_YEAR:
            message = f"the clock is wrong: {wall:%Y-%m-%d}"
            return Finding("clock", DANGER, message, "`sudo timedatectl set-ntp true`, and an internet connection")
        if self.synchronised() or (self.root / "run/systemd/timesync/synchronized").exists():
            return Finding("clock", OK, f"the clock is kept right by NTP: {wall:%H:%M %Z}")
        if self._contained():
            return Finding("clock", NOTE, "in a container its host keeps the clock: not looked at", "look there")
        message = "nobody keeps the clock right; windows, needs and prices go by it"
        return Finding("clock", WARNING, message, "`sudo timedatectl set-ntp true`")

    def _state(self, *, fix: bool) -> tuple[Finding, ...]:
        folder = self._state_dir()
        try:
            status = folder.stat()
            free_b = _free_b(folder)
        except FileNotFoundError:
            return (_to_be_made(folder),)
        except OSError as error:
            message = f"the state directory {folder} cannot be looked at: {error.strerror}"
            return (Finding("state", UNSEEN, message, "run doctor as the user that loadctl runs as"),)
        if not stat.S_ISDIR(status.st_mode):
            return (Finding("state", DANGER, f"{folder} is no directory", "choose another with --state-dir"),)
        found = [_writable(folder, status), _space(folder, free_b)]
        found.append(_closed("state_mode", folder, 0o700, fix=fix))
        if _exists(folder / FILE):
            found.append(_closed("memory_mode", folder / FILE, 0o600, fix=fix))
        return tuple(found)

    def _files(self, house: House, *, fix: bool) -> tuple[Finding, ...]:
        found = []
        try:
            clear = papers.secrets_in_clear(house.path.read_text("utf-8", "replace"))
            status = house.path.stat()
        except OSError:
            clear = False  # the rules did not come from a file
        else:
            if status.st_mode & stat.S_IWOTH:
                message = f"everybody on this machine may change {house.path}"
                found.append(Finding("rules_write", WARNING, message, f"`chmod o-w {house.path}`"))
        if clear:
            found.append(_closed("rules_mode", house.path, _private(house.path), fix=fix))
            message = "the rule file holds a token or a password in clear"
            found.append(Finding("secrets", NOTE, message, "write `${NAME}` or `!secret name`: it can then be shown"))
        there = [path for path in papers.secret_files(house) if _exists(path)]
        found += [
            _closed(f"secrets_mode_{number}", path, _private(path), fix=fix) for number, path in enumerate(there, 1)
        ]
        return tuple(found) or (Finding("secrets", OK, "no secrets in clear in the rule file"),)

    def _service(self) -> tuple[Finding, ...]:
        if self._contained():
            message = "in a container: not looked at who starts loadctl again"
            return (
                Finding("service", NOTE, message, "give it `restart: always` and the health check of deploy/docker"),
            )
        if not (self.root / "run/systemd/system").is_dir():
            message = "systemd does not run here: nothing is known that starts loadctl again after a crash"
            return (Finding("service", NOTE, message, "make sure that something does, also after a power cut"),)
        text = self._unit()
        if not text:
            message = "nothing starts loadctl again after a crash or a power cut"
            return (Finding("service", WARNING, message, "`sudo deploy/install.sh` makes it a service"),)
        found = []
        if not (self.root / "etc/systemd/system/multi-user.target.wants/loadctl.service").is_symlink():
            message = "the service does not start with the machine"
            found.append(Finding("service", WARNING, message, "`sudo systemctl enable --now loadctl`"))
        if not _WATCHDOG.search(text):
            message = "the service has no watchdog: a loadctl that hangs is not noticed"
            found.append(Finding("watchdog", WARNING, message, "`sudo deploy/install.sh` writes a unit that has one"))
        return tuple(found) or (Finding("service", OK, "a service, started with the machine and watched by systemd"),)

    def _state_dir(self) -> Path:
        """The one that is told, else that of the installed service, else this user's."""
        service = self.root / "var/lib/loadctl"
        told = self.chosen is not None or self.env.get("STATE_DIRECTORY") or self.env.get("XDG_STATE_HOME")
        return service if not told and _exists(service) and self._unit() else state_dir(self.chosen, self.env)

    def _unit(self) -> str:
        """The unit file with its drop-ins; "" where none is installed."""
        for folder in (self.root / place for place in _UNITS):
            if unit := _text(folder / "loadctl.service"):
                dropped = sorted((self.root / _UNITS[0] / "loadctl.service.d").glob("*.conf"))
                return "\n".join((unit, *map(_text, dropped)))
        return ""

    def _contained(self) -> bool:
        marks: Iterable[str] = (".dockerenv", "run/.containerenv", "run/systemd/container")
        return bool(self.env.get("container")) or any((self.root / mark).exists() for mark in marks)


def _to_be_made(folder: Path) -> Finding:
    parent = next(path for path in folder.absolute().parents if _exists(path))
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding("state", OK, f"the state directory {folder} will be made at the first run")
    message = f"the state directory {folder} is not there and cannot be made in {parent}"
    return Finding("state", WARNING, message, "run doctor as the user that loadctl runs as, or choose --state-dir")


def _writable(folder: Path, status: os.stat_result) -> Finding:
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("state", OK, f"the state directory {folder} can be written")
    if status.st_uid != os.geteuid():
        message = f"the state directory {folder} belongs to another user: not looked at whether it can be written"
        return Finding("state", NOTE, message, "run doctor as the user that loadctl runs as")
    message = f"the state directory {folder} cannot be written: after a power cut everything would be forgotten"
    return Finding("state", DANGER, message, f"`chmod 0700 {folder}`, or mount its disk for writing")


def _space(folder: Path, free_b: float) -> Finding:
    left = f"{free_b / 1e9:.1f} GB" if free_b >= 1e9 else f"{free_b / 1e6:.0f} MB"
    if free_b < _FULL_B:
        return Finding("disk", DANGER, f"the disk of {folder} is full ({left} left)", "make room on it")
    if free_b < _SCARCE_B:
        return Finding(
            "disk", WARNING, f"{left} left on the disk of {folder}", "make room; two years take about 200 MB"
        )
    return Finding("disk", OK, f"{left} left on the disk of {folder}")


def _closed(check: str, path: Path, wanted: int, *, fix: bool) -> Finding:
    """Tell whether nobody but the owner (or root's chosen group) gets at a file or folder, and see to it."""
    try:
        before = stat.S_IMODE(path.stat().st_mode)
        if not before & ~wanted & 0o077:
            return Finding(check, OK, f"{path} is closed to others ({before:04o})")
        after = before & (wanted | 0o7700)
        if not fix:
            message = f"others on this machine may look into {path} ({before:04o})"
            return Finding(check, WARNING, message, f"`chmod {after:04o} {path}`; {_FIXES}")
        path.chmod(after)
        after = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        message = f"the permissions of {path} could not be looked at or changed: {error.strerror}"
        return Finding(check, WARNING, message, f"`sudo chmod {wanted:04o} {path}`")
    if after & ~wanted & 0o077:
        return Finding(check, WARNING, f"{path} stays open to others ({after:04o}): this disk keeps no permissions")
    return Finding(check, OK, f"{path}: was {before:04o}, is {after:04o}", fixed=True)


def _private(path: Path) -> int:
    """0600; a file of root's may be read by a group, as the service needs it."""
    try:
        return 0o640 if path.stat().st_uid == 0 else 0o600
    except OSError:
        return 0o600


def _free_b(folder: Path) -> float:
    disk = os.statvfs(folder)
    return float(disk.f_bavail) * disk.f_frsize


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
