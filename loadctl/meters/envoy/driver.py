"""The meter: each reading one request, from the best page this Envoy has; other pages rarely and one at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loadctl.core.values import Sample
from loadctl.drivers import Finding, Shared
from loadctl.errors import DeviceError, Refused
from loadctl.meters.envoy import care, pages, panels
from loadctl.meters.envoy.aside import Aside
from loadctl.meters.envoy.balance import Pace, Seen, weigh
from loadctl.meters.envoy.box import Box
from loadctl.meters.envoy.link import Link, Moved, NoConnection
from loadctl.meters.envoy.options import EnvoyOptions
from loadctl.meters.envoy.pages import Measured
from loadctl.meters.envoy.production import PRODUCTION, PRODUCTION_PLAIN, Wishes, from_production
from loadctl.meters.envoy.setup import JSON_SINCE
from loadctl.meters.envoy.stream import INSTALLER, Stream
from loadctl.meters.envoy.wire import Forbidden, NoSuchPage, decode

# What a page can bear and how long its word counts; faster than once a second the Envoy gives wrong numbers.
_FAST, _CALM, _SLOW = Pace(5.0, 20.0), Pace(10.0, 35.0), Pace(60.0, 1200.0)
_PACE = {"stream": Pace(1.0, 10.0), "livedata": _FAST, "readings": _FAST, "production": _CALM}
_PAGE = {
    "stream": pages.STREAM,
    "livedata": pages.LIVEDATA,
    "readings": pages.READINGS,
    "production": PRODUCTION_PLAIN,
    "v1": pages.V1,
    "page": pages.PAGE,
    "inverters": pages.INVERTERS,
}

_DROPPED_S = 3600.0  # before a page that was not there is tried again
_LIVE_AGAIN_S = 60.0  # between two attempts to switch the live data on
_PANELS_S, _DEVICES_S = 300.0, 600.0
_SHARE = 200.0  # /inventory.json blocks the box, on some for 20 s: it may do so for a 200th of the time at most
_REST_S, _REST_MOST_S = 5.0, 300.0

_RARE_PAGES = 8  # more than there are: a bound

_DICE = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class _Dropped:
    """A page that gives nothing here, until when, and the flags that tell why."""

    until: float
    flags: frozenset[str] = frozenset()


class Envoy:
    """Reads an Enphase Envoy. Requests are made one at a time, over all pages."""

    Options = EnvoyOptions

    def __init__(self, options: EnvoyOptions, shared: Shared) -> None:
        self._options, self._clock = options, shared.clock
        self._wishes = Wishes(options.pv_source, options.untyped_meter)
        self._link = Link(options, shared)
        self._box = Box(options, shared, self._link)
        self._stream = Stream(self._link, shared.clock)
        self._turn = asyncio.Lock()
        self._era = 0
        self._aside = Aside(self._box.info, 0.0)
        self._dropped: dict[str, _Dropped] = {}
        self._seen: dict[str, Seen] = {}
        self._pace = _PACE.get(options.source, _FAST if options.source == "auto" else _SLOW)
        self._read_once = False
        self._live_due = float("-inf")
        self._failures = 0
        self._panels: list[dict[str, Any]] = []
        self._devices: list[dict[str, Any]] = []
        self._panels_due = self._devices_due = float("-inf")

    @property
    def every_s(self) -> float:
        """How long to wait between two readings: the owner's wish, or what the page in use can bear."""
        return self._paced(self._pace).every_s

    async def read(self) -> Sample:
        """Return a reading. Raises DeviceError, whose `retry_after_s` doubles from failure to failure."""
        async with self._turn:
            try:
                sample = await self._read()
            except DeviceError as error:
                self._failures += 1
                rest_s = min(_REST_S * 2 ** min(self._failures - 1, 10), _REST_MOST_S) * _DICE.uniform(1.0, 1.1)
                error.retry_after_s = max(error.retry_after_s, rest_s)
                if isinstance(error, NoConnection | Moved | NoSuchPage):
                    self._box.doubt()
                raise
            self._failures = 0
            self._read_once = True
            return sample

    async def read_whole(self) -> Sample:
        """Return a reading for which the rare pages were asked too, which takes some seconds. Raises DeviceError."""
        sample = await self.read()
        async with self._turn:
            asked = 0
            while asked < _RARE_PAGES and self._aside.next(self._clock.now(), first=False):
                await self._ask_aside()
                asked += 1
        return await self.read() if asked else sample

    async def extras(self) -> Mapping[str, Any]:
        """Return what is worth a look now and then: firmware, panels, states of the devices.

        Asks the Envoy every 5 minutes for the panels and every 10 (less if that takes it long) for the states, else
        gives what it knows. Raises nothing: what cannot be had is not there.
        """
        async with self._turn:
            if self._read_once:
                await self._ask_panels()
        info = self._box.info
        return {
            "firmware": info.software,
            "serial": info.serial,
            "certificate_sha256": self._link.certificate,
            "panels": tuple(self._panels),
            "devices": tuple(self._devices),
        }

    async def inspect(self, samples: Sequence[Sample]) -> tuple[Finding, ...]:
        """Tell what could hurt later, after `read`; `samples` are its answers. Changes nothing, raises nothing."""
        async with self._turn:
            await self._stream.close()
            return await care.inspect(self._options, self._clock, self._link, samples)

    async def close(self) -> None:
        """Close the connection; nothing is switched back."""
        await self._stream.close()
        await self._box.close()
        await self._link.close()

    async def _read(self) -> Sample:
        if self._box.due():
            await self._stream.close()  # it is a request, too, and there is one at a time
        await self._box.ready()
        if self._era != self._box.era:
            self._era = self._box.era
            self._aside = Aside(self._box.info, self._clock.now())
            self._dropped, self._seen, self._read_once = {}, {}, False
        await self._ask_aside()
        name, measured, at = await self._measure()
        seen = self._seen.get(name, Seen()).look(measured.time, at)
        self._seen[name] = seen
        stale = seen.stale(at)
        if stale and name == "livedata" and self._options.source == "auto":
            self._drop(name, _LIVE_AGAIN_S)
        flags = measured.flags.union(self._box.flags, *(page.flags for page in self._dropped.values()))
        self._pace = _SLOW if measured.slow else _PACE.get(name, _SLOW)
        return weigh(
            replace(measured, flags=flags),
            self._aside.side(at),
            read_at=seen.at,
            stale=stale,
            source=_PAGE[name],
            pace=self._paced(self._pace),
        )

    async def _measure(self) -> tuple[str, Measured, float]:
        """Ask the first source that has an answer; return its name, what it says and when it came."""
        last: DeviceError | None = None
        for name in self._sources():
            if name in self._dropped and self._dropped[name].until > self._clock.now():
                continue
            self._dropped.pop(name, None)
            try:
                measured, at = await self._ask(name)
            except (NoSuchPage, Forbidden, _NotLive) as error:
                if self._options.source != "auto":
                    raise
                self._drop(name, _LIVE_AGAIN_S if isinstance(error, _NotLive) else _DROPPED_S)
                last = last if isinstance(last, Forbidden) else error
                continue
            if self._options.source == "auto" and measured.slow and measured.pv_w is None:
                self._drop(name, _DROPPED_S, measured.flags)
                continue
            return name, measured, at
        self._dropped.clear()
        raise last or Refused(
            f"the Envoy at {self._options.host} ({self._box.info.name}) has no page with a reading",
            hint="is a consumption CT fitted and enabled?",
        )

    def _sources(self) -> list[str]:
        """Return the pages to try, best first: CTs measure now, inverters reported minutes ago."""
        if self._options.source != "auto":
            return [self._options.source]
        info, setup = self._box.info, self._box.setup
        if info.version and info.version < JSON_SINCE:
            return ["page", "v1"]
        if setup.known and not setup.any:
            return ["v1", "production", "page", "inverters"]
        fast = ["readings"] if setup.any and self._options.pv_source != "inverters" else []
        live = ["livedata"] if fast and self._options.live_data and info.tokens and setup.consumption else []
        return [*live, *fast, "production", "v1", "page", "inverters"]

    async def _ask(self, name: str) -> tuple[Measured, float]:
        """Ask one source; return what it says and when it said so. Raises DeviceError."""
        setup, info = self._box.setup, self._box.info
        if name == "stream":
            return await self._ask_stream()
        if name == "livedata":
            return await self._ask_live()
        if name == "production":
            value = await self._production()
            self._aside.ac_battery(value, self._clock.now())
            return from_production(value, setup, info, self._wishes), self._clock.now()
        path = _PAGE[name]
        text = await self._box.get(path)
        at = self._clock.now()
        if name == "page":
            return pages.from_page(text), at
        value = decode(text, path)
        if name == "readings":
            return pages.from_readings(value, setup, info), at
        return (pages.from_v1(value, setup, info) if name == "v1" else pages.from_inverters(value)), at

    async def _production(self) -> Any:
        """Read production.json with the phases, or without where the firmware does not know the difference."""
        if "details" not in self._dropped:
            try:
                return decode(await self._box.get(PRODUCTION), PRODUCTION)
            except NoSuchPage:
                self._drop("details", _DROPPED_S)
        return decode(await self._box.get(PRODUCTION_PLAIN), PRODUCTION_PLAIN)

    async def _ask_live(self) -> tuple[Measured, float]:
        """Read the live data, and switch them on if that is allowed: they stop by themselves after a while."""
        value = decode(await self._box.get(pages.LIVEDATA), pages.LIVEDATA)
        if pages.live_enabled(value):
            return pages.from_livedata(value, self._box.setup), self._clock.now()
        if not self._options.live_data:
            raise _NotLive("the Envoy's live data are switched off", hint="allow it with `live_data: true`")
        if self._clock.now() < self._live_due:
            raise _NotLive("the Envoy's live data do not start", hint="use `source: readings`")
        self._live_due = self._clock.now() + _LIVE_AGAIN_S
        await self._link.post("/ivp/livedata/stream", {"enable": 1})
        before = pages.from_livedata(value, self._box.setup)
        value = decode(await self._box.get(pages.LIVEDATA), pages.LIVEDATA)
        measured = pages.from_livedata(value, self._box.setup)
        if measured.time == before.time:
            raise _NotLive("the Envoy's live data were switched on and have yet to start")
        return measured, self._clock.now()

    async def _ask_stream(self) -> tuple[Measured, float]:
        try:
            frame = await self._stream.next()
        except (Forbidden, NoSuchPage) as error:
            # A session may be over; below 7 some boxes open the stream only after this page.
            if not await self._box.reenter():
                raise Refused(str(error.args[0]), hint=INSTALLER, retry_after_s=_REST_MOST_S) from error
            if not self._box.info.tokens:
                await self._open_sesame()
            try:
                frame = await self._stream.next()
            except (Forbidden, NoSuchPage) as again:
                raise Refused(str(again.args[0]), hint=INSTALLER, retry_after_s=_REST_MOST_S) from again
        measured = pages.from_stream(frame.value, self._box.setup)
        return (replace(measured, flags=measured.flags | {"stream_bursts"}) if frame.late else measured), frame.at

    async def _open_sesame(self) -> None:
        try:
            await self._link.get("/installer/setup/home")
        except DeviceError:
            return

    async def _ask_aside(self) -> None:
        """Ask a rare page if one is due; what it says is for this and later readings."""
        while path := self._aside.next(self._clock.now(), first=not self._read_once):
            await self._stream.close()
            try:
                text = await self._link.get(path)
            except DeviceError as error:
                self._aside.fail(path, error, self._clock.now())
            else:
                self._aside.take(path, text, self._clock.now())
            if self._options.source != "stream":  # to stop a stream costs more than one page
                return

    async def _ask_panels(self) -> None:
        now = self._clock.now()
        if now >= self._panels_due:
            self._panels_due = now + _PANELS_S
            value = await self._try(pages.INVERTERS)
            if isinstance(value, list):
                self._panels = panels.panel_reports(value)
        if (now := self._clock.now()) >= self._devices_due:
            value = await self._try(panels.DEVICES)
            self._devices_due = self._clock.now() + max(_DEVICES_S, _SHARE * (self._clock.now() - now))
            if isinstance(value, list):
                self._devices = panels.device_reports(value)

    async def _try(self, path: str) -> Any:
        await self._stream.close()
        try:
            return decode(await self._link.get(path), path)
        except DeviceError:
            return None

    def _drop(self, name: str, seconds: float, flags: frozenset[str] = frozenset()) -> None:
        self._dropped[name] = _Dropped(self._clock.now() + seconds, flags)

    def _paced(self, pace: Pace) -> Pace:
        every_s = self._options.every or pace.every_s
        return Pace(every_s, self._options.max_age or max(pace.max_age_s, 3 * every_s))


class _NotLive(Refused):
    """The live data stand still."""
