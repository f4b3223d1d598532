"""Logging in with a real browser, by a link or by a token, and what a login allows."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.running import Up

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SOON = 20_000


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def test_acting_needs_the_operator_token(up: Up, page: Page) -> None:
    page.goto(up.url["dashboard"])
    expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
    page.get_by_role("button", name="Trip…").click()
    page.get_by_label("Reason").fill("drill")
    page.get_by_label("Your name").fill("desk-1")
    page.get_by_role("button", name="Trip breaker").click()
    expect(page.locator("#act-error")).to_contain_text("token is needed")
    page.get_by_label("Operator token").fill("guessed")
    page.keyboard.press("Enter")
    expect(page.locator("#act-error")).to_contain_text("not accepted")
    page.get_by_label("Operator token").fill(up.credentials["risk_token"])
    page.keyboard.press("Enter")
    expect(page.locator("#breaker")).to_have_text("■ HALTED", timeout=SOON)
    reset = {"by": "desk-1", "reason": "drill is over"}
    url = up.url["risk-monitor"] + "/api/breaker/reset"
    assert httpx.post(url, json=reset, headers=up.operator).is_success


def test_the_link_that_is_printed_lets_one_act_once(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data")
    first, second = browser.new_context(), browser.new_context()
    try:
        page = first.new_page()
        page.goto(up.url["act there, once"])
        assert page.url == up.url["dashboard"]
        (cookie,) = first.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
        _trip(page)
        expect(page.locator("#breaker")).to_have_text("■ HALTED")
        # The link works once, so that it is useless in a terminal's history or a proxy's log.
        other = second.new_page()
        other.goto(up.url["act there, once"])
        expect(other.get_by_role("alert")).to_contain_text("has been used")
        assert second.cookies() == []
        # The cookie is still valid after a restart of the service.
        up.stop()
        up.start()
        page.goto(up.url["dashboard"])
        expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
        _trip(page)
        expect(page.get_by_role("dialog")).to_be_hidden()
    finally:
        first.close()
        second.close()
        up.stop()


def _trip(page: Page) -> None:
    page.get_by_role("button", name="Trip…").click()
    page.get_by_label("Reason").fill("drill")
    page.get_by_label("Your name").fill("desk-1")
    page.get_by_role("button", name="Trip breaker").click()


@pytest.mark.parametrize(
    ("service", "token"),
    [
        ("risk-monitor", "risk_token"),
        ("risk-monitor", "read_token"),
        ("audit-correlator", "read_token"),
    ],
)
def test_where_others_can_connect_a_page_asks_for_a_token(
    open_to_others: Up, page: Page, service: str, token: str
) -> None:
    up = open_to_others
    page.goto(up.url[service] + "/")
    assert page.url.endswith("/login")
    page.get_by_label("Token").fill("guessed")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not accepted")
    page.get_by_label("Token").fill(up.credentials[token])
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
    assert page.url == up.url[service] + "/"
    # A login that may read must not act.
    body = "{method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'}"
    if service == "risk-monitor":
        status = page.evaluate(f"fetch('/api/breaker/trip', {body}).then((a) => a.status)")
        assert status == (422 if token == "risk_token" else 401)  # noqa: S105
    # When the login has ended, the page goes to the login form.
    page.context.clear_cookies()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_label("Token")).to_be_visible(timeout=SOON)


@pytest.fixture(scope="module")
def open_to_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(
        tmp_path_factory.mktemp("open") / "data",
        BIND_HOST="0.0.0.0",  # noqa: S104
        RISK_TOKEN="a-token-of-the-operators",  # noqa: S106
    )
    yield up
    up.stop()
