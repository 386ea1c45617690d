"""What a driver is handed and what it must offer; the names of all drivers stand in `meters` and `actuators`.

A driver is one file and one line. The class takes its YAML keys as a frozen pydantic dataclass named `Options` (so that
`loadctl check` and the JSON Schema know them) and a `Shared`:

    class Shelly:
        Options = ShellyOptions
        def __init__(self, options: ShellyOptions, shared: Shared) -> None: ...

Building one does no I/O and never fails because a device is away. A driver parses and translates; it does not retry,
schedule or judge: the next tick does.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

import httpx

from loadctl.core.rules import Load
from loadctl.core.values import Command, Report, Sample
from loadctl.errors import Unreachable

HURRY_S = 1.0  # real seconds for a request that is under way to end when another load of the device must go off

T = TypeVar("T")


class Clock(Protocol):
    """The only clock of the daemon and its drivers. I/O time-outs are not asked of it: they are httpx's and real."""

    def now(self) -> float: ...  # monotonic seconds
    def wall(self) -> datetime: ...  # aware, in the site's time zone
    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class LoopClock:
    """The event loop's time and the system's wall clock."""

    zone: tzinfo

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> datetime:
        return datetime.now(self.zone)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class Line:
    """One request at a time to one device, however many loads hang on it.

    Who is in a hurry passes all that wait: while one of those without hurry is under way or next, the others stand in
    the queue behind it. The one under way has a moment to end; then it is cut short, for an OFF must not wait until a
    device that hangs is given up.
    """

    def __init__(self) -> None:
        self._queue = asyncio.Lock()
        self._line = asyncio.Lock()
        self._under_way: asyncio.Timeout | None = None

    @asynccontextmanager
    async def turn(self, *, hurry: bool) -> AsyncIterator[None]:
        """Wait for the line and keep it. Raises Unreachable where somebody in a hurry cut it short."""
        if hurry and self._under_way is not None and self._under_way.when() is None:
            self._under_way.reschedule(asyncio.get_running_loop().time() + HURRY_S)
        async with nullcontext() if hurry else self._queue, self._line:
            try:
                async with asyncio.timeout(None) as limit:
                    self._under_way = None if hurry else limit
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise Unreachable("cut short: another load of this device must go off") from error
            finally:
                self._under_way = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What the service owns and lends to drivers. Tests hand in a client with `httpx.MockTransport`."""

    clock: Clock
    client: Callable[..., httpx.AsyncClient] = field(default=httpx.AsyncClient)
    _lines: dict[str, Line] = field(default_factory=dict, repr=False, compare=False)
    _common: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def line(self, address: str) -> Line:
        """Return the line to the device at `address`, the same for all its loads."""
        return self._lines.setdefault(address, Line())

    def common(self, key: str, make: Callable[[], T]) -> T:
        """Return what drivers share under `key` (a server, a bus), made at the first call; it counts its own users."""
        if key not in self._common:
            self._common[key] = make()
        found: T = self._common[key]
        return found


class Meter(Protocol):
    """Reads the house. `every_s` is how long to wait between two readings; a driver may learn it at the first one."""

    @property
    def every_s(self) -> float: ...

    async def read(self) -> Sample:
        """Return a fresh reading, its `read_at` on `shared.clock`. Raises DeviceError."""
        ...

    async def close(self) -> None: ...


class InputSource(Protocol):
    """Gives one number: a temperature, a price, yes (1) or no (0)."""

    @property
    def every_s(self) -> float:
        """How long to wait between two readings."""
        ...

    @property
    def max_age_s(self) -> float:
        """After how long a value is no longer known."""
        ...

    async def read(self) -> float:
        """Return the value in its base unit, always finite. Raises DeviceError."""
        ...

    async def close(self) -> None: ...


class Actuator(Protocol):
    """Switches one load. One request in flight at a time is the caller's promise (each actuator has one mailbox)."""

    @property
    def lease_s(self) -> float | None:
        """How long an ON lasts if we fall silent; None: the device cannot go off by itself (`failsafe: none`)."""
        ...

    @property
    def settle_s(self) -> float:
        """How long after a confirmed switching the meter may still show the old power."""
        ...

    @property
    def every_s(self) -> float:
        """How often to read the real state back while nothing else is said."""
        ...

    async def apply(self, command: Command) -> Report:
        """Set, read back, compare. The report carries `command.id`; what the device refuses raises DeviceError.

        An ON always carries the lease where the device has one; the same command again only renews it.
        """
        ...

    async def read(self) -> Report:
        """Read the real state. Raises DeviceError."""
        ...

    async def close(self) -> None:
        """Let go of the device; what the load does then is the driver's to document."""
        ...


@runtime_checkable
class Charger(Protocol):
    """An actuator that sets a current: a wallbox. It obeys `Command.amps` and `Command.phases`.

    `step_a`: the steps in which the current can be set. `switches_phases`: it can change between one and three phases
    itself, pausing the car as it must, within one `apply`. `rise_s`: how long to wait between two rises.
    """

    step_a: float
    switches_phases: bool
    rise_s: float


@runtime_checkable
class Dimmer(Protocol):
    """An actuator that sets a power in watts. It obeys `Command.watts`.

    `step_share`: its finest step as a share of the load's `power`; `least_share`: what it cannot go below and still be
    on. `rise_s`: how long to wait between two rises. Its options carry `rated`, in W: what the load draws at 100 %;
    that is the load's `power` unless the rule file gives one.
    """

    step_share: float
    least_share: float
    rise_s: float


@runtime_checkable
class Spared(Protocol):
    """A charger or a dimmer that keeps each setting in its flash memory, or is on a slow line. Optional.

    While it is on it is set anew once in `spare_s`, unless that matters: then at once.
    """

    spare_s: float


@runtime_checkable
class Wakeable(Protocol):
    """A charger that can wake a car that fell asleep. Optional; asked once in a while for a car that takes nothing."""

    async def wake(self) -> None:
        """Do what makes a sleepy car look at its socket again. Raises DeviceError."""
        ...


@runtime_checkable
class Noted(Protocol):
    """Options that can be meant, and yet have something that their owner should know. Optional, of an `Options`."""

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield each key that matters, and a sentence for `loadctl check`."""
        ...


@runtime_checkable
class Telling(Protocol):
    """An actuator that measures the `temperature` or the `soc` of what it feeds: `tells` names which. Optional; what is
    measured is in `Report.inputs`.
    """

    tells: tuple[str, ...]


class Level(StrEnum):
    """How much a finding of `loadctl doctor` matters; UNSEEN: it could not be looked at."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    DANGER = "danger"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `check` is its short, lasting name, unique within a device; `fixed`: put right just now."""

    check: str
    level: Level
    message: str
    advice: str = ""
    fixed: bool = False


@runtime_checkable
class ThoroughMeter(Protocol):
    """A meter that spreads its rare questions over several readings and can also ask them all for one."""

    async def read_whole(self) -> Sample:
        """Return a reading with all that can be known. Raises DeviceError."""
        ...


@runtime_checkable
class DetailedMeter(Protocol):
    """A meter that knows more than power: its panels, their states. For a person's eyes, never for control."""

    async def extras(self) -> Mapping[str, Any]:
        """Return what can be had after a reading, as plain values. Raises nothing."""
        ...


@runtime_checkable
class CaredMeter(Protocol):
    """A meter that can tell what may hurt later. Optional; nothing is changed."""

    async def inspect(self, samples: Sequence[Sample]) -> tuple[Finding, ...]:
        """Look at the device behind `samples`, the readings of the last moments (perhaps none). Raises DeviceError."""
        ...


@runtime_checkable
class Cared(Protocol):
    """An actuator that can tell what may hurt later. Optional; nothing is switched or changed."""

    async def inspect(self, load: Load) -> tuple[Finding, ...]:
        """Look at the device and its settings with the load's rule in mind. Raises DeviceError."""
        ...


@runtime_checkable
class Mendable(Protocol):
    """An actuator whose settings can be put right from here. Optional."""

    async def mend(self, load: Load) -> tuple[Finding, ...]:
        """Change what must be, read it back and tell each change, before → after. Raises DeviceError."""
        ...


def driver_class(registry: Mapping[str, str], name: str) -> Any:
    """Import the class that `registry` names `package.module:Class`; only what a rule file uses is ever imported."""
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
