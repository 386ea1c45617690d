"""The lifecycle of a load: every move there is, in one table.

A load is only ever ON or OFF because its device was *seen* so. What we ask for makes it STARTING or STOPPING; no
answer, or a refusal, makes it a FAULT, in which its state is unknown until it is seen again. A hand at the switch, a
lease that ran out or a load found on at start are moves too (`seen_on` from OFF, `seen_off` from ON), never errors.

`judge` asks the questions on every tick; the machine is only asked to move when something moves, perhaps fifty times a
day.
"""

from __future__ import annotations

from dataclasses import dataclass

from transitions import Machine

from loadctl.core.values import FAULT, OFF, ON, STARTING, STOPPING, Phase

MOVES = (
    ("start", OFF, STARTING),
    ("seen_on", STARTING, ON),
    ("seen_on", OFF, ON),
    ("seen_on", FAULT, ON),
    ("stop", ON, STOPPING),
    ("stop", STARTING, STOPPING),
    ("stop", FAULT, STOPPING),
    ("seen_off", STOPPING, OFF),
    ("seen_off", ON, OFF),
    ("seen_off", FAULT, OFF),
    ("fail", STARTING, FAULT),
    ("fail", STOPPING, FAULT),
    ("fail", ON, FAULT),
    ("fail", OFF, FAULT),
)

LIFECYCLE = Machine(
    model=None,
    states=Phase,
    initial=OFF,
    model_attribute="phase",
    auto_transitions=False,
    transitions=[{"trigger": trigger, "source": source, "dest": dest} for trigger, source, dest in MOVES],
)


@dataclass(slots=True)
class _Cursor:
    """A throw-away model, so that standings stay frozen."""

    phase: Phase


def advance(phase: Phase, trigger: str) -> Phase:
    """Return the phase that `trigger` leads to. Raises transitions.MachineError on a move that is not in the table."""
    cursor = _Cursor(phase)
    LIFECYCLE.events[trigger].trigger(cursor)
    return cursor.phase
