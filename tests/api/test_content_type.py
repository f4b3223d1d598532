"""A JSON body is refused unless its content type says that it is JSON.

This keeps forms and scripts of other sites from sending one: before a browser sends
`application/json` for a page of another site it asks the service for permission, and no service
here gives it.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.running import Up
from trading.topology import RISK_MONITOR, SERVICES, TEST_COORDINATOR

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    RISK_MONITOR: (
        "/api/silences",
        {"by": "desk-1", "rule": "drawdown", "subject": "*", "seconds": 60},
    ),
    TEST_COORDINATOR: ("/runs", {"scenario": "no-such-scenario"}),
}
#: Content types that a page may send to any site without permission; None for no type.
SIMPLE = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None)


@pytest.fixture(params=BODIES)
def operation(request: pytest.FixtureRequest, up: Up) -> Iterator[tuple[httpx.Client, str, bytes]]:
    path, body = BODIES[request.param]
    chaos = {"Authorization": f"Bearer {up.credentials['chaos_token']}"}
    headers = up.operator if request.param == RISK_MONITOR else chaos
    with httpx.Client(base_url=up.url[request.param], headers=headers) as client:
        yield client, path, httpx.Request("POST", "http://x", json=body).content


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_body_of_a_simple_type_is_refused(
    operation: tuple[httpx.Client, str, bytes], kind: str | None
) -> None:
    client, path, body = operation
    headers = {"Content-Type": kind} if kind is not None else {}
    assert client.post(path, content=body, headers=headers).status_code == 422
    accepted = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert accepted.status_code in (201, 404)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_lets_another_site_s_page_ask_more(up: Up, service: str) -> None:
    preflight = {
        "Origin": "http://other.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }
    for path in ("/", "/api/silences", "/runs", "/api/v3/order"):
        answer = httpx.options(up.url[service] + path, headers=preflight)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert not answer.is_success
