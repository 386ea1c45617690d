"""What is answered at the door: one word to do, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from loadctl.core.explain import explain
from loadctl.core.surplus import own_w
from loadctl.core.values import ON, STOPPING, Mode
from loadctl.errors import LoadctlError
from loadctl.service.daemon import Daemon

STATES = {"on": True, "off": False, "auto": None}
MODES = {**{str(mode): mode for mode in Mode}, "auto": None}

Question = Mapping[str, Any]


def answers(daemon: Daemon) -> Callable[[Question], Question]:
    """Return who answers for `daemon`."""
    known: dict[str, Callable[[Daemon, Question], Question]] = {
        "hello": _hello,
        "override": _override,
        "mode": _mode,
        "boost": _boost,
        "away": _away,
        "adopt": _adopt,
        "state": _state,
    }
    return partial(_answer, daemon, known)


def _answer(
    daemon: Daemon, known: Mapping[str, Callable[[Daemon, Question], Question]], question: Question
) -> Question:
    do = question.get("do")
    if not isinstance(do, str) or do not in known:
        raise LoadctlError(f"what is to be done? `do` is one of {', '.join(known)}")
    return known[do](daemon, question)


def _hello(daemon: Daemon, _question: Question) -> Question:
    return {"said": f"loadctl controls {', '.join(rule.name for rule in daemon.house.site.loads) or 'no load'}"}


def _override(daemon: Daemon, question: Question) -> Question:
    state, for_s = question.get("state"), question.get("for_s")
    if not isinstance(state, str) or state not in STATES:
        raise LoadctlError(f"`state` is one of {', '.join(STATES)}")
    if for_s is not None and (isinstance(for_s, bool) or not isinstance(for_s, (int, float))):
        raise LoadctlError("`for_s` is a number of seconds")
    return {"said": daemon.override(_load(question), STATES[state], for_s)}


def _mode(daemon: Daemon, question: Question) -> Question:
    mode = question.get("mode")
    if not isinstance(mode, str) or mode not in MODES:
        raise LoadctlError(f"`mode` is one of {', '.join(MODES)}")
    return {"said": daemon.choose(_load(question), MODES[mode])}


def _boost(daemon: Daemon, question: Question) -> Question:
    what, by = question.get("what"), question.get("by")
    if not isinstance(what, str):
        raise LoadctlError("`what` is what to give, such as `3 kWh`, `2 h`, `full` or `off`")
    if by is not None and not isinstance(by, str):
        raise LoadctlError("`by` is a time such as `17:00` or `+2 h`")
    return {"said": daemon.boost(_load(question), what, by)}


def _away(daemon: Daemon, question: Question) -> Question:
    until = question.get("until")
    if not isinstance(until, str):
        raise LoadctlError("`until` is a day such as `2025-08-12`, a time such as `+10 d`, or `on`, `off`")
    return {"said": daemon.away(until)}


def _adopt(daemon: Daemon, question: Question) -> Question:
    return {"said": daemon.adopt(_load(question))}


def _state(daemon: Daemon, _question: Question) -> Question:
    """All that a person wants to know at one look: power in W, times in s; null is unknown."""
    if daemon.last is None or len(daemon.last[1].verdicts) != len(daemon.house.site.loads):
        raise LoadctlError("nothing is decided yet: ask again in a moment")
    (tick, outcome), site = daemon.last, daemon.house.site
    loads = []
    for index, (rule, standing) in enumerate(zip(site.loads, outcome.state.standings, strict=True)):
        said = explain(site, outcome, tick, index)
        loads.append(
            {
                "name": rule.name,
                "phase": standing.phase,
                "verdict": outcome.verdicts[index],
                "since": (tick.wall - timedelta(seconds=tick.at - standing.since)).isoformat(timespec="seconds"),
                "why": said.sentence,
                "second": said.second,
                "next_change_s": said.next_change_s,
                "draws_w": own_w(rule, standing) if standing.phase in (ON, STOPPING) else 0.0,
                "holder": standing.holder,
            }
        )
    sample, memory = tick.sample, daemon.memory
    return {
        "said": "",
        "at": tick.wall.isoformat(),
        "blind": outcome.state.blind_since is not None,
        "grid_w": sample.grid_w if sample else None,
        "pv_w": sample.pv_w if sample else None,
        "surplus_w": outcome.surplus_w,
        "memory": None if memory is None else memory.why or "ok",
        "loads": loads,
    }


def _load(question: Question) -> str:
    name = question.get("load")
    if not isinstance(name, str):
        raise LoadctlError("`load` is the name of a load")
    return name
