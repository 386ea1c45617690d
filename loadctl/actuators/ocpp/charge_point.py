"""The dialogue with one connected box in OCPP 1.6J, by the `ocpp` package.

Incoming calls are read with indulgence (no schema: boxes add fields of their own, and one refused BootNotification
keeps a charger out for good); what we send is to the letter of the specification.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ocpp.exceptions import OCPPError
from ocpp.messages import CallError
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from websockets.exceptions import ConnectionClosed

from loadctl.actuators.ocpp import profiles
from loadctl.actuators.ocpp.box import Box
from loadctl.drivers import Clock, Line
from loadctl.errors import Garbled, Refused, Unreachable

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

ANSWER_S = 8.0  # real seconds for one answer
BOOT_S = 3.0  # real seconds in which a box that has just started tells so by itself
HEARTBEAT_S = 300
INTERVAL_S = 10
MOST_SENSELESS = 20  # frames that cannot be read, until the line is cut
PACE_PER_S, BURST = 100.0, 200.0  # messages a real second; a box that was offline for hours hands in what it measured

# Both packages log tracebacks of the faults of whoever calls. A logger of its own touches nobody's settings.
QUIET = logging.Logger("ocpp", logging.CRITICAL + 1)  # noqa: LOG001
_log = logging.getLogger(__name__)
_ACCEPTED = {"status": "Accepted"}


T = TypeVar("T")


def _hears(action: str) -> Callable[[T], T]:
    marked: Callable[[T], T] = on(action, skip_schema_validation=True)
    return marked


class Dialogue(ChargePoint):  # type: ignore[misc]  # the package ships no types
    """One connection of `box`. `ready` once it was asked for its abilities; `closed` when it is gone."""

    def __init__(self, box: Box, connection: ServerConnection, clock: Clock) -> None:
        super().__init__(box.id, connection, response_timeout=ANSWER_S, logger=QUIET)
        self.box = box
        self.ready = asyncio.Event()
        self.closed = False
        self.triggers = True  # it answers TriggerMessage, as far as we know
        self.asked: dict[str, int] = {}  # by action: how often we called
        self._socket = connection
        self._clock = clock
        self._line = Line()
        self._booted = asyncio.Event()
        self._asked_who = False  # a BootNotification that we asked for is none
        self._awaited: str | None = None
        self._senseless = 0
        self._tokens, self._counted_at = BURST, asyncio.get_running_loop().time()
        self._where = f"charger {box.id}"

    async def run(self) -> None:
        """Talk until the connection ends."""
        setup = asyncio.create_task(self._set_up(), name=f"set up {self.box.id}")
        try:
            async for frame in self._socket:
                await self._pace()
                await self._take(frame)
        except ConnectionClosed:
            pass
        finally:
            self.closed = True
            self.ready.set()
            if self._awaited is not None:  # do not let the caller wait for an answer that cannot come
                self._response_queue.put_nowait(CallError(self._awaited, "GenericError", "connection lost"))
            setup.cancel()
            await asyncio.wait([setup])
            if not setup.cancelled():
                setup.result()  # a bug is not to be passed over

    async def hang_up(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    async def ask(self, request: Any, *, hurry: bool = False) -> Any:
        """Call the box and return its answer. Raises DeviceError, within ANSWER_S once it is our turn."""
        name = type(request).__name__
        async with self._line.turn(hurry=hurry):
            if self.closed:
                raise self._gone()
            self._awaited = str(uuid.uuid4())
            self.asked[name] = self.asked.get(name, 0) + 1
            try:
                return await self.call(request, suppress=False, unique_id=self._awaited, skip_schema_validation=True)
            except TimeoutError as error:
                raise Unreachable(f"{self._where}: no answer to {name} in {ANSWER_S:.0f} s") from error
            except ConnectionClosed as error:
                raise self._gone() from error
            except OCPPError as error:
                if self.closed:
                    raise self._gone() from error
                raise Refused(f"{self._where}: refuses {name}: {_said(error)}") from error
            except (TypeError, RecursionError) as error:  # the package makes a dataclass of whatever is in the answer
                raise Garbled(f"{self._where}: its answer to {name} cannot be read") from error
            finally:
                self._awaited = None

    async def trigger(self, message: str, connector: int | None = None) -> bool:
        """Ask the box to send `message` now; False where it cannot. Raises Unreachable, Garbled."""
        if not self.triggers:
            return False
        try:
            answer = await self.ask(call.TriggerMessage(requested_message=message, connector_id=connector))
        except Refused:
            self.triggers = False
            return False
        self.triggers = answer.status != "NotImplemented" or message != "MeterValues"
        return bool(answer.status == "Accepted")

    async def install(self, connector: int, profile: profiles.Json, *, hurry: bool = False) -> None:
        """Set a charging profile. Raises DeviceError, Refused where the box does not accept it."""
        request = call.SetChargingProfile(connector_id=connector, cs_charging_profiles=profile)
        answer = await self.ask(request, hurry=hurry)
        if answer.status != "Accepted":
            raise Refused(
                f"{self._where}: does not take a charging profile ({str(answer.status)[:40]})",
                hint="switch on smart charging (OCPP load management) in its settings",
            )

    async def begin(self, connector: int, id_tag: str) -> str:
        """Start a transaction from here; return the box's answer, `Accepted` or `Rejected`. Raises DeviceError."""
        answer = await self.ask(call.RemoteStartTransaction(id_tag=id_tag, connector_id=connector))
        return _word(answer.status)

    async def end(self, transaction: int) -> str:
        """Stop a transaction from here; return the box's answer. Raises DeviceError."""
        return _word((await self.ask(call.RemoteStopTransaction(transaction_id=transaction), hurry=True)).status)

    async def _set_up(self) -> None:
        """Learn what the box is and can do, have it measure, and put its permanent profiles back."""
        try:
            async with asyncio.timeout(BOOT_S):
                await self._booted.wait()
        except TimeoutError:
            pass  # it was up before: it will not boot for us
        try:
            if not self._booted.is_set():
                self._asked_who = True
                await self.trigger("BootNotification")
            await self._learn()
            await self._hold_again()
        except (Unreachable, Garbled) as error:
            _log.warning("%s: could not be set up: %s", self._where, error)
        finally:
            self.ready.set()
        try:
            for number in sorted(self.box.connectors.keys() - {0}):
                await self.trigger("StatusNotification", number)
                await self.trigger("MeterValues", number)
        except (Unreachable, Garbled) as error:
            _log.warning("%s", error)

    async def _hold_again(self) -> None:
        """Put the permanent profiles back; one that is refused now holds nothing, and the driver must know."""
        for number, connector in self.box.connectors.items():
            profile, connector.permanent = connector.permanent, None
            if profile is None:
                continue
            try:
                await self.install(number, profile)
            except Refused as error:
                _log.warning("%s", error)
                continue
            connector.permanent = profile

    async def _learn(self) -> None:
        try:
            told = await self.ask(call.GetConfiguration(key=list(profiles.ASKED)))
        except Refused:
            return
        self.box.abilities = able = profiles.abilities(told.configuration_key)
        measurands = {part.strip() for part in (able.measurands or "").split(",")}
        if not set(profiles.MEASURANDS) <= measurands:
            for wish in profiles.WISHES:
                if await self._configure("MeterValuesSampledData", wish):
                    break
        if able.interval_s is None or not 0 < able.interval_s <= INTERVAL_S:
            await self._configure("MeterValueSampleInterval", str(INTERVAL_S))

    async def _configure(self, key: str, value: str) -> bool:
        try:
            answer = await self.ask(call.ChangeConfiguration(key=key, value=value))
        except Refused:
            return False
        return _word(answer.status) in {"Accepted", "RebootRequired"}

    async def _take(self, frame: str | bytes) -> None:
        kind, unique_id = sound(frame)
        if kind == 2 or (kind in {3, 4} and unique_id == self._awaited):
            try:
                await self.route_message(frame)
            except RecursionError:  # the package descends further than the parser did
                kind = 0
        if kind == 0:
            self._senseless += 1
            if self._senseless >= MOST_SENSELESS:
                _log.warning("%s: sends what is no OCPP; its connection is cut", self._where)
                await self.hang_up(1007, "this is no OCPP")

    async def _pace(self) -> None:
        """Let a box that floods us wait: its messages pile up on its side of the line."""
        now = asyncio.get_running_loop().time()
        self._tokens = min(BURST, self._tokens + (now - self._counted_at) * PACE_PER_S)
        self._counted_at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(1 / PACE_PER_S)

    def _gone(self) -> Unreachable:
        return Unreachable(f"{self._where}: the connection was lost", hint="it calls again by itself after a while")

    def _time(self) -> str:
        return profiles.stamp(self._clock.wall())

    def _compare_clocks(self, timestamp: object) -> None:
        told = profiles.moment(timestamp)
        if told is not None:
            self.box.skew_s = (told - self._clock.wall()).total_seconds()

    @_hears("BootNotification")
    def _on_boot(self, **said: Any) -> Any:
        if not self._asked_who:
            self.box.boots += 1
        self.box.model = " ".join(_word(said.get(key)) for key in ("charge_point_vendor", "charge_point_model")).strip()
        self.box.firmware = _word(said.get("firmware_version"))
        serial = _word(said.get("charge_point_serial_number")) or _word(said.get("charge_box_serial_number"))
        self.box.serial = serial or self.box.serial
        self._booted.set()
        return call_result.BootNotification(current_time=self._time(), interval=HEARTBEAT_S, status="Accepted")

    @_hears("Heartbeat")
    def _on_heartbeat(self, **_said: Any) -> Any:
        return call_result.Heartbeat(current_time=self._time())

    @_hears("StatusNotification")
    def _on_status(self, connector_id: object = None, status: object = None, **said: Any) -> Any:
        connector, now = self.box.connector(connector_id), self._clock.now()
        if connector.status != status:
            connector.status, connector.status_at = _word(status), now
        if status in {"Available", "Preparing"}:
            connector.stopped_by = ""
        if status == "Available":
            connector.transaction = None
        code = _word(said.get("error_code"))
        connector.error, connector.info = "" if code == "NoError" else code, _word(said.get("info"))
        connector.told_at = now
        self._compare_clocks(said.get("timestamp"))
        return call_result.StatusNotification()

    @_hears("Authorize")
    def _on_authorize(self, **_said: Any) -> Any:
        return call_result.Authorize(id_tag_info=_ACCEPTED)  # whose card may charge is the owner's to say, in the box

    @_hears("StartTransaction")
    def _on_start(self, connector_id: object = None, **_said: Any) -> Any:
        connector = self.box.connector(connector_id)
        now = int(self._clock.wall().timestamp())
        taken = [other.transaction for other in self.box.connectors.values() if other.transaction is not None]
        connector.transaction = max([now, *(number + 1 for number in taken)])
        connector.stopped_by = ""
        return call_result.StartTransaction(transaction_id=connector.transaction, id_tag_info=_ACCEPTED)

    @_hears("StopTransaction")
    def _on_stop(self, transaction_id: object = None, reason: object = None, **_said: Any) -> Any:
        for connector in self.box.connectors.values():
            if connector.transaction == transaction_id:
                connector.transaction, connector.stopped_by = None, _word(reason) or "Local"  # so says 1.6, 7.38
        return call_result.StopTransaction(id_tag_info=_ACCEPTED)

    @_hears("MeterValues")
    def _on_meter(self, connector_id: object = None, meter_value: object = None, **said: Any) -> Any:
        connector = self.box.connector(connector_id)
        connector.meter, electric = profiles.measured(meter_value, connector.meter)
        if electric:
            connector.measured_at = self._clock.now()
        if connector.meter.at is not None:
            self._compare_clocks(connector.meter.at.isoformat())
        number = said.get("transaction_id")
        if connector.transaction is None and isinstance(number, int) and number > 0 and connector.status != "Finishing":
            connector.transaction = number  # it was begun before we were
        return call_result.MeterValues()

    @_hears("DataTransfer")
    def _on_data(self, **_said: Any) -> Any:
        return call_result.DataTransfer(status="UnknownVendorId")

    @_hears("FirmwareStatusNotification")
    def _on_firmware(self, **_said: Any) -> Any:
        return call_result.FirmwareStatusNotification()

    @_hears("DiagnosticsStatusNotification")
    def _on_diagnostics(self, **_said: Any) -> Any:
        return call_result.DiagnosticsStatusNotification()

    @_hears("SecurityEventNotification")
    def _on_security(self, **_said: Any) -> Any:
        return call_result.SecurityEventNotification()

    @_hears("LogStatusNotification")
    def _on_log(self, **_said: Any) -> Any:
        return call_result.LogStatusNotification()


DIALOGUES: dict[str, Callable[[Box, ServerConnection, Clock], Dialogue]] = {"ocpp1.6": Dialogue}


def sound(frame: str | bytes) -> tuple[int, str]:
    """Return the type and id of an OCPP-J message (OCPP-J 1.6, 4.2), or (0, "") where it cannot be one."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return 0, ""
    match message:
        case [2, str(unique_id), str(), dict()]:
            return 2, unique_id
        case [3, str(unique_id), dict()]:
            return 3, unique_id
        case [4, str(unique_id), str(), str()] | [4, str(unique_id), str(), str(), dict()]:
            return 4, unique_id
    return 0, ""


def _word(value: object) -> str:
    """A text of the box, in a length that can be told."""
    return value.strip()[:60] if isinstance(value, str) else ""


def _said(error: OCPPError) -> str:
    code = str(getattr(error, "code", "") or "it says no")
    return f"{code} ({error.description[:80]})" if isinstance(error.description, str) and error.description else code
