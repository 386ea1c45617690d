"""An SSR as loadctl runs it: from the rule file by a mailbox and a real thread to the pad of an emulated kernel."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from itertools import count, pairwise

import pytest
from click.testing import CliRunner

from loadctl.actuators.gpio_burst import GpioBurst
from loadctl.actuators.gpio_pins import KernelFactory
from loadctl.cli import main
from loadctl.config import parse
from loadctl.core.rules import Site
from loadctl.core.values import ON, Command, Report, Source, Standing, State
from loadctl.drivers import LoopClock, Shared
from loadctl.service.switchboard import Switchboard, make_safe
from tests.e2e.until import until
from tests.emulators.gpio_kernel import EmulatedKernel

PI_3B = 0xA02082
HOME = """\
version: 1
meter: {driver: envoy, host: envoy.local}
loads:
  heater:
    actuator: {driver: gpio-burst, pin: 17, rated: 3 kW, mains: 60 Hz, failsafe: none}
    power: 3 kW
"""


class Home:
    """The heater of the rule file with its mailbox, ticked as the daemon would."""

    def __init__(self, lease_s: float) -> None:
        house = parse(HOME, "home.yaml", {})
        shared = Shared(LoopClock(UTC))
        self.kernel = EmulatedKernel()
        self.pad = self.kernel.lines[17]
        self.load = house.site.loads[0]
        ssr = GpioBurst(
            house.actuators["heater"].options,
            shared,
            lambda name, rest_high: KernelFactory(rest_high=rest_high, kernel=self.kernel, revision=PI_3B),
            lease_s=lease_s,
        )
        self.board = Switchboard(shared.clock, lambda: None)
        self.mailbox = self.board.open("heater", ssr)
        self.reports: list[Report] = []
        self._ids = count(1)

    def tick(self) -> list[Report]:
        self.board.renew(Site((self.load,)), State((Standing(phase=ON),)))
        self.reports += self.board.take()
        return self.reports

    async def obey(self, watts: float) -> Report:
        number = next(self._ids)
        self.board.send([Command(number, "heater", watts)])
        await until(lambda: any(report.command_id == number for report in self.tick()))
        return next(report for report in self.reports if report.command_id == number)

    def conducts(self) -> bool:
        return self.pad.level is True


@asynccontextmanager
async def living(lease_s: float = 60.0) -> AsyncIterator[Home]:
    home = Home(lease_s)
    running = asyncio.create_task(home.mailbox.run())
    try:
        yield home
    finally:
        running.cancel()
        await asyncio.wait([running])
        await home.mailbox.close()
        assert not home.conducts()
        assert home.kernel.descriptors == 0


@pytest.mark.anyio
async def test_the_heater_does_what_it_is_told_one_share_after_the_other():
    async with living() as home:
        for watts in (600.0, 1500.0, 2400.0):
            report = await home.obey(watts)
            assert (report.error, report.on, report.limit_w) == (None, True, watts)
            home.pad.trail.clear()
            await until(lambda: home.tick() and len(home.pad.trail) > 40)
            assert len([after for before, after in pairwise(home.pad.trail) if after is not before]) > 5
            assert None not in home.pad.trail
        assert (await home.obey(0.0)).on is False
        assert not home.conducts()
        [safe] = await make_safe([(home.mailbox, Command(0, "heater", 0.0))])
        assert (safe.on, safe.error) == (False, None)
        assert {report.error for report in home.reports} == {None}


def hang(home: Home) -> None:
    """While this goes on nothing else runs in the event loop's thread."""
    end = time.monotonic() + 60
    while home.conducts() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.anyio
async def test_an_event_loop_that_hangs_finds_its_heater_off_when_it_comes_back():
    async with living(lease_s=2.0) as home:
        assert (await home.obey(3000.0)).on
        assert home.conducts()
        hang(home)
        assert not home.conducts()
        await until(lambda: home.tick()[-1].on is False)
        told = home.reports[-1]
        assert (told.source, told.limit_w) == (Source.TIMER, 0.0)
        assert told.detail == "loadctl stood still for 2 s, and the SSR was switched off meanwhile"
        assert (await home.obey(3000.0)).on
        assert home.conducts()


ENDING = """
import asyncio, atexit
from datetime import UTC
from gpiozero.pins.mock import MockFactory
from loadctl.actuators.gpio_burst import GpioBurst, GpioBurstOptions
from loadctl.core.values import Command
from loadctl.drivers import LoopClock, Shared

pins = MockFactory()
pin = pins.pin(17)
atexit.register(lambda: print(*(state.state for state in pin.states)))  # what is registered first comes last

async def main():
    options = GpioBurstOptions(pin=17, rated=3000.0, failsafe="none")
    ssr = GpioBurst(options, Shared(LoopClock(UTC)), lambda name, rest_high: pins)
    await ssr.apply(Command(1, "heater", 3000.0))
    print(*(state.state for state in pin.states))
    raise SystemExit("a bug")

asyncio.run(main())
"""


def test_a_program_that_ends_without_a_word_leaves_the_heater_off():
    """Not a kill: a bug that nobody caught, an exit from somewhere. The interpreter's end switches off."""
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (1, "a bug\n")
    while_it_ran, at_the_end = ended.stdout.splitlines()
    assert while_it_ran.split()[-1] == "True"
    assert at_the_end.split()[-1] == "False"


def test_a_rule_file_with_it_is_checked_and_made_safe(tmp_path):
    file = tmp_path / "home.yaml"
    file.write_text(HOME.replace("pin: 17", "pin: 17, factory: mock"), encoding="utf-8")
    for words in ("check", "safe"):
        said = CliRunner().invoke(main, [words, str(file)])
        assert said.exit_code == 0, said.output
    file.write_text(HOME.replace(", failsafe: none", ""), encoding="utf-8")
    said = CliRunner().invoke(main, ["check", str(file)])
    assert said.exit_code == 1
    assert "home.yaml:5:" in said.output
    assert "write `failsafe: none`" in said.output
