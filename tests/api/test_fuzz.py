"""Fuzzes every service with schemathesis according to its OpenAPI document: no request may get a
500.
"""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from tests.api.running import Up
from trading.topology import RISK_MONITOR, SERVICES

pytestmark = pytest.mark.timeout(900)

#: Paths of streams that never end; each has a test of its own.
ENDLESS = ("/events", "/api/v1/stream", "/runs/{run_id}/events", "/journal")


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_makes_a_500(up: Up, service: str) -> None:
    url = up.url[service]
    schema = schemathesis.openapi.from_url(url + "/openapi.json")
    # The chaos token is not used, so that no run is started; runs have tests of their own.
    headers = up.operator if service == RISK_MONITOR else {}
    requests = 0
    for parsed in schema.get_all_operations():
        operation: Any = parsed.ok()  # type: ignore[union-attr]
        if operation.path in ENDLESS:
            continue

        @settings(
            max_examples=25,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def fuzz(case: Any) -> None:
            nonlocal requests
            requests += 1
            answer = case.call(timeout=20, headers=headers)
            case.validate_response(answer, checks=[not_a_server_error])

        given(case=operation.as_strategy())(fuzz)()
    assert requests >= len(list(schema.get_all_operations())) - len(ENDLESS)
    assert httpx.get(url + "/health").status_code == 200
