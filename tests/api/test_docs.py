"""`/docs` of every service in a real browser: it uses only our own files, under our own content
security policy.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.running import Up, wait_for
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no error may happen, such as a violation of the content security policy."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    yield opened
    opened.close()
    # Chromium also writes a line for each answer that is a refusal.
    assert [p for p in problems if not p.startswith("Failed to load resource")] == []


def operation(page: Page, method: str, path: str) -> Locator:
    """Return the open block of an operation."""
    block = page.locator(f".opblock-{method}").filter(
        has=page.locator(f'.opblock-summary-path[data-path="{path}"]')
    )
    block.locator(".opblock-summary").click()
    return block


def execute(block: Locator) -> Locator:
    """Send an operation's request, and return the block of the answer."""
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table .response")


def authorize(page: Page, **credentials: str) -> None:
    """Enter credentials, by the names of their security schemes."""
    page.get_by_role("button", name="Authorize").first.click()
    for scheme, value in credentials.items():
        part = page.locator(".auth-container").filter(has=page.locator(f'code:text-is("{scheme}")'))
        part.locator("input").fill(value)
        part.get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").last.click()


@pytest.mark.parametrize("service", SERVICES)
def test_operations_can_be_tried_without_the_internet(up: Up, page: Page, service: str) -> None:
    url = up.url[service]
    requested: list[str] = []
    page.on("request", lambda r: requested.append(r.url))
    answer = page.goto(url + "/docs")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self';" in policy and "unsafe" not in policy
    described = httpx.get(url + "/openapi.json").json()
    expect(page.locator(".info .title")).to_contain_text(described["info"]["title"])
    expect(page).to_have_title(described["info"]["title"] + " API")
    count = sum(len(item) for item in described["paths"].values())
    expect(page.locator(".opblock")).to_have_count(count)

    health = operation(page, "get", "/health")
    expect(health.locator(".example").first).to_contain_text('"status": "ok"')
    response = execute(health)
    expect(response.locator(".response-col_status")).to_have_text("200")
    expect(response).to_contain_text(f'"service": "{service}"')
    assert requested and all(a.startswith((url, "data:")) for a in requested)


COMMON = ("get /health", "get /ready", "get /metrics", "get /journal", "get /journal/head")


@pytest.mark.parametrize("service", SERVICES)
def test_operations_have_examples_of_their_answers(up: Up, service: str) -> None:
    described = httpx.get(up.url[service] + "/openapi.json").json()
    without = []
    for path, item in described["paths"].items():
        for method, operation in item.items():
            responses = operation["responses"].items()
            # An answer of 204 has no content.
            good = [r for code, r in responses if code.startswith("2") and code != "204"]
            media = [m for r in good for m in r.get("content", {}).values()]
            if good and not any({"example", "examples"} & set(m) for m in media):
                without.append(f"{method} {path}")
    assert not set(COMMON) & set(without)
    # The risk monitor has its examples at the fields of its models.
    assert service == RISK_MONITOR or without == []


@pytest.mark.parametrize(
    "service,path,query",
    [
        (MARKET_DATA, "/api/v1/ticks", "?asset=BTC"),
        (MARKET_DATA, "/api/v1/assets", ""),
        (TRADING_ENGINE, "/api/v1/strategies", ""),
        (AUDIT_CORRELATOR, "/api/v1/report", ""),
        (AUDIT_CORRELATOR, "/api/v1/chains", ""),
        (AUDIT_CORRELATOR, "/api/v1/timeline", ""),
        (TEST_COORDINATOR, "/scenarios", ""),
    ],
)
def test_examples_are_shaped_like_answers(up: Up, service: str, path: str, query: str) -> None:
    described = httpx.get(up.url[service] + "/openapi.json").json()["paths"][path]["get"]
    example = described["responses"]["200"]["content"]["application/json"]["example"]
    answer = wait_for("an answer", lambda: httpx.get(up.url[service] + path + query).json())
    if isinstance(example, list):
        example, answer = example[0], answer[0]
    assert set(example) == set(answer)


def test_an_action_with_a_token(up: Up, page: Page) -> None:
    page.goto(up.url[RISK_MONITOR] + "/docs")
    trip = operation(page, "post", "/api/breaker/trip")
    trip.locator("textarea").fill('{"by": "desk-1", "reason": "drill", "state": "REDUCING"}')
    with page.expect_response("**/api/breaker/trip") as refusal:
        execute(trip)
    assert refusal.value.status == 401
    authorize(page, token=up.credentials["risk_token"])
    response = execute(trip)
    expect(response.locator(".response-col_status")).to_have_text("200")
    expect(response).to_contain_text('"REDUCING"')
    reset = {"by": "desk-1", "reason": "drill is over"}
    url = up.url[RISK_MONITOR] + "/api/breaker/reset"
    assert httpx.post(url, json=reset, headers=up.operator).is_success


def test_a_signed_order(up: Up, page: Page) -> None:
    secret = up.credentials["api_secret"]
    requested: list[str] = []
    page.on("request", lambda r: requested.append(f"{r.url} {r.post_data} {r.headers}"))
    page.goto(up.url[EXCHANGE] + "/docs")
    authorize(page, apiKey=up.credentials["api_key"], signature=secret)
    order = operation(page, "post", "/api/v3/order/test")
    response = execute(order)
    expect(response.locator(".response-col_status")).to_have_text("200")
    # What the page shows to be copied has the signature as well.
    expect(order.locator(".curl-command")).to_contain_text("&signature=")
    expect(order.locator(".curl-command")).not_to_contain_text(secret)
    assert any("/api/v3/order/test?" in request for request in requested)
    assert not any(secret in request for request in requested)


def test_a_secret_is_not_sent_where_the_browser_cannot_sign(up: Up, page: Page) -> None:
    page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    secret = up.credentials["api_secret"]
    requested: list[str] = []
    page.on("request", lambda r: requested.append(r.url))
    page.goto(up.url[EXCHANGE] + "/docs")
    authorize(page, apiKey=up.credentials["api_key"], signature=secret)
    response = execute(operation(page, "get", "/api/v3/account"))
    expect(response).to_contain_text("Signing needs https")
    assert not any("/api/v3/account" in url for url in requested)


def test_an_endless_stream_shows_its_beginning(up: Up, page: Page) -> None:
    page.goto(up.url[RISK_MONITOR] + "/docs")
    response = execute(operation(page, "get", "/events"))
    expect(response).to_contain_text('"full":true')


@pytest.mark.parametrize(
    "scheme,background", [("light", "rgba(0, 0, 0, 0)"), ("dark", "rgb(28, 32, 34)")]
)
def test_it_fits_a_phone(up: Up, browser: Browser, scheme: Any, background: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    try:
        phone.goto(up.url[EXCHANGE] + "/docs")
        klines = operation(phone, "get", "/api/v3/klines")
        expect(klines.get_by_placeholder("interval")).to_have_value("1m")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.evaluate("getComputedStyle(document.body).backgroundColor") == background
    finally:
        phone.close()
