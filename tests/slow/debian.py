"""What virtual machines are built from: Debian's packages by an apt of their own, wheels by pip, QEMU on a serial line.

Nothing is installed on the machine that runs the tests, and none of this needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PYTHON = "3.11"  # bookworm's


class Missing(Exception):  # noqa: N818 - the reason of a skip
    """What the machine that runs the tests lacks."""


def cache_of(name: str) -> Path:
    """Return the folder in which a machine's parts are kept from one run of the tests to the next."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loadctl-tests" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def need(tools: Iterable[str], packages: str) -> None:
    """Raise Missing, saying what to install, unless all `tools` are here."""
    if absent := [tool for tool in tools if not shutil.which(tool)]:
        raise Missing(f"no {', '.join(absent)}, so this is NOT checked: apt-get install {packages}")
    if not KEYRING.exists():
        raise Missing(f"no {KEYRING}, so this is NOT checked: apt-get install debian-archive-keyring")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Return what `command` printed. Raises Missing with the last line of its complaint."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise Missing(f"{' '.join(map(str, command[:2]))} … failed: {reason}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Archive:
    """Debian bookworm for one architecture, by an apt that knows only the folder `cache`."""

    cache: Path
    architecture: str

    def update(self) -> None:
        for directory in ("state/lists/partial", "cache/archives/partial"):
            (self.cache / directory).mkdir(parents=True, exist_ok=True)
        options = f"[arch={self.architecture} signed-by={KEYRING}] http://deb.debian.org"
        lines = [f"deb {options}/debian bookworm main", f"deb {options}/debian-security bookworm-security main", ""]
        (self.cache / "sources.list").write_text("\n".join(lines))
        run("apt-get", *self._private(), "update")

    def depends(self, package: str) -> str:
        """Return the first package that `package` depends on: a kernel with its number."""
        told = run("apt-cache", *self._private(), "depends", package)
        return next(line.split()[-1] for line in told.splitlines() if "Depends:" in line)

    def download(self, folder: Path, packages: Iterable[str]) -> None:
        """Fetch just these into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", *self._private(), "download", *packages, cwd=folder)

    def download_all(self, packages: Iterable[str]) -> list[Path]:
        """Fetch these with all that they depend on."""
        archives = self.cache / "cache/archives"
        run("apt-get", *self._private(), "install", "--download-only", "--no-install-recommends", "-y", *packages)
        return sorted(archives.glob("*.deb"))

    def _private(self) -> list[str]:
        settings = {
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "",
            "Dir::State": f"{self.cache}/state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": f"{self.cache}/cache",
            "Dir::Etc::sourcelist": f"{self.cache}/sources.list",
            "Dir::Etc::sourceparts": "-",
        }
        return ["-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]


def pip(*command: str | Path, machine: str) -> None:
    """Run this environment's pip for a guest with `machine`'s instructions and bookworm's Python."""
    platform = [f"manylinux2014_{machine}", "--python-version", PYTHON, "--only-binary=:all:"]
    verb, *arguments = command
    run(sys.executable, "-m", "pip", verb, "--quiet", "--platform", *platform, *arguments)


def boot(command: Iterable[str | Path], end: str, timeout_s: float) -> list[str]:
    """Return what a guest writes to its serial line up to the mark `end`, or less: then it died or took too long.

    QEMU 7.2 does not end when an ARM guest halts, hence the mark.
    """
    log: list[str] = []
    with subprocess.Popen(
        list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as qemu:
        watchdog = threading.Timer(timeout_s, qemu.kill)
        watchdog.start()
        assert qemu.stdout is not None
        for line in qemu.stdout:
            log.append(line)
            if end in line or "Kernel panic" in line:
                break
        watchdog.cancel()
        qemu.kill()
    return log
