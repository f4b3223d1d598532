"""The dashboard in a real browser: live figures, alerts, the breaker, restarts, accessibility."""

import re
import signal
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.running import Up, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SOON = 20_000


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def show(page: Page, up: Up) -> None:
    """Open the dashboard, logged in as an operator."""
    log_in(page, up)
    expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
    expect(page.locator("#accounts tr")).to_have_count(5)


def log_in(page: Page, up: Up) -> None:
    url = up.url["risk-monitor"]
    link = httpx.post(f"{url}/login/links", headers=up.operator).json()
    page.goto(url + link["path"])
    assert page.url == up.url["dashboard"]


def post(up: Up, path: str, **body: object) -> httpx.Response:
    return httpx.post(up.url["risk-monitor"] + path, json=body, headers=up.operator)


def open_alerts(up: Up, rule: str) -> list[dict[str, Any]]:
    alerts = httpx.get(up.url["risk-monitor"] + "/api/alerts").json()
    return [a for a in alerts if a["rule"] == rule and a["state"] != "resolved"]


def too_large(up: Up) -> None:
    """Place an order above the fat-finger limit. Only the risk monitor objects to it."""
    resting = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    up.exchange.order(symbol="BTCUSDT", quantity="1", price="60000", **resting)


def test_a_trade_is_seen_live(up: Up, page: Page) -> None:
    show(page, up)
    row = page.locator("#accounts tr", has_text="firm-api")
    bitcoin = row.locator("td").nth(4)
    held = bitcoin.inner_text()
    up.exchange.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    expect(bitcoin).not_to_have_text(held)
    expect(page.locator("#pnl")).to_have_text(re.compile(r"^[+−]?[\d,]+$"))
    expect(page.locator("#pnl-chart canvas")).to_be_visible()
    expect(page.locator("#price-chart")).to_have_attribute("aria-label", re.compile("BTC .*USDE"))
    expect(page.locator("#health tr")).to_have_count(9)
    expect(page.locator("#exposures [role=meter]")).to_have_count(7)
    points = int(page.locator("#pnl-chart").get_attribute("data-points") or 0)
    expect(page.locator("#pnl-chart")).not_to_have_attribute("data-points", str(points))


def test_with_the_keyboard_alone(up: Up, page: Page) -> None:
    show(page, up)
    idle = page.locator("#icon").get_attribute("href")
    too_large(up)
    button = page.get_by_role("button", name="Acknowledge fat-finger on firm-api")
    expect(button).to_be_visible(timeout=5000)
    expect(page).to_have_title(re.compile(r"^\(\d\) .*· Risk$"))
    assert page.locator("#icon").get_attribute("href") != idle
    expect(page.locator("#alarm")).to_contain_text("critical: fat-finger on firm-api")
    killed = page.locator("#accounts tr", has_text="firm-api")
    expect(killed).to_contain_text("killed")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to alerts")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("Tab")
        if button.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("desk-1")
    page.keyboard.press("Enter")
    row = page.locator("#alerts tr", has_text="fat-finger")
    expect(row).to_contain_text("by desk-1")
    expect(page.get_by_role("dialog")).to_be_hidden()
    # The operator's name is stored now. The button disappears, and the focus moves to a place from
    # which the keyboard can be used further.
    page.get_by_role("button", name="Acknowledge price-collar on firm-api").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alerts tr", has_text="price-collar")).to_contain_text("by desk-1")
    page.evaluate(
        "new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))"
    )
    assert page.evaluate("document.activeElement !== document.body")
    # Resetting the breaker, which lifts the account's kill switch, needs a reason.
    page.get_by_role("button", name="Reset…").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("the order was a test")
    page.keyboard.press("Enter")
    expect(killed).to_contain_text("on")
    expect(killed).not_to_contain_text("killed")


def test_the_breaker_is_tripped_and_reset(up: Up, page: Page, tmp_path: Path) -> None:
    show(page, up)
    page.get_by_role("button", name="Trip…").click()
    page.get_by_label("Reason").fill("drill")
    page.get_by_label("Your name").fill("desk-1")
    page.get_by_role("button", name="Trip breaker").click()
    expect(page.locator("#breaker")).to_have_text("■ HALTED")
    expect(page).to_have_title(re.compile("HALTED"))
    refused = up.exchange.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    assert refused.json()["code"] == -2010
    page.get_by_role("button", name="Reset…").click()
    page.get_by_label("Reason").fill("drill is over")
    page.get_by_role("button", name="Reset breaker").click()
    expect(page.locator("#breaker")).to_have_text("✓ ACTIVE")
    expect(page).not_to_have_title(re.compile("HALTED"))
    page.locator("#history summary").click()
    expect(page.locator("#changes li").first).to_contain_text("drill is over")
    page.screenshot(path=str(tmp_path / "dashboard.png"), full_page=True)


def test_a_rule_is_silenced_and_told_again(tmp_path: Path, page: Page) -> None:
    up = Up(tmp_path / "data")
    try:
        _silence_and_end(up, page)
    finally:
        up.stop()


def _silence_and_end(up: Up, page: Page) -> None:
    show(page, up)
    page.get_by_role("button", name="Silence a rule…").click()
    page.get_by_role("combobox", name="Rule").select_option("fat-finger")
    page.get_by_label("For (simulated time)").select_option("15 minutes")
    page.locator("#act-subject").fill("nobody")
    page.get_by_label("Your name").fill("desk-2")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator("#act-error")).to_contain_text("fat-finger is about firm-mm")
    page.locator("#act-subject").fill("*")
    page.get_by_role("button", name="Silence", exact=True).click()
    silence = page.locator("#silences li", has_text="fat-finger")
    expect(silence).to_contain_text("on anything until")
    expect(silence).to_contain_text("by desk-2")

    too_large(up)
    # The breaker still acts, but no alert fires.
    expect(page.locator("#accounts tr", has_text="firm-api")).to_contain_text("killed")
    expect(page.locator("#alerts tr", has_text="price-collar")).to_be_visible()
    assert open_alerts(up, "fat-finger") == []
    page.get_by_role("button", name="End the silence of fat-finger on anything").click()
    expect(page.locator("#silences-part")).to_be_hidden()
    assert httpx.get(up.url["risk-monitor"] + "/api/silences").json() == []


def test_alerts_are_filtered_and_the_choice_is_kept(up: Up, page: Page) -> None:
    if not open_alerts(up, "price-collar"):
        too_large(up)
    alerts = wait_for("an alert", lambda: open_alerts(up, "price-collar"))
    post(up, f"/api/alerts/{alerts[0]['alert_id']}/acknowledge", by="desk-1")
    show(page, up)
    rows = page.locator("#alerts tr")
    page.get_by_role("radio", name=re.compile("^Acknowledged")).check()
    expect(rows).to_have_count(len(httpx.get(_alerts(up, "acknowledged")).json()))
    expect(rows.first).to_contain_text("acknowledged")
    page.get_by_role("radio", name=re.compile("^Acknowledged")).press("ArrowLeft")
    expect(page.get_by_role("radio", name=re.compile("^Firing"))).to_be_checked()
    firing = len(httpx.get(_alerts(up, "firing")).json())
    expect(rows).to_have_count(firing)
    expect(page.locator("#no-alerts")).to_be_visible(visible=not firing)
    page.reload()
    expect(page.get_by_role("radio", name=re.compile("^Firing"))).to_be_checked()


def _alerts(up: Up, state: str) -> str:
    return f"{up.url['risk-monitor']}/api/alerts?state={state}"


def test_what_the_monitor_says_is_not_changed_by_separators(up: Up, page: Page) -> None:
    show(page, up)
    texts = page.evaluate(
        """async () => {
            const { readable, signed, percent } = await import("/static/format.js");
            return [readable("-5.0285 %"), readable("230632.72 USD"), readable("12 s"),
                    signed("-0.4"), signed("1234.5"), percent(-0.00001), percent(-0.0123)];
        }"""
    )
    assert texts == ["−5.0285 %", "230,632.72 USD", "12 s", "0", "+1,235", "0.00 %", "−1.23 %"]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1400, 390])
def test_everybody_can_use_it(up: Up, browser: Browser, scheme: Any, width: int) -> None:
    """Checks axe-core's rules: names, roles, contrast, keyboard; with alerts, and with the dialog
    open.
    """
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        show(page, up)
        page.evaluate(axe)
        assert _violations(page) == []
        page.locator("#silence").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert _violations(page) == []
    finally:
        page.close()


def _violations(page: Page) -> list[str]:
    result = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [f"{v['id']}: {n['html']} {n['any']}" for v in result["violations"] for n in v["nodes"]]


def test_it_fits_a_phone_and_obeys_the_policy(up: Up, browser: Browser) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    refusals: list[str] = []
    phone.on("console", lambda m: refusals.append(m.text) if m.type == "error" else None)
    show(phone, up)
    width = phone.evaluate("document.documentElement.scrollWidth")
    expect(phone.locator("#head-breaker")).to_be_in_viewport()
    phone.locator("#health").scroll_into_view_if_needed()
    expect(phone.locator("#head-breaker")).to_be_in_viewport()
    phone.close()
    assert width <= 390
    assert refusals == []


def test_colours_follow_the_system_unless_they_are_chosen(up: Up, browser: Browser) -> None:
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    show(page, up)

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert background() == "rgb(243, 245, 248)"
    moving = "getComputedStyle(document.querySelector('.fill')).transitionDuration"
    assert page.evaluate(moving) == "0s"
    page.emulate_media(color_scheme="dark")
    assert background() == "rgb(14, 18, 23)"
    page.get_by_label("Colours").select_option("light")
    assert background() == "rgb(243, 245, 248)"
    page.reload()
    assert background() == "rgb(243, 245, 248)"
    context.close()


def test_it_comes_back_after_a_restart_with_its_curves(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data")
    page = browser.new_page()
    chart = page.locator("#pnl-chart")

    def points() -> int:
        return int(chart.get_attribute("data-points") or 0)

    try:
        show(page, up)
        wait_for("some points", lambda: points() > 5)
        begun, drawn = chart.get_attribute("data-from"), points()
        up.stop()
        expect(page.locator("#lost-text")).to_contain_text("What you see is as of", timeout=SOON)
        expect(page).to_have_title("No connection · Risk")
        up.start()
        expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
        expect(page.locator("#lost")).to_be_hidden()
        wait_for("the curve goes on", lambda: points() > drawn)
        assert chart.get_attribute("data-from") == begun
        expect(page).not_to_have_title(re.compile("No connection"))
    finally:
        page.close()
        up.stop()


def test_a_monitor_that_hangs_is_no_live_one(tmp_path: Path, browser: Browser) -> None:
    up = Up(tmp_path / "data")
    page = browser.new_page()
    try:
        show(page, up)
        up.process.send_signal(signal.SIGSTOP)
        expect(page.locator("#lost-text")).to_contain_text("said nothing", timeout=60_000)
        page.get_by_role("button", name="Trip…").click()
        page.get_by_role("button", name="Cancel").click()
        up.process.send_signal(signal.SIGCONT)
        expect(page.locator("#connection")).to_have_text("live", timeout=SOON)
    finally:
        page.close()
        up.process.send_signal(signal.SIGCONT)
        up.stop()


def test_the_metric_that_the_user_named(up: Up) -> None:
    url = up.url["risk-monitor"] + "/metrics"
    wait_for("the P&L", lambda: "risk_monitor_portfolio_pnl " in httpx.get(url).text)
