"""Pictures of the running demo for the README: `python -m tests.e2e.browser.screenshots [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.e2e.browser.chromium import DESKTOP, PHONE, Demo, chromium, demo
from tests.e2e.browser.test_demo_in_browser import open_day, show, yesterday_is_lived

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

FOLDER = Path(__file__).parents[3] / "deploy" / "screenshots"
Theme = Literal["light", "dark"]


def take(browser: Browser, home: Demo, folder: Path, name: str, size: ViewportSize, theme: Theme) -> None:
    """Write FOLDER/name.png; the part of the name before the first `-` is the view."""
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{home.url}#token={home.token}")
    page.locator(".card[data-state]").first.wait_for()
    page.get_by_role("button", name="Log out").wait_for()
    _arrange(page, name.partition("-")[0])
    page.screenshot(path=folder / f"{name}.png")
    context.close()


def _arrange(page: Page, view: str) -> None:
    if view == "now":
        return
    show(page, view)
    if view == "day":
        open_day(page, back=True)
        page.get_by_role("slider", name="Moment of the day").evaluate(
            "slider => { slider.value = +slider.min + 12.7 * 3600; slider.dispatchEvent(new Event('input')); }"
        )
    elif view == "totals":
        page.locator("table.totals").wait_for()
    else:
        text = page.get_by_role("textbox", name="The rule file")
        page.locator(".verdict.good").wait_for()
        text.fill(text.input_value().replace("power: 1.1 kW", "power: 1,1kw", 1))
        page.locator(".verdict.bad").wait_for()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, demo() as home:
        yesterday_is_lived(home)
        take(browser, home, folder, "now-phone-dark", PHONE, "dark")
        take(browser, home, folder, "now-tablet", DESKTOP, "light")
        take(browser, home, folder, "day-tablet", DESKTOP, "light")
        take(browser, home, folder, "rules-tablet", DESKTOP, "light")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
