"""Whatever happens in a house: each verdict has its sentence, and what it says of the time comes true."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from loadctl.calm import step
from loadctl.core.rules import Site
from loadctl.core.step import step as think
from loadctl.core.values import Outcome, State, Tick, Verdict
from loadctl.telling.explain import explain
from loadctl.telling.facts import Facts
from loadctl.telling.sayings import SAYINGS
from tests.house import NOON, House
from tests.property.strategies import lives, near_midnight

# What ends by itself if nobody touches anything. Of the others a sentence gives no time, or one that others cut short.
PASSING = frozenset(
    {
        Verdict.WAIT_ON,
        Verdict.HELD_OFF,
        Verdict.SPENT,
        Verdict.WINDOW,
        Verdict.ENOUGH,
        Verdict.WAIT_OFF,
        Verdict.HELD_ON,
        Verdict.HAND,
        Verdict.BLIND,
        Verdict.BUSY,
        Verdict.SETTLING,
    }
)
LONGEST_S = 900.0
NUMBERED = frozenset(Verdict) - {Verdict.OUTAGE, Verdict.SHUTDOWN, Verdict.MODE, Verdict.IDLE, Verdict.AWAY}
NO_NUMBER = re.compile(
    r"waits to hear from its switch|held (on|off) by hand$|asked again and again|no reading to trust"
)


def explained(site: Site, state: State, tick: Tick) -> Outcome:
    """Decide, and now and then look at what is said about it: whenever a word changes, and sometimes between."""
    outcome = step(site, state, tick)
    for index, (verdict, load) in enumerate(zip(outcome.verdicts, site.loads, strict=True)):
        standing = outcome.state.standings[index]
        if standing is state.standings[index] and round(tick.at) % 20:
            continue
        said = explain(site, outcome, tick, index)
        event(f"{verdict} {standing.phase}")
        assert said.sentence, (verdict, load)
        assert said.next_change_s is None or said.next_change_s >= 0.0, (verdict, said)
        assert said.second is None or said.second not in said.sentence, (verdict, said)
        if verdict in NUMBERED and standing.was_on is not None:
            assert re.search(r"\d", said.text) or NO_NUMBER.search(said.sentence), (verdict, said)
        assert not re.search(r"\b(inf|nan|None)\b|-0 ", said.text), said
    return outcome


@given(lives(most=3))
def test_every_verdict_has_a_sentence_in_every_phase_it_comes_in(life):
    life.live(explained)


@given(lives(quick=True, most=2), st.sampled_from((NOON, near_midnight(), NOON.replace(hour=6, minute=50))), st.data())
def test_a_time_that_is_told_comes_true_if_nothing_else_changes(life, begin, data):
    loads = tuple(replace(load, hand_hold_s=120.0) for load in life.site.loads)
    life = replace(life, site=replace(life.site, loads=loads), begin=begin)
    house = life.live()
    known = sorted({word for moment in house.moments[1:] for word in moment.outcome.verdicts} & PASSING)
    if not known:
        return
    word = data.draw(st.sampled_from(known))
    moment = data.draw(st.sampled_from([moment for moment in house.moments[1:] if word in moment.outcome.verdicts]))
    house = replace(life, seconds=moment.tick.at - house.began).live()  # the same life, and then nothing more happens
    now = house.moments[-1]
    index = now.outcome.verdicts.index(word)
    left_s = told_s(house, now.tick, now.outcome, index)
    event(f"{word}: {'told' if left_s is not None else 'not told'}")
    if left_s is None or left_s > LONGEST_S:
        return
    end = now.tick.at + left_s + 2 * house.meter.every_s + house.meter.lag_s + 2.0
    later = word
    while house.at < end and later is word:
        later = house.tick(1.0).verdicts[index]
    assert later is not word, explain(house.site, now.outcome, now.tick, index)


def told_s(house: House, tick: Tick, outcome: Outcome, index: int) -> float | None:
    """What the first sentence says, without what may come after it."""
    if not outcome.cases:
        outcome = outcome._replace(cases=think(house.site, outcome.state, replace(tick, reports=())).cases)
    facts = Facts(house.site, outcome, tick, index, outcome.cases[index])
    return SAYINGS[outcome.verdicts[index]](facts).until_s


def test_every_verdict_has_a_saying():
    assert set(SAYINGS) == set(Verdict)
