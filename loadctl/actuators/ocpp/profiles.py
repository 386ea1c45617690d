"""What is said to a charge point about power, and what it says, as values. No I/O.

Facts: OCPP 1.6 edition 2, 3.13 (smart charging), 7.8-7.17 (profiles), 7.28-7.46 (meter values), 4.9 (states).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any

from loadctl.actuators.numbers import written
from loadctl.core.values import Command

Json = dict[str, Any]

VOLTS = 230.0
LEAST_A = 6.0  # below it the pilot knows only a pause (IEC 61851-1)
MOST_A = 80.0
DRAWS_A = 1.0  # below it the car's electronics only
SAFE_LEVEL = 0
TOLERATED_S = 2.0

NO_CAR = "no car is plugged in"
_PLUGGED = {"Available": False, **dict.fromkeys(("Preparing", "Charging", "SuspendedEV", "SuspendedEVSE"), True)}
_PLUGGED["Finishing"] = True
_MOMENTS = {"Interruption.Begin", "Interruption.End", "Transaction.Begin", "Transaction.End"}
_PHASES = {"L1": 0, "L2": 1, "L3": 2, "L1-N": 0, "L2-N": 1, "L3-N": 2}
_FACTORS = {"kW": 1e3, "kWh": 1e3, "kvar": 1e3, "kVA": 1e3}

MEASURANDS = ("Power.Active.Import", "Energy.Active.Import.Register", "Current.Import", "Voltage")
WISHES = (",".join((*MEASURANDS, "SoC")), ",".join(MEASURANDS), ",".join(MEASURANDS[:3]), MEASURANDS[0])


@dataclass(frozen=True, slots=True)
class Limit:
    """What a car may draw: A on each phase, W in all; `phases` None: on how many is left to the charger."""

    amps: float
    watts: float
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """From `start`, by the box's own clock, for `lasts_s`."""

    start: datetime
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a box tells of itself by GetConfiguration; None: it does not tell."""

    stack_level: int | None = None
    in_watts: bool = False  # its profiles know W only
    switches_phases: bool | None = None
    features: frozenset[str] | None = None
    measurands: str | None = None
    interval_s: float | None = None


ASKED = (
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ConnectorSwitch3to1PhaseSupported",
    "SupportedFeatureProfiles",
    "MeterValuesSampledData",
    "MeterValueSampleInterval",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One look of the box at its meter: W, A by phase, Wh, %, °C; None: not told. `at`: by the box's own clock."""

    watts: float | None = None
    currents: tuple[float | None, float | None, float | None] = (None, None, None)
    offered_w: float | None = None
    energy_wh: float | None = None
    soc: float | None = None
    temperature: float | None = None
    at: datetime | None = None

    @property
    def phases(self) -> int | None:
        """On how many phases the car draws; None: on none, or the currents are not told by phase."""
        return sum(amps is not None and amps > DRAWS_A for amps in self.currents) or None

    @property
    def draws(self) -> bool:
        return self.phases is not None or (self.watts or 0.0) > DRAWS_A * VOLTS


@dataclass(frozen=True, slots=True)
class Plug:
    """What a connector's state says of the car and of the box."""

    connected: bool | None
    available: bool
    detail: str = ""


def limit(command: Command, seen: int | None, phases: int | None) -> Limit:
    """Return what `command` allows, to be set on `phases`.

    Without amps (a load taken over as found) they are worked out, rather too few; `seen`: on how many phases the car
    was seen to draw.
    """
    if command.watts <= 0:
        return Limit(0.0, 0.0, phases)
    amps = command.amps
    if amps is None:
        amps = max(LEAST_A, command.watts / VOLTS / (command.phases or seen or 3))
    return Limit(floor(round(min(MOST_A, amps) * 10, 6)) / 10, command.watts, phases)  # one decimal at most


def working_profile(wanted: Limit, abilities: Abilities, connector: int, *, level: int, lease: Lease | None) -> Json:
    """Return the profile that sets `wanted`, for a lease or, without one, for good.

    A schedule that is relative begins with the transaction and would be over long before it is renewed: a lease needs
    a moment to count from.
    """
    schedule = _schedule(wanted, abilities)
    if lease is None:
        return _profile(200 + connector, level, "Relative", schedule)
    began = lease.start.astimezone(UTC).replace(microsecond=0)
    lasts_s = round(lease.lasts_s + (lease.start - began).total_seconds())
    return _profile(200 + connector, level, "Absolute", {"startSchedule": stamp(began), "duration": lasts_s} | schedule)


def working_level(abilities: Abilities) -> int:
    """The stack level of the profile that works: above the pause, and above what the box's own app may have set."""
    return SAFE_LEVEL + 1 if abilities.stack_level is None else abilities.stack_level


def safe_profile(abilities: Abilities, connector: int) -> Json:
    """Return what holds when nothing else does: a pause, for good, at the lowest level. It needs no clock."""
    schedule = _schedule(Limit(0.0, 0.0), abilities)
    return _profile(100 + connector, SAFE_LEVEL, "Relative", schedule)


def on_its_clock(wall: datetime, skew_s: float) -> datetime:
    """Return our `wall` as a box reads it whose clock is `skew_s` ahead; a second or two is only the way here."""
    return wall + timedelta(seconds=skew_s) if abs(skew_s) > TOLERATED_S else wall


def stamp(at: datetime) -> str:
    """Write a moment as OCPP does, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> datetime | None:
    """Read a timestamp of a box; one without a zone is taken for UTC, one that cannot be meant for none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    # a clock that was never set says 1970; arithmetic near the ends of the calendar fails
    return found if 2000 < found.year < 2200 else None


def abilities(rows: object) -> Abilities:
    """Read `configurationKey` of GetConfiguration; what is missing or odd is not known."""
    told = {
        row["key"]: str(row.get("value") or "")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("key"), str)
    }
    units = told.get("ChargingScheduleAllowedChargingRateUnit", "").lower()
    features = told.get("SupportedFeatureProfiles")
    switches = told.get("ConnectorSwitch3to1PhaseSupported", "").strip().lower()
    level, interval_s = written(told.get("ChargeProfileMaxStackLevel")), written(told.get("MeterValueSampleInterval"))
    return Abilities(
        stack_level=None if level is None else int(level),
        in_watts="power" in units and "current" not in units,
        switches_phases={"true": True, "false": False}.get(switches),
        features=None if features is None else frozenset(part.strip() for part in features.split(",")),
        measurands=told.get("MeterValuesSampledData"),
        interval_s=interval_s,
    )


def measured(rows: object, before: Measured) -> tuple[Measured, bool]:
    """Read `meterValue` of MeterValues; also whether it tells the power that the car draws.

    What this message does not tell stays as it was `before`: the charge of the car's battery comes rarely.
    """
    now, electric = before, False
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        values = _values(row.get("sampled_value"))
        power, currents = values.get("Power.Active.Import", {}), values.get("Current.Import", {})
        volts = values.get("Voltage", {})
        watts = _total(power)
        if watts is None and currents:
            watts = sum(amps * volts.get(phase, volts.get(None, VOLTS)) for phase, amps in currents.items())
        if watts is not None:
            electric = True
            amps = currents or {phase: watts / VOLTS for phase, watts in power.items()}
            now = replace(now, watts=watts, currents=(amps.get(0), amps.get(1), amps.get(2)))
        now = replace(
            now,
            offered_w=_either(_total(values.get("Power.Offered", {})), now.offered_w),
            energy_wh=_either(_total(values.get("Energy.Active.Import.Register", {})), now.energy_wh),
            soc=_either(_total(values.get("SoC", {})), now.soc),
            temperature=_either(_total(values.get("Temperature", {})), now.temperature),
            at=moment(row.get("timestamp")) or now.at,
        )
    return now, electric


def plug(status: str, error: str = "", info: str = "") -> Plug:
    """Say what a StatusNotification means for the car at this connector."""
    if status == "Faulted":
        return Plug(None, False, f"the charger reports a fault: {' '.join(filter(None, (error, info))) or 'no reason'}")
    if status == "Unavailable":
        return Plug(None, False, "the charger is switched to out of service")
    if status == "Reserved":
        return Plug(None, False, "the charger is reserved for somebody")
    connected = _PLUGGED.get(status)
    return Plug(connected, connected is not False, NO_CAR if connected is False else "")


def rests(status: str) -> bool:
    """Tell whether the contactor is open, or the car takes nothing; False where no state was told yet."""
    return status not in {"", "Charging"}


def _schedule(wanted: Limit, abilities: Abilities) -> Json:
    period: Json = {"startPeriod": 0, "limit": round(wanted.watts if abilities.in_watts else wanted.amps, 1)}
    if wanted.phases is not None:
        period["numberPhases"] = wanted.phases
    return {"chargingRateUnit": "W" if abilities.in_watts else "A", "chargingSchedulePeriod": [period]}


def _profile(profile_id: int, level: int, kind: str, schedule: Json) -> Json:
    return {
        "chargingProfileId": profile_id,
        "stackLevel": level,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }


def _values(samples: object) -> Mapping[str, dict[int | None, float]]:
    """Sort sampled values by what they measure and by phase (0 to 2, None: all together)."""
    found: dict[str, dict[int | None, float]] = {}
    for sample in samples if isinstance(samples, list) else []:
        if not isinstance(sample, dict) or sample.get("context") in _MOMENTS:
            continue
        value, phase = written(sample.get("value")), sample.get("phase")
        if value is None or (phase is not None and phase not in _PHASES):
            continue  # neutral, or between two phases
        measurand = str(sample.get("measurand") or "Energy.Active.Import.Register")
        if sample.get("unit") in {"Fahrenheit", "K"}:
            continue
        factor = _FACTORS.get(str(sample.get("unit") or ""), 1.0)
        found.setdefault(measurand, {})[None if phase is None else _PHASES[phase]] = value * factor
    return found


def _total(by_phase: Mapping[int | None, float]) -> float | None:
    if None in by_phase:
        return by_phase[None]
    return sum(by_phase.values()) if by_phase else None


def _either(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
