"""One browser and one demo for the tests of a module; closed with it, so that no loop of Playwright's is left open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.e2e.browser.chromium import Axe, Demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.e2e.browser.chromium import chromium

    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def running(browser: Browser) -> Iterator[Demo]:  # without a browser there is no need for it
    from tests.e2e.browser.chromium import demo

    with demo(speed=20) as one:  # a day of rules is to be tried beside it
        yield one


@pytest.fixture(scope="module")
def checker(pytestconfig: pytest.Config) -> Axe:
    from tests.e2e.browser.chromium import axe

    return axe(pytestconfig.rootpath / ".pytest_cache" / "npm")
