"""How the commands speak to the daemon: HTTP, through the socket in its state directory or over the network."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import httpx

F = TypeVar("F", bound=Callable[..., Any])

PATIENCE_S = 5.0
HEARTBEAT_S = 40.0  # one comes every 15 s
API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Whom:
    """Which daemon is meant: that of a state directory on this machine or, with `url`, one in the network."""

    state_dir: Path | None = None
    url: str | None = None
    token: str | None = None


def whom(command: F) -> F:
    """Give a command the options that say which daemon is meant."""
    for option in (
        click.option("--token", envvar="LOADCTL_TOKEN", help="Of the daemon at --url; also as $LOADCTL_TOKEN."),
        click.option("--url", envvar="LOADCTL_URL", help="Of a daemon elsewhere, such as http://pi.local:8480."),
        click.option(
            "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of a daemon on this machine."
        ),
    ):
        command = option(command)
    return command


def wishing(command: F) -> F:
    """Give a command that asks for a change its options: which daemon is meant, and how the answer is said."""
    return whom(click.option("--json", "as_json", is_flag=True, help="Say the answer as JSON.")(command))


def tell(path: str, wish: Mapping[str, Any] | None = None, *, as_json: bool, **daemon: Any) -> None:
    """Ask for a change and print what is said. The exit code is 2 for a refusal; raises LoadctlError if none runs.

    `as_json` and `daemon` are the options of `wishing`.
    """
    answer = ask(Whom(**daemon), "POST", path, {} if wish is None else wish)
    refused = answer.status_code >= 400
    told = _json(answer)
    said = json.dumps(told, ensure_ascii=False) if as_json else told.get("detail" if refused else "said", "")
    click.echo(said, err=refused and not as_json)
    if refused:
        sys.exit(2)


def look(daemon: Whom, path: str) -> dict[str, Any]:
    """Return what is at `path`. Raises LoadctlError."""
    from loadctl.errors import LoadctlError

    answer = ask(daemon, "GET", path)
    told = _json(answer)
    if answer.status_code >= 400:
        raise LoadctlError(str(told.get("detail", "")))
    return told


def ask(daemon: Whom, method: str, path: str, wish: Mapping[str, Any] | None = None) -> httpx.Response:
    """Return the answer of the daemon. Raises LoadctlError if there is none."""
    import httpx

    from loadctl.errors import LoadctlError

    with client(daemon) as line:
        try:
            return line.request(method, f"{API.lstrip('/')}{path}", json=wish)
        except httpx.TimeoutException as error:
            raise LoadctlError(
                f"the loadctl of {name(daemon)} does not answer: it is busy or hangs, see its log"
            ) from error
        except httpx.HTTPError as error:
            raise LoadctlError(_nobody(daemon, error)) from error
        except (httpx.InvalidURL, ValueError) as error:
            raise LoadctlError(f"--url {daemon.url}: write it such as http://pi.local:8480") from error


def client(daemon: Whom, *, heartbeat: bool = False) -> httpx.Client:
    """Return a line to the daemon; with a `heartbeat` it may be silent for as long as that is away."""
    import httpx

    timeout = httpx.Timeout(PATIENCE_S, read=HEARTBEAT_S if heartbeat else PATIENCE_S)

    headers = {} if daemon.token is None else {"authorization": f"Bearer {daemon.token}"}
    if daemon.url is not None:
        return httpx.Client(base_url=f"{daemon.url.rstrip('/')}/", headers=headers, timeout=timeout)
    transport = httpx.HTTPTransport(uds=str(socket_of(daemon)))
    return httpx.Client(base_url="http://localhost/", transport=transport, timeout=timeout)


def socket_of(daemon: Whom) -> Path:
    """Return where the daemon of this machine listens."""
    return folder_of(daemon) / "loadctl.sock"


def folder_of(daemon: Whom) -> Path:
    """Return the state directory."""
    from loadctl.service.memory import state_dir

    return state_dir(daemon.state_dir, os.environ)


def name(daemon: Whom) -> str:
    """Return what a person calls it by."""
    return str(daemon.url or folder_of(daemon))


def _nobody(daemon: Whom, error: Exception) -> str:
    if daemon.url is not None:
        return f"no loadctl answers at {daemon.url}: {error}"
    path = socket_of(daemon)
    try:
        denied = path.exists() and not os.access(path, os.W_OK)
    except PermissionError:
        denied = True
    if denied:
        return f"{path} belongs to somebody else: run this as the user that loadctl runs as"
    return f"no loadctl runs with {folder_of(daemon)}: start it, or name its --state-dir"


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    from loadctl.errors import LoadctlError

    raise LoadctlError(f"what answers at {answer.url.host} is no loadctl (HTTP {answer.status_code})")
