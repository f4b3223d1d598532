"""The parts of a session are looked up by their classes."""

import asyncio

import pytest

from trading.api.risk_monitor.view import RiskView
from trading.api.test_coordinator.timeline import Timeline
from trading.custodian import Custodian
from trading.exchange import Exchange
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.hosting.parts import NotInSession
from trading.hosting.session import Session
from trading.hosting.store import MemoryStore
from trading.scenario.plan import RunPlan
from trading.server.service_specs import build_components
from trading.test_coordinator import IdleCoordinator, TestCoordinator
from trading.topology import AUDIT_CORRELATOR, EXCHANGE, MARKET_DATA

PLAN = RunPlan(name="world", seed=3, faults=(), expectations=())


def host(*names: str, auditor: str = "") -> Host:
    """Return a host of these components, with the risk view as its only projection."""
    return Host(
        lambda session: [c for c in build_components(session) if c.name in names],
        MemoryStore(),
        idle=lambda: Session(plan=PLAN),
        projections={"risk-monitor/view": lambda session: RiskView()},
        auditor=auditor,
    )


def test_a_component_is_found_by_its_class() -> None:
    async def run() -> None:
        running = host(EXCHANGE, MARKET_DATA, AUDIT_CORRELATOR, auditor=AUDIT_CORRELATOR)
        await running.start()
        assert isinstance(running.component(Exchange), Exchange)
        assert running.component(Exchange) is running.kernel.component(EXCHANGE)
        assert isinstance(running.projection(RiskView), RiskView)
        assert running.auditor.read_to(EXCHANGE) == 0
        with pytest.raises(NotInSession, match=r"no Custodian here, only: MarketData, Exchange, A"):
            running.component(Custodian)
        with pytest.raises(NotInSession, match=r"no Timeline here, only: RiskView$"):
            running.projection(Timeline)
        await running.stop()

    asyncio.run(run())


def test_the_coordinator_is_there_only_in_a_run() -> None:
    async def run() -> None:
        running = host("test-coordinator")
        await running.start()
        assert running.component(IdleCoordinator)
        with pytest.raises(NotInSession, match="no TestCoordinator here, only: IdleCoordinator"):
            running.component(TestCoordinator)
        await running.open(Session(plan=PLAN, run_id="a-run"))
        assert running.component(TestCoordinator)
        await running.stop()

    asyncio.run(run())


def test_a_process_without_an_auditor_says_so() -> None:
    async def run() -> None:
        running = host(EXCHANGE, AUDIT_CORRELATOR)
        with pytest.raises(Unavailable, match="not started yet"):
            running.component(Exchange)
        await running.start()
        with pytest.raises(NotInSession, match="no auditor here"):
            running.auditor.read_to(EXCHANGE)
        await running.stop()

    asyncio.run(run())
