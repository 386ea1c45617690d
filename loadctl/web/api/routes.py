"""All addresses of the API, and who may use them. `openapi.json` says the same to programs, and a test that it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from importlib import resources
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from loadctl.web.api import now, past, rules, whatif, wishes
from loadctl.web.api.desk import Desk, Handler
from loadctl.web.lock import refusal

BASE = "/api/v1"


class Access(StrEnum):
    """Who may: anybody; whoever may look; the owner only (secrets may stand there); the owner, and it changes."""

    ANYBODY = "anybody"
    LOOK = "look"
    OWNER = "owner"
    CHANGE = "change"


class Row(NamedTuple):
    """One thing to ask for."""

    method: str
    path: str
    handler: Handler
    access: Access


async def _openapi(_desk: Desk, _request: Request) -> Response:
    text = resources.files("loadctl.web.api").joinpath("openapi.json").read_bytes()
    return Response(text, media_type="application/json")


ROWS = (
    Row("GET", "/state", now.state, Access.LOOK),
    Row("GET", "/loads", now.loads, Access.LOOK),
    Row("GET", "/loads/{name}", now.load, Access.LOOK),
    Row("GET", "/loads/{name}/explain", past.explained, Access.LOOK),
    Row("GET", "/history", past.history, Access.LOOK),
    Row("GET", "/decisions", past.decisions, Access.LOOK),
    Row("GET", "/totals", past.sums, Access.LOOK),
    Row("GET", "/rules", rules.show, Access.OWNER),
    Row("PUT", "/rules", rules.save, Access.CHANGE),
    Row("POST", "/rules/check", rules.check, Access.CHANGE),
    Row("POST", "/rules/replay", whatif.replay, Access.CHANGE),
    Row("GET", "/events", now.events, Access.LOOK),
    Row("GET", "/session", now.session, Access.ANYBODY),
    Row("POST", "/login", now.login, Access.ANYBODY),
    Row("POST", "/logout", now.logout, Access.CHANGE),
    Row("POST", "/loads/{name}/override", wishes.override, Access.CHANGE),
    Row("POST", "/loads/{name}/mode", wishes.mode, Access.CHANGE),
    Row("POST", "/loads/{name}/boost", wishes.boost, Access.CHANGE),
    Row("POST", "/loads/{name}/adopt", wishes.adopt, Access.CHANGE),
    Row("POST", "/away", wishes.away, Access.CHANGE),
    Row("GET", "/openapi.json", _openapi, Access.ANYBODY),
)


def routes(desk: Desk) -> list[Route]:
    """Return the rows as Starlette has them: one route for each path, so that 405 knows all its methods."""
    by_path: dict[str, dict[str, Row]] = {}
    for row in ROWS:
        by_path.setdefault(row.path, {})[row.method] = row
    return [Route(f"{BASE}{path}", _answering(desk, rows), methods=list(rows)) for path, rows in by_path.items()]


def _answering(desk: Desk, rows: dict[str, Row]) -> Callable[[Request], Awaitable[ASGIApp]]:
    async def answer(request: Request) -> ASGIApp:
        row = rows["GET" if request.method == "HEAD" else request.method]
        let_in(desk, request, row.access)
        return await row.handler(desk, request)

    return answer


def let_in(desk: Desk, request: Request, access: Access) -> None:
    """Raise Problem if who asks may not."""
    if access is Access.ANYBODY or (access is Access.LOOK and not desk.lock.web.private):
        return
    visitor = desk.lock.visitor(request)
    if not visitor.known or (access is Access.CHANGE and not visitor.may_change):
        raise refusal(visitor, desk.lock)
