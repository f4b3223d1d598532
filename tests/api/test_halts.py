"""Which halts of the breaker end with a session and which do not: the holder of the chaos token
must not undo what the holder of the risk token did.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.running import Up, verdict_of
from tests.serve.processes import Apart
from trading.api.risk_monitor.broadcast import VIEW
from trading.api.risk_monitor.halts import standing_halt
from trading.api.risk_monitor.view import RiskView
from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import components
from trading.hosting.clock import ClockAnchor
from trading.hosting.host import Host
from trading.hosting.session import Session, encode_session
from trading.hosting.session_control import LocalSessionControl, run_ended_at
from trading.hosting.store import MemoryStore
from trading.messages.orders import PlaceOrder
from trading.risk_monitor import RiskMonitor
from trading.topology import EXCHANGE
from trading.units import SECOND, parse_units

pytestmark = pytest.mark.timeout(300)

Ecosystem = Up | Apart


def breaker(ecosystem: Ecosystem) -> str:
    url = ecosystem.url["risk-monitor"] + "/api/breaker"
    return str(httpx.get(url).json()["state"])


def act(ecosystem: Ecosystem, what: str) -> None:
    url = f"{ecosystem.url['risk-monitor']}/api/breaker/{what}"
    body = {"by": "desk-1", "reason": "the book makes no sense"}
    answer = httpx.post(url, json=body, headers=ecosystem.operator)
    assert answer.status_code == 200, answer.text


def begin(ecosystem: Ecosystem, scenario: str = "market-crash", **overrides: str) -> httpx.Response:
    request = {"scenario": scenario, "overrides": overrides}
    with ecosystem.coordinator() as coordinator:
        return coordinator.post("/runs", json=request)


def assert_refused(ecosystem: Ecosystem, reason: str) -> None:
    refused = begin(ecosystem)
    assert refused.status_code == 409
    detail = refused.json()["detail"]
    assert reason in detail and "RISK_TOKEN" in detail and "/api/breaker/reset" in detail
    assert breaker(ecosystem) == "HALTED"
    with ecosystem.coordinator() as coordinator:
        assert all(run["outcome"] for run in coordinator.get("/runs").json())


def through_its_life(ecosystem: Ecosystem) -> None:
    """Check that a halt between runs prevents a run; that after its reset a run can halt trading by
    itself, which the next run may end; and that a halt that an operator orders after the run
    prevents runs again.
    """
    act(ecosystem, "trip")
    assert_refused(ecosystem, "desk-1: the book makes no sense")
    act(ecosystem, "reset")

    run_id = begin(ecosystem).json()["id"]
    assert verdict_of(ecosystem, run_id, 200)["outcome"] == "Pass"
    assert breaker(ecosystem) == "HALTED"
    begun = begin(ecosystem, "exchange-downtime")
    assert begun.status_code == 202, begun.text
    assert verdict_of(ecosystem, begun.json()["id"], 200)["outcome"] == "Pass"
    assert breaker(ecosystem) == "ACTIVE"

    act(ecosystem, "trip")
    assert_refused(ecosystem, "desk-1: the book makes no sense")


def test_in_one_process_and_after_a_restart(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    try:
        through_its_life(up)
        up.stop()
        up.start()
        assert_refused(up, "desk-1: the book makes no sense")
        act(up, "reset")
        assert begin(up).status_code == 202
    finally:
        up.stop()


def test_a_halt_that_an_operator_orders_in_a_run_is_not_the_run_s(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    try:
        run_id = begin(up, "exchange-downtime", **{"clock.speed": "300"}).json()["id"]
        act(up, "trip")
        with up.coordinator() as coordinator:
            coordinator.post(f"/runs/{run_id}/abort", json={"reason": "halted"})
        verdict_of(up, run_id, 200)
        assert_refused(up, "desk-1: the book makes no sense")
    finally:
        up.stop()


@pytest.mark.parametrize(("halted", "stands"), [("in the run", False), ("after it", True)])
def test_a_halt_that_nobody_has_ordered_is_the_run_s_until_the_run_is_over(
    halted: str, stands: bool
) -> None:
    """The breaker halts trading since two accounts are killed for orders that are too large."""
    plan = load_scenario("exchange-downtime", overrides={"clock.mode": "wall"}).plan
    host = Host(
        lambda session: components(session.plan),
        MemoryStore(),
        idle=lambda: Session(plan=plan, run_id="a-run"),
        projections={VIEW: lambda session: RiskView()},
    )

    async def halt() -> None:
        for account in ("firm-mm", "firm-api"):
            order = ("x", "BTCUSDT", "BUY", "LIMIT", parse_units("1"), parse_units("60000"))
            await host.committed(host.send(EXCHANGE, PlaceOrder(account, *order)))
        while host.component(RiskMonitor).state()["breaker"]["state"] != "HALTED":
            await host.committed(host.kernel.now + SECOND // 10)

    async def life() -> str:
        await host.start()
        world = LocalSessionControl(host)
        try:
            await host.committed(plan.start + 2 * SECOND)
            if halted == "in the run":
                await halt()
            assert run_ended_at(host) is None
            await world.set_speed(1)
            over = run_ended_at(host)
            if halted == "after it":
                await halt()
            await world.set_speed(1)
            assert over is not None and run_ended_at(host) == over
            return standing_halt(host)
        finally:
            await host.stop()

    assert bool(asyncio.run(life())) == stands


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Apart]:
    with Apart(tmp_path / "data") as services:
        yield services


def test_in_seven_processes_the_monitor_holds_it_whatever_the_coordinator_wants(
    fresh: Apart,
) -> None:
    through_its_life(fresh)
    # Asking the monitor itself with the chaos token is refused as well.
    url = fresh.url["risk-monitor"] + "/chaos/session"
    headers = {"Authorization": f"Bearer {fresh.credentials['chaos_token']}"}
    query = httpx.get(url, headers=headers)
    assert (query.status_code, httpx.get(url).status_code) == (409, 401)
    session = Session(
        plan=load_scenario("market-crash").plan, key="x", anchor=ClockAnchor(0, 0, 1.0)
    )
    answer = httpx.put(url, content=encode_session(session), headers=headers)
    assert answer.status_code == 409
    assert breaker(fresh) == "HALTED"
