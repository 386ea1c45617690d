"""What in a Shelly could hurt later, as findings of `loadctl doctor`, and the settings that put it right. No I/O.

Names of settings: shelly-api-docs.shelly.cloud, gen1 `/settings/relay/{n}`, `/settings/light/{n}` and gen2
`Switch.GetConfig`, `Light.GetConfig`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil

from loadctl.actuators.numbers import number
from loadctl.actuators.shelly.answers import RELAY, Json, Kind, Output
from loadctl.actuators.shelly.options import ShellyOptions
from loadctl.core.rules import Load
from loadctl.drivers import Finding, Level
from loadctl.units import spell

OK, NOTE, WARNING, DANGER = Level.OK, Level.NOTE, Level.WARNING, Level.DANGER

_WEAK_DBM, _BAD_DBM = -70.0, -80.0
_CLOCK_OFF_S = 60.0
_OLD_DAYS = 3 * 365
_LAST_GEN1 = "1.14.0"  # nothing has been published for Gen1 since 2023
_FIRST_SOUND = (1, 0)  # Gen2+; before were the public betas
_TOO_LONG_S = 3600.0
_MENDS = "`loadctl doctor FILE --fix` sets it"


@dataclass(frozen=True, slots=True)
class Settings:
    """One channel as its owner set it up, in words that both generations share.

    `power_on`: what it does when power comes back: off, on, last or switch (as the wall switch stands). `limit_w` None:
    not told. `input_mode` is the device's own word for what the wall switch does, empty where it has none.
    """

    power_on: str = ""
    auto_off_s: float | None = None
    auto_on_s: float | None = None
    input_mode: str = ""
    limit_w: float | None = None
    scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Vitals:
    """The device around the channel. None: it does not tell."""

    firmware: str = ""
    built: date | None = None
    update: str = ""
    locked: bool | None = None
    rssi_dbm: float | None = None
    unixtime: float | None = None
    cloud: bool = False
    mqtt: bool = False
    scripts: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings should be; None: leave it as it is."""

    auto_off_s: float | None = None
    power_on_off: bool = False

    def gen1(self) -> dict[str, str]:
        """The query of `/settings/relay/{n}` or `/settings/light/{n}`."""
        timer = {} if self.auto_off_s is None else {"auto_off": f"{self.auto_off_s:.0f}"}
        return timer | ({"default_state": "off"} if self.power_on_off else {})

    def gen2(self) -> Json:
        """The `config` of `Switch.SetConfig` or `Light.SetConfig`."""
        timer = {} if self.auto_off_s is None else {"auto_off": True, "auto_off_delay": self.auto_off_s}
        return timer | ({"initial_state": "off"} if self.power_on_off else {})


def gen1_settings(body: Json) -> Settings:
    """Read `/settings/relay/{n}` or `/settings/light/{n}`."""
    return Settings(
        power_on=str(body.get("default_state") or ""),
        auto_off_s=number(body.get("auto_off")) or None,
        auto_on_s=number(body.get("auto_on")) or None,
        input_mode=str(body.get("btn_type") or ""),
        limit_w=number(body.get("max_power")) or None,
        scheduled=body.get("schedule") is True,
    )


def gen2_settings(body: Json, jobs: Json, channel: int, kind: Kind = RELAY) -> Settings:
    """Read `Switch.GetConfig` or `Light.GetConfig`, and `Schedule.List` (empty where the firmware has none)."""
    word = str(body.get("initial_state") or "")
    return Settings(
        power_on={"restore_last": "last", "match_input": "switch"}.get(word, word),
        auto_off_s=number(body.get("auto_off_delay")) if body.get("auto_off") is True else None,
        auto_on_s=number(body.get("auto_on_delay")) if body.get("auto_on") is True else None,
        input_mode=str(body.get("in_mode") or ""),
        limit_w=number(body.get("power_limit")) or None,
        scheduled=any(_switches(job, channel, kind) for job in _rows(jobs.get("jobs"))),
    )


def gen1_vitals(about: Json, status: Json) -> Vitals:
    """Read `/shelly` and `/status`. `fw` reads like `20230913-113421/v1.14.0-gcb84623`."""
    firmware = str(about.get("fw") or "")
    update = _child(status, "update")
    return Vitals(
        firmware=_version(firmware),
        built=_built(firmware),
        update=_version(str(update.get("new_version") or "")) or "a newer one" if update.get("has_update") else "",
        locked=_flag(about.get("auth")),
        rssi_dbm=number(_child(status, "wifi_sta").get("rssi")),
        unixtime=number(status.get("unixtime")),
        cloud=_child(status, "cloud").get("connected") is True,
        mqtt=_child(status, "mqtt").get("connected") is True,
    )


def gen2_vitals(about: Json, status: Json, scripts: Json) -> Vitals:
    """Read `/shelly`, `Shelly.GetStatus` and `Script.List` (empty where the firmware has none)."""
    system = _child(status, "sys")
    stable = _child(_child(system, "available_updates"), "stable")
    return Vitals(
        firmware=str(about.get("ver") or ""),
        built=_built(str(about.get("fw_id") or "")),
        update=str(stable.get("version") or ""),
        locked=_flag(about.get("auth_en")),
        rssi_dbm=number(_child(status, "wifi").get("rssi")),
        unixtime=number(system.get("unixtime")),
        cloud=_child(status, "cloud").get("connected") is True,
        mqtt=_child(status, "mqtt").get("connected") is True,
        scripts=any(script.get("running") is True for script in _rows(scripts.get("scripts"))),
    )


def wish(settings: Settings, options: ShellyOptions, load: Load) -> Wish:
    """Return what must be set: nothing where the owner wants the load on when loadctl is gone (`safe: on`)."""
    lease_s = _lease_s(options)
    short = lease_s is not None and not (settings.auto_off_s and settings.auto_off_s >= lease_s)
    return Wish(
        auto_off_s=lease_s if short else None, power_on_off=settings.power_on not in {"off", ""} and not load.safe_on
    )


def mended(wished: Wish, before: Settings, after: Settings) -> tuple[Finding, ...]:
    """Tell what was changed, judged by what was read back."""
    found = []
    if wished.auto_off_s is not None:
        change = f"switches itself off: was {_spell_auto_off(before)}, is {_spell_auto_off(after)}"
        found.append(_changed("auto_off", after.auto_off_s == wished.auto_off_s, change))
    if wished.power_on_off:
        change = f"when power comes back: was {_POWER_ON.get(before.power_on, before.power_on)}, is "
        change += _POWER_ON.get(after.power_on, after.power_on)
        found.append(_changed("power_on", after.power_on == "off", change))
    return tuple(found)


def judge_settings(settings: Settings, options: ShellyOptions, load: Load) -> tuple[Finding, ...]:
    """Judge how the channel is set up."""
    found = [_auto_off(settings, options, load), _power_on(settings, load)]
    if settings.auto_on_s is not None:
        delay = spell(settings.auto_on_s, "s")
        advice = "switch its auto-on timer off in the Shelly app"
        found.append(Finding("auto_on", DANGER, f"it switches itself on again {delay} after every off", advice))
    if settings.scheduled:
        message = "a schedule in the device switches it, too"
        found.append(Finding("schedule", WARNING, message, "delete it in the Shelly app: `between` and `need` do that"))
    if settings.limit_w is not None and settings.limit_w < load.power_w:
        message = f"it cuts off above {spell(settings.limit_w, 'W')}, the load takes {spell(load.power_w, 'W')}"
        found.append(Finding("limit", WARNING, message, "raise its power limit, or use a device made for this load"))
    if settings.input_mode and settings.input_mode != "detached":
        message = f"a wall switch at its input ({settings.input_mode}) switches the load, too"
        advice = "that counts as your hand; if nothing is connected, `detached` keeps disturbances out"
        found.append(Finding("input", NOTE, message, advice))
    return tuple(found)


def judge_vitals(vitals: Vitals, options: ShellyOptions, gen: int, wall: datetime) -> tuple[Finding, ...]:
    """Judge the device; `wall` is our time."""
    found = [_firmware(vitals, gen, wall), _wifi(vitals.rssi_dbm), _password(vitals.locked, options)]
    found.append(_clock(vitals.unixtime, wall.timestamp()))
    others = {"the Shelly cloud": vitals.cloud, "an MQTT broker": vitals.mqtt, "a script in it": vitals.scripts}
    if names := [name for name, there in others.items() if there]:
        message = f"{' and '.join(names)} can switch it, too"
        found.append(Finding("others", NOTE, message, "such a switching counts as your hand and is left for hours"))
    else:
        found.append(Finding("others", OK, "no cloud, MQTT or script has a hand in it"))
    return tuple(found)


def judge_output(output: Output) -> tuple[Finding, ...]:
    """Tell of protections that have tripped."""
    if not output.errors:
        return ()
    message = f"its own protection has tripped: {', '.join(output.errors)}"
    return (Finding("protection", DANGER, message, "find out why before it is switched on again"),)


def _auto_off(settings: Settings, options: ShellyOptions, load: Load) -> Finding:
    lease_s, timer_s = _lease_s(options), settings.auto_off_s
    if lease_s is None:
        if timer_s is not None:
            message = f"it switches itself off after {spell(timer_s, 's')}, which `failsafe: none` does not renew"
            return Finding("auto_off", WARNING, message, "delete `failsafe: none`, or switch its auto-off timer off")
        if load.safe_on:
            return Finding("auto_off", OK, "stays on without loadctl, as `safe: on` and `failsafe: none` want it")
        message = "stays on if loadctl dies (`failsafe: none`), and this device could hold a lease"
        return Finding("auto_off", WARNING, message, "delete `failsafe: none`")
    if timer_s is None:
        message = "its own auto-off timer, the second net below the lease, is off"
        advice = (
            f"set it to {spell(lease_s, 's')} (without loadctl a press on its button then lasts no longer); {_MENDS}"
        )
        return Finding("auto_off", WARNING, message, advice)
    if timer_s < lease_s:
        message = f"its auto-off timer ({spell(timer_s, 's')}) is shorter than the lease ({spell(lease_s, 's')})"
        return Finding("auto_off", WARNING, message, f"set it to {spell(lease_s, 's')}; {_MENDS}")
    if timer_s > max(_TOO_LONG_S, lease_s):
        message = f"its auto-off timer is {spell(timer_s, 's')}: a second net, but a low one"
        return Finding("auto_off", NOTE, message, f"{spell(lease_s, 's')}, as the lease, would do")
    return Finding("auto_off", OK, f"switches itself off after {spell(timer_s, 's')} whoever switched it on")


_POWER_ON = {
    "off": "off",
    "on": "on",
    "last": "as it was before",
    "switch": "as the wall switch stands",
}


def _power_on(settings: Settings, load: Load) -> Finding:
    word = settings.power_on
    if not word:
        message = "does not tell what it does when power comes back"
        return Finding("power_on", NOTE, message, "look in the Shelly app: it should be off")
    told = f"when power comes back it is {_POWER_ON.get(word, word)}"
    if load.safe_on:
        if word == "off":
            advice = "`on` suits `safe: on`; set it in the Shelly app if it must run without loadctl"
            return Finding("power_on", NOTE, f"{told} until loadctl switches it on", advice)
        return Finding("power_on", OK, told)
    if word == "off":
        return Finding("power_on", OK, told)
    if word in {"on", "last"}:
        message = f"{told}: after a power cut the load may run with nobody in charge"
        return Finding("power_on", DANGER, message, f"set it to off; {_MENDS}")
    return Finding("power_on", WARNING, told, f"set it to off; {_MENDS}")


def _firmware(vitals: Vitals, gen: int, wall: datetime) -> Finding:
    told = f"Gen{gen}, firmware {vitals.firmware or 'not told'}"
    version = tuple(int(part) for part in re.findall(r"\d+", vitals.firmware))
    if gen > 1 and version and version < _FIRST_SOUND:
        return Finding("firmware", WARNING, f"{told}: from before 1.0", "update it in the Shelly app")
    if vitals.update:
        message = f"{told}; {vitals.update} is ready for it"
        return Finding("firmware", NOTE, message, "update it in the Shelly app when the load is off")
    last = gen == 1 and vitals.firmware == _LAST_GEN1
    if vitals.built and not last and (wall.date() - vitals.built).days > _OLD_DAYS:
        return Finding("firmware", NOTE, f"{told} is from {vitals.built:%Y-%m}", "look for an update in the Shelly app")
    return Finding("firmware", OK, told)


def _wifi(rssi_dbm: float | None) -> Finding:
    if not rssi_dbm:  # 0 on a wired Pro
        return Finding("wifi", OK, "tells no Wi-Fi strength (wired?)")
    told = f"Wi-Fi {rssi_dbm:.0f} dBm"
    if rssi_dbm >= _WEAK_DBM:
        return Finding("wifi", OK, told)
    if rssi_dbm >= _BAD_DBM:
        return Finding("wifi", NOTE, f"{told} is weak", "lost answers end as lost leases: an access point nearer to it")
    message = f"{told} is hardly a connection: leases will be lost and the load will go off"
    return Finding("wifi", WARNING, message, "put an access point nearer to it")


def _password(locked: bool | None, options: ShellyOptions) -> Finding:
    if locked is False and options.password is not None:
        return Finding("password", NOTE, "it asks for no password although the rule file has one", "set it there")
    if locked is False:
        message = "open to everybody in your network"
        return Finding("password", NOTE, message, "set a password in its web page and `password:` here")
    return Finding("password", OK, "asks for a password" if locked else "does not tell whether it asks for a password")


def _clock(unixtime: float | None, now: float) -> Finding:
    if not unixtime:
        message = "it does not know the time; leases do not need it, schedules do"
        return Finding("clock", NOTE, message, "let it reach an NTP server")
    off_s = abs(unixtime - now)
    if off_s > _CLOCK_OFF_S:
        message = f"its clock differs from this machine's by {spell(round(off_s), 's')}"
        return Finding("clock", NOTE, message, "let both reach an NTP server")
    return Finding("clock", OK, "its clock is right")


def _changed(check: str, done: bool, change: str) -> Finding:
    if done:
        return Finding(check, OK, change, fixed=True)
    return Finding(check, DANGER, f"it said yes and did not change: {change}", "set it in the Shelly app")


def _spell_auto_off(settings: Settings) -> str:
    return "never" if settings.auto_off_s is None else f"after {spell(settings.auto_off_s, 's')}"


def _lease_s(options: ShellyOptions) -> float | None:
    return float(ceil(options.lease)) if options.failsafe == "lease" else None


def _version(firmware: str) -> str:
    match = re.search(r"v?(\d+\.\d+(?:\.\d+)?)", firmware.rpartition("/")[2])
    return match[1] if match else firmware[:40]


def _built(firmware: str) -> date | None:
    match = re.match(r"(20\d\d)(\d\d)(\d\d)-", firmware)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _switches(job: Json, channel: int, kind: Kind) -> bool:
    """Whether an enabled job of the device's schedule sets this channel."""
    if job.get("enable") is not True:
        return False
    ours = f"{kind.gen2.lower()}."
    return any(
        str(call.get("method", "")).lower().startswith(ours) and _child(call, "params").get("id", 0) == channel
        for call in _rows(job.get("calls"))
    )


def _child(value: Json, key: str) -> Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _rows(value: object) -> list[Json]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
