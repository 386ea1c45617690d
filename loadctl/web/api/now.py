"""What is now: the state, one load, the stream of changes; and who may change something."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from loadctl.web.api.desk import Desk, body, query
from loadctl.web.api.problems import Problem
from loadctl.web.api.wishes import load_name
from loadctl.web.gate import LONGEST_BODY
from loadctl.web.lock import set_cookie

_NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", strict=True))
class Login:
    """One of both."""

    password: Annotated[str, Field(max_length=1000)] | None = None
    token: Annotated[str, Field(max_length=1000)] | None = None


async def state(desk: Desk, request: Request) -> Response:
    """All that the page shows of now."""
    query(request)
    return Response(desk.live.body, headers=_NO_STORE, media_type="application/json")


async def loads(desk: Desk, request: Request) -> Response:
    """The loads of the state, most important first."""
    query(request)
    return JSONResponse({"loads": desk.live.state["loads"]}, headers=_NO_STORE)


async def load(desk: Desk, request: Request) -> Response:
    """One of them."""
    query(request)
    return JSONResponse(one(desk, load_name(desk, request)), headers=_NO_STORE)


def one(desk: Desk, name: str) -> dict[str, Any]:
    """Return a load of the state. Raises Problem before anything is decided about it."""
    known: list[dict[str, Any]] = desk.live.state["loads"]
    found = next((each for each in known if each["name"] == name), None)
    if found is None:
        raise Problem(503, "nothing is decided yet: ask again in a moment", headers={"retry-after": "1"})
    return found


async def events(desk: Desk, request: Request) -> ASGIApp:
    """The state at each change, as server-sent events."""
    query(request)
    return desk.live.listen(request)


async def session(desk: Desk, request: Request) -> Response:
    """Who asks, and how to log in."""
    query(request)
    visitor = desk.lock.visitor(request)
    may_change = visitor.may_change or visitor.csrf is not None
    told = {"may_change": may_change, "login": desk.lock.login, "csrf": visitor.csrf}
    return JSONResponse(told, headers=_NO_STORE)


async def login(desk: Desk, request: Request) -> Response:
    """Begin a session."""
    asked = await body(request, Login, LONGEST_BODY)
    if (asked.password is None) == (asked.token is None):
        raise Problem(422, "log in with the `password` or with the `token`")
    cookie, begun = await desk.lock.log_in(request, asked.password, asked.token)
    told = {"may_change": True, "login": desk.lock.login, "csrf": begun.csrf}
    response = JSONResponse(told, headers=_NO_STORE)
    set_cookie(response, request, cookie, desk.lock.web.prefix)
    return response


async def logout(desk: Desk, request: Request) -> Response:
    """End it."""
    desk.lock.log_out(request)
    response = JSONResponse({"may_change": False, "login": desk.lock.login, "csrf": None}, headers=_NO_STORE)
    set_cookie(response, request, "", desk.lock.web.prefix)
    return response
