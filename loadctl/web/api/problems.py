"""What goes wrong, said as RFC 9457 has it: `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loadctl.errors import LoadctlError

MEDIA_TYPE = "application/problem+json"


class Problem(LoadctlError):  # noqa: N818 - as the RFC calls it
    """An answer that is none. `detail`: one line for a person; `faults`: of a rule file, as JSON."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.faults = faults
        self.headers = headers

    @property
    def response(self) -> Response:
        return answer(self.status, str(self), self.faults, self.headers)


def answer(
    status: int,
    detail: str,
    faults: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response that says so."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if faults is not None:
        told["faults"] = faults
    return JSONResponse(told, status, headers, MEDIA_TYPE)


async def tell(_request: Request, error: Exception) -> Response:
    """Answer for whatever a handler raised."""
    if isinstance(error, Problem):
        return error.response
    if isinstance(error, LoadctlError):
        return answer(422, str(error))
    if isinstance(error, HTTPException):
        return answer(error.status_code, _DETAILS.get(error.status_code, error.detail), headers=error.headers)
    return answer(500, "a bug in loadctl: its log tells more; loads are controlled all the same")


_DETAILS = {404: "there is nothing at this address", 405: "this address does not take that method"}
