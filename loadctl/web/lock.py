"""Who may change something: whoever shows the token, or has logged in with the password or the token.

Sessions live in memory: who is logged in logs in again after a restart. Their cookie is out of reach of scripts and is
never sent along from other sites, and whatever it is sent along with needs a second word (the CSRF token) that another
site cannot read. Guessing is slow: few attempts a minute from one address, and from all together.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from loadctl.config import Web
from loadctl.web.api.problems import Problem

TOKEN_FILE = "token"  # noqa: S105 - a file's name
COOKIE = "loadctl_session"
SESSION_S = 30 * 86400.0
MOST_SESSIONS = 64
WINDOW_S = 60.0
MOST_FROM_ONE = 5  # wrong attempts in the window
MOST_FROM_ALL = 30
TRUSTED = "loadctl.trusted"  # in the scope of what came through the socket that only the owner can open

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One login; `csrf` is the second word, `used_at` on the loop's clock."""

    csrf: str
    used_at: float


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `known` may look at everything, `may_change` also change it. `csrf` is for a page that is logged in."""

    known: bool = False
    may_change: bool = False
    csrf: str | None = None


STRANGER = Visitor()
OWNER = Visitor(known=True, may_change=True)


class Lock:
    """`token`: for programs, beside the one of the rules. Without any, and without a password, nobody gets in."""

    def __init__(self, web: Web, token: str | None = None) -> None:
        self.web = web
        self._tokens = tuple(each for each in (web.token, token) if each is not None)
        self._sessions: dict[bytes, Session] = {}
        self._failures: deque[tuple[float, str]] = deque(maxlen=1000)
        self._verifying = asyncio.Semaphore(1)  # a guess costs 64 MB and half a second of a Raspberry Pi

    @property
    def login(self) -> str:
        """What a person logs in with: password, token or, none, not at all."""
        return "password" if self.web.password is not None else "token" if self._tokens else "none"

    def visitor(self, request: Request) -> Visitor:
        """Tell who asks. Raises Problem for a wrong token, and for too many of them."""
        if request.scope.get(TRUSTED):
            return OWNER
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            self._allow(request)
            if self._is_token(shown.strip()):
                return OWNER
            self._failed(request)
            raise Problem(401, "this token is not the one", headers=_CHALLENGE)
        session = self._session(request)
        if session is None:
            return STRANGER
        same = secrets.compare_digest(request.headers.get("x-csrf-token", "").encode(), session.csrf.encode())
        return Visitor(known=True, may_change=same, csrf=session.csrf)

    async def log_in(self, request: Request, password: str | None, token: str | None) -> tuple[str, Session]:
        """Return the cookie's value and the session. Raises Problem."""
        if self.login == "none":
            raise Problem(403, "there is no login: give `web:` a `password` or a `token`")
        self._allow(request)
        attempt = self._failed(request)  # until it is known to be right; many at once are no way around the limit
        good = self._is_token(token) if token is not None else await self._is_password(password or "")
        if not good:
            raise Problem(401, "this is not the password" if token is None else "this token is not the one")
        with suppress(ValueError):  # it was forgotten meanwhile
            self._failures.remove(attempt)
        cookie, session = secrets.token_urlsafe(32), Session(secrets.token_urlsafe(24), _now())
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda each: self._sessions[each].used_at)]
        self._sessions[_digest(cookie)] = session
        return cookie, session

    def log_out(self, request: Request) -> None:
        self._sessions.pop(_digest(request.cookies.get(COOKIE, "")), None)

    def _session(self, request: Request) -> Session | None:
        key = _digest(request.cookies.get(COOKIE, ""))
        session, now = self._sessions.get(key), _now()
        if session is None:
            return None
        if now - session.used_at > SESSION_S:
            del self._sessions[key]
            return None
        self._sessions[key] = replace(session, used_at=now)
        return session

    def _is_token(self, shown: str) -> bool:
        # Digests are of one length, so the time that this takes tells nothing.
        found = [secrets.compare_digest(_digest(shown), _digest(each)) for each in self._tokens]
        return any(found)

    async def _is_password(self, shown: str) -> bool:
        if self.web.password is None:
            raise Problem(422, "there is no password here: log in with the token")
        async with self._verifying:
            return await asyncio.to_thread(_fits, self.web.password, shown)

    def _allow(self, request: Request) -> None:
        """Raise Problem when too many attempts were wrong of late."""
        now, address = _now(), _address(request)
        while self._failures and now - self._failures[0][0] > WINDOW_S:
            self._failures.popleft()
        from_here = sum(each == address for _, each in self._failures)
        if from_here >= MOST_FROM_ONE or len(self._failures) >= MOST_FROM_ALL:
            raise _too_many()

    def _failed(self, request: Request) -> tuple[float, str]:
        attempt = _now(), _address(request)
        self._failures.append(attempt)
        count = len(self._failures)
        if count in (MOST_FROM_ONE, MOST_FROM_ALL):
            _log.warning("page: %d attempts to log in within a minute, the last from %s", count, attempt[1])
        return attempt


def kept_token(folder: Path) -> str | None:
    """Return the token of the state directory, made at the first time; None, and told, where it cannot be kept."""
    path = folder / TOKEN_FILE
    try:
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(24) + "\n")
            part.rename(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        _log.error("%s: no token can be kept there, so nothing can be changed over the network: %s", path, error)
        return None
    if len(token) < 16:
        _log.error("%s: too short for a token, so nothing can be changed over the network: delete the file", path)
        return None
    _log.info("page: what it asks for before it changes anything is in %s", path)
    return token


def set_cookie(response: Response, request: Request, value: str, prefix: str) -> None:
    """Have the browser keep a session or, with an empty value, forget it."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(SESSION_S) if value else 0,
        path=prefix or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


_CHALLENGE: Mapping[str, str] = {"www-authenticate": 'Bearer realm="loadctl"'}


def refusal(visitor: Visitor, lock: Lock) -> Problem:
    """Return what to say to who may not do what it asked for."""
    if visitor.known:
        return Problem(403, "the header X-CSRF-Token is missing or not the one of this session")
    if lock.login == "none":
        return Problem(403, "nothing can be changed over the network: give `web:` a `password` or a `token`")
    return Problem(401, "log in, or show the token: `Authorization: Bearer …`", headers=_CHALLENGE)


def _too_many() -> Problem:
    return Problem(429, "too many wrong attempts: wait a minute", headers={"retry-after": str(int(WINDOW_S))})


def _fits(hashed: str, shown: str) -> bool:
    from argon2 import PasswordHasher  # noqa: PLC0415 - 10 ms that only a login needs
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hashed, shown)
    except (Argon2Error, InvalidHashError):
        return False


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _now() -> float:
    return asyncio.get_running_loop().time()
