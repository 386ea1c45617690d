"""The central system: one websocket server for all chargers that call the same address of this computer."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.headers import parse_authorization_basic, parse_subprotocol

from loadctl.actuators.ocpp.box import Box
from loadctl.actuators.ocpp.charge_point import DIALOGUES, QUIET, Dialogue
from loadctl.actuators.ocpp.options import address
from loadctl.drivers import Clock
from loadctl.errors import Refused

if TYPE_CHECKING:
    from websockets.asyncio.server import Server as WebsocketServer
    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

FRAME_BYTES = 128 * 1024  # far more than any message we ask for
STRANGERS = 20  # ids that are remembered

_log = logging.getLogger(__name__)


class Server:
    """Made by the first driver that needs it, open from its first user until its last one leaves."""

    def __init__(self, listen: str, clock: Clock) -> None:
        self.boxes: dict[str, Box] = {}
        self.strangers: list[str] = []  # ids that called and are in no rule file, the latest last
        self._host, self._port = address(listen)
        self._clock = clock
        self._gate = asyncio.Lock()
        self._server: WebsocketServer | None = None
        self._bug: BaseException | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on; 0: not open, and any will do."""
        return self._port

    async def join(self, box_id: str, password: str | None) -> Box:
        """Expect the box `box_id` from now on. Raises Refused where this address cannot be listened on."""
        async with self._gate:
            if self._server is None:
                await self._open()
            box = self.boxes.setdefault(box_id, Box(box_id))
            box.users += 1
            if password is not None:
                box.passwords.append(password)
            return box

    async def leave(self, box: Box, password: str | None) -> None:
        """Expect it no longer; the last one to leave closes the server."""
        async with self._gate:
            box.users -= 1
            if password is not None:
                box.passwords.remove(password)
            if box.users > 0:
                return
            del self.boxes[box.id]
            if box.dialogue is not None:
                await box.dialogue.hang_up(1001, "no longer expected here")
            if not self.boxes and self._server is not None:
                server, self._server = self._server, None
                server.close()
                await server.wait_closed()

    def raise_bug(self) -> None:
        """Raise what has ended a dialogue and is no fault of the box: websockets would only log it."""
        if self._bug is not None:
            raise self._bug

    def url(self, box_id: str) -> str:
        """Return what to enter in the box."""
        return f"ws://{_own_address(self._host)}:{self._port}/{box_id}"

    async def _open(self) -> None:
        try:
            self._server = await serve(
                self._meet,
                self._host,
                self._port,
                process_request=self._admit,
                origins=[None],  # no charger is a page in somebody's browser
                select_subprotocol=_choose,
                max_size=FRAME_BYTES,
                max_queue=16,
                open_timeout=10,
                close_timeout=2,
                ping_interval=30,
                ping_timeout=30,
                server_header="loadctl",
                logger=QUIET,
            )
        except OSError as error:
            raise _cannot_listen(error, self._host, self._port) from error
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        _log.info("waiting for chargers at port %d", self._port)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let in who is known, by the last part of its path, and speaks our language."""
        box_id = unquote(request.path.partition("?")[0].rstrip("/").rpartition("/")[2])[:48]
        box = self.boxes.get(box_id)
        if box is None:
            self._tell_stranger(connection, box_id)
            return connection.respond(HTTPStatus.NOT_FOUND, "this charge point is not known here\n")
        password = _password(request, box_id)
        if not box.opens_to(password):
            _turn_away(box, f"comes with {'no' if password is None else 'a wrong'} password")
            refusal = connection.respond(HTTPStatus.UNAUTHORIZED, "wrong password\n")
            refusal.headers["WWW-Authenticate"] = 'Basic realm="loadctl"'
            return refusal
        spoken = _spoken(request)
        if not any(name in DIALOGUES for name in spoken):
            _turn_away(box, f"speaks {', '.join(spoken)[:40] or 'no OCPP'}: set it to OCPP 1.6 (JSON)")
            return connection.respond(HTTPStatus.BAD_REQUEST, "ocpp1.6 is spoken here\n")
        return None

    async def _meet(self, connection: ServerConnection) -> None:
        """Talk to a box that was let in; a later connection of the same box takes the place of this one."""
        path = connection.request.path if connection.request else ""
        box = self.boxes.get(unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2]))
        if box is None or connection.subprotocol is None:
            return  # the rules changed in this moment
        dialogue = DIALOGUES[connection.subprotocol](box, connection, self._clock)
        if box.dialogue is not None:
            self._dismiss(box.dialogue)
        box.dialogue, box.turned_away = dialogue, ""
        box.visits += 1
        box.arrived.set()
        _log.info("charger %s is connected", box.id)
        talk = asyncio.create_task(dialogue.run(), name=f"charger {box.id}")
        try:
            await asyncio.wait([talk])
            if not talk.cancelled() and (bug := talk.exception()) is not None:
                self._bug = bug
        finally:
            talk.cancel()
            if box.dialogue is dialogue:
                box.dialogue = None
                box.arrived.clear()
                _log.info("charger %s is gone", box.id)

    def _dismiss(self, older: Dialogue) -> None:
        older.closed = True
        farewell = asyncio.create_task(older.hang_up(1000, "a newer connection took its place"))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    def _tell_stranger(self, connection: ServerConnection, box_id: str) -> None:
        if box_id in self.strangers or not box_id.isprintable() or len(self.strangers) >= STRANGERS:
            return
        self.strangers.append(box_id)
        peer = connection.remote_address
        _log.warning("a charger called `%s` (%s) calls and is in no rule", box_id, peer[0] if peer else "?")


def _turn_away(box: Box, why: str) -> None:
    if box.turned_away != why:  # it tries again every few seconds
        _log.warning("charger %s %s; it is turned away", box.id, why)
    box.turned_away = why


def _choose(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol:
    for name in offered:
        if name in DIALOGUES:
            return name
    raise NegotiationError("no OCPP that is spoken here")


def _spoken(request: Request) -> list[str]:
    try:
        return [name for line in request.headers.get_all("Sec-WebSocket-Protocol") for name in parse_subprotocol(line)]
    except InvalidHeader:
        return []


def _password(request: Request, box_id: str) -> str | None:
    """The password of Basic authentication, where the user is the charge point's id (OCPP security profile 1)."""
    try:
        user, password = parse_authorization_basic(request.headers.get("Authorization", ""))
    except (InvalidHeader, ValueError):
        return None
    return password if user == box_id else ""


def _own_address(host: str) -> str:
    """Return the address of this computer as others in the house see it; nothing is sent to find it out."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return f"[{host}]" if ":" in host else host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "<this computer>"


def _cannot_listen(error: OSError, host: str, port: int) -> Refused:
    if error.errno == errno.EADDRINUSE:
        hint = "another loadctl, or another program for chargers, has it; give `listen` another port"
        return Refused(f"port {port} of this computer is taken", hint=hint)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Refused(f"port {port} is not open to us", hint="give `listen` a port from 1024 on")
    return Refused(f"this computer has no address {host}", hint="`listen: 0.0.0.0:8887` is any of its addresses")
