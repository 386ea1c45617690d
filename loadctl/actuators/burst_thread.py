"""The thread that fires the bursts of one relay, and the watch that thread and event loop keep on each other.

The loop never waits for the thread: it says what share it wants, and looks. Whoever of the two finds the other missing
switches the relay off: the thread when the loop has not looked for the schedule's lease, the loop when a pulse should
have ended `STALL_S` ago or the thread is gone. If both stand still (a stopped process, a Pi that hangs), nothing in
here can help.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import inf
from typing import Any, Protocol

from loadctl.actuators.burst import Schedule
from loadctl.actuators.gpio import FOREIGN
from loadctl.errors import DeviceError, Refused, Unreachable

STALL_S = 1.0  # a pulse that is overdue by so long has no thread to end it
LOCK_S = 0.1  # a pin is switched in microseconds; whoever keeps it longer hangs in the kernel

logger = logging.getLogger(__name__)


class Pace(Protocol):
    """The thread's clock, monotonic s, and its sleep."""

    def now(self) -> float: ...

    def wait(self, bell: threading.Event, until: float) -> None:
        """Return at `until` (inf: never), or before when the bell rings."""
        ...


class RealPace:
    """The time of this computer."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, bell: threading.Event, until: float) -> None:
        bell.wait(None if until == inf else max(0.0, until - self.now()))


class Firing:
    """Fires `relay`, a gpiozero output device that is off and that nobody else uses, until `stop`.

    `set` and `look` return the schedule as it stands. They raise what ended the thread (DeviceError, or an error of
    gpiozero or the kernel), Unreachable if it hangs, Refused if the pin does not follow; then the relay must be given
    up with `stop`, and a new Firing begun.
    """

    def __init__(self, name: str, relay: Any, schedule: Schedule, pace: Pace) -> None:
        self._name = name
        self._relay = relay
        self._schedule = schedule
        self._pace = pace
        self._lock = threading.Lock()  # over relay and schedule
        self._bell = threading.Event()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        # The interpreter's end does not wait for it, and switches the relay off even so.
        self.thread = threading.Thread(target=self._run, name=f"burst-{name}", daemon=True)
        atexit.register(self.stop)
        self.thread.start()

    def set(self, percent: int) -> Schedule:
        """Ask for a share; the same again only renews the lease. Nothing at all is driven off before it returns."""
        with self._pin():
            self._check()
            self._schedule.set(percent, self._pace.now())
            self._turn()
            seen = replace(self._schedule)
        self._bell.set()
        return seen

    def look(self) -> Schedule:
        """See that thread and pin do what they should, and renew the lease."""
        with self._pin():
            self._check()
            self._follow()
            self._schedule.renew(self._pace.now())
            return replace(self._schedule)

    def stop(self) -> None:
        """Drive the relay off, let go of its pin and tell the thread to end."""
        self._ended.set()
        self._bell.set()
        atexit.unregister(self.stop)
        with self._pin():
            self._quench()

    def _run(self) -> None:
        try:
            while True:
                self._bell.clear()
                with self._lock:
                    if self._ended.is_set():
                        return
                    self._turn()
                    until = self._schedule.ends_at
                self._pace.wait(self._bell, until)
        except (*FOREIGN, DeviceError) as error:
            self._failure = error
        finally:
            with self._lock, suppress(*FOREIGN):  # what failed first is told
                self._quench()

    def _turn(self) -> None:
        schedule = self._schedule
        was_on, was_expired = schedule.on, schedule.expired
        schedule.turn(self._pace.now())
        if schedule.expired and not was_expired:
            logger.error("%s: loadctl has not looked for %.0f s: switched off", self._name, schedule.lease_s)
        if schedule.on is not was_on:
            self._relay.value = schedule.on
            self._follow()

    def _follow(self) -> None:
        """Compare the pin with what it was driven to."""
        on = self._schedule.on
        if bool(self._relay.is_active) is on:
            return
        raise Refused(
            f"{self._name} was driven {'on' if on else 'off'} and reads the opposite",
            hint="a short at the pin, or another program drives it: look with `pinctrl get`",
        )

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self.thread.is_alive():
            raise Unreachable(f"{self._name}: the thread that fires the bursts has ended", hint="the log says why")
        overdue_s = self._pace.now() - self._schedule.ends_at
        if overdue_s > STALL_S:
            raise Unreachable(
                f"{self._name}: the thread that fires the bursts is {overdue_s:.1f} s late",
                hint="this computer does too much, or was stopped",
            )

    def _quench(self) -> None:
        if self._relay.closed:
            return
        try:
            self._relay.off()
        finally:
            self._relay.close()

    @contextmanager
    def _pin(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=LOCK_S):
            raise Unreachable(f"{self._name}: the thread that fires the bursts hangs in the kernel")
        try:
            yield
        finally:
            self._lock.release()
