"""What is answered at the door: one word to do, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from loadctl.core.explain import explain
from loadctl.core.surplus import own_w
from loadctl.core.values import ON, STOPPING
from loadctl.errors import LoadctlError
from loadctl.service.daemon import Daemon

STATES = {"on": True, "off": False, "auto": None}

Question = Mapping[str, Any]


def answers(daemon: Daemon) -> Callable[[Question], Question]:
    """Return who answers for `daemon`."""
    known: dict[str, Callable[[Daemon, Question], Question]] = {
        "hello": _hello,
        "override": _override,
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
                "why": said.sentence,
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
