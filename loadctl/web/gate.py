"""What every request passes, whatever it asks for: is it meant for us, does it come from our own page, is it small.

A site elsewhere can have a browser ask us anything: by a name that it lets point to our address (DNS rebinding), or by
a form. The first shows in `Host`, the second in `Origin`. An address in numbers cannot be rebound, nor can a name that
nobody can register: these are taken as they come.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loadctl.config import Web
from loadctl.web.api.problems import answer
from loadctl.web.lock import TRUSTED

LONGEST_BODY = 4096
LONGEST_RULES = 256 * 1024
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
OURS_ALONE = ("local", "lan", "home", "internal", "localhost", "home.arpa")  # nobody can register a name under these

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " manifest-src 'self'; worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """In front of `app`: for strangers. What comes through the Unix socket of the state directory goes past it."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app = app
        self._prefix = web.prefix
        self._proxied = set(web.hosts)
        self._hosts = {*web.hosts, socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        told = _with_headers(send)
        scope["root_path"] = self._prefix
        headers = Headers(scope=scope)
        refused = None if scope.get(TRUSTED) else self._refusal(scope["method"], headers)
        if refused is None:
            refused = _too_big(scope, headers)
        if refused is not None:
            await answer(*refused, headers={"connection": "close"})(scope, receive, told)
            return
        if self._prefix and scope["path"] == self._prefix:  # what the page names relative to it would not be found
            await RedirectResponse(f"{self._prefix}/")(scope, receive, told)
            return
        await self._app(scope, receive, told)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(_name(host)):
            return 421, "this name is not known here: if it is yours, put it under `web:` as `hosts: [NAME]`"
        if method not in CHANGING:
            return None
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "this request comes from another site"
        origin = headers.get("origin")
        if origin is not None and not self._same_origin(origin, host):
            return 403, "this request comes from another site"
        return None

    def _is_ours(self, name: str) -> bool:
        if not name:
            return False
        if name in self._hosts or "." not in name:
            return True
        try:
            ip_address(name)
        except ValueError:
            return name.endswith(tuple(f".{ending}" for ending in OURS_ALONE))
        return True

    def _same_origin(self, origin: str, host: str) -> bool:
        """Tell whether a page of ours asks. A proxy may tell us another `Host` than the browser has."""
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and (parts.netloc.lower() == host.lower() or name in self._proxied)


def _too_big(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    longest = LONGEST_RULES if "/rules" in scope["path"] else LONGEST_BODY
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > longest:
        return 413, f"too long: at most {longest} bytes"
    return None


def _name(host: str) -> str:
    """Return the name in a `Host` header, without the port; "" if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _with_headers(send: Send) -> Any:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return told
