"""What people ask of a load, or of the house; the answers are the daemon's own sentences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loadctl.core.rules import Mode
from loadctl.errors import LoadctlError
from loadctl.service.hands import find
from loadctl.web.api.desk import Desk, body
from loadctl.web.api.problems import Problem
from loadctl.web.gate import LONGEST_BODY

STATES = {"on": True, "off": False, "auto": None}
_STRICT = ConfigDict(extra="forbid", strict=True)

Words = Annotated[str, Field(max_length=60)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Override:
    """Hold a load on or off, for so many seconds; auto: as its rules say."""

    state: Literal["on", "off", "auto"]
    for_s: Annotated[float, Field(allow_inf_nan=False)] | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class ModeChoice:
    """Run a load in a mode; auto: as its rules say."""

    mode: Literal["off", "solar", "solar+min", "fast", "auto"]


@dataclass(frozen=True, slots=True, config=_STRICT)
class BoostWish:
    """Give a load something once, by a time."""

    what: Words
    by: Words | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class AwayWish:
    """Nobody is at home: until a day, for a time, until told (`on`); `off`: somebody is."""

    until: Words


async def override(desk: Desk, request: Request) -> Response:
    """Hold a load on or off, or give it back to its rules."""
    name, wish = load_name(desk, request), await body(request, Override, LONGEST_BODY)
    return _said(desk.daemon.override(name, STATES[wish.state], wish.for_s))


async def mode(desk: Desk, request: Request) -> Response:
    """Run a load in a mode."""
    name, wish = load_name(desk, request), await body(request, ModeChoice, LONGEST_BODY)
    return _said(desk.daemon.choose(name, None if wish.mode == "auto" else Mode(wish.mode)))


async def boost(desk: Desk, request: Request) -> Response:
    """Give a load something once."""
    name, wish = load_name(desk, request), await body(request, BoostWish, LONGEST_BODY)
    return _said(desk.daemon.boost(name, wish.what, wish.by))


async def adopt(desk: Desk, request: Request) -> Response:
    """Take a replaced device for the load's own."""
    return _said(desk.daemon.adopt(load_name(desk, request)))


async def away(desk: Desk, request: Request) -> Response:
    """Have needs wait."""
    wish = await body(request, AwayWish, LONGEST_BODY)
    return _said(desk.daemon.away(wish.until))


def load_name(desk: Desk, request: Request) -> str:
    """Return the name in the address. Raises Problem, with the nearest name, if there is no such load."""
    name: str = request.path_params["name"]
    try:
        find(desk.daemon.house.site, name)
    except LoadctlError as error:
        raise Problem(404, str(error)) from error
    return name


def _said(sentence: str) -> Response:
    return JSONResponse({"said": sentence})
