"""The table of signals: every metric, and the services that export it.

Tests compare every service with the table. docs/reference/signals.md and the dashboards are
generated from it.
"""

from typing import NamedTuple

from trading.messages.orders import ExecutionType
from trading.messages.risk import BreakerState
from trading.messages.strategy import StrategyState
from trading.topology import (
    AUDIT_CORRELATOR,
    CUSTODIAN,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

# From when on a metric has a sample.
ALWAYS = "always"
REQUESTS = "after a request"
TRADED = "once something was traded"
RUN = "in a run"
VERDICT = "after a verdict"
ALERT = "after an alert"
LIVE = "with real prices"


class Signal(NamedTuple):
    """One metric.

    ``name`` is without the ``_total`` that Prometheus appends to counters, ``text`` the help text.
    ``services`` export it, ``labels`` are its label names, and ``when`` says from when on it has a
    sample.
    """

    name: str
    kind: str
    text: str
    services: tuple[str, ...]
    labels: tuple[str, ...] = ()
    when: str = ALWAYS

    @property
    def shown(self) -> str:
        """Return the name as it is used in queries."""
        return f"{self.name}_total" if self.kind == COUNTER else self.name


_ALL = tuple(SERVICES)
#: Label of the metrics that every service exports.
_S = "service"
_BREAKER_STATES = ", ".join(f"{n} {state}" for n, state in enumerate(BreakerState))

_TABLE = (
    # Of every service.
    Signal("trading_ready", GAUGE, "1: can do its work", _ALL, (_S,)),
    Signal("trading_journal_entries", GAUGE, "Entries in the session's journal", _ALL, (_S,)),
    Signal("trading_journal_unwritten", GAUGE, "Decided entries, not durable yet", _ALL, (_S,)),
    Signal("trading_sim_time_seconds", GAUGE, "Simulated time, Unix seconds", _ALL, (_S,)),
    Signal("trading_sim_speed", GAUGE, "Simulated seconds per wall second", _ALL, (_S,)),
    Signal("trading_sim_slipped_seconds", GAUGE, "Time waited for the machine", _ALL, (_S,)),
    Signal(
        "trading_dependency_up",
        GAUGE,
        "1: the link to a service, journal or store works",
        _ALL,
        (_S, "dependency"),
    ),
    Signal(
        "trading_http_requests",
        COUNTER,
        "Answered requests; health and metrics apart",
        _ALL,
        (_S, "method", "route", "code"),
        REQUESTS,
    ),
    Signal(
        "trading_http_request_duration_seconds",
        HISTOGRAM,
        "Wall time from request to answer",
        _ALL,
        (_S, "method", "route"),
        REQUESTS,
    ),
    # Market data.
    Signal("market_data_ticks", COUNTER, "Index prices told", (MARKET_DATA,), ("asset",), TRADED),
    Signal(
        "market_data_anchor_age_seconds",
        GAUGE,
        "Since a real price was confirmed",
        (MARKET_DATA,),
        ("asset", "source"),
        LIVE,
    ),
    Signal(
        "market_data_anchor_stale",
        GAUGE,
        "1: no source confirms it now",
        (MARKET_DATA,),
        ("asset",),
        LIVE,
    ),
    Signal(
        "market_data_upstream_requests",
        COUNTER,
        "Questions to outside APIs",
        (MARKET_DATA,),
        ("source", "outcome"),
        LIVE,
    ),
    Signal(
        "market_data_price_cache_up",
        GAUGE,
        "1: the cache of prices can be used",
        (MARKET_DATA,),
        when=LIVE,
    ),
    # Exchange.
    Signal(
        "exchange_execution_reports",
        COUNTER,
        f"Execution reports by execution type: {', '.join(ExecutionType)}",
        (EXCHANGE,),
        ("type",),
    ),
    Signal("exchange_trades", COUNTER, "Trades", (EXCHANGE,), ("symbol",), TRADED),
    Signal(
        "exchange_traded_quote", COUNTER, "Traded, in quote asset", (EXCHANGE,), ("symbol",), TRADED
    ),
    # Custodian.
    Signal(
        "custodian_settlements",
        COUNTER,
        "Settlement instructions: instructed, settled, failed, penalised",
        (CUSTODIAN,),
        ("event",),
    ),
    Signal("custodian_settlements_overdue", GAUGE, "Past their settlement date", (CUSTODIAN,)),
    # Trading engine.
    Signal(
        "trading_engine_orders",
        COUNTER,
        "Orders sent to the exchange",
        (TRADING_ENGINE,),
        ("account",),
        TRADED,
    ),
    Signal(
        "trading_engine_strategies",
        GAUGE,
        f"Strategies by state: {', '.join(StrategyState)}",
        (TRADING_ENGINE,),
        ("state",),
    ),
    Signal(
        "trading_engine_open_orders",
        GAUGE,
        "This engine's orders at work",
        (TRADING_ENGINE,),
        ("account",),
    ),
    # Risk monitor.
    Signal("risk_monitor_breaker_state", GAUGE, _BREAKER_STATES, (RISK_MONITOR,)),
    Signal(
        "risk_monitor_breaker_changes",
        COUNTER,
        "Changes of the circuit breaker, by its new state",
        (RISK_MONITOR,),
        ("state",),
    ),
    Signal(
        "risk_monitor_alerts",
        GAUGE,
        "Alerts that are not resolved; 0: the rule watches",
        (RISK_MONITOR,),
        ("rule", "state"),
    ),
    Signal(
        "risk_monitor_alerts_fired",
        COUNTER,
        "Alerts since the start",
        (RISK_MONITOR,),
        ("rule", "severity"),
        ALERT,
    ),
    Signal(
        "risk_monitor_account_killed",
        GAUGE,
        "1: the kill switch is engaged",
        (RISK_MONITOR,),
        ("account",),
        "after a kill switch",
    ),
    Signal(
        "risk_monitor_limit_utilisation_ratio",
        GAUGE,
        "Used share of a limit; above 1: broken",
        (RISK_MONITOR,),
        ("rule", "subject"),
    ),
    Signal(
        "risk_monitor_portfolio_pnl", GAUGE, "P&L since the session opened, USD", (RISK_MONITOR,)
    ),
    Signal("risk_monitor_portfolio_equity", GAUGE, "Equity, USD", (RISK_MONITOR,)),
    Signal("risk_monitor_portfolio_drawdown_ratio", GAUGE, "Fall from the peak", (RISK_MONITOR,)),
    Signal("risk_monitor_gross_exposure", GAUGE, "Value of all coins, USD", (RISK_MONITOR,)),
    Signal("risk_monitor_net_exposure", GAUGE, "Net value of all coins, USD", (RISK_MONITOR,)),
    Signal("risk_monitor_value_at_risk", GAUGE, "99 % one-day value at risk, USD", (RISK_MONITOR,)),
    # Test coordinator.
    Signal(
        "test_coordinator_run_phase",
        GAUGE,
        "1: the newest run is in this phase",
        (TEST_COORDINATOR,),
        ("phase",),
    ),
    Signal(
        "test_coordinator_fault_active",
        GAUGE,
        "1: the fault is seen in the data plane, and has not ended",
        (TEST_COORDINATOR,),
        ("fault", "kind"),
        RUN,
    ),
    Signal(
        "test_coordinator_faults",
        COUNTER,
        "Faults: applied, injected (seen), ended, recovered (seen)",
        (TEST_COORDINATOR,),
        ("event",),
    ),
    Signal(
        "test_coordinator_verdicts",
        GAUGE,
        "Kept verdicts by outcome",
        (TEST_COORDINATOR,),
        ("outcome",),
    ),
    Signal(
        "test_coordinator_detection_latency_seconds",
        GAUGE,
        "Simulated time from a fault's effect to its detection, in the newest verdict",
        (TEST_COORDINATOR,),
        ("fault", "expectation"),
        VERDICT,
    ),
    Signal(
        "test_coordinator_detection_limit_seconds",
        GAUGE,
        "Within which it must be detected",
        (TEST_COORDINATOR,),
        ("fault", "expectation"),
        VERDICT,
    ),
    # Audit correlator.
    Signal(
        "audit_journal_read", GAUGE, "Verified entries by journal", (AUDIT_CORRELATOR,), ("source",)
    ),
    Signal("audit_events", GAUGE, "Verified entries of all journals", (AUDIT_CORRELATOR,)),
    Signal(
        "audit_chains_broken", GAUGE, "Journals whose hash chain does not hold", (AUDIT_CORRELATOR,)
    ),
    Signal("audit_discrepancies", GAUGE, "Found in this session", (AUDIT_CORRELATOR,)),
    Signal("audit_unexplained_alerts", GAUGE, "Alerts that no fault explains", (AUDIT_CORRELATOR,)),
    Signal(
        "audit_fault_delay_seconds",
        GAUGE,
        "Simulated time from a fault's application to: effect, alert, recovery",
        (AUDIT_CORRELATOR,),
        ("fault", "until"),
        RUN,
    ),
)

SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _TABLE}


def signals_of(service: str) -> dict[str, Signal]:
    """Return the signals of ``service`` by name, without ``process_*`` of prometheus_client."""
    return {name: signal for name, signal in SIGNALS.items() if service in signal.services}
