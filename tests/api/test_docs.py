"""`/docs` of every service in a real browser: it uses only our own files, under our own content
security policy.
"""

import httpx
import pytest
from playwright.sync_api import Browser, expect

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


@pytest.mark.parametrize("service", SERVICES)
def test_the_operations_and_their_examples_are_shown_without_the_internet(
    up: Up, browser: Browser, service: str
) -> None:
    url = up.url[service]
    page = browser.new_page()
    requested: list[str] = []
    problems: list[str] = []
    page.on("request", lambda r: requested.append(r.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    try:
        answer = page.goto(url + "/docs")
        assert answer is not None
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        described = httpx.get(url + "/openapi.json").json()
        expect(page.locator("h1")).to_have_text(described["info"]["title"] + " API")
        count = sum(len(item) for item in described["paths"].values())
        expect(page.locator(".operation")).to_have_count(count)

        page.get_by_label("Filter").fill("get /health")
        operation = page.locator(".operation:visible")
        expect(operation).to_have_count(1)
        operation.locator("summary").click()
        expect(operation.locator(".example").first).to_contain_text('"status": "ok"')
        operation.get_by_role("button", name="Send").click()
        expect(operation.get_by_label("Answer")).to_contain_text(f'"service": "{service}"')
    finally:
        page.close()
    assert problems == []
    assert requested and all(a.startswith((url, "data:")) for a in requested)


COMMON = ("get /health", "get /ready", "get /metrics", "get /journal", "get /journal/head")


@pytest.mark.parametrize("service", SERVICES)
def test_operations_have_examples_of_their_answers(up: Up, service: str) -> None:
    described = httpx.get(up.url[service] + "/openapi.json").json()
    without = []
    for path, item in described["paths"].items():
        for method, operation in item.items():
            good = [r for code, r in operation["responses"].items() if code.startswith("2")]
            media = [m for r in good for m in r.get("content", {}).values()]
            if not any({"example", "examples"} & set(m) for m in media):
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


def test_the_page_signs_an_order(up: Up, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(up.url[EXCHANGE] + "/docs")
        page.get_by_text("Credentials for").click()
        page.get_by_label("API key").fill(up.credentials["api_key"])
        page.get_by_label("API secret").fill(up.credentials["api_secret"])
        page.get_by_label("Filter").fill("post /api/v3/order/test")
        order = page.locator(".operation:visible")
        order.locator("summary").click()
        order.get_by_role("button", name="Send").click()
        expect(order.get_by_text("200 OK")).to_be_visible()
        order.get_by_label("quantity", exact=True).fill("0.0000000001")
        order.get_by_role("button", name="Send").click()
        expect(order.get_by_label("Answer")).to_contain_text("-1111")
    finally:
        page.close()


def test_it_fits_a_phone(up: Up, browser: Browser) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    try:
        phone.goto(up.url[EXCHANGE] + "/docs")
        phone.locator("summary", has_text="/api/v3/klines").click()
        expect(phone.get_by_label("interval")).to_have_value("1m")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(243, 245, 248)"
        )
    finally:
        phone.close()
