"""The table of message flows: where the messages of each service go, who may send what, and which
messages are not written to journals. Every runtime follows this one table.
"""

from trading.messages import Message, audit, chaos, custody, market, orders, risk, strategy
from trading.messages.base import Wake
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

MessageType = type[Message]

_CONTROL = (TEST_COORDINATOR,)
_VENUE_CLIENTS = (TRADING_ENGINE, RISK_MONITOR, TEST_COORDINATOR)

#: (sender, type) -> receivers, in the order of delivery.
ROUTES: dict[tuple[str, MessageType], tuple[str, ...]] = {
    (MARKET_DATA, market.PriceTick): (EXCHANGE, TRADING_ENGINE, RISK_MONITOR, TEST_COORDINATOR),
    (EXCHANGE, market.BookTop): _VENUE_CLIENTS,
    (EXCHANGE, market.SymbolStatusChanged): _VENUE_CLIENTS,
    (EXCHANGE, orders.KillSwitchChanged): _VENUE_CLIENTS,
    (EXCHANGE, orders.ExecutionReport): _VENUE_CLIENTS,
    (EXCHANGE, orders.Trade): (CUSTODIAN, TEST_COORDINATOR),
    (TRADING_ENGINE, orders.PlaceOrder): (EXCHANGE,),
    (TRADING_ENGINE, orders.CancelOrder): (EXCHANGE,),
    (TRADING_ENGINE, orders.ReplaceOrder): (EXCHANGE,),
    (TRADING_ENGINE, orders.CancelAllOrders): (EXCHANGE,),
    (TRADING_ENGINE, strategy.StrategyStateChanged): _CONTROL,
    (RISK_MONITOR, orders.CancelAllOrders): (EXCHANGE,),
    (RISK_MONITOR, orders.SetKillSwitch): (EXCHANGE,),
    (RISK_MONITOR, orders.AccountQuery): (EXCHANGE,),
    (RISK_MONITOR, custody.CustodyQuery): (CUSTODIAN,),
    (RISK_MONITOR, risk.AlertFired): _CONTROL,
    (RISK_MONITOR, risk.AlertResolved): _CONTROL,
    (RISK_MONITOR, risk.AlertAcknowledged): _CONTROL,
    (RISK_MONITOR, risk.BreakerChanged): _CONTROL,
    (RISK_MONITOR, risk.PortfolioReported): _CONTROL,
    (CUSTODIAN, custody.SettlementInstructed): _CONTROL,
    (CUSTODIAN, custody.Settled): _CONTROL,
    (CUSTODIAN, custody.SettlementFailed): _CONTROL,
    (CUSTODIAN, custody.PenaltyCharged): _CONTROL,
    (CUSTODIAN, custody.TransferCompleted): _CONTROL,
    (CUSTODIAN, custody.TransferRejected): _CONTROL,
    (TEST_COORDINATOR, audit.AuditQuery): (AUDIT_CORRELATOR,),
}

#: Messages that go to the component in their field ``to``.
DIRECT: frozenset[MessageType] = frozenset(
    {
        market.Ping,
        market.Pong,
        orders.AccountSnapshot,
        orders.RequestFailed,
        custody.CustodySnapshot,
        chaos.InjectFault,
        chaos.RenewFault,
        chaos.RecoverFault,
        chaos.Probe,
        chaos.ProbeAsked,
        audit.AuditReport,
    }
)

#: By type of direct message: who may send it.
_DIRECT_SENDERS: dict[MessageType, tuple[str, ...]] = {
    market.Ping: (RISK_MONITOR, TEST_COORDINATOR),
    market.Pong: tuple(SERVICES),
    orders.AccountSnapshot: (EXCHANGE,),
    orders.RequestFailed: (EXCHANGE,),
    custody.CustodySnapshot: (CUSTODIAN,),
    chaos.InjectFault: _CONTROL,
    chaos.RenewFault: _CONTROL,
    chaos.RecoverFault: _CONTROL,
    chaos.ProbeAsked: _CONTROL,
    audit.AuditReport: (AUDIT_CORRELATOR,),
}

#: Messages that every service may send, and that go to the coordinator.
REPORTED: frozenset[MessageType] = frozenset(
    {chaos.FaultApplied, chaos.FaultEnded, chaos.ProbeResult}
)

#: Messages that are no decisions: requests that change nothing, and market data streams, which the
#: receivers journal.
NOT_JOURNALED: frozenset[MessageType] = frozenset(
    {Wake, market.BookTop, market.Ping, market.Pong, orders.AccountQuery, custody.CustodyQuery}
)


def destinations(source: str, kind: MessageType) -> tuple[str, ...]:
    """Return the receivers of messages of ``kind`` from ``source`` that do not name a receiver."""
    if kind in REPORTED:
        return _CONTROL
    return ROUTES.get((source, kind), ())


def permitted(source: str, to: str, message: Message) -> bool:
    """Return whether ``source`` may send this message to ``to``. A message that names its sender
    must name ``source``.
    """
    kind = type(message)
    if isinstance(message, _NAMES_SENDER) and message.source != source:
        return False
    if kind in DIRECT:
        receiver_allowed = to == TEST_COORDINATOR or kind is not audit.AuditReport
        return receiver_allowed and source in _DIRECT_SENDERS.get(kind, ())
    return to in destinations(source, kind)


_NAMES_SENDER = (
    market.Ping
    | market.Pong
    | orders.AccountQuery
    | orders.RequestFailed
    | custody.CustodyQuery
    | audit.AuditQuery
)
