"""Who may see a page: nobody's business, digest (below firmware 7), or a token and the session cookie it buys."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

REALM = "enphaseenergy.com"
SESSION_S = 600.0  # after its last use

_DIGEST_USERS = {
    "/api/v1/production/inverters": ("envoy", "installer"),
    "/stream/meter": ("installer",),
    "/installer/setup/home": ("installer",),
}


class Gate:
    """`tokens` are those the box takes, with their role; `passwords` those of its digest users."""

    def __init__(self, serial: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._nonce = "76543210"
        self.serial = serial
        self.passwords = {"envoy": serial[-6:], "installer": "1nst4ll3r"}
        self.tokens: dict[str, str] = {}
        self.sessions: dict[str, float] = {}
        self.shut = False
        self.cookie_wanted = False  # some 7.x firmware wants the cookie although the token is good
        self.stream_open = False  # to owners
        self.logins = 0

    def refuse(self, request: Request, path: str, *, with_token: bool, digest_production: bool) -> Response | None:
        """Return the refusal, None for who may pass. `path` without query."""
        if path == "/info":
            return None
        return self._ask_token(request, path) if with_token else self._ask_digest(request, path, digest_production)

    def enter(self, response: Response, request: Request) -> Response:
        """Give a session cookie to who came with a token and has none."""
        if self._session(request) is None and self._token_role(request):
            name = f"s{next(self._numbers)}"
            self.sessions[name] = self._clock()
            self.logins += 1
            response.set_cookie("sessionId", name)
        return response

    def _ask_token(self, request: Request, path: str) -> Response | None:
        session = self._session(request)
        role = self._token_role(request) or ("owner" if session else None)
        if self.shut or role is None or (self.cookie_wanted and session is None and path == "/production.json"):
            return _unauthorized()
        if session:
            self.sessions[session] = self._clock()
        if path == "/stream/meter" and role != "installer" and not self.stream_open:
            return _unauthorized()
        return None

    def _session(self, request: Request) -> str | None:
        name = request.cookies.get("sessionId", "")
        return name if name in self.sessions and self._clock() - self.sessions[name] < SESSION_S else None

    def _token_role(self, request: Request) -> str | None:
        return self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    def _ask_digest(self, request: Request, path: str, digest_production: bool) -> Response | None:
        users = _DIGEST_USERS.get(path, ("installer",) if path.startswith("/ivp/ensemble") else ())
        if path == "/production" and digest_production:
            users = ("envoy", "installer")
        if not users or (not self.shut and any(self._digest_fits(request, user) for user in users)):
            return None
        challenge = f'Digest realm="{REALM}", nonce="{self._nonce}", qop="auth"'
        return _unauthorized({"WWW-Authenticate": challenge})

    def _digest_fits(self, request: Request, user: str) -> bool:
        told = dict(re.findall(r'(\w+)="?([^",]+)"?', request.headers.get("Authorization", "")))
        if told.get("username") != user or told.get("nonce") != self._nonce:
            return False
        secret = _md5(f"{user}:{REALM}:{self.passwords[user]}")
        asked = _md5(f"{request.method}:{told.get('uri')}")
        parts = [secret, self._nonce, told.get("nc", ""), told.get("cnonce", ""), told.get("qop", ""), asked]
        return told.get("response") == _md5(":".join(parts))


def role_of(token: str) -> str:
    """Return what a token says its user is."""
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return str(claims.get("enphaseUser", "owner"))


def _unauthorized(headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse("<html><body><h1>401 Unauthorized</h1></body></html>", 401, headers)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
