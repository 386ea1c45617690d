"""A Raspberry Pi 3B out of QEMU, Debian's own arm64 kernel and Python, and this checkout; no root, nothing installed.

Everything is fetched by the ordinary clients (apt with a private configuration, pip) into a cache directory, 120 MB
once. The guest is an initramfs that runs `virtual_pi_guest.py` as its only program and writes JSON lines to the serial
port. QEMU 7.2 does not end when the guest halts, hence the end mark.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
GUEST = Path(__file__).with_name("virtual_pi_guest.py")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("qemu-system-aarch64", "apt-get", "dpkg-deb", "cpio", "fdtput", "gzip")
END = "=== the end ==="

KERNEL = "linux-image-6.12-arm64"  # the first of Debian's with pinctrl_bcm2835.persist_gpio_outputs
PACKAGES = (
    *("busybox-static", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libexpat1"),
    *("zlib1g", "libssl3", "libffi8", "libgcc-s1", "libbz2-1.0", "liblzma5", "libcrypt1", "libuuid1"),
)
WHEELS = ("gpiozero", "httpx", "pydantic")
MODEL_3B = "a02082"  # the board's revision code, which the firmware of a real Pi writes into the device tree

INIT = """#!/bin/sh
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug; mount -t tracefs trace /sys/kernel/tracing
exec </dev/console >/dev/console 2>&1
PYTHONPATH=/app:/wheels PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3.11 /guest.py
echo "{end}"
exec sleep 1000
"""


class Missing(Exception):  # noqa: N818 - the reason of a skip
    """What the machine that runs the tests lacks."""


@dataclass(frozen=True, slots=True)
class VirtualPi:
    """The built guest; each `run` boots it once."""

    kernel: Path
    device_tree: Path
    image: Path

    def run(self, *arguments: str, timeout_s: float = 240.0) -> list[dict[str, Any]]:
        """Boot with more kernel arguments; returns what the guest told. Raises AssertionError with the serial log."""
        command = ["qemu-system-aarch64", "-M", "raspi3b", "-kernel", str(self.kernel), "-dtb", str(self.device_tree)]
        command += ["-initrd", str(self.image), "-display", "none", "-monitor", "none", "-serial", "stdio"]
        command += [
            "-append",
            " ".join(["console=ttyAMA0,115200", "console=ttyAMA1,115200", "quiet", "rdinit=/init", *arguments]),
        ]
        log: list[str] = []
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as qemu:
            watchdog = threading.Timer(timeout_s, qemu.kill)
            watchdog.start()
            assert qemu.stdout is not None
            for line in qemu.stdout:
                log.append(line)
                if END in line or "Kernel panic" in line:
                    break
            watchdog.cancel()
            qemu.kill()
        assert END in "".join(log[-1:]), "".join(log)
        told = [json.loads(line) for line in log if line.startswith("{")]
        assert told, "".join(log)
        return told


def build(cache: Path) -> VirtualPi:
    """Fetch and pack the guest. Raises Missing, saying what to install."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        raise Missing(f"no {', '.join(absent)}: apt-get install qemu-system-arm cpio device-tree-compiler")
    if not KEYRING.exists():
        raise Missing(f"no {KEYRING}: apt-get install debian-archive-keyring")
    root = cache / "root"
    shutil.rmtree(root, ignore_errors=True)
    debs, wheels = _packages(cache), _wheels(cache)
    for deb in debs:
        _run("dpkg-deb", "-x", str(deb), str(cache / "kernel" if deb.name.startswith("linux-image") else root))
    kernel = max((cache / "kernel/boot").glob("vmlinuz-*"))
    device_tree = cache / "pi.dtb"
    shutil.copy(max((cache / "kernel/usr/lib").glob("linux-image-*/broadcom/bcm2837-rpi-3-b.dtb")), device_tree)
    _run("fdtput", "-c", str(device_tree), "/system")
    _run("fdtput", "-t", "x", str(device_tree), "/system", "linux,revision", MODEL_3B)

    shutil.copytree(wheels, root / "wheels")
    shutil.copytree(REPOSITORY / "loadctl", root / "app/loadctl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(GUEST, root / "guest.py")
    (root / "init").write_text(INIT.format(end=END))
    (root / "init").chmod(0o755)
    for directory in ("dev", "proc", "sys", "tmp"):
        (root / directory).mkdir(exist_ok=True)
    for tool in ("sh", "mount", "sleep"):
        (root / "bin" / tool).symlink_to("busybox")
    image = cache / "image.gz"
    _run("sh", "-c", f"cd '{root}' && find . | cpio -o -H newc --quiet | gzip -1 > '{image}'")
    return VirtualPi(kernel, device_tree, image)


def _packages(cache: Path) -> list[Path]:
    """Debian packages for the guest, by an apt that knows only this cache and arm64."""
    debs = cache / "debs"
    if debs.exists():
        return sorted(debs.glob("*.deb"))
    for directory in ("state/lists/partial", "cache/archives/partial", "fetched"):
        (cache / directory).mkdir(parents=True, exist_ok=True)
    sources = cache / "sources.list"
    options = f"[arch=arm64 signed-by={KEYRING}] http://deb.debian.org"
    sources.write_text(f"deb {options}/debian bookworm main\ndeb {options}/debian-security bookworm-security main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",
        "Dir::State": f"{cache}/state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{cache}/cache",
        "Dir::Etc::sourcelist": str(sources),
        "Dir::Etc::sourceparts": "-",
    }
    private = ["-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    _run("apt-get", *private, "update")
    depends = _run("apt-cache", *private, "depends", KERNEL)
    kernel = next(line.split()[-1] for line in depends.splitlines() if "Depends:" in line)
    _run("apt-get", *private, "download", kernel, *PACKAGES, cwd=cache / "fetched")
    (cache / "fetched").rename(debs)
    return sorted(debs.glob("*.deb"))


def _wheels(cache: Path) -> Path:
    wheels = cache / "wheels"
    if wheels.exists():
        return wheels
    fetched = cache / "fetched-wheels"
    platform = [
        "--platform",
        "manylinux2014_aarch64",
        "--python-version",
        "3.11",
        "--only-binary=:all:",
        "--no-compile",
    ]
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(fetched), *platform, *WHEELS)
    fetched.rename(wheels)
    return wheels


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise Missing(
            f"{' '.join(command[:2])} … failed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}"
        )
    return done.stdout
