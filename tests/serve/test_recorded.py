"""Recorded prices of the largest size, where every service is a process of its own."""

import json
from typing import Any

import pytest

from tests.serve.heads import heads_of
from tests.serve.processes import Apart
from trading.embedded.api import load_submitted
from trading.embedded.run import run_plan
from trading.hosting.guard import MAX_LINK_MESSAGE, max_body
from trading.hosting.session import Session, encode_session
from trading.links.frames import encode
from trading.links.session_control import PATH
from trading.messages.chaos import Depeg, PathPoint
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import MAX_PATH_POINTS, MAX_POINTS, Uploads
from trading.units import DAY

pytestmark = pytest.mark.timeout(900)

#: The largest times and prices that a point can have: 130 years, and 9,999,999,999 USD.
LONGEST, DEAREST = 47_482 * DAY, 10**18 - 1


def series(count: int, price: float) -> str:
    """Return as many prices, a tenth of a second apart, each near ``price``."""
    rows = (f"{1767571200000 + 100 * i},{price + i % 7 / 1e6:.6f}" for i in range(count))
    return "time,price\n" + "\n".join(rows)


def scenario() -> str:
    """Return a scenario that has as many recorded prices as it may, on both ways to a service."""
    fault = {"depeg": {"asset": "USDT", "series": {"recording": "path"}}}
    content: dict[str, Any] = {
        "apiVersion": "chaos.trading/v1alpha1",
        "kind": "ChaosScenario",
        "metadata": {"name": "largest"},
        "spec": {
            "market": {"source": "replay", "replay": {"recording": "market", "asset": "USDC"}},
            "steadyState": {"for": "1m", "within": "5m"},
            "faults": [{"name": "slip", "duration": "2m", **fault}],
            "expect": [{"noAlert": "settlement-overdue"}],
            "recovery": {"within": "10m"},
        },
    }
    return json.dumps(content)


def test_the_largest_recordings_reach_every_service(apart: Apart) -> None:
    """The market goes to all services in the session, the path of a fault in one message."""
    uploads = {
        "market": series(MAX_POINTS - MAX_PATH_POINTS, 1),
        "path": series(MAX_PATH_POINTS, 0.97),
    }
    with apart.coordinator() as coordinator:
        for name, content in uploads.items():
            assert coordinator.put(f"/recordings/{name}", content=content).status_code == 201
        begun = coordinator.post("/runs", json={"text": scenario()})
    assert begun.status_code == 202, begun.text
    verdict = apart.verdict(begun.json()["id"], 600)
    plan = load_submitted(scenario(), uploads=Uploads(uploads.get)).plan
    result = run_plan(plan)
    assert verdict["outcome"] == result.verdict.outcome == "Pass", verdict["reasons"]
    assert heads_of(verdict) == {
        name: (journal.length, journal.head.hex()) for name, journal in result.journals.items()
    }


def test_nothing_that_is_accepted_is_larger_than_what_services_take() -> None:
    points = tuple((LONGEST - i, DEAREST) for i in range(MAX_POINTS))
    session = encode_session(
        Session(plan=RunPlan(name="largest", replay={"USDC": points}, faults=(), expectations=()))
    )
    assert len(session) < max_body(PATH)
    path = tuple(PathPoint(offset, price) for offset, price in points[:MAX_PATH_POINTS])
    assert len(encode(Depeg("USDC", path))) < MAX_LINK_MESSAGE * 9 // 10
