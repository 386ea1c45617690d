"""What survives a power cut: an observer that gathers each tick and writes rarely, so that an SD card lives long.

At most one flush in FLUSH_S, outside of switchings; then at once. An ON waits until it is on the disk, for a second at
most; an OFF waits for nothing. One thread owns the file, so that a slow disk never holds up a tick, and a disk that is
full, read-only or broken only means that `up` is false and `why` says so, until it works again.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from loadctl.core.appliance import tallied
from loadctl.core.rules import Site
from loadctl.core.values import AnyWish, Outcome, Report, State, Tick
from loadctl.drivers import Clock
from loadctl.service.energy import Origin, Session
from loadctl.service.ledger import Explain, Ledger
from loadctl.service.resume import FLUSH_S, Moment, Saved, SavedLoad, restore, restore_wishes
from loadctl.service.store import Batch, Keep, Store

FILE = "memory.sqlite"
ON_LIMIT_S = 1.0
OPEN_LIMIT_S = 10.0
CLOSE_LIMIT_S = 5.0
HUNG_S = 10.0
LEARN_S = 900.0  # so often what was learned is written down

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def state_dir(chosen: Path | None, env: Mapping[str, str]) -> Path:
    """Return the folder to keep things in: as told, by systemd, by XDG, or ~/.local/state/loadctl."""
    if chosen is not None:
        return chosen
    if given := env.get("STATE_DIRECTORY"):
        return Path(given.split(":", maxsplit=1)[0])
    if home := env.get("XDG_STATE_HOME"):
        return Path(home) / "loadctl"
    return Path(env["HOME"] if env.get("HOME") else Path.home()) / ".local" / "state" / "loadctl"


def read_boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return what names this boot of the machine; "" where it cannot be told, which is equal to no other."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""


def clock_synchronised() -> bool:
    """Tell whether the kernel knows that the wall clock is right (NTP); what cannot be asked is not known."""
    buffer = ctypes.create_string_buffer(512)  # struct timex is at most 208 bytes; modes = 0 only reads
    try:
        return 0 <= int(ctypes.CDLL(None).adjtimex(buffer)) < _TIME_ERROR
    except (OSError, AttributeError):
        return False


class Inline(Executor):
    """Does the work where it is asked for: for a virtual clock, in which waiting for a thread takes no time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True, slots=True)
class _Flush:
    """A batch on its way to the disk; `count`: the last tick in it."""

    answer: asyncio.Future[str | None]
    batch: Batch
    count: int
    begun_at: float


class Memory:
    """Open one with `Memory.open`, let it observe the ticks, `close` it after the loads are in their safe state.

    `up`: what happens is being written down; if not, `why` tells what is in the way. `flushes` counts. `saved` is what
    the last run left. Should the disk hang for good, the interpreter waits for the thread at its end; systemd does not.
    """

    def __init__(
        self, store: Store, executor: Executor, clock: Clock, site: Site, boot_id: str, trusted: Callable[[], bool]
    ) -> None:
        self.up = True
        self.why = ""
        self.flushes = 0
        self.boot_id = boot_id
        self.saved: Saved | None = None
        self._store = store
        self._executor = executor
        self._clock = clock
        self._site = site
        self._trusted = trusted
        self._ledger = Ledger(site)
        self._identities: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._sessions: Mapping[str, Session] = {}
        self._learners: dict[str, Callable[[], object]] = {}
        self._learned_at = -math.inf
        self._last: tuple[Tick, State] | None = None
        self._wants: tuple[bool, ...] = ()
        self._noted = 0
        self._written = 0
        self._flushed_at = -math.inf
        self._urgent = False
        self._flush: _Flush | None = None
        self._told_aside: Path | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        site: Site,
        *,
        explain: Explain | None = None,
        keep: Keep | None = None,
        boot_id: str | None = None,
        trusted: Callable[[], bool] = clock_synchronised,
        executor: Executor | None = None,
    ) -> Memory:
        """Open the memory in the file `path`. Never fails: without a file to write to, `up` is false and `why` tells.

        What the last run left is in `saved`. `explain` gives a decision its sentence.
        """
        store = Store(path, keep or Keep())
        own = executor or ThreadPoolExecutor(1, thread_name_prefix="memory")
        memory = cls(store, own, clock, site, read_boot_id() if boot_id is None else boot_id, trusted)
        memory._ledger = Ledger(site, explain)
        opening = asyncio.get_running_loop().run_in_executor(own, store.open, clock.wall())
        done, _ = await asyncio.wait({opening}, timeout=OPEN_LIMIT_S)
        if not done:
            memory._tell(f"{path}: the disk does not answer")
            return memory
        memory.saved, why = opening.result()
        if memory.saved is not None:
            memory._identities, memory._addresses = memory.saved.identities, memory.saved.addresses
        memory._tell(why)
        return memory

    @property
    def path(self) -> Path:
        """The file; `History` reads it while this one writes."""
        return self._store.path

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file was put, if that happened in this run."""
        return self._store.set_aside

    @property
    def energy_wh(self) -> Mapping[str, float]:
        """What flowed since the start: import, export, production..."""
        return self._ledger.flows_wh

    @property
    def identities(self) -> Mapping[str, str]:
        """Which device each load was first seen with."""
        return self._identities

    def recall(self, load: str, address: str) -> str | None:
        """Return which device `load` has at `address`; None: not known, or the rules now name another address."""
        if self._addresses.get(load, address) != address:
            self._identities.pop(load, None)
        self._addresses[load] = address
        return self._identities.get(load)

    def forget(self, load: str) -> None:
        """Take the next device that answers for the load's own, because its owner says so."""
        self._identities.pop(load, None)

    def keep(self, what: str, dump: Callable[[], object]) -> object:
        """Write down now and then what `dump` gives, plain JSON values; return what the last run gave, None: nothing.

        It is what can be learned again, so LEARN_S of it may be lost.
        """
        self._learners[what] = dump
        return self.saved.learned.get(what) if self.saved is not None else None

    def resume(
        self, fresh: State, wall: datetime, reports: Mapping[str, Report], was: Mapping[str, str]
    ) -> tuple[State, tuple[AnyWish, ...]]:
        """Return the state and the wishes to go on with; `was`: former names of loads by their present ones."""
        if self.saved is None:
            return fresh, ()
        loads = dict(self.saved.loads)
        for name, former in was.items():
            if name not in loads and former in loads:
                loads[name] = loads[former]
        saved, now_at, trusted = replace(self.saved, loads=loads), self._clock.now(), self._trusted()
        state = restore(
            saved,
            self._site,
            fresh,
            now_at=now_at,
            now_wall=wall,
            boot_id=self.boot_id,
            clock_trusted=trusted,
            reports=reports,
        )
        wishes = restore_wishes(saved, now_at=now_at, now_wall=wall, boot_id=self.boot_id, clock_trusted=trusted)
        return state, wishes

    def follow(self, site: Site) -> None:
        """Go on under new rules."""
        self._site = site
        self._last = None
        self._ledger.follow(site)

    def note(
        self,
        tick: Tick,
        outcome: Outcome,
        had: Mapping[str, Origin] = MappingProxyType({}),
        sessions: Mapping[str, Session] = MappingProxyType({}),
    ) -> None:
        """Take in one tick; what is due is handed to the writer, and nothing waited for.

        `had`: what each load got since the last one; `sessions`: of the cars.
        """
        self._finish()
        self._ledger.note(tick, outcome, had)
        self._sessions = sessions
        for report in tick.reports:
            if report.identity is not None and report.error is None:
                self._identities.setdefault(report.load, report.identity)
        wants = tuple(standing.wants_on for standing in outcome.state.standings)
        if self._last is not None:
            self._urgent |= wants != self._wants or tick.wishes != self._last[0].wishes
        self._wants = wants
        self._last = (tick, outcome.state)
        self._noted += 1
        if self._flush is not None:
            if tick.at - self._flush.begun_at > HUNG_S:
                self._tell(f"{self._store.path}: the disk does not answer")
            return
        if (self._urgent and self.up) or tick.at - self._flushed_at >= FLUSH_S:
            self._begin()

    async def on_is_safe(self) -> bool:
        """Wait until all that was noted is on the disk, for a second at most; False: it is not, go on all the same."""
        target = self._noted
        try:
            async with asyncio.timeout(ON_LIMIT_S):
                while self.up and self._written < target:
                    flush = self._flush or self._begin()
                    if flush is None:
                        return False
                    await asyncio.wait({flush.answer})
                    self._finish()
        except TimeoutError:
            _log.warning("the memory took longer than %g s: switching on all the same", ON_LIMIT_S)
        return self._written >= target

    async def close(self, *, write: bool = True) -> None:
        """Write what is left and let go of the file, within CLOSE_LIMIT_S. Without `write`: as a power cut would."""
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                while write and self._flush is not None:
                    await asyncio.wait({self._flush.answer})
                    self._finish()
                if write and (flush := self._begin(last=True)) is not None:
                    await asyncio.wait({flush.answer})
                    self._finish()
                await asyncio.get_running_loop().run_in_executor(self._executor, self._store.close)
        except TimeoutError:
            _log.error("%s: the disk does not answer, the last seconds are lost", self._store.path)
        self._executor.shutdown(wait=False)

    def _begin(self, *, last: bool = False) -> _Flush | None:
        """Send all that has gathered to the writer."""
        if self._last is None:
            return None
        tick, state = self._last
        learned = last or tick.at >= self._learned_at + LEARN_S
        if learned:
            self._learned_at = tick.at
        batch = Batch(self._snapshot(tick, state, learned=learned), _zone_name(tick), self._ledger.take(last=last))
        self._urgent = False
        self._flushed_at = tick.at
        answer = asyncio.get_running_loop().run_in_executor(self._executor, self._store.write, batch, tick.wall)
        self._flush = _Flush(answer, batch, self._noted, tick.at)
        return self._flush

    def _finish(self) -> None:
        """Take the writer's answer, if it is there."""
        flush = self._flush
        if flush is None or not flush.answer.done():
            return
        self._flush = None
        why = flush.answer.result()
        if why is None:
            self._written = flush.count
            self.flushes += 1
        else:
            self._ledger.give_back(flush.batch.leaves)
            self._learned_at = -math.inf if flush.batch.saved.learned else self._learned_at
        self._tell(why)

    def _tell(self, why: str | None) -> None:
        """Change `up` and `why`, and say it once."""
        if why is not None and why != self.why:
            _log.error("nothing is written down, control goes on: %s", why)
        elif why is None and not self.up:
            _log.info("the memory works again")
        self.up, self.why = why is None, why or ""
        if self.set_aside != self._told_aside:
            self._told_aside = self.set_aside
            _log.error("%s was damaged: it is kept as %s and a new one was begun", self._store.path, self.set_aside)

    def _snapshot(self, tick: Tick, state: State, *, learned: bool) -> Saved:
        moment = Moment(tick.at, tick.wall.timestamp(), state.day, self.boot_id, self._trusted())
        loads = {}
        for load, standing in zip(self._site.loads, state.standings, strict=True):
            complete = replace(standing, tally=tallied(load, standing, tick.at), tallied_at=tick.at)
            identity, address = self._identities.get(load.name), self._addresses.get(load.name)
            session = self._sessions.get(load.name)
            loads[load.name] = SavedLoad(load.name, identity, moment, complete, address, session)
        kept = {what: dump() for what, dump in self._learners.items()} if learned else {}
        return Saved(moment, replace(state, standings=()), loads, tick.wishes, kept)


def _zone_name(tick: Tick) -> str:
    zone = tick.wall.tzinfo
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"
