"""A PC out of QEMU with Debian's systemd as PID 1, on which this checkout is installed by deploy/install.sh.

The guest is an initramfs: Debian's packages unpacked, not debootstrapped, which needs no root; what their scripts would
have done is done in a user namespace. `virtual_pc_home.py` is the home in it, a service that outlives loadctl;
`virtual_pc_story.py` installs, breaks and stops loadctl. Both write JSON lines to the second serial port, the kernel
and systemd to the first. The guest has no network; the packages that loadctl needs lie ready in its environment, as
after an earlier version of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.slow.debian import REPOSITORY, Archive, Missing, boot, need, pip, run

HOME = Path(__file__).with_name("virtual_pc_home.py")
STORY = Path(__file__).with_name("virtual_pc_story.py")
TOOLS = ("qemu-system-x86_64", "apt-get", "dpkg-deb", "tar", "cpio", "unshare", "chroot")
END = "=== the end ==="

KERNEL = "linux-image-cloud-amd64"
PACKAGES = (
    *("systemd", "python3-venv", "bash", "dash", "coreutils", "util-linux", "mount", "passwd", "login", "procps"),
    *("sed", "grep", "mawk", "findutils", "diffutils", "hostname", "debianutils", "init-system-helpers"),
    *("base-files", "base-passwd", "libc-bin"),
)
NOT_NEEDED = ("perl", "libperl", "usrmerge", "openssl", "ca-certificates")
DEPENDENCIES = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]

# What the packages' own scripts do on a machine, as far as this one needs it, then an older loadctl's environment.
CONFIGURE = """
set -e
mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -e <<'INSIDE'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
cp /usr/share/base-passwd/passwd.master /etc/passwd
cp /usr/share/base-passwd/group.master /etc/group
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
for kind in account auth password session; do
    echo "$kind required pam_permit.so" >"/etc/pam.d/common-$kind"
done
ldconfig
python3 -m compileall -q -x test /usr/lib/python3.11 >/dev/null || true
python3 -m venv /opt/loadctl/venv
/opt/loadctl/venv/bin/python -m pip install -q --no-index --find-links /wheels -r /wheels/needed.txt
INSIDE
"""
KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/lib/systemd/systemd "
    "systemd.unit=multi-user.target systemd.getty_auto=no systemd.log_color=no"
)
UNIT = """[Unit]
Description={0}
[Service]
ExecStart=/opt/loadctl/venv/bin/python /guest/{0}.py
Environment=PYTHONPATH=/guest PYTHONUNBUFFERED=1
Restart=no
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class VirtualPc:
    """The built guest; `run` boots it once. `console`: what its kernel and systemd said the last time."""

    kernel: Path
    image: Path
    console: Path

    def run(self, *, timeout_s: float) -> list[dict[str, Any]]:
        """Return what the guest told. Raises AssertionError with what it said if it did not come to its end."""
        # Not KVM: in a virtual machine it may be offered and hang.
        machine = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048"]
        machine += ["-kernel", str(self.kernel), "-initrd", str(self.image), "-nodefaults", "-no-reboot"]
        machine += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.console}", "-serial", "stdio"]
        log = boot([*machine, "-append", KERNEL_LINE], END, timeout_s)
        said = "".join(log) + self.console.read_text(errors="replace")[-4000:]
        assert END in "".join(log[-1:]), said
        return [json.loads(line) for line in log if line.startswith("{")]


def build(cache: Path) -> VirtualPc:
    """Fetch and pack the guest. Raises Missing, saying what to install."""
    need(TOOLS, "qemu-system-x86 cpio util-linux")
    recipe = repr((PACKAGES, NOT_NEEDED, KERNEL, DEPENDENCIES, CONFIGURE)).encode()
    base = cache / f"base-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not base.exists():
        for outdated in (*cache.glob("base-*"), *cache.glob("making*")):
            shutil.rmtree(outdated)
        _base(cache).rename(base)
    image = cache / "image"
    with image.open("wb") as whole:
        # Archives in a row are one to the kernel.
        for part in (base / "base.cpio", _ours(cache)):
            with part.open("rb") as archive:
                shutil.copyfileobj(archive, whole, 1 << 20)
    return VirtualPc(base / "vmlinuz", image, cache / "console.log")


def _base(cache: Path) -> Path:
    """Return a folder with Debian's kernel and an archive of all that is not ours."""
    making, root = cache / "making", cache / "making-root"
    making.mkdir()
    archive = Archive(cache, "amd64")
    archive.update()
    archive.download(making, [archive.depends(KERNEL)])
    [kernel] = making.glob("*.deb")
    run("sh", "-c", f"dpkg-deb --fsys-tarfile '{kernel}' | tar -xC '{making}' --wildcards './boot/vmlinuz-*'")
    kernel.unlink()
    next((making / "boot").iterdir()).rename(making / "vmlinuz")
    (making / "boot").rmdir()

    for directory in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / directory).mkdir(parents=True)
        (root / directory).symlink_to(f"usr/{directory}")
    for deb in archive.download_all(PACKAGES):
        if not deb.name.startswith(NOT_NEEDED):
            run(
                "sh",
                "-c",
                f"dpkg-deb --fsys-tarfile '{deb}' | tar -xC '{root}' --keep-directory-symlink --no-same-owner",
            )
    for unread in ("doc", "man", "info", "locale", "perl5"):
        shutil.rmtree(root / "usr/share" / unread, ignore_errors=True)
    pip("download", "--dest", root / "wheels", *DEPENDENCIES, machine="x86_64")
    (root / "wheels/needed.txt").write_text("\n".join(DEPENDENCIES))
    run("unshare", "--map-root-user", "--mount", "sh", "-c", CONFIGURE, "sh", root)
    shutil.rmtree(root / "wheels")
    _pack(root, making / "base.cpio")
    shutil.rmtree(root)
    return making


def _ours(cache: Path) -> Path:
    """Return an archive with the checkout, its wheel, and the services of the home and of the story."""
    root, packed = cache / "ours", cache / "ours.cpio"
    shutil.rmtree(root, ignore_errors=True)
    guest, units = root / "guest", root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    shutil.copytree(REPOSITORY / "loadctl", guest / "loadctl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "deploy", guest / "deploy")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", guest, REPOSITORY)
    for script, name in ((HOME, "home"), (STORY, "story")):
        shutil.copy(script, guest / f"{name}.py")
        (units / f"{name}.service").write_text(UNIT.format(name))
        (units / f"multi-user.target.wants/{name}.service").symlink_to(f"../{name}.service")
    _pack(root, packed)
    return packed


def _pack(root: Path, archive: Path) -> None:
    run("sh", "-c", f"cd '{root}' && find . | cpio -o -H newc -R 0:0 --quiet > '{archive}'")
    if not archive.stat().st_size:
        raise Missing(f"cpio left {archive} empty: is the disk full?")
