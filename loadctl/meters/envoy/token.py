"""The access token of firmware 7+: given, read from a file, or fetched from Enphase with the owner's login.

The Envoy checks a token offline, so the cloud is needed for a new one only: once a year, tried 30 days ahead. It is
never asked in a loop: after a failed attempt it is left alone for a quarter of an hour, then ever longer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from loadctl.drivers import Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable
from loadctl.meters.envoy.options import EnvoyOptions, Login
from loadctl.meters.envoy.wire import number

MADE_BY_HAND = "make one at entrez.enphaseenergy.com, for your site and gateway"
BY_HAND = f"{MADE_BY_HAND}, and put it under `token` or `token_file`"

_AHEAD_S = 30 * 86400.0
_CLOUD_REST_S, _CLOUD_REST_MOST_S = 900.0, 6 * 3600.0
_CLOUD_PATIENCE = httpx.Timeout(20.0, connect=10.0)
_TOKEN = re.compile(r"[A-Za-z0-9_=.+/-]{4,8192}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what it says of itself (nothing, if it is not a JWT): end of life, gateway, owner or installer."""

    text: str
    expires_at: float | None = None
    serial: str = ""
    role: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at}, role={self.role!r})"

    def ends_within(self, seconds: float, wall: float) -> bool:
        return self.expires_at is not None and self.expires_at - wall < seconds


def parse_token(text: str) -> Token:
    """Read the middle part of the JWT; nobody but the Envoy verifies it. Raises Garbled for what cannot be a token."""
    text = text.strip().strip("\"'")
    if not _TOKEN.fullmatch(text):
        raise Garbled("what is given as token cannot be one", hint=BY_HAND)
    claims: Any = None
    parts = text.split(".")
    if len(parts) == 3:
        with suppress(ValueError, RecursionError):
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        return Token(text)
    audience, role = claims.get("aud"), claims.get("enphaseUser")
    return Token(
        text,
        expires_at=number(claims.get("exp")),
        serial=audience if isinstance(audience, str) else "",
        role=role if isinstance(role, str) else "",
    )


def why_refused(token: Token, serial: str, wall: float) -> str:
    """Say what is wrong with a token that the Envoy refused."""
    if token.ends_within(0.0, wall) and token.expires_at is not None:
        return f"it expired on {datetime.fromtimestamp(token.expires_at, UTC):%Y-%m-%d}"
    if token.serial and serial and token.serial != serial:
        return f"it is for the gateway …{token.serial[-4:]}, this one is …{serial[-4:]}"
    return "it is for another gateway, was withdrawn, or its user may not see this page"


async def fetch(login: Login, options: EnvoyOptions, serial: str, client: Callable[..., httpx.AsyncClient]) -> Token:
    """Ask Enphase's cloud for a token, in two requests. Raises Unreachable, Refused, Garbled."""
    async with client(timeout=_CLOUD_PATIENCE, follow_redirects=False) as cloud:
        form = {"user[email]": login.email, "user[password]": login.password}
        answer = await _post(cloud, options.login_url, data=form)
        if answer.status_code in {401, 403, 422}:
            raise Refused("Enlighten refuses the e-mail address or the password", hint="correct `login`")
        session = _object(_body(answer, "login"), "login").get("session_id")
        if not isinstance(session, str):
            raise Refused("Enlighten asks for a second factor, which a program cannot give", hint=BY_HAND)
        wanted = {"session_id": session, "serial_num": serial, "username": login.email}
        token = parse_token(_body(await _post(cloud, options.token_url, json=wanted), "token"))
    if token.expires_at is None:
        raise Garbled("Enphase's answer is not a token", hint=BY_HAND)
    return token


class TokenKeeper:
    """Knows the token to use now, and gets the next one in time."""

    def __init__(self, options: EnvoyOptions, shared: Shared) -> None:
        self._options, self._shared = options, shared
        self._fetched: list[Token] = []
        self._refused: set[str] = set()
        self._file_stamp: tuple[float, int] | None = None
        self._from_file: Token | None = None
        self._cloud_at = float("-inf")  # not to be asked before
        self._cloud_rest_s = _CLOUD_REST_S
        self._cloud_error = ""
        self._renewal: asyncio.Task[None] | None = None

    @property
    def flags(self) -> frozenset[str]:
        token, wall = self.at_hand(), self._wall()
        if token is None or not token.ends_within(_AHEAD_S, wall):
            return frozenset()
        return frozenset({"token_expires_soon"} | ({"token_renewal_failed"} if self._cloud_error else set()))

    def at_hand(self) -> Token | None:
        """Return the best token we have without asking anybody: of those not refused the one that lasts longest.

        Raises Garbled, Refused.
        """
        self._read_file()
        given = parse_token(self._options.token) if self._options.token else None
        found = [
            token for token in (*self._fetched, self._from_file, given) if token and token.text not in self._refused
        ]
        return max(found, key=lambda token: token.expires_at or 0.0, default=None)

    def accept(self, token: Token) -> None:
        """Note that the Envoy takes a token: a fetched one is kept in the owner's file for the next start."""
        if self._options.token_file and token in self._fetched and token != self._from_file:
            _write(self._options.token_file, token.text)

    def refuse(self, token: Token) -> None:
        """Note that the Envoy does not take a token; a new one may be refused while the old one is good."""
        self._refused.add(token.text)

    def forgive(self) -> None:
        """Try all again next time: what was refused may have been the Envoy's mood."""
        self._refused.clear()

    async def get(self, serial: str) -> Token | None:
        """Return a token that was not refused, from the cloud if need be; None: all were. Raises DeviceError."""
        token = self.at_hand()
        if token and (self._options.login is None or not token.ends_within(0.0, self._wall())):
            return token  # without a login the Envoy's clock decides whether it is too old, not ours
        if self._options.login is None:
            if self._refused:
                return None
            if self._options.token_file is not None:
                raise Refused(f"there is no token in {self._options.token_file}", hint=MADE_BY_HAND)
            raise Refused("the Envoy wants a token from firmware 7 on", hint=f"{BY_HAND}, or set `login`")
        return await self._fetch(self._options.login, serial)

    def renew_ahead(self, serial: str) -> None:
        """Fetch the next token in the background while the old one is still good."""
        token, login = self.at_hand(), self._options.login
        if not (login and token and token.ends_within(_AHEAD_S, self._wall())) or self._now() < self._cloud_at:
            return
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(login, serial), name="envoy token")

    async def close(self) -> None:
        if self._renewal:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _renew(self, login: Login, serial: str) -> None:
        with suppress(DeviceError):  # noted by _fetch, shown as a flag
            await self._fetch(login, serial)

    async def _fetch(self, login: Login, serial: str) -> Token:
        wait_s = self._cloud_at - self._now()
        if wait_s > 0:
            reason = self._cloud_error or "a token was fetched from Enphase a short while ago and the Envoy refuses it"
            raise Refused(
                f"{reason}; the next login at Enphase is in {wait_s / 60:.0f} min", hint=BY_HAND, retry_after_s=wait_s
            )
        self._cloud_at = self._now() + self._cloud_rest_s
        try:
            token = await fetch(login, self._options, serial, self._shared.client)
        except DeviceError as error:
            self._cloud_error = str(error.args[0])
            self._cloud_rest_s = min(2 * self._cloud_rest_s, _CLOUD_REST_MOST_S)
            error.retry_after_s = max(error.retry_after_s, self._cloud_at - self._now())
            raise
        self._cloud_error, self._cloud_rest_s = "", _CLOUD_REST_S
        self._cloud_at = self._now() + _CLOUD_REST_MOST_S  # a good answer that the Envoy refuses must not loop either
        self._fetched = [*self._fetched[-1:], token]  # the one before may outlast it, if the Envoy refuses the new one
        return token

    def _read_file(self) -> None:
        path = self._options.token_file
        if path is None:
            return
        try:
            status = path.stat()
            stamp = (status.st_mtime, status.st_size)
            if stamp != self._file_stamp:
                text = path.read_text("utf-8", "replace")
                self._from_file = parse_token(text) if text.strip() else None
                self._file_stamp = stamp
        except FileNotFoundError:
            self._from_file = self._file_stamp = None
        except OSError as error:
            raise Refused(f"cannot read the token file {path}: {error.strerror}") from error

    def _wall(self) -> float:
        return self._shared.clock.wall().timestamp()

    def _now(self) -> float:
        return self._shared.clock.now()


def _write(path: Path, text: str) -> None:
    """Keep the token for the next start, readable by us alone. A full or read-only disk is no reason to stop."""
    new = path.with_name(path.name + ".new")
    with suppress(OSError):
        new.touch(mode=0o600)
        new.write_text(text + "\n", "utf-8")
        new.replace(path)


async def _post(cloud: httpx.AsyncClient, url: str, **content: Any) -> httpx.Response:
    try:
        return await cloud.post(url, **content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(
            f"Enphase's cloud does not answer ({type(error).__name__})", hint="is the internet up?"
        ) from error


def _body(answer: httpx.Response, step: str) -> str:
    if answer.status_code != httpx.codes.OK:
        raise Refused(f"Enphase's cloud refuses the {step} (HTTP {answer.status_code})", hint=BY_HAND)
    return answer.content.decode("utf-8", "replace")


def _object(text: str, step: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"Enphase's answer to the {step} cannot be read") from error
    return value if isinstance(value, dict) else {}
