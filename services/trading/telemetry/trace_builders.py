"""Builds the spans of each service from the messages that it received or decided on.

For each service there is a class with the state that its part of a trace needs. Nothing is sent
between services: the ids of :mod:`.spans` join the parts.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from trading.messages import Message
from trading.messages.chaos import FaultInjected, FaultRecovered, PhaseChanged
from trading.messages.custody import Settled, SettlementFailed, SettlementInstructed
from trading.messages.orders import ExecutionReport, ExecutionType, PlaceOrder, Trade
from trading.messages.risk import AlertFired
from trading.telemetry.spans import (
    ALERT,
    EXECUTION,
    FAULT,
    FILL,
    ORDER,
    RUN,
    SETTLEMENT,
    Span,
    root_of,
    span_of,
    trace_of,
)
from trading.topology import (
    CUSTODIAN,
    EXCHANGE,
    RISK_MONITOR,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)
from trading.units import format_units
from trading.universe import MANUAL, Universe

#: How many orders, or instructions, are remembered; older ones get no span.
REMEMBERED = 10_000
#: Key of the firm's newest fill on any account.
_ANY = ""
#: How many of the fills in one settlement instruction get a span, the newest.
SETTLED_WITH = 20

_K = TypeVar("_K")
_V = TypeVar("_V")


class _Recent(Generic[_K, _V]):
    """A dict of the newest REMEMBERED keys."""

    def __init__(self) -> None:
        self._items: OrderedDict[_K, _V] = OrderedDict()

    def put(self, key: _K, value: _V) -> None:
        self._items[key] = value
        if len(self._items) > REMEMBERED:
            self._items.popitem(last=False)

    def pop(self, key: _K) -> _V | None:
        return self._items.pop(key, None)

    def get(self, key: _K) -> _V | None:
        return self._items.get(key)


class TraceBuilder:
    """Builds the spans of one service in one ``session``.

    ``kinds`` are the types of message that :meth:`see` has to be called with, in journal order.
    """

    kinds: tuple[type[Message], ...] = ()

    def __init__(self, session: str, universe: Universe) -> None:
        self.session = session
        self.universe = universe
        self.automated = {a.name for a in universe.accounts if a.strategy != MANUAL}
        self.firm = frozenset(universe.firm_accounts)

    def order(self, order_id: int) -> int:
        """Return the trace id of an order."""
        return trace_of(self.session, "order", order_id)

    def see(self, message: Any, now: int) -> Iterable[Span]:
        """Return the spans that a message of one of ``kinds`` completes at ``now`` (simulated)."""
        return ()


class EngineTraces(TraceBuilder):
    """Builds the span of an order, from the decision to the exchange's first execution report."""

    kinds = (PlaceOrder, ExecutionReport)

    def __init__(self, session: str, universe: Universe) -> None:
        super().__init__(session, universe)
        self._sent: _Recent[tuple[str, str], int] = _Recent()

    def see(self, message: Any, now: int) -> Iterable[Span]:
        if isinstance(message, PlaceOrder):
            self._sent.put((message.account, message.client_order_id), now)
        elif message.account in self.automated:
            sent = self._sent.pop((message.account, message.client_order_id))
            if sent is not None and message.order_id:
                yield _order_span(self.order(message.order_id), message, sent, now)


class ExchangeTraces(TraceBuilder):
    """Builds a span for each execution report of the firm, and for orders of API clients."""

    kinds = (ExecutionReport,)

    def see(self, message: Any, now: int) -> Iterable[Span]:
        if message.account not in self.firm or not message.order_id:
            return
        trace, at = self.order(message.order_id), message.event_time
        kind = message.execution_type
        if kind is ExecutionType.NEW and message.account not in self.automated:
            yield _order_span(trace, message, at, at)
        if kind is ExecutionType.TRADE:
            yield Span(
                trace,
                span_of(trace, FILL, message.trade_id),
                root_of(trace),
                FILL,
                at,
                at,
                {
                    "trade.id": message.trade_id,
                    "trade.qty": format_units(message.last_qty),
                    "trade.price": format_units(message.last_price),
                    "trade.maker": message.is_maker,
                    "order.status": message.status,
                },
            )
        else:
            attributes = {"execution.type": kind, "order.status": message.status}
            if message.reason:
                attributes["execution.reason"] = message.reason
            yield Span(
                trace, span_of(trace, kind, at), root_of(trace), EXECUTION, at, at, {**attributes}
            )


class CustodianTraces(TraceBuilder):
    """Builds a span for each fill that a settlement instruction nets, when it settles or fails."""

    kinds = (Trade, SettlementInstructed, Settled, SettlementFailed)

    def __init__(self, session: str, universe: Universe) -> None:
        super().__init__(session, universe)
        self._assets = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self._pending: dict[tuple[str, str], deque[tuple[int, int]]] = {}
        self._instructed: _Recent[str, tuple[int, tuple[tuple[int, int], ...]]] = _Recent()

    def see(self, message: Any, now: int) -> Iterable[Span]:
        if isinstance(message, Trade):
            sides = ((message.buyer, message.buy_order_id), (message.seller, message.sell_order_id))
            for account, order_id in sides:
                if account in self.firm:
                    for asset in self._assets[message.symbol]:
                        fills = self._pending.setdefault(
                            (account, asset), deque(maxlen=SETTLED_WITH)
                        )
                        fills.append((order_id, message.trade_id))
        elif isinstance(message, SettlementInstructed):
            netted = self._pending.pop((message.account, message.asset), deque())
            self._instructed.put(message.instruction_id, (now, tuple(netted)))
        else:
            yield from self._settlement_spans(message, now)

    def _settlement_spans(self, message: Settled | SettlementFailed, now: int) -> Iterable[Span]:
        instructed, fills = self._instructed.get(message.instruction_id) or (now, ())
        failed = isinstance(message, SettlementFailed)
        for order_id, trade_id in fills:
            trace = self.order(order_id)
            yield Span(
                trace,
                span_of(trace, SETTLEMENT, message.instruction_id, trade_id, now),
                span_of(trace, FILL, trade_id),
                SETTLEMENT,
                instructed,
                now,
                {
                    "settlement.instruction": message.instruction_id,
                    "settlement.asset": message.asset,
                    "settlement.remaining": format_units(message.remaining),
                },
                message.reason if isinstance(message, SettlementFailed) and failed else "",
            )


class RiskMonitorTraces(TraceBuilder):
    """Builds the span of an alert, in the trace of an order that may have caused it.

    That is the newest order, by the reports that the monitor has received, on the account or symbol
    that the alert is about; for other subjects the newest fill of the firm.
    """

    kinds = (ExecutionReport, AlertFired)

    def __init__(self, session: str, universe: Universe) -> None:
        super().__init__(session, universe)
        self._newest: dict[str, tuple[int, int]] = {}

    def see(self, message: Any, now: int) -> Iterable[Span]:
        if isinstance(message, ExecutionReport):
            if message.account in self.firm and message.order_id:
                newest = (message.order_id, message.trade_id)
                self._newest[message.account] = self._newest[message.symbol] = newest
                if message.trade_id:
                    self._newest[_ANY] = newest
            return
        order_id, trade_id = self._newest.get(message.subject) or self._newest.get(_ANY, (0, 0))
        trace = self.order(order_id) if order_id else trace_of(self.session, message.alert_id)
        parent = span_of(trace, FILL, trade_id) if trade_id else root_of(trace)
        yield Span(
            trace,
            span_of(trace, ALERT, message.alert_id),
            parent if order_id else 0,
            ALERT,
            min(message.event_time, message.detected_time),
            message.detected_time,
            {
                "alert.rule": message.rule,
                "alert.subject": message.subject,
                "alert.severity": message.severity,
                "alert.observed": message.observed,
                "alert.limit": message.limit,
            },
        )


class CoordinatorTraces(TraceBuilder):
    """Builds the span of a scenario run, and one for each of its faults."""

    kinds = (PhaseChanged, FaultInjected, FaultRecovered)

    def __init__(self, session: str, universe: Universe) -> None:
        super().__init__(session, universe)
        self._trace = trace_of(session, RUN)
        self._started_at = 0
        self._injected: dict[str, tuple[int, str]] = {}

    def see(self, message: Any, now: int) -> Iterable[Span]:
        root = root_of(self._trace)
        if isinstance(message, PhaseChanged):
            self._started_at = self._started_at or message.event_time
            if message.phase.terminal:
                attributes: dict[str, Any] = {"run.phase": message.phase}
                yield Span(self._trace, root, 0, RUN, self._started_at, now, attributes)
        elif isinstance(message, FaultInjected):
            self._injected[message.fault_id] = (message.event_time, message.evidence)
        elif message.fault_id in self._injected:
            started_at, evidence = self._injected.pop(message.fault_id)
            yield Span(
                self._trace,
                span_of(self._trace, FAULT, message.fault_id),
                root,
                FAULT,
                started_at,
                now,
                {"fault.name": message.fault_id, "fault.evidence": evidence},
            )


#: The class that builds the spans of each service.
TRACE_BUILDERS: Mapping[str, Callable[[str, Universe], TraceBuilder]] = {
    TRADING_ENGINE: EngineTraces,
    EXCHANGE: ExchangeTraces,
    CUSTODIAN: CustodianTraces,
    RISK_MONITOR: RiskMonitorTraces,
    TEST_COORDINATOR: CoordinatorTraces,
}


def _order_span(trace: int, report: ExecutionReport, start: int, end: int) -> Span:
    return Span(
        trace,
        root_of(trace),
        0,
        ORDER,
        start,
        end,
        {
            "order.id": report.order_id,
            "order.client_id": report.client_order_id,
            "order.account": report.account,
            "order.symbol": report.symbol,
            "order.side": report.side,
            "order.type": report.type,
            "order.qty": format_units(report.qty),
            "order.price": format_units(report.price),
        },
    )
