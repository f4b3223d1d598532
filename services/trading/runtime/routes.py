"""The one table of message flows: which service's messages of a type go where, and what is not
written to journals. Every runtime follows it.
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

#: (source, type) -> destinations, in order of delivery.
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

#: Go to whom their ``to`` names.
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

#: Who may send what names its receiver.
_SENDERS: dict[MessageType, tuple[str, ...]] = {
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

#: Every service's go to the coordinator.
REPORTED: frozenset[MessageType] = frozenset(
    {chaos.FaultApplied, chaos.FaultEnded, chaos.ProbeResult}
)

#: Not decisions: requests that change nothing, and streams that the receivers journal.
NOT_JOURNALED: frozenset[MessageType] = frozenset(
    {Wake, market.BookTop, market.Ping, market.Pong, orders.AccountQuery, custody.CustodyQuery}
)


def destinations(source: str, kind: MessageType) -> tuple[str, ...]:
    """Where ``source`` sends messages of ``kind`` that do not name their receiver."""
    if kind in REPORTED:
        return _CONTROL
    return ROUTES.get((source, kind), ())


def permitted(source: str, to: str, message: Message) -> bool:
    """May ``source`` send this to ``to``? Who asks or answers, does so in its own name."""
    kind = type(message)
    if isinstance(message, _SIGNED) and message.source != source:
        return False
    if kind in DIRECT:
        known = to == TEST_COORDINATOR or kind is not audit.AuditReport
        return known and source in _SENDERS.get(kind, ())
    return to in destinations(source, kind)


_SIGNED = (
    market.Ping
    | market.Pong
    | orders.AccountQuery
    | orders.RequestFailed
    | custody.CustodyQuery
    | audit.AuditQuery
)
