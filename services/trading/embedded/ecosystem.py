"""Build all components of a plan on one kernel; no other module knows every service."""

from collections.abc import Callable, Mapping

from trading.audit_correlator import AuditCorrelator
from trading.custodian import Custodian
from trading.exchange import Exchange
from trading.market_data import MarketData
from trading.messages.chaos import RunSetup
from trading.risk_monitor import RULES, RiskMonitor
from trading.runtime.component import Component
from trading.runtime.delivery import InboxObserver, Tap
from trading.runtime.journal import Journal, MemoryJournal
from trading.runtime.kernel import Kernel
from trading.runtime.routes import MessageType
from trading.scenario.plan import RunPlan, plan_digest
from trading.test_coordinator import TestCoordinator
from trading.topology import AUDIT_CORRELATOR
from trading.trading_engine import TradingEngine


def components(plan: RunPlan) -> list[Component]:
    """Return new components for ``plan``, in the order in which they act within one instant."""
    universe, seed, tick = plan.universe, plan.seed, plan.tick
    monitor = RiskMonitor(
        universe,
        tick=tick,
        limits=plan.limits,
        disabled=frozenset(plan.disabled_rules),
    )
    return [
        MarketData(universe, seed, tick=tick, replay=plan.replay or None),
        Exchange(universe, seed, tick=tick),
        Custodian(universe, terms=plan.settlement),
        TradingEngine(universe, tick=tick),
        monitor,
        TestCoordinator(plan, _setup(plan, monitor)),
        AuditCorrelator(universe),
    ]


def _setup(plan: RunPlan, monitor: RiskMonitor) -> RunSetup:
    """Return the description of a run for its evidence, with the limits that the monitor uses."""
    limits = {rule: limit.text for rule in RULES if (limit := monitor.controls.limit(rule))}
    return RunSetup(
        scenario=plan.name,
        description=plan.description,
        version=plan.version,
        plan_digest=plan_digest(plan),
        seed=plan.seed,
        limits=limits,
        disabled_rules=plan.disabled_rules,
        overrides=plan.overrides,
    )


def build(
    plan: RunPlan,
    *,
    taps: Mapping[MessageType, Tap] | None = None,
    observers: Mapping[str, InboxObserver] | None = None,
    journal: Callable[[str], Journal] = MemoryJournal,
    parts: list[Component] | None = None,
) -> tuple[Kernel, TestCoordinator]:
    """Return a kernel that is ready to run ``plan``, and the test coordinator on it.

    ``taps`` are called with every message of their type that is sent, and ``observers`` with what
    the component of their name receives. ``journal`` creates the journal of a component by its
    name. ``parts`` replaces the components of the plan.
    """
    hosted = parts if parts is not None else components(plan)
    coordinator = next(c for c in hosted if isinstance(c, TestCoordinator))
    kernel = Kernel(
        hosted,
        start=plan.start,
        run_id=plan.journal_id,
        auditor=AUDIT_CORRELATOR,
        taps=taps,
        observers=observers,
        journal=journal,
    )
    return kernel, coordinator
