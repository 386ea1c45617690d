"""Every phase with every trigger: a move of the table, or a MachineError."""

from __future__ import annotations

from itertools import product

import pytest
from transitions import MachineError

from loadctl.core.lifecycle import LIFECYCLE, MOVES, advance
from loadctl.core.values import FAULT, OFF, ON, Phase

TABLE = {(phase, trigger): dest for trigger, phase, dest in MOVES}
TRIGGERS = sorted({trigger for trigger, _, _ in MOVES})


@pytest.mark.parametrize(("phase", "trigger"), list(product(Phase, TRIGGERS)), ids=str)
def test_every_phase_with_every_trigger(phase, trigger):
    if (phase, trigger) in TABLE:
        assert advance(phase, trigger) is TABLE[phase, trigger]
        return
    with pytest.raises(MachineError):
        advance(phase, trigger)


def test_the_table_says_each_move_once():
    assert len(TABLE) == len(MOVES)
    assert set(LIFECYCLE.events) == set(TRIGGERS)


def test_a_state_is_only_believed_when_it_was_seen():
    assert {trigger for trigger, _, dest in MOVES if dest in (ON, OFF)} == {"seen_on", "seen_off"}


@pytest.mark.parametrize("phase", Phase)
def test_no_phase_is_a_trap(phase):
    """From everywhere there is a way to OFF and to FAULT and out of it again."""
    reached = {phase}
    for _ in Phase:
        reached |= {dest for (source, _), dest in TABLE.items() if source in reached}
    assert {OFF, FAULT} <= reached
