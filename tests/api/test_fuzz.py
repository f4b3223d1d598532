"""Whatever is sent, nobody answers with a 500: schemathesis over every service's OpenAPI."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from tests.api.running import Up
from trading.topology import RISK_MONITOR, SERVICES

pytestmark = pytest.mark.timeout(900)

#: Streams that never end; each has a test of its own.
ENDLESS = ("/events", "/api/v1/stream", "/runs/{run_id}/events", "/journal")


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_makes_a_500(up: Up, service: str) -> None:
    url = up.url[service]
    schema = schemathesis.openapi.from_url(url + "/openapi.json")
    # The chaos token is not given: what a run does to the ecosystem is tested elsewhere.
    headers = up.operator if service == RISK_MONITOR else {}
    asked = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path in ENDLESS:
            continue

        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def fuzz(case: Any) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(timeout=20, headers=headers)
            case.validate_response(answer, checks=[not_a_server_error])

        given(case=operation.as_strategy())(fuzz)()
    assert asked >= len(list(schema.get_all_operations())) - len(ENDLESS)
    assert httpx.get(url + "/health").status_code == 200
