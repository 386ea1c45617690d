"""The GPIO side of Linux on a Raspberry Pi, spoken to in the bytes of the real ioctls, down to the level at each pad.

Shapes are written out here a second time, from include/uapi/linux/gpio.h, so that driver and emulator cannot share a
mistake by sharing a constant.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

DECOY, HEADER = "/dev/gpiochip0", "/dev/gpiochip4"
LABELS = {DECOY: b"raspberrypi-exp-gpio", HEADER: b"pinctrl-rp1"}


def u32(data: bytes | bytearray, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def u64(data: bytes | bytearray, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


@dataclass(slots=True)
class Line:
    """One pin. `pull` is the resistor inside the chip, `board` a stronger one outside, `short` wins over everything."""

    output: bool = False
    latch: bool = False
    pull: bool | None = False
    board: bool | None = None
    short: bool | None = None
    holder: str = ""
    trail: list[bool | None] = field(default_factory=list)

    @property
    def level(self) -> bool | None:
        """What a relay board sees; None is a floating pin, at which anything may happen."""
        if self.short is not None:
            return self.short
        if self.output:
            return self.latch
        return self.pull if self.board is None else self.board


class EmulatedKernel:
    """`persist`: what a dead program drove stays driven, as on Raspberry Pi OS. `fault`: errno that all calls meet."""

    def __init__(self, *, persist: bool = False) -> None:
        self.persist = persist
        self.fault = 0
        self.lines = [Line() for _ in range(54)]
        self.paths = [DECOY, HEADER]
        self._open: dict[int, str | int] = {}
        self._next = 100

    @property
    def descriptors(self) -> int:
        return len(self._open)

    def die(self) -> None:
        """The process ends without a word: the kernel closes what it had open."""
        for fd in list(self._open):
            self.close(fd)

    def chips(self) -> list[str]:
        return self.paths

    def open(self, path: str) -> int:
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault), path)
        return self._descriptor(path)

    def close(self, fd: int) -> None:
        what = self._open.pop(fd, None)  # None: the rubbish of a process that died before
        if isinstance(what, int):
            line = self.lines[what]
            line.holder = ""
            line.output = line.output and self.persist
            line.trail.append(line.level)

    def ioctl(self, fd: int, request: int, argument: bytearray) -> None:
        what = self._open[fd]
        if isinstance(what, str):
            self._chip(what, request, argument)
            return
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        self._line(self.lines[what], request, argument)
        self.lines[what].trail.append(self.lines[what].level)

    def _chip(self, path: str, request: int, argument: bytearray) -> None:
        match request & 0xFF:
            case 0x01:
                assert len(argument) == request >> 16 & 0x3FFF == 68
                argument[32:64] = LABELS[path].ljust(32, b"\0")
            case 0x05:
                assert len(argument) == request >> 16 & 0x3FFF == 256
                line = self.lines[u32(argument, 64)]
                argument[32:64] = line.holder.encode().ljust(32, b"\0")
                argument[72:80] = (8 if line.output else 4).to_bytes(8, "little")
            case 0x07:
                assert len(argument) == request >> 16 & 0x3FFF == 592
                number = u32(argument, 0)
                assert path == HEADER
                assert u32(argument, 560) == 1  # one line
                assert u64(argument, 288) == 0  # no flags: as it is
                if self.lines[number].holder:
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
                self.lines[number].holder = argument[256:288].rstrip(b"\0").decode()
                argument[588:592] = self._descriptor(number).to_bytes(4, "little")
            case _:
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _line(self, line: Line, request: int, argument: bytearray) -> None:
        match request & 0xFF:
            case 0x0D:
                assert len(argument) == request >> 16 & 0x3FFF == 272
                flags = u64(argument, 0)
                assert flags & ~0x300 == 8  # output, no inversion, perhaps a pull
                assert (u32(argument, 8), u32(argument, 32), u64(argument, 48)) == (1, 2, 1)
                if flags & 0x300:
                    line.pull = bool(flags & 0x100)
                    line.trail.append(line.level)
                line.output, line.latch = True, bool(u64(argument, 40) & 1)
            case 0x0E:
                assert len(argument) == request >> 16 & 0x3FFF == 16
                argument[0:8] = int(bool(line.level)).to_bytes(8, "little")
            case 0x0F:
                if not line.output:
                    raise OSError(errno.EPERM, os.strerror(errno.EPERM))
                line.latch = bool(u64(argument, 0) & 1)
            case _:
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _descriptor(self, what: str | int) -> int:
        self._next += 1
        self._open[self._next] = what
        return self._next
