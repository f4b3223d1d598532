"""The dashboard in a real browser: live figures, alerts, the breaker, and a restart."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.api.running import Up, wait_for
from tests.browser import ARGUMENTS, chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def post(up: Up, path: str, **body: object) -> httpx.Response:
    return httpx.post(up.url["risk-monitor"] + path, json=body)


def test_a_trade_is_seen_live(up: Up, page: Page) -> None:
    page.goto(up.url["dashboard"])
    expect(page.locator("#connection")).to_contain_text("live")
    row = page.locator("#positions tr", has_text="firm-api")
    held = row.locator("td").first.inner_text()
    up.exchange.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    expect(row.locator("td").first).not_to_have_text(held)
    expect(page.locator("#pnl")).not_to_have_text("–")
    expect(page.locator("#pnl-chart canvas")).to_be_visible()
    assert page.locator("#health li").count() == 9


def test_an_alert_is_acknowledged_and_the_breaker_reset(up: Up, page: Page, tmp_path: Path) -> None:
    # Above the fat-finger limit, and refused by nobody but the risk monitor.
    up.exchange.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="1",
        price="60000",
    )
    page.goto(up.url["dashboard"])
    button = page.get_by_role("button", name="Acknowledge fat-finger on firm-api")
    expect(button).to_be_visible(timeout=20_000)
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Your name").fill("desk-1")
    page.keyboard.press("Enter")
    row = page.locator("#alerts tr", has_text="fat-finger")
    expect(row).to_contain_text("acknowledged by desk-1")

    page.get_by_role("button", name="Trip…").click()
    page.get_by_label("Reason").fill("drill")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#breaker")).to_have_text("HALTED")
    refused = up.exchange.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    assert refused.json()["code"] == -2010
    page.get_by_role("button", name="Reset…").click()
    page.get_by_label("Reason").fill("drill is over")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#breaker")).to_have_text("ACTIVE")
    page.screenshot(path=str(tmp_path / "dashboard.png"), full_page=True)


def test_it_fits_a_phone_and_obeys_the_policy(up: Up, browser: Browser) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    refusals: list[str] = []
    phone.on("console", lambda m: refusals.append(m.text) if m.type == "error" else None)
    phone.goto(up.url["dashboard"])
    expect(phone.locator("#connection")).to_contain_text("live")
    width = phone.evaluate("document.documentElement.scrollWidth")
    background = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    phone.close()
    assert width <= 390
    assert background == "rgb(243, 245, 248)"
    assert refusals == []


def test_it_comes_back_after_a_restart(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data")
    page = browser.new_page()
    try:
        page.goto(up.url["dashboard"])
        expect(page.locator("#connection")).to_contain_text("live", timeout=20_000)
        up.stop()
        expect(page.locator("#connection")).to_contain_text("lost", timeout=20_000)
        up.start()
        expect(page.locator("#connection")).to_contain_text("live", timeout=20_000)
    finally:
        page.close()
        up.stop()


def test_acting_needs_the_operator_token_where_one_is_set(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data", RISK_TOKEN="operator-secret")  # noqa: S106
    page = browser.new_page()
    try:
        assert post(up, "/api/breaker/trip", by="x", reason="y", state="HALTED").status_code == 401
        page.goto(up.url["dashboard"])
        expect(page.locator("#connection")).to_contain_text("live", timeout=20_000)
        page.get_by_role("button", name="Trip…").click()
        page.get_by_label("Reason").fill("drill")
        page.get_by_label("Your name").fill("desk-1")
        page.get_by_role("button", name="Do it").click()
        expect(page.locator("#act-error")).to_contain_text("token is needed")
        page.get_by_label("Operator token").fill("operator-secret")
        page.get_by_role("button", name="Do it").click()
        expect(page.locator("#breaker")).to_have_text("HALTED", timeout=20_000)
    finally:
        page.close()
        up.stop()


def test_the_metric_that_the_user_named(up: Up) -> None:
    url = up.url["risk-monitor"] + "/metrics"
    wait_for("the P&L", lambda: "risk_monitor_portfolio_pnl " in httpx.get(url).text)
