"""A person looks at the running demo and changes things: real Chromium, the real daemon, emulated devices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.browser.chromium import DESKTOP, PHONE, Axe, Demo, Watched, until, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

SIZES = pytest.mark.parametrize("size", [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")])


@contextmanager
def visit(
    browser: Browser, demo: Demo, size: Any, *, logged_in: bool = True, excused: str = r"$^", **more: Any
) -> Iterator[Watched]:
    """Open the page as somebody new and, at the end, see that nothing went wrong that nobody asked about."""
    context = browser.new_context(viewport=size, **more)
    try:
        context.set_default_timeout(15_000)
        one = watched(context, demo.url, excused=excused)
        one.page.goto(demo.url + (f"#token={demo.token}" if logged_in else ""))
        one.page.locator(".card[data-state]").first.wait_for()
        yield one
        assert one.wrongs == []
    finally:
        context.close()


def relay_is_on(demo: Demo, wanted: bool) -> bool:
    """Ask the boiler's emulated Shelly itself whether its relay is as wanted; the rule file knows its address."""
    rules = httpx.get(f"{demo.url}api/v1/rules", headers={"authorization": f"Bearer {demo.token}"}).json()["text"]
    found = re.search(r"boiler:.*?host: \"(http://[^\"]+)\"", rules, re.DOTALL)
    assert found is not None
    return httpx.get(f"{found[1]}/relay/0").json()["ison"] is wanted


def yesterday_is_lived(demo: Demo) -> None:
    """Wait for the demo's yesterday, which a process beside it lives in its first seconds."""

    def known() -> bool:
        return len(httpx.get(f"{demo.url}api/v1/history", params=yesterday).json().get("time", ())) > 1000

    today = date.fromisoformat(httpx.get(f"{demo.url}api/v1/state").json()["at"][:10])
    yesterday = {"from": (today - timedelta(days=1)).isoformat(), "to": today.isoformat(), "resolution": "minute"}
    until(known, 90.0)


def open_day(page: Page, *, back: bool = False) -> None:
    """Wait for the day that is shown, or go to the one before."""
    wanted = date.fromisoformat(page.get_by_label("Day", exact=True).input_value()) - timedelta(days=back)
    if back:
        page.get_by_label("The day before").click()
    page.locator(f"figure[data-day='{wanted}'] canvas").wait_for()
    page.locator(".row .track rect").first.wait_for(state="attached")


def show(page: Page, view: str) -> None:
    page.locator(f"nav a[data-view={view}]").click()
    page.locator(f"#view-{view}").wait_for()


@SIZES
def test_values_change_live(browser: Browser, running: Demo, size: Any):
    with visit(browser, running, size) as one:
        page = one.page
        sun = page.locator(".node.sun .value")
        until(lambda: bool(re.fullmatch(r"[\d\u202f.]+\u202fk?W", sun.text_content() or "")))
        before = page.locator("#flow svg").get_attribute("aria-label")
        until(lambda: page.locator("#flow svg").get_attribute("aria-label") != before)
        assert page.locator(".card").count() == 3
        boiler = page.locator("[data-load=boiler]")
        assert boiler.locator(".sentence").inner_text()
        assert "Today" in boiler.locator(".had").inner_text()
        assert page.locator("#link").inner_text().strip()
        assert "#token" not in page.url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it must not scroll sideways"
        assert sum(url.endswith("/api/v1/events") for url in one.requests) == 1


@SIZES
def test_a_load_is_switched_by_hand_and_the_relay_follows(browser: Browser, running: Demo, size: Any):
    with visit(browser, running, size) as one:
        boiler = one.page.locator("[data-load=boiler]")
        for state, is_on in (("off", False), ("on", True)):
            boiler.locator(f"[data-do={state}]").click()
            dialog = one.page.locator("dialog")
            dialog.get_by_label("1 hour").check()
            dialog.get_by_role("button", name=f"Switch {state}").click()
            until(partial(relay_is_on, running, is_on))
            one.page.locator(f"[data-load=boiler][data-state={state}]").wait_for()
            one.page.locator(f"[data-load=boiler] [data-do={state}][aria-pressed=true]").wait_for()
            assert "by hand until" in boiler.locator(".held").inner_text()
        boiler.locator("[data-do=auto]").click()
        one.page.locator("[data-load=boiler] [data-do=auto][aria-pressed=true]").wait_for()


def test_who_is_not_logged_in_is_asked_first(browser: Browser, running: Demo):
    with visit(browser, running, PHONE, logged_in=False, excused="401") as one:
        page = one.page
        page.locator("[data-load=car] select").select_option("off")
        dialog = page.locator("dialog")
        dialog.locator("input[name=proof]").fill("a-guess-that-is-wrong")
        dialog.get_by_role("button", name="Log in").click()
        dialog.locator(".fault:not(:empty)").wait_for()
        dialog.locator("input[name=proof]").fill(running.token)
        dialog.get_by_role("button", name="Log in").click()
        dialog.wait_for(state="detached")
        until(lambda: httpx.get(f"{running.url}api/v1/loads/car").json()["mode"] == "off")
        page.get_by_role("button", name="Log out").wait_for()
        page.locator("[data-load=car] select").select_option("solar")
        until(lambda: httpx.get(f"{running.url}api/v1/loads/car").json()["mode"] == "solar")


def test_who_is_quicker_than_the_login_waits_for_it(browser: Browser, running: Demo):
    with visit(browser, running, DESKTOP, logged_in=False, excused="Service Worker", service_workers="block") as one:
        page = one.page
        held: list[Route] = []
        page.route("**/api/v1/session", lambda route: held.append(route))  # noqa: PLW0108 - it is written to
        page.evaluate("(hash) => history.replaceState(null, '', hash)", f"#token={running.token}")
        page.reload()
        until(lambda: bool(page.title()) and bool(held))  # the cookie is there, the session's own token is not yet
        page.locator("[data-load=car] select").select_option("off")
        page.wait_for_timeout(200)
        assert not any(url.endswith("/loads/car/mode") for url in one.requests)
        for route in held:
            route.continue_()
        page.unroute("**/api/v1/session")
        until(lambda: httpx.get(f"{running.url}api/v1/loads/car").json()["mode"] == "off")
        page.locator("[data-load=car] select").select_option("solar")
        until(lambda: httpx.get(f"{running.url}api/v1/loads/car").json()["mode"] == "solar")


def test_boost_and_away_by_keyboard_alone(browser: Browser, running: Demo):
    with visit(browser, running, DESKTOP) as one:
        page = one.page
        page.locator("[data-load=boiler] [data-do=boost]").focus()
        page.keyboard.press("Enter")
        page.locator("dialog input[name=what]").fill("1 kWh")
        page.keyboard.press("Enter")
        page.locator("[data-load=boiler] .boosts:not([hidden])").wait_for()
        page.locator("#away").focus()
        page.keyboard.press("Enter")
        page.locator("dialog").wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
        assert page.evaluate("document.activeElement.id") == "away", "who leaves a dialog is where he was"
        page.keyboard.press("Enter")
        page.get_by_role("button", name="We are away").press("Enter")
        page.get_by_role("button", name="we are back").wait_for()
        page.locator("#away").press("Enter")
        page.get_by_role("button", name="Away…").wait_for()


@SIZES
def test_a_wrong_rule_is_told_on_its_line_and_a_good_one_is_saved(browser: Browser, running: Demo, size: Any):
    with visit(browser, running, size) as one:
        page = one.page
        show(page, "rules")
        text = page.get_by_role("textbox", name="The rule file")
        page.locator(".verdict.good").wait_for()
        good = text.input_value()
        line = next(number for number, row in enumerate(good.splitlines(), 1) if "power: 2 kW" in row)
        text.fill(good.replace("power: 2 kW", "power: 2 kilos", 1))
        page.locator(f".shadow .error[data-line='{line}'] .inline").wait_for()
        assert page.locator(".verdict.bad").inner_text().startswith("1 fault")
        assert page.get_by_role("button", name="Save").is_disabled()
        page.locator(".faults button").click()
        assert (
            page.evaluate(
                "document.activeElement.value.slice(0, document.activeElement.selectionStart).split('\\n').length"
            )
            == line
        )
        text.fill(f"{good}# looked at with {size['width']} pixels\n")
        page.locator(".verdict.good").wait_for()
        page.locator("button.main:enabled", has_text="Save").click()
        page.locator("#toast", has_text="Saved").wait_for()
        assert "kept as" in page.locator("#toast").inner_text()
        page.reload()
        until(lambda: f"{size['width']} pixels" in text.input_value())


@SIZES
def test_the_day_tells_the_reason_of_each_moment(browser: Browser, running: Demo, size: Any):
    yesterday_is_lived(running)
    with visit(browser, running, size) as one:
        page = one.page
        show(page, "day")
        open_day(page)
        assert page.locator(".row .track").count() == 3
        open_day(page, back=True)
        page.locator(".u-over").scroll_into_view_if_needed()
        box = page.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2)
        at = page.locator(".moment h2").inner_text()
        assert re.fullmatch(r"1[23]:\d\d", at), at
        assert "Boiler" in page.locator(".reasons").inner_text()
        slider = page.get_by_role("slider", name="Moment of the day")
        slider.press("ArrowRight")
        assert page.locator(".moment h2").inner_text() > at
        show(page, "totals")
        page.locator("table.totals tbody tr").first.wait_for()


def test_what_would_these_rules_have_done(browser: Browser, running: Demo):
    yesterday_is_lived(running)
    with visit(browser, running, PHONE) as one:
        page = one.page
        show(page, "rules")
        text = page.get_by_role("textbox", name="The rule file")
        page.locator(".verdict.good").wait_for()
        text.fill(text.input_value().replace("power: 2 kW", "power: 2 kW\n    between: 12:00-13:00", 1))
        page.locator(".verdict.good").wait_for()
        page.get_by_role("button", name="Try them on that day").click()
        page.locator(".waiting").wait_for()
        page.locator(".pair canvas").nth(1).wait_for(timeout=170_000)
        said = page.locator(".difference").inner_text()
        assert "instead of" in said, said
        assert "Boiler:" in said, said
        assert page.locator(".pair .row").count() == 6
        page.get_by_role("slider", name="Moment of the tried day").press("ArrowRight")
        assert "these:" in page.locator(".versus").inner_text()
        for size, beside in ((PHONE, False), (DESKTOP, True)):
            page.set_viewport_size(size)
            boxes = [page.locator(".pair figure").nth(index).bounding_box() for index in (0, 1)]
            assert boxes[0] is not None
            assert boxes[1] is not None
            assert (boxes[0]["y"] == boxes[1]["y"]) is beside
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@SIZES
def test_axe_finds_nothing(browser: Browser, running: Demo, checker: Axe, size: Any):
    with visit(browser, running, size, reduced_motion="reduce") as one:
        page = one.page
        assert checker.faults(page) == []
        page.locator("[data-do=on]").first.click()
        page.locator("dialog").wait_for()
        assert checker.faults(page) == []
        page.keyboard.press("Escape")
        for view, sign in (("day", "figure[data-day] canvas"), ("totals", "table.totals"), ("rules", ".verdict.good")):
            show(page, view)
            page.locator(sign).first.wait_for()
            assert checker.faults(page) == [], view
