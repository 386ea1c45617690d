"""Debian's Chromium, headless, driven by Playwright's sync API; and a demo in a process of its own to look at."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip(
    "playwright.sync_api", reason="*** NO BROWSER TEST: `pip install playwright` (its own browsers are not needed)"
)

from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, sync_playwright

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = "axe-core@4.14.1"
PATIENCE_S = 60.0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; skip, loudly, where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("*** NO BROWSER TEST: there is no chromium here; on Debian, as root: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Demo:
    """A running `loadctl demo`: `url` of its page, `token` to log in with."""

    url: str
    token: str
    process: subprocess.Popen[str]


@contextmanager
def demo(*, speed: float = 60.0) -> Iterator[Demo]:
    """Run the demo as its user does, in a process of its own, until the block ends."""
    command = [
        sys.executable,
        "-c",
        "from loadctl.cli import main; main()",
        "demo",
        "--port",
        "0",
        "--speed",
        f"{speed:g}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: Queue[str | None] = Queue()
    assert process.stdout is not None
    told: list[str] = []

    def listen() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        while True:
            try:
                line = lines.get(timeout=PATIENCE_S)
            except Empty:
                line = None
            assert line is not None, f"the demo says no address: {told}"
            told.append(line)
            if found := re.search(r"(http://127\.0\.0\.1:\d+/)#token=(\S+)", line):
                yield Demo(found[1], found[2], process)
                return
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join(5)
        process.stdout.close()


def until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
    """Wait until something is so. (`wait_for_function` evaluates text in the page, which its policy forbids.)"""
    ends = monotonic() + within_s
    while not holds():
        assert monotonic() < ends, "it did not become so"
        sleep(0.05)


@dataclass(slots=True)
class Watched:
    """A page and what it did that it should not have: `wrongs` is empty as long as all is well."""

    page: Page
    wrongs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def watched(context: BrowserContext, origin: str, *, excused: str = r"$^") -> Watched:
    """Open a page in `context` that notes console errors, violations of the CSP and requests to anywhere else.

    `excused`: a pattern of console messages that are meant to come.
    """
    page = context.new_page()
    one = Watched(page)

    def asked(request: Request) -> None:
        one.requests.append(request.url)
        parts, home = urlsplit(request.url), urlsplit(origin)
        if parts.scheme not in {"data", "blob"} and parts.netloc != home.netloc:
            one.wrongs.append(f"a request to elsewhere: {request.url}")

    page.on("request", asked)
    page.on("pageerror", lambda error: one.wrongs.append(f"an error: {error}"))
    page.on(
        "console",
        lambda said: (
            one.wrongs.append(f"{said.type}: {said.text} ({said.location})")
            if said.type in {"error", "warning"} and not re.search(excused, said.text)
            else None
        ),
    )
    return one


@dataclass(frozen=True, slots=True)
class Axe:
    """The accessibility checker axe-core, put into the page past its Content-Security-Policy."""

    source: str

    def faults(self, page: Page) -> list[str]:
        """Return what is wrong with the page as it is shown now, in light and in dark, one line each."""
        session = page.context.new_cdp_session(page)
        session.send("Runtime.evaluate", {"expression": self.source})
        session.detach()
        found: list[Any] = []
        for theme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            asked = {"resultTypes": ["violations"], **rules}
            found += [
                (theme, one) for one in page.evaluate("(asked) => axe.run(asked).then((all) => all.violations)", asked)
            ]
        return [
            f"{theme}: {one['id']}: {node['html'][:160]}: {node['failureSummary']}"
            for theme, one in found
            for node in one["nodes"]
        ]


def axe(cache: Path) -> Axe:
    """Take axe-core out of npm's registry, once; skip, loudly, where it cannot be had."""
    package = cache / "axe-core.tgz"
    if not package.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("*** NO ACCESSIBILITY TEST: there is no npm here; on Debian, as root: apt-get install npm")
        cache.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "--silent", AXE], cwd=cache, capture_output=True, text=True, timeout=120, check=False
        )
        if packed.returncode != 0:
            pytest.skip(f"*** NO ACCESSIBILITY TEST: npm cannot get {AXE}: {packed.stderr.strip()[-200:]}")
        (cache / packed.stdout.strip().splitlines()[-1]).rename(package)
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return Axe(member.read().decode())
