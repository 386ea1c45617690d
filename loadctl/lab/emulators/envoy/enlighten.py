"""Enphase's cloud as far as a token needs it: a login and a token, two requests."""

from __future__ import annotations

import base64
import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


def make_token(serial: str, expires_at: float, role: str = "owner") -> str:
    """Make a JWT of Entrez' shape; its signature is none, which no emulator minds."""
    claims = {
        "aud": serial,
        "iss": "Entrez",
        "enphaseUser": role,
        "exp": int(expires_at),
        "iat": int(expires_at) - 31_536_000,
        "username": "owner@example.org",
    }
    parts = ({"alg": "ES256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class EmulatedEnlighten:
    """Gives a token that ends at `expires_at` to who knows `email` and `password`; `requests` are the paths asked."""

    def __init__(self, email: str = "owner@example.org", password: str = "sunshine", expires_at: float = 0.0) -> None:  # noqa: S107
        self.email, self.password = email, password
        self.expires_at = expires_at
        self.second_factor = False
        self.broken = False
        self.requests: list[str] = []
        self.given: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/login/login.json", self._login, methods=["POST"]),
                Route("/tokens", self._token, methods=["POST"]),
            ]
        )

    async def _login(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        if self.broken:
            return PlainTextResponse("<html>maintenance</html>", 502)
        form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        told = form.get("user%5Bemail%5D", "").replace("%40", "@"), form.get("user%5Bpassword%5D", "")
        if told != (self.email, self.password):
            return JSONResponse({"message": "Invalid Email or Password"}, 401)
        if self.second_factor:
            return JSONResponse({"message": "MFA required", "user_id": 1})
        return JSONResponse({"message": "success", "session_id": "5e5510", "is_consumer": True, "manager_token": "m"})

    async def _token(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        wanted = await request.json()
        if wanted.get("session_id") != "5e5510" or wanted.get("username") != self.email:
            return PlainTextResponse("Unauthorized", 401)
        self.given.append(make_token(wanted["serial_num"], self.expires_at + len(self.given)))
        return PlainTextResponse(self.given[-1])
