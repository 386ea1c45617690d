"""The whole daemon lives through anything: on virtual time, killed and resumed, judged at the devices' wires."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loadctl.core.values import Tally
from tests.faults.judge import promises
from tests.faults.life import METER_TROUBLES, RELAY_TROUBLES, RULES, Life, Trouble
from tests.virtual import VirtualLoop

LOST_S = 10.0 + 2.0  # what happened later before the end may not be on the disk
LIVES = {"deep": 300, "look": int(os.environ.get("EXAMPLES", "25"))}.get(os.environ.get("HYPOTHESIS_PROFILE", "ci"), 7)

names = st.sampled_from(("boiler", "heat_pump", "pump"))
times = st.sampled_from((0.3, 2.0, 7.0, 31.0, 61.0, 123.0, 247.0, 601.0))


class DaemonLife(RuleBasedStateMachine):
    """A house and its controller; each rule lets some time pass, so that things fall together at odd moments."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("loadctl").setLevel(logging.CRITICAL)
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.life = Life(Path(self.folder.name))
        self.counted: dict[str, Tally] = {}

    @initialize(sun_w=st.sampled_from((0.0, 2600.0, 6000.0)))
    def begin(self, sun_w: float) -> None:
        self.life.sun_w = sun_w
        self.runner.run(self.life.begin())
        self.runner.run(self.life.live(330.0))  # a compressor of which nothing is known rests first

    def teardown(self) -> None:
        try:
            self.runner.run(self.life.end())
            assert promises(self.life) == []
        finally:
            self.runner.close()
            self.folder.cleanup()
            logging.getLogger("loadctl").setLevel(logging.NOTSET)

    @rule(seconds=times)
    def time_passes(self, seconds: float) -> None:
        self.runner.run(self.life.live(seconds))

    @rule(sun_w=st.sampled_from((0.0, 1200.0, 2600.0, 6000.0)), seconds=times)
    def sun(self, sun_w: float, seconds: float) -> None:
        self.life.sun_w = sun_w
        self.runner.run(self.life.live(seconds))

    @rule(base_w=st.sampled_from((300.0, 2800.0, 9000.0)), seconds=times)
    def kitchen(self, base_w: float, seconds: float) -> None:
        self.life.base_w = base_w
        self.runner.run(self.life.live(seconds))

    @rule(trouble=st.sampled_from((None, *METER_TROUBLES)), seconds=times)
    def meter(self, trouble: Trouble | None, seconds: float) -> None:
        self.life.trouble_meter(trouble)
        self.runner.run(self.life.live(seconds))

    @rule(up=st.sampled_from((True, True, False)), seconds=times)
    def grid(self, up: bool, seconds: float) -> None:
        self.life.grid(up)
        self.runner.run(self.life.live(seconds))

    @rule(name=names, trouble=st.sampled_from((None, None, *RELAY_TROUBLES)), seconds=times)
    def relay(self, name: str, trouble: Trouble | None, seconds: float) -> None:
        self.life.trouble(name, trouble)
        self.runner.run(self.life.live(seconds))

    @rule(name=names, on=st.booleans(), seconds=times)
    def button(self, name: str, on: bool, seconds: float) -> None:
        self.life.press(name, on)
        self.runner.run(self.life.live(seconds))

    @rule(name=names, seconds=times)
    def relay_reboots(self, name: str, seconds: float) -> None:
        self.life.appliances[name].device.reboot()
        self.runner.run(self.life.live(seconds))

    @rule(name=names, seconds=times)
    def relay_trips(self, name: str, seconds: float) -> None:
        self.life.appliances[name].relay.trip("overpower")
        self.runner.run(self.life.live(seconds))

    @rule(jump_s=st.sampled_from((-10800.0, -30.0, 30.0, 3600.0, 50000.0)), seconds=times)
    def wall_clock_jumps(self, jump_s: float, seconds: float) -> None:
        self.life.clock.offset_s += jump_s
        self.runner.run(self.life.live(seconds))

    @precondition(lambda self: self.life.machine is not None)
    @rule(name=names, on=st.sampled_from((True, False, None)), for_s=st.sampled_from((30.0, 400.0)), seconds=times)
    def override(self, name: str, on: bool | None, for_s: float, seconds: float) -> None:
        self.life.override(name, on, for_s)
        self.runner.run(self.life.live(seconds))

    @precondition(lambda self: self.life.machine is not None)
    @rule(start_w=st.sampled_from((1500, 1900)), seconds=times)
    def reload(self, start_w: int, seconds: float) -> None:
        self.life.reload(RULES.replace("start: 1.5 kW for 20 s", f"start: {start_w} W for 20 s", 1))
        self.runner.run(self.life.live(seconds))

    @precondition(lambda self: self.life.machine is not None)
    @rule(away_s=times)
    def killed(self, away_s: float) -> None:
        """SIGKILL; systemd starts it again, the machine goes on."""
        counted = self.runner.run(self.life.kill())
        self.runner.run(self.life.live(away_s))
        self._resume(counted)

    @precondition(lambda self: self.life.machine is not None)
    @rule(away_s=times, clock=st.sampled_from(("right", "1970", "ahead")), relays_too=st.booleans())
    def power_cut(self, away_s: float, clock: str, relays_too: bool) -> None:
        """Another boot; its clock may be wrong and then says so, and the relays may have lost power as well."""
        counted = self.runner.run(self.life.kill())
        if relays_too:
            for appliance in self.life.appliances.values():
                appliance.device.reboot()
        self.runner.run(self.life.live(away_s))
        self.life.boot += 1
        self.life.trusted = clock == "right"
        self.life.clock.offset_s += {"right": 0.0, "1970": -1.78e9, "ahead": 7200.0}[clock]
        self._resume(counted)
        self.runner.run(self.life.live(61.0))
        if clock == "1970":
            self.life.clock.offset_s += 1.78e9
        self.life.trusted = True

    @precondition(lambda self: self.life.machine is not None)
    @rule(away_s=times)
    def stopped(self, away_s: float) -> None:
        """SIGTERM and a start later."""
        counted = self.life.tallies()
        self.runner.run(self.life.stop())
        self.runner.run(self.life.live(away_s))
        self._resume(counted)

    def _resume(self, counted: dict[str, Tally]) -> None:
        self.runner.run(self.life.start())
        self.runner.run(self.life.live(16.0))
        for name, tally in self.life.tallies().items():
            assert tally.starts >= counted[name].starts
            assert tally.runtime_s >= counted[name].runtime_s - LOST_S

    @invariant()
    def no_promise_is_broken(self) -> None:
        if hasattr(self.life, "house"):
            assert promises(self.life) == []


DaemonLife.TestCase.settings = settings(max_examples=LIVES, stateful_step_count=20)
TestDaemonLife = DaemonLife.TestCase


async def _flickers(life: Life) -> None:
    for count in range(12):
        life.sun_w = 6000.0 * (count % 2)
        await life.live(100.0)


async def _is_killed(life: Life) -> None:
    await life.kill()
    await life.live(70.0)
    await life.start()
    await life.live(100.0)


async def _loses_its_memory(life: Life) -> None:
    await life.kill()
    await life.live(70.0)
    for file in life.folder.iterdir():
        file.unlink()
    await life.start()
    await life.live(100.0)


async def _goes_blind(life: Life) -> None:
    life.trouble_meter(Trouble.GONE)
    await life.live(200.0)


def told(folder: Path, story: Callable[[Life], Awaitable[None]], rules: str = RULES) -> list[str]:
    """Return what is found broken in a story that begins with everything running."""

    async def tell(life: Life) -> list[str]:
        life.sun_w = 6000.0
        await life.begin()
        await life.live(600.0)
        assert all(appliance.relay.on for appliance in life.appliances.values())
        await story(life)
        await life.end()
        return promises(life)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(tell(Life(folder, rules)))


async def _loses_the_grid(life: Life) -> None:
    life.grid(up=False)
    await life.live(150.0)
    life.grid(up=True)
    await life.live(300.0)


@pytest.mark.parametrize("story", [_flickers, _is_killed, _goes_blind, _loses_the_grid])
def test_a_story_that_breaks_nothing(tmp_path, story):
    assert told(tmp_path, story) == []


@pytest.mark.parametrize(
    ("story", "rules", "said"),
    [
        (_flickers, RULES.replace("min_off: 3 min", "min_off: 0 s"), "boiler paused"),
        (_flickers, RULES.replace("min_on: 4 min", "min_on: 0 s"), "heat_pump ran"),
        (_flickers, RULES.replace("min_off: 5 min\n    compressor: true", "min_off: 0 s"), "heat_pump paused"),
        (
            _flickers,
            RULES.replace("max_starts: 4", "min_off: 0 s").replace("    min_off: 3 min\n", ""),
            "starts on 1 days",
        ),
        (_is_killed, RULES.replace("lease: 60 s", "failsafe: none"), "nothing switches it off"),
        (_loses_its_memory, RULES, "boiler paused"),
        (_goes_blind, RULES.replace("max_age: 20 s", "max_age: 1 h"), "no reading for"),
        (_goes_blind, RULES.replace("max_import: 6 kW", "hold: 10 min"), "no reading for"),
    ],
    ids=["min_off", "min_on", "compressor", "max_starts", "lease", "memory", "max_age", "hold"],
)
def test_a_broken_promise_is_noticed(tmp_path, story, rules, said):
    assert rules != RULES or story is _loses_its_memory
    assert any(said in line for line in told(tmp_path, story, rules))
