"""Fixtures: one ecosystem and one browser for all tests of a module."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.api.running import Up, quoted, wait_for
from tests.browser import ARGUMENTS, chromium


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running ecosystem with a two-sided order book and a valued portfolio."""
    ecosystem = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        wait_for("a two-sided book", lambda: _quoted_and_valued(ecosystem))
        yield ecosystem
    finally:
        ecosystem.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


def _quoted_and_valued(up: Up) -> bool:
    portfolio = httpx.get(up.url["risk-monitor"] + "/api/portfolio").json()
    return quoted(up) and bool(portfolio["known"])
