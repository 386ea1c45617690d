"""A Raspberry Pi 3B out of QEMU, Debian's own arm64 kernel and Python, and this checkout; no root, nothing installed.

Everything is fetched by the ordinary clients (apt with a private configuration, pip) into a cache directory, 120 MB
once. The guest is an initramfs that runs `virtual_pi_guest.py` as its only program and writes JSON lines to the serial
port.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.slow.debian import REPOSITORY, Archive, boot, need, pip, run

GUEST = Path(__file__).with_name("virtual_pi_guest.py")
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
        log = boot(command, END, timeout_s)
        assert END in "".join(log[-1:]), "".join(log)
        told = [json.loads(line) for line in log if line.startswith("{")]
        assert told, "".join(log)
        return told


def build(cache: Path) -> VirtualPi:
    """Fetch and pack the guest. Raises Missing, saying what to install."""
    need(TOOLS, "qemu-system-arm cpio device-tree-compiler")
    root = cache / "root"
    shutil.rmtree(root, ignore_errors=True)
    debs, wheels = _packages(cache), _wheels(cache)
    for deb in debs:
        run("dpkg-deb", "-x", str(deb), str(cache / "kernel" if deb.name.startswith("linux-image") else root))
    kernel = max((cache / "kernel/boot").glob("vmlinuz-*"))
    device_tree = cache / "pi.dtb"
    shutil.copy(max((cache / "kernel/usr/lib").glob("linux-image-*/broadcom/bcm2837-rpi-3-b.dtb")), device_tree)
    run("fdtput", "-c", str(device_tree), "/system")
    run("fdtput", "-t", "x", str(device_tree), "/system", "linux,revision", MODEL_3B)

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
    run("sh", "-c", f"cd '{root}' && find . | cpio -o -H newc --quiet | gzip -1 > '{image}'")
    return VirtualPi(kernel, device_tree, image)


def _packages(cache: Path) -> list[Path]:
    """Debian packages for the guest, by an apt that knows only this cache and arm64."""
    debs = cache / "debs"
    if debs.exists():
        return sorted(debs.glob("*.deb"))
    archive, fetched = Archive(cache, "arm64"), cache / "fetched"
    archive.update()
    archive.download(fetched, [archive.depends(KERNEL), *PACKAGES])
    fetched.rename(debs)
    return sorted(debs.glob("*.deb"))


def _wheels(cache: Path) -> Path:
    wheels = cache / "wheels"
    if wheels.exists():
        return wheels
    fetched = cache / "fetched-wheels"
    pip("install", "--no-compile", "--target", fetched, *WHEELS, machine="aarch64")
    fetched.rename(wheels)
    return wheels
