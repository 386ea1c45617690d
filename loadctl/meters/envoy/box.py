"""Finding the Envoy, logging in, and noticing when it became another one overnight."""

from __future__ import annotations

import httpx

from loadctl.drivers import Shared
from loadctl.errors import DeviceError, Garbled, Unreachable
from loadctl.meters.envoy.link import Link, Moved, NoConnection
from loadctl.meters.envoy.options import EnvoyOptions
from loadctl.meters.envoy.setup import JSON_SINCE, Info, Setup, parse_info, parse_meters
from loadctl.meters.envoy.token import BY_HAND, Token, TokenKeeper, why_refused
from loadctl.meters.envoy.wire import Forbidden, NoSuchPage, decode

REFUSED_REST_S = 300.0  # after a refused login: nothing will change by itself

_INFO_EVERY_S = 86400.0  # the box updates itself at night, API and login may be others in the morning
_METERS_EVERY_S, _AGAIN_S = 3600.0, 300.0


class Box:
    """`info` and `setup` of the Envoy behind the link. `era` counts how often it became another one."""

    def __init__(self, options: EnvoyOptions, shared: Shared, link: Link) -> None:
        self._options, self._clock, self._link = options, shared.clock, link
        self._keeper = TokenKeeper(options, shared)
        self._token: Token | None = None
        self._found = False
        self._doubted = True
        self._info_due = self._setup_due = self._login_due = float("-inf")
        self.info = Info()
        self.setup = Setup()
        self.era = 0

    @property
    def flags(self) -> frozenset[str]:
        return self.setup.flags | (self._keeper.flags if self.info.tokens else frozenset())

    def due(self) -> bool:
        """Whether `ready` has something to ask."""
        now = self._clock.now()
        return self._doubted or now >= min(self._info_due, self._setup_due) or (self.info.tokens and not self._token)

    async def ready(self) -> None:
        """Do what is due of: `/info`, login, `/ivp/meters`. Raises DeviceError."""
        if self._doubted or self._clock.now() >= self._info_due:
            await self._look_again()
        if self.info.tokens:
            at_hand = self._keeper.at_hand()
            if self._token is None or (at_hand and at_hand.text != self._token.text):
                await self._enter()
            self._keeper.renew_ahead(self.info.serial)
        if self._clock.now() >= self._setup_due:
            await self._read_meters()

    async def get(self, path: str) -> str:
        """Return a page; after a refusal once more with a fresh session. Raises DeviceError."""
        try:
            return await self._link.get(path)
        except Forbidden:
            if not await self.reenter():
                raise self.refusal(path) from None
        try:
            return await self._link.get(path)
        except Forbidden as error:
            raise self.refusal(path) from error

    async def reenter(self) -> bool:
        """Read `/info` again and log in afresh; False if that was done a short while ago. Raises DeviceError."""
        now = self._clock.now()
        if now < self._login_due:
            return False
        self._login_due = now + REFUSED_REST_S
        self._doubted = True
        await self._look_again()
        if self.info.tokens:
            await self._enter()
        return True

    def doubt(self) -> None:
        """Look at `/info` again before the next reading: the box moved, or went to HTTPS."""
        self._doubted = True

    def refusal(self, path: str) -> Forbidden:
        """Say why we may not see a page, and what to do."""
        return self._refusal_of(self._token, path)

    def _refusal_of(self, token: Token | None, path: str) -> Forbidden:
        where = f"the Envoy at {self._options.host} ({self.info.name})"
        if token:
            why = why_refused(token, self.info.serial, self._clock.wall().timestamp())
            return Forbidden(f"{where} refuses the token: {why}", hint=BY_HAND, retry_after_s=REFUSED_REST_S)
        hint = "set `username` and `password`; for `envoy` it is the last six characters of the serial unless changed"
        return Forbidden(f"{where} refuses {path}", hint=hint, retry_after_s=REFUSED_REST_S)

    async def close(self) -> None:
        await self._keeper.close()

    async def _look_again(self) -> None:
        """Read `/info`; a failure of the daily look is no reason to be blind."""
        base = self._link.base
        try:
            info = await self._detect()
        except DeviceError:
            self._link.base = base
            if self._doubted:
                raise
            self._info_due = self._clock.now() + _AGAIN_S
            return
        self._doubted = False
        self._info_due = self._clock.now() + _INFO_EVERY_S
        if info.software != self.info.software or info.serial != self.info.serial or not self._found:
            self._found = True
            self.era += 1
            self.info, self.setup = info, Setup()
            self._setup_due = float("-inf")
            self._forget_login()

    async def _detect(self) -> Info:
        """Ask HTTPS first: below 7 there is none, from 8.3.5286 on nothing else. Redirects may lead nowhere."""
        errors: list[DeviceError] = []  # of one that is there but busy we ask nothing more: it would make it worse
        for address in self._options.addresses():
            self._link.base = address
            try:
                info = parse_info(await self._link.get("/info"))
            except (NoConnection, Moved, Forbidden, Garbled) as error:
                errors.append(error)
                continue
            except NoSuchPage:
                return Info()  # an Envoy hidden behind something; its pages will tell
            if info.tokens and address.startswith("http:") and not self._options.host.startswith("http:"):
                raise Unreachable(f"the Envoy at {self._options.host} ({info.name}) does not answer on HTTPS")
            return info
        told = next((error for error in errors if not isinstance(error, NoConnection)), errors[-1])
        raise told

    def _forget_login(self) -> None:
        self._token = self._link.bearer = self._link.digest = None
        self._link.forget_session()
        if not self.info.tokens:
            password = self._options.password or (self.info.serial[-6:] if self._options.username == "envoy" else None)
            self._link.digest = httpx.DigestAuth(self._options.username, password) if password else None

    async def _enter(self) -> None:
        """Get a session with the token at hand, or with another one if that is refused. Raises DeviceError."""
        self._forget_login()
        tried: Token | None = None
        try:
            while token := await self._keeper.get(self.info.serial):
                tried = token
                if await self._let_in(token):
                    self._token = token
                    self._keeper.accept(token)
                    return
                self._keeper.refuse(token)
        except DeviceError:
            self._keeper.forgive()
            raise
        self._keeper.forgive()
        raise self._refusal_of(tried, "/auth/check_jwt")

    async def _let_in(self, token: Token) -> bool:
        """Show the token to the box, which sets a session cookie: cheaper for it than to check the token each time."""
        self._link.forget_session()
        self._link.bearer = token.text
        try:
            await self._link.get("/auth/check_jwt")
        except NoSuchPage:
            return True  # the first page will set the cookie
        except Forbidden:
            self._link.bearer = None
            return False
        return True

    async def _read_meters(self) -> None:
        if self.info.version and self.info.version < JSON_SINCE:
            self._setup_due = self._info_due
            return
        rest_s = _METERS_EVERY_S
        try:
            setup = parse_meters(decode(await self._meters_text(), "/ivp/meters"))
        except NoSuchPage:
            setup = Setup()
        except Forbidden:
            if self.info.tokens:
                raise
            setup = Setup()  # 3.x answers 401 for what it does not know
        except DeviceError:
            if not self.setup.known:
                raise
            setup, rest_s = self.setup, _AGAIN_S
        self.setup = setup
        self._setup_due = self._clock.now() + (_AGAIN_S if setup.flags else rest_s)

    async def _meters_text(self) -> str:
        return await (self.get("/ivp/meters") if self.info.tokens else self._link.get("/ivp/meters"))
