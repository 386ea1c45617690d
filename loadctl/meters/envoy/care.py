"""What about an Envoy could hurt later, as findings of `loadctl doctor`: firmware, CTs, token, clock. Changes nothing.

Bugs by firmware: what pyenphase's const.py and updaters, and owners' reports, tell of each version.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from loadctl.core.values import Sample
from loadctl.drivers import Clock, Finding, Level, Shared
from loadctl.errors import DeviceError
from loadctl.meters.envoy.link import Link
from loadctl.meters.envoy.options import EnvoyOptions
from loadctl.meters.envoy.setup import JSON_SINCE, NET, TOTAL, TOTAL_OVERWRITTEN_SINCE, Info, parse_info
from loadctl.meters.envoy.token import BY_HAND, Token, TokenKeeper, why_refused
from loadctl.meters.envoy.wire import decode, rows
from loadctl.units import spell

OK, NOTE, WARNING, DANGER, UNSEEN = Level

_DAY_S = 86400.0
_SOON_S, _LAST_S = 30 * _DAY_S, 7 * _DAY_S
_SESSION_TOKEN_S = 2 * _DAY_S  # an installer's token lives for half a day
_CLOCK_OFF_S, _CLOCK_WRONG_S = 60.0, 3600.0
_CALM_SINCE = (4, 4)  # before, being asked fast made it crash
_NO_CT = "nobody can know what is exported, so nothing will be switched"

_FLAGS = {  # flag of a reading: level, what it means, what to do
    "eim_inactive": (WARNING, "its CTs report as switched off", "ask your installer to enable them"),
    "ct_missing": (WARNING, "a CT that is fitted is missing in the readings", "if it stays so ask your installer"),
    "inverters_disagree": (
        WARNING,
        "the production CT and the inverters disagree by more than 40 %",
        "if the CT sees only part of the panels write `pv_source: inverters`; the grid's value is right either way",
    ),
    "negative_load": (
        WARNING,
        "the house seems to give power: production, grid and battery do not fit together",
        "have the direction of the CTs checked",
    ),
    "untyped_meters": (
        DANGER,
        "this firmware does not say what the consumption CT measures",
        "write `untyped_meter: net` (it sits at the main supply) or `untyped_meter: total`",
    ),
    "stale": (WARNING, "it repeats an old reading", "if it stays so restart the Envoy"),
    "battery_unknown": (WARNING, "whether a battery discharges is not known", "`source: auto` finds the best page"),
    "battery_hidden": (
        NOTE,
        "this firmware shows batteries to installers only; loadctl takes it that there are none",
        "if there is one write `username: installer` with its password",
    ),
    "storage_phase_missing": (NOTE, "one phase of the battery's CT is missing at moments", "an update may cure it"),
    "stream_bursts": (WARNING, "its stream comes in blocks, seconds late", "write `source: readings`"),
    "v1_stale": (WARNING, "its production stands still (a fault of this firmware)", "ask for an update"),
    "v1_zero": (WARNING, "its production is always zero (a fault of this firmware)", "ask for an update"),
    "grid_open": (NOTE, "the house is cut off from the grid right now", ""),
    "generator_running": (NOTE, "a generator runs right now", ""),
    "token_renewal_failed": (WARNING, "the token could not be renewed", BY_HAND),
}


async def inspect(options: EnvoyOptions, clock: Clock, link: Link, samples: Sequence[Sample]) -> tuple[Finding, ...]:
    """Look at `/info`, `/ivp/meters` and the token. `link` is open and logged in if `samples` could be read.

    The token itself is never told. Raises nothing: what cannot be had is told, once.
    """
    found: list[Finding] = []
    info = Info()
    try:
        info = parse_info(await link.get("/info"))
        found += judge_info(info, clock.wall())
    except DeviceError as error:
        if samples:  # else `read` has told it
            found.append(_unseen("firmware", error))
    found += _judge_tokens(options, clock, info)
    if samples and not (info.version and info.version < JSON_SINCE):
        try:
            found += judge_meters(decode(await link.get("/ivp/meters"), "/ivp/meters"), info)
        except DeviceError as error:
            found.append(_unseen("ct", error))
    if link.certificate:
        found.append(_certificate(options, link.certificate))
    return (*found, *judge_flags(samples))


def judge_info(info: Info, wall: datetime) -> tuple[Finding, ...]:
    """Judge firmware and clock; `wall` is our time when it answered."""
    if info.version and info.version < JSON_SINCE:
        message = f"{info.name} knows no consumption: {_NO_CT}"
        firmware = Finding("firmware", DANGER, message, "ask your installer for a newer Envoy with CTs")
    elif info.version and info.version < _CALM_SINCE:
        message = f"{info.name} is known to crash when it is asked often"
        firmware = Finding("firmware", WARNING, message, "write `every: 10 s`, or ask your installer for an update")
    else:
        firmware = Finding("firmware", OK, f"{info.name}, serial …{info.serial[-4:]}")
    if info.time is None:
        return (firmware,)
    off_s = abs(info.time - wall.timestamp())
    told = f"its clock differs from this machine's by {spell(round(off_s), 's')}"
    advice = "readings are timed by this machine, tokens by the Envoy; give it internet, or look at `timedatectl`"
    if off_s > _CLOCK_WRONG_S:
        return firmware, Finding("clock", WARNING, told, advice)
    if off_s > _CLOCK_OFF_S:
        return firmware, Finding("clock", NOTE, told, advice)
    return firmware, Finding("clock", OK, "its clock agrees with this machine's")


def judge_token(token: Token, info: Info, wall: float, *, renewed: bool) -> tuple[Finding, ...]:
    """Judge end of life, gateway and role of a token. `renewed`: loadctl can fetch the next one itself."""
    found = []
    if token.serial and info.serial and token.serial != info.serial:
        found.append(Finding("token_gateway", DANGER, f"its token: {why_refused(token, info.serial, 0.0)}", BY_HAND))
    if token.expires_at is None:
        message = "its token does not tell when it ends"
        return (*found, Finding("token", NOTE, message, f"if it is refused {BY_HAND}"))
    left_s = token.expires_at - wall
    told = f"on {datetime.fromtimestamp(token.expires_at, UTC):%Y-%m-%d}"
    days = f"in {left_s / _DAY_S:.0f} days" if left_s >= _SESSION_TOKEN_S else f"in {left_s / 3600:.0f} hours"
    role = f"{token.role}'s token" if token.role else "token"
    if left_s <= 0:
        found.append(Finding("token", DANGER, f"its {role} expired {told}", BY_HAND))
    elif renewed:
        found.append(Finding("token", OK, f"its {role} ends {told}, {days}; loadctl fetches the next one"))
    elif left_s < _SESSION_TOKEN_S and token.role == "installer":
        message = f"its {role} ends {told}, {days}: such a one lives for 12 hours"
        found.append(Finding("token", DANGER, message, "make one as the owner, which lives for a year"))
    elif left_s < _SOON_S:
        message = f"its {role} ends {told}, {days}: loadctl will then be blind"
        level = DANGER if left_s < _LAST_S else WARNING
        found.append(Finding("token", level, message, f"{BY_HAND}, or set `login` and loadctl renews it"))
    else:
        found.append(Finding("token", OK, f"its {role} ends {told}, {days}"))
    return tuple(found)


def judge_meters(value: Any, info: Info) -> tuple[Finding, ...]:
    """Judge `/ivp/meters`: which CTs there are, whether they measure, whether their wiring is doubted."""
    enabled = [row for row in rows(value) if row.get("state") == "enabled"]
    kinds = {str(row.get("measurementType")) for row in enabled}
    consumption = kinds & {NET, TOTAL}
    found = []
    if not consumption:
        waiting = any(row.get("measurementType") in {NET, TOTAL} for row in rows(value))
        state = "its consumption CT is not enabled" if waiting else "it has no consumption CT"
        found.append(Finding("ct", DANGER, f"{state}: {_NO_CT}", "ask your installer to fit or enable one"))
    elif consumption == {TOTAL} and info.version >= TOTAL_OVERWRITTEN_SINCE:
        message = f"its CT measures the loads, and {info.name} shows that wrongly in production.json"
        found.append(Finding("ct", NOTE, message, "loadctl corrects it; `source: readings` avoids it"))
    elif "production" not in kinds and consumption == {TOTAL}:
        message = f"it has no production CT and measures the loads only: {_NO_CT}"
        found.append(Finding("ct", DANGER, message, "ask your installer to enable the production CT"))
    else:
        phases = max((_count(row) for row in enabled), default=1)
        legs = "one phase" if phases == 1 else f"{phases} phases, whose sum counts"
        found.append(Finding("ct", OK, f"CTs: {', '.join(sorted(kinds))}; {legs}"))
    for row in enabled:
        found += _wiring(row)
    return tuple(found)


def judge_flags(samples: Sequence[Sample]) -> tuple[Finding, ...]:
    """Say in words what the remarks of the readings mean."""
    last = samples[-1].flags if samples else frozenset()  # in the first ones not all pages have been read
    return tuple(Finding(flag, *_FLAGS[flag]) for flag in sorted(last) if flag in _FLAGS)


def _judge_tokens(options: EnvoyOptions, clock: Clock, info: Info) -> tuple[Finding, ...]:
    if info.version and not info.tokens:
        return ()
    try:
        token = TokenKeeper(options, Shared(clock)).at_hand()
    except DeviceError as error:
        return (Finding("token", DANGER, str(error.args[0]), error.hint),)
    if token is None:
        if not info.version:
            return ()  # perhaps it wants none
        if options.login is None:
            return (Finding("token", DANGER, "it has no token, which firmware 7 and later want", BY_HAND),)
        message = "its token is fetched from Enphase at every start"
        advice = "write `token_file: …`: without internet it then starts all the same"
        return (Finding("token", OK, message),) if options.token_file else (Finding("token", NOTE, message, advice),)
    return judge_token(token, info, clock.wall().timestamp(), renewed=options.login is not None)


def _wiring(row: dict[str, Any]) -> list[Finding]:
    kind, status = str(row.get("measurementType")), row.get("meteringStatus")
    found = []
    if status == "check-wiring":
        message = f"the Envoy doubts the wiring of its {kind} CT"
        found.append(Finding(f"wiring.{kind}", DANGER, message, "ask your installer: direction, phase, clamp closed?"))
    elif status == "not-metering":
        message = f"its {kind} CT is enabled and measures nothing"
        found.append(Finding(f"wiring.{kind}", DANGER, message, "ask your installer"))
    flags = [flag for flag in row.get("statusFlags") or [] if isinstance(flag, str)]
    if flags:
        message = f"its {kind} CT complains: {', '.join(flag[:40].replace('-', ' ') for flag in flags)}"
        found.append(Finding(f"status.{kind}", WARNING, message, "ask your installer; its numbers may be wrong"))
    return found


def _certificate(options: EnvoyOptions, shown: str) -> Finding:
    if options.fingerprint:
        return Finding("certificate", OK, "its certificate is the pinned one")
    message = "its certificate is self-signed and taken unseen"
    return Finding("certificate", NOTE, message, f"`fingerprint: {shown}` pins it; the Envoy changes it once a year")


def _count(row: dict[str, Any]) -> int:
    count = row.get("phaseCount")
    return count if isinstance(count, int) else 1


def _unseen(check: str, error: DeviceError) -> Finding:
    return Finding(check, UNSEEN, str(error.args[0]), error.hint)
