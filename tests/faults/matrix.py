"""What is done to the house, and what design.md allows it to do about that.

A trial is one house and one fault; it gives a row for each load it judges. `allowed_s` is what the promises add up to
with the times of `street.RULES`; a busy machine gets SLACK_S more before a trial fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadctl.core.values import Verdict
from loadctl.lab.emulators.envoy.emulated import Fault as Envoy
from loadctl.lab.emulators.serve import serve
from loadctl.lab.emulators.shelly import EmulatedShellyGen1, EmulatedShellyGen2
from loadctl.lab.emulators.shelly import Fault as Relay
from tests.e2e.until import until
from tests.faults.proxy import Mode
from tests.faults.street import (
    DEVICES,
    EVERY_S,
    GEN1,
    GEN2,
    GPIO,
    HOLD_S,
    LEASE_S,
    MAX_AGE_S,
    NAMES,
    PIN,
    Street,
    opened,
)

ANSWER_S = 2.0  # a Gen1 rests a second between requests
BLIND_S = MAX_AGE_S + HOLD_S + 1.0 + ANSWER_S
REACT_S = 2.0 + 1.0 + ANSWER_S  # the next reading (with a rare page before it), the tick, the answer
LOOK_S = EVERY_S + 1.0 + 2 * ANSWER_S  # the next read-back and what follows from it
SLACK_S = 5.0

OFF = "off"
Took = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One load under one fault: what it must do and how long that may take."""

    fault: str
    load: str
    does: str
    allowed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """`run` asserts that the rows hold and returns how long each load took."""

    fault: str
    does: Mapping[str, tuple[str, float | None]]
    run: Callable[[], Awaitable[Took]]
    short: bool = False
    rows: tuple[Row, ...] = field(init=False)

    def __post_init__(self) -> None:
        rows = tuple(Row(self.fault, load, does, allowed_s) for load, (does, allowed_s) in self.does.items())
        object.__setattr__(self, "rows", rows)


# --- the meter


def meter(
    fault: str, spoil: Callable[[Street], None], *, later_s: float = 0.0, short: bool = False, **house: Any
) -> Trial:
    """Blind: nothing starts, and every load is off once `max_age`, `hold` and a tick have passed.

    `later_s`: until the meter shows that something is wrong with it.
    """
    allowed_s = BLIND_S + later_s

    async def run() -> Took:
        async with opened(**house) as street:
            await street.all_run()
            spoil(street)
            since = time.monotonic()
            took = {
                load: await street.went(load, to=False, since=since, limit_s=allowed_s + SLACK_S) for load in DEVICES
            }
            assert all(street.heard(load, Verdict.BLIND, since) for load in DEVICES)
            assert "loadctl_blind 1.0" in await street.shown()
            assert not any(contact.moved(since, to=True) for contact in street.contacts.values())
            assert street.longest_unleased_s == 0.0
            return took

    return Trial(fault, dict.fromkeys(DEVICES, (OFF, allowed_s)), run, short)


def _wire(mode: Mode) -> Callable[[Street], None]:
    def spoil(street: Street) -> None:
        street.wires["envoy"].mode = mode

    return spoil


def _box(fault: Envoy) -> Callable[[Street], None]:
    def spoil(street: Street) -> None:
        street.envoy.fault = fault

    return spoil


def _lock_out(street: Street) -> None:
    street.envoy.gate.shut = True
    street.envoy.gate.sessions.clear()


def _absurd_export(street: Street) -> None:
    street.false_w = -9e9


def _update_to_7(street: Street) -> None:
    street.envoy.era = "7"


def _update_to_8() -> Trial:
    fault = "firmware 7 becomes 8 overnight, the token stays good"

    async def run() -> Took:
        async with opened(era="7", token=True) as street:
            await street.all_run()
            street.envoy.era = "8"
            since = time.monotonic()
            asked = len(street.envoy.requests)
            await until(lambda: time.monotonic() - since > BLIND_S + SLACK_S)
            assert len(street.envoy.requests) - asked > MAX_AGE_S
            assert not any(contact.moved(since, to=False) for contact in street.contacts.values())
            return {}

    return Trial(fault, dict.fromkeys(DEVICES, ("stays on, as there is sun", None)), run)


METER = (
    meter("meter hangs", _box(Envoy.HANG), short=True),
    meter("meter answers 500", _box(Envoy.BROKEN)),
    meter("meter answers 503, asks for rest", _box(Envoy.BUSY)),
    meter("meter answers with a web page", _box(Envoy.HTML)),
    meter("meter's JSON is cut off", _box(Envoy.TRUNCATED)),
    meter("meter repeats an old reading", _box(Envoy.STALE), later_s=2.0, short=True),
    meter("meter says words, nulls and terawatts", _box(Envoy.NONSENSE)),
    meter("meter claims 9 GW of export", _absurd_export),
    meter("meter resets the connection", _wire(Mode.RESET)),
    meter("meter hangs up in the middle", _wire(Mode.CUT)),
    meter("cable pulled, connection half open", _wire(Mode.SILENT)),
    meter("meter drips a byte a second", _wire(Mode.DRIP)),
    meter("meter's port speaks no HTTP", _wire(Mode.GARBAGE)),
    meter("meter takes the login no more", _lock_out, era="8", token=True, short=True),
    meter("firmware 5 becomes 7 overnight, which wants a token", _update_to_7),
    _update_to_8(),
)

# --- the relays


async def _others_go_off(street: Street, sick: str, since: float) -> None:
    """One broken device never delays another."""
    for load in DEVICES:
        if load != sick:
            await street.went(load, to=False, since=since, limit_s=REACT_S + SLACK_S)


async def _fault_is_shown(street: Street, sick: str) -> None:
    line = f'loadctl_appliance_verdict{{appliance="{NAMES[sick]}",verdict="fault"}} 1.0'
    async with asyncio.timeout(LEASE_S + SLACK_S):
        while line not in await street.shown():  # noqa: ASYNC110 - a page is polled
            await asyncio.sleep(0.1)


def disobedient(fault: str, sick: str, trouble: Relay | None, *, short: bool = False) -> Trial:
    """It does not go off when told to: its lease sees to that, and the others never wait for it.

    `trouble` None: it would take a renewal, only no OFF; so nobody may renew what should be off.
    """

    async def run() -> Took:
        async with opened() as street:
            await street.all_run()
            street.shelly(sick).fault = trouble
            street.stubborn[sick].refuses_off = trouble is None
            since = street.overload()
            await _others_go_off(street, sick, since)
            await _fault_is_shown(street, sick)
            took_s = await street.went(sick, to=False, since=since, limit_s=REACT_S + LEASE_S + SLACK_S)
            assert street.shelly(sick).switchings[-1].source == "timer"
            assert street.longest_unleased_s == 0.0
            street.shelly(sick).fault = None
            street.stubborn[sick].refuses_off = False
            return {sick: took_s}

    does = "FAULT; off by its own timer, others at once"
    return Trial(f"relay {fault}", {sick: (does, REACT_S + LEASE_S)}, run, short)


def reboots(sick: str) -> Trial:
    """A power cut at the relay is no hand: it is started again by its rules."""

    async def run() -> Took:
        async with opened() as street:
            await street.all_run()
            await street.settled()
            since = time.monotonic()
            street.shelly(sick).reboot()
            await street.went(sick, to=False, since=since, limit_s=SLACK_S)
            took_s = await street.went(sick, to=True, since=since, limit_s=60.0)
            assert not street.heard(sick, Verdict.HAND, since)
            assert not any(street.contacts[load].moved(since, to=False) for load in DEVICES if load != sick)
            assert street.longest_unleased_s == 0.0
            return {sick: took_s}

    return Trial("relay reboots, comes back off", {sick: ("off, started again by its rules", 30.0)}, run)


def reboots_into_on(sick: str) -> Trial:
    """Back on without a timer (`initial_state: on`): the next read-back gives it a lease."""

    async def run() -> Took:
        async with opened() as street:
            await street.all_run()
            await street.settled()
            device = street.shelly(sick)
            device.relays[0].initial = "on"
            device.reboot()
            since = time.monotonic()
            await until(lambda: device.relays[0].timer is not None, 60.0)
            took_s = time.monotonic() - since
            assert not any(street.contacts[load].moved(since, to=False) for load in DEVICES)
            return {sick: took_s}

    does = "stays on, gets a lease at the next renewal"
    return Trial("relay reboots, comes back on without a timer", {sick: (does, LEASE_S / 3 + LOOK_S)}, run)


def moves_house(sick: str, *, short: bool = False) -> Trial:
    """Another Shelly answers at its address: that one is not touched, and ours goes off by its timer."""

    async def run() -> Took:
        stranger = EmulatedShellyGen1(mac="E868E7BB9999") if sick == GEN1 else EmulatedShellyGen2(mac="A8032ABB9999")
        async with opened() as street, serve(stranger.app) as url:
            await street.all_run()
            await street.settled()  # the look behind the ON is over
            street.wires[NAMES[sick]].target = url
            since = time.monotonic()
            await _fault_is_shown(street, sick)
            took_s = await street.went(sick, to=False, since=since, limit_s=LEASE_S + SLACK_S)
            assert not any(street.contacts[load].moved(since, to=False) for load in DEVICES if load != sick)
            assert stranger.requests
            assert not stranger.switchings
            assert not any("turn=" in asked.path for asked in stranger.requests)
            assert "Switch.Set" not in {method for method, _ in getattr(stranger, "calls", ())}
            return {sick: took_s}

    does = "FAULT; the stranger is left alone, ours goes off by its timer"
    return Trial("another device at the relay's address", {sick: (does, LEASE_S)}, run, short)


def pin_refuses() -> Trial:
    """A pin holds no lease: it stays on as long as the kernel refuses, which is told, and obeys afterwards."""

    async def run() -> Took:
        async with opened(persist=True) as street:
            await street.all_run()
            street.kernel.fault = 5  # EIO
            since = street.overload()
            await _others_go_off(street, GPIO, since)
            await _fault_is_shown(street, GPIO)
            assert street.on(GPIO)
            street.kernel.fault = 0
            since = time.monotonic()
            return {GPIO: await street.went(GPIO, to=False, since=since, limit_s=60.0 + SLACK_S)}

    does = "FAULT; stays on (no lease), told again and again: off when it obeys, others at once"
    return Trial("kernel refuses the pin", {GPIO: (does, 60.0)}, run, short=True)


def pin_lies() -> Trial:
    """The pin is driven low and reads high."""

    async def run() -> Took:
        async with opened() as street:
            await street.all_run()
            street.kernel.lines[PIN].short = True
            since = street.overload()
            await _others_go_off(street, GPIO, since)
            await _fault_is_shown(street, GPIO)
            street.kernel.lines[PIN].short = None
            since = time.monotonic()
            return {GPIO: await street.went(GPIO, to=False, since=since, limit_s=60.0 + SLACK_S)}

    does = "FAULT; off as soon as the short is gone, others at once"
    return Trial("something drives the pin high", {GPIO: (does, 60.0)}, run)


RELAYS = (
    *(disobedient("refuses", sick, Relay.REFUSE) for sick in (GEN1, GEN2)),
    *(disobedient("refuses OFF and nothing else", sick, None) for sick in (GEN1, GEN2)),
    *(disobedient("hangs", sick, Relay.HANG, short=sick == GEN2) for sick in (GEN1, GEN2)),
    *(disobedient("lies: says yes, stays on", sick, Relay.LIE, short=sick == GEN1) for sick in (GEN1, GEN2)),
    *(disobedient("answers garbage", sick, Relay.GARBAGE) for sick in (GEN1, GEN2)),
    *(disobedient("breaks off the connection", sick, Relay.RESET) for sick in (GEN1, GEN2)),
    *(reboots(sick) for sick in (GEN1, GEN2)),
    *(reboots_into_on(sick) for sick in (GEN1, GEN2)),
    *(moves_house(sick, short=sick == GEN2) for sick in (GEN1, GEN2)),
    pin_refuses(),
    pin_lies(),
)
TRIALS = METER + RELAYS
ROWS = tuple(row for trial in TRIALS for row in trial.rows)
