"""What systemd hears, on a real datagram socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loadctl.drivers import LoopClock, Shared
from loadctl.service.daemon import Daemon
from loadctl.service.notify import Notifier
from tests.home import HomeMeter, Relay, house, rule
from tests.virtual import VirtualClock, VirtualLoop

NOTHING_S = 2.5  # in which a loop that ticks each second would have said something


@dataclass
class Systemd:
    """The other end of the socket."""

    line: socket.socket
    path: str

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.path}

    def heard(self) -> list[str]:
        """All that has come."""
        self.line.setblocking(False)
        messages = []
        while True:
            try:
                messages.append(self.line.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(path)
        yield Systemd(line, path)


def test_ready_with_the_first_tick_then_the_watchdog_and_stopping_at_the_end(systemd):
    boiler = Relay()
    heard: list[str] = []

    async def play() -> None:
        home = house(HomeMeter([boiler], sun_w=2500), (rule("boiler"), boiler))
        daemon = Daemon(home, Shared(VirtualClock()), notifier=Notifier(systemd.environment))
        daemon.observers.append(lambda *_: heard.extend(systemd.heard()))
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(0)
        assert systemd.heard() == []
        await asyncio.sleep(60)
        daemon.stop("SIGTERM")
        await running
        heard.extend(systemd.heard())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(play())
    assert heard[0].startswith("READY=1\nWATCHDOG=1\nSTATUS=")
    assert sum("READY=1" in message for message in heard) == 1
    assert sum("WATCHDOG=1" in message for message in heard) >= 60
    assert "WATCHDOG=1\nSTATUS=exports 200 W, surplus 2 200 W, on: boiler" in heard
    assert heard[-1] == "STOPPING=1"


def test_a_loop_that_hangs_says_nothing(systemd):
    @dataclass
    class Hanging(HomeMeter):
        hangs: threading.Event = field(default_factory=threading.Event)
        over: threading.Event = field(default_factory=threading.Event)

        async def read(self):
            self.hangs.set()
            self.over.wait()
            return await super().read()

    meter = Hanging(sun_w=0)

    async def live() -> None:
        notifier = Notifier(systemd.environment)
        daemon = Daemon(house(meter, (rule("boiler"), Relay())), Shared(LoopClock(ZoneInfo("UTC"))), notifier=notifier)
        asyncio.get_running_loop().call_later(0.5, daemon.stop, "enough")
        await daemon.run()

    hung = threading.Thread(target=asyncio.run, args=(live(),))
    hung.start()
    try:
        assert meter.hangs.wait(30)
        systemd.heard()
        systemd.line.settimeout(NOTHING_S)
        with pytest.raises(TimeoutError):
            systemd.line.recv(4096)
    finally:
        meter.over.set()
        hung.join(30)
    assert systemd.heard()


def test_an_abstract_address_and_nobody_at_it():
    address = f"loadctl-test-{id(object())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{address}")
        Notifier({"NOTIFY_SOCKET": f"@{address}"}).stopping()
        assert line.recv(100) == b"STOPPING=1"
    Notifier({"NOTIFY_SOCKET": f"@{address}"}).stopping()
    Notifier({}).ticked("fine")
