"""The state document: all that the page shows of now. Powers in W, energy in Wh, times in s; unknown is null."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import loadctl
from loadctl.core.appliance import had_today, own_w, tallied, used_share
from loadctl.core.needs import left_s, level
from loadctl.core.rules import Clock, Load, Need
from loadctl.core.values import OFF, ON, Away, Boost, Mark, Outcome, Standing, Tick, Verdict, Wish
from loadctl.service.daemon import Daemon
from loadctl.service.hands import mode_of, modes
from loadctl.service.today import Today
from loadctl.telling.explain import Explanation, explain
from loadctl.units import span, spell

DANGERS = {Verdict.WELDED, Verdict.FAULT}
WARNINGS = {Verdict.NEED_AT_RISK, Verdict.SHED}

Json = dict[str, Any]


def waiting(daemon: Daemon, today: Today) -> Json:
    """Return the document before anything is decided."""
    meter = {"state": "waiting", "driver": daemon.house.meter.driver, "age_s": None, "since": None, "detail": ""}
    power = dict.fromkeys(("pv_w", "load_w", "grid_w", "battery_w", "soc_pct", "surplus_w"))
    return _head(daemon, daemon.clock.wall().astimezone(daemon.house.zone)) | {
        "meter": meter,
        "power": power,
        "today": _today(today),
        "troubles": [],
        "away": {"on": False, "until": None},
        "loads": [],
    }


def document(daemon: Daemon, today: Today, tick: Tick, outcome: Outcome) -> Json:
    """Return the document of one tick; the verdicts must be those of the daemon's present loads."""
    site, state = daemon.house.site, outcome.state
    said = [explain(site, outcome, tick, index) for index in range(len(site.loads))]
    blind = state.blind_since is not None
    sample = tick.sample if not blind else None
    away = next((wish for wish in tick.wishes if isinstance(wish, Away)), None)
    return _head(daemon, tick.wall) | {
        "meter": {
            "state": ("blind" if daemon.reader.readings else "waiting") if blind else "ok",
            "driver": daemon.house.meter.driver,
            "age_s": None if tick.sample is None else round(max(0.0, tick.at - tick.sample.read_at), 1),
            "since": _iso(tick, state.blind_since),
            "detail": _meter_detail(daemon, tick) if blind else "",
        },
        "power": {
            "pv_w": _whole(sample.pv_w if sample else None),
            "load_w": _whole(sample.load_w if sample else None),
            "grid_w": _whole(sample.grid_w if sample else None),
            "battery_w": _whole(sample.battery_w if sample else None),
            "soc_pct": _short(sample.soc_pct if sample else None),
            "surplus_w": _whole(outcome.surplus_w),
        },
        "today": _today(today),
        "troubles": [
            {"severity": severity, "load": load, "text": text}
            for severity, load, text in _troubles(daemon, tick, outcome, said)
        ],
        "away": {"on": away is not None, "until": _iso(tick, away.until) if away is not None else None},
        "loads": [_load(daemon, today, tick, outcome, index, said[index]) for index in range(len(site.loads))],
    }


def _head(daemon: Daemon, wall: datetime) -> Json:
    return {
        "at": wall.isoformat(timespec="seconds"),
        "version": loadctl.__version__,
        "dry_run": daemon.dry_run,
        "timezone": str(daemon.house.zone),
        "currency": None,
    }


def _today(today: Today) -> Json:
    flows = today.house_wh
    known = {f"{flow}_wh": _short(flows.get(flow)) for flow in ("production", "consumption", "import", "export")}
    share = self_consumption(flows.get("production"), flows.get("export"))
    return known | {"self_consumption": share, "saved": _short(today.saved, 3), "paid": _short(today.paid, 3)}


def self_consumption(production_wh: float | None, export_wh: float | None) -> float | None:
    """Return which part of what the sun gave stayed at home; None: nobody knows, or there was none."""
    if production_wh is None or export_wh is None or production_wh < 1:
        return None
    return round(min(1.0, max(0.0, 1 - export_wh / production_wh)), 3)


def _load(daemon: Daemon, today: Today, tick: Tick, outcome: Outcome, index: int, said: Explanation) -> Json:
    rule, standing = daemon.house.site.loads[index], outcome.state.standings[index]
    mailbox = daemon.switchboard.mailboxes.get(rule.name)
    had = had_today(rule, standing, tick.at)
    sun_wh = min(had.energy_wh, today.sun_wh(rule.name))
    wish = next((wish for wish in tick.wishes if isinstance(wish, Wish) and wish.load == rule.name), None)
    session = daemon.energy.sessions.get(rule.name)
    change_s = None if said.next_change_s is None else round(max(0.0, said.next_change_s))
    return {
        "name": rule.name,
        "kind": _kind(rule),
        "state": standing.phase,
        "since": _iso(tick, standing.since),
        "verdict": outcome.verdicts[index],
        "sentence": said.sentence,
        "second": said.second,
        "next_change_s": change_s,
        "next_change_at": None if change_s is None else _iso(tick, tick.at + change_s),
        "power_w": _whole(_power_w(rule, standing)),
        "nominal_w": _whole(rule.power_w),
        **_setting(rule, standing),
        "available": standing.available,
        "detail": standing.detail,
        "held_by": standing.holder,
        "hand_until": _iso(tick, standing.hand_until),
        "override": None if wish is None else {"on": wish.on, "until": _iso(tick, wish.until)},
        "mode": mode_of(tick.wishes, rule),
        "modes": list(modes(rule)),
        "boosts": [
            {"text": _goal(wish.need), "until": _moment(tick, mark.due)}
            for wish in tick.wishes
            if isinstance(wish, Boost) and wish.load == rule.name
            for mark in standing.marks
            if mark.boost and mark.need == wish.need
        ],
        "today": {
            "energy_wh": _short(had.energy_wh),
            "sun_wh": _short(sun_wh),
            "grid_wh": _short(had.energy_wh - sun_wh),
            "runtime_s": round(had.runtime_s),
            "starts": had.starts,
        },
        "max_starts": rule.max_starts,
        "needs": [_need(rule, standing, mark, tick) for mark in standing.marks],
        "failsafe": "none" if mailbox is None or mailbox.actuator.lease_s is None else "lease",
        "session": None
        if session is None or session.until is not None
        else {"energy_wh": _short(session.had.wh), "sun_share": _short(session.had.sun_share, 3)},
    }


def _kind(rule: Load) -> str:
    if rule.follow is None:
        return "switch"
    return "dimmer" if rule.follow.ranges[0].volts is None else "charger"


def _setting(rule: Load, standing: Standing) -> Json:
    """Return what a load with a range of power is set to."""
    if rule.follow is None or standing.phase is not ON or standing.target_w is None:
        return dict.fromkeys(("target_w", "amps", "phases"))
    phases, volts = standing.using or standing.phases, rule.follow.ranges[0].volts
    amps = None
    if phases and volts:
        amps = round(standing.target_w / used_share(standing) / (volts * (standing.phases or phases)), 1)
    return {"target_w": _whole(standing.target_w), "amps": amps, "phases": phases}


def _power_w(rule: Load, standing: Standing) -> float | None:
    if standing.measured_w is not None:
        return standing.measured_w
    if standing.phase is OFF:
        return 0.0
    return own_w(rule, standing) if standing.phase is ON else None  # on its way or broken: not known


def _need(rule: Load, standing: Standing, mark: Mark, tick: Tick) -> Json:
    need, still_s = mark.need, left_s(rule, standing, mark, tick.at, tick.inputs)
    progress, left = _progress(rule, standing, mark, tick, still_s)
    return {
        "text": _goal(need) + ("" if need.always else f" by {_clock(need.by, mark.due, tick)}"),
        "progress": 1.0 if still_s <= 0 else progress,
        "left": None if still_s <= 0 else left,
        "due": None if need.always else _moment(tick, mark.due),
        "forced": mark.forced,
    }


def _progress(
    rule: Load, standing: Standing, mark: Mark, tick: Tick, still_s: float
) -> tuple[float | None, str | None]:
    """Return how much of a need is done, 0 to 1, and what is left of it in words."""
    need = mark.need
    if need.runtime_s is not None:
        return _part(need.runtime_s - still_s, need.runtime_s), span(still_s)
    if need.energy_wh is not None:
        had_wh = tallied(rule, standing, tick.at).energy_wh - mark.tally.energy_wh
        left_wh = need.energy_wh - had_wh
        if standing.need_left_wh is not None and not mark.boost:
            left_wh = standing.need_left_wh
        return _part(need.energy_wh - left_wh, need.energy_wh), spell(max(0.0, round(left_wh, -1)), "Wh")
    value = level(need, tick.inputs, tick.at)
    if need.level is None or value is None:
        return None, None
    return None, f"{need.level.input} is at {value:g}"


def _part(done: float, whole: float) -> float | None:
    return round(min(1.0, max(0.0, done / whole)), 3) if whole > 0 else None


def _goal(need: Need) -> str:
    if need.level is not None:
        return f"{need.level.input} at {need.level.target:g}"
    if need.energy_wh is not None:
        return spell(need.energy_wh, "Wh")
    return "full" if need.full or need.runtime_s is None else spell(need.runtime_s, "s")


def _clock(by: Clock, due: float, tick: Tick) -> str:
    then = datetime.fromtimestamp(due, tick.wall.tzinfo)
    day = "" if then.date() == tick.wall.date() else f"{then:%a} "
    return f"{day}{then:%H:%M}" + (f" ({by.sun})" if by.sun else "")


def _troubles(
    daemon: Daemon, tick: Tick, outcome: Outcome, said: list[Explanation]
) -> Iterator[tuple[str, str | None, str]]:
    """Yield what is wrong, the worst first: how bad, of which load, and a sentence."""
    state, site = outcome.state, daemon.house.site
    if state.blind_since is not None:
        yield "danger", None, _meter_detail(daemon, tick)
    if state.outage_since is not None:
        yield "danger", None, f"the public grid is gone since {_time(tick, state.outage_since)}"
    verdicts = list(enumerate(outcome.verdicts))
    for index, verdict in verdicts:
        if verdict in DANGERS:
            yield "danger", site.loads[index].name, said[index].sentence
    memory = daemon.memory
    if memory is not None and not memory.up:
        yield "warning", None, f"nothing is written down, control goes on: {memory.why}"
    if not daemon.reload_success:
        yield "warning", None, "the rule file has faults: the rules stay as they were before it was changed"
    for index, verdict in verdicts:
        rule, standing = site.loads[index], state.standings[index]
        mailbox = daemon.switchboard.mailboxes.get(rule.name)
        if verdict in WARNINGS:
            yield "warning", rule.name, said[index].sentence
        elif verdict not in DANGERS and mailbox is not None and mailbox.trouble is not None:
            yield "warning", rule.name, standing.detail or f"its device does not answer ({mailbox.trouble})"
    for index, verdict in verdicts:
        if verdict is Verdict.IDLE:
            yield "note", site.loads[index].name, said[index].sentence
    if daemon.dry_run:
        yield "note", None, "dry run: the devices are read, nothing is switched"


def _meter_detail(daemon: Daemon, tick: Tick) -> str:
    """Say since when there is no reading, and what came instead."""
    if tick.sample is None:
        return f"the meter ({daemon.house.meter.driver}) has not been read yet"
    since = f"the last reading is of {_time(tick, tick.sample.read_at)}"
    return f"the meter ({daemon.house.meter.driver}) gives no reading to trust: {since}"


def _time(tick: Tick, at: float) -> str:
    then = tick.wall - timedelta(seconds=tick.at - at)
    return f"{then:%H:%M:%S}" if then.date() == tick.wall.date() else f"{then:%a %d %b %H:%M}"


def _iso(tick: Tick, at: float | None) -> str | None:
    """Return a moment of the monotonic clock as the site's time."""
    return None if at is None else _moment(tick, tick.wall.timestamp() + (at - tick.at))


def _moment(tick: Tick, posix: float) -> str:
    return datetime.fromtimestamp(round(posix), tick.wall.tzinfo).isoformat(timespec="seconds")


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _short(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
