"""Who only looks on can have any bug: the others hear all, it is told rarely, and it is called again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from loadctl.core.values import Outcome, State, Tick
from loadctl.service.audience import Audience
from tests.virtual import VIRTUAL

pytestmark = pytest.mark.anyio

OUTCOME = Outcome(State(()), ())


@pytest.fixture
def anyio_backend():
    return VIRTUAL


@dataclass(eq=True)
class Ear:
    """Not hashable, as any dataclass; has a bug until it is mended."""

    broken: bool = False
    heard: list[float] = field(default_factory=list)

    def __call__(self, tick: Tick, outcome: Outcome) -> None:
        self.heard.append(tick.at)
        if self.broken:
            raise ZeroDivisionError("a bug")


async def told(audience: Audience, seconds: int, begin: int = 0) -> None:
    for at in range(begin, begin + seconds):
        audience.tell(Tick(float(at), datetime.now(UTC), None), OUTCOME)
        await asyncio.sleep(1)


async def test_a_bug_in_one_is_told_rarely_and_keeps_nobody_else_from_hearing(caplog):
    audience, broken, fine = Audience(), Ear(broken=True), Ear()
    audience.observers += [broken, fine]
    await told(audience, 600)
    assert fine.heard == [float(at) for at in range(600)]
    assert broken.heard[:4] == [0.0, 1.0, 3.0, 7.0]
    assert len(broken.heard) == caplog.text.count("Ear: a bug") < 20
    assert "ZeroDivisionError: a bug" in caplog.text
    broken.broken = False
    await told(audience, 100, begin=600)
    assert len(broken.heard) > 50


async def test_nobody_is_called_while_the_caller_has_work_to_do_and_all_have_heard_when_it_is_settled():
    audience, ear = Audience(), Ear()
    audience.observers.append(ear)
    audience.tell(Tick(0.0, datetime.now(UTC), None), OUTCOME)
    assert ear.heard == []
    await audience.settled()
    assert ear.heard == [0.0]
