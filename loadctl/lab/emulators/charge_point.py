"""An emulated charge point: a real websocket client that speaks OCPP 1.6J, with an emulated car at its cable.

Written after the specification and without the package that the driver uses, so that the two check each other. It does
what home boxes do: charging profiles by purpose and stack level, transactions, meter values, a reconnect after a while.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from loadctl.drivers import Clock
from loadctl.lab.emulators.car import Car

Json = dict[str, Any]

STEP_S = 1.0  # how often it looks at its car
RECONNECT_S = 10.0
PATIENCE_S = 10.0  # real seconds for an answer
_LEAST_A = 6.0


@dataclass(slots=True)
class Faults:
    """What the box does wrong. `unknown`: actions answered with a CALLERROR; `rejected`: with status Rejected."""

    unknown: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    silent: bool = False  # it answers nothing
    never_pauses: bool = False  # takes 0 A for 6 A
    meterless: bool = False


class EmulatedChargePoint:
    """`heard`: each call of the central system, action and payload, in order. Attributes may be changed at any time.

    `free`: it begins a charge as soon as a car is plugged in; else it waits for a card or a remote start. `skew_s`: how
    far its clock is ahead; `wired`: its phases; `switches`: it can also use one.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        car: Car,
        *,
        password: str | None = None,
        free: bool = True,
        wired: int = 3,
        switches: bool = False,
        most_a: float = 16.0,
        stack_level: int | None = 5,
        units: str = "Current,Power",
        protocol: str = "ocpp1.6",
        serial: str = "EMU-0001",
        skew_s: float = 0.0,
    ) -> None:
        self.url, self.clock, self.car = url, clock, car
        self.password, self.protocol, self.serial, self.skew_s = password, protocol, serial, skew_s
        self.free, self.wired, self.switches, self.most_a = free, wired, switches, most_a
        self.settings = {
            "NumberOfConnectors": "1",
            "ChargingScheduleAllowedChargingRateUnit": units,
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "MeterValuesSampledData": "Energy.Active.Import.Register",
            "MeterValueSampleInterval": "60",
            "HeartbeatInterval": "300",
        } | ({} if stack_level is None else {"ChargeProfileMaxStackLevel": str(stack_level)})
        if switches:
            self.settings["ConnectorSwitch3to1PhaseSupported"] = "true"
        self.faults = Faults()
        self.heard: list[tuple[str, Json]] = []
        self.profiles: dict[tuple[str, int], Json] = {}
        self.status = ""
        self.transaction: int | None = None
        self.refusals = 0  # attempts to connect that were turned away
        self.connections = 0
        self._card: str | None = None  # somebody's leave to charge
        self._stopped = False  # the charge was ended with the car still there
        self._began_at: datetime | None = None
        self._socket: ClientConnection | None = None
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self._booted = False
        self._speaking = asyncio.Lock()
        self._measured_at = 0.0
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._socket is not None

    @property
    def now(self) -> datetime:
        """Its own clock."""
        return self.clock.wall() + timedelta(seconds=self.skew_s)

    @property
    def offered(self) -> tuple[float, int]:
        """Amps and phases that the car may have now."""
        if self.transaction is None:
            return 0.0, self.wired
        limit = self._limit()
        if limit is None:
            return self.most_a, self.wired
        amps, phases = limit
        amps = 0.0 if amps < _LEAST_A else min(amps, self.most_a)
        return _LEAST_A if amps == 0.0 and self.faults.never_pauses else amps, phases if self.switches else self.wired

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost; mind the car all the while."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mind())
            while True:
                with suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                    await self._visit()
                await self.clock.sleep(RECONNECT_S)

    async def drop(self) -> None:
        """Lose the connection."""
        if self._socket is not None:
            await self._socket.close()

    async def reboot(self, *, forgets: bool = True) -> None:
        """Start anew, with its profiles lost or kept."""
        self._booted = False
        if forgets:
            self.profiles.clear()
        await self.drop()

    def press_stop(self) -> None:
        """End the charge at the box."""
        self._later(lambda: self._end("Local"))

    async def call(self, action: str, payload: Json) -> Json:
        """Call the central system. Raises ConnectionError for a CALLERROR or a lost connection, TimeoutError."""
        async with self._speaking:
            if self._socket is None:
                raise ConnectionError("not connected")
            unique_id = str(uuid.uuid4())
            answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
            self._answers[unique_id] = answer
            try:
                await self._socket.send(json.dumps([2, unique_id, action, payload]))
                async with asyncio.timeout(PATIENCE_S):
                    return await answer
            finally:
                del self._answers[unique_id]

    async def _visit(self) -> None:
        login = {}
        if self.password is not None:
            user = self.url.rpartition("/")[2]
            login["Authorization"] = "Basic " + base64.b64encode(f"{user}:{self.password}".encode()).decode()
        try:
            socket = await connect(
                self.url,
                subprotocols=[Subprotocol(self.protocol)],
                additional_headers=login,
                proxy=None,
                close_timeout=1,
            )
        except InvalidHandshake:
            self.refusals += 1
            raise
        async with socket:
            self._socket, self.status = socket, ""
            self.connections += 1
            life = asyncio.create_task(self._live(), name="charge point")
            try:
                async for frame in socket:
                    self._take(frame)
            finally:
                self._socket = None
                for task in (life, *self._chores):
                    task.cancel()
                await asyncio.gather(life, *self._chores, return_exceptions=True)

    async def _mind(self) -> None:
        while True:
            self._steer()
            await self.clock.sleep(STEP_S)

    async def _live(self) -> None:
        with suppress(ConnectionClosed, ConnectionError, TimeoutError):
            if not self._booted:
                await self._boot()
            while True:
                await self._step()
                await self.clock.sleep(STEP_S)

    async def _boot(self) -> None:
        about = {
            "chargePointVendor": "loadctl",
            "chargePointModel": "emulated",
            "chargePointSerialNumber": self.serial,
            "firmwareVersion": "1.0",
        }
        await self.call("BootNotification", about)
        self._booted = True

    async def _step(self) -> None:
        """Look at the car, tell what has changed and, once in a while, what flows."""
        if not self.car.plugged:
            self._stopped, self._card = False, None
            if self.transaction is not None:
                await self._end("EVDisconnected")
        elif self.transaction is None and (self._card or (self.free and not self._stopped)):
            await self._begin()
            self._steer()
        await self._tell_status()
        interval_s = float(self.settings["MeterValueSampleInterval"])
        if self.transaction is not None and interval_s > 0 and self.clock.now() >= self._measured_at + interval_s:
            await self._measure("Sample.Periodic")

    def _steer(self) -> None:
        self.car.offer(*self.offered)

    def _state(self) -> str:
        if not self.car.plugged:
            return "Available"
        if self.transaction is None:
            return "Finishing" if self._stopped else "Preparing"
        if self.car.charging:
            return "Charging"
        return "SuspendedEV" if self.offered[0] > 0 else "SuspendedEVSE"

    async def _tell_status(self, *, always: bool = False) -> None:
        status = self._state()
        if status == self.status and not always:
            return
        self.status = status
        body = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": self._stamp()}
        await self.call("StatusNotification", body)

    async def _measure(self, context: str) -> None:
        self._measured_at = self.clock.now()
        if self.faults.meterless:
            return
        wanted = self.settings["MeterValuesSampledData"].split(",")
        samples: list[Json] = []
        for measurand, (unit, values) in self._readings().items():
            if measurand in wanted:
                samples += [
                    {"value": f"{value:.1f}", "context": context, "measurand": measurand, "unit": unit}
                    | ({} if phase is None else {"phase": phase})
                    for phase, value in values
                ]
        body: Json = {"connectorId": 1, "meterValue": [{"timestamp": self._stamp(), "sampledValue": samples}]}
        if self.transaction is not None:
            body["transactionId"] = self.transaction
        if samples:
            await self.call("MeterValues", body)

    def _readings(self) -> dict[str, tuple[str, list[tuple[str | None, float]]]]:
        currents: list[tuple[str | None, float]] = [
            (f"L{number}", amps) for number, amps in enumerate(self.car.currents, 1) if number <= self.wired
        ]
        volts: list[tuple[str | None, float]] = [(f"{phase}-N", self.car.volts) for phase, _ in currents]
        return {
            "Power.Active.Import": ("W", [(None, self.car.watts)]),
            "Energy.Active.Import.Register": ("Wh", [(None, self.car.drawn_wh)]),
            "Current.Import": ("A", currents),
            "Voltage": ("V", volts),
        }

    async def _begin(self) -> None:
        body = {
            "connectorId": 1,
            "idTag": self._card or "free",
            "meterStart": int(self.car.drawn_wh),
            "timestamp": self._stamp(),
        }
        answer = await self.call("StartTransaction", body)
        self._card = None
        if answer["idTagInfo"]["status"] == "Accepted":
            self.transaction, self._began_at, self._stopped = answer["transactionId"], self.now, False

    async def _end(self, reason: str) -> None:
        if self.transaction is None:
            return
        number, self.transaction = self.transaction, None
        self._stopped = self.car.plugged
        self._steer()
        body = {
            "transactionId": number,
            "meterStop": int(self.car.drawn_wh),
            "timestamp": self._stamp(),
            "reason": reason,
        }
        await self.call("StopTransaction", body)
        await self._tell_status()

    def _limit(self) -> tuple[float, int] | None:
        """The highest profile that is valid now (OCPP 1.6, 3.13.2); None: no profile says anything."""
        for purpose in ("TxProfile", "TxDefaultProfile"):
            for (its, _), profile in sorted(self.profiles.items(), key=lambda item: -item[0][1]):
                if its == purpose and (found := self._period(profile)) is not None:
                    return found
        return None

    def _period(self, profile: Json) -> tuple[float, int] | None:
        schedule = profile["chargingSchedule"]
        began = self._began_at
        if profile["chargingProfileKind"] == "Absolute" and "startSchedule" in schedule:
            began = datetime.fromisoformat(schedule["startSchedule"])
        if began is None:
            return None
        passed_s = (self.now - began).total_seconds()
        if passed_s < 0 or passed_s >= schedule.get("duration", float("inf")):
            return None
        period = [row for row in schedule["chargingSchedulePeriod"] if row["startPeriod"] <= passed_s][-1]
        phases = period.get("numberPhases", 3) if self.switches else self.wired
        limit = float(period["limit"])
        return limit / 230.0 / phases if schedule["chargingRateUnit"] == "W" else limit, phases

    def _take(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if message[0] == 2:
            _, unique_id, action, payload = message
            self.heard.append((action, payload))
            if not self.faults.silent:
                self._later(lambda: self._answer(unique_id, action, payload))
            return
        waiting = self._answers.get(message[1])
        if waiting is None or waiting.done():
            return
        if message[0] == 3:
            waiting.set_result(message[2])
        else:
            waiting.set_exception(ConnectionError(f"refused: {message[2]}"))

    async def _answer(self, unique_id: str, action: str, payload: Json) -> None:
        answers: dict[str, Callable[[Json], Json]] = {
            "SetChargingProfile": self._on_profile,
            "ClearChargingProfile": self._on_clear,
            "GetConfiguration": self._on_ask,
            "ChangeConfiguration": self._on_change,
            "TriggerMessage": self._on_trigger,
            "RemoteStartTransaction": self._on_start,
            "RemoteStopTransaction": self._on_stop,
        }
        if self._socket is None:
            return
        if action not in answers or action in self.faults.unknown:
            await self._socket.send(json.dumps([4, unique_id, "NotImplemented", "not known here", {}]))
            return
        said = {"status": "Rejected"} if action in self.faults.rejected else answers[action](payload)
        await self._socket.send(json.dumps([3, unique_id, said]))

    def _on_profile(self, payload: Json) -> Json:
        profile = payload["csChargingProfiles"]
        level = profile["stackLevel"]
        if level > int(self.settings.get("ChargeProfileMaxStackLevel", "1")):
            return {"status": "Rejected"}
        same = [key for key, old in self.profiles.items() if old["chargingProfileId"] == profile["chargingProfileId"]]
        for key in same:
            del self.profiles[key]
        self.profiles[profile["chargingProfilePurpose"], level] = profile
        self._steer()
        self._later(self._tell_status)
        return {"status": "Accepted"}

    def _on_clear(self, payload: Json) -> Json:
        wanted = payload.get("id")
        gone = [key for key, old in self.profiles.items() if wanted in {None, old["chargingProfileId"]}]
        for key in gone:
            del self.profiles[key]
        self._steer()
        return {"status": "Accepted" if gone else "Unknown"}

    def _on_ask(self, payload: Json) -> Json:
        keys = payload.get("key") or list(self.settings)
        known = [{"key": key, "readonly": False, "value": self.settings[key]} for key in keys if key in self.settings]
        return {"configurationKey": known, "unknownKey": [key for key in keys if key not in self.settings]}

    def _on_change(self, payload: Json) -> Json:
        if payload["key"] == "MeterValuesSampledData" and "SoC" in payload["value"]:
            return {"status": "Rejected"}  # as most boxes: they cannot know it
        self.settings[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    def _on_trigger(self, payload: Json) -> Json:
        sends: dict[str, Callable[[], Awaitable[None]]] = {
            "BootNotification": self._boot,
            "StatusNotification": lambda: self._tell_status(always=True),
            "MeterValues": lambda: self._measure("Trigger"),
        }
        message = sends.get(payload["requestedMessage"])
        if message is None:
            return {"status": "NotImplemented"}
        self._later(message)
        return {"status": "Accepted"}

    def _on_start(self, payload: Json) -> Json:
        if not self.car.plugged or self.transaction is not None:
            return {"status": "Rejected"}
        self._card, self._stopped = payload["idTag"], False
        return {"status": "Accepted"}

    def _on_stop(self, payload: Json) -> Json:
        if payload["transactionId"] != self.transaction:
            return {"status": "Rejected"}
        self._later(lambda: self._end("Remote"))
        return {"status": "Accepted"}

    def _later(self, work: Callable[[], Awaitable[None]]) -> None:
        async def chore() -> None:
            with suppress(ConnectionClosed, ConnectionError, TimeoutError):
                await work()

        task = asyncio.create_task(chore())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    def _stamp(self) -> str:
        return self.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@asynccontextmanager
async def plugged_in(box: EmulatedChargePoint) -> AsyncIterator[EmulatedChargePoint]:
    """Let `box` live, connect and reconnect, as long as the block lasts."""
    task = asyncio.create_task(box.run(), name="charge point")
    try:
        yield box
    finally:
        task.cancel()
        await asyncio.wait([task])
