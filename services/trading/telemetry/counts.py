"""Counters that are derived from messages.

Every message that a service has decided on and made durable is counted once.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.messages import Message
from trading.messages.chaos import (
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    FaultStep,
)
from trading.messages.custody import (
    PenaltyCharged,
    Settled,
    SettlementFailed,
    SettlementInstructed,
)
from trading.messages.market import PriceTick
from trading.messages.orders import ExecutionReport, ExecutionType, PlaceOrder, ReplaceOrder, Trade
from trading.messages.risk import AlertFired, BreakerChanged, BreakerState
from trading.telemetry.families import counters
from trading.telemetry.signals import signals_of
from trading.units import SCALE


class Count(NamedTuple):
    """How a message type counts: the metric it adds to, its label values, and by how much."""

    metric: str
    labels: Callable[[Any], tuple[str, ...]]
    amount: Callable[[Any], float] = lambda message: 1


def _constant(label: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda message: (label,)


_COUNTS: tuple[tuple[type[Message], Count], ...] = (
    (PriceTick, Count("market_data_ticks", lambda m: (m.asset,))),
    (ExecutionReport, Count("exchange_execution_reports", lambda m: (m.execution_type,))),
    (Trade, Count("exchange_trades", lambda m: (m.symbol,))),
    (Trade, Count("exchange_traded_quote", lambda m: (m.symbol,), lambda m: m.quote_qty / SCALE)),
    (SettlementInstructed, Count("custodian_settlements", _constant("instructed"))),
    (Settled, Count("custodian_settlements", _constant("settled"))),
    (SettlementFailed, Count("custodian_settlements", _constant("failed"))),
    (PenaltyCharged, Count("custodian_settlements", _constant("penalised"))),
    (PlaceOrder, Count("trading_engine_orders", lambda m: (m.account,))),
    (ReplaceOrder, Count("trading_engine_orders", lambda m: (m.account,))),
    (AlertFired, Count("risk_monitor_alerts_fired", lambda m: (m.rule, m.severity))),
    (BreakerChanged, Count("risk_monitor_breaker_changes", lambda m: (m.state,))),
    (FaultApplied, Count("test_coordinator_faults", _constant(FaultStep.APPLIED))),
    (FaultInjected, Count("test_coordinator_faults", _constant(FaultStep.INJECTED))),
    (FaultEnded, Count("test_coordinator_faults", _constant(FaultStep.ENDED))),
    (FaultRecovered, Count("test_coordinator_faults", _constant(FaultStep.RECOVERED))),
)

#: Label values that are exported as 0 before the first message: a rate needs a first sample.
_FROM_ZERO: dict[str, tuple[str, ...]] = {
    "exchange_execution_reports": tuple(ExecutionType),
    "custodian_settlements": ("instructed", "settled", "failed", "penalised"),
    "risk_monitor_breaker_changes": tuple(BreakerState),
    "test_coordinator_faults": tuple(FaultStep),
}


def counted_types(service: str) -> frozenset[type[Message]]:
    """Return the message types that the counters of ``service`` are derived from."""
    signals = signals_of(service)
    return frozenset(kind for kind, count in _COUNTS if count.metric in signals)


class MessageCounters(Collector):
    """Collects the message counters of one ``service`` for a Prometheus registry."""

    def __init__(self, service: str) -> None:
        signals = signals_of(service)
        self._by_type: dict[type[Message], list[Count]] = {}
        self._values: dict[str, Counter[tuple[str, ...]]] = {}
        for kind, count in _COUNTS:
            if count.metric in signals:
                self._by_type.setdefault(kind, []).append(count)
                zeros = _FROM_ZERO.get(count.metric, ())
                self._values[count.metric] = Counter({(label,): 0 for label in zeros})

    def see(self, messages: Iterable[Any]) -> None:
        """Count messages; types that no counter is derived from are ignored."""
        for message in messages:
            for count in self._by_type.get(type(message), ()):
                self._values[count.metric][count.labels(message)] += count.amount(message)  # type: ignore[assignment]

    def collect(self) -> list[Metric]:
        """Return the counters as metric families."""
        return [counters(name, list(values.items())) for name, values in self._values.items()]
