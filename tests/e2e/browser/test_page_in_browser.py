"""How the page behaves when things are not as they should be: real Chromium, a made-up state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.e2e.browser.canned import LOAD, PREFIX, TOKEN, Canned, canned
from tests.e2e.browser.chromium import PHONE, Axe, Watched, until, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

UNREACHABLE = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_FAILED"


@contextmanager
def visit(browser: Browser, house: Canned, *, excused: str = r"$^", **more: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport=PHONE, **more)
    context.set_default_timeout(15_000)
    try:
        one = watched(context, house.url, excused=excused)
        one.page.goto(house.url)
        one.page.locator(".card[data-state]").first.wait_for()
        yield one
        assert one.wrongs == []
    finally:
        context.close()


def test_what_is_wrong_is_said_first(browser: Browser, checker: Axe):
    with canned() as house:
        house.state["meter"] |= {
            "state": "blind",
            "since": "2026-06-21T12:04:00+02:00",
            "detail": "envoy.local does not answer",
        }
        house.state["power"] = dict.fromkeys(house.state["power"])
        house.state["troubles"] = [
            {"severity": "warning", "load": "pump", "text": "its relay refuses: wrong password"},
            {"severity": "danger", "load": None, "text": "The meter is blind since 12:04: envoy.local does not answer"},
        ]
        with visit(browser, house) as one:
            said = one.page.locator("#troubles p").all_inner_texts()
            assert said[0].startswith("The meter is blind since 12:04")
            assert said[1].startswith("Pump: its relay refuses")
            assert len(said) == 2
            assert one.page.locator(".node.sun .value").text_content() == "–", "unknown is never 0 W"
            assert one.page.locator(".dots:not([hidden])").count() == 0
            top = one.page.evaluate("document.querySelector('#troubles').getBoundingClientRect().top")
            assert top < one.page.evaluate("document.querySelector('#flow').getBoundingClientRect().top")
            assert checker.faults(one.page) == []


def test_text_is_text_whatever_stands_in_it(browser: Browser):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&amp;"
    with canned() as house:
        load = deepcopy(LOAD) | {
            "name": evil,
            "sentence": evil,
            "second": evil,
            "detail": evil,
            "modes": ["solar", evil],
            "kind": "charger",
        }
        load["boosts"], load["needs"] = (
            [{"text": evil, "until": None}],
            [{"text": evil, "progress": 0.5, "left": evil, "due": None, "forced": False}],
        )
        house.state["loads"] = [load]
        house.state["troubles"] = [{"severity": "danger", "load": evil, "text": evil}]
        house.state["currency"] = evil
        with visit(browser, house) as one:
            one.page.on("dialog", lambda dialog: one.wrongs.append(dialog.message))
            assert one.page.locator("h3").inner_text() == evil
            assert one.page.locator(".sentence").inner_text() == evil
            assert one.page.locator("main img, main script").count() == 0
            one.page.locator("[data-do=on]").click()
            assert evil in one.page.locator("dialog h2").inner_text()
            assert one.page.locator("dialog img").count() == 0


def test_the_line_breaks_and_comes_back(browser: Browser):
    with canned() as house, visit(browser, house, excused=UNREACHABLE) as one:
        lost = one.page.locator("#lost")
        assert lost.is_hidden()
        one.page.evaluate("navigator.serviceWorker.ready.then(() => true)")  # else its script could be cut off
        house.close()
        lost.wait_for()
        assert re.search(r"No connection to loadctl since \d\d:\d\d", lost.inner_text())
        house.state["power"]["pv_w"] = 4321
        house.open()
        lost.wait_for(state="hidden")
        sun = one.page.locator(".node.sun .value")
        until(lambda: sun.text_content() == "4\u202f321\u202fW")
        house.state["power"]["pv_w"] = 1234
        house.changed()
        until(lambda: sun.text_content() == "1\u202f234\u202fW")


def test_the_page_opens_without_a_network(browser: Browser):
    with canned() as house, visit(browser, house, excused=UNREACHABLE) as one:
        page = one.page
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        until(lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
        house.close()
        page.reload()
        page.locator("#lost").wait_for()
        assert "No connection" in page.locator("#lost").inner_text()
        assert page.locator("h3").inner_text() == "Boiler", "as it was last"
        page.locator("nav a[data-view=day]").click()
        page.locator("#view-day").wait_for()
        assert not [url for url in one.requests if PREFIX not in url]


def test_the_countdown_runs_and_motion_can_be_had_without(browser: Browser):
    with canned() as house:
        house.state["loads"] = [deepcopy(LOAD) | {"next_change_s": 200}]
        with visit(browser, house, reduced_motion="reduce") as one:
            countdown = one.page.locator(".countdown")
            first = countdown.inner_text()
            assert re.fullmatch(r"next change in 3\u202fmin [12]?\d\u202fs at the earliest", first), first
            until(lambda: countdown.inner_text() != first)
            moving = "getComputedStyle(document.querySelector('.dots:not([hidden])')).animationName"
            assert one.page.evaluate(moving) == "none"
        with visit(browser, house) as one:
            assert one.page.evaluate(moving) == "run"


def test_a_private_page_asks_who_looks_once(browser: Browser):
    with canned() as house:
        house.private, house.session["login"] = True, "token"
        context = browser.new_context(viewport=PHONE)
        context.set_default_timeout(15_000)
        one = watched(context, house.url, excused="401")
        page = one.page
        page.goto(house.url)
        page.locator("dialog").get_by_role("button", name="Cancel").click()
        page.locator("#headline", has_text="Log in to look").wait_for()
        assert page.locator("dialog, #lost:not([hidden])").count() == 0
        page.get_by_role("button", name="Log in").click()
        page.locator("dialog input").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("[data-load=boiler][data-state=off]").wait_for()
        page.goto("about:blank")
        house.private = True
        page.goto(f"{house.url}#token={TOKEN}")
        page.locator("[data-load=boiler][data-state=off]").wait_for()
        assert TOKEN not in page.url
        assert one.wrongs == []
        context.close()


def test_it_can_be_installed(browser: Browser):
    with canned() as house, visit(browser, house) as one:
        session = one.page.context.new_cdp_session(one.page)
        told = session.send("Page.getAppManifest")
        assert told["errors"] == []
        assert told["url"] == f"{house.url}manifest.webmanifest"
        one.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        faults = [fault["errorId"] for fault in session.send("Page.getInstallabilityErrors")["installabilityErrors"]]
        assert faults in ([], ["in-incognito"])
