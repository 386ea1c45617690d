"""A Raspberry Pi's pins as a relay needs them: a pin factory for gpiozero on the kernel's own GPIO interface.

gpiozero's own factories first turn a pin into an input without pull and then into a low output. A relay board that
switches on a low pin (most do) clicks on at every start, and a load that ran is dropped. lgpio, the usual one, sits on
the same interface as this file and cannot take a line without changing it. Version 2 of that interface (Linux 5.10)
can: a line is taken as it is, looked at, and made an output together with its level in one call. No library, no daemon,
no thread and no pipes in the working directory.

Layouts and numbers: include/uapi/linux/gpio.h of Linux; what stands behind: drivers/pinctrl/bcm/pinctrl-bcm2835.c.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from gpiozero.exc import GPIOPinInUse, PinInvalidFunction
from gpiozero.pins.local import get_pi_revision
from gpiozero.pins.mock import MockFactory
from gpiozero.pins.pi import PiFactory, PiPin

# ioctl request numbers: direction (1 write, 2 read) << 30 | size << 16 | 0xB4 << 8 | number
CHIP_INFO = 0x8044B401
LINE_INFO = 0xC100B405
TAKE_LINE = 0xC250B407
SET_CONFIG = 0xC110B40D
GET_VALUES = 0xC010B40E
SET_VALUES = 0xC010B40F

FLAG_OUTPUT = 1 << 3
FLAG_PULL_UP = 1 << 8
FLAG_PULL_DOWN = 1 << 9

CHIP = struct.Struct("=32s32sI")  # gpiochip_info: name, label, lines
CONFIG = struct.Struct("=QI20xI4xQQ216x")  # gpio_v2_line_config: flags, attributes; the first: id, values, mask
LINE = struct.Struct("=32s32sIIQ160x16x")  # gpio_v2_line_info: name, consumer, offset, attributes, flags
REQUEST = struct.Struct("=I252x32s272xII20xi")  # gpio_v2_line_request: offset, consumer, (config), lines, buffer, fd
VALUES = struct.Struct("=QQ")  # gpio_v2_line_values: bits, mask
OUTPUT_VALUES = 2  # gpio_v2_line_attr_id


class Kernel(Protocol):
    """The four things asked of Linux; tests put a kernel of their own in its place."""

    def chips(self) -> list[str]: ...
    def open(self, path: str) -> int: ...
    def ioctl(self, fd: int, request: int, argument: bytearray) -> None: ...
    def close(self, fd: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Linux:
    """The kernel that runs us. Everything raises OSError."""

    def chips(self) -> list[str]:
        return sorted(str(path) for path in Path("/dev").glob("gpiochip*"))

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, fd: int, request: int, argument: bytearray) -> None:
        fcntl.ioctl(fd, request, argument)

    def close(self, fd: int) -> None:
        os.close(fd)


def open_factory(name: Literal["kernel", "mock"], *, rest_high: bool) -> PiFactory:
    """Build the pin factory that the rule file names; there is no falling back to another.

    `rest_high`: the level at which the relay is at rest, see `KernelPin`.
    """
    return MockFactory() if name == "mock" else KernelFactory(rest_high=rest_high)


class KernelFactory(PiFactory):  # type: ignore[misc]  # gpiozero has no types
    """Pins of the 40-pin header; `revision` is the board's code, read from this machine if not given."""

    def __init__(self, *, rest_high: bool, kernel: Kernel | None = None, revision: int | None = None) -> None:
        super().__init__()
        self.rest_high = rest_high
        self.kernel = Linux() if kernel is None else kernel
        self.revision = revision
        self.pin_class = KernelPin

    def _get_revision(self) -> int:
        return int(get_pi_revision()) if self.revision is None else self.revision


class KernelPin(PiPin):  # type: ignore[misc]  # gpiozero has no types
    """One line, ours until `close`: nobody else can take it, and the kernel takes it back when the process dies.

    Taking it changes nothing: `function` and `state` tell how it was found. `output_with_state` sets direction and
    level at once, and turns the weak pull inside the chip towards rest: where the kernel makes a released line an input
    again, that pull is what keeps the relay off.
    """

    def __init__(self, factory: KernelFactory, info: Any) -> None:
        super().__init__(factory, info)
        kernel = factory.kernel
        self._line: int | None = None
        self._pull = FLAG_PULL_UP if factory.rest_high else FLAG_PULL_DOWN
        with _header(kernel) as chip:
            self._line = _take(kernel, chip, self._number)
            # Only a line that is held tells the direction of the hardware; before, it is what the last owner left.
            self._output = bool(_line_info(kernel, chip, self._number)[1] & FLAG_OUTPUT)

    def output_with_state(self, state: bool) -> None:
        config = bytearray(CONFIG.pack(FLAG_OUTPUT | self._pull, 1, OUTPUT_VALUES, int(state), 1))
        try:
            self._ioctl(SET_CONFIG, config)
        except OSError:
            self.close()
            raise
        self._output = True

    def close(self) -> None:
        if self._line is None:
            return
        self.factory.kernel.close(self._line)
        self._line = None

    def _get_function(self) -> str:
        return "output" if self._output else "input"

    def _set_function(self, value: str) -> None:
        if value != "output":
            raise PinInvalidFunction(f"{self!r} switches a relay: it is an output or nothing, not {value}")
        self.output_with_state(self._get_state())

    def _get_state(self) -> bool:
        """The level at the pin itself, whoever drives it: a short to ground reads low."""
        values = bytearray(VALUES.pack(0, 1))
        self._ioctl(GET_VALUES, values)
        return bool(VALUES.unpack(values)[0] & 1)

    def _set_state(self, value: bool) -> None:
        self._ioctl(SET_VALUES, bytearray(VALUES.pack(int(value), 1)))

    def _ioctl(self, request: int, argument: bytearray) -> None:
        if self._line is None:
            raise OSError(errno.EBADF, f"{self!r} was let go of")
        self.factory.kernel.ioctl(self._line, request, argument)


def holder(kernel: Kernel, number: int) -> str:
    """Return who holds a pin of the header, by the name that was left with the kernel; "" if it is free.

    Changes nothing. Raises OSError.
    """
    with _header(kernel) as chip:
        return _line_info(kernel, chip, number)[0]


@contextlib.contextmanager
def _header(kernel: Kernel) -> Iterator[int]:
    """Open the chip behind the header. Its number differs between kernels, its label does not: pinctrl-bcm2835,
    pinctrl-bcm2711 (Pi 4), pinctrl-rp1 (Pi 5).
    """
    for path in kernel.chips():
        chip = kernel.open(path)
        try:
            info = bytearray(CHIP.size)
            kernel.ioctl(chip, CHIP_INFO, info)
            if CHIP.unpack(info)[1].startswith(b"pinctrl-"):
                yield chip
                return
        finally:
            kernel.close(chip)
    raise FileNotFoundError(errno.ENOENT, "no GPIO chip of a Raspberry Pi's header", "/dev/gpiochip*")


def _take(kernel: Kernel, chip: int, number: int) -> int:
    """Take one line as it is; returns its file descriptor."""
    request = bytearray(REQUEST.pack(number, b"loadctl", 1, 0, 0))
    try:
        kernel.ioctl(chip, TAKE_LINE, request)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        holder = _line_info(kernel, chip, number)[0]
        raise GPIOPinInUse(f"GPIO{number} is held by {holder or 'another program'}") from error
    return int(REQUEST.unpack(request)[-1])


def _line_info(kernel: Kernel, chip: int, number: int) -> tuple[str, int]:
    """Who holds a line and its flags."""
    info = bytearray(LINE.pack(b"", b"", number, 0, 0))
    kernel.ioctl(chip, LINE_INFO, info)
    _, consumer, _, _, flags = LINE.unpack(info)
    return consumer.rstrip(b"\0").decode(errors="replace"), flags
